/**
 * The key that seals the log: from the secret `audit.key`, or from a file. Where neither is there the
 * file is made, so that nobody runs without one.
 *
 * A key seals against whoever can write the log and cannot read the key. One that lies beside the
 * log keeps out honest mistakes and copies of the log, and nobody with the rights of the server.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** Fewest and most hex digits of a key: 32 to 128 bytes. */
export const DIGITS_MIN = 64;
export const DIGITS_MAX = 256;

/** Where the key comes from. */
export type KeyOrigin = "made" | "file" | "secret";

/** A key. */
export interface AuditKey {
  readonly bytes: Uint8Array;
  readonly origin: KeyOrigin;
  /** What an operator should know of where it lies. */
  readonly warnings: readonly string[];
}

/** Where to look for the key. */
export interface KeyOptions {
  /** The secret `audit.key`, or null. It comes before the file. */
  readonly secret: string | null;
  /** The file. */
  readonly file: string;
  /** The folder of the log. */
  readonly folder: string;
}

/** Reads the file of a key and, for a new log, makes it. */
export interface KeyFiles {
  /** @returns The text and the mode, or null if there is no such file. */
  read(path: string): Promise<{ text: string; mode: number | null } | null>;
  /** Makes a file that only its owner can read. */
  make(path: string, text: string): Promise<void>;
}

/**
 * Finds the key, for the commands that only read the log.
 *
 * @param options Where to look.
 * @param files The disk.
 * @returns The key, or null if there is none.
 * @throws {AppError} `invalid_arguments` if it is malformed or cannot be read.
 */
export async function findKey(
  options: KeyOptions,
  files: KeyFiles = KEY_FILES,
): Promise<AuditKey | null> {
  const { secret, file, folder } = options;
  if (secret !== null) {
    const bytes = parseKey(secret, "the secret audit.key");
    return { bytes, origin: "secret", warnings: [] };
  }
  const found = await readKey(file, files);
  if (found === null) return null;
  const bytes = parseKey(found.text, "the file of audit.key_file");
  const warnings = warningsOf(file, folder, found.mode);
  return { bytes, origin: "file", warnings };
}

/**
 * Finds the key, or makes it for a log that does not exist yet.
 *
 * @param options Where to look.
 * @param logExists Whether there is a log: a new key would not fit it.
 * @param files The disk.
 * @returns The key.
 * @throws {AppError} `invalid_arguments` if it is malformed or cannot be read, and if a log is there
 * without its key. Any other error is the disk's, which does not take the new key.
 */
export async function findOrMakeKey(
  options: KeyOptions,
  logExists: boolean,
  files: KeyFiles = KEY_FILES,
): Promise<AuditKey> {
  const found = await findKey(options, files);
  if (found !== null) return found;
  if (logExists) {
    throw new AppError(
      "invalid_arguments",
      "Cannot open the audit log: its key is missing; put the file of audit.key_file back, or " +
        "move the folder of the log aside to start a new one",
    );
  }
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  try {
    await files.make(options.file, `${bytes.toHex()}\n`);
  } catch (cause) {
    // Somebody may have put it there in this moment.
    const made = await findKey(options, files);
    if (made !== null) return made;
    throw cause;
  }
  const warnings = warningsOf(options.file, options.folder, null);
  return { bytes, origin: "made", warnings };
}

/** The real disk. It needs read and, for a new key, write permission for the path. */
export const KEY_FILES: KeyFiles = {
  async read(path) {
    try {
      const { isFile, size, mode } = await Deno.stat(path);
      // A device or a pipe could be waited for without end.
      if (!isFile || size > DIGITS_MAX + 2) return { text: "", mode };
      return { text: await Deno.readTextFile(path), mode };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  },
  async make(path, text) {
    // As a whole or not at all: half a key would fit nothing ever after.
    const options = { write: true, create: true, truncate: true, mode: 0o600 };
    {
      using file = await Deno.open(`${path}.new`, options);
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) {
        at += await file.write(bytes.subarray(at));
      }
      await file.sync();
    }
    await Deno.rename(`${path}.new`, path);
  },
};

async function readKey(
  path: string,
  files: KeyFiles,
): Promise<{ text: string; mode: number | null } | null> {
  try {
    return await files.read(path);
  } catch (cause) {
    const remedy = cause instanceof Deno.errors.NotCapable
      ? "put it below config or state, or set audit.key"
      : "give the server's user the right to read it";
    throw new AppError(
      "invalid_arguments",
      `Cannot read the key of the audit log: the file of audit.key_file cannot be read; ${remedy}`,
      { detail: String(cause), cause },
    );
  }
}

/**
 * Reads a key as its file or a secret holds it.
 *
 * @param text The text.
 * @returns The key, or null if that is none.
 */
export function parseHexKey(text: string): Uint8Array | null {
  const digits = text.trim();
  const sound = /^(?:[0-9a-f]{2})+$/i.test(digits) &&
    digits.length >= DIGITS_MIN && digits.length <= DIGITS_MAX;
  return sound ? Uint8Array.fromHex(digits) : null;
}

/** The text of a bad key is in no message, nor is its length. */
function parseKey(text: string, what: string): Uint8Array {
  const key = parseHexKey(text);
  if (key !== null) return key;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the key of the audit log: ${what} has to hold ${DIGITS_MIN} to ${DIGITS_MAX} ` +
      "hex digits; openssl rand -hex 32 makes them",
  );
}

function warningsOf(
  file: string,
  folder: string,
  mode: number | null,
): readonly string[] {
  const warnings: string[] = [];
  const parent = folder.slice(0, folder.lastIndexOf("/") + 1);
  if (parent === "" ? !file.includes("/") : file.startsWith(parent)) {
    warnings.push(
      "the key of the audit log lies beside the log: whoever can write the state folder can seal " +
        "lines of their own; set audit.key, or audit.key_file to a place that only the server reads",
    );
  }
  if (mode !== null && (mode & 0o077) !== 0) {
    warnings.push(
      "the key of the audit log can be read by others than its owner: chmod 600 the file",
    );
  }
  return warnings;
}
