import assert from "node:assert/strict";
import { Metrics } from "@/metrics/metrics.ts";
import { verifies } from "../requirements.ts";

verifies("metrics.names");

/** Dashboards and alerts name these. A change here is a change for every operator. */
const PINNED = [
  ["mcp_circuit_breaker_state", "gauge", "tool"],
  ["mcp_egress_bytes_total", "counter", "verdict"],
  ["mcp_egress_packets_total", "counter", "verdict"],
  ["mcp_event_loop_lag_seconds", "gauge", ""],
  ["mcp_isolate_restarts_total", "counter", "isolate"],
  ["mcp_isolate_up", "gauge", "isolate"],
  ["mcp_process_external_bytes", "gauge", ""],
  ["mcp_process_heap_total_bytes", "gauge", ""],
  ["mcp_process_heap_used_bytes", "gauge", ""],
  ["mcp_process_resident_bytes", "gauge", ""],
  ["mcp_queue_evictions_total", "counter", ""],
  ["mcp_queue_held", "gauge", "tool"],
  ["mcp_queue_waiting", "gauge", "tool"],
  ["mcp_rate_limited_total", "counter", "policy"],
  ["mcp_scanner_cpu_seconds_total", "counter", "tool"],
  ["mcp_tenant_queue_held", "gauge", "tenant"],
  ["mcp_tenant_queue_waiting", "gauge", "tenant"],
  ["mcp_tenant_quota_limit", "gauge", "quota,tenant"],
  ["mcp_tenant_quota_used", "gauge", "quota,tenant"],
  ["mcp_tool_active", "gauge", "tool"],
  ["mcp_tool_errors_total", "counter", "error_type,tool"],
  ["mcp_tool_execution_seconds", "histogram", "tool"],
  ["mcp_tool_execution_total", "counter", "error_type,status,tool"],
];

function full(): Metrics {
  const metrics = new Metrics({ tools: ["nmap"], wallNow: () => 0 });
  metrics.begin("nmap").end({
    status: "failed",
    errorType: "tool_failed",
    seconds: 1,
  });
  metrics.connect({
    breakers: () => ({ nmap: { state: "closed" } }),
    permits: () => ({ nmap: { held: 0, waiting: 0 } }),
    tenants: () => ({
      default: {
        held: 1,
        waiting: 0,
        quotas: [{ name: "scans_per_hour", limit: 5, used: 1 }],
      },
    }),
    evictions: () => 0,
    rateLimited: () => ({ client: 0 }),
    isolates: () => ({ nmap: { up: true, restarts: 0 } }),
    memory: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0 }),
    loopLagMs: () => 0,
    egress: () =>
      Promise.resolve({
        accepted: { packets: 0, bytes: 0 },
        dropped: { packets: 0, bytes: 0 },
      }),
  });
  return metrics;
}

Deno.test("metrics have exactly these names, types and labels", async () => {
  const text = await full().render("prometheus");
  const seen = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((match) => {
    const [, name = "", type = ""] = match;
    const suffix = type === "histogram" ? "_count" : "";
    const line = text.split("\n").find((line) =>
      line.startsWith(`${name}${suffix}{`) ||
      line.startsWith(`${name}${suffix} `)
    );
    assert.ok(line, `${name} shows no value`);
    const labels = [...line.matchAll(/(\w+)="/g)].map(([, label]) => label);
    return [name, type, labels.sort().join(",")];
  });
  assert.deepEqual(seen.sort(), PINNED);
});

Deno.test("the histogram has exactly these buckets", async () => {
  const text = await full().render("prometheus");
  const bounds = [...text.matchAll(/_bucket\{le="([^"]+)"/g)].map(([, le]) =>
    le
  );
  assert.deepEqual(bounds, [
    "0.05",
    "0.1",
    "0.25",
    "0.5",
    "1",
    "2.5",
    "5",
    "10",
    "30",
    "60",
    "120",
    "300",
    "600",
    "1800",
    "3600",
    "+Inf",
  ]);
});

Deno.test("OpenMetrics names counters as the format wants", async () => {
  const text = await full().render("openmetrics");
  assert.match(text, /^# TYPE mcp_tool_execution counter$/m);
  assert.match(
    text,
    /^mcp_tool_execution_total\{tool="nmap",status="failed",error_type="tool_failed"\} 1$/m,
  );
  assert.match(text, /\n# EOF\n$/);
});
