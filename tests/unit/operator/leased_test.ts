/**
 * Answers that end with the credentials that asked for them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { leased } from "@/operator/leased.ts";

/** A hold that tells how often it was let go of. */
function hold() {
  const ending = new AbortController();
  let disposed = 0;
  return {
    signal: ending.signal,
    revoke: () => ending.abort(),
    get disposed() {
      return disposed;
    },
    [Symbol.dispose]: () => {
      disposed += 1;
    },
  };
}

/** An answer that never ends by itself. */
function endless() {
  let cancelled = false;
  const answer = new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) =>
        controller.enqueue(new TextEncoder().encode("begun")),
      cancel: () => {
        cancelled = true;
      },
    }),
    { status: 200, headers: { "content-type": "text/event-stream" } },
  );
  return { answer, isCancelled: () => cancelled };
}

Deno.test("leased() ends an answer when the credentials end, and tells whoever writes it", async () => {
  const own = hold();
  const { answer, isCancelled } = endless();
  const sent = leased(answer, own);
  assert.equal(sent.headers.get("content-type"), "text/event-stream");
  const reader = sent.body?.getReader();
  assert.equal((await reader?.read())?.done, false);
  const next = reader?.read();
  own.revoke();
  assert.equal((await next)?.done, true);
  assert.deepEqual([own.disposed, isCancelled()], [1, true]);
});

Deno.test("leased() lets go of the hold once, however an answer ends", async () => {
  for (
    const end of [
      (sent: Response) => sent.text(),
      (sent: Response) => sent.body?.cancel(),
    ]
  ) {
    const own = hold();
    await end(leased(new Response("whole"), own));
    own.revoke();
    assert.equal(own.disposed, 1);
  }
  const own = hold();
  assert.equal(leased(new Response(null, { status: 202 }), own).status, 202);
  assert.equal(own.disposed, 1);
});

Deno.test("leased() ends at once where the credentials have ended already", async () => {
  const own = hold();
  own.revoke();
  const { answer, isCancelled } = endless();
  assert.equal(await leased(answer, own).text(), "");
  assert.deepEqual([own.disposed, isCancelled()], [1, true]);
});
