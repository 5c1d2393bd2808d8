/**
 * What a configuration file is read into: values that know where they stand. No object of a file's
 * own keys is ever made, so a key such as `__proto__` is a text like any other.
 *
 * @module
 */

/** Largest configuration file, in bytes. */
export const FILE_BYTES_MAX = 262_144;

/** Deepest nesting of a file. The configuration needs three levels. */
export const FILE_DEPTH_MAX = 50;

/** A value of a file. `offset` counts UTF-16 code units. */
export type Node =
  | { readonly kind: "map"; readonly offset: number; readonly entries: Entry[] }
  | { readonly kind: "list"; readonly offset: number; readonly items: Node[] }
  | {
    readonly kind: "scalar";
    readonly offset: number;
    readonly value: string | number | boolean | null;
  };

/** A key of a map with its value. A key may occur twice: the resolver refuses that. */
export interface Entry {
  /** Null if the key is no scalar. */
  readonly key: string | null;
  readonly offset: number;
  readonly value: Node;
}

/** A text that is no tree, and where it stops being one. */
export class Misread extends Error {
  override readonly name = "Misread";
  /** Where, in UTF-16 code units. */
  readonly offset: number;

  /**
   * @param message What is wrong.
   * @param offset Where.
   */
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Finds the line and the column of an offset; made once a text, since many offsets may be asked for. */
export class Lines {
  /** Where each line begins. */
  readonly #starts: readonly number[];

  /** @param text The whole text. */
  constructor(text: string) {
    const ends = text.matchAll(/\r\n|\r|\n/g);
    this.#starts = [
      0,
      ...Array.from(ends, (end) => end.index + end[0].length),
    ];
  }

  /**
   * Gives the line and the column of an offset, both counted from one.
   *
   * @param offset UTF-16 code units from the start.
   * @returns `line:column`.
   */
  at(offset: number): string {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return `${low + 1}:${offset - (this.#starts[low] ?? 0) + 1}`;
  }
}
