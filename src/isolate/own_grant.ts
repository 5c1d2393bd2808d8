/**
 * Fails closed when the process was started with more rights than it asks for.
 *
 * A server that was started with a broad flag by mistake would work just as well, and none of what
 * this program promises would hold. So it looks before it serves, and refuses to start.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** What a command is allowed to have. */
export interface OwnGrantRules {
  /** Whether it may listen or connect at all. */
  readonly net: boolean;
  /** Paths that must stay unwritable: the program's own code and configuration. */
  readonly unwritable: readonly string[];
}

/** Programs whose permission shows that `--allow-run` is wider than the three tools. */
const FOREIGN_PROGRAMS = [
  "sh",
  "/bin/sh",
  "bash",
  "/usr/bin/env",
  "deno",
  "/usr/bin/python3",
];

/**
 * Finds what the calling isolate may do beyond what its command needs.
 *
 * @param rules What the command needs.
 * @param query Asks Deno.
 * @returns The flags that are too wide, as a user would write them; empty if all is well.
 */
export function tooWide(
  rules: OwnGrantRules,
  query: (descriptor: Deno.PermissionDescriptor) => Deno.PermissionState,
): readonly string[] {
  const granted = (descriptor: Deno.PermissionDescriptor) =>
    query(descriptor) === "granted";
  const wide: string[] = [];
  if (granted({ name: "run" })) wide.push("--allow-run");
  const foreign = FOREIGN_PROGRAMS.find((command) =>
    granted({ name: "run", command })
  );
  if (wide.length === 0 && foreign !== undefined) {
    wide.push(`--allow-run=${foreign}`);
  }
  if (granted({ name: "net" })) wide.push("--allow-net");
  else if (!rules.net && granted({ name: "net", host: "127.0.0.1" })) {
    wide.push("--allow-net=127.0.0.1");
  }
  if (granted({ name: "read", path: "/" })) wide.push("--allow-read");
  if (granted({ name: "write", path: "/" })) wide.push("--allow-write");
  const written = rules.unwritable.find((path) =>
    granted({ name: "write", path })
  );
  if (!wide.includes("--allow-write") && written !== undefined) {
    wide.push("--allow-write of the program's own files");
  }
  for (const name of ["env", "sys", "ffi", "import"] as const) {
    if (granted({ name })) wide.push(`--allow-${name}`);
  }
  return wide;
}

/**
 * Refuses to start with more rights than needed.
 *
 * @param rules What the command needs.
 * @param query Asks Deno.
 * @throws {AppError} `internal`, naming the flags that are too wide.
 */
export function refuseTooWide(
  rules: OwnGrantRules,
  query: (descriptor: Deno.PermissionDescriptor) => Deno.PermissionState,
): void {
  const wide = tooWide(rules, query);
  if (wide.length === 0) return;
  throw new AppError(
    "internal",
    `Cannot start: the process has more rights than it needs (${
      wide.join(", ")
    }); ` +
      "start it with the flags of its task in deno.json",
  );
}
