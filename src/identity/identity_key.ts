/**
 * The identity key, under which API keys are stored. It is made at the first start and never
 * replaced: no API key can be checked without the one that it was stored under.
 *
 * The disk and the form are those of the audit log's key. It is made in another way: the server and
 * `keys create` may both start for the first time at one moment, and two keys would make every API key
 * of the one useless to the other. So the file appears as a whole and once, and both read it back.
 *
 * @module
 */
import {
  DIGITS_MAX,
  DIGITS_MIN,
  KEY_FILES,
  type KeyFiles,
  parseHexKey,
} from "@/audit/key.ts";
import { AppError } from "@/error/app_error.ts";

/** The identity key. */
export interface IdentityKey {
  readonly bytes: Uint8Array;
  readonly made: boolean;
  /** What an operator should know of where it lies. */
  readonly warnings: readonly string[];
}

/** What the settings say of it. */
export interface IdentityKeySettings {
  readonly state: { readonly folder: string };
  readonly identity: { readonly key_file: string | null };
}

/**
 * Finds the identity key, or makes it where no API key needs an older one.
 *
 * @param settings Where it lies.
 * @param keysExist Whether API keys are stored.
 * @param files The disk.
 * @returns The key.
 * @throws {AppError} `invalid_arguments` if it is malformed, cannot be read or made, or is missing while API
 * keys are stored under it.
 */
export async function findOrMakeIdentityKey(
  settings: IdentityKeySettings,
  keysExist: () => Promise<boolean>,
  files: KeyFiles = IDENTITY_KEY_FILES,
): Promise<IdentityKey> {
  const file = settings.identity.key_file ??
    `${settings.state.folder}/identity.key`;
  const found = await find(file, files);
  if (found !== null) return { ...found, made: false };
  if (await keysExist()) {
    throw new AppError(
      "invalid_arguments",
      "Cannot check API keys: the file of identity.key_file is missing, and API keys are stored " +
        "under it; put the file back (with a shared database, copy it from the other host), or revoke " +
        "them with deno task keys revoke and make new ones",
    );
  }
  const bytes = crypto.getRandomValues(new Uint8Array(DIGITS_MIN / 2));
  let fault: unknown = null;
  try {
    await files.make(file, `${bytes.toHex()}\n`);
  } catch (cause) {
    // Somebody may have put one there in this moment: then it is the one that holds.
    fault = cause;
  }
  const kept = await find(file, files);
  if (kept === null) {
    throw new AppError(
      "invalid_arguments",
      "Cannot make the identity key: its file cannot be written; let the server write its state " +
        "folder, or put 64 hex digits (openssl rand -hex 32) into the file of identity.key_file",
      { detail: String(fault), cause: fault },
    );
  }
  return { ...kept, made: fault === null };
}

/** The real disk. It needs read and, for a new key, write permission for the file's folder. */
export const IDENTITY_KEY_FILES: KeyFiles = {
  read: KEY_FILES.read,
  async make(path, text) {
    const mark = crypto.getRandomValues(new Uint8Array(8)).toHex();
    const draft = `${path}.${mark}`;
    try {
      {
        using file = await Deno.open(draft, {
          write: true,
          createNew: true,
          mode: 0o600,
        });
        const bytes = new TextEncoder().encode(text);
        for (let at = 0; at < bytes.length;) {
          at += await file.write(bytes.subarray(at));
        }
        await file.sync();
      }
      // Unlike a rename, a link never replaces what is there.
      await Deno.link(draft, path);
    } finally {
      await Deno.remove(draft).catch(() => {
        // A disk that takes no file has none to remove; the fault is on its way.
      });
    }
  },
};

async function find(
  file: string,
  files: KeyFiles,
): Promise<Omit<IdentityKey, "made"> | null> {
  const found = await read(file, files);
  if (found === null) return null;
  const readable = found.mode !== null && (found.mode & 0o077) !== 0;
  const warnings = readable
    ? [
      "the identity key can be read by others than its owner: chmod 600 the file",
    ]
    : [];
  return { bytes: parse(found.text), warnings };
}

async function read(
  file: string,
  files: KeyFiles,
): Promise<{ text: string; mode: number | null } | null> {
  try {
    return await files.read(file);
  } catch (cause) {
    const remedy = cause instanceof Deno.errors.NotCapable
      ? "put it below config or state"
      : "give the server's user the right to read it";
    throw new AppError(
      "invalid_arguments",
      `Cannot read the identity key: the file of identity.key_file cannot be read; ${remedy}`,
      { detail: String(cause), cause },
    );
  }
}

/** The text of a bad key is in no message, nor is its length. */
function parse(text: string): Uint8Array {
  const key = parseHexKey(text);
  if (key !== null) return key;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the identity key: the file of identity.key_file has to hold ${DIGITS_MIN} to ` +
      `${DIGITS_MAX} hex digits; put the right file back, or, if no API key is stored yet, ` +
      "openssl rand -hex 32 makes one",
  );
}
