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
    tenant: "default",
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
    engagement: null,
    tags: [],
    client: null,
    askedBy: null,
    raw: null,
    rawTruncated: false,
    ...change,
  };
}

const done = (bytes = 0): Partial<Scan> => ({
  status: "succeeded",
  raw: new Uint8Array(bytes),
});

/** Every id that these tests use. */
const IDS = [..."0123456789abcd"];

/** The scans that are here, the greatest id first. */
function heldBy(scans: MemoryScans): Scan[] {
  return IDS.toReversed().map((id) => scans.find(id))
    .filter((scan) => scan !== null);
}

function idsOf(scans: MemoryScans): string[] {
  return heldBy(scans).map(({ id }) => id);
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
  assert.equal(scans.find("a"), second);
});

Deno.test("MemoryScans refuses an id that exists and tells of one that does not", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 100 });
  scans.create(scanOf("a"));
  assert.equal(codeOf(() => scans.create(scanOf("a"))), "conflict");
  assert.equal(scans.find("b"), null);
  assert.equal(codeOf(() => scans.update("b", {})), "not_found");
  assert.equal(scans.find("__proto__"), null);
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
  scans.update("b", done());
  assert.deepEqual(idsOf(scans), ["c", "a"]);
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

Deno.test("MemoryScans lets go of a scan that is over, and of no other", () => {
  const scans = new MemoryScans({ keep: 10, keepBytes: 100 });
  scans.create(scanOf("a"));
  scans.remove("a");
  assert.deepEqual(idsOf(scans), ["a"]);
  scans.update("a", done(90));
  scans.remove("a");
  scans.remove("b");
  assert.deepEqual(idsOf(scans), []);
  // The bytes were given back.
  for (const id of ["b", "c"]) scans.create(scanOf(id, done(50)));
  assert.deepEqual(idsOf(scans), ["c", "b"]);
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
      const all = heldBy(scans);
      const alive = all.filter(({ status }) =>
        status === "queued" || status === "running"
      );
      const total = all.reduce((sum, { raw }) => sum + (raw?.length ?? 0), 0);
      const within = all.length <= 4 && total <= 100;
      assert.ok(within || all.length === alive.length);
    }
  }));
});
