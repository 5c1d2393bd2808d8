/**
 * Connections to PostgreSQL of which none keeps anybody waiting for ever.
 *
 * The server's own bounds (`statement_timeout` and the like) hold while it answers. A server that is
 * gone without a word, behind a network that drops everything, says nothing at all: so each query has
 * a deadline here as well, a connection that missed it is thrown away, and closing waits only so long
 * for what is still at work.
 *
 * @module
 */
import type { PostgresQueryResult } from "kysely";

/** Most milliseconds of a query: more than the server allows it, so that the server may say why. */
const QUERY_TIMEOUT_MS = 75_000;

/** Most milliseconds that the server may take to give room back: it reads whole tables. */
export const VACUUM_TIMEOUT_MS = 600_000;

/** Most milliseconds that closing waits for queries. */
const CLOSE_TIMEOUT_MS = 5_000;

/** As much of a client of `pg` as is used here. */
export interface DriverClient {
  query<R>(
    sql: string,
    parameters: readonly unknown[],
  ): Promise<PostgresQueryResult<R>>;
  release(destroy?: boolean): void;
  end(): Promise<void>;
  on(event: "error", listener: (error: unknown) => void): void;
}

/** As much of a pool of `pg` as is used here. */
export interface DriverPool {
  connect(): Promise<DriverClient>;
  end(): Promise<void>;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "connect", listener: (client: DriverClient) => void): void;
}

/** How long is waited, in milliseconds. */
export interface PoolTimes {
  readonly query: number;
  readonly vacuum: number;
  readonly close: number;
}

const TIMES: PoolTimes = {
  query: QUERY_TIMEOUT_MS,
  vacuum: VACUUM_TIMEOUT_MS + 15_000,
  close: CLOSE_TIMEOUT_MS,
};

/** A connection. */
export class BoundedClient {
  readonly #client: DriverClient;
  readonly #times: PoolTimes;
  #lost: (() => void) | null = null;
  #broken = false;
  #giveBack: (() => void) | null = null;

  /**
   * @param client The connection itself.
   * @param times How long is waited.
   */
  constructor(client: DriverClient, times: PoolTimes) {
    this.#client = client;
    this.#times = times;
    client.on("error", () => this.#hearLoss());
  }

  /**
   * Notes that somebody has it now.
   *
   * @param giveBack Hears that it was given back.
   */
  handOut(giveBack: () => void): void {
    this.#giveBack = giveBack;
  }

  /** Hears once that the connection is gone, while it is not given back. */
  onLost(listener: () => void): void {
    this.#lost = listener;
    if (this.#broken) this.#hearLoss();
  }

  /**
   * Asks, as `pg` has it, and ends the connection when the time is up.
   *
   * @param sql The query.
   * @param parameters What stands for its `$1` and so on.
   * @returns The answer.
   */
  async query<R>(
    sql: string,
    parameters: readonly unknown[] = [],
  ): Promise<PostgresQueryResult<R>> {
    const { vacuum, query } = this.#times;
    const limit = sql.startsWith("vacuum") ? vacuum : query;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(
        new Error(`timeout exceeded: no answer within ${limit / 1_000} s`),
      );
      this.abandon();
    }, limit);
    const answer = this.#client.query<R>(sql, parameters);
    // Whichever comes second is no news.
    answer.catch(() => {});
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection at once; what it was asked fails. */
  abandon(): void {
    this.#broken = true;
    // With a query at work `pg` says no goodbye and closes the socket.
    this.#client.end().catch(() => {});
  }

  /**
   * Gives it back. A second time does nothing: whoever had it may not know that it was lost.
   *
   * @param destroy Whether nobody should have it again.
   */
  release(destroy = false): void {
    const giveBack = this.#giveBack;
    if (giveBack === null) return;
    this.#giveBack = null;
    this.#lost = null;
    giveBack();
    this.#client.release(destroy || this.#broken);
  }

  #hearLoss(): void {
    this.#broken = true;
    const listener = this.#lost;
    this.#lost = null;
    listener?.();
  }
}

/** The connections. */
export class BoundedPool {
  /** What kysely looks at to end a query from outside; nothing here does. */
  readonly options = {};
  readonly #pool: DriverPool;
  readonly #times: PoolTimes;
  /** One for each connection, for as long as that lives. */
  readonly #clients = new WeakMap<DriverClient, BoundedClient>();
  readonly #out = new Set<BoundedClient>();

  /**
   * @param pool The pool of `pg`.
   * @param lost Hears of every connection that was lost.
   * @param times How long is waited; the tests have less patience.
   */
  constructor(
    pool: DriverPool,
    lost: (error: unknown) => void,
    times: PoolTimes = TIMES,
  ) {
    this.#pool = pool;
    this.#times = times;
    // Without listeners a lost connection would end the process, used or not.
    pool.on("connect", (client) => client.on("error", lost));
    pool.on("error", () => {});
  }

  /** Gives a connection; the pool itself bounds the waiting for one. */
  async connect(): Promise<BoundedClient> {
    const client = await this.#pool.connect();
    const bounded = this.#clients.get(client) ??
      new BoundedClient(client, this.#times);
    this.#clients.set(client, bounded);
    this.#out.add(bounded);
    bounded.handOut(() => this.#out.delete(bounded));
    return bounded;
  }

  /** Closes all of them, those last that are at work. */
  async end(): Promise<void> {
    const done = this.#pool.end();
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      for (const client of [...this.#out]) {
        client.abandon();
        client.release();
      }
      late.resolve();
    }, this.#times.close);
    done.catch(() => {});
    await Promise.race([done, late.promise])
      .finally(() => clearTimeout(timer));
  }
}
