/**
 * What a step of the tables leaves behind it in SQLite when it makes a table anew that others refer to.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { Link } from "@/store/link.ts";
import { migrate } from "@/store/migrate.ts";
import { type Migration, MIGRATIONS } from "@/store/migrations.ts";
import { openSqlite } from "@/store/sqlite.ts";
import { verifies } from "../requirements.ts";
import { withTempDir } from "../support/temp_dir.ts";

const delay = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, ms));

async function withLink(run: (link: Link) => Promise<void>): Promise<void> {
  await using folder = await withTempDir();
  const path = `${folder.path}/scans.db`;
  const url = { kind: "sqlite", path, shown: "sqlite:scans.db" } as const;
  const db = await openSqlite(url, delay);
  try {
    await run(new Link({ url, db, delay }));
  } finally {
    await db.destroy();
  }
}

function apply(link: Link, migrations: readonly Migration[]) {
  return migrate(link, { program: "1.0.0", now: () => 0, migrations });
}

async function rowsOf(link: Link, text: string): Promise<unknown[]> {
  const { rows } = await link.read((db) => sql.raw(text).execute(db));
  return rows.map((row) => ({ ...row as object }));
}

const ORPHAN = "insert into scan_scopes values (99, 'nothing')";

async function refusesOrphans(link: Link): Promise<void> {
  assert.deepEqual(await rowsOf(link, "pragma foreign_keys"), [
    { foreign_keys: 1 },
  ]);
  await assert.rejects(
    link.write((write) => sql.raw(ORPHAN).execute(write)),
    { code: "internal" },
  );
}

Deno.test("a step that makes a table anew keeps its rows and what refers to them, and references are looked after again", async () => {
  verifies("store.upgrade_tenants");
  await withLink(async (link) => {
    assert.deepEqual(await apply(link, MIGRATIONS.slice(0, 4)), [1, 2, 3, 4]);
    await link.write((write) =>
      sql.raw("insert into scopes (kind, name) values ('tag', 'web')")
        .execute(write)
    );
    assert.deepEqual(await apply(link, MIGRATIONS), [5, 6, 7, 8]);
    assert.deepEqual(await rowsOf(link, "select * from scopes order by id"), [
      { id: 1, tenant: "default", kind: "all", name: "" },
      { id: 2, tenant: "default", kind: "tag", name: "web" },
    ]);
    await refusesOrphans(link);
    assert.deepEqual(await rowsOf(link, "pragma foreign_key_check"), []);
    // Numbers go on where they were: one that was given is never given again.
    await link.write((write) =>
      sql.raw(
        "insert into scopes (tenant, kind, name) values ('acme', 'tag', 'web')",
      ).execute(write)
    );
    assert.deepEqual(
      await rowsOf(link, "select id from scopes where tenant = 'acme'"),
      [{ id: 3 }],
    );
    assert.deepEqual(await apply(link, MIGRATIONS), []);
  });
});

Deno.test("a step that makes a table anew and fails leaves all as it was", async () => {
  verifies("store.upgrade_tenants");
  await withLink(async (link) => {
    await apply(link, MIGRATIONS.slice(0, 4));
    const tables = "select name, sql from sqlite_schema order by name";
    const before = await rowsOf(link, tables);
    const broken: Migration = {
      version: 5,
      name: "broken",
      replacesTables: true,
      statements: () => ["drop table scopes", "create tabel scopes"],
    };
    await assert.rejects(apply(link, [...MIGRATIONS.slice(0, 4), broken]));
    assert.deepEqual(await rowsOf(link, tables), before);
    await refusesOrphans(link);
    assert.deepEqual(await apply(link, MIGRATIONS), [5, 6, 7, 8]);
  });
});

/** What is asked of scans, and the index that has to lead there: with any other, a tenant's list takes the longer the more others have. */
const PLANS: readonly (readonly [where: string, index: string])[] = [
  ["tenant = ? order by id desc", "scans_tenant"],
  ["tenant = ? and id < ? order by id desc", "scans_tenant"],
  ["tenant = ? and status = ? order by id desc", "scans_tenant_status"],
  ["tenant = ? and tool = ? order by id desc", "scans_tool"],
  ["tenant = ? and client = ? order by id desc", "scans_client"],
  ["tenant = ? and target_key = ? order by id desc", "scans_target"],
  ["tenant = ? and request_digest = ? order by id desc", "scans_request"],
  [
    "tenant = ? and client = ? and idempotency_key = ?",
    "scans_idempotency",
  ],
  ["tenant = ? and rows_used > 0 order by seq desc", "scans_tenant_seq"],
  ["tenant = ? and status = ? order by +seq desc", "scans_tenant_status"],
  ["tenant = ? and client = ? order by +seq desc", "scans_client"],
  [
    "tenant = ? and status not in ('queued', 'running') order by (case when finished_at > queued_at then finished_at else queued_at end), id",
    "scans_tenant_aged",
  ],
];

Deno.test("every list of scans is led by an index that begins with the tenant", async () => {
  await withLink(async (link) => {
    await apply(link, MIGRATIONS);
    for (const [where, index] of PLANS) {
      const plan = await rowsOf(
        link,
        `explain query plan select * from scans where removing = 0 and ${where} limit 10`
          .replaceAll("?", "'x'"),
      );
      const steps = plan.map((step) => (step as { detail: string }).detail);
      const sorted = where.includes("+") ? 2 : 1;
      assert.equal(steps.length, sorted, `${where}: ${steps.join("; ")}`);
      assert.match(
        steps[0] ?? "",
        new RegExp(`^SEARCH scans USING INDEX ${index} \\(tenant=\\?`),
        where,
      );
    }
  });
});
