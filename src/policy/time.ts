/**
 * A moment as policies see it. Always UTC: a policy means the same wherever the server stands, and
 * twice a year no hour is missing or there twice.
 *
 * @module
 */

/** Parts of a moment. */
export interface Moment {
  /** 0 to 23. */
  readonly hour: number;
  readonly minute: number;
  /** 1 for Monday to 7 for Sunday. */
  readonly dayOfWeek: number;
  /** `2026-11-21`. */
  readonly date: string;
  readonly epochSeconds: number;
  /** `2026-11-21T06:44:00.000Z`. */
  readonly iso: string;
}

/** The last millisecond that is written with four digits of a year. */
export const TIME_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Takes a time apart.
 *
 * @param at Milliseconds since the epoch.
 * @returns Its parts in UTC.
 * @throws {RangeError} If it is not within 1970 to 9999.
 */
export function momentOf(at: number): Moment {
  if (!(at >= 0 && at <= TIME_MAX)) {
    throw new RangeError(`Cannot take the time "${at}" apart: out of range`);
  }
  const date = new Date(at);
  const iso = date.toISOString();
  return {
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    // JavaScript's week begins with Sunday, which is 0.
    dayOfWeek: date.getUTCDay() || 7,
    date: iso.slice(0, 10),
    epochSeconds: Math.floor(at / 1_000),
    iso,
  };
}
