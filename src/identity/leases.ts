/**
 * How long a stream may go on: as long as the credentials that opened it are good.
 *
 * A request is proved once and answered; a stream lives for hours. So each caller with streams is looked
 * at again and again, and all of its streams end when its key is revoked or its token has expired.
 *
 * @module
 */
import type { Principal } from "./principal.ts";

/** Milliseconds between two looks. */
export const LOOK_MS = 10_000;

/** Most callers that are looked at; the streams of further ones end at once. */
export const CALLERS_MAX = 10_000;

/** Why a hold's signal aborts before the stream's own end. */
export const LEASE_ENDS = [
  "the credentials are no longer good",
  "the server stops",
] as const;

/** What {@linkcode Leases} works with. */
export interface LeasesOptions {
  /** Whether a caller's credentials are still good. What cannot be told is good until it can. */
  readonly isGood: (principal: Principal) => Promise<boolean>;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Runs something later; what it returns calls that off. */
  readonly after: (ms: number, run: () => void) => () => void;
}

interface Lease {
  readonly principal: Principal;
  readonly ending: AbortController;
  /** Streams that live by it. */
  held: number;
}

/** A hold on a caller's credentials. */
export interface Hold extends Disposable {
  /** Aborts when they are good no more. */
  readonly signal: AbortSignal;
}

/** The credentials that streams live by. */
export class Leases implements Disposable {
  readonly #options: LeasesOptions;
  readonly #leases = new Map<string, Lease>();
  #callOff: (() => void) | null = null;
  #closed = false;

  /** @param options How credentials are looked at. */
  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** How many callers have streams. */
  get size(): number {
    return this.#leases.size;
  }

  /**
   * Holds on to a caller's credentials.
   *
   * @param principal Whoever opened a stream.
   * @returns The hold, to be disposed of when the stream ends.
   */
  hold(principal: Principal): Hold {
    // Two tokens of one subject end at different times.
    const name = `${principal.subject} ${principal.expiresAt ?? ""}`;
    let lease = this.#leases.get(name);
    if (lease === undefined) {
      lease = { principal, ending: new AbortController(), held: 0 };
      if (this.#closed || this.#leases.size >= CALLERS_MAX) {
        lease.ending.abort(LEASE_ENDS[1]);
      } else this.#leases.set(name, lease);
      this.#lookLater();
    }
    const own = lease;
    own.held += 1;
    let over = false;
    return {
      signal: own.ending.signal,
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        own.held -= 1;
        if (own.held === 0 && this.#leases.get(name) === own) {
          this.#leases.delete(name);
        }
      },
    };
  }

  /** Looks at all of them now. */
  async look(): Promise<void> {
    for (const [name, lease] of [...this.#leases]) {
      if (await this.#holds(lease.principal)) continue;
      if (this.#leases.get(name) === lease) this.#leases.delete(name);
      lease.ending.abort(LEASE_ENDS[0]);
    }
  }

  /** Ends all of them. */
  [Symbol.dispose](): void {
    this.#closed = true;
    this.#callOff?.();
    this.#callOff = null;
    for (const { ending } of this.#leases.values()) {
      ending.abort(LEASE_ENDS[1]);
    }
    this.#leases.clear();
  }

  async #holds(principal: Principal): Promise<boolean> {
    const { wallNow, isGood } = this.#options;
    if ((principal.expiresAt ?? Infinity) <= wallNow()) return false;
    try {
      return await isGood(principal);
    } catch {
      // A store that cannot be asked is no reason to end what was good.
      return true;
    }
  }

  #lookLater(): void {
    if (this.#closed || this.#callOff !== null || this.#leases.size === 0) {
      return;
    }
    this.#callOff = this.#options.after(LOOK_MS, () => {
      this.#callOff = null;
      void this.look().finally(() => this.#lookLater());
    });
  }
}
