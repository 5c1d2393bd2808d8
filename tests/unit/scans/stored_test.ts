/**
 * Scans that last, over a store that a test plays: what is written when, and what happens to a result
 * that the store does not take. The real stores have the suite in `tests/process/store_suite.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import type { Scan } from "@/scans/scan.ts";
import { RETRY_MS, type ScanStore, StoredScans } from "@/scans/stored.ts";
import type { ScanEnd, StoredScan } from "@/store/scan_record.ts";
import type { HostsReport } from "@/tools/report.ts";
import { verifies } from "../../requirements.ts";

const KEYS = { idempotencyKey: null, digest: "d" };

const REPORT: HostsReport = {
  kind: "hosts",
  partial: false,
  hosts: [],
  totals: { up: 0, down: 0, total: 0 },
  tool_version: null,
};

function scanOf(id: string, change: Partial<Scan> = {}): Scan {
  return {
    id,
    tenant: "default",
    tool: "nmap",
    request: { target: "127.0.0.1" },
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
    client: "test",
    askedBy: null,
    raw: null,
    rawTruncated: false,
    ...change,
  };
}

const DONE: Partial<Scan> = {
  status: "succeeded",
  startedAt: 2,
  finishedAt: 3,
  report: REPORT,
  raw: new Uint8Array([1, 2, 3]),
};

/** A store in memory that can be slow or full. */
class FakeStore implements ScanStore {
  readonly kept = new Map<string, StoredScan & { whole: ScanEnd | null }>();
  /** What was asked of it, in order. */
  readonly steps: string[] = [];
  fault: AppError | null = null;
  /** It takes a scan although it says that it could not. */
  takesAllTheSame = false;
  /** The scan whose findings do not fit. */
  unfit = "";
  /** Whoever asks waits for this. */
  gate: Promise<void> = Promise.resolve();

  async createScan(scan: Parameters<ScanStore["createScan"]>[0]) {
    const step = this.#step(`create ${scan.id}`);
    if (this.takesAllTheSame) step.catch(() => {});
    else await step;
    const known = [...this.kept.values()].find(({ idempotencyKey, tenant }) =>
      idempotencyKey !== null && idempotencyKey === scan.idempotencyKey &&
      tenant === scan.tenant
    );
    if (known !== undefined) return { scan: known, created: false };
    const { id, tenant, tool, request, target, queuedAt, traceId } = scan;
    const { askedBy = null } = scan;
    const stored = {
      ...scanOf(id, { tenant, tool, request, target, queuedAt, traceId }),
      askedBy,
      idempotencyKey: scan.idempotencyKey ?? null,
      requestDigest: scan.requestDigest ?? null,
      summary: null,
      rawBytes: 0,
      hostCount: 0,
      serviceCount: 0,
      pathCount: 0,
      requeued: 0,
      report: null,
      whole: null,
    };
    this.kept.set(id, stored);
    await step;
    return { scan: stored, created: true };
  }

  async updateScan(id: string, change: object) {
    await this.#step(`update ${id} ${Object.keys(change).join("+")}`);
    return await this.getScan(id);
  }

  async appendFindings(id: string) {
    await this.#step(`findings ${id}`);
  }

  async finishScan(id: string, end: ScanEnd) {
    await this.#step(`finish ${id} ${end.status} "${end.summary}"`);
    if (this.unfit === id && end.report) throw new TypeError("does not fit");
    const before = await this.getScan(id);
    const { report: _report, raw, ...change } = end;
    const rawBytes = raw?.length ?? 0;
    const after = { ...before, ...change, rawBytes, whole: end };
    this.kept.set(id, after as typeof after & { summary: string });
    return await this.getScan(id);
  }

  async getScan(id: string) {
    await this.gate;
    const scan = this.kept.get(id);
    if (scan === undefined) throw new AppError("not_found", "no such scan");
    return scan;
  }

  async getReport(id: string) {
    this.steps.push(`read ${id}`);
    await this.gate;
    return this.kept.get(id)?.whole?.report ?? null;
  }

  async getRaw(id: string, offset: number, length: number) {
    await this.gate;
    const raw = this.kept.get(id)?.whole?.raw ?? new Uint8Array();
    const bytes = raw.subarray(offset, offset + length);
    return { bytes, offset, total: raw.length, truncated: false };
  }

  async listScans(
    { tenant, requestDigest, status }: Parameters<ScanStore["listScans"]>[0],
    { limit }: { readonly limit: number },
  ) {
    await this.gate;
    const items = [...this.kept.values()].filter((scan) =>
      scan.tenant === tenant &&
      (requestDigest === undefined || scan.requestDigest === requestDigest) &&
      (status === undefined || scan.status === status)
    ).sort((a, b) => a.id < b.id ? 1 : -1).slice(0, limit);
    return { items, next: null };
  }

  async #step(step: string): Promise<void> {
    this.steps.push(step);
    await this.gate;
    if (this.fault !== null) throw this.fault;
  }
}

interface Bench {
  readonly store: FakeStore;
  readonly scans: StoredScans;
  readonly errors: string[];
  /** Scans that another server took over. */
  readonly lost: string[];
  /** Lets the time of the next retry come. */
  readonly tick: () => Promise<void>;
}

function bench(): Bench {
  const store = new FakeStore();
  const errors: string[] = [];
  const timers: (() => void)[] = [];
  const lost: string[] = [];
  const scans = new StoredScans({
    store: () => Promise.resolve(store),
    memory: { keep: 2, keepBytes: 1_000 },
    onLost: (id) => lost.push(id),
    onError: (what, id, { message }) => errors.push(`${what} ${id} ${message}`),
    after: (ms, run) => {
      assert.equal(ms, RETRY_MS);
      timers.push(run);
      return () => void timers.splice(timers.indexOf(run), 1);
    },
  });
  const tick = async () => {
    for (const run of timers.splice(0)) run();
    await settled();
  };
  return { store, scans, errors, lost, tick };
}

/** Lets everything happen that waits for nothing. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

const FULL = new AppError("tool_unavailable", "the disk is full");

Deno.test("a scan is written in order: before it starts, as it goes, at its end", async () => {
  verifies("scans.recorded_first");
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  await scans.start("a", 2);
  scans.update("a", { argv: [["nmap"]], targets: [], scanType: "syn" });
  scans.update("a", {
    progress: { phase: "x", percent: 1, found: 0, remainingSeconds: null },
  });
  scans.found("a", REPORT);
  await settled();
  const ended = await scans.end("a", DONE);
  assert.deepEqual(store.steps, [
    "create a",
    "update a status+startedAt",
    "update a argv+targets+scanType",
    "findings a",
    'finish a succeeded "Done: 0 of 0 hosts up, 0 open ports."',
  ]);
  assert.equal(ended.status, "succeeded");
});

Deno.test("create() rejects what the store does not take, and nothing of it stays", async () => {
  const { store, scans } = bench();
  store.fault = FULL;
  await assert.rejects(scans.create(scanOf("a"), KEYS), FULL);
  store.fault = null;
  await assert.rejects(scans.get("a"), { code: "not_found" });
});

Deno.test("create() gives the scan that the same key made before", async () => {
  const { scans } = bench();
  const keys = { idempotencyKey: "k", digest: "d" };
  await scans.create(scanOf("a"), keys);
  const again = await scans.create(scanOf("b"), keys);
  assert.deepEqual([again.created, again.scan.id], [false, "a"]);
});

Deno.test("an end that the store does not take stays readable and is offered until it is taken", async () => {
  verifies("scans.end_not_lost");
  const { store, scans, errors, tick } = bench();
  await scans.create(scanOf("a"), KEYS);
  store.fault = FULL;
  assert.equal((await scans.end("a", DONE)).status, "succeeded");
  assert.equal(scans.untaken, 1);
  await tick();
  assert.equal(scans.untaken, 1);
  assert.deepEqual(errors, [
    "the end a the disk is full",
    "the end a the disk is full",
  ]);
  // Neither memory's bounds nor the store's older word hide it.
  for (const id of ["b", "c", "d"]) {
    store.fault = null;
    await scans.create(scanOf(id), KEYS);
    store.fault = FULL;
    await scans.end(id, DONE);
  }
  assert.equal((await scans.get("a")).status, "succeeded");
  const listed = await scans.list({ tenant: "default", limit: 10 });
  assert.deepEqual(listed.map(({ status }) => status), [
    "succeeded",
    "succeeded",
    "succeeded",
    "succeeded",
  ]);
  store.fault = null;
  await tick();
  assert.equal(scans.untaken, 0);
  assert.equal(store.kept.get("a")?.status, "succeeded");
  await tick();
  assert.equal(
    store.steps.filter((step) => step.startsWith("finish a")).length,
    3,
  );
});

Deno.test("the end of the process offers what was not taken a last time", async () => {
  verifies("scans.end_not_lost");
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  store.fault = FULL;
  await scans.end("a", DONE);
  store.fault = null;
  await scans[Symbol.asyncDispose]();
  assert.equal(store.kept.get("a")?.status, "succeeded");
});

Deno.test("a slow store holds back no scan and gathers no more findings than it may", async () => {
  verifies("scans.findings_kept");
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  const { promise, resolve } = Promise.withResolvers<void>();
  store.gate = promise;
  for (let count = 0; count < 500; count++) scans.found("a", REPORT);
  await settled();
  const ending = scans.end("a", DONE);
  resolve();
  await ending;
  // One was under way; what waited is in the end.
  assert.deepEqual(store.steps.slice(1).map((step) => step.split(" ")[0]), [
    "findings",
    "finish",
  ]);
});

Deno.test("findings that the store does not take are told of, and the scan goes on", async () => {
  const { store, scans, errors } = bench();
  await scans.create(scanOf("a"), KEYS);
  store.fault = FULL;
  scans.found("a", REPORT);
  await settled();
  store.fault = null;
  await scans.end("a", DONE);
  assert.deepEqual(errors, ["findings a the disk is full"]);
  assert.equal(store.kept.get("a")?.status, "succeeded");
});

Deno.test("get() reads a scan that left memory out of the store, once", async () => {
  const { store, scans } = bench();
  for (const id of ["a", "b", "c"]) {
    await scans.create(scanOf(id), KEYS);
    await scans.end(id, DONE);
  }
  for (let times = 0; times < 3; times++) {
    const scan = await scans.get("a");
    assert.deepEqual([scan.report, scan.raw], [REPORT, DONE.raw]);
  }
  assert.deepEqual(store.steps.filter((step) => step === "read a").length, 1);
  await assert.rejects(scans.get("none"), { code: "not_found" });
});

Deno.test("get() asks again for a scan that is alive in another process", async () => {
  const { store, scans } = bench();
  const elsewhere = bench();
  await elsewhere.scans.create(scanOf("a"), KEYS);
  const [stored] = [...elsewhere.store.kept.values()];
  assert.ok(stored);
  store.kept.set("a", stored);
  assert.equal((await scans.get("a")).status, "queued");
  store.kept.set("a", { ...stored, status: "succeeded" });
  assert.equal((await scans.get("a")).status, "succeeded");
});

Deno.test("answerTo() gives the last success that is young enough", async () => {
  const { scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  await scans.end("a", DONE);
  await scans.create(scanOf("b"), { ...KEYS, digest: "other" });
  await scans.end("b", DONE);
  await scans.create(scanOf("c"), KEYS);
  await scans.end("c", { ...DONE, status: "failed" });
  assert.equal((await scans.answerTo("d", 3, "default"))?.id, "a");
  assert.equal(await scans.answerTo("d", 4, "default"), null);
  assert.equal(await scans.answerTo("unknown", 0, "default"), null);
});

Deno.test("answerTo(), list() and keys are of one tenant", async () => {
  const { store, scans } = bench();
  const keys = { idempotencyKey: "k", digest: "d" };
  const askedBy = {
    kind: "key",
    subject: "key:1",
    roles: ["operator"],
    answered: ["two-persons@1"],
    approval: "apr_1",
  } as const;
  for (const tenant of ["acme", "umbra"]) {
    const scan = scanOf(tenant, { tenant, askedBy });
    assert.equal((await scans.create(scan, keys)).created, true);
    const again = await scans.create(scanOf("b", { tenant }), keys);
    assert.deepEqual([again.created, again.scan.id], [false, tenant]);
    await scans.end(tenant, DONE);
  }
  for (const tenant of ["acme", "umbra"]) {
    assert.equal((await scans.answerTo("d", 0, tenant))?.id, tenant);
    const heads = await scans.list({ tenant, limit: 9 });
    assert.deepEqual(heads.map((head) => [head.id, head.tenant]), [
      [tenant, tenant],
    ]);
    scans.forget([tenant]);
    const { tenant: whose, askedBy: who } = await scans.get(tenant);
    assert.deepEqual([whose, who], [tenant, askedBy]);
  }
  assert.equal(await scans.answerTo("d", 0, "default"), null);
  assert.deepEqual(await scans.list({ tenant: "default", limit: 9 }), []);
  assert.equal(store.kept.size, 2);
});

Deno.test("forget() lets go of what was removed from the store", async () => {
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  await scans.end("a", DONE);
  store.kept.clear();
  scans.forget(["a"]);
  await assert.rejects(scans.get("a"), { code: "not_found" });
});

Deno.test("findings that wait for a slow store are bounded", async () => {
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  const { promise, resolve } = Promise.withResolvers<void>();
  store.gate = promise;
  for (let count = 0; count < 500; count++) scans.found("a", REPORT);
  resolve();
  await settled();
  await scans.end("a", DONE);
  const findings = store.steps.filter((step) => step === "findings a").length;
  assert.equal(findings, 32);
});

Deno.test("start() rejects what is not recorded as running", async () => {
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  store.fault = FULL;
  await assert.rejects(scans.start("a", 2), FULL);
  assert.equal((await scans.get("a")).status, "queued");
});

Deno.test("one end that never fits holds back no other, and is kept without its findings", async () => {
  const { store, scans, tick } = bench();
  for (const id of ["a", "b"]) {
    await scans.create(scanOf(id), KEYS);
    store.fault = FULL;
    await scans.end(id, DONE);
    store.fault = null;
  }
  store.unfit = "a";
  await tick();
  assert.equal(scans.untaken, 0);
  const [a, b] = [store.kept.get("a"), store.kept.get("b")];
  assert.deepEqual([a?.status, a?.whole?.report ?? null], ["succeeded", null]);
  assert.deepEqual(a?.notes, ["the database did not take what was found"]);
  assert.deepEqual(b?.whole?.report, REPORT);
});

Deno.test("a scan that another server took over is told of", async () => {
  const { store, scans, lost } = bench();
  await scans.create(scanOf("a"), KEYS);
  store.fault = new AppError("conflict", "another server has it");
  scans.found("a", REPORT);
  await settled();
  assert.deepEqual(lost, ["a"]);
  await scans.end("a", DONE);
  assert.equal(scans.untaken, 0);
});

Deno.test("a scan whose making was in doubt does not wait in the store for ever", async () => {
  const { store, scans, tick } = bench();
  // The store takes it and its answer is lost.
  store.fault = FULL;
  store.takesAllTheSame = true;
  await assert.rejects(scans.create(scanOf("a"), KEYS), FULL);
  store.fault = null;
  assert.equal(store.kept.get("a")?.status, "queued");
  await tick();
  assert.equal(store.kept.get("a")?.status, "failed");
});

Deno.test("what never started gives its idempotency key back", async () => {
  const { store, scans } = bench();
  await scans.create(scanOf("a"), KEYS);
  await scans.end("a", { status: "failed", finishedAt: 3 });
  assert.equal(store.kept.get("a")?.whole?.keepsKey, false);
  await scans.create(scanOf("b"), KEYS);
  await scans.end("b", DONE);
  assert.equal(store.kept.get("b")?.whole?.keepsKey, true);
});
