/**
 * What each isolate may do: every permission is written out, so that a misspelled or missing one
 * does not compile (Deno itself takes a misspelled key in silence).
 *
 * @module
 */
import type { Grants, Programs } from "./protocol.ts";

/** A grant with every permission named. */
export type Grant = Required<Deno.PermissionOptionsObject>;

/**
 * The grant of a tool isolate: one program and nothing else.
 *
 * @param program Absolute path.
 * @returns The grant.
 */
export function toolGrant(program: string): Grant {
  return {
    run: [program],
    net: false,
    read: false,
    write: false,
    env: false,
    ffi: false,
    sys: false,
    import: false,
  } satisfies Grant;
}

/**
 * The grant of the warden: the tools' programs, so that it can hand each its own, and the folders
 * from which it loads code and configuration.
 *
 * @param programs The tools' programs.
 * @param readable Absolute paths of `src`, the configuration and the wordlists.
 * @returns The grant.
 */
export function wardenGrant(
  programs: Programs,
  readable: readonly string[],
): Grant {
  return {
    run: Object.values(programs),
    net: false,
    read: [...readable],
    write: false,
    env: false,
    ffi: false,
    sys: false,
    import: false,
  } satisfies Grant;
}

const OTHER_PERMISSIONS = [
  "net",
  "read",
  "write",
  "env",
  "ffi",
  "sys",
  "import",
] as const;

/** Programs that nobody grants: they are asked for to notice a grant that is too wide. */
const FOREIGN_PROGRAMS = ["/bin/sh", "/usr/bin/env", "/usr/bin/deno"];

/**
 * Reads back what the calling isolate may do.
 *
 * @param programs The tools' programs by absolute path.
 * @param query Asks Deno.
 * @returns The programs that may be run, and whatever else is not refused.
 */
export function readGrants(
  programs: readonly string[],
  query: (descriptor: Deno.PermissionDescriptor) => Deno.PermissionState,
): Grants {
  const runnable = (command: string) =>
    query({ name: "run", command }) === "granted";
  const others: string[] = OTHER_PERMISSIONS.filter((name) =>
    query({ name }) === "granted"
  );
  if (query({ name: "run" }) === "granted") others.push("run");
  return {
    run: programs.filter(runnable),
    others: [...others, ...FOREIGN_PROGRAMS.filter(runnable)],
  };
}

/**
 * Judges what a tool isolate said it may do.
 *
 * @param grants What it said.
 * @param program The one program it should be able to run.
 * @returns Whether it is exactly that.
 */
export function isSound(grants: Grants, program: string): boolean {
  return grants.others.length === 0 && grants.run.length === 1 &&
    grants.run[0] === program;
}

/**
 * Asks Deno for the state of a permission.
 *
 * @param descriptor The permission.
 * @returns Its state in the calling isolate.
 */
export function queryPermission(
  descriptor: Deno.PermissionDescriptor,
): Deno.PermissionState {
  return Deno.permissions.querySync(descriptor).state;
}
