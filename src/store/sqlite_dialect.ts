/**
 * `node:sqlite` under kysely.
 *
 * One connection, handed to one user at a time: SQLite has one writer anyway. Its calls are
 * synchronous, so waiting for a lock of another process inside of them would stop the whole program;
 * they give up after a moment instead and are tried again from here.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { isBusy } from "./fault.ts";

/** Most milliseconds that another process's writing is waited for. */
const BUSY_WAIT_MAX_MS = 15_000;

/** Statements that are kept ready. */
const STATEMENTS_MAX = 100;

/** What the dialect needs. */
export interface SqliteOptions {
  readonly database: DatabaseSync;
  /** Waits some milliseconds. */
  readonly delay: (ms: number) => Promise<void>;
}

/**
 * Makes the dialect.
 *
 * @param options The open database.
 * @returns The dialect.
 */
export function sqliteDialect(options: SqliteOptions): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SqliteDriver(options),
    createIntrospector: (db: Kysely<unknown>) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class SqliteDriver implements Driver {
  readonly #options: SqliteOptions;
  readonly #connection: SqliteConnection;
  /** Resolves when the last one in the row has the connection behind it. */
  #last: Promise<void> = Promise.resolve();
  readonly #releases = new WeakMap<DatabaseConnection, () => void>();

  constructor(options: SqliteOptions) {
    this.#options = options;
    this.#connection = new SqliteConnection(options);
  }

  init(): Promise<void> {
    return Promise.resolve();
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    this.#releases.set(this.#connection, resolve);
    return this.#connection;
  }

  /** Takes the right to write at once: later it might be too late to wait for it. */
  async beginTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw("begin immediate"));
    this.#connection.inTransaction = true;
  }

  async commitTransaction(): Promise<void> {
    await this.#connection.executeQuery(CompiledQuery.raw("commit"));
    this.#connection.inTransaction = false;
  }

  async rollbackTransaction(): Promise<void> {
    this.#connection.inTransaction = false;
    // A full disk and the like have rolled back already, and a second time is an error.
    if (!this.#options.database.isTransaction) return;
    await this.#connection.executeQuery(CompiledQuery.raw("rollback"));
  }

  releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#releases.get(connection)?.();
    return Promise.resolve();
  }

  destroy(): Promise<void> {
    this.#connection.forget();
    this.#options.database.close();
    return Promise.resolve();
  }
}

class SqliteConnection implements DatabaseConnection {
  readonly #options: SqliteOptions;
  readonly #statements = new Map<string, StatementSync>();
  inTransaction = false;

  constructor(options: SqliteOptions) {
    this.#options = options;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const startedAt = performance.now();
    for (let tries = 1;; tries++) {
      try {
        return this.#execute<R>(query);
      } catch (thrown) {
        const waited = performance.now() - startedAt;
        // Within a transaction the write lock is held, so that waiting would help nobody.
        const again = isBusy(thrown) && !this.inTransaction &&
          waited < BUSY_WAIT_MAX_MS;
        if (!again) throw thrown;
      }
      await this.#options.delay(Math.min(2 * tries, 20));
    }
  }

  // deno-lint-ignore require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    await Promise.resolve();
    throw new TypeError("Cannot stream a query: pages are read instead");
  }

  forget(): void {
    this.#statements.clear();
  }

  #execute<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    const statement = this.#statement(sql);
    const values = parameters as Parameters<StatementSync["all"]>;
    // Some give back a row for each step they have done, though without a column: one call of run()
    // would do one step.
    const steps = sql.startsWith("pragma incremental_vacuum");
    if (steps || statement.columns().length > 0) {
      return { rows: statement.all(...values) as R[] };
    }
    const { changes } = statement.run(...values);
    return { rows: [], numAffectedRows: BigInt(changes) };
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      // The one used last stands last.
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const statement = this.#options.database.prepare(sql);
    this.#statements.set(sql, statement);
    const oldest = this.#statements.keys().next();
    if (this.#statements.size > STATEMENTS_MAX && !oldest.done) {
      this.#statements.delete(oldest.value);
    }
    return statement;
  }
}
