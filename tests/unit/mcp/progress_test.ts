import assert from "node:assert/strict";
import fc from "fast-check";
import { type ProgressMessage, progressSender } from "@/mcp/progress.ts";

function progress(percent: number | null) {
  return { percent, remainingSeconds: null, found: 1, phase: "SYN scan" };
}

Deno.test("progressSender() only ever grows, stays below 100 and sends four a second at most", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(
      fc.tuple(
        fc.option(fc.double({ min: -5, max: 500, noNaN: true })),
        fc.integer({ min: 0, max: 400 }),
      ),
      { maxLength: 60 },
    ),
    async (steps) => {
      let now = 0;
      const sent: (ProgressMessage & { at: number })[] = [];
      const sender = progressSender({
        token: "t",
        now: () => now,
        send: (message) => {
          sent.push({ ...message, at: now });
          return Promise.resolve();
        },
      });
      for (const [percent, wait] of steps) {
        now += wait;
        sender.report(progress(percent));
        await Promise.resolve();
      }
      sent.reduce((last, one) => {
        assert.ok(one.progress > last.progress);
        assert.ok(one.at - last.at >= 250);
        assert.ok(one.progress <= 100 && one.total === 100);
        return one;
      }, { progress: -1, at: -250 });
      if (steps.length > 0) assert.ok(sent.length > 0);
    },
  ));
});

Deno.test("progressSender() sends nothing while the client does not read, nor after the answer", async () => {
  let now = 0;
  const waits: PromiseWithResolvers<void>[] = [];
  const sender = progressSender({
    token: 7,
    now: () => now,
    send: () => {
      const wait = Promise.withResolvers<void>();
      waits.push(wait);
      return wait.promise;
    },
  });
  for (let step = 0; step < 10; step++) {
    now += 1000;
    sender.report(progress(step));
  }
  assert.equal(waits.length, 1);
  waits[0]?.resolve();
  await Promise.resolve();
  await Promise.resolve();
  now += 1000;
  sender.report(progress(50));
  assert.equal(waits.length, 2);
  waits[1]?.resolve();
  await Promise.resolve();
  await Promise.resolve();
  sender.close();
  now += 1000;
  sender.report(progress(60));
  assert.equal(waits.length, 2);
});

Deno.test("progressSender() goes on where the tool does not say how far it is", async () => {
  let now = 0;
  const sent: number[] = [];
  const sender = progressSender({
    token: 7,
    now: () => now,
    send: ({ progress }) => {
      sent.push(progress);
      return Promise.resolve();
    },
  });
  for (const percent of [10, null, 4, 20]) {
    sender.report(progress(percent));
    now += 1000;
    await Promise.resolve();
  }
  assert.deepEqual(sent.map((one) => one.toFixed(3)), [
    "10.000",
    "10.001",
    "10.002",
    "20.000",
  ]);
});

Deno.test("progressSender() stops when the client is gone", async () => {
  let now = 0;
  let calls = 0;
  const sender = progressSender({
    token: 7,
    now: () => now,
    send: () => {
      calls++;
      return Promise.reject(new Error("gone"));
    },
  });
  sender.report(progress(1));
  await new Promise((resolve) => setTimeout(resolve, 0));
  now += 1000;
  sender.report(progress(2));
  assert.equal(calls, 1);
});
