/**
 * Lines out of a stream of bytes, each of bounded length. An overlong line is told of once and then
 * passed over, so that one bad line costs neither memory nor the connection.
 *
 * @module
 */

/** A line, or the news that one was too long. */
export type Line =
  | { readonly kind: "line"; readonly bytes: Uint8Array }
  | { readonly kind: "too_long" };

const NEWLINE = 0x0a;

/** Cuts a stream into lines. */
export class LineSplitter {
  readonly #bytesMax: number;
  #parts: Uint8Array[] = [];
  #length = 0;
  #passing = false;

  /** @param bytesMax Most bytes of a line, without its end. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Takes bytes as they arrive.
   *
   * @param chunk The bytes.
   * @returns The lines that ended in them.
   */
  *push(chunk: Uint8Array): Generator<Line> {
    let start = 0;
    while (start < chunk.length) {
      const found = chunk.indexOf(NEWLINE, start);
      const end = found < 0 ? chunk.length : found;
      const tooLong = this.#take(chunk.subarray(start, end));
      if (tooLong) yield { kind: "too_long" };
      if (found >= 0) {
        const line = this.#end();
        if (line !== null) yield { kind: "line", bytes: line };
      }
      start = end + 1;
    }
  }

  /** Keeps a part of a line. Returns whether the line became too long by it. */
  #take(part: Uint8Array): boolean {
    if (this.#passing || part.length === 0) return false;
    this.#length += part.length;
    if (this.#length > this.#bytesMax) {
      this.#parts = [];
      this.#passing = true;
      return true;
    }
    this.#parts.push(part);
    return false;
  }

  #end(): Uint8Array | null {
    const parts = this.#parts;
    const length = this.#length;
    const passed = this.#passing;
    this.#parts = [];
    this.#length = 0;
    this.#passing = false;
    if (passed) return null;
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) return only;
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}
