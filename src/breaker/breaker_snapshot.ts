/**
 * What is kept of a circuit breaker over a restart, and the parser for what comes back. A state file
 * may be cut short, edited or hostile, so nothing in it is believed: a snapshot is taken whole if
 * every field is sound, or not at all.
 *
 * @module
 */
import { THRESHOLD_MAX } from "./breaker_options.ts";

/** A state as plain JSON. `retry_at` is in milliseconds since the epoch. */
export type BreakerSnapshot =
  | { readonly state: "closed"; readonly failures: number }
  | {
    readonly state: "open";
    readonly openings: number;
    readonly retry_at: number;
  }
  | {
    readonly state: "half_open";
    readonly openings: number;
    readonly successes: number;
  }
  | { readonly state: "forced_open" };

/**
 * Reads a snapshot.
 *
 * @param value What was kept; not trusted.
 * @returns The snapshot as a fresh object, or null if it is not sound.
 */
export function parseBreakerSnapshot(value: unknown): BreakerSnapshot | null {
  if (typeof value !== "object" || value === null) return null;
  const own = new Map<string, unknown>(Object.entries(value));
  const state = own.get("state");
  const failures = count(own.get("failures"), 0);
  const openings = count(own.get("openings"), 1);
  const successes = count(own.get("successes"), 0);
  const retryAt = count(own.get("retry_at"), 0, Number.MAX_SAFE_INTEGER);
  switch (state) {
    case "closed":
      return failures === null ? null : { state, failures };
    case "open":
      return openings === null || retryAt === null
        ? null
        : { state, openings, retry_at: retryAt };
    case "half_open":
      return openings === null || successes === null
        ? null
        : { state, openings, successes };
    case "forced_open":
      return { state };
    default:
      return null;
  }
}

function count(value: unknown, min: number, max = THRESHOLD_MAX) {
  const sound = typeof value === "number" && Number.isSafeInteger(value) &&
    value >= min && value <= max;
  return sound ? value : null;
}
