/**
 * Bounds how often one network may send credentials that do not hold.
 *
 * No key of 256 bits is guessed; what the bound saves is the work and the noise. It is counted by
 * network and not by address, since whoever has one IPv6 address has 2^64 of them.
 *
 * @module
 */
import { RateLimiterMemory } from "rate-limiter-flexible";
import { AppError } from "@/error/app_error.ts";
import { parseAddress } from "@/scope/block.ts";

/** Most networks that are counted. */
const NETWORKS_MAX = 10_000;

/** Bits of an IPv6 address that tell two customers apart. */
const IPV6_HOST_BITS = 64n;

/** The bounds. */
export interface FailureLimits {
  /** Failures that are answered; the next is refused unread. @default 30 */
  readonly failuresMax?: number;
  /** Seconds from the first of them on in which they count. @default 60 */
  readonly windowSeconds?: number;
  /** Most networks that are counted. @default 10000 */
  readonly networksMax?: number;
}

/** Counts failures by network. */
export class FailureLimiter implements Disposable {
  readonly #limits: Required<FailureLimits>;
  readonly #limiter: RateLimiterMemory;
  /** The networks that are counted, the one that failed longest ago first. */
  readonly #networks = new Set<string>();

  /** @param limits The bounds. */
  constructor(limits: FailureLimits = {}) {
    this.#limits = {
      failuresMax: 30,
      windowSeconds: 60,
      networksMax: NETWORKS_MAX,
      ...limits,
    };
    const { failuresMax: points, windowSeconds: duration } = this.#limits;
    this.#limiter = new RateLimiterMemory({
      points,
      duration,
      keyPrefix: "failures",
    });
  }

  /** How many networks are counted. */
  get size(): number {
    return this.#networks.size;
  }

  /**
   * Refuses a network that failed too often.
   *
   * @param address Where the call came from.
   * @throws {AppError} `rate_limited`, whatever credentials the call has.
   */
  async check(address: string): Promise<void> {
    // Nobody failed: that is every call of every day, and an address need not even be read for it.
    if (this.#networks.size === 0) return;
    const network = networkOf(address);
    if (!this.#networks.has(network)) return;
    const state = await this.#limiter.get(network);
    if (state === null || state.msBeforeNext <= 0) return;
    if (state.consumedPoints < this.#limits.failuresMax) return;
    throw new AppError(
      "rate_limited",
      "Cannot check the credentials: too many that do not hold came from this address; wait, and " +
        "call with sound ones",
      { retryAfter: Math.max(1, Math.ceil(state.msBeforeNext / 1_000)) },
    );
  }

  /**
   * Counts a failure.
   *
   * @param address Where the call came from.
   */
  async count(address: string): Promise<void> {
    const network = networkOf(address);
    this.#networks.delete(network);
    this.#networks.add(network);
    if (this.#networks.size > this.#limits.networksMax) {
      const [oldest] = this.#networks;
      // Whoever has so many networks gains little by being forgotten; one pool for all the others
      // would shut everybody out.
      if (oldest !== undefined) await this.#forget(oldest);
    }
    await this.#limiter.penalty(network);
  }

  /** Forgets everything and ends its timers. */
  [Symbol.dispose](): void {
    for (const network of this.#networks) void this.#forget(network);
  }

  async #forget(network: string): Promise<void> {
    this.#networks.delete(network);
    await this.#limiter.delete(network);
  }
}

/** An IPv4 address, or the /64 of an IPv6 one; whatever is no address counts as one. */
function networkOf(address: string): string {
  const mapped = /^::ffff:([0-9.]+)$/i.exec(address)?.[1] ?? address;
  const block = parseAddress(mapped);
  if (block === null) return "unknown";
  return block.family === 4
    ? `4:${block.first}`
    : `6:${block.first >> IPV6_HOST_BITS}`;
}
