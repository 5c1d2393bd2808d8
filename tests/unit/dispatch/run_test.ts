/**
 * One scan and the callers that wait for it.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Run } from "@/dispatch/run.ts";
import type { Scan } from "@/scans/scan.ts";
import { verifies } from "../../requirements.ts";
import { codeOf } from "./fixtures/desk.ts";

const SCAN = { id: "a" } as unknown as Scan;

/** A run that a test ends. */
function runOf() {
  const end = Promise.withResolvers<Scan>();
  const run = new Run("a", () => end.promise);
  return { run, end: () => end.resolve(SCAN) };
}

Deno.test("Run gives every follower the one scan", async () => {
  verifies("dispatch.joins_identical");
  const { run, end } = runOf();
  const followers = [1, 2, 3].map(() =>
    run.follow(new AbortController().signal)
  );
  end();
  assert.deepEqual(await Promise.all(followers), [SCAN, SCAN, SCAN]);
  assert.equal(run.signal.aborted, false);
});

Deno.test("Run goes on when one of two followers leaves, and ends with the last", async () => {
  verifies("dispatch.joins_identical");
  const { run, end } = runOf();
  const [first, second] = [new AbortController(), new AbortController()];
  const left = run.follow(first.signal);
  const stayed = run.follow(second.signal);
  first.abort();
  assert.equal(await codeOf(left), "cancelled");
  assert.equal(run.signal.aborted, false);
  second.abort();
  assert.equal(run.signal.aborted, true);
  // The last one waits for the end and gets what was found.
  end();
  assert.equal(await stayed, SCAN);
});

Deno.test("Run that is kept outlives its followers and still obeys cancel()", async () => {
  verifies("mcp.background");
  const { run, end } = runOf();
  run.keep();
  const caller = new AbortController();
  const following = run.follow(caller.signal);
  caller.abort();
  assert.equal(await codeOf(following), "cancelled");
  assert.equal(run.signal.aborted, false);
  run.cancel();
  assert.equal(run.signal.aborted, true);
  end();
});

Deno.test("Run tells progress to those who still follow", () => {
  const { run } = runOf();
  const heard: string[] = [];
  const caller = new AbortController();
  run.keep();
  run.follow(caller.signal, ({ phase }) => heard.push(`a ${phase}`))
    .catch(() => {});
  void run.follow(
    new AbortController().signal,
    ({ phase }) => heard.push(`b ${phase}`),
  );
  const progress = { percent: 1, remainingSeconds: null, found: 0 };
  run.tell({ ...progress, phase: "1" });
  caller.abort();
  run.tell({ ...progress, phase: "2" });
  assert.deepEqual(heard, ["a 1", "b 1", "b 2"]);
});

Deno.test("Run takes a caller who has gone already for one who leaves", () => {
  const { run } = runOf();
  void run.follow(AbortSignal.abort());
  assert.equal(run.signal.aborted, true);
});

Deno.test("Run matches a model: it is cancelled exactly when the last follower has left", async () => {
  verifies("dispatch.joins_identical");
  const step = fc.oneof(
    fc.constant("join" as const),
    fc.record({ leave: fc.nat({ max: 5 }) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 20 }),
      fc.boolean(),
      async (steps, kept) => {
        const { run, end } = runOf();
        if (kept) run.keep();
        const callers: AbortController[] = [];
        let following = 0;
        let over = false;
        for (const step of steps) {
          if (step === "join") {
            const caller = new AbortController();
            callers.push(caller);
            following++;
            run.follow(caller.signal).catch(() => {});
            continue;
          }
          const caller = callers[step.leave];
          if (caller === undefined || caller.signal.aborted) continue;
          caller.abort();
          following--;
          over ||= following === 0 && !kept;
          await Promise.resolve();
        }
        assert.equal(run.signal.aborted, over);
        end();
        await run.done;
      },
    ),
  );
});
