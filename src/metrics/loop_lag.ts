/**
 * How late the event loop is: a timer is set again and again, and what it comes late by is the time
 * that something else held the loop. Deno has no such measure of its own.
 *
 * @module
 */

/** Milliseconds between two measurements. */
export const LAG_INTERVAL_MS = 500;

/** How many measurements the shown worst one is taken from: half a minute. */
export const LAG_WINDOW = 60;

/** What {@linkcode LoopLag} takes from the world. */
export interface LoopLagOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Runs something later, without keeping the process alive; the result calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Measures the lag from its making until it is disposed of. */
export class LoopLag implements Disposable {
  readonly #options: LoopLagOptions;
  readonly #lags: number[] = [];
  #callOff: (() => void) | undefined;

  /** @param options Clock and timer. */
  constructor(options: LoopLagOptions) {
    this.#options = options;
    this.#arm();
  }

  /** @returns The worst lag of the last half minute, in milliseconds. */
  get worstMs(): number {
    return Math.max(0, ...this.#lags);
  }

  /** Ends the measurements. */
  [Symbol.dispose](): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  #arm(): void {
    const { now, after } = this.#options;
    const due = now() + LAG_INTERVAL_MS;
    this.#callOff = after(LAG_INTERVAL_MS, () => {
      this.#lags.push(Math.max(0, now() - due));
      if (this.#lags.length > LAG_WINDOW) this.#lags.shift();
      this.#arm();
    });
  }
}
