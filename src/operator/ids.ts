/**
 * Request ids and trace ids: taken from the client where they are sound, made here where not.
 *
 * @module
 */

/** Random bytes that are fetched at once: a call to the system for every request would cost more. */
const POOL_BYTES = 4_096;

const HEX: readonly string[] = Array.from(
  { length: 256 },
  (_, byte) => byte.toString(16).padStart(2, "0"),
);

/** Fills an array with unpredictable bytes. */
export type FillRandom = (bytes: Uint8Array<ArrayBuffer>) => void;

/** Random hexadecimal digits out of a pool. */
export class RandomHex {
  readonly #fill: FillRandom;
  readonly #pool = new Uint8Array(POOL_BYTES);
  #at = POOL_BYTES;

  /** @param fill Fills an array with unpredictable bytes. */
  constructor(fill: FillRandom) {
    this.#fill = fill;
  }

  /**
   * Gives digits that were never given before.
   *
   * @param bytes How many bytes they stand for, at most 32.
   * @returns Twice as many digits.
   */
  take(bytes: number): string {
    if (this.#at + bytes > POOL_BYTES) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    let text = "";
    for (const end = this.#at + bytes; this.#at < end; this.#at++) {
      text += HEX[this.#pool[this.#at] ?? 0];
    }
    return text;
  }
}

/** The trace that a request belongs to. */
export interface Trace {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** What the answer's `traceparent` says: this server's part of the trace. */
  readonly traceparent: string;
}

const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.{0,256})?$/;

/**
 * Reads the W3C `traceparent` of a request, or begins a trace.
 *
 * @param header What the client sent, if anything.
 * @param random Where new ids come from.
 * @returns The trace.
 */
export function traceOf(header: string | null, random: RandomHex): Trace {
  const [, version, traceId, flags, rest] = header === null
    ? []
    : TRACEPARENT.exec(header) ?? [];
  // Version 00 has four fields; a later one may have more.
  const sound = traceId !== undefined &&
    (version !== "00" || rest === undefined);
  const id = sound ? traceId : random.take(16);
  return {
    traceId: id,
    traceparent: `00-${id}-${random.take(8)}-${sound ? flags : "00"}`,
  };
}

/** What an id may be that goes into logs and answers as it is. */
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/**
 * Reads a request's id, or makes one.
 *
 * @param header What the client or a proxy sent as `X-Request-Id`, if anything.
 * @param random Where new ids come from.
 * @returns The id.
 */
export function requestIdOf(header: string | null, random: RandomHex): string {
  return header !== null && REQUEST_ID.test(header) ? header : random.take(8);
}
