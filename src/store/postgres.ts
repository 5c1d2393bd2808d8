/**
 * Opens a connection to PostgreSQL through `pg`, which is loaded when it is asked for.
 *
 * `pg` looks for variables such as `PGBINARY` whatever it is told, so a server that uses it is started
 * with `--ignore-env` besides `--allow-env`: what is not listed reads as unset then. Everything that a
 * variable could change is said here.
 *
 * @module
 */
import { Kysely, PostgresDialect, type PostgresPool } from "kysely";
import { AppError } from "@/error/app_error.ts";
import {
  type BoundedClient,
  BoundedPool,
  type DriverPool,
} from "./bounded_pool.ts";
import type { PostgresUrl } from "./database_url.ts";
import type { Tables } from "./tables.ts";

const CONNECTIONS_MAX = 8;
const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;
const LOCK_TIMEOUT_MS = 30_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000;

/** PostgreSQL's numbers of its types of whole numbers that come as text: int8 and numeric. */
const WHOLE = new Set([20, 1700]);

/** As much of `pg` as is used here: it brings no types of its own. */
interface Driver {
  readonly Pool: new (options: Record<string, unknown>) => DriverPool;
  readonly types: {
    getTypeParser(oid: number, format?: string): (text: string) => unknown;
  };
}

/** A connection to a database on a server. */
export interface Postgres {
  readonly db: Kysely<Tables>;
  readonly pool: BoundedPool;
}

/**
 * Opens the database.
 *
 * @param url Where it is.
 * @param lost Hears of a connection that was lost.
 * @returns The database; it has answered once.
 */
export async function openPostgres(
  url: PostgresUrl,
  lost: (error: unknown) => void,
): Promise<Postgres> {
  const { default: driver } = await import("pg") as unknown as {
    default: Driver;
  };
  const driven = new driver.Pool({
    host: url.host,
    port: url.port,
    user: url.user,
    password: url.password,
    database: url.database,
    ssl: await tlsOf(url),
    max: CONNECTIONS_MAX,
    application_name: "security-mcp",
    client_encoding: "UTF8",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf(driver) },
  });
  const pool = new BoundedPool(driven, lost);
  try {
    const client = await pool.connect();
    try {
      await refuseEncoding(client, url);
    } finally {
      client.release();
    }
  } catch (thrown) {
    await pool.end();
    throw thrown;
  }
  // Kysely's type has cursors besides, which nothing here asks for.
  const dialect = new PostgresDialect({
    pool: pool as unknown as PostgresPool,
  });
  return { db: new Kysely<Tables>({ dialect }), pool };
}

function parserOf(driver: Driver): Driver["types"]["getTypeParser"] {
  return (oid, format) =>
    WHOLE.has(oid) && format !== "binary"
      ? Number
      : driver.types.getTypeParser(oid, format);
}

async function tlsOf(
  url: PostgresUrl,
): Promise<false | Record<string, unknown>> {
  if (!url.tls) return false;
  const { rootCertificate } = url;
  return {
    rejectUnauthorized: true,
    ...rootCertificate === null
      ? {}
      : { ca: await Deno.readTextFile(rootCertificate) },
  };
}

/** Any other encoding lacks most of the letters that services answer with. */
async function refuseEncoding(
  client: BoundedClient,
  { shown }: PostgresUrl,
): Promise<void> {
  const { rows } = await client.query<{ encoding: string }>(
    "select current_setting('server_encoding') as encoding",
    [],
  );
  const encoding = rows[0]?.encoding;
  if (encoding === "UTF8") return;
  throw new AppError(
    "conflict",
    `Cannot use the database "${shown}": its encoding is ${encoding}; make it with createdb --encoding=UTF8`,
  );
}
