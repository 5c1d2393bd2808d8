/**
 * The server is killed a hundred times at any moment, in the middle of its scans. Nothing is lost,
 * nothing is doubled, and the record can still be believed.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { StoredScan } from "@/store/scan_record.ts";
import type { Server } from "../support/server.ts";
import { ask } from "./fixtures/served.ts";
import {
  allScans,
  auditEntries,
  chance,
  type Lasting,
  pause,
  runTask,
  until,
  verifyAudit,
  withLasting,
} from "./fixtures/lasting.ts";
import { verifies } from "../requirements.ts";

const ROUNDS = 100;

/** New calls of one round. */
const CALLS = 4;

/** Kills before the first answer: in the middle of a start and of a recovery. */
const EARLY_MS = 600;

/** Kills after the first answer. */
const LATE_MS = 500;

/** Chance is the same again with the same seed; the moments of the kills are about the same. */
const SEED = Number(Deno.env.get("CRASH_TEST_SEED") ?? Date.now() % 1_000_000);

/** A call, as the client remembers it over all servers. */
interface Asked {
  readonly key: string;
  /** No other call has it: it tells the starts of the tool apart. Its last digit is the scan's length. */
  readonly port: number;
  readonly background: boolean;
  readonly round: number;
  /** The scans that answers named. */
  readonly ids: Set<string>;
  /** What an answer said of the end, once one did. */
  ended: string | null;
}

/** What a scan of the test asks for. */
function argumentsOf({ key, port }: Asked, background: boolean) {
  return {
    target: "127.0.0.0/29",
    ports: String(port),
    idempotency_key: key,
    background,
  };
}

/** Sends a call, and notes the answer if one comes before the server is gone. */
async function send(
  server: Server,
  asked: Asked,
  background: boolean,
): Promise<void> {
  try {
    const { scan_id, status = "", error } = await ask(
      server,
      "nmap",
      argumentsOf(asked, background),
    );
    // An ended scan is an answer, too, and its own error is part of it.
    assert.ok(scan_id, `${asked.key}: ${JSON.stringify(error)}`);
    asked.ids.add(scan_id);
    if (status !== "queued" && status !== "running") asked.ended ??= status;
  } catch (thrown) {
    if (thrown instanceof assert.AssertionError) throw thrown;
    // Killed: nobody answers any more.
  }
}

/** The scans that ran, as the database had them in the moment before a kill. */
type Seen = Map<string, Pick<StoredScan, "hostCount" | "requeued">>;

async function seenSoFar(lasting: Lasting, seen: Seen): Promise<void> {
  await using store = await lasting.store();
  for (const scan of await allScans(store, { status: "running" })) {
    seen.set(scan.id, scan);
  }
}

/** One life of a server. */
async function live(
  lasting: Lasting,
  { fresh, again, env, killAfterMs, early, seen }: {
    readonly fresh: readonly Asked[];
    readonly again: readonly Asked[];
    readonly env: Readonly<Record<string, string>>;
    readonly killAfterMs: number;
    readonly early: boolean;
    /** Takes what the database has right before the kill. */
    readonly seen: Seen | null;
  },
): Promise<void> {
  await using server = lasting.start({ env });
  const killed = early ? pause(killAfterMs) : Promise.resolve();
  const introduced = server.initialize().catch(() => {});
  await Promise.race([introduced, killed]);
  const sent = [
    ...again.map((asked) => send(server, asked, true)),
    ...fresh.map((asked) => send(server, asked, asked.background)),
  ];
  if (early) await killed;
  else {
    await Promise.race(sent);
    await pause(killAfterMs);
  }
  if (seen !== null) await seenSoFar(lasting, seen);
  server.kill("SIGKILL");
  assert.equal((await server.ended).signal, "SIGKILL", server.stderr);
  await Promise.all(sent);
}

/** Whatever the tools were started for, by its port. */
async function startsByPort(lasting: Lasting): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  for (const line of await lasting.copy.starts()) {
    const port = Number(/ -p (\d+) .*-oX/.exec(line)?.[1] ?? NaN);
    if (!Number.isNaN(port)) counts.set(port, (counts.get(port) ?? 0) + 1);
  }
  return counts;
}

/** The scan of each key; there is exactly one. */
function byKey(scans: readonly StoredScan[]): Map<string, StoredScan> {
  const found = new Map<string, StoredScan>();
  for (const scan of scans) {
    const key = scan.idempotencyKey ?? assert.fail(`${scan.id} has no key`);
    assert.ok(!found.has(key), `${key} has two scans`);
    found.set(key, scan);
  }
  return found;
}

/** A scan against what the client was told and what the tool saw. */
function checkScan(asked: Asked, scan: StoredScan, starts: number): void {
  const story = `${asked.key} of round ${asked.round}: ${JSON.stringify(scan)}`;
  assert.deepEqual([...asked.ids], [scan.id], story);
  if (asked.ended !== null) assert.equal(scan.status, asked.ended, story);
  assert.ok(["succeeded", "interrupted"].includes(scan.status), story);
  assert.ok(scan.finishedAt !== null, story);
  const length = asked.port % 10;
  if (scan.status === "succeeded") {
    assert.equal(scan.hostCount, length, story);
    assert.ok(starts >= 1, `${starts} starts, ${story}`);
  } else assert.ok(scan.hostCount <= length, story);
  // What was not queued again on purpose was started once.
  assert.ok(starts <= 1 + scan.requeued, `${starts} starts, ${story}`);
}

Deno.test("a server that is killed a hundred times loses no scan and doubles none", async () => {
  verifies("scans.crash");
  try {
    await killAndCheck();
  } catch (thrown) {
    throw new Error(`Repeat it with CRASH_TEST_SEED=${SEED}`, {
      cause: thrown,
    });
  }
});

async function killAndCheck(): Promise<void> {
  const pick = chance(SEED);
  const seen: Seen = new Map();
  await using lasting = await withLasting("trickle");
  await Deno.remove(`${lasting.copy.path}/gate`);
  const calls: Asked[] = [];
  const why = (round: number) => `round ${round}`;
  for (let round = 0; round < ROUNDS; round++) {
    const fresh = Array.from({ length: CALLS }, (_, at): Asked => ({
      key: `key-${round}-${at}`,
      port: 10_000 + (round * CALLS + at) * 10 + pick(7),
      background: pick(2) === 0,
      round,
      ids: new Set(),
      ended: null,
    }));
    // Whoever had no answer asks again with the same key; some ask again although they had one.
    const again = calls.filter(({ ids }) => ids.size === 0 || pick(40) === 0);
    const early = pick(3) === 0;
    await live(lasting, {
      fresh,
      again,
      early,
      killAfterMs: pick(early ? EARLY_MS : LATE_MS),
      seen: !early && pick(4) === 0 ? seen : null,
      env: { MCP_SCANS_RESUME: round < ROUNDS / 2 ? "interrupt" : "requeue" },
    });
    calls.push(...fresh);
    // A kill in the first moments leaves no log yet.
    const log = await verifyAudit(lasting.state).catch(() => null);
    assert.ok(
      log?.ok ?? round < 5,
      `${why(round)}: ${JSON.stringify(log?.bad)}`,
    );
    if (round % 10 === 9) {
      await using store = await lasting.store();
      assert.deepEqual(await store.check(), [], why(round));
    }
  }
  // No child outlives its server: what prints into a pipe without a reader ends.
  await until(
    "the end of the children",
    async () => await lasting.copy.alive() === 0,
  );
  {
    await using server = lasting.start();
    await server.initialize();
    for (const asked of calls) await send(server, asked, true);
    await using store = await lasting.store();
    await until(
      "the end of what was queued",
      async () => await store.countAlive() === 0,
    );
    server.kill("SIGTERM");
    assert.equal((await server.ended).code, 0, server.stderr);
  }
  await using store = await lasting.store();
  assert.deepEqual(await store.check(), []);
  const scans = await allScans(store);
  assert.equal(scans.length, calls.length);
  const [kept, starts] = [byKey(scans), await startsByPort(lasting)];
  for (const asked of calls) {
    const scan = kept.get(asked.key) ?? assert.fail(`${asked.key} is lost`);
    checkScan(asked, scan, starts.get(asked.port) ?? 0);
  }
  checkSeen(scans, seen);
  // The rounds were not in vain: each kind of death was met.
  const ends = (status: string) =>
    scans.filter((scan) => scan.status === status).length;
  const again = scans.filter(({ requeued }) => requeued > 0).length;
  const figures = `${ends("succeeded")} succeeded, ${
    ends("interrupted")
  } interrupted, ${again} queued again`;
  assert.ok(ends("interrupted") > 10 && ends("succeeded") > 50, figures);
  assert.ok(again > 10, figures);
  assert.ok(seen.size > 10, `${seen.size} scans were looked at before a kill`);
  await checkAudit(lasting, scans, starts);
}

/** What the database had before a kill it has afterwards, unless the scan began anew on purpose. */
function checkSeen(scans: readonly StoredScan[], seen: Seen): void {
  for (const { id, hostCount, requeued } of scans) {
    const before = seen.get(id);
    if (before === undefined || before.requeued !== requeued) continue;
    assert.ok(hostCount >= before.hostCount, `${id} lost what it had found`);
  }
}

/** The record against what was done: no start without a decision, and every scan has its story. */
async function checkAudit(
  lasting: Lasting,
  scans: readonly StoredScan[],
  starts: ReadonlyMap<number, number>,
): Promise<void> {
  const { code, out, err } = await runTask("audit", ["verify"], { lasting });
  assert.equal(code, 0, out + err);
  const entries = await auditEntries(lasting.state);
  const allowed = new Set(
    entries.filter(({ kind, outcome }) =>
      kind === "decision" && outcome === "allowed"
    ).map(({ scan_id }) => scan_id),
  );
  const asked = new Set(
    entries.filter(({ kind }) => kind === "request")
      .map((entry) => Number(entry.arguments?.["ports"])),
  );
  for (const { id } of scans) assert.ok(allowed.has(id), `${id} was decided`);
  for (const port of starts.keys()) assert.ok(asked.has(port), String(port));
  const known = new Set<string | null | undefined>(scans.map(({ id }) => id));
  for (const id of allowed) assert.ok(known.has(id), `${id} is in the store`);
  // In the order of the log: nothing is started that was not allowed before.
  const decided = new Set<string | null | undefined>();
  for (const { kind, outcome, scan_id } of entries) {
    if (kind === "decision" && outcome === "allowed") decided.add(scan_id);
    if (kind === "scan_started") assert.ok(decided.has(scan_id), `${scan_id}`);
  }
}
