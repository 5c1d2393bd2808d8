/**
 * A counting semaphore with what the common ones lack: a bounded queue, waiters that leave at once
 * when their signal aborts, permits that release once, limits per key and per tenant that are taken
 * together with the overall limit or not at all, and turns between tenants.
 *
 * Taking all in one step is what keeps several kinds of limit free of deadlock and of waste: a waiter
 * whose key is full holds no overall place meanwhile. A freed place goes to a waiter that may use it:
 * of the tenant whose turn it is (`fair_queue.ts`), the oldest one. Where all waiters are of one tenant,
 * that is the order of arrival but for those whose own key is full.
 *
 * The bound of the queue is shared the same way. Where it is full, a newcomer of a tenant that has
 * fewer waiting takes the place of the newest waiter of the tenant that has the most.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { FairQueue, type Free } from "./fair_queue.ts";
import type { Place } from "./line.ts";

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
   * Most permits that one tenant holds at once, whatever the key; null for no bound of its own.
   *
   * @default {null}
   */
  readonly tenantPermits?: number | null;
  /**
   * Seconds after which a refused caller should try again.
   *
   * @default {5}
   */
  readonly retryAfterSeconds?: number;
}

/** How busy a semaphore, one of its keys or one of its tenants is. */
export interface PermitStats {
  readonly held: number;
  readonly waiting: number;
}

/** Seconds told to a caller that found the queue full, unless configured. */
export const RETRY_AFTER_SECONDS = 5;

/** Who takes a permit. */
export interface Taker {
  /**
   * Whose limit counts besides the overall one.
   *
   * @default {""}
   */
  readonly key?: string;
  /**
   * Who shares places fairly with the others of its kind.
   *
   * @default {""}
   */
  readonly tenant?: string;
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
  #evictions = 0;
  readonly #queue = new FairQueue();
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
    return { held: this.#held, waiting: this.#queue.size };
  }

  /** @returns How many waiters had to make room for another tenant so far. */
  get evictions(): number {
    return this.#evictions;
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
   * Counts one tenant.
   *
   * @param tenant The tenant.
   * @returns How many permits it holds and how many of its callers wait.
   */
  statsBy(tenant: string): PermitStats {
    const held = this.#queue.heldBy(tenant);
    return { held, waiting: this.#queue.waitingBy(tenant) };
  }

  /** @returns The tenants that hold a permit or wait for one. */
  tenants(): readonly string[] {
    return this.#queue.tenants();
  }

  /**
   * Takes a permit, waiting for it if need be.
   *
   * @param signal Ends the wait. A permit that was granted before stays granted.
   * @param taker Who takes it.
   * @returns The permit; dispose of it to give it back.
   * @throws {AppError} `queue_full`, also later if it has to make room for another tenant; `cancelled`.
   */
  // deno-lint-ignore require-await -- A refusal must reject, never throw at the call.
  async acquire(signal: AbortSignal, taker: Taker = {}): Promise<Permit> {
    if (signal.aborted) throw cancelled(signal);
    const { key = "", tenant = "" } = taker;
    const free = this.#free();
    // No waiter in the queue could start now, or it would have; so nobody is overtaken here.
    if (
      this.#held < this.#limits.permits && free.key(key) &&
      this.#queue.heldBy(tenant) < free.tenantHeldMax
    ) return this.#take(key, tenant);
    this.#makeRoom(key, tenant);
    return this.#wait(signal, key, tenant);
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

  /** What is free besides an overall place. */
  #free(): Free {
    return {
      key: (key) => {
        const limit = this.#keys.get(key);
        return limit === undefined || this.statsOf(key).held < limit.permits;
      },
      tenantHeldMax: this.#limits.tenantPermits ?? Infinity,
    };
  }

  /** Refuses a newcomer, or lets somebody go for it: the queue grows beyond no bound. */
  #makeRoom(key: string, tenant: string): void {
    const limit = this.#keys.get(key);
    const waiting = this.statsOf(key).waiting;
    if (limit !== undefined && waiting >= limit.queueMax) {
      const place = this.#queue.crowding(tenant, key);
      if (place === null) throw this.#queueFull(`"${key}"`, waiting);
      // It leaves the whole queue as well, so that has room for one more, too.
      this.#evict(place);
    } else if (this.#queue.size >= this.#limits.queueMax) {
      const place = this.#queue.crowding(tenant);
      if (place === null) throw this.#queueFull("a scan", this.#queue.size);
      this.#evict(place);
    }
  }

  #evict(place: Place): void {
    this.#evictions += 1;
    this.#forget(place);
    place.waiter.evict();
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

  #evicted(): AppError {
    const retryAfter = this.#limits.retryAfterSeconds ?? RETRY_AFTER_SECONDS;
    return new AppError(
      "queue_full",
      "Cannot wait any longer: the queue is full, and this tenant has the most calls in it; have " +
        `fewer calls wait, then retry after ${retryAfter} s`,
      { retryAfter },
    );
  }

  #wait(signal: AbortSignal, key: string, tenant: string): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const done = () => signal.removeEventListener("abort", leave);
      const place = this.#queue.add({
        key,
        tenant,
        grant: () => {
          done();
          resolve(this.#take(key, tenant));
        },
        evict: () => {
          done();
          reject(this.#evicted());
        },
      });
      const leave = () => {
        this.#forget(place);
        reject(cancelled(signal));
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#lane(key).waiting += 1;
    });
  }

  #take(key: string, tenant: string): Permit {
    this.#held += 1;
    this.#lane(key).held += 1;
    this.#queue.served(tenant);
    return new Permit(MINT, () => {
      this.#held -= 1;
      this.#lane(key).held -= 1;
      this.#sweep(key);
      this.#queue.released(tenant);
      this.#serve();
    });
  }

  #serve(): void {
    const free = this.#free();
    while (this.#held < this.#limits.permits) {
      const place = this.#queue.next(free);
      if (place === null) return;
      this.#forget(place);
      place.waiter.grant();
    }
  }

  #forget(place: Place): void {
    const { key } = place.waiter;
    this.#queue.remove(place);
    this.#lane(key).waiting -= 1;
    this.#sweep(key);
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
  checkPermits(limits.tenantPermits ?? 1);
  for (const limit of [limits, ...keys.values()]) {
    checkPermits(limit.permits);
    if (!Number.isSafeInteger(limit.queueMax) || limit.queueMax < 0) {
      throw new RangeError(
        `Cannot limit a queue to "${limit.queueMax}": expected a whole number from 0`,
      );
    }
  }
  return keys;
}

function checkPermits(permits: number): void {
  if (Number.isSafeInteger(permits) && permits >= 1) return;
  throw new RangeError(
    `Cannot limit permits to "${permits}": expected a whole number from 1`,
  );
}
