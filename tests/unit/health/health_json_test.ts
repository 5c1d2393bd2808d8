import assert from "node:assert/strict";
import { healthJson } from "@/health/health_json.ts";

Deno.test("healthJson() writes snake_case, times as text and three decimals", () => {
  const figures = {
    count: 1,
    success: 1,
    failure: 0,
    timeout: 0,
    min: 2,
    max: 2,
    mean: 2,
    p50: 2,
    p95: 2,
    p99: 2,
    recentFailureRate: 0,
  };
  assert.deepEqual(
    healthJson({
      status: "healthy",
      at: 0,
      durationMs: 1.23456,
      checks: [{
        name: "isolates",
        priority: "critical",
        status: "healthy",
        message: "4 of 4 isolates are up",
        detail: { restarts: 0 },
        durationMs: 0.50000001,
      }],
    }, { nmap: figures }),
    {
      status: "healthy",
      at: "1970-01-01T00:00:00.000Z",
      duration_ms: 1.235,
      checks: [{
        name: "isolates",
        priority: "critical",
        status: "healthy",
        message: "4 of 4 isolates are up",
        detail: { restarts: 0 },
        duration_ms: 0.5,
      }],
      statistics: {
        nmap: {
          count: 1,
          success: 1,
          failure: 0,
          timeout: 0,
          min: 2,
          max: 2,
          mean: 2,
          p50: 2,
          p95: 2,
          p99: 2,
          recent_failure_rate: 0,
        },
      },
    },
  );
});
