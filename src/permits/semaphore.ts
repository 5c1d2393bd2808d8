/**
 * A counting semaphore with what the common ones lack: a bounded queue, waiters that leave at once
 * when their signal aborts, permits that release once, and limits per key that are taken together
 * with the overall limit or not at all.
 *
 * Taking both in one step is what keeps two kinds of limit free of deadlock and of waste: a waiter
 * whose key is full holds no overall place meanwhile. A freed place goes to the oldest waiter that
 * may use it, so waiters are served in the order of arrival but for those whose own key is full.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

const MINT = Symbol("permits/semaphore");

/** A limit and the queue before it. */
export interface Limit {
  /** Most permits held at once; at least 1. */
  readonly permits: number;
  /** Most waiters; 0 refuses whoever cannot start at once. */
  readonly queueMax: number;
}

/** The limits of a semaphore. */
export interface Limits extends Limit {
  /** Limits of single keys, on top of the overall ones. A key that is not named has none. */
  readonly keys?: Readonly<Record<string, Limit>>;
  /**
   * Seconds after which a refused caller should try again.
   *
   * @default {5}
   */
  readonly retryAfterSeconds?: number;
}

/** How busy a semaphore or one of its keys is. */
export interface PermitStats {
  readonly held: number;
  readonly waiting: number;
}

/** Seconds told to a caller that found the queue full, unless configured. */
export const RETRY_AFTER_SECONDS = 5;

interface Waiter {
  readonly key: string;
  readonly grant: () => void;
}

interface Lane {
  held: number;
  waiting: number;
}

/**
 * One place, taken. `using permit = await …` gives it back. Giving it back twice gives back one
 * place, because a second release would let two scans run in one place.
 */
export class Permit implements Disposable {
  #release: (() => void) | undefined;

  /**
   * Not for callers: it wants this module's secret.
   *
   * @param mint The secret.
   * @param release What gives the place back.
   */
  constructor(mint: symbol, release: () => void) {
    if (mint !== MINT) {
      throw new TypeError("Cannot construct Permit: use a semaphore's acquire");
    }
    this.#release = release;
  }

  /**
   * Tells a permit from a look-alike.
   *
   * @param value Anything.
   * @returns Whether it was minted here.
   */
  static isPermit(value: unknown): value is Permit {
    return typeof value === "object" && value !== null && #release in value;
  }

  /** @returns Whether the place is still taken. */
  get held(): boolean {
    return this.#release !== undefined;
  }

  /** Gives the place back. Any call after the first does nothing. */
  [Symbol.dispose](): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

/** A semaphore. All of its state changes are synchronous. */
export class Semaphore {
  #limits: Limits;
  #keys: ReadonlyMap<string, Limit>;
  #held = 0;
  /** In order of arrival; a set, so that an aborted waiter leaves in constant time. */
  readonly #waiters = new Set<Waiter>();
  /** Only keys in use have a lane, so the map is no larger than held plus waiting. */
  readonly #lanes = new Map<string, Lane>();

  /**
   * @param limits How many may run and wait.
   * @throws {RangeError} If a limit is not a whole number in range.
   */
  constructor(limits: Limits) {
    this.#keys = checkedKeys(limits);
    this.#limits = { ...limits };
  }

  /** @returns How many permits are held and how many callers wait. */
  get stats(): PermitStats {
    return { held: this.#held, waiting: this.#waiters.size };
  }

  /**
   * Counts one key.
   *
   * @param key The key.
   * @returns How many permits it holds and how many callers wait for it.
   */
  statsOf(key: string): PermitStats {
    const lane = this.#lanes.get(key);
    return { held: lane?.held ?? 0, waiting: lane?.waiting ?? 0 };
  }

  /**
   * Takes a permit, waiting for it if need be.
   *
   * @param signal Ends the wait. A permit that was granted before stays granted.
   * @param key Whose limit counts besides the overall one.
   * @returns The permit; dispose of it to give it back.
   * @throws {AppError} `queue_full` or `cancelled`.
   */
  // deno-lint-ignore require-await -- A refusal must reject, never throw at the call.
  async acquire(signal: AbortSignal, key = ""): Promise<Permit> {
    if (signal.aborted) throw cancelled(signal);
    // No waiter in the queue could start now, or it would have; so nobody is overtaken here.
    if (this.#isFree(key)) return this.#take(key);
    this.#refuseIfFull(key);
    return this.#wait(signal, key);
  }

  /**
   * Changes the limits. Held permits and waiters stay: after a cut nothing new starts until enough
   * permits came back.
   *
   * @param limits The new limits.
   * @throws {RangeError} If a limit is not a whole number in range; the old limits stay.
   */
  resize(limits: Limits): void {
    this.#keys = checkedKeys(limits);
    this.#limits = { ...limits };
    this.#serve();
  }

  #isFree(key: string): boolean {
    if (this.#held >= this.#limits.permits) return false;
    const limit = this.#keys.get(key);
    return limit === undefined || this.statsOf(key).held < limit.permits;
  }

  #refuseIfFull(key: string): void {
    const limit = this.#keys.get(key);
    const waiting = this.statsOf(key).waiting;
    if (limit !== undefined && waiting >= limit.queueMax) {
      throw this.#queueFull(`"${key}"`, waiting);
    }
    if (this.#waiters.size >= this.#limits.queueMax) {
      throw this.#queueFull("a scan", this.#waiters.size);
    }
  }

  #queueFull(what: string, waiting: number): AppError {
    const retryAfter = this.#limits.retryAfterSeconds ?? RETRY_AFTER_SECONDS;
    return new AppError(
      "queue_full",
      `Cannot queue ${what}: ${waiting} calls wait already, the most allowed; wait for a ` +
        `running scan to end or cancel one, then retry after ${retryAfter} s`,
      { retryAfter },
    );
  }

  #wait(signal: AbortSignal, key: string): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        key,
        grant: () => {
          signal.removeEventListener("abort", leave);
          resolve(this.#take(key));
        },
      };
      const leave = () => {
        this.#forget(waiter);
        reject(cancelled(signal));
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiters.add(waiter);
      this.#lane(key).waiting += 1;
    });
  }

  #take(key: string): Permit {
    this.#held += 1;
    this.#lane(key).held += 1;
    return new Permit(MINT, () => {
      this.#held -= 1;
      this.#lane(key).held -= 1;
      this.#sweep(key);
      this.#serve();
    });
  }

  /** One walk is enough: granting only ever makes places rarer. */
  #serve(): void {
    for (const waiter of this.#waiters) {
      if (this.#held >= this.#limits.permits) return;
      if (!this.#isFree(waiter.key)) continue;
      this.#forget(waiter);
      waiter.grant();
    }
  }

  #forget(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    this.#lane(waiter.key).waiting -= 1;
    this.#sweep(waiter.key);
  }

  #lane(key: string): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { held: 0, waiting: 0 };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #sweep(key: string): void {
    const lane = this.#lanes.get(key);
    if (lane?.held === 0 && lane.waiting === 0) this.#lanes.delete(key);
  }
}

function cancelled(signal: AbortSignal): AppError {
  return new AppError(
    "cancelled",
    "Cannot wait for a free place: the request was cancelled; send it again to scan",
    { cause: signal.reason },
  );
}

function checkedKeys(limits: Limits): ReadonlyMap<string, Limit> {
  const keys = new Map(Object.entries(limits.keys ?? {}));
  for (const limit of [limits, ...keys.values()]) {
    if (!Number.isSafeInteger(limit.permits) || limit.permits < 1) {
      throw new RangeError(
        `Cannot limit permits to "${limit.permits}": expected a whole number from 1`,
      );
    }
    if (!Number.isSafeInteger(limit.queueMax) || limit.queueMax < 0) {
      throw new RangeError(
        `Cannot limit a queue to "${limit.queueMax}": expected a whole number from 0`,
      );
    }
  }
  return keys;
}
