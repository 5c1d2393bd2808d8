/**
 * Remembers texts in which no secret was found: the names of tools and rules, the words of a refusal.
 * They come again with every call, and a search of one costs more than most of what else a refusal takes.
 * A text that held something is never remembered, so no secret stays here.
 *
 * @module
 */

/** Most texts that are remembered, and the longest of them. */
const TEXTS_MAX = 1_024;
const LENGTH_MAX = 512;

/** Ids and hashes: no two are the same, and no secret that is searched for is made of these alone. */
const HEX = /^[0-9a-f]{0,64}$/;

/** Texts in which a search found nothing. Each search has its own. */
export class CleanTexts {
  readonly #texts = new Set<string>();

  /**
   * Tells whether a text need not be searched.
   *
   * @param text The text.
   * @returns Whether it is known to hold nothing.
   */
  has(text: string): boolean {
    return text.length <= LENGTH_MAX &&
      (this.#texts.has(text) || HEX.test(text));
  }

  /**
   * Remembers a text, unless it is too long.
   *
   * @param text A text that was searched as a whole, and in which nothing was found.
   */
  add(text: string): void {
    if (text.length > LENGTH_MAX) return;
    if (this.#texts.size >= TEXTS_MAX) this.#texts.clear();
    this.#texts.add(text);
  }
}
