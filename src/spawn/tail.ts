/**
 * The end of a stream: what is kept of it for a log or a judgement.
 *
 * @module
 */

/** The last bytes of a stream. */
export class Tail {
  readonly #bytesMax: number;
  #bytes = new Uint8Array(0);

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  add(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.#bytes.byteLength + bytes.byteLength);
    joined.set(this.#bytes);
    joined.set(bytes, this.#bytes.byteLength);
    this.#bytes = joined.slice(-this.#bytesMax);
  }

  text(): string {
    return new TextDecoder().decode(this.#bytes);
  }
}
