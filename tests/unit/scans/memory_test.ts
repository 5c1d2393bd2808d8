/**
 * The store of scans in memory: what it keeps, what it drops, and in which order it tells.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { MemoryScans } from "@/scans/memory.ts";
import { type Scan, SCAN_STATUSES, type ScanStatus } from "@/scans/scan.ts";

/** A scan as it is accepted. */
function scanOf(id: string, change: Partial<Scan> = {}): Scan {
  return {
    id,
    tool: "nmap",
    request: {},
    target: "127.0.0.1",
    status: "queued",
    queuedAt: 1,
    startedAt: null,
    finishedAt: null,
    argv: [],
    targets: [],
    scanType: "",
    progress: null,
    report: null,
    error: null,
    notes: [],
    traceId: "0".repeat(32),
    raw: null,
    rawTruncated: false,
    ...change,
  };
}

const done = (bytes = 0): Partial<Scan> => ({
  status: "succeeded",
  raw: new Uint8Array(bytes),
});

function idsOf(scans: MemoryScans, limit = 100): string[] {
  return scans.list({ limit }).map(({ id }) => id);
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return "no error";
  } catch (thrown) {
    assert.ok(thrown instanceof AppError);
    return thrown.code;
  }
}

Deno.test("MemoryScans replaces a scan and never changes one in place", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 100 });
  const first = scanOf("a");
  scans.create(first);
  const second = scans.update("a", { status: "running" });
  assert.equal(first.status, "queued");
  assert.equal(second.status, "running");
  assert.equal(scans.get("a"), second);
});

Deno.test("MemoryScans refuses an id that exists and tells of one that does not", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 100 });
  scans.create(scanOf("a"));
  assert.equal(codeOf(() => scans.create(scanOf("a"))), "conflict");
  assert.equal(codeOf(() => scans.get("b")), "not_found");
  assert.equal(codeOf(() => scans.update("b", {})), "not_found");
  assert.equal(codeOf(() => scans.get("__proto__")), "not_found");
});

Deno.test("MemoryScans drops the oldest finished scans beyond the number to keep", () => {
  const scans = new MemoryScans({ keep: 2, keepBytes: 100 });
  for (const id of ["a", "b", "c"]) {
    scans.create(scanOf(id));
    scans.update(id, done());
  }
  assert.deepEqual(idsOf(scans), ["c", "b"]);
});

Deno.test("MemoryScans never drops a scan that is alive", () => {
  const scans = new MemoryScans({ keep: 1, keepBytes: 100 });
  for (const id of ["a", "b", "c"]) scans.create(scanOf(id));
  assert.deepEqual(idsOf(scans), ["c", "b", "a"]);
  assert.equal(scans.alive, 3);
  scans.update("b", done());
  assert.deepEqual(idsOf(scans), ["c", "a"]);
  assert.equal(scans.alive, 2);
});

Deno.test("MemoryScans keeps raw output within its number of bytes", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 100 });
  for (const id of ["a", "b", "c"]) {
    scans.create(scanOf(id));
    scans.update(id, done(40));
  }
  assert.deepEqual(idsOf(scans), ["c", "b"]);
  // Giving bytes back counts, too.
  scans.update("c", { raw: null });
  scans.create(scanOf("d"));
  scans.update("d", done(60));
  assert.deepEqual(idsOf(scans), ["d", "c", "b"]);
});

Deno.test("MemoryScans takes tighter bounds at once", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 1_000 });
  for (const id of ["a", "b", "c", "d"]) {
    scans.create(scanOf(id));
    scans.update(id, done(40));
  }
  scans.reconfigure({ keep: 3, keepBytes: 90 });
  assert.deepEqual(idsOf(scans), ["d", "c"]);
});

Deno.test("MemoryScans lists by status and tool, newest first", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 100 });
  scans.create(scanOf("a"));
  scans.create(scanOf("b", { tool: "masscan" }));
  scans.create(scanOf("c", { status: "running" }));
  const list = (filter: object) =>
    scans.list({ limit: 10, ...filter }).map(({ id }) => id);
  assert.deepEqual(list({}), ["c", "b", "a"]);
  assert.deepEqual(list({ tool: "masscan" }), ["b"]);
  assert.deepEqual(list({ status: "queued" }), ["b", "a"]);
  assert.deepEqual(list({ before: "c" }), ["b", "a"]);
  assert.deepEqual(list({ limit: 1 }), ["c"]);
});

Deno.test("MemoryScans pages through everything, also what was accepted in the same millisecond", () => {
  const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), {
    maxLength: 12,
  });
  fc.assert(fc.property(ids, fc.integer({ min: 1, max: 4 }), (all, limit) => {
    const scans = new MemoryScans({ keep: 100, keepBytes: 100 });
    for (const id of all) scans.create(scanOf(id));
    const seen: string[] = [];
    for (;;) {
      const last = seen.at(-1);
      const page = scans.list({
        limit,
        ...(last === undefined ? {} : { before: last }),
      });
      if (page.length === 0) break;
      seen.push(...page.map(({ id }) => id));
    }
    assert.deepEqual(seen.toSorted(), all.toSorted());
    assert.equal(new Set(seen).size, seen.length);
  }));
});

Deno.test("MemoryScans matches a model of its bounds", () => {
  type Step = { id: number; status: ScanStatus; bytes: number };
  const step: fc.Arbitrary<Step> = fc.record({
    id: fc.nat({ max: 9 }),
    status: fc.constantFrom(...SCAN_STATUSES),
    bytes: fc.nat({ max: 60 }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const scans = new MemoryScans({ keep: 4, keepBytes: 100 });
    for (const { id, status, bytes } of steps) {
      const change = { status, raw: new Uint8Array(bytes) };
      const kept = idsOf(scans).includes(String(id));
      if (kept) scans.update(String(id), change);
      else scans.create(scanOf(String(id), change));
      const all = scans.list({ limit: 100 });
      const alive = all.filter(({ status }) =>
        status === "queued" || status === "running"
      );
      assert.equal(scans.alive, alive.length);
      const total = all.reduce((sum, { raw }) => sum + (raw?.length ?? 0), 0);
      const within = all.length <= 4 && total <= 100;
      assert.ok(within || all.length === alive.length);
    }
  }));
});
