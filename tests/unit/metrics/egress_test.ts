import assert from "node:assert/strict";
import { type EgressCounts, Metrics } from "@/metrics/metrics.ts";
import { verifies } from "../../requirements.ts";

verifies("egress.counters");

const COUNTS: EgressCounts = {
  accepted: { packets: 3, bytes: 180 },
  dropped: { packets: 1, bytes: 60 },
};

async function lines(
  egress: () => Promise<EgressCounts | null>,
): Promise<string[]> {
  const metrics = new Metrics({ tools: ["nmap"], wallNow: () => 0 });
  metrics.connect({ egress });
  return (await metrics.render("prometheus")).split("\n").filter((line) =>
    line.startsWith("mcp_egress")
  );
}

Deno.test("Metrics shows what the egress guard counts", async () => {
  assert.deepEqual(await lines(() => Promise.resolve(COUNTS)), [
    'mcp_egress_packets_total{verdict="accepted"} 3',
    'mcp_egress_packets_total{verdict="dropped"} 1',
    'mcp_egress_bytes_total{verdict="accepted"} 180',
    'mcp_egress_bytes_total{verdict="dropped"} 60',
  ]);
});

Deno.test("Metrics shows no egress series where there is no guard to read", async () => {
  assert.deepEqual(await lines(() => Promise.resolve(null)), []);
  assert.deepEqual(await lines(() => Promise.reject(new Error("gone"))), []);
  const metrics = new Metrics({ tools: ["nmap"], wallNow: () => 0 });
  assert.doesNotMatch(await metrics.render("prometheus"), /egress/);
});
