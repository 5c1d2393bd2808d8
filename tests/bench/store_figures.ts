/**
 * The arithmetic of the benchmark of the store: percentiles, and how long nothing else could run.
 *
 * @module
 */

/** Milliseconds between two looks at the clock. */
const LOOK_MS = 1;

/**
 * Gives the smallest figure that a share of all figures does not exceed.
 *
 * @param figures At least one.
 * @param share Above 0, at most 1.
 * @returns One of the figures: none is made up between two of them.
 * @throws {RangeError} If there are none, or the share is none.
 */
export function percentile(figures: readonly number[], share: number): number {
  const at = Math.ceil(figures.length * share) - 1;
  const figure = figures.toSorted((a, b) => a - b)[at];
  if (figure !== undefined && share > 0) return figure;
  throw new RangeError(
    `Cannot take the percentile ${share} of ${figures.length} figures`,
  );
}

/**
 * Watches how long the event loop stands still: a query of SQLite runs in the program's own thread, so
 * that for as long as it takes no other client is answered.
 */
export class Stillness implements Disposable {
  readonly #now: () => number;
  readonly #timer: ReturnType<typeof setInterval>;
  #last: number;
  #longest = 0;

  /** @param now A clock, in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = now();
    this.#timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Looks at the clock: what has passed since the last look is time in which nothing else ran. */
  look(): void {
    const at = this.#now();
    this.#longest = Math.max(this.#longest, at - this.#last - LOOK_MS);
    this.#last = at;
  }

  /** The longest that nothing else ran, in milliseconds. */
  get longest(): number {
    return this.#longest;
  }

  /** Ends the watch. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
