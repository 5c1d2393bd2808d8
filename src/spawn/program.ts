/**
 * Finds the one path by which a program may be run.
 *
 * `--allow-run=nmap` names a program; Deno turned it into an absolute path through `PATH` when the
 * process started. Asking for the permission of each candidate finds that path again without any
 * right to read the file system.
 *
 * @module
 */

/** Asks Deno for the state of a run permission. */
export type QueryRun = (command: string) => Deno.PermissionState;

/**
 * Finds the permitted path of a program.
 *
 * @param name The program's bare name.
 * @param path The `PATH` that the process started with.
 * @param query Asks Deno.
 * @returns The absolute path, or null if the program is not installed or not permitted.
 */
export function findProgram(
  name: string,
  path: string,
  query: QueryRun,
): string | null {
  for (const folder of path.split(":")) {
    if (!folder.startsWith("/")) continue;
    const candidate = `${folder.replace(/\/+$/, "")}/${name}`;
    if (query(candidate) === "granted") return candidate;
  }
  return null;
}
