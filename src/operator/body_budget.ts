/**
 * How much of the process's memory requests' bodies may take at once. Each body is bounded for itself,
 * but a hundred clients, or one with a hundred connections, can each send all but the last byte of one
 * and wait. So there is a sum, counted as bytes arrive: what is only announced costs nothing.
 *
 * Nobody can take all of it. A tenant may hold as much as is still free, so one alone comes to a half,
 * two come to a third each, and whoever comes next finds something left. Within a tenant the same rule
 * holds for its callers.
 *
 * Whoever would hold more is refused at once instead of kept waiting: a request that waits holds on to
 * what it has sent already, and that is what there is too little of.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Principal } from "@/identity/principal.ts";

/** Bytes that bodies may take at once, where one body may not be so long that this would be a few. */
export const BUDGET_BYTES_MIN = 64 * 1_048_576;

/** So many of the longest bodies fit at least: one caller alone may hold a third of all. */
const LONGEST_BODIES = 8;

/** Seconds after which a client that was refused comes back: by then a body has arrived or is late. */
const RETRY_SECONDS = 2;

/** Whose body it is. */
export type BodyOwner = Pick<Principal, "subject" | "tenant">;

/** What one body holds. Disposing of it gives all of it back. */
export interface BodyShare extends Disposable {
  /**
   * Holds more.
   *
   * @param bytes How many.
   * @throws {AppError} `queue_full` if that is more than its share.
   */
  take(bytes: number): void;
}

/** What all bodies hold. */
export class BodyBudget {
  readonly #bytesMax: () => number;
  readonly #byTenant = new Tally();
  readonly #byCaller = new Tally();
  #taken = 0;

  /** @param bodyBytesMax Most bytes of one body: a reload may change it. */
  constructor(bodyBytesMax: () => number) {
    this.#bytesMax = () =>
      Math.max(BUDGET_BYTES_MIN, LONGEST_BODIES * bodyBytesMax());
  }

  /** Bytes that are held. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Begins a body.
   *
   * @param owner Whose it is.
   * @returns What it holds: nothing yet.
   */
  share({ tenant, subject }: BodyOwner): BodyShare {
    const caller = JSON.stringify([tenant, subject]);
    let held = 0;
    const hold = (bytes: number): void => {
      held += bytes;
      this.#taken += bytes;
      this.#byTenant.add(tenant, bytes);
      this.#byCaller.add(caller, bytes);
    };
    return {
      take: (bytes) => {
        if (!this.#fits(tenant, caller, bytes)) throw full();
        hold(bytes);
      },
      [Symbol.dispose]: () => hold(-held),
    };
  }

  /** Whether the caller would hold no more than is left when its tenant holds no more than is free. */
  #fits(tenant: string, caller: string, bytes: number): boolean {
    const free = this.#bytesMax() - this.#taken - bytes;
    const ofTenant = this.#byTenant.of(tenant) + bytes;
    const ofCaller = this.#byCaller.of(caller) + bytes;
    return ofCaller <= free - ofTenant;
  }
}

/** Sums by name. What comes to nothing is forgotten. */
class Tally {
  readonly #sums = new Map<string, number>();

  of(name: string): number {
    return this.#sums.get(name) ?? 0;
  }

  add(name: string, change: number): void {
    const sum = this.of(name) + change;
    if (sum === 0) this.#sums.delete(name);
    else this.#sums.set(name, sum);
  }
}

function full(): AppError {
  return new AppError(
    "queue_full",
    "Cannot take the request's body: too much is being sent at once; send fewer requests at a time, and this one again in a moment",
    { retryAfter: RETRY_SECONDS },
  );
}
