/**
 * What this server watches about itself: the checks and where their figures come from. Loaded after
 * the start, which it must not slow down.
 *
 * @module
 */
import type { AuditLog } from "@/audit/audit_log.ts";
import type { Breakers } from "@/breaker/breakers.ts";
import type { Config } from "@/config/schema.ts";
import type { Host } from "@/dispatch/host.ts";
import { after } from "@/health/after.ts";
import type { Check, HealthStatus } from "@/health/check.ts";
import {
  auditCheck,
  breakersCheck,
  dependencyCheck,
  diskCheck,
  isolatesCheck,
  loadCheck,
  loopLagCheck,
  sandboxCheck,
  storeCheck,
  systemMemoryCheck,
  toolCheck,
} from "@/health/checks.ts";
import { Health } from "@/health/health.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import type { Log } from "@/log/log.ts";
import type { Sandbox } from "@/spawn/launcher.ts";
import type { Store } from "@/store/store.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import { statfs } from "node:fs/promises";

/** Asks something that the configuration names. What it gives is the check's detail. */
export type Dependency = () => Promise<{ readonly [key: string]: number }>;

/** What the checks look at. */
export interface HealthSources {
  readonly config: Config;
  readonly isolates: Isolates;
  readonly host: Host;
  readonly breakers: Breakers<ToolName>;
  readonly sandbox: Sandbox;
  readonly audit: AuditLog;
  readonly store: () => Promise<Store>;
  /** How many results wait for the store. */
  readonly untaken: () => number;
  readonly loopLagMs: () => number;
  readonly log: Log;
  /** What the configuration names and the server asks, by name; each rejects if it does not answer. */
  readonly dependencies: () => Readonly<Record<string, Dependency>>;
  /** Hears when the status is another one than at the last look. */
  readonly onStatus: (status: HealthStatus) => void;
}

/**
 * Makes the health monitor of this server.
 *
 * @param sources What the checks look at.
 * @returns The monitor; it begins when it is started or asked.
 */
export function healthWatch(sources: HealthSources): Health {
  const { config, log, onStatus } = sources;
  let last: HealthStatus | null = null;
  return new Health({
    checks: checks(sources),
    overallTimeoutMs: config.health.overall_timeout_seconds * 1000,
    checkTimeoutMs: config.health.check_timeout_seconds * 1000,
    intervalMs: config.health.interval_seconds * 1000,
    historyMax: config.health.history,
    now: () => performance.now(),
    wallNow: Date.now,
    after,
    onError: (check, error) =>
      log.warn("health check failed", { check, error: String(error) }),
    onReport: (report) => {
      if (last !== null && last !== report.status) onStatus(report.status);
      last = report.status;
      const level = report.status === "healthy" ? "debug" : "warn";
      const bad = report.checks.filter(({ status }) => status !== "healthy");
      log[level]("health", {
        status: report.status,
        checks: bad.map(({ name }) => name),
      });
    },
  });
}

function checks(
  { config, isolates, host, breakers, sandbox, audit, ...sources }:
    HealthSources,
): readonly Check[] {
  const { health, state } = config;
  const memoryFloor = 1 - health.memory_max_percent / 100;
  return [
    isolatesCheck(() => isolates.states()),
    sandboxCheck(sandbox),
    auditCheck(() => audit.probe()),
    storeCheck(
      async () => await (await sources.store()).probe(),
      sources.untaken,
    ),
    breakersCheck(() => breakers.statistics()),
    loopLagCheck(sources.loopLagMs, {
      degradedAbove: health.event_loop_lag_max_ms,
      unhealthyAbove: health.event_loop_lag_max_ms * 8,
    }),
    systemMemoryCheck(Deno.systemMemoryInfo, {
      degradedBelow: memoryFloor,
      unhealthyBelow: memoryFloor / 4,
    }),
    loadCheck(Deno.loadavg, navigator.hardwareConcurrency, {
      degradedAbove: health.load_max_per_core,
      unhealthyAbove: health.load_max_per_core * 3,
    }),
    diskCheck(() => statfs(state.folder), health.disk_free_min_bytes),
    ...Object.entries(sources.dependencies()).map(([name, ask]) =>
      dependencyCheck(name, ask)
    ),
    ...TOOL_NAMES.filter((tool) => config[tool].enabled).map((tool) =>
      toolCheck(tool, async () => {
        const probe = await host.probe(tool);
        return { version: probe.kind === "present" ? probe.version : "" };
      })
    ),
  ];
}
