/**
 * Opens the file of SQLite.
 *
 * Write-ahead log with `synchronous = full`: a scan that was acknowledged outlives a loss of power,
 * not only a killed process. Findings are written in batches, so the sync is paid once for hundreds
 * of them. `VACUUM` is refused by Deno, hence `auto_vacuum = incremental`, which has to be chosen
 * before the first table. No memory map: a file that is cut short under one ends the process.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { CompiledQuery, Kysely } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { SqliteUrl } from "./database_url.ts";
import { sqliteDialect } from "./sqlite_dialect.ts";
import type { Tables } from "./tables.ts";

/** Milliseconds that a call itself waits for another process. The program stands still meanwhile. */
const BUSY_TIMEOUT_MS = 20;

const PRAGMAS = [
  "auto_vacuum = incremental",
  "journal_mode = wal",
  "synchronous = full",
  "foreign_keys = on",
  "trusted_schema = off",
  "cell_size_check = on",
  "temp_store = memory",
  "cache_size = -32768",
  "journal_size_limit = 67108864",
] as const;

/**
 * Opens the database, making its file if need be, for its owner only.
 *
 * @param url The file.
 * @param delay Waits some milliseconds.
 * @returns The database.
 * @throws {AppError} `tool_unavailable` if something else than a plain file is there.
 */
export async function openSqlite(
  url: SqliteUrl,
  delay: (ms: number) => Promise<void>,
): Promise<Kysely<Tables>> {
  const folder = url.path.slice(0, url.path.lastIndexOf("/"));
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  await refuseNoFile(url);
  const file = await Deno.open(url.path, {
    read: true,
    append: true,
    create: true,
    mode: 0o600,
  });
  file.close();
  const database = new DatabaseSync(url.path, { timeout: BUSY_TIMEOUT_MS });
  const db = new Kysely<Tables>({
    dialect: sqliteDialect({ database, delay }),
  });
  try {
    for (const pragma of PRAGMAS) {
      await db.executeQuery(CompiledQuery.raw(`pragma ${pragma}`));
    }
  } catch (thrown) {
    await db.destroy();
    throw thrown;
  }
  return db;
}

/**
 * Refuses what is no plain file. A link may lead out of the state folder or be exchanged while the
 * server runs, a pipe would keep the start waiting, and what is written to a device is lost.
 */
async function refuseNoFile({ path, shown }: SqliteUrl): Promise<void> {
  const found = await lstat(path);
  if (found === null || found.isFile) return;
  throw new AppError(
    "tool_unavailable",
    `Cannot use the database "${shown}": it is ${
      kindOf(found)
    } and only a plain file is opened; move it out of the state folder, or name another file in database.url`,
  );
}

async function lstat(path: string): Promise<Deno.FileInfo | null> {
  try {
    return await Deno.lstat(path);
  } catch (thrown) {
    // The first start makes it.
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}

function kindOf(found: Deno.FileInfo): string {
  if (found.isSymlink) return "a symbolic link";
  if (found.isDirectory) return "a folder";
  if (found.isFifo === true) return "a named pipe";
  if (found.isSocket === true) return "a socket";
  return "a device";
}
