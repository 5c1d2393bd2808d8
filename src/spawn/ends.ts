/**
 * Both ends of a stream: what a program complains of stands first, where a crash dump follows it, or
 * last.
 *
 * @module
 */
import { Tail } from "./tail.ts";

/** The first and the last bytes of a stream. */
export class Ends {
  readonly #head: Uint8Array;
  readonly #tail: Tail;
  #headBytes = 0;

  /** @param bytesMax Most bytes that are kept of each end. */
  constructor(bytesMax: number) {
    this.#head = new Uint8Array(bytesMax);
    this.#tail = new Tail(bytesMax);
  }

  add(bytes: Uint8Array): void {
    const first = bytes.subarray(0, this.#head.byteLength - this.#headBytes);
    this.#head.set(first, this.#headBytes);
    this.#headBytes += first.byteLength;
    const rest = bytes.subarray(first.byteLength);
    if (rest.byteLength > 0) this.#tail.add(rest);
  }

  /** The two ends; what was between them is left out without a mark. */
  text(): string {
    const head = this.#head.subarray(0, this.#headBytes);
    return new TextDecoder().decode(head) + this.#tail.text();
  }
}
