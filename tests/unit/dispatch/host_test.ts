/**
 * What the host can do, asked once and kept.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Host } from "@/dispatch/host.ts";
import { AppError } from "@/error/app_error.ts";
import { FarSide } from "../isolate/fixtures/far_side.ts";

/** A host of one far side, whatever the tool. */
function hostOf(far: FarSide): Host {
  return new Host({ of: () => Promise.resolve(far.near) });
}

/** Answers every probe. */
function probed(far: FarSide, rawSockets: boolean | null): void {
  far.onAsk((ask) => {
    if (ask.kind !== "probe") return;
    far.say({ kind: "probed", id: ask.id, version: "7.93", rawSockets });
  });
}

/** A caller who waits to the end. */
const ANYONE = new AbortController().signal;

/** The caller's request is on record. */
const recorded = () => Promise.resolve();

Deno.test("Host asks a tool once, however many want to know", async () => {
  using far = await new FarSide().ready();
  probed(far, true);
  const host = hostOf(far);
  assert.equal(host.known("nmap"), undefined);
  const answers = await Promise.all([
    host.rawSockets(ANYONE, recorded),
    host.rawSockets(ANYONE, recorded),
    host.probe("nmap"),
  ]);
  assert.deepEqual(answers, [
    true,
    true,
    { kind: "present", version: "7.93", rawSockets: true },
  ]);
  await host.rawSockets(ANYONE, recorded);
  assert.equal(far.count("probe"), 1);
  assert.deepEqual(host.known("nmap"), answers[2]);
});

Deno.test("Host takes everything but a plain yes for no raw sockets", async () => {
  for (const rawSockets of [false, null]) {
    using far = await new FarSide().ready();
    probed(far, rawSockets);
    assert.equal(await hostOf(far).rawSockets(ANYONE, recorded), false);
  }
});

Deno.test("Host asks an absent tool again next time", async () => {
  using far = await new FarSide().ready();
  probed(far, true);
  let absent = true;
  const host = new Host({
    of: () =>
      absent
        ? Promise.reject(new AppError("tool_unavailable", "Cannot use it"))
        : Promise.resolve(far.near),
  });
  assert.equal(await host.rawSockets(ANYONE, recorded), false);
  assert.deepEqual(await host.probe("nmap"), {
    kind: "absent",
    reason: "Cannot use it",
  });
  absent = false;
  assert.equal(await host.rawSockets(ANYONE, recorded), true);
});

Deno.test("Host lets a caller go who does not want to wait for the trial", async () => {
  using far = await new FarSide().ready();
  const host = hostOf(far);
  const cancelled = { code: "cancelled", message: "The request was cancelled" };
  const caller = new AbortController();
  const waiting = host.rawSockets(caller.signal, recorded);
  caller.abort();
  await assert.rejects(waiting, cancelled);
  await assert.rejects(
    host.rawSockets(AbortSignal.abort(), recorded),
    cancelled,
  );
});

Deno.test("Host starts its trial only when its caller is on record, and asks nobody for what it knows", async () => {
  using far = await new FarSide().ready();
  probed(far, true);
  const host = hostOf(far);
  const full = new Error("the disk is full");
  const unrecorded = () => Promise.reject(full);
  await assert.rejects(host.rawSockets(ANYONE, unrecorded), full);
  assert.equal(far.count("probe"), 0);
  assert.equal(await host.rawSockets(ANYONE, recorded), true);
  assert.equal(await host.rawSockets(ANYONE, unrecorded), true);
});
