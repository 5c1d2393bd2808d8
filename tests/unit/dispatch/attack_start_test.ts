/**
 * Calls that end while they are still being judged: no scan may start for them afterwards.
 *
 * @module
 */
import assert from "node:assert/strict";
import { codeOf, Desk } from "./fixtures/desk.ts";

const NAMED = { target: "a.lab.internal", background: true } as const;

/** Holds a call in its look-up of a name, does something, and lets it go on. */
async function duringLookUp(
  act: (desk: Desk, gone: AbortController) => unknown,
): Promise<{ code: string; scans: number }> {
  await using desk = await Desk.open();
  const gone = new AbortController();
  const calling = desk.call(NAMED, { signal: gone.signal });
  const { id } = await desk.far().next("resolve");
  act(desk, gone);
  const addresses = { "a.lab.internal": ["127.0.0.1"] };
  desk.far().say({ kind: "resolved", id, addresses });
  const code = await codeOf(calling);
  return { code, scans: desk.scans.newest().length };
}

Deno.test("a background call that is cancelled during its look-up starts no scan", async () => {
  const ended = await duringLookUp((_desk, gone) => gone.abort());
  assert.deepEqual(ended, { code: "cancelled", scans: 0 });
});

Deno.test("a call that was in its look-up when the server began to stop starts no scan", async () => {
  const ended = await duringLookUp((desk) => desk.dispatcher.drain(0));
  assert.deepEqual(ended, { code: "tool_unavailable", scans: 0 });
});
