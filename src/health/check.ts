/**
 * What a health check is, and what it may say.
 *
 * @module
 */

/** From best to worst. */
export const HEALTH_STATUSES = ["healthy", "degraded", "unhealthy"] as const;

/** One of {@linkcode HEALTH_STATUSES}. */
export type HealthStatus = typeof HEALTH_STATUSES[number];

/** How much a check weighs in the overall status. */
export type Priority = "critical" | "important" | "informational";

/** Plain data. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/** What a check found. */
export interface Finding {
  readonly status: HealthStatus;
  /** What was found and, unless healthy, what to do. No path, no tool's stderr. */
  readonly message: string;
  /** The figures. */
  readonly detail: { readonly [key: string]: Json };
}

/** A check. */
export interface Check {
  readonly name: string;
  readonly priority: Priority;
  /** It is unhealthy if it takes longer. */
  readonly timeoutMs: number;
  /**
   * Looks.
   *
   * @param signal Aborts when nobody waits any more.
   * @returns What was found. A check that throws is unhealthy.
   */
  run(signal: AbortSignal): Promise<Finding>;
}

/** What a check found, when and how fast. */
export interface CheckResult extends Finding {
  readonly name: string;
  readonly priority: Priority;
  readonly durationMs: number;
}

/**
 * Draws the overall status: any critical failure is unhealthy; anything wrong with a critical or an
 * important check degrades; informational ones degrade only when all of them fail.
 *
 * @param results What the checks found.
 * @returns The overall status.
 */
export function overallStatus(
  results: readonly Pick<CheckResult, "priority" | "status">[],
): HealthStatus {
  const of = (priority: Priority) =>
    results.filter((result) => result.priority === priority);
  const fails = ({ status }: { status: HealthStatus }) =>
    status === "unhealthy";
  if (of("critical").some(fails)) return "unhealthy";
  const weighty = [...of("critical"), ...of("important")];
  if (weighty.some(({ status }) => status !== "healthy")) return "degraded";
  const informational = of("informational");
  return informational.length > 0 && informational.every(fails)
    ? "degraded"
    : "healthy";
}
