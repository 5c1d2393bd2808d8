/**
 * The store on both databases: the suite they share, and how each of them fails.
 *
 * @module
 */
import { openStore } from "@/store/open.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";
import { startRelay } from "../support/relay.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { type Apart, type Bench, inTime, NOON, opener } from "./store_cases.ts";
import type { Place } from "./store_child.ts";
import { GROUPS } from "./store_suite.ts";
import { verifies } from "../requirements.ts";

async function tamperFile(path: string, sql: string): Promise<void> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(path, { timeout: 5_000 });
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

/** Without the file there is nothing that others could find locked. */
async function apartFile({ url, folder }: Place): Promise<Apart> {
  const store = await opener({ url, folder })();
  return {
    store,
    lose: async () => {
      for await (const { name } of Deno.readDir(folder)) {
        if (name.includes(".runner-")) await Deno.remove(`${folder}/${name}`);
      }
    },
    mend: () => {},
    [Symbol.asyncDispose]: () => store.close(),
  };
}

/** Most looks at whether the server has let go of the locks. */
const LOOKS_MAX = 50;

/** A connection that is cut has lost its locks, and cannot get them back before it is mended. */
async function apartServer(
  server: PostgresServer,
  { url, folder }: Place,
): Promise<Apart> {
  const relay = startRelay(server.port);
  const store = await openStore(
    url.replace(`:${server.port}/`, `:${relay.port}/`),
    { folder, program: "1.0.0", now: () => NOON },
  );
  return {
    store,
    lose: async () => {
      relay.cut();
      for (let looks = 0; looks < LOOKS_MAX; looks++) {
        const held = await server.sql(
          "postgres",
          "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'",
        );
        if (held.trim() === "") return;
      }
      throw new Error("Cannot take the locks away: they are held on");
    },
    mend: () => relay.mend(),
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await relay[Symbol.asyncDispose]();
    },
  };
}

for (const [group, cases] of Object.entries(GROUPS)) {
  Deno.test(`the store's suite on SQLite: ${group}`, async (t) => {
    verifies(
      "store.both_databases",
      "store.fence",
      "store.retention_plan",
      "inventory.gone",
      "store.tenants",
      "store.tenant_required",
      "store.cursor_no_leak",
      "store.upgrade_tenants",
      "store.keys",
      "store.approvals",
      "store.kills",
    );
    for (const { name, run } of cases) {
      await using folder = await withTempDir();
      const place = { url: "sqlite:scans.db", folder: folder.path };
      const bench: Bench = {
        ...place,
        open: opener(place),
        tamper: (sql) => tamperFile(`${folder.path}/scans.db`, sql),
        openApart: () => apartFile(place),
      };
      await t.step(name, () => inTime(name, () => run(bench)));
    }
  });

  Deno.test(`the store's suite on PostgreSQL: ${group}`, async (t) => {
    verifies("store.both_databases", "store.keys", "store.approvals");
    await using server = await startPostgres();
    for (const { name, run } of cases) {
      await using folder = await withTempDir();
      const url = await server.fresh();
      const place = { url, folder: folder.path };
      const bench: Bench = {
        ...place,
        open: opener(place),
        tamper: async (sql) => {
          await server.sql(url.slice(url.lastIndexOf("/") + 1), sql);
        },
        openApart: () => apartServer(server, place),
      };
      await t.step(name, () => inTime(name, () => run(bench)));
    }
  });
}
