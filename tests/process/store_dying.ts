/**
 * A process that stands still for ever before a given statement of its work, so that whoever started it
 * can kill it right there: `store_dying.ts URL FOLDER WORK ID STATEMENT`. It says `here` when it stands,
 * or `done` if the work has fewer statements.
 *
 * @module
 */
import type { KyselyPlugin } from "kysely";
import { parseDatabaseUrl } from "@/store/database_url.ts";
import { finishScan } from "@/store/finish.ts";
import { Link } from "@/store/link.ts";
import { openPostgres } from "@/store/postgres.ts";
import { finishRemovals } from "@/store/retention.ts";
import { rowOf } from "@/store/scan_rows.ts";
import { openSqlite } from "@/store/sqlite.ts";
import { NOON } from "./store_cases.ts";
import { ANEW } from "./store_kills.ts";

const [address = "", folder = "", work = "", id = "", statement = ""] =
  Deno.args;

function say(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
}

/** Nothing of this process moves any more: no timer, no answer of the database. */
function standStill(): never {
  say("here");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  throw new Error("Cannot stand still for ever: somebody woke this process");
}

let left = Number(statement);

/** Sees every statement but those that begin and end a transaction. */
const DYING: KyselyPlugin = {
  transformQuery: ({ node }) => left-- === 0 ? standStill() : node,
  transformResult: ({ result }) => Promise.resolve(result),
};

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const url = parseDatabaseUrl(address, folder);
const db = url.kind === "sqlite"
  ? await openSqlite(url, delay)
  : (await openPostgres(url, () => {})).db;
const dying = new Link({ url, db: db.withPlugin(DYING), delay });
if (work === "remove") await finishRemovals(dying);
else {
  // Whoever runs it, in whose name it goes on: of this look no statement is counted.
  const { runner } = await rowOf(db, id);
  await finishScan(dying, { id, runner: runner ?? 0 }, {
    status: "succeeded",
    finishedAt: NOON + 2,
    ...ANEW[work === "paths" ? "paths" : "hosts"],
  });
}
await db.destroy();
say("done");
