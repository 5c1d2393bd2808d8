/**
 * Reads `database.url`. The password stands in one field that no message and no log shows.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** A database in a file. */
export interface SqliteUrl {
  readonly kind: "sqlite";
  /** Path of the file. */
  readonly path: string;
  /** For messages. */
  readonly shown: string;
}

/** A database on a server. */
export interface PostgresUrl {
  readonly kind: "postgres";
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Whether the connection is encrypted and the server's certificate checked. */
  readonly tls: boolean;
  /** Path of a certificate to check the server's by, besides those that Deno trusts. */
  readonly rootCertificate: string | null;
  /** For messages: without the password. */
  readonly shown: string;
}

/** Where the store is. */
export type DatabaseUrl = SqliteUrl | PostgresUrl;

/** The database where nothing else is configured. */
export const DEFAULT_DATABASE_URL = "sqlite:scans.db";

const URL_LENGTH_MAX = 1_024;

/**
 * Reads the address of a database.
 *
 * @param text `sqlite:FILE` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
 * @param folder The state folder: where the file of SQLite is.
 * @returns The parts.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseDatabaseUrl(text: string, folder: string): DatabaseUrl {
  if (text.length > URL_LENGTH_MAX) {
    throw refuse(`it has more than ${URL_LENGTH_MAX} characters`);
  }
  if (text.startsWith("sqlite:")) return sqliteUrl(text, folder);
  if (/^postgres(?:ql)?:\/\//.test(text)) return postgresUrl(text);
  throw refuse("it begins with neither sqlite: nor postgres://");
}

/** A plain name below the state folder: the right to write ends there. */
function sqliteUrl(text: string, folder: string): SqliteUrl {
  const path = text.slice("sqlite:".length);
  const plain = /^(?:[A-Za-z0-9_][\w.-]*\/)*[A-Za-z0-9_][\w.-]*$/.test(path);
  if (!plain || path.includes("..")) {
    throw refuse(
      "sqlite: is followed by a plain file name below the state folder, such as sqlite:scans.db",
    );
  }
  return { kind: "sqlite", path: `${folder}/${path}`, shown: text };
}

function postgresUrl(text: string): PostgresUrl {
  // The message of URL() would repeat the text, password included.
  const url = URL.canParse(text) ? new URL(text) : null;
  const form = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";
  if (url === null || url.hostname === "" || url.username === "") {
    throw refuse(`it is not of the form ${form}`);
  }
  const database = decoded(url.pathname.slice(1));
  if (database === "" || database.includes("/")) {
    throw refuse(`it names no database; its form is ${form}`);
  }
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? 5432 : Number(url.port);
  return {
    kind: "postgres",
    host,
    port,
    user: decoded(url.username),
    password: decoded(url.password),
    database,
    ...securityOf(url, host),
    shown: `postgres://${url.hostname}:${port}/${url.pathname.slice(1)}`,
  };
}

/**
 * Encrypted and checked, but on loopback. There is no mode in between: an encrypted connection to
 * whoever answers protects nothing.
 */
function securityOf(
  url: URL,
  host: string,
): Pick<PostgresUrl, "tls" | "rootCertificate"> {
  for (const name of url.searchParams.keys()) {
    if (name === "sslmode" || name === "sslrootcert") continue;
    throw refuse("it has a parameter besides sslmode and sslrootcert");
  }
  const mode = url.searchParams.get("sslmode");
  const local = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
  const known = mode === null || mode === "disable" || mode === "verify-full";
  if (!known) {
    throw refuse(
      "its sslmode is neither verify-full (the default) nor disable (the default on loopback)",
    );
  }
  return {
    tls: mode === null ? !local : mode === "verify-full",
    rootCertificate: url.searchParams.get("sslrootcert"),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuse("it has a % that is followed by no two hexadecimal digits");
  }
}

function refuse(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use database.url: ${why}`,
  );
}
