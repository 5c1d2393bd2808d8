/**
 * Health as clients read it: JSON in `snake_case` with times as text, like every other answer.
 *
 * @module
 */
import type { ToolStatistics } from "@/metrics/statistics.ts";
import type { HealthStatus } from "./check.ts";
import type { HealthReport } from "./health.ts";

/** Health as JSON. */
export interface HealthJson extends Readonly<Record<string, unknown>> {
  readonly status: HealthStatus;
}

/**
 * Writes a look at everything as JSON.
 *
 * @param report What the checks found.
 * @param statistics Each tool's figures, times in seconds.
 * @returns Plain JSON.
 */
export function healthJson(
  report: HealthReport,
  statistics: Readonly<Record<string, ToolStatistics>>,
): HealthJson {
  return {
    status: report.status,
    at: new Date(report.at).toISOString(),
    duration_ms: milliseconds(report.durationMs),
    checks: report.checks.map(({ durationMs, ...check }) => ({
      ...check,
      duration_ms: milliseconds(durationMs),
    })),
    statistics: Object.fromEntries(
      Object.entries(statistics).map(([tool, figures]) => {
        const { recentFailureRate, ...others } = figures;
        return [tool, { ...others, recent_failure_rate: recentFailureRate }];
      }),
    ),
  };
}

/** Three decimals: more say nothing. */
function milliseconds(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
