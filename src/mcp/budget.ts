/**
 * How much of an answer a model can take, in tokens, and the cut.
 *
 * A model's tokenizer is not at hand, so this estimates, and errs on the high side. Characters
 * divided by a constant will not do here: prose has four characters a token and more, but an address
 * such as `10.0.0.123` is seven tokens of ten characters. So runs of letters, runs of digits and
 * punctuation are counted apart, as the usual byte-pair tokenizers split them.
 *
 * @module
 */

/** Letters of one token: the average of English is above four, of code and names below. */
const LETTERS_PER_TOKEN = 4;

/** Digits of one token in the usual tokenizers. */
const DIGITS_PER_TOKEN = 3;

/** Marks of one token: `","` and `"},{"` are tokens of their own where JSON was seen. */
const MARKS_PER_TOKEN = 3;

const BLANK = 0;
const LETTER = 1;
const DIGIT = 2;
const MARK = 3;

/** How many characters of each kind make a token. Numbers and a table: every answer is priced. */
const PER_TOKEN = [
  1,
  LETTERS_PER_TOKEN,
  DIGITS_PER_TOKEN,
  MARKS_PER_TOKEN,
] as const;

/** The kind of each character of ASCII. */
const KINDS = Uint8Array.from({ length: 0x7f }, (_, unit) => {
  if (unit <= 0x20) return BLANK;
  const character = String.fromCharCode(unit);
  if (/[0-9]/.test(character)) return DIGIT;
  return /[A-Za-z]/.test(character) ? LETTER : MARK;
});

/**
 * Estimates the tokens of a text.
 *
 * @param text The text.
 * @returns The estimate, on the high side.
 */
export function tokensOf(text: string): number {
  let tokens = 0;
  let kind = BLANK;
  let run = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit > 0x7e || unit === 0x0a) {
      // A line end is a token, and so is a character outside ASCII, or more: half a pair counts
      // as one, so that a pair counts as two.
      tokens += costOf(kind, run) + 1;
      kind = BLANK;
      run = 0;
      continue;
    }
    const now = KINDS[unit] ?? MARK;
    if (now === kind) run++;
    else {
      tokens += costOf(kind, run);
      kind = now;
      run = 1;
    }
  }
  return tokens + costOf(kind, run);
}

/**
 * Estimates the tokens of a value as JSON.
 *
 * @param value A value that JSON can say.
 * @returns The estimate.
 */
export function jsonTokensOf(value: unknown): number {
  return tokensOf(JSON.stringify(value) ?? "");
}

/** A part of a list that fits. */
export interface Fit<T> {
  readonly items: readonly T[];
  /** Index of the first item that did not fit; the list's length when all did. */
  readonly end: number;
}

/**
 * Takes whole items from a list while they fit.
 *
 * @param items The list.
 * @param start Index of the first item.
 * @param budget Tokens at hand.
 * @param costOf Tokens of an item.
 * @returns The items that fit; none when the first is too large.
 */
export function takeWhole<T>(
  items: readonly T[],
  start: number,
  budget: number,
  costOf: (item: T) => number,
): Fit<T> {
  let left = budget;
  let end = start;
  for (; end < items.length; end++) {
    left -= costOf(items[end] as T);
    if (left < 0) break;
  }
  return { items: items.slice(start, end), end };
}

/**
 * Shortens a text to whole characters.
 *
 * @param text The text.
 * @param lengthMax Most UTF-16 code units of the result.
 * @returns The text, with `…` at its end if it was cut.
 */
export function shorten(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const cut = text.slice(0, lengthMax - 1);
  return `${/[\ud800-\udbff]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

function costOf(kind: number, run: number): number {
  // One blank goes with the word behind it.
  if (kind === BLANK) return run > 1 ? 1 : 0;
  return Math.ceil(run / (PER_TOKEN[kind] ?? 1));
}
