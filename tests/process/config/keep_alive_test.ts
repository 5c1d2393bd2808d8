/**
 * Whether a process that only watches its configuration can end. Needs to run Deno.
 *
 * @module
 */
import assert from "node:assert/strict";

Deno.test("pollFile() does not keep a process alive", async () => {
  const code = `
    import { pollFile } from "@/config/changes.ts";
    (async () => {
      for await (const _ of pollFile("config/default.yaml").hints());
    })();
  `;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-prompt", "--ext=ts", code],
    stdout: "null",
    stderr: "piped",
    // Ended by its own hand, or by this one: then the exit has a signal.
    signal: AbortSignal.timeout(20_000),
  });
  const { success, signal, stderr } = await child.output();
  assert.equal(signal, null, "it was still alive");
  assert.ok(success, new TextDecoder().decode(stderr));
});
