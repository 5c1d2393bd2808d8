/**
 * How an API key is written: `smk_ID_SECRET`, with a checksum as its last six characters.
 *
 * The prefix and the checksum let scanners of repositories and logs know a key by its looks, and tell
 * a cut or mistyped one from a wrong one without a look-up. The checksum is no secret and proves
 * nothing: anybody can make a text that has it right.
 *
 * @module
 */

/** What every key begins with. */
export const KEY_PREFIX = "smk_";

/** Length of every key. */
export const KEY_LENGTH = 70;

/** Crockford's base 32, as in the ids of scans: no letter that could be taken for a digit. */
const ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";
const ID_LENGTH = 16;
const ID = /^[0-9a-hjkmnp-tv-z]{16}$/;

/** Letters and digits alone, so that a double click takes the whole key. */
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_BYTES = 32;
const SECRET_LENGTH = 43;
const CHECKSUM_LENGTH = 6;

const KEY = /^smk_([0-9a-hjkmnp-tv-z]{16})_[0-9A-Za-z]{49}$/;

/** Fills an array with random bytes. */
export type Random = (bytes: Uint8Array<ArrayBuffer>) => void;

/**
 * Makes the id of a new key: 80 random bits.
 *
 * @param random Randomness.
 * @returns 16 characters.
 */
export function newKeyId(random: Random): string {
  const bytes = new Uint8Array(ID_LENGTH);
  random(bytes);
  return [...bytes].map((byte) => ID_DIGITS.charAt(byte % 32)).join("");
}

/**
 * Tells whether a text has the form of a key's id.
 *
 * @param text The text.
 * @returns Whether it has.
 */
export function isKeyId(text: string): boolean {
  return ID.test(text);
}

/**
 * Makes a key with a new secret of 256 random bits.
 *
 * @param id The key's id.
 * @param random Randomness.
 * @returns The key as its holder sends it.
 * @throws {RangeError} If the id is none.
 */
export function newKeyText(id: string, random: Random): string {
  if (!isKeyId(id)) throw new RangeError("Cannot make a key: its id is none");
  const bytes = new Uint8Array(SECRET_BYTES);
  random(bytes);
  const secret = base62(BigInt(`0x${bytes.toHex()}`), SECRET_LENGTH);
  const body = `${KEY_PREFIX}${id}_${secret}`;
  return body + checksum(body);
}

/**
 * Reads a key.
 *
 * @param text What a caller sent.
 * @returns The key's id, or null if the text is no whole key.
 */
export function parseKeyText(text: string): string | null {
  if (text.length !== KEY_LENGTH) return null;
  const id = KEY.exec(text)?.[1];
  if (id === undefined) return null;
  const body = text.slice(0, -CHECKSUM_LENGTH);
  return text.endsWith(checksum(body)) ? id : null;
}

function checksum(body: string): string {
  return base62(BigInt(crc32(body)), CHECKSUM_LENGTH);
}

function base62(value: bigint, length: number): string {
  let text = "";
  for (let rest = value; text.length < length; rest /= 62n) {
    text = DIGITS.charAt(Number(rest % 62n)) + text;
  }
  return text;
}

/** CRC-32 (ISO-HDLC) of ASCII text. 64 characters need no table. */
function crc32(text: string): number {
  let sum = 0xffffffff;
  for (let at = 0; at < text.length; at++) {
    sum ^= text.charCodeAt(at);
    for (let bit = 0; bit < 8; bit++) {
      sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
  }
  return (sum ^ 0xffffffff) >>> 0;
}
