/**
 * What a session keeps of what it sent: bounded, and never with a hole in it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { EventLog } from "@/mcp/event_log.ts";
import { verifies } from "../../requirements.ts";

function message(n: number, filler = ""): JSONRPCMessage {
  return { jsonrpc: "2.0", method: "m", params: { n, filler } };
}

/** What comes after an event: the numbers of the messages. */
async function after(log: EventLog, id: string): Promise<unknown[]> {
  const numbers: unknown[] = [];
  await log.replayEventsAfter(id, {
    // deno-lint-ignore require-await
    send: async (_, one) => {
      numbers.push("params" in one ? one.params?.["n"] : null);
    },
  });
  return numbers;
}

Deno.test("EventLog.replayEventsAfter() gives what came after, of the same stream", async () => {
  verifies("mcp.http.resume");
  const log = new EventLog({ now: () => 0 });
  const opened = await log.storeEvent("a", {} as JSONRPCMessage);
  const first = await log.storeEvent("a", message(1));
  await log.storeEvent("b", message(2));
  await log.storeEvent("a", message(3));
  assert.deepEqual(await after(log, opened), [1, 3]);
  assert.deepEqual(await after(log, first), [3]);
  assert.equal(await log.getStreamIdForEventId(first), "a");
});

Deno.test("EventLog drops the oldest beyond its bytes, and refuses who missed them", async () => {
  verifies("mcp.http.bounds");
  const log = new EventLog({ now: () => 0, bytesMax: 3_000 });
  const ids: string[] = [];
  for (let n = 0; n < 10; n++) {
    ids.push(await log.storeEvent("a", message(n, "x".repeat(300))));
    assert.ok(log.bytes <= 3_000);
  }
  const resumable = [];
  for (const id of ids) {
    resumable.push(await log.getStreamIdForEventId(id) !== undefined);
  }
  // Three are kept, and the one before them can still be gone on from.
  assert.deepEqual(resumable.slice(-5), [false, true, true, true, true]);
  assert.deepEqual(await after(log, ids.at(-4) ?? ""), [7, 8, 9]);
  await assert.rejects(after(log, ids[0] ?? ""), /no such event/);
});

Deno.test("EventLog keeps no message that is larger than all that it may keep", async () => {
  verifies("mcp.http.bounds");
  const log = new EventLog({ now: () => 0, bytesMax: 1_000 });
  const id = await log.storeEvent("a", message(1, "x".repeat(2_000)));
  assert.equal(log.bytes, 0);
  assert.equal(await log.getStreamIdForEventId(id), undefined);
});

Deno.test("EventLog.sweep() forgets what is older than five minutes", async () => {
  verifies("mcp.http.bounds");
  let now = 0;
  const log = new EventLog({ now: () => now });
  const old = await log.storeEvent("a", message(1));
  now = 299_999;
  log.sweep();
  assert.equal(await log.getStreamIdForEventId(old), "a");
  now = 300_000;
  log.sweep();
  assert.equal(await log.getStreamIdForEventId(old), undefined);
  assert.equal(log.bytes, 0);
});

Deno.test("EventLog knows no id that it did not give", async () => {
  const log = new EventLog({ now: () => 0 });
  await log.storeEvent("a", message(1));
  for (
    const id of [
      "",
      "a",
      "a_",
      "a_2",
      "a_-1",
      "b_1",
      "a_1e3",
      `${"a".repeat(99)}_1`,
    ]
  ) {
    assert.equal(await log.getStreamIdForEventId(id), undefined, id);
  }
});
