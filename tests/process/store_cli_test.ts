/**
 * `deno task store` with the flags of its task: sound and damaged databases, retention, and the
 * commands of the history on PostgreSQL.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { startPostgres } from "../support/postgres.ts";
import { Desk, hostXml, nmapXml } from "./fixtures/history_commands.ts";
import { verifies } from "../requirements.ts";

/**
 * Imports scans of given ages in days; gives their ids. An imported scan ages from its import, so that
 * the import is put back to the time of the scan.
 */
async function aged(
  desk: Desk,
  days: readonly number[],
  args: readonly string[] = [],
): Promise<string[]> {
  const now = Math.floor(Date.now() / 1_000);
  const files = await Promise.all(
    days.map((age, at) =>
      desk.write(
        `aged-${age}-${at}.xml`,
        nmapXml(hostXml(`10.0.0.${age % 250}`, [80]), {
          start: now - age * 86_400 - 3_600,
        }),
      )
    ),
  );
  const ids = await desk.import(files, args);
  using database = new DatabaseSync(`${desk.state}/scans.db`);
  database.exec("update scans set queued_at = started_at");
  return ids;
}

Deno.test("store check finds a sound store sound, and makes none where there is none", async () => {
  verifies("store.check");
  await using desk = await Desk.make();
  const none = await desk.json("store", ["check"]);
  assert.deepEqual(none, { ok: true, exists: false, problems: [] });
  await assert.rejects(
    Deno.stat(`${desk.state}/scans.db`),
    Deno.errors.NotFound,
  );
  await aged(desk, [1]);
  const { code, out } = await desk.run("store", ["check"]);
  assert.deepEqual([code, out], [0, "sound: sqlite:scans.db\n"]);
});

/** Ways to spoil a database, and what is said of it. */
const SPOILED: readonly (readonly [
  name: string,
  spoil: (path: string) => Promise<void>,
  message: RegExp,
])[] = [
  [
    "another file",
    (path) => Deno.writeTextFile(path, "this is no database\n".repeat(500)),
    /file is not a database[\s\S]*way out: .*aside/,
  ],
  [
    "pages of noise",
    async (path) => {
      using file = await Deno.open(path, { write: true });
      await file.seek(4_096 * 3, Deno.SeekMode.Start);
      await file.write(new Uint8Array(4_096 * 20).fill(0xa5));
    },
    /way out: /,
  ],
  [
    "a newer database",
    (path) => {
      using database = new DatabaseSync(path);
      database.exec(
        "insert into store_schema select 9999, name, checksum, applied_at, '9.9.9' from store_schema limit 1",
      );
      return Promise.resolve();
    },
    /version 9999 \(made by 9\.9\.9\)[\s\S]*way out: start the newer program/,
  ],
];

/** Commands that only look. */
const LOOKS: readonly (readonly [task: string, ...args: string[]])[] = [
  ["history", "list"],
  ["history", "inventory"],
  ["history", "search", "nginx"],
  ["report", "--tag", "nix"],
  ["store", "stats"],
  ["store", "check"],
];

function tablesOf(path: string): readonly unknown[] {
  using database = new DatabaseSync(path);
  return ["store_schema", "sqlite_schema"].map((table) =>
    database.prepare(`select * from ${table}`).all()
  );
}

Deno.test("a look makes no database and brings none up to date", async () => {
  verifies("store.only_looks");
  await using desk = await Desk.make();
  const path = `${desk.state}/scans.db`;
  const empty = await Promise.all(
    LOOKS.map(([task, ...args]) => desk.run(task, args)),
  );
  assert.deepEqual(empty.map(({ code }) => code), [0, 0, 0, 2, 0, 0]);
  assert.match(empty[0]?.out ?? "", /^no scan is kept yet: /);
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);

  await aged(desk, [1]);
  {
    using database = new DatabaseSync(path);
    database.exec(
      "delete from store_schema where version = (select max(version) from store_schema)",
    );
  }
  const before = tablesOf(path);
  for (const [task, ...args] of LOOKS) {
    const { code, out, err } = await desk.run(task, args);
    assert.notEqual(code, 0, `${task} ${args[0]}: ${out}`);
    assert.match(
      out + err,
      /start the server once/,
      `${task} ${args[0]}: ${out}${err}`,
    );
  }
  assert.deepEqual(tablesOf(path), before);
});

Deno.test("store check says what is wrong with a spoiled store and the way out, with 1", async () => {
  verifies("store.check");
  for (const [name, spoil, message] of SPOILED) {
    await using desk = await Desk.make();
    await aged(desk, [1, 2, 3]);
    await spoil(`${desk.state}/scans.db`);
    const { code, out, err } = await desk.run("store", ["check"]);
    assert.equal(code, 1, `${name}: ${out}${err}`);
    assert.match(out, /^NOT SOUND: sqlite:scans\.db\n/, name);
    assert.match(out, message, name);
    const json = await desk.run("store", ["check", "--json"]);
    assert.equal(json.code, 1);
    assert.equal(JSON.parse(json.out).ok, false);
    // The others refuse as clearly or show what is sound, and none of them makes it worse.
    const before = await Deno.readFile(`${desk.state}/scans.db`);
    for (const [task, ...args] of LOOKS) {
      const look = await desk.run(task, args);
      if (look.code === 0) continue;
      assert.match(
        look.out + look.err,
        /Cannot [^;]*: .*; |way out: /,
        `${name}: ${task}`,
      );
      assert.doesNotMatch(look.err, /internal/, `${name}: ${task}`);
    }
    assert.deepEqual(
      (await Deno.readFile(`${desk.state}/scans.db`)).length,
      before.length,
    );
  }
});

Deno.test("store stats says what is in it", async () => {
  await using desk = await Desk.make();
  await aged(desk, [1, 2]);
  const found = await desk.json("store", ["stats"]);
  assert.deepEqual(
    [found.database, found.scans.succeeded, found.hosts, found.services],
    ["sqlite:scans.db", 2, 2, 2],
  );
  assert.ok(found.bytes_on_disk > 0);
  const { out } = await desk.run("store", ["stats"]);
  assert.match(out, /^scans +2, 2 succeeded$/m);
});

Deno.test("store prune removes by age, keeps tags, says before what would go, and is recorded", async () => {
  verifies("store.prune");
  await using desk = await Desk.make();
  const [old = "", middle = "", young = ""] = await aged(desk, [100, 50, 2]);
  const [kept = ""] = await aged(desk, [200], ["--tag", "evidence"]);
  const rules = ["--max-age-days", "30", "--keep-tag", "evidence"];
  const dry = await desk.json("store", ["prune", "--dry-run", ...rules]);
  assert.equal(dry.removed, false);
  const idsOf = (found: { scans: { scan_id: string; why: string }[] }) =>
    found.scans.map(({ scan_id, why }) => [scan_id, why]);
  assert.deepEqual(idsOf(dry), [[old, "age"], [middle, "age"]]);
  const listed = async () =>
    (await desk.json("history", ["list"])).scans
      .map(({ scan_id }: { scan_id: string }) => scan_id);
  assert.equal((await listed()).length, 4);
  assert.deepEqual(await desk.audited("delete"), []);
  const done = await desk.json("store", ["prune", ...rules]);
  assert.equal(done.removed, true);
  assert.deepEqual(idsOf(done), idsOf(dry));
  assert.deepEqual(await listed(), [young, kept]);
  const [request, decision] = await desk.audited("delete");
  assert.deepEqual(
    (request?.["arguments"] as { ids: string[] }).ids,
    [old, middle],
  );
  assert.deepEqual(
    [decision?.["outcome"], decision?.["rule"]],
    ["allowed", "retention"],
  );
  const again = await desk.run("store", ["prune", ...rules]);
  assert.deepEqual(
    [again.code, again.out],
    [0, "nothing is too old or too much: nothing goes\n"],
  );
  assert.equal((await desk.run("store", ["check"])).code, 0);
});

Deno.test("store prune takes its bounds from the configuration, and wants one", async () => {
  await using desk = await Desk.make();
  await aged(desk, [100]);
  const { code, err } = await desk.run("store", ["prune"]);
  assert.equal(code, 2);
  assert.match(err, /there is no bound.*--max-age-days or --max-bytes/);
  const env = {
    MCP_RETENTION_MAX_AGE_DAYS: "30",
    MCP_RETENTION_KEEP_TAGS: "evidence",
  };
  const dry = await desk.run("store", ["prune", "--dry-run"], { env });
  assert.match(dry.out, /would remove 1 scan and 2? ?\d* ?entr(?:y|ies) of/);
});

Deno.test("store prune removes nothing that it cannot record", async () => {
  verifies("store.prune");
  await using desk = await Desk.make();
  const [id] = await aged(desk, [100]);
  await Deno.remove(`${desk.state}/audit`, { recursive: true });
  await Deno.writeTextFile(`${desk.state}/audit`, "");
  const { code } = await desk.run("store", ["prune", "--max-age-days", "1"]);
  assert.notEqual(code, 0);
  const { scans } = await desk.json("history", ["list"]);
  assert.deepEqual(scans.map((one: { scan_id: string }) => one.scan_id), [id]);
});

Deno.test("the commands of the history work on PostgreSQL with one right more, and say which", async () => {
  await using server = await startPostgres();
  await using desk = await Desk.make();
  const url = await server.fresh();
  const env = { MCP_DATABASE_URL: url };
  const file = await desk.write("a.xml", nmapXml(hostXml("10.0.0.1", [80])));
  const without = await desk.run("import", [file], { env });
  assert.equal(without.code, 3);
  assert.match(
    without.err,
    new RegExp(`start it with --allow-net=127\\.0\\.0\\.1:${server.port}`),
  );
  const edit = ([run = "", ...args]: readonly string[]) => [
    run,
    `--allow-net=127.0.0.1:${server.port}`,
    ...args,
  ];
  const options = { env, edit };
  const fresh = await desk.run("history", ["list"], options);
  assert.deepEqual([fresh.code, fresh.err], [0, ""]);
  assert.match(fresh.out, /^no scan is kept yet: /);
  const done = await desk.run("import", [file, "--json"], options);
  assert.equal(done.code, 0, done.out + done.err);
  const [{ scan_id }] = JSON.parse(done.out).files;
  const runs: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["import", [file], /known: the history has it/],
    ["history", ["list"], new RegExp(`^${scan_id} `, "m")],
    ["history", ["show", scan_id], /10\.0\.0\.1 +80\/tcp +open/],
    ["history", ["search", "nginx"], /nginx 1\.18/],
    ["report", [scan_id, "--format", "markdown"], /^# Scan report/],
    ["store", ["check"], /^sound: postgres:/],
    ["store", ["stats"], /^scans +1, 1 succeeded$/m],
    ["store", ["prune", "--max-bytes", "1"], /^removed 1 scan/m],
  ];
  for (const [task, args, expected] of runs) {
    const { code, out, err } = await desk.run(task, args, options);
    assert.equal(code, 0, `${task} ${args.join(" ")}: ${out}${err}`);
    assert.match(out, expected);
    assert.ok(!(out + err).includes("p%40ss"), "the password was told");
  }
});
