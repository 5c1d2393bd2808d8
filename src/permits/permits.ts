/**
 * The places for scans: so many on the whole server, so many a tool. Both are taken in one step (see
 * `semaphore.ts` for why), so a call that waits for its tool blocks no other tool.
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
   * @returns The permit; dispose of it to give the place back.
   * @throws {AppError} `queue_full` or `cancelled`.
   * @throws {RangeError} If no limit was given for the tool: unclear means refused.
   */
  async acquire(tool: Name, signal: AbortSignal): Promise<Permit> {
    if (!this.#names.includes(tool)) {
      throw new RangeError(`Cannot run "${tool}": it has no limit`);
    }
    return await this.#semaphore.acquire(signal, tool);
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

  /** @returns The same for every tool. */
  byTool(): Record<Name, PermitStats> {
    const entries = this.#names.map((name) =>
      [name, this.statsOf(name)] as const
    );
    return Object.fromEntries(entries) as Record<Name, PermitStats>;
  }
}

function limitsOf<Name extends string>(options: PermitsOptions<Name>) {
  const { permits, queueMax, tools, retryAfterSeconds } = options;
  const limits = { permits, queueMax, keys: tools };
  return retryAfterSeconds === undefined
    ? limits
    : { ...limits, retryAfterSeconds };
}
