/**
 * Trace ids: by one, all that came of a call is found again.
 *
 * @module
 */

/** Bytes of an id, as W3C Trace Context has it. */
const TRACE_BYTES = 16;

/**
 * Makes the id of a trace.
 *
 * @param random Fills an array with random bytes.
 * @returns 32 hex digits.
 */
export function newTraceId(
  random: (bytes: Uint8Array) => void,
): string {
  const bytes = new Uint8Array(TRACE_BYTES);
  random(bytes);
  return bytes.toHex();
}
