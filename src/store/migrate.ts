/**
 * Brings a database to the present tables: each step in a transaction of its own, under a lock, so
 * that of two processes that open the same database one applies a step and the other finds it done.
 *
 * @module
 */
import { sql } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { Link, Write } from "./link.ts";
import { type Migration, MIGRATIONS } from "./migrations.ts";

/** The number of PostgreSQL's lock: `scan` in ASCII. */
const LOCK = 0x7363616e;

/** What {@linkcode migrate} needs to know. */
export interface MigrateOptions {
  /** The program's version, for the record. */
  readonly program: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** The steps; the tests have others. */
  readonly migrations?: readonly Migration[];
}

/**
 * Applies the steps that are missing.
 *
 * @param link The database.
 * @param options Clock and version.
 * @returns The versions that were applied by this call.
 * @throws {AppError} `conflict` if the database is newer than this program, or a step differs.
 */
export async function migrate(
  link: Link,
  options: MigrateOptions,
): Promise<readonly number[]> {
  const { migrations = MIGRATIONS } = options;
  const applied: number[] = [];
  // Looked at without the lock first: most starts have nothing to do and should wait for nobody.
  if (await isCurrent(link, migrations)) return applied;
  for (const migration of migrations) {
    const done = await withReferences(
      link,
      migration,
      () =>
        link.write(async (write) => {
          await lock(link, write);
          await makeSchemaTable(link, write);
          return await step(link, write, migration, options);
        }),
    );
    if (done) applied.push(migration.version);
  }
  return applied;
}

/** SQLite looks after references or does not, but never changes its mind within a transaction. */
async function withReferences<T>(
  link: Link,
  { replacesTables = false }: Migration,
  work: () => Promise<T>,
): Promise<T> {
  if (link.kind !== "sqlite" || !replacesTables) return await work();
  const set = (to: "off" | "on") =>
    link.read((db) => sql.raw(`pragma foreign_keys = ${to}`).execute(db));
  await set("off");
  try {
    return await work();
  } finally {
    await set("on");
  }
}

/**
 * Finds out whether a database can be read as it is; nothing in it changes.
 *
 * @param link The database.
 * @param migrations The steps; the tests have others.
 * @returns Whether it has tables of this program at all.
 * @throws {AppError} `conflict` if its tables are not the present ones.
 */
export async function refuseOutdated(
  link: Link,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<boolean> {
  const version = await versionOf(link, migrations);
  const own = migrations.at(-1)?.version ?? 0;
  if (version === null || version === own) return version !== null;
  throw new AppError(
    "conflict",
    `Cannot look at the database "${link.shown}": its tables are of version ${version} and this program knows version ${own}; a look changes nothing, so start the server once, which brings them up to date`,
  );
}

async function isCurrent(
  link: Link,
  migrations: readonly Migration[],
): Promise<boolean> {
  const version = await versionOf(link, migrations);
  return version !== null && version === migrations.at(-1)?.version;
}

/** The last step that was applied, or null before the first. */
async function versionOf(
  link: Link,
  migrations: readonly Migration[],
): Promise<number | null> {
  const there = await link.read((db) =>
    link.kind === "sqlite"
      ? sql`select 1 from sqlite_schema where name = 'store_schema'`.execute(db)
      : sql`select 1 where to_regclass('store_schema') is not null`.execute(db)
  );
  if (there.rows.length === 0) return null;
  const rows = await link.read((db) =>
    db.selectFrom("store_schema").selectAll().orderBy("version").execute()
  );
  refuseNewer(link, rows, migrations);
  for (const row of rows) {
    const own = migrations.find(({ version }) => version === row.version);
    if (own !== undefined) await refuseOther(link, row.checksum, own);
  }
  return rows.at(-1)?.version ?? null;
}

/** A SQLite transaction of ours holds the write lock from its start. */
async function lock(link: Link, write: Write): Promise<void> {
  if (link.kind === "sqlite") return;
  await sql`select pg_advisory_xact_lock(${LOCK})`.execute(write);
}

async function makeSchemaTable(link: Link, write: Write): Promise<void> {
  const [whole, text] = link.kind === "sqlite"
    ? ["integer", "text"]
    : ["bigint", "text"];
  await sql.raw(`create table if not exists store_schema (
    version ${whole} not null primary key, name ${text} not null,
    checksum ${text} not null, applied_at ${whole} not null, program ${text} not null
  )`).execute(write);
}

/** Applies one step unless it is there, and tells whether it did. */
async function step(
  link: Link,
  write: Write,
  migration: Migration,
  { program, now, migrations = MIGRATIONS }: MigrateOptions,
): Promise<boolean> {
  const rows = await write.selectFrom("store_schema").selectAll()
    .orderBy("version").execute();
  refuseNewer(link, rows, migrations);
  const { version, name } = migration;
  const row = rows.find((one) => one.version === version);
  if (row !== undefined) {
    await refuseOther(link, row.checksum, migration);
    return false;
  }
  for (const statement of migration.statements(link.kind)) {
    await sql.raw(statement).execute(write);
  }
  await write.insertInto("store_schema").values({
    version,
    name,
    checksum: await checksumOf(link, migration),
    applied_at: now(),
    program,
  }).execute();
  return true;
}

async function checksumOf(link: Link, migration: Migration): Promise<string> {
  const text = migration.statements(link.kind).join(";\n");
  const bytes = new TextEncoder().encode(text);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

function refuseNewer(
  link: Link,
  rows: readonly { readonly version: number; readonly program: string }[],
  migrations: readonly Migration[],
): void {
  const [last, own] = [rows.at(-1), migrations.at(-1)?.version ?? 0];
  if (last === undefined || last.version <= own) return;
  throw new AppError(
    "conflict",
    `Cannot use the database "${link.shown}": its tables are of version ${last.version} (made by ${last.program}) and this program knows version ${own}; start the newer program, or name another database in database.url`,
  );
}

async function refuseOther(
  link: Link,
  checksum: string,
  migration: Migration,
): Promise<void> {
  if (checksum === await checksumOf(link, migration)) return;
  throw new AppError(
    "conflict",
    `Cannot use the database "${link.shown}": step ${migration.version} of its tables is not the one that this program has; start the program that made it, or name another database in database.url`,
  );
}
