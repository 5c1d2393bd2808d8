/**
 * Quotas for tests that are about something else.
 *
 * @module
 */
import { type QuotaLimits, Quotas } from "@/identity/quotas.ts";

/** No bound on anything. */
export const UNBOUNDED: QuotaLimits = {
  scans_per_hour: 0,
  targets_per_hour: 0,
  cpu_seconds_per_hour: 0,
  packets_per_hour: 0,
  concurrent_scans: 0,
};

/**
 * Makes quotas of two tenants on a clock that stands still.
 *
 * @param limits What is bounded.
 * @returns The quotas.
 */
export function quotasOf(limits: Partial<QuotaLimits> = {}): Quotas {
  return new Quotas({
    limits: { ...UNBOUNDED, ...limits },
    tenants: ["default", "blue"],
    running: () => 0,
    now: () => 0,
  });
}
