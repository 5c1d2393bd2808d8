/**
 * Opens the store that `database.url` names. Nothing of a database is loaded before that: neither the
 * query builder nor a driver is in the memory of a command that needs none.
 *
 * @module
 */
import { toAppError } from "@/error/app_error.ts";
import type { StoreProblem } from "./check.ts";
import {
  DEFAULT_DATABASE_URL,
  parseDatabaseUrl,
  type PostgresUrl,
  type SqliteUrl,
} from "./database_url.ts";
import { isDamaged, storeError } from "./fault.ts";
import type { Migration } from "./migrations.ts";
import type { Store } from "./store.ts";

/** How to open a store. */
export interface OpenStoreOptions {
  /** The state folder: SQLite's file is below it. */
  readonly folder: string;
  /** The program's version: the database notes which one made its tables. */
  readonly program: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of a connection that was lost. */
  readonly lost?: (detail: string) => void;
  /** Other steps, for tests. */
  readonly migrations?: readonly Migration[];
}

/**
 * Opens the store and brings its tables up to date.
 *
 * @param url `sqlite:FILE` or `postgres://…`.
 * @param options Folder, version and clock.
 * @returns The store.
 * @throws {AppError} With the way out.
 */
export async function openStore(
  url: string,
  options: OpenStoreOptions,
): Promise<Store> {
  const parsed = parseDatabaseUrl(url || DEFAULT_DATABASE_URL, options.folder);
  try {
    return parsed.kind === "sqlite"
      ? await openFile(parsed, options)
      : await openServer(parsed, options);
  } catch (thrown) {
    throw storeError(thrown, parsed);
  }
}

/**
 * Opens the store for a look: nothing is made and no table changes. Where nothing is kept yet, an empty
 * store in memory answers, so that every question is understood or refused as ever.
 *
 * @param url As for {@linkcode openStore}.
 * @param options As for {@linkcode openStore}.
 * @returns The store.
 * @throws {AppError} With the way out; `conflict` if its tables are of an older version.
 */
export async function openStoreToLook(
  url: string,
  options: OpenStoreOptions,
): Promise<Store> {
  const parsed = parseDatabaseUrl(url || DEFAULT_DATABASE_URL, options.folder);
  try {
    const made = parsed.kind === "postgres" || await isThere(parsed.path);
    if (made && await hasTables(parsed, options)) {
      return await openStore(url, options);
    }
    return await emptyStore(parsed, options);
  } catch (thrown) {
    throw storeError(thrown, parsed);
  }
}

/** An empty file is what a process leaves that was killed right after it had made it. */
async function isThere(path: string): Promise<boolean> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    // What is no plain file is refused when it is opened.
    return !isFile || size > 0;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

async function hasTables(
  url: SqliteUrl | PostgresUrl,
  options: OpenStoreOptions,
): Promise<boolean> {
  const db = url.kind === "sqlite"
    ? await (await import("./sqlite.ts")).openSqlite(url, delay)
    : (await (await import("./postgres.ts")).openPostgres(url, () => {})).db;
  try {
    const { Link } = await import("./link.ts");
    const { refuseOutdated } = await import("./migrate.ts");
    const link = new Link({ url, db, delay });
    return await refuseOutdated(link, options.migrations);
  } finally {
    await db.destroy();
  }
}

async function emptyStore(
  url: SqliteUrl | PostgresUrl,
  options: OpenStoreOptions,
): Promise<Store> {
  const { openMemory } = await import("./sqlite_memory.ts");
  const { fileWatch } = await import("./runners.ts");
  const db = openMemory(delay);
  const memory = { kind: "sqlite", path: "", shown: url.shown } as const;
  return await finish(memory, options, {
    db,
    // No scan is ever written to it, so that no runner of it is.
    watch: fileWatch(""),
    close: () => db.destroy(),
  });
}

/**
 * Checks a store that may not even open.
 *
 * @param url As for {@linkcode openStore}.
 * @param options As for {@linkcode openStore}.
 * @returns What is wrong; empty if nothing is.
 * @throws {AppError} `invalid_arguments` if the address itself is wrong.
 */
export async function checkStoreAt(
  url: string,
  options: OpenStoreOptions,
): Promise<StoreProblem[]> {
  parseDatabaseUrl(url || DEFAULT_DATABASE_URL, options.folder);
  try {
    await using store = await openStoreToLook(url, options);
    return await store.check();
  } catch (thrown) {
    const { message, detail } = toAppError(thrown);
    const [problem, way] = message.split(/: |; /).slice(1);
    const { ASIDE } = await import("./check.ts");
    return [{
      check: "opening the store",
      problem: detail === undefined ? problem ?? message : detail,
      // Whoever is told by the check itself is not sent to it.
      way: isDamaged(detail) ? ASIDE : way ?? message,
    }];
  }
}

async function openFile(
  url: SqliteUrl,
  options: OpenStoreOptions,
): Promise<Store> {
  const { openSqlite } = await import("./sqlite.ts");
  const { fileWatch } = await import("./runners.ts");
  const db = await openSqlite(url, delay);
  return await finish(url, options, {
    db,
    watch: fileWatch(url.path),
    close: () => db.destroy(),
  });
}

async function openServer(
  url: PostgresUrl,
  options: OpenStoreOptions,
): Promise<Store> {
  const { openPostgres } = await import("./postgres.ts");
  const { connectionWatch } = await import("./runners.ts");
  const { db, pool } = await openPostgres(url, (error) => {
    options.lost?.(storeError(error, url).detail ?? "");
  });
  return await finish(url, options, {
    db,
    watch: connectionWatch(pool),
    close: () => db.destroy(),
  });
}

async function finish(
  url: SqliteUrl | PostgresUrl,
  options: OpenStoreOptions,
  { db, watch, close }: {
    readonly db: Awaited<
      ReturnType<typeof import("./sqlite.ts").openSqlite>
    >;
    readonly watch: import("./runners.ts").Watch;
    readonly close: () => Promise<void>;
  },
): Promise<Store> {
  const { Link } = await import("./link.ts");
  const { migrate } = await import("./migrate.ts");
  const { Store } = await import("./store.ts");
  const link = new Link({ url, db, delay });
  try {
    await migrate(link, options);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return new Store({ link, watch, now: options.now, close });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
