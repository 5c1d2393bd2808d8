/**
 * Reads the configuration when a server starts: the file that `MCP_CONFIG_FILE` names, or none. No
 * file is read that nobody named; `config/default.yaml` is the documented copy of the defaults and
 * not a source.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { type LoadedConfig, resolveConfig } from "./resolve.ts";
import { FILE_VARIABLE } from "./schema.ts";
import { FILE_BYTES_MAX } from "./tree.ts";

/** How a refusal names a file that cannot be read, and what to do about it. */
interface Naming {
  readonly what: string;
  readonly remedy: string;
}

const BY_VARIABLE: Naming = {
  what: `the file that ${FILE_VARIABLE} names`,
  remedy: "correct it or unset the variable",
};

/** Reads a whole text file. */
export type ReadTextFile = (path: string) => Promise<string>;

/**
 * Reads the configuration.
 *
 * @param env The environment.
 * @param readTextFile Reads the file, if one is named.
 * @returns The configuration.
 * @throws {AppError} `invalid_arguments` if the file cannot be read or is refused.
 */
export async function readConfig(
  env: Readonly<Record<string, string>>,
  readTextFile: ReadTextFile = readConfigFile,
): Promise<LoadedConfig> {
  const name = configFileOf(env);
  if (name === null) return resolveConfig({ file: null, env });
  const text = await readNamed(name, readTextFile, BY_VARIABLE);
  const { loadConfig } = await import("./load.ts");
  return loadConfig({ file: { name, text }, env });
}

/**
 * Names the configuration file.
 *
 * @param env The environment.
 * @returns Its path, or null if none is named.
 */
export function configFileOf(
  env: Readonly<Record<string, string>>,
): string | null {
  const name = Object.hasOwn(env, FILE_VARIABLE) ? env[FILE_VARIABLE] : "";
  return name === undefined || name === "" ? null : name;
}

/**
 * Reads a file that a person asks to be checked.
 *
 * @param name The file.
 * @returns Its text.
 * @throws {AppError} `invalid_arguments` if it cannot be read.
 */
export function readFileToCheck(name: string): Promise<string> {
  const naming = {
    what: `"${name}"`,
    remedy: "name a YAML or JSON file below the working directory",
  };
  return readNamed(name, (path) => readConfigFile(path, naming), naming);
}

/**
 * Reads a regular UTF-8 file of at most {@linkcode FILE_BYTES_MAX} bytes. A device or a pipe is
 * refused before it is opened: reading one could wait for ever.
 *
 * @param path The file.
 * @param naming How a refusal names it.
 * @returns Its text.
 * @throws {AppError} `invalid_arguments` if it is too large, no file, or not UTF-8.
 */
export async function readConfigFile(
  path: string,
  naming: Naming = BY_VARIABLE,
): Promise<string> {
  const tooLarge = `it has more than ${FILE_BYTES_MAX} bytes`;
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw unreadable(naming, "it is no regular file");
  if (size > FILE_BYTES_MAX) throw unreadable(naming, tooLarge);
  using file = await Deno.open(path, { read: true });
  // One byte more than allowed, so that a file that grew meanwhile is noticed.
  const buffer = new Uint8Array(FILE_BYTES_MAX + 1);
  let length = 0;
  while (length < buffer.length) {
    const read = await file.read(buffer.subarray(length));
    if (read === null) break;
    length += read;
  }
  if (length > FILE_BYTES_MAX) throw unreadable(naming, tooLarge);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
      .decode(buffer.subarray(0, length));
  } catch (cause) {
    throw unreadable(naming, "it is not UTF-8", cause);
  }
}

async function readNamed(
  name: string,
  readTextFile: ReadTextFile,
  naming: Naming,
): Promise<string> {
  try {
    return await readTextFile(name);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    if (cause instanceof Deno.errors.NotFound) {
      throw unreadable(naming, "there is no such file", cause);
    }
    if (
      cause instanceof Deno.errors.NotCapable ||
      cause instanceof Deno.errors.PermissionDenied
    ) throw unreadable(naming, "this program may not read it", cause);
    throw unreadable(naming, "it cannot be read", cause);
  }
}

function unreadable(
  { what, remedy }: Naming,
  why: string,
  cause?: unknown,
): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot read ${what}: ${why}; ${remedy}`,
    cause instanceof Error ? { detail: cause.message, cause } : {},
  );
}
