/**
 * A client that asks for more than fits into the deadline, to close the tool to all others.
 *
 * @module
 */
import assert from "node:assert/strict";
import { outcomeOf } from "../isolate/fixtures/far_side.ts";
import { Desk } from "./fixtures/desk.ts";

const TIMED_OUT = outcomeOf({
  status: "timed_out",
  error: { code: "timeout", message: "its time ran out" },
});

/** Requests whose own plan says that the default deadline is too short for them. */
const TOO_MUCH: readonly object[] = [
  { target: "127.0.0.1", timing: 0 },
  { target: "127.0.0.1", extra_args: "--scan-delay 60s" },
  { target: "127.0.0.1", extra_args: "--max-rate 1" },
  { target: "127.0.0.1", timing: 0, timeout_seconds: 300 },
];

async function stateAfter(args: object): Promise<string> {
  await using desk = await Desk.open({ failureThreshold: 1 });
  const calling = desk.call(args);
  await desk.finish(TIMED_OUT);
  await calling;
  return desk.breakers.get("nmap").state;
}

for (const args of TOO_MUCH) {
  Deno.test(`a timeout of ${JSON.stringify(args)} does not speak against the tool`, async () => {
    assert.equal(await stateAfter(args), "closed");
  });
}

Deno.test("a timeout of a scan that should have been done by then speaks against the tool", async () => {
  assert.equal(await stateAfter({ target: "127.0.0.1", ports: "80" }), "open");
});
