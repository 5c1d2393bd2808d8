/**
 * The times of a scan as every adapter says them.
 *
 * @module
 */
import type { Scan } from "./scan.ts";

/**
 * Says the time as the contract has it.
 *
 * @param ms Milliseconds since the epoch.
 * @returns ISO 8601 in UTC, or null.
 */
export function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/**
 * Gives the seconds that a scan took.
 *
 * @param scan The scan.
 * @returns Seconds with three decimals, or null while it runs.
 */
export function durationOf(scan: Scan): number | null {
  if (scan.startedAt === null || scan.finishedAt === null) return null;
  return Math.max(0, Math.round(scan.finishedAt - scan.startedAt)) / 1000;
}

/**
 * Reads a time.
 *
 * @param text A day, or a day and a time with its zone, in ISO 8601.
 * @returns Milliseconds since the epoch, or null if it is anything else.
 */
export function parseTime(text: string): number | null {
  const day =
    /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/
      .exec(text)?.[1];
  const start = Date.parse(`${day}T00:00:00Z`);
  const ms = Date.parse(text);
  // A day that a month does not have would be read as one of the next month.
  if (
    day !== undefined && !Number.isNaN(start) && !Number.isNaN(ms) &&
    isoTime(start)?.startsWith(day)
  ) return ms;
  return null;
}
