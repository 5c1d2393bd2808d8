import assert from "node:assert/strict";
import {
  BREAKER_FILE_BYTES_MAX,
  BreakerFile,
  type BreakerFiles,
} from "@/breaker/breaker_file.ts";
import { Breakers, type BreakerStore } from "@/breaker/breakers.ts";
import { FakeTime, settle } from "../health/fake_time.ts";
import { verifies } from "../../requirements.ts";

verifies("breaker.survives_restart");

const OPTIONS = {
  failureThreshold: 1,
  successThreshold: 1,
  recoveryTimeoutMs: 10_000,
  backoffMultiplier: 2,
  recoveryTimeoutMsMax: 60_000,
  jitter: 0,
};
const TOOLS = { nmap: OPTIONS, masscan: OPTIONS };

/** A disk in memory that can be made to fail or to wait. */
class FakeDisk implements BreakerFiles {
  readonly texts = new Map<string, string>();
  readonly log: string[] = [];
  broken = false;
  gate: Promise<void> = Promise.resolve();

  read(path: string, bytesMax: number): Promise<string | undefined> {
    assert.equal(bytesMax, 65_536);
    return Promise.resolve(this.texts.get(path));
  }
  async write(path: string, text: string): Promise<void> {
    this.log.push(`write ${path}`);
    await this.gate;
    if (this.broken) throw new Error("no space left");
    this.texts.set(path, text);
  }
  rename(from: string, to: string): Promise<void> {
    this.log.push(`rename ${from} ${to}`);
    this.texts.set(to, this.texts.get(from) ?? "");
    this.texts.delete(from);
    return Promise.resolve();
  }
}

function make(disk = new FakeDisk(), time = new FakeTime()) {
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const { now, wallNow, after } = time;
  const store = new BreakerFile({
    path: "breakers.json",
    files: disk,
    after,
    onError,
  });
  const random = () => 0;
  const breakers = new Breakers({
    tools: TOOLS,
    now,
    wallNow,
    random,
    store,
    onError,
  });
  return { breakers, store, disk, time, errors };
}

Deno.test("Breakers keeps one circuit a tool", () => {
  const { breakers } = make();
  breakers.get("nmap").admit().failed();
  assert.equal(breakers.statistics().nmap.state, "open");
  assert.equal(breakers.statistics().masscan.state, "closed");
  assert.throws(() => breakers.get("__proto__" as "nmap"), RangeError);
});

Deno.test("Breakers survives a restart through its file", async () => {
  const { breakers, disk, time } = make();
  breakers.get("nmap").admit().failed();
  breakers.get("masscan").forceOpen();
  await time.pass(250);
  const again = make(disk, time);
  await again.breakers.load();
  assert.equal(again.breakers.get("nmap").statistics.retryAfter, 10);
  assert.equal(again.breakers.get("masscan").state, "forced_open");
  again.breakers.get("masscan").forceClose();
  again.breakers.get("masscan").admit().succeeded();
  assert.deepEqual(again.errors, []);
});

Deno.test("BreakerFile gathers changes and takes the place of the old file at once", async () => {
  const { breakers, disk, time } = make();
  for (let turn = 0; turn < 50; turn += 1) {
    breakers.get("nmap").forceOpen();
    breakers.get("nmap").forceClose();
  }
  assert.deepEqual(disk.log, []);
  await time.pass(250);
  assert.deepEqual(disk.log, [
    "write breakers.json.new",
    "rename breakers.json.new breakers.json",
  ]);
  assert.equal(time.timers, 0);
});

Deno.test("BreakerFile writes the last state, and one file at a time", async () => {
  const { breakers, store, disk, time } = make();
  const gate = Promise.withResolvers<void>();
  disk.gate = gate.promise;
  breakers.get("nmap").forceOpen();
  await time.pass(250);
  breakers.get("nmap").forceClose();
  const flushed = store.flush();
  await settle();
  assert.equal(disk.log.length, 1, "the second writer waits");
  gate.resolve();
  await flushed;
  const kept = JSON.parse(disk.texts.get("breakers.json") ?? "");
  assert.equal(kept.breakers.nmap.state, "closed");
});

Deno.test("BreakerFile writes what is left when it is disposed of", async () => {
  const { breakers, store, disk, time } = make();
  {
    await using _store = store;
    breakers.get("nmap").forceOpen();
  }
  assert.match(disk.texts.get("breakers.json") ?? "", /forced_open/);
  assert.equal(time.timers, 0);
});

Deno.test("a disk that fails is reported, and the breakers go on", async () => {
  const { breakers, disk, time, errors } = make();
  disk.broken = true;
  breakers.get("nmap").admit().failed();
  await time.pass(250);
  assert.equal(errors.length, 1);
  assert.equal(breakers.get("nmap").state, "open");
  disk.broken = false;
  breakers.get("nmap").forceClose();
  await time.pass(250);
  assert.equal(errors.length, 1);
  assert.match(disk.texts.get("breakers.json") ?? "", /closed/);
});

Deno.test("load() starts closed on a file that is cut short, foreign or hostile", async () => {
  const sound = { state: "forced_open" };
  const files = [
    "",
    '{"version":1,"break',
    "null",
    "[]",
    '{"version":2,"breakers":{}}',
    '{"version":1,"breakers":null}',
    '{"version":1,"breakers":{"nmap":{"state":"open","openings":1,"retry_at":1e999}}}',
    '{"version":1,"__proto__":{"breakers":{"nmap":{"state":"forced_open"}}}}',
  ];
  for (const text of files) {
    const { breakers, disk, errors } = make();
    disk.texts.set("breakers.json", text);
    await breakers.load();
    assert.equal(breakers.get("nmap").state, "closed", text);
    assert.equal(errors.length, 1, text);
  }
  const { breakers, disk, errors } = make();
  const half = { nmap: { state: "ajar" }, masscan: sound, rogue: sound };
  disk.texts.set(
    "breakers.json",
    JSON.stringify({ version: 1, breakers: half }),
  );
  await breakers.load();
  assert.equal(breakers.get("nmap").state, "closed");
  assert.equal(breakers.get("masscan").state, "forced_open");
  assert.equal(errors.length, 1);
});

Deno.test("load() without a file starts closed and reports nothing", async () => {
  const { breakers, errors, disk } = make();
  await breakers.load();
  await settle();
  assert.equal(breakers.get("nmap").state, "closed");
  assert.deepEqual(errors, []);
  assert.deepEqual(disk.log, [], "loading writes nothing back");
});

Deno.test("a store that rejects is reported and not thrown", async () => {
  const errors: unknown[] = [];
  const store: BreakerStore = {
    load: () => Promise.reject(new Error("gone")),
    save: () => Promise.reject(new Error("gone")),
  };
  const { now, wallNow } = new FakeTime();
  const breakers = new Breakers({
    tools: TOOLS,
    now,
    wallNow,
    random: () => 0,
    store,
    onError: (error) => errors.push(error),
  });
  await breakers.load();
  breakers.get("nmap").forceOpen();
  await settle();
  assert.equal(errors.length, 2);
});

Deno.test("reconfigure() applies to all tools or to none", () => {
  const { breakers } = make();
  const wrong = { nmap: OPTIONS, masscan: { ...OPTIONS, jitter: 2 } };
  const wider = { ...OPTIONS, failureThreshold: 2 };
  assert.throws(
    () => breakers.reconfigure({ ...wrong, nmap: wider }),
    RangeError,
  );
  breakers.get("nmap").admit().failed();
  assert.equal(breakers.get("nmap").state, "open");
  breakers.reconfigure({ nmap: wider, masscan: wider });
  assert.equal(breakers.get("nmap").state, "open");
  breakers.get("masscan").admit().failed();
  assert.equal(breakers.get("masscan").state, "closed");
});

Deno.test("the largest state file that is read is 64 KiB", () => {
  assert.equal(BREAKER_FILE_BYTES_MAX, 65_536);
});
