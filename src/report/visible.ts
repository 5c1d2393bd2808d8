/**
 * Makes a text safe to look at. What scanned hosts said was cleaned on its way into a report; a
 * report file outlives the server that wrote it, so it does not rely on that: whatever has no visible
 * form is written as its number, and long texts are cut with a word about it.
 *
 * @module
 */

/** Longest text of a table's cell, and of a block. */
export const CELL_LENGTH_MAX = 400;
export const BLOCK_LENGTH_MAX = 8_192;

const PLAIN = /^[\x20-\x7e]*$/;

/** Controls, format characters (bidirectional, zero-width, tags), private use, lone surrogates. */
const UNSEEN =
  /(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;

/** Options of {@linkcode visible}. */
export interface VisibleOptions {
  /** Most characters. @default {CELL_LENGTH_MAX} */
  readonly lengthMax?: number;
  /** Whether line ends stay. @default {false} */
  readonly keepLines?: boolean;
}

/**
 * Makes a text safe to look at.
 *
 * @param text The text.
 * @param options How long it may be, and whether it keeps its lines.
 * @returns The text, cut and without anything that cannot be seen.
 */
export function visible(text: string, options: VisibleOptions = {}): string {
  const { lengthMax = CELL_LENGTH_MAX, keepLines = false } = options;
  if (text.length <= lengthMax && PLAIN.test(text)) return text;
  const cut = text.length > lengthMax ? headOf(text, lengthMax) : text;
  const lines = keepLines
    ? cut.replace(/\r\n?/g, "\n")
    : cut.replace(/[\r\n]+/g, " ");
  const seen = lines.replaceAll("\t", "  ").replace(
    UNSEEN,
    (letter) => `<U+${codeOf(letter)}>`,
  );
  return cut.length === text.length
    ? seen
    : `${seen}… [${text.length - cut.length} more characters]`;
}

function headOf(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  // Half a pair is no character.
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}

function codeOf(letter: string): string {
  return (letter.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(
    4,
    "0",
  );
}
