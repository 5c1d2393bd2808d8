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
 * Finds the permitted paths of a program.
 *
 * @param name The program's bare name.
 * @param path The `PATH` that the process started with.
 * @param query Asks Deno.
 * @returns The absolute paths in the order of `PATH`: one for a program that is installed and
 * permitted. More than one means that more was granted than a bare name.
 */
export function findPrograms(
  name: string,
  path: string,
  query: QueryRun,
): readonly string[] {
  const candidates = path.split(":").filter((folder) => folder.startsWith("/"))
    .map((folder) => `${folder.replace(/\/+$/, "")}/${name}`);
  return [...new Set(candidates)].filter((candidate) =>
    query(candidate) === "granted"
  );
}
