/**
 * Reads a folder of policies from the file system. Read permission on the folder is all it needs.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { readConfigFile } from "@/config/boot.ts";
import type { FolderReader } from "./load.ts";

/** Most entries of a folder that are looked at. */
const ENTRIES_MAX = 10_000;

/** The file system. */
export const FOLDER: FolderReader = { readDir, readText };

async function readDir(folder: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (!isDirectory) names.push(name);
      if (names.length > ENTRIES_MAX) {
        throw refuse(
          `it has more than ${ENTRIES_MAX} files; use one of its own`,
        );
      }
    }
  } catch (thrown) {
    throw refusalOf(thrown, "it");
  }
  return names;
}

async function readText(folder: string, name: string): Promise<string> {
  const naming = { what: `"${name}"`, remedy: "correct it or take it away" };
  try {
    return await readConfigFile(`${folder}/${name}`, naming);
  } catch (thrown) {
    throw refusalOf(thrown, `"${name}"`);
  }
}

function refusalOf(thrown: unknown, what: string): unknown {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof Deno.errors.NotFound) {
    return refuse(
      `${what} is not there; policy.folder has to name a folder with policies and their schema, such as config/policies`,
      thrown,
    );
  }
  if (
    thrown instanceof Deno.errors.NotCapable ||
    thrown instanceof Deno.errors.PermissionDenied
  ) {
    return refuse(
      `this program may not read ${what}; put it below config/ and make it readable`,
      thrown,
    );
  }
  if (thrown instanceof Deno.errors.NotADirectory) {
    return refuse(`${what} is no folder; name the folder of the files`, thrown);
  }
  return refuse(`${what} cannot be read`, thrown);
}

function refuse(why: string, cause?: unknown): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot read the folder of the policies: ${why}`,
    cause instanceof Error ? { detail: cause.message, cause } : {},
  );
}
