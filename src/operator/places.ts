/**
 * Places for what lasts: event streams and WebSockets. A request that is answered gives its memory back;
 * one of these holds on to it until its client goes, so there is a number of them.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** Seconds after which a client that found no place comes back. */
const RETRY_SECONDS = 30;

/** How many places there are now: a reload may change it. */
export interface PlacesMax {
  readonly all: number;
  /** Of one tenant: none takes every place where there are several. */
  readonly tenant: number;
}

/** So many places, taken and given back. */
export class Places {
  readonly #max: () => PlacesMax;
  readonly #what: string;
  readonly #byTenant = new Map<string, number>();
  #taken = 0;

  /**
   * @param max How many there are.
   * @param what What they are for, in the plural.
   */
  constructor(max: () => PlacesMax, what: string) {
    this.#max = max;
    this.#what = what;
  }

  /** How many are taken. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes a place.
   *
   * @param tenant For whom.
   * @returns The place, to be disposed of once; any further time does nothing.
   * @throws {AppError} `queue_full` if none is left.
   */
  take(tenant: string): Disposable {
    const max = this.#max();
    const own = this.#byTenant.get(tenant) ?? 0;
    if (this.#taken >= max.all || own >= max.tenant) {
      const which = own >= max.tenant
        ? `${max.tenant} ${this.#what} of your tenant`
        : `${max.all} ${this.#what}`;
      throw new AppError(
        "queue_full",
        `Cannot open one more: all ${which} are taken (server.max_streams); close one, or come back later`,
        { retryAfter: RETRY_SECONDS },
      );
    }
    this.#count(tenant, 1);
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        this.#count(tenant, -1);
      },
    };
  }

  #count(tenant: string, change: 1 | -1): void {
    this.#taken += change;
    const own = (this.#byTenant.get(tenant) ?? 0) + change;
    if (own === 0) this.#byTenant.delete(tenant);
    else this.#byTenant.set(tenant, own);
  }
}
