/**
 * The work that takes many steps, killed before each of its statements: a killed process leaves rows and
 * counts that agree, and whoever comes after it ends the work.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ScanEnd } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import type { PathsReport, Report } from "@/tools/report.ts";
import { ROOT } from "../support/task.ts";
import {
  type Bench,
  type Case,
  host,
  newScan,
  NOON,
  port,
  report,
} from "./store_cases.ts";
import { type Place, rights } from "./store_child.ts";

/** More rows than go in one transaction, which are 200. */
const ROWS = 201;

/** Most statements of one piece of work: a test that never ends would look like one that waits. */
const STATEMENTS_MAX = 120;

function pathsReport(count: number): PathsReport {
  return {
    kind: "paths",
    partial: false,
    url: "http://10.0.0.1/",
    paths: Array.from({ length: count }, (_, at) => ({
      status: 200,
      size: at,
      untrusted: { path: `/${at}` },
    })),
    totals: { tried: count, words: count },
  };
}

/** What was kept of a scan when its server died. */
const BEFORE: Readonly<Record<"hosts" | "paths", Report>> = {
  hosts: report(
    Array.from(
      { length: ROWS },
      (_, at) =>
        host(`10.7.${at >> 8}.${at & 255}`, [
          port(80, { untrusted: { product: `product ${at}` } }),
        ]),
    ),
    { partial: true },
  ),
  paths: { ...pathsReport(ROWS), partial: true },
};

/** What it finds when it runs again. */
export const ANEW: Readonly<
  Record<"hosts" | "paths", Pick<ScanEnd, "report" | "raw">>
> = {
  hosts: {
    report: report([host("10.8.0.1", [port(22), port(23)])]),
    raw: new TextEncoder().encode("anew"),
  },
  paths: { report: pathsReport(2), raw: new TextEncoder().encode("anew") },
};

/** Runs a process up to a statement and kills it there. @returns Whether it came so far. */
async function killedAt(
  place: Place,
  work: string,
  id: string,
  statement: number,
): Promise<boolean> {
  const child = new Deno.Command("deno", {
    args: [
      "run",
      "--no-prompt",
      "--no-remote",
      "--cached-only",
      "--no-check",
      ...rights(place),
      `${ROOT}tests/process/store_dying.ts`,
      place.url,
      place.folder,
      work,
      id,
      String(statement),
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let said = "";
  // What stands still keeps its output open, so that the first line is all that comes.
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (said === "here\n") child.kill("SIGKILL");
  }
  const { signal } = await child.status;
  assert.equal(signal, said === "here\n" ? "SIGKILL" : null);
  assert.ok(["here\n", "done\n"].includes(said), `it said "${said}"`);
  return said === "here\n";
}

/** A scan that ran under a server that died, and is to run again. */
async function requeued(
  place: Bench,
  store: Store,
  id: string,
  kind: "hosts" | "paths",
): Promise<void> {
  await store.createScan(newScan(id));
  await store.updateScan(id, { status: "running", startedAt: NOON });
  await store.appendFindings(id, BEFORE[kind]);
  await store.appendRaw(id, new TextEncoder().encode("before"));
  await place.tamper(`update scans set requeued = 1 where id = '${id}'`);
}

/** What a scan says that it has, and what it has. */
async function countsOf(
  store: Store,
  id: string,
): Promise<readonly [said: readonly number[], kept: readonly number[]]> {
  const { hostCount, serviceCount, pathCount } = await store.getScan(id);
  const hosts = await pagesOf((page) => store.reportHosts(id, {}, page));
  const paths = await pagesOf((page) => store.reportPaths(id, page));
  const ports = hosts.reduce((sum, one) => sum + one.ports.length, 0);
  return [
    [hostCount, serviceCount, pathCount],
    [hosts.length, ports, paths.length],
  ];
}

async function pagesOf<T>(
  read: (page: { limit: number; cursor?: string }) => Promise<
    { readonly items: readonly T[]; readonly next: string | null }
  >,
): Promise<readonly T[]> {
  const items: T[] = [];
  for (let next: string | null = ""; next !== null;) {
    const page = await read({
      limit: 100,
      ...next === "" ? {} : { cursor: next },
    });
    items.push(...page.items);
    next = page.next;
  }
  return items;
}

async function clearing(place: Bench, kind: "hosts" | "paths"): Promise<void> {
  await using store = await place.open();
  const seen = new Set<string>();
  let statement = 0;
  for (let killed = true; killed; statement++) {
    assert.ok(statement < STATEMENTS_MAX, "the work has no end");
    const id = `${kind}-${statement}`;
    await requeued(place, store, id, kind);
    killed = await killedAt(place, kind, id, statement);
    const [said, kept] = await countsOf(store, id);
    assert.deepEqual(said, kept, `killed before statement ${statement}`);
    assert.deepEqual(await store.check(), [], `statement ${statement}`);
    seen.add(kept.join(" "));
    if (killed) {
      await store.finishScan(id, {
        status: "succeeded",
        finishedAt: NOON + 2,
        ...ANEW[kind],
      });
    }
    const [end] = await countsOf(store, id);
    assert.deepEqual(end, kind === "hosts" ? [1, 2, 0] : [0, 0, 2]);
    const { bytes } = await store.getRaw(id, 0, 100);
    assert.equal(new TextDecoder().decode(bytes), "anew");
    assert.deepEqual(await store.check(), []);
  }
  // Whole, half cleared, empty, and anew: the kills hit every one of these.
  const halves = kind === "hosts"
    ? ["201 201 0", "201 1 0", "201 0 0", "1 0 0", "0 0 0", "1 2 0"]
    : ["0 0 201", "0 0 1", "0 0 0", "0 0 2"];
  assert.deepEqual([...seen], halves);
}

async function removing(place: Bench): Promise<void> {
  await using store = await place.open();
  let statement = 0;
  for (let killed = true; killed; statement++) {
    assert.ok(statement < STATEMENTS_MAX, "the work has no end");
    const id = `gone-${statement}`;
    await requeued(place, store, id, "hosts");
    await store.finishScan(id, { status: "failed", finishedAt: NOON + 1 });
    await place.tamper(`update scans set removing = 1 where id = '${id}'`);
    killed = await killedAt(place, "remove", id, statement);
    assert.deepEqual(await store.check(), [], `statement ${statement}`);
    await assert.rejects(store.getScan(id), { code: "not_found" });
    await store.finishRemovals();
    // Its rows would be rows without a scan now.
    assert.deepEqual(await store.check(), [], `statement ${statement}`);
  }
  assert.ok(statement > 20, `${statement} statements are too few`);
}

/** Each runs on both databases. */
export const KILLS: readonly Case[] = [
  {
    name: "a scan that runs again, killed anywhere while its hosts are cleared",
    run: (place) => clearing(place, "hosts"),
  },
  {
    name: "a scan that runs again, killed anywhere while its paths are cleared",
    run: (place) => clearing(place, "paths"),
  },
  {
    name: "a scan that is removed, killed anywhere on the way",
    run: removing,
  },
];
