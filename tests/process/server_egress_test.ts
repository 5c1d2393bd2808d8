/**
 * What a running server shows of the egress guard.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { serve } from "./fixtures/served.ts";

Deno.test("the counters of the egress guard are metrics of the server, as long as they are of now", async () => {
  verifies("egress.counters");
  await using folder = await withTempDir();
  const state = `${folder.path}/state`;
  await Deno.mkdir(state);
  await using served = await serve("canned", { state });
  const series = async (writtenAt: number) => {
    const counts = {
      written_at: writtenAt,
      accepted: { packets: 7, bytes: 420 },
      dropped: { packets: 2, bytes: 120 },
    };
    await Deno.writeTextFile(
      `${state}/egress_guard.json`,
      JSON.stringify(counts),
    );
    const { contents } = await served.server.request("resources/read", {
      uri: "server://metrics",
    }) as { contents: { text: string }[] };
    return (contents[0]?.text ?? "").split("\n").filter((line) =>
      line.startsWith("mcp_egress_packets")
    );
  };
  const now = Math.floor(Date.now() / 1_000);
  assert.deepEqual(await series(now), [
    'mcp_egress_packets_total{verdict="accepted"} 7',
    'mcp_egress_packets_total{verdict="dropped"} 2',
  ]);
  assert.deepEqual(await series(now - 3_600), []);
});
