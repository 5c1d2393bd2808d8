/**
 * Texts as both databases take them, and refusals of those that name something.
 *
 * PostgreSQL refuses U+0000 in a text and half a surrogate pair; SQLite stores the first and gives
 * back what stands before it. So neither reaches a column: where a text is only shown it gets a
 * visible sign in the place of either, and where it names something (a tag, an engagement, a key)
 * it is refused. JSON needs no such care, as it is written with escapes.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** Longest name of a tag, an engagement, a client or an idempotency key, in UTF-16 code units. */
export const LABEL_LENGTH_MAX = 200;

/** Most tags of a scan. */
export const TAGS_MAX = 16;

/**
 * Makes a text storable.
 *
 * @param text Any text.
 * @param lengthMax Most UTF-16 code units.
 * @returns The text, U+0000 shown as U+2400.
 */
export function storable(text: string, lengthMax: number): string {
  const short = text.length > lengthMax ? text.slice(0, lengthMax) : text;
  return short.replaceAll("\u0000", "\u2400").toWellFormed();
}

/**
 * Makes the key by which a text is compared without regard to its case.
 *
 * @param text Any text.
 * @returns At most 200 characters, in lower case.
 */
export function foldedKey(text: string): string {
  return storable(text.toLowerCase().normalize("NFC"), LABEL_LENGTH_MAX);
}

/**
 * Checks a text that names something.
 *
 * @param text The name.
 * @param what What it names, for the message.
 * @param lengthMax Most UTF-16 code units.
 * @returns The same text.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseLabel(
  text: string,
  what: string,
  lengthMax: number = LABEL_LENGTH_MAX,
): string {
  // deno-lint-ignore no-control-regex
  const bad = /[\u0000-\u001f\u007f]/.test(text) || !text.isWellFormed();
  if (text !== "" && text.length <= lengthMax && !bad) return text;
  throw new AppError(
    "invalid_arguments",
    `Cannot use that ${what}: it has ${
      bad
        ? "control characters or half characters"
        : `${text.length} characters`
    }; use 1 to ${lengthMax} printable ones`,
  );
}

/**
 * Checks the tags of a scan.
 *
 * @param tags The tags.
 * @returns Each once, sorted.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseTags(tags: readonly string[]): readonly string[] {
  if (tags.length > TAGS_MAX) {
    throw new AppError(
      "invalid_arguments",
      `Cannot use ${tags.length} tags: at most ${TAGS_MAX} are kept with a scan`,
    );
  }
  return [...new Set(tags.map((tag) => parseLabel(tag, "tag")))].sort();
}

/**
 * Checks a number that something is filtered by: PostgreSQL takes whole ones only.
 *
 * @param value The number.
 * @param what What it is, for the message.
 * @returns The same number.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseWhole(value: number, what: string): number {
  if (Number.isSafeInteger(value)) return value;
  throw new AppError(
    "invalid_arguments",
    `Cannot filter by that ${what}: it is no whole number`,
  );
}
