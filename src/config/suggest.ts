/**
 * Finds the word that somebody probably meant.
 *
 * @module
 */

/** Longest word that is compared. */
const LENGTH_MAX = 64;

/**
 * Finds the nearest of some words, if one is near.
 *
 * @param word What was written.
 * @param words What can be written.
 * @returns The nearest one, or null.
 */
export function nearest(
  word: string,
  words: readonly string[],
): string | null {
  if (word.length > LENGTH_MAX) return null;
  let best: string | null = null;
  // Of a short word, fewer letters may be wrong before it is another word.
  let reach = Math.min(3, Math.floor(word.length / 3) + 1);
  for (const candidate of words) {
    const found = distance(word.toLowerCase(), candidate);
    if (found < reach || (found === reach && best === null)) {
      best = candidate;
      reach = found;
    }
  }
  return best;
}

/** How many letters have to be put in, taken out, changed or swapped with the next. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Infinity;
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] &&
          a[i - 2] === b[j - 1]
        ? at(i - 2, j - 2) + 1
        : Infinity;
      row.push(Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + cost,
        swapped,
      ));
    }
  }
  return at(a.length, b.length);
}
