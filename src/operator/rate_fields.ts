/**
 * How much a client may still ask for, in the fields that the IETF's draft gives it: the policy, and
 * what is left of it.
 *
 * @module
 */

import { rateLimitFields, type RateUse } from "@/identity/rate_limits.ts";

/** How a client stands. */
export interface RateStand {
  /** Most requests in the window. */
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the window begins anew. */
  readonly resetSeconds: number;
  /** Seconds of the window. @default 60 */
  readonly windowSeconds?: number;
  /** Each limit that is set: the client's own and its tenant's. @default the one above */
  readonly all?: readonly RateUse[];
}

/**
 * Adds the fields.
 *
 * @param headers The answer's headers.
 * @param stand How the client stands.
 */
export function addRateFields(headers: Headers, stand: RateStand): void {
  const { limit, remaining, resetSeconds, windowSeconds = 60, all } = stand;
  if (all !== undefined) {
    for (const [name, value] of Object.entries(rateLimitFields({ all }))) {
      headers.set(name, value);
    }
    return;
  }
  const left = Math.max(0, Math.floor(remaining));
  const seconds = Math.max(0, Math.ceil(resetSeconds));
  headers.set("ratelimit-policy", `"requests";q=${limit};w=${windowSeconds}`);
  headers.set("ratelimit", `"requests";r=${left};t=${seconds}`);
}
