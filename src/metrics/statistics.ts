/**
 * What each tool's executions were like: counts and extremes over the whole life, percentiles and
 * the failure rate over a window, so that memory stays the same and old trouble fades.
 *
 * @module
 */

/** How an execution ended, as far as the statistics care. */
export type Verdict = "success" | "failure" | "timeout" | "neither";

/** The statistics of one tool. Durations are in seconds and null before the first. */
export interface ToolStatistics {
  readonly count: number;
  readonly success: number;
  /** Timeouts included. */
  readonly failure: number;
  readonly timeout: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  /** Part of failures among the last successes and failures, 0 to 1. */
  readonly recentFailureRate: number | null;
}

/** How many of the last durations the percentiles are taken from. */
export const DURATION_WINDOW = 1_000;

/** How many of the last successes and failures the recent rate is taken from. */
export const OUTCOME_WINDOW = 100;

/** Gathers the statistics of one tool. */
export class Statistics {
  #count = 0;
  #success = 0;
  #failure = 0;
  #timeout = 0;
  #timed = 0;
  #sum = 0;
  #min = Infinity;
  #max = -Infinity;
  readonly #durations: Window;
  /** 1 for a failure, 0 for a success. */
  readonly #outcomes: Window;

  /** @param options Sizes of the two windows. */
  constructor(
    { durationWindow = DURATION_WINDOW, outcomeWindow = OUTCOME_WINDOW } = {},
  ) {
    this.#durations = new Window(durationWindow);
    this.#outcomes = new Window(outcomeWindow);
  }

  /**
   * Counts an execution.
   *
   * @param verdict How it ended. `neither` (cancelled) counts as an execution only.
   * @param seconds How long it took, if it ran.
   */
  record(verdict: Verdict, seconds?: number): void {
    this.#count += 1;
    if (verdict === "success") this.#success += 1;
    else if (verdict !== "neither") this.#failure += 1;
    if (verdict === "timeout") this.#timeout += 1;
    if (verdict !== "neither") {
      this.#outcomes.push(verdict === "success" ? 0 : 1);
    }
    if (seconds === undefined) return;
    this.#timed += 1;
    this.#sum += seconds;
    this.#min = Math.min(this.#min, seconds);
    this.#max = Math.max(this.#max, seconds);
    this.#durations.push(seconds);
  }

  /** @returns The statistics as they are now. */
  read(): ToolStatistics {
    const sorted = this.#durations.values().sort((a, b) => a - b);
    const outcomes = this.#outcomes.values();
    const failures = outcomes.reduce((sum, failed) => sum + failed, 0);
    const timed = this.#timed > 0;
    return {
      count: this.#count,
      success: this.#success,
      failure: this.#failure,
      timeout: this.#timeout,
      min: timed ? this.#min : null,
      max: timed ? this.#max : null,
      mean: timed ? this.#sum / this.#timed : null,
      p50: percentile(sorted, 50),
      p95: percentile(sorted, 95),
      p99: percentile(sorted, 99),
      recentFailureRate: outcomes.length === 0
        ? null
        : failures / outcomes.length,
    };
  }
}

/** Nearest rank: always a duration that occurred. */
function percentile(sorted: readonly number[], percent: number): number | null {
  const rank = Math.ceil((percent * sorted.length) / 100);
  return sorted[rank - 1] ?? null;
}

/** The last so many numbers. */
class Window {
  readonly #size: number;
  readonly #values: number[] = [];
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  push(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#size;
  }

  values(): number[] {
    return [...this.#values];
  }
}
