/**
 * Requests that are large and stay unanswered: what they hold in memory is bounded, whatever their
 * number.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { JSONRPCMessage } from "@modelcontextprotocol/server";
import { IN_FLIGHT_BYTES_MAX, LineTransport } from "@/mcp/line_transport.ts";

const LARGE = "x".repeat(3 * 1024 * 1024);
const FITTING = Math.floor(IN_FLIGHT_BYTES_MAX / (LARGE.length + 200));

Deno.test("the server takes a bounded number of bytes in requests at once", async () => {
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const output = new TransformStream<Uint8Array, string>({
    transform: (bytes, to) => to.enqueue(new TextDecoder().decode(bytes)),
  });
  const transport = new LineTransport({
    input: input.readable,
    output: output.writable,
  });
  const taken: (string | number | undefined)[] = [];
  transport.onmessage = (message: JSONRPCMessage) => {
    if ("id" in message) taken.push(message.id);
  };
  await transport.start();
  const writer = input.writable.getWriter();
  const write = (message: object) =>
    writer.write(
      new TextEncoder().encode(
        `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`,
      ),
    );
  const ask = (id: number) =>
    write({
      id,
      method: "tools/call",
      params: { _meta: { progressToken: LARGE } },
    });
  for (let id = 1; id <= FITTING; id++) await ask(id);
  const reader = output.readable.getReader();
  ask(100);
  const { value = "" } = await reader.read();
  assert.match(value, /"id":100.*in flight are too large/);
  assert.deepEqual(taken.length, FITTING);
  // An answer makes room, and so does a cancellation.
  transport.send({ jsonrpc: "2.0", id: 1, result: {} }).catch(() => {});
  await reader.read();
  await ask(101);
  const requestId = 2;
  await write({ method: "notifications/cancelled", params: { requestId } });
  await ask(102);
  await write({ id: 103, method: "ping" });
  assert.deepEqual(taken.slice(FITTING), [101, 102, 103]);
  await transport.close();
});
