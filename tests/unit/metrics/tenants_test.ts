import assert from "node:assert/strict";
import { Metrics, type MetricsSources } from "@/metrics/metrics.ts";
import { verifies } from "../../requirements.ts";

async function lines(sources: MetricsSources): Promise<string[]> {
  const metrics = new Metrics({ tools: ["nmap"], wallNow: () => 0 });
  metrics.connect(sources);
  const text = await metrics.render("openmetrics");
  return text.split("\n").filter((line) =>
    /^mcp_(tenant|rate|queue_evict)/.test(line)
  );
}

Deno.test("Metrics shows what every tenant holds, waits for and uses", async () => {
  verifies("metrics.tenants");
  const tenants = () => ({
    default: {
      held: 1,
      waiting: 999,
      quotas: [
        { name: "scans_per_hour", limit: 100, used: 42 },
        { name: "cpu_seconds_per_hour", limit: null, used: 1.5 },
      ],
    },
    blue: { held: 0, waiting: 1, quotas: [] },
  });
  assert.deepEqual(
    await lines({
      tenants,
      evictions: () => 7,
      rateLimited: () => ({ client: 3, tenant: 0 }),
    }),
    [
      'mcp_tenant_queue_waiting{tenant="default"} 999',
      'mcp_tenant_queue_waiting{tenant="blue"} 1',
      'mcp_tenant_queue_held{tenant="default"} 1',
      'mcp_tenant_queue_held{tenant="blue"} 0',
      'mcp_tenant_quota_used{tenant="default",quota="scans_per_hour"} 42',
      'mcp_tenant_quota_used{tenant="default",quota="cpu_seconds_per_hour"} 1.5',
      'mcp_tenant_quota_limit{tenant="default",quota="scans_per_hour"} 100',
      "mcp_queue_evictions_total 7",
      'mcp_rate_limited_total{policy="client"} 3',
      'mcp_rate_limited_total{policy="tenant"} 0',
    ],
  );
});

Deno.test("Metrics shows nothing of tenants where nothing is known of them", async () => {
  assert.deepEqual(await lines({}), []);
  const failing = () => {
    throw new Error("not now");
  };
  assert.deepEqual(await lines({ tenants: failing }), []);
});
