/**
 * Cuts what a scanner prints into lines, in bounded memory whatever arrives.
 *
 * A line that never ends costs no more than its cap: what goes beyond is dropped, and the line is
 * handed on as one that was cut. Bytes that are no UTF-8 become U+FFFD; nothing is thrown.
 *
 * @module
 */

const LF = 0x0a;
const CR = 0x0d;

/** Takes a line without its end. `cut` says that it was longer. */
export type TakeLine = (line: string, cut: boolean) => void;

/** Options of {@linkcode Lines}. */
export interface LinesOptions {
  /** Most bytes of a line. */
  readonly bytesMax: number;
  /**
   * Whether a carriage return ends a line too, for progress that overwrites itself.
   *
   * @default {false}
   */
  readonly carriageReturn?: boolean;
}

/** Cuts bytes into lines. */
export class Lines {
  readonly #take: TakeLine;
  readonly #carriageReturn: boolean;
  readonly #decoder = new TextDecoder();
  readonly #line: Uint8Array;
  #length = 0;
  #cut = false;

  /**
   * @param take Takes each line.
   * @param options The cap, and what ends a line.
   */
  constructor(take: TakeLine, options: LinesOptions) {
    this.#take = take;
    this.#line = new Uint8Array(options.bytesMax);
    this.#carriageReturn = options.carriageReturn ?? false;
  }

  /**
   * Takes bytes.
   *
   * @param bytes Any bytes.
   */
  write(bytes: Uint8Array): void {
    let start = 0;
    for (;;) {
      const end = this.#endIn(bytes, start);
      this.#keep(bytes.subarray(start, end === -1 ? bytes.length : end));
      if (end === -1) return;
      this.end();
      start = end + 1;
    }
  }

  /** Hands on a line that has no end, if there is one. */
  end(): void {
    if (this.#length > 0) {
      const text = this.#decoder.decode(this.#line.subarray(0, this.#length));
      const cut = this.#cut;
      this.#length = 0;
      this.#cut = false;
      this.#take(text, cut);
    }
  }

  #keep(bytes: Uint8Array): void {
    const room = this.#line.length - this.#length;
    const kept = bytes.length > room ? bytes.subarray(0, room) : bytes;
    this.#line.set(kept, this.#length);
    this.#length += kept.length;
    if (kept.length < bytes.length) this.#cut = true;
  }

  #endIn(bytes: Uint8Array, start: number): number {
    const lineFeed = bytes.indexOf(LF, start);
    if (!this.#carriageReturn) return lineFeed;
    const before = lineFeed === -1 ? bytes : bytes.subarray(0, lineFeed);
    const carriageReturn = before.indexOf(CR, start);
    return carriageReturn === -1 ? lineFeed : carriageReturn;
  }
}
