/**
 * Thresholds and times of a circuit breaker, and the one formula for how long it stays open.
 *
 * @module
 */

/** Thresholds and times. All are required: defaults live in the configuration. */
export interface BreakerOptions {
  /** Failures in a row that open the circuit. */
  readonly failureThreshold: number;
  /** Successful trial calls in a row that close it again. */
  readonly successThreshold: number;
  /** Milliseconds that it stays open the first time. */
  readonly recoveryTimeoutMs: number;
  /** What that time is multiplied with at each failed trial: 1 to 10. */
  readonly backoffMultiplier: number;
  /** Most milliseconds that it stays open. */
  readonly recoveryTimeoutMsMax: number;
  /** Part of the time that chance may take off: 0 to 1. Taking off keeps both times upper bounds. */
  readonly jitter: number;
}

/** Longest time that may be configured: a week. */
export const RECOVERY_TIMEOUT_MS_MAX = 7 * 24 * 3_600_000;

/** Highest threshold that may be configured. */
export const THRESHOLD_MAX = 1_000_000;

/**
 * Checks options.
 *
 * @param options The options.
 * @returns A frozen copy.
 * @throws {RangeError} If one is out of range.
 */
export function checkedOptions(options: BreakerOptions): BreakerOptions {
  const {
    failureThreshold,
    successThreshold,
    recoveryTimeoutMs,
    backoffMultiplier,
    recoveryTimeoutMsMax,
    jitter,
  } = options;
  for (const threshold of [failureThreshold, successThreshold]) {
    if (!Number.isSafeInteger(threshold)) refuse("threshold", threshold);
    within("threshold", threshold, 1, THRESHOLD_MAX);
  }
  within("recovery time", recoveryTimeoutMs, 1, RECOVERY_TIMEOUT_MS_MAX);
  within(
    "longest recovery time",
    recoveryTimeoutMsMax,
    recoveryTimeoutMs,
    RECOVERY_TIMEOUT_MS_MAX,
  );
  within("backoff multiplier", backoffMultiplier, 1, 10);
  within("jitter", jitter, 0, 1);
  return Object.freeze({
    failureThreshold,
    successThreshold,
    recoveryTimeoutMs,
    backoffMultiplier,
    recoveryTimeoutMsMax,
    jitter,
  });
}

/**
 * Computes how long the circuit stays open.
 *
 * @param options Times and jitter.
 * @param openings The how many-th opening in a row this is, from 1.
 * @param random From 0 up to 1.
 * @returns Milliseconds, at least 1.
 */
export function openDelayMs(
  options: BreakerOptions,
  openings: number,
  random: number,
): number {
  const grown = options.recoveryTimeoutMs *
    options.backoffMultiplier ** (openings - 1);
  const capped = Math.min(grown, options.recoveryTimeoutMsMax);
  return Math.max(1, capped * (1 - options.jitter * random));
}

function within(what: string, value: number, min: number, max: number): void {
  // Written so that NaN is refused as well.
  if (!(value >= min && value <= max)) refuse(what, value);
}

function refuse(what: string, value: number): never {
  throw new RangeError(`Cannot use "${value}" as ${what}: it is out of range`);
}
