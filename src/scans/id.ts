/**
 * Makes scan ids: they sort by time, cannot be guessed, and are easy to read out.
 *
 * @module
 */

/** Crockford's base 32: no letter that could be taken for a digit. */
const DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;

/** The time of the first digits stays below 2^48 for another eight thousand years. */
const ID = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/**
 * Makes a new id: ten characters of time, sixteen of randomness.
 *
 * @param nowMs Milliseconds since the epoch.
 * @param random Fills an array with random bytes.
 * @returns The id, 26 characters.
 */
export function newScanId(
  nowMs: number,
  random: (bytes: Uint8Array) => void,
): string {
  let time = "";
  let rest = nowMs;
  while (time.length < TIME_LENGTH) {
    time = DIGITS.charAt(rest % 32) + time;
    rest = Math.floor(rest / 32);
  }
  const bytes = new Uint8Array(RANDOM_LENGTH);
  random(bytes);
  let id = time;
  for (const byte of bytes) id += DIGITS.charAt(byte % 32);
  return id;
}

/**
 * Tells whether a text has the form of an id.
 *
 * @param text Untrusted text.
 * @returns Whether {@linkcode newScanId} could have made it.
 */
export function isScanId(text: string): boolean {
  return ID.test(text);
}
