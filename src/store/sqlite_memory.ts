/**
 * A database in memory, for a look where nothing is kept yet.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { Kysely } from "kysely";
import { sqliteDialect } from "./sqlite_dialect.ts";
import type { Tables } from "./tables.ts";

/**
 * Makes a database that ends with the process.
 *
 * @param delay Waits some milliseconds.
 * @returns The database, without tables.
 */
export function openMemory(
  delay: (ms: number) => Promise<void>,
): Kysely<Tables> {
  const database = new DatabaseSync(":memory:");
  return new Kysely<Tables>({ dialect: sqliteDialect({ database, delay }) });
}
