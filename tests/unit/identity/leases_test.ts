/**
 * How long streams go on: with the credentials that opened them, and no longer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Leases } from "@/identity/leases.ts";
import type { Principal } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";
import { keyOf } from "../../support/principals.ts";
import { FakeTime } from "../health/fake_time.ts";

const SECOND = 1_000;

interface Bench {
  readonly time: FakeTime;
  /** Whose credentials are good no more. */
  readonly revoked: Set<string>;
  /** Everybody who was asked for, in order. */
  readonly asked: string[];
  /** Thrown instead of an answer. */
  fault: Error | null;
  readonly leases: Leases;
}

function newBench(): Bench {
  const time = new FakeTime();
  const bench: Bench = {
    ...{ time, revoked: new Set(), asked: [], fault: null },
    leases: new Leases({
      isGood: ({ subject }) => {
        bench.asked.push(subject);
        return bench.fault === null
          ? Promise.resolve(!bench.revoked.has(subject))
          : Promise.reject(bench.fault);
      },
      wallNow: time.wallNow,
      after: time.after,
    }),
  };
  return bench;
}

/** The holder of a token that ends so many seconds from now. */
function tokenOf(time: FakeTime, seconds: number): Principal {
  const expiresAt = time.wallNow() + seconds * SECOND;
  return { ...keyOf("alice"), kind: "token", subject: "#alice", expiresAt };
}

Deno.test("look() ends every stream of a caller whose key was revoked, and nobody else's", async () => {
  verifies("identity.leases");
  const { leases, revoked, asked } = newBench();
  const lost = [leases.hold(keyOf("a")), leases.hold(keyOf("a"))];
  const kept = leases.hold(keyOf("b"));
  await leases.look();
  assert.ok([...lost, kept].every(({ signal }) => !signal.aborted));
  assert.equal(leases.size, 2);
  revoked.add("key:a");
  await leases.look();
  assert.deepEqual(lost.map(({ signal }) => signal.reason), [
    "the credentials are no longer good",
    "the credentials are no longer good",
  ]);
  assert.equal(kept.signal.aborted, false);
  assert.equal(leases.size, 1);
  // A caller with many streams is one question.
  assert.deepEqual(asked, ["key:a", "key:b", "key:a", "key:b"]);
});

Deno.test("Leases look every ten seconds while anybody holds one, and set no timer otherwise", async () => {
  verifies("identity.leases");
  const { time, leases, revoked, asked } = newBench();
  assert.equal(time.timers, 0);
  const first = leases.hold(keyOf("a"));
  leases.hold(keyOf("b"));
  assert.equal(time.timers, 1);
  await time.pass(9_999);
  assert.deepEqual(asked, []);
  await time.pass(1);
  assert.deepEqual(asked, ["key:a", "key:b"]);
  await time.pass(10_000);
  assert.equal(asked.length, 4);
  revoked.add("key:b");
  await time.pass(10_000);
  first[Symbol.dispose]();
  assert.equal(leases.size, 0);
  await time.pass(10_000);
  assert.equal(time.timers, 0);
  assert.equal(asked.length, 6);
  // The next one is looked at again.
  const later = leases.hold(keyOf("b"));
  await time.pass(10_000);
  assert.equal(later.signal.aborted, true);
  assert.equal(time.timers, 0);
});

Deno.test("a token's streams end when its time is over by the wall clock, each token's at its own", async () => {
  verifies("identity.leases");
  const { time, leases, asked } = newBench();
  const short = leases.hold(tokenOf(time, 15));
  const long = leases.hold(tokenOf(time, 25));
  await time.pass(10_000);
  assert.equal(short.signal.aborted, false);
  await time.pass(10_000);
  assert.deepEqual([short, long].map(({ signal }) => signal.aborted), [
    true,
    false,
  ]);
  await time.pass(10_000);
  assert.equal(long.signal.aborted, true);
  // Nobody is asked for what is over.
  assert.equal(asked.length, 3);
  const late = leases.hold(tokenOf(time, 0));
  await leases.look();
  assert.equal(late.signal.aborted, true);
});

Deno.test("look() ends nothing that cannot be asked for, but what is over by time", async () => {
  verifies("identity.leases");
  const bench = newBench();
  const { time, leases, revoked } = bench;
  const key = leases.hold(keyOf("a"));
  const token = leases.hold(tokenOf(time, 5));
  revoked.add("key:a");
  bench.fault = new Error("the store is gone");
  await time.pass(10_000);
  assert.deepEqual([key, token].map(({ signal }) => signal.aborted), [
    false,
    true,
  ]);
  bench.fault = null;
  await time.pass(10_000);
  assert.equal(key.signal.aborted, true);
});

Deno.test("a hold that is disposed of is forgotten with the last stream of its caller", async () => {
  const { leases, revoked } = newBench();
  const [first, second] = [leases.hold(keyOf("a")), leases.hold(keyOf("a"))];
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(leases.size, 1);
  second[Symbol.dispose]();
  assert.equal(leases.size, 0);
  assert.equal(second.signal.aborted, false);

  // What ended before takes nothing from whoever comes after it under the same name.
  const ended = leases.hold(keyOf("a"));
  revoked.add("key:a");
  await leases.look();
  revoked.clear();
  const next = leases.hold(keyOf("a"));
  ended[Symbol.dispose]();
  assert.equal(leases.size, 1);
  assert.deepEqual([ended, next].map(({ signal }) => signal.aborted), [
    true,
    false,
  ]);
});

Deno.test("look() ends the streams that it began to look at, not those that came meanwhile", async () => {
  const gate = Promise.withResolvers<boolean>();
  const time = new FakeTime();
  const leases = new Leases({
    isGood: () => gate.promise,
    wallNow: time.wallNow,
    after: time.after,
  });
  const before = leases.hold(keyOf("a"));
  const look = leases.look();
  before[Symbol.dispose]();
  const meanwhile = leases.hold(keyOf("a"));
  gate.resolve(false);
  await look;
  assert.equal(meanwhile.signal.aborted, false);
  assert.equal(leases.size, 1);
  await leases.look();
  assert.equal(meanwhile.signal.aborted, true);
});

Deno.test("Leases look at 10,000 callers at most, and the streams of a further one end at once", () => {
  const { time, leases } = newBench();
  const holds = Array.from(
    { length: 10_000 },
    (_, at) => leases.hold(keyOf(`k${at}`)),
  );
  assert.equal(leases.size, 10_000);
  const further = leases.hold(keyOf("further"));
  assert.equal(further.signal.aborted, true);
  assert.equal(leases.hold(keyOf("k7")).signal.aborted, false);
  assert.equal(time.timers, 1);
  further[Symbol.dispose]();
  holds[0]?.[Symbol.dispose]();
  assert.equal(leases.hold(keyOf("further")).signal.aborted, false);
  assert.equal(leases.size, 10_000);
});

Deno.test("Leases that are disposed of end every stream, later ones at once, and leave no timer", async () => {
  verifies("identity.leases");
  const { time, leases, asked } = newBench();
  const holds = [leases.hold(keyOf("a")), leases.hold(tokenOf(time, 60))];
  leases[Symbol.dispose]();
  leases[Symbol.dispose]();
  assert.ok(
    holds.every(({ signal }) => signal.reason === "the server stops"),
  );
  assert.equal(leases.size, 0);
  assert.equal(leases.hold(keyOf("b")).signal.aborted, true);
  assert.deepEqual([time.timers, leases.size], [0, 0]);
  await time.pass(60_000);
  assert.deepEqual(asked, []);
});

Deno.test("Leases that are disposed of in the midst of a look set no timer after it", async () => {
  const gate = Promise.withResolvers<boolean>();
  const time = new FakeTime();
  const leases = new Leases({
    isGood: () => gate.promise,
    wallNow: time.wallNow,
    after: time.after,
  });
  const hold = leases.hold(keyOf("a"));
  await time.pass(10_000);
  leases[Symbol.dispose]();
  gate.resolve(true);
  await time.pass(0);
  assert.equal(hold.signal.aborted, true);
  assert.equal(time.timers, 0);
});
