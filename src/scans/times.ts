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
