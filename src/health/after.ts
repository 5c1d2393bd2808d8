/**
 * Timers for what watches the server. They must not keep it alive: a server whose client is gone has
 * to end although its monitoring would go on for ever.
 *
 * @module
 */

/** Runs something once, later; the result calls it off. */
export type After = (ms: number, run: () => void) => () => void;

/**
 * The real timer. It does not keep the process alive.
 *
 * @param ms Milliseconds from now.
 * @param run What to run.
 * @returns What calls it off.
 */
export function after(ms: number, run: () => void): () => void {
  const id = setTimeout(run, ms);
  Deno.unrefTimer(id);
  return () => clearTimeout(id);
}
