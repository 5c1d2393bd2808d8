/**
 * A connection to the store: the same typed queries over either database.
 *
 * @module
 */
import type { Kysely, Transaction } from "kysely";
import type { AppError } from "@/error/app_error.ts";
import type { DatabaseUrl } from "./database_url.ts";
import { isPassing, storeError } from "./fault.ts";
import type { DatabaseKind } from "./migrations.ts";
import type { Tables } from "./tables.ts";

/** What a reader is handed. */
export type Read = Kysely<Tables>;

/** What a writer is handed: everything in it happens or nothing does. */
export type Write = Transaction<Tables>;

/** Tries of a transaction that others got in the way of. */
const TRIES_MAX = 6;

/** How a {@linkcode Link} is made. */
export interface LinkOptions {
  readonly url: DatabaseUrl;
  readonly db: Kysely<Tables>;
  /** Waits some milliseconds. */
  readonly delay: (ms: number) => Promise<void>;
}

/** A connection to the store. */
export class Link {
  readonly #options: LinkOptions;

  /** @param options The database. */
  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** Which database. */
  get kind(): DatabaseKind {
    return this.#options.url.kind;
  }

  /** Which database, for messages. */
  get shown(): string {
    return this.#options.url.shown;
  }

  /**
   * Reads.
   *
   * @param work The queries.
   * @returns What they gave.
   * @throws {AppError}
   */
  async read<T>(work: (db: Read) => Promise<T>): Promise<T> {
    try {
      return await work(this.#options.db);
    } catch (thrown) {
      throw this.error(thrown);
    }
  }

  /**
   * Writes in one transaction. What gets in the way of others in PostgreSQL is tried again.
   *
   * @param work The queries; it may be called again, so it changes nothing but the database.
   * @returns What they gave.
   * @throws {AppError}
   */
  async write<T>(work: (write: Write) => Promise<T>): Promise<T> {
    for (let tries = 1;; tries++) {
      try {
        return await this.#options.db.transaction().execute(work);
      } catch (thrown) {
        if (!isPassing(thrown) || tries === TRIES_MAX) throw this.error(thrown);
      }
      await this.#options.delay(5 * 2 ** tries);
    }
  }

  /** Makes an error of ours of whatever was thrown. */
  error(thrown: unknown): AppError {
    return storeError(thrown, this.#options.url);
  }

  /**
   * Lets others have their turn, other processes that wait for the right to write included: SQLite
   * answers at once, so that a long row of queries would keep everything to itself. An answer of
   * PostgreSQL comes over a socket and lets them anyway.
   */
  async pause(): Promise<void> {
    if (this.kind === "sqlite") await this.#options.delay(0);
  }

  /** As {@linkcode Link.pause}, where nothing is written: this process alone, and as short as can be. */
  async turn(): Promise<void> {
    if (this.kind === "postgres") return;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
