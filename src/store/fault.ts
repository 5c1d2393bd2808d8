/**
 * What a database says when it cannot, in words of ours: what is the matter and what to do. Neither
 * the message nor the detail ever holds the password of a connection.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { DatabaseUrl } from "./database_url.ts";

/** A kind of failure, and what to tell of it. */
interface Kind {
  readonly pattern: RegExp;
  readonly why: string;
}

const DAMAGED =
  "the file is no SQLite database or is damaged; deno task store check says where, and moving the file with its -wal and -shm aside lets the server start with an empty history";

/** SQLite's failures come as text: its code is missing from some of them under Deno. */
const SQLITE: readonly Kind[] = [
  {
    pattern:
      /file is not a database|disk image is malformed|vtable constructor failed|malformed database schema|database corruption/i,
    why: DAMAGED,
  },
  {
    pattern: /database or disk is full|\(os error (?:28|122)\)/i,
    why:
      "the disk is full; make room, or remove old scans by retention, and try again",
  },
  {
    // The system's own words come from making the folder and the file: no right, read-only.
    pattern:
      /readonly database|unable to open database file|\(os error (?:1|13|30)\)/i,
    why:
      "its file or folder cannot be written; let the server's user write to the state folder",
  },
  {
    pattern: /database (?:table )?is locked/i,
    why:
      "another process has been writing to it for too long; try again, and end what holds it if it stays so",
  },
  {
    pattern: /disk I\/O error/i,
    why:
      "the disk reports an error; look at the system's log and at deno task store check",
  },
];

const LOCKED = "55P03";

const LACKS_RIGHT =
  "this user lacks a right; let it own the database, or grant it create and usage on the schema";

/** PostgreSQL's failures, by its own code or by the one of the connection. */
const POSTGRES: ReadonlyMap<string, string> = new Map([
  [
    "28P01",
    "the server refuses this user and password; correct them in database.url",
  ],
  [
    "28000",
    "the server does not let this user in from here; look at its pg_hba.conf",
  ],
  ["3D000", "there is no such database; make it with createdb"],
  ["42501", LACKS_RIGHT],
  // Without the use of its only schema there is none to make a table in.
  ["3F000", LACKS_RIGHT],
  [
    "53300",
    "the server has no connection left; raise its max_connections or close others",
  ],
  ["53100", "the server's disk is full; make room and try again"],
  ["57P03", "the server is starting or stopping; try again in a moment"],
  [
    LOCKED,
    "another process has been writing to it for too long; try again, and end what holds it if it stays so",
  ],
  ["57014", "the server ended a query that took too long; narrow the filter"],
  [
    "ECONNREFUSED",
    "nothing listens there; start PostgreSQL or correct the port",
  ],
  ["ENOTFOUND", "that host is not known; correct it in database.url"],
  ["EAI_AGAIN", "that host is not known; correct it in database.url"],
  ["ETIMEDOUT", "it does not answer; look at the network between"],
  ["EHOSTUNREACH", "there is no way to that host; look at the network between"],
  ["ECONNRESET", "the server closed the connection; try again in a moment"],
  ["57P01", "the server closed the connection; try again in a moment"],
]);

/** PostgreSQL's failures that have no code. */
const POSTGRES_TEXTS: readonly Kind[] = [
  {
    pattern: /does not support SSL/i,
    why:
      "the server speaks no TLS; switch it on there, or add ?sslmode=disable to database.url where nobody else can listen",
  },
  {
    pattern: /certificate|self.signed|UnknownIssuer|altnames|NotValidForName/i,
    why:
      "the server's certificate cannot be checked; name its issuer with ?sslrootcert=FILE in database.url",
  },
  {
    pattern: /timeout (?:exceeded|expired)|connection timeout/i,
    why:
      "it does not answer in time; look at the network between and at its load",
  },
  {
    pattern: /password must be a string/i,
    why: "the server asks for a password and database.url has none",
  },
  {
    pattern:
      /connection terminated|not queryable|connection (?:error|ended)|after calling end/i,
    why: "the connection was lost; try again in a moment",
  },
];

/** A failure that going on may mend: the caller tries the same again. */
const PASSING = new Set(["40001", "40P01"]);

/**
 * Makes an error of whatever a database threw.
 *
 * @param thrown What was caught.
 * @param url The database.
 * @returns The same error if it is one of ours; `tool_unavailable` with the way out for what lies
 * outside of this program, `internal` for what it did not expect.
 */
export function storeError(thrown: unknown, url: DatabaseUrl): AppError {
  if (thrown instanceof AppError) return thrown;
  const why = reasonOf(thrown, url);
  return new AppError(
    why === null ? "internal" : "tool_unavailable",
    `Cannot use the database "${url.shown}": ${
      why ?? "the database reports a fault; see the server log"
    }`,
    { detail: withoutSecret(detailOf(thrown), url) },
  );
}

/** Tells whether SQLite found somebody else writing. */
export function isBusy(thrown: unknown): boolean {
  return thrown instanceof Error &&
    /database (?:table )?is locked/i.test(thrown.message);
}

/** Tells whether PostgreSQL would not wait any longer for what others have. */
export function isLocked(thrown: unknown): boolean {
  return codeOf(thrown) === LOCKED;
}

/** Tells whether the same transaction may well succeed when it is tried again. */
export function isPassing(thrown: unknown): boolean {
  return PASSING.has(codeOf(thrown));
}

/** Tells whether a database's file is not what it should be. */
export function isDamaged(thrown: unknown): boolean {
  return SQLITE[0]?.pattern.test(detailOf(thrown)) ?? false;
}

function reasonOf(thrown: unknown, url: DatabaseUrl): string | null {
  const text = detailOf(thrown);
  if (thrown instanceof Deno.errors.NotCapable) return permission(text, url);
  if (url.kind === "sqlite") {
    return SQLITE.find(({ pattern }) => pattern.test(text))?.why ?? null;
  }
  return POSTGRES.get(codeOf(thrown)) ??
    POSTGRES_TEXTS.find(({ pattern }) => pattern.test(text))?.why ?? null;
}

function permission(text: string, url: DatabaseUrl): string {
  if (/env access/.test(text)) {
    return "the driver of PostgreSQL looks for variables that it is not let read; start the server with --ignore-env besides its --allow-env";
  }
  if (url.kind === "postgres" && /net access/.test(text)) {
    return `the server may not reach it; start it with --allow-net=${url.host}:${url.port}`;
  }
  return url.kind === "postgres"
    ? "the certificate of sslrootcert may not be read; put it below a folder of --allow-read"
    : "its file may not be read or written; start the server with --allow-read and --allow-write of the state folder";
}

function codeOf(thrown: unknown): string {
  if (typeof thrown !== "object" || thrown === null) return "";
  const { code, errors } = thrown as { code?: unknown; errors?: unknown };
  if (typeof code === "string" && code !== "") return code;
  // A host of several addresses fails with one error for each.
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors[0]) : "";
}

function detailOf(thrown: unknown): string {
  return thrown instanceof Error
    ? `${thrown.name}: ${thrown.message}`
    : String(thrown);
}

function withoutSecret(text: string, url: DatabaseUrl): string {
  if (url.kind === "sqlite" || url.password === "") return text;
  return text.replaceAll(url.password, "…")
    .replaceAll(encodeURIComponent(url.password), "…");
}
