/**
 * The names of the log's files: numbered, so that a missing one is missed.
 *
 * @module
 */

const FORM = /^audit-(\d{6,15})\.jsonl$/;

/** Ending of a side file that no entry tells of yet. */
export const UNTOLD = ".untold";

/**
 * Names a file of the log.
 *
 * @param number Its number, from 1.
 * @returns Its name.
 */
export function fileName(number: number): string {
  return `audit-${String(number).padStart(6, "0")}.jsonl`;
}

/**
 * Gives the number of a file.
 *
 * @param name A name.
 * @returns The number, or null if that is no file of the log.
 */
export function fileNumber(name: string): number | null {
  const [, digits] = FORM.exec(name) ?? [];
  if (digits === undefined) return null;
  const number = Number(digits);
  return number > 0 && fileName(number) === name ? number : null;
}

/**
 * Finds the files of a log.
 *
 * @param names The names in its folder.
 * @returns Their numbers in order.
 */
export function fileNumbers(names: readonly string[]): readonly number[] {
  return names.flatMap((name) => fileNumber(name) ?? []).sort((a, b) => a - b);
}

/**
 * Names the file that keeps what a torn write left.
 *
 * @param number The file that it was cut from.
 * @param at Where.
 * @param hash The hash of what was cut off.
 * @returns The name; {@linkcode UNTOLD} follows until an entry tells of it.
 */
export function tornName(number: number, at: number, hash: string): string {
  const file = String(number).padStart(6, "0");
  return `torn-${file}-${at}-${hash.slice(0, 8)}.bin`;
}
