/**
 * Attacks with look-ups: they are no scans, so nothing that bounds scans bounds them by itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { processesNamed } from "../support/processes.ts";
import { ask, serve } from "./fixtures/served.ts";

/** Makes a stand-in's look-ups last, so that they can be counted. */
async function slowLookups(path: string, seconds: number): Promise<void> {
  const file = `${path}/../lib/answers.sh`;
  const text = await Deno.readTextFile(file);
  const slow = text.replace(
    '-sL) list_targets "$@"; exit 0 ;;',
    `-sL) sleep ${seconds}; list_targets "$@"; exit 0 ;;`,
  );
  assert.notEqual(slow, text);
  await Deno.writeTextFile(file, slow);
}

Deno.test("a storm of names starts a few look-ups at a time and refuses no other scan", async () => {
  await using served = await serve("canned");
  const { server, copy } = served;
  await ask(server, "nmap", { target: "127.0.0.1" });
  await slowLookups(copy.path, 2);
  const storm = Array.from(
    { length: 120 },
    (_, at) =>
      // Most are still waiting when the server is stopped.
      server.call("nmap", { target: `h${at}.lab.internal`, plan: true }).catch(
        () => {},
      ),
  );
  assert.equal(storm.length, 120);
  let most = 0;
  const deadline = performance.now() + 1_500;
  while (performance.now() < deadline) {
    const alive = (await processesNamed(`${copy.path}/nmap`)).length;
    most = Math.max(most, alive);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(most <= 8, `${most} look-ups ran at once`);
});
