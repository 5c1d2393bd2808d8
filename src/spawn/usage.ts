/**
 * What a launcher says last: how much processor time a child and all that it started took, as the kernel
 * counted it (`sandbox/supervise`). Deno does not tell it.
 *
 * The scanner writes to the same stream, and may write such records too. So only the very last bytes
 * count: the launcher writes its own when nothing is left that could write after it, and ends by a signal
 * where it could not. What may be the record is held back until then; it is nobody else's to read.
 *
 * @module
 */

/** The record; each zero stands for any digit. */
const RECORD = new TextEncoder().encode("sandbox: cpu_us=0000000000000000\n");

/** Where its digits are. */
const DIGITS = [16, 32] as const;

const [ZERO, NINE] = [48, 57] as const;

/** Takes the record off the end of a stream. */
export class Usage {
  readonly #take: (bytes: Uint8Array) => void;
  #held = new Uint8Array(0);

  /** @param take Takes the stream as it comes, without the record. */
  constructor(take: (bytes: Uint8Array) => void) {
    this.#take = take;
  }

  /** @param bytes The next of the stream. */
  add(bytes: Uint8Array): void {
    const all = this.#held.byteLength === 0 ? bytes : joined(this.#held, bytes);
    const free = all.byteLength - heldBytes(all);
    this.#held = all.slice(free);
    if (free > 0) this.#take(all.subarray(0, free));
  }

  /**
   * Ends the stream. What was held back and is no record is handed on.
   *
   * @returns The seconds of the record, or null if the stream ended without one. It is for the caller to
   * know whether nothing but a launcher can have written it.
   */
  end(): number | null {
    const held = this.#held;
    this.#held = new Uint8Array(0);
    if (held.byteLength === RECORD.byteLength) {
      const digits = new TextDecoder().decode(held.subarray(...DIGITS));
      return Number(digits) / 1_000_000;
    }
    if (held.byteLength > 0) this.#take(held);
    return null;
  }
}

/** How many of the last bytes may be the record or its beginning. */
function heldBytes(bytes: Uint8Array): number {
  const most = Math.min(RECORD.byteLength, bytes.byteLength);
  for (let count = most; count > 0; count--) {
    if (bytes.subarray(-count).every(isOfRecord)) return count;
  }
  return 0;
}

function isOfRecord(byte: number, at: number): boolean {
  return RECORD[at] === ZERO
    ? byte >= ZERO && byte <= NINE
    : byte === RECORD[at];
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(one.byteLength + other.byteLength);
  all.set(one);
  all.set(other, one.byteLength);
  return all;
}
