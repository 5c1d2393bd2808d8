/**
 * Pages of the audit log: newest first, whole, and to each tenant its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AuditEntry } from "@/audit/entry.ts";
import { type PageFilter, readEntries } from "@/audit/page.ts";
import { verifies } from "../../requirements.ts";
import { MemoryFiles } from "./memory_files.ts";
import {
  decision,
  linesOf,
  openLog,
  putLines,
  request,
  WHO,
} from "./samples.ts";

const BLUE = { ...WHO, tenant: "blue", subject: "key:blue" };

const ALL: PageFilter = {
  tenant: "default",
  seesServer: true,
  since: null,
  until: null,
  kind: null,
  scanId: null,
};

const ITS_OWN: PageFilter = { ...ALL, tenant: "blue", seesServer: false };

/** A log over several files in which two tenants and the server take turns. */
async function mixedLog(rounds = 12): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await using log = await openLog(files, { limits: { rotateBytes: 3_000 } });
  await log.append({
    kind: "server_started",
    version: "1.0.0",
    transport: "http",
    sandbox: "none",
    configHash: "a".repeat(64),
    policyHash: null,
  });
  for (let round = 0; round < rounds; round++) {
    await log.append(request(round));
    await log.append({ ...request(100 + round), who: BLUE } as AuditEntry);
    await log.append(decision("allowed", { who: BLUE, scanId: `s-${round}` }));
    await log.append({
      kind: "scan_ended",
      tenant: "blue",
      scanId: `s-${round}`,
      traceId: "0",
      tool: "nmap",
      status: "succeeded",
      code: null,
    });
  }
  return files;
}

/** Whose an entry is, by its text. */
function ownerOf(text: string): string {
  return /"tenant":"([a-z]+)"/.exec(text)?.[1] ?? "the server";
}

/** All pages of so many entries each. */
async function allPages(
  files: MemoryFiles,
  filter: PageFilter,
  limit: number,
): Promise<{ readonly seqs: readonly number[]; readonly pages: number }> {
  const seqs: number[] = [];
  let before: number | null = null;
  for (let pages = 1; pages <= 500; pages++) {
    const page = await readEntries(files, filter, before, limit);
    assert.ok(page.items.length <= limit);
    seqs.push(...page.items.map(({ seq }) => seq));
    if (page.before === null) return { seqs, pages };
    assert.equal(
      page.items.length,
      limit,
      "a page that is not the last is full",
    );
    before = page.before;
  }
  throw new Error("the pages have no end");
}

/** What a filter has to give, by another way. */
function expected(files: MemoryFiles, owners: readonly string[]): number[] {
  return linesOf(files).filter(({ text }) => owners.includes(ownerOf(text)))
    .map(({ text }) => (JSON.parse(text) as { seq: number }).seq).reverse();
}

Deno.test("readEntries() gives the newest first, over all files, whatever the size of a page", async () => {
  verifies("audit.page");
  const files = await mixedLog();
  assert.ok(files.files.size > 4, "the log has one file only");
  const wanted = expected(files, ["default", "the server"]);
  for (const limit of [1, 2, 3, 7, 1_000]) {
    const { seqs, pages } = await allPages(files, ALL, limit);
    assert.deepEqual(seqs, wanted, `${limit} a page`);
    assert.equal(pages, Math.max(1, Math.ceil(wanted.length / limit)));
  }
});

Deno.test("readEntries() never mixes tenants, and shows the server's entries to the house alone", async () => {
  verifies("audit.page");
  const files = await mixedLog();
  for (const limit of [1, 5, 1_000]) {
    const { seqs } = await allPages(files, ITS_OWN, limit);
    assert.deepEqual(seqs, expected(files, ["blue"]), `${limit} a page`);
  }
  const { items } = await readEntries(files, ITS_OWN, null, 1_000);
  assert.equal(items.length, 36);
  for (const { text } of items) assert.equal(ownerOf(text), "blue");
  const { items: house } = await readEntries(files, ALL, null, 1_000);
  assert.ok(house.every(({ text }) => ownerOf(text) !== "blue"));
  assert.ok(house.some(({ kind }) => kind === "server_started"));
  assert.ok(house.some(({ kind }) => kind === "checkpoint"));
  for (const tenant of ["green", "", "blu", "__proto__"]) {
    const nobody = { ...ITS_OWN, tenant };
    const page = await readEntries(files, nobody, null, 1_000);
    assert.deepEqual(page, { items: [], before: null }, tenant);
  }
});

Deno.test("an entry that names no tenant is the server's, whatever its arguments say", async () => {
  verifies("audit.page");
  const files = new MemoryFiles();
  {
    await using log = await openLog(files);
    const forged = { who: { tenant: "blue" }, tenant: "blue" };
    for (const number of [1, 2]) {
      await log.append({ ...request(number), arguments: forged } as AuditEntry);
    }
  }
  // The second is as the log had it before there were tenants.
  const lines = linesOf(files);
  const old = lines.findLast(({ text }) => text.includes('"kind":"request"'));
  assert.ok(old !== undefined);
  const text = old.text.replace(
    '"subject":"key:tester","tenant":"default",',
    "",
  );
  assert.notEqual(text, old.text);
  putLines(files, lines.map((line) => line === old ? { ...old, text } : line));
  const requests = async (filter: PageFilter) =>
    (await readEntries(files, { ...filter, kind: "request" }, null, 10)).items
      .length;
  assert.equal(await requests(ALL), 2);
  assert.equal(await requests({ ...ALL, seesServer: false }), 1);
  assert.equal(await requests(ITS_OWN), 0);
});

Deno.test("readEntries() goes on where a page ended, although entries were added since", async () => {
  const files = await mixedLog(4);
  const first = await readEntries(files, ITS_OWN, null, 5);
  const rest = expected(files, ["blue"]).slice(5);
  {
    await using log = await openLog(files);
    for (let at = 0; at < 5; at++) {
      await log.append({ ...request(at), who: BLUE } as AuditEntry);
    }
  }
  const second = await readEntries(files, ITS_OWN, first.before, 1_000);
  assert.deepEqual(second.items.map(({ seq }) => seq), rest);
  assert.equal(second.before, null);
});

Deno.test("readEntries() narrows by kind, scan and time, from a time on and before another", async () => {
  const files = await mixedLog();
  const { items: all } = await readEntries(files, ITS_OWN, null, 1_000);
  const read = async (change: Partial<PageFilter>) =>
    (await readEntries(files, { ...ITS_OWN, ...change }, null, 1_000)).items;
  assert.equal((await read({ kind: "scan_ended" })).length, 12);
  assert.deepEqual(
    (await read({ scanId: "s-3" })).map(({ kind }) => kind),
    ["scan_ended", "decision"],
  );
  assert.deepEqual(await read({ kind: "nonsense" }), []);
  const [since, until] = [all[20]?.time ?? "", all[4]?.time ?? ""];
  const within = await read({ since, until });
  assert.deepEqual(
    within.map(({ seq }) => seq),
    all.slice(5, 21).map(({ seq }) => seq),
  );
});

Deno.test("readEntries() reads no file that is older than what is asked for", async () => {
  const files = await mixedLog();
  const read = new Set<string>();
  const chunks = files.chunks.bind(files);
  files.chunks = (name) => {
    read.add(name);
    return chunks(name);
  };
  const { items } = await readEntries(files, ITS_OWN, null, 1);
  assert.equal(read.size, 1, "a page of one takes one file");
  read.clear();
  await readEntries(
    files,
    { ...ITS_OWN, since: items[0]?.time ?? "" },
    null,
    99,
  );
  assert.ok(read.size <= 2, `${read.size} files`);
});

Deno.test("readEntries() leaves damaged lines out and gives all others", async () => {
  const files = await mixedLog(3);
  const lines = linesOf(files);
  const wanted = expected(files, ["blue"]);
  const seqOf = (text: string) => (JSON.parse(text) as { seq: number }).seq;
  const blue = lines.filter(({ text }) => ownerOf(text) === "blue");
  const [bent, cut, ...others] = blue;
  assert.ok(bent !== undefined && cut !== undefined && others.length > 0);
  putLines(
    files,
    lines.map((line) =>
      line === bent
        ? {
          ...line,
          text: line.text.replace('"tenant":"blue"', '"tenant": "blue"'),
        }
        : line === cut
        ? { ...line, text: line.text.slice(0, 80) }
        : line
    ),
  );
  const last = [...files.files.keys()].filter((name) => name.endsWith(".jsonl"))
    .sort().at(-1) ?? "";
  // A torn write, and what is no text at all.
  files.put(
    last,
    `${files.text(last)}\u00ff\u0000\n{"seq":1}\n\n${others[0]?.text}`,
  );
  const { items } = await readEntries(files, ITS_OWN, null, 1_000);
  const gone = [seqOf(bent.text), seqOf(cut.text)];
  assert.deepEqual(
    items.map(({ seq }) => seq),
    wanted.filter((seq) => !gone.includes(seq)),
  );
});

Deno.test("readEntries() goes on without a file that was removed meanwhile", async () => {
  const files = await mixedLog();
  const listed = await files.list();
  const [oldest = ""] = listed.filter((name) => name.endsWith(".jsonl")).sort();
  files.list = () => Promise.resolve(listed);
  files.files.delete(oldest);
  const { items } = await readEntries(files, ITS_OWN, null, 1_000);
  assert.deepEqual(items.map(({ seq }) => seq), expected(files, ["blue"]));
});

Deno.test("readEntries() of an empty log is an empty page", async () => {
  const page = await readEntries(new MemoryFiles(), ALL, null, 10);
  assert.deepEqual(page, { items: [], before: null });
});
