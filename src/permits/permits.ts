/**
 * The places for scans: so many on the whole server, so many a tool, so many a tenant. All are taken in
 * one step (see `semaphore.ts` for why), so a call that waits for its tool blocks no other tool, and
 * tenants take turns.
 *
 * @module
 */
import {
  type Limit,
  type Permit,
  type PermitStats,
  Semaphore,
} from "./semaphore.ts";

/** How many scans may run and wait. */
export interface PermitsOptions<Name extends string> extends Limit {
  /** The same for each tool. */
  readonly tools: Readonly<Record<Name, Limit>>;
  /**
   * Most scans of one tenant that run at once; null for no bound of its own.
   *
   * @default {null}
   */
  readonly tenantPermits?: number | null;
  /** Seconds told to a caller that found the queue full. */
  readonly retryAfterSeconds?: number;
}

/** Hands out the places for scans. */
export class Permits<Name extends string> {
  readonly #semaphore: Semaphore;
  #names: readonly Name[];

  /**
   * @param options How many scans may run and wait.
   * @throws {RangeError} If a limit is not a whole number in range.
   */
  constructor(options: PermitsOptions<Name>) {
    this.#semaphore = new Semaphore(limitsOf(options));
    this.#names = Object.keys(options.tools) as Name[];
  }

  /**
   * Takes a place for a scan, waiting for it if need be.
   *
   * @param tool Whose scan it is.
   * @param signal Ends the wait.
   * @param tenant For whom; tenants take turns.
   * @returns The permit; dispose of it to give the place back.
   * @throws {AppError} `queue_full`, also later if it has to make room for another tenant; `cancelled`.
   * @throws {RangeError} If no limit was given for the tool: unclear means refused.
   */
  async acquire(
    tool: Name,
    signal: AbortSignal,
    tenant: string,
  ): Promise<Permit> {
    if (!this.#names.includes(tool)) {
      throw new RangeError(`Cannot run "${tool}": it has no limit`);
    }
    return await this.#semaphore.acquire(signal, { key: tool, tenant });
  }

  /**
   * Changes the limits; held places and waiters stay.
   *
   * @param options The new limits.
   * @throws {RangeError} If a limit is not a whole number in range; the old limits stay.
   */
  resize(options: PermitsOptions<Name>): void {
    this.#semaphore.resize(limitsOf(options));
    this.#names = Object.keys(options.tools) as Name[];
  }

  /** @returns Places taken and calls waiting, over all tools. */
  get stats(): PermitStats {
    return this.#semaphore.stats;
  }

  /**
   * Counts one tool.
   *
   * @param tool The tool.
   * @returns Its places taken and calls waiting.
   */
  statsOf(tool: Name): PermitStats {
    return this.#semaphore.statsOf(tool);
  }

  /** @returns How many calls had to leave the queue for another tenant's so far. */
  get evictions(): number {
    return this.#semaphore.evictions;
  }

  /**
   * Counts one tenant.
   *
   * @param tenant The tenant.
   * @returns Its places taken and calls waiting, over all tools.
   */
  statsBy(tenant: string): PermitStats {
    return this.#semaphore.statsBy(tenant);
  }

  /**
   * Counts the calls of one tenant that wait.
   *
   * @param tenant The tenant.
   * @returns How many wait, over all tools.
   */
  waitingBy(tenant: string): number {
    return this.statsBy(tenant).waiting;
  }

  /** @returns The same for every tool. */
  byTool(): Record<Name, PermitStats> {
    const entries = this.#names.map((name) =>
      [name, this.statsOf(name)] as const
    );
    return Object.fromEntries(entries) as Record<Name, PermitStats>;
  }
}

function limitsOf<Name extends string>(options: PermitsOptions<Name>) {
  const { permits, queueMax, tools, tenantPermits, retryAfterSeconds } =
    options;
  const limits = {
    permits,
    queueMax,
    keys: tools,
    tenantPermits: tenantPermits ?? null,
  };
  return retryAfterSeconds === undefined
    ? limits
    : { ...limits, retryAfterSeconds };
}
