/**
 * How many requests a minute a client and a tenant may send, whatever they ask for.
 *
 * A request counts against both limits or, if either is reached, against none: a client that hammers on
 * after its refusal uses up nothing of what its tenant's other clients have. To be exact about that,
 * requests are looked at one after the other; each takes no longer than two look-ups in a table.
 *
 * The counts are `rate-limiter-flexible`'s, in memory, in windows of a minute that begin with a key's
 * first request. So around the end of a window twice the limit may come within a minute; what needs an
 * exact bound has a quota. It is loaded at the first request (60 ms), not when the server starts.
 *
 * It counts by the wall clock, and forgets a window by a timer besides: a clock that is set cannot bar
 * anybody for longer than a minute.
 *
 * @module
 */
import type { RateLimiterMemory } from "rate-limiter-flexible";
import { AppError } from "@/error/app_error.ts";
import type { Principal } from "./principal.ts";

/** Seconds of a window. */
export const WINDOW_SECONDS = 60;

/**
 * Most clients that have a window of their own at once. Any beyond share a single one: whoever has the
 * identity provider make up subjects costs no memory by it.
 */
export const CLIENTS_MAX = 10_000;

/** The limits of the configuration. 0 sets no bound. */
export interface RequestLimits {
  readonly requests_per_minute: number;
  readonly tenant_requests_per_minute: number;
}

/** The two limits, as header fields name them. */
export const RATE_POLICIES = ["client", "tenant"] as const;

/** One of {@linkcode RATE_POLICIES}. */
export type RatePolicy = typeof RATE_POLICIES[number];

/** A limit and what is left of it. */
export interface RateUse {
  readonly policy: RatePolicy;
  /** Requests of a window. */
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until all of it is back. */
  readonly resetSeconds: number;
}

/** What is left: of the limit that is nearest, and of each. */
export interface Rate extends RateUse {
  readonly all: readonly RateUse[];
}

/** Who takes: a caller whose credentials were proved. */
export type RateTaker = Pick<Principal, "subject" | "tenant">;

/** The counts of one limit. */
class Windows {
  readonly #limiter: RateLimiterMemory;
  readonly #now: () => number;
  /** When the window of each key ends, the next one first. */
  readonly #ends = new Map<string, number>();

  constructor(limiter: RateLimiterMemory, now: () => number) {
    this.#limiter = limiter;
    this.#now = now;
  }

  /** Looks at what a key used. */
  async look(key: string): Promise<{ used: number; resetMs: number }> {
    const windowMs = WINDOW_SECONDS * 1_000;
    const seen = await this.#limiter.get(this.#keyOf(key));
    // A window that is over is still there until its timer runs.
    return seen === null || seen.msBeforeNext <= 0
      ? { used: 0, resetMs: windowMs }
      : {
        used: seen.consumedPoints,
        resetMs: Math.min(seen.msBeforeNext, windowMs),
      };
  }

  /** Counts a request; whether it may be was judged before. */
  async add(key: string): Promise<void> {
    const kept = this.#keyOf(key);
    if (!this.#ends.has(kept)) {
      this.#ends.set(kept, this.#now() + WINDOW_SECONDS * 1_000);
    }
    await this.#limiter.penalty(kept);
  }

  /** Forgets everything, and with it the timers. */
  async clear(): Promise<void> {
    for (const key of this.#ends.keys()) await this.#limiter.delete(key);
    this.#ends.clear();
  }

  #keyOf(key: string): string {
    const now = this.#now();
    for (const [ended, end] of this.#ends) {
      if (end > now) break;
      this.#ends.delete(ended);
      // At once, whatever the promise says; it takes the window's timer along.
      void this.#limiter.delete(ended);
    }
    const own = `=${key}`;
    return this.#ends.has(own) || this.#ends.size < CLIENTS_MAX
      ? own
      : "others";
  }
}

/** Counts requests and refuses those that are over a limit. */
export class RateLimits implements AsyncDisposable {
  readonly #now: () => number;
  readonly #refusals: Record<RatePolicy, number> = { client: 0, tenant: 0 };
  #limits: RequestLimits;
  #windows: Promise<Readonly<Record<RatePolicy, Windows>>> | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @param limits The limits.
   * @param now Monotonic milliseconds.
   */
  constructor(limits: RequestLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  /** @returns How many requests each limit refused so far. */
  get refusals(): Readonly<Record<RatePolicy, number>> {
    return { ...this.#refusals };
  }

  /**
   * Changes the limits. What was used in this minute stays used.
   *
   * @param limits The new limits.
   */
  reconfigure(limits: RequestLimits): void {
    this.#limits = limits;
  }

  /**
   * Counts a request.
   *
   * @param taker Whose it is.
   * @returns What is left after it; null where no limit is set.
   * @throws {AppError} `rate_limited`; nothing was counted then.
   */
  async take(taker: RateTaker): Promise<Rate | null> {
    const turn = this.#turn.then(() => this.#take(taker));
    this.#turn = turn.catch(() => {});
    return await turn;
  }

  /**
   * Shows what is left without counting anything: for the answer to a refused request.
   *
   * @param taker Whose limits.
   * @returns What is left; null where no limit is set.
   */
  async view(taker: RateTaker): Promise<Rate | null> {
    return nearest(await this.#look(taker));
  }

  /** Forgets everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    if (this.#windows === null) return;
    for (const windows of Object.values(await this.#windows)) {
      await windows.clear();
    }
  }

  async #take(taker: RateTaker): Promise<Rate | null> {
    const uses = await this.#look(taker);
    const refusing = uses.filter(({ remaining }) => remaining === 0)
      .sort((one, other) => other.resetSeconds - one.resetSeconds)[0];
    if (refusing !== undefined) {
      this.#refusals[refusing.policy] += 1;
      throw refusal(refusing);
    }
    const windows = await this.#load();
    for (const { policy } of uses) {
      await windows[policy].add(keyOf(taker, policy));
    }
    return nearest(
      uses.map((use) => ({ ...use, remaining: use.remaining - 1 })),
    );
  }

  /** Looks at the limits that are set. */
  async #look(taker: RateTaker): Promise<RateUse[]> {
    const limits: Record<RatePolicy, number> = {
      client: this.#limits.requests_per_minute,
      tenant: this.#limits.tenant_requests_per_minute,
    };
    const set = RATE_POLICIES.filter((policy) => limits[policy] > 0);
    if (set.length === 0) return [];
    const windows = await this.#load();
    return await Promise.all(set.map(async (policy) => {
      const limit = limits[policy];
      const key = keyOf(taker, policy);
      const { used, resetMs } = await windows[policy].look(key);
      return {
        policy,
        limit,
        remaining: Math.max(0, limit - used),
        resetSeconds: Math.ceil(resetMs / 1_000),
      };
    }));
  }

  #load(): Promise<Readonly<Record<RatePolicy, Windows>>> {
    this.#windows ??= loadWindows(this.#now);
    return this.#windows;
  }
}

/**
 * Writes what is left as the header fields RateLimit and RateLimit-Policy, in the form that
 * draft-ietf-httpapi-ratelimit-headers has had since its revision 08 (10 is what was read).
 *
 * @param rate What is left.
 * @returns The two fields.
 */
export function rateLimitFields(
  { all }: Pick<Rate, "all">,
): Readonly<Record<"RateLimit" | "RateLimit-Policy", string>> {
  return {
    "RateLimit": all.map(({ policy, remaining, resetSeconds }) =>
      `"${policy}";r=${remaining};t=${resetSeconds}`
    ).join(", "),
    "RateLimit-Policy": all.map(({ policy, limit }) =>
      `"${policy}";q=${limit};w=${WINDOW_SECONDS}`
    ).join(", "),
  };
}

async function loadWindows(
  now: () => number,
): Promise<Readonly<Record<RatePolicy, Windows>>> {
  const { RateLimiterMemory } = await import("rate-limiter-flexible");
  // Its own judgement is not asked for (`penalty` counts and never refuses): a request is judged by
  // both limits before it is counted by either.
  const options = { points: 1, duration: WINDOW_SECONDS };
  return {
    client: new Windows(new RateLimiterMemory(options), now),
    tenant: new Windows(new RateLimiterMemory(options), now),
  };
}

function keyOf({ subject, tenant }: RateTaker, policy: RatePolicy): string {
  return policy === "client" ? subject : tenant;
}

/** The limit of which the smallest part is left. */
function nearest(all: readonly RateUse[]): Rate | null {
  const [first] = all.toSorted((one, other) =>
    one.remaining / one.limit - other.remaining / other.limit
  );
  return first === undefined ? null : { ...first, all };
}

function refusal({ policy, limit, resetSeconds }: RateUse): AppError {
  const [whose, key] = policy === "client"
    ? ["this client", "requests_per_minute"]
    : ["the clients of this tenant", "tenant_requests_per_minute"];
  return new AppError(
    "rate_limited",
    `Cannot take the request: ${whose} sent ${limit} in this minute, the most allowed ` +
      `(limits.${key}); retry after ${resetSeconds} s`,
    { retryAfter: resetSeconds },
  );
}
