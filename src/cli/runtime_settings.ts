/**
 * What the parts of the engine are set to by the configuration.
 *
 * @module
 */
import type { BreakerOptions } from "@/breaker/breaker_options.ts";
import { configFileOf } from "@/config/boot.ts";
import { type Config, KEYS } from "@/config/schema.ts";
import { queryPermission } from "@/isolate/grant.ts";
import type { LogLevel } from "@/log/log.ts";
import type { PermitsOptions } from "@/permits/permits.ts";
import type { ToolName } from "@/tools/tool.ts";
import type { World } from "./world.ts";

/** What the breakers are set to. */
export function breakerOptions(
  config: Config,
): Readonly<Record<ToolName, BreakerOptions>> {
  const { breaker } = config;
  const options: BreakerOptions = {
    failureThreshold: breaker.failure_threshold,
    successThreshold: breaker.success_threshold,
    recoveryTimeoutMs: breaker.recovery_timeout_seconds * 1000,
    backoffMultiplier: breaker.backoff_multiplier,
    recoveryTimeoutMsMax: breaker.max_recovery_timeout_seconds * 1000,
    jitter: breaker.jitter,
  };
  return { nmap: options, masscan: options, gobuster: options };
}

/** How many scans may run and wait. */
export function permitOptions(config: Config): PermitsOptions<ToolName> {
  const { max_concurrent_scans, max_queued_scans } = config.security;
  const queueMax = max_queued_scans;
  return {
    permits: max_concurrent_scans,
    queueMax,
    tenantPermits: config.limits.concurrent_scans || null,
    tools: {
      nmap: { permits: config.nmap.concurrency, queueMax },
      masscan: { permits: config.masscan.concurrency, queueMax },
      gobuster: { permits: config.gobuster.concurrency, queueMax },
    },
  };
}

/** How many scans are at hand in memory. */
export function scanBounds(
  config: Config,
): { keep: number; keepBytes: number } {
  return { keep: config.scans.keep, keepBytes: config.scans.keep_bytes };
}

/** The least severe messages that are logged. */
export function logLevel(config: Config): LogLevel {
  return config.log.level === "warning" ? "warn" : config.log.level;
}

/** What the warden may read: the code, and where the configuration and the wordlists lie. */
export function readable(world: World, config: Config): readonly string[] {
  const file = configFileOf(world.env);
  const folders = [
    `${world.root}/src`,
    `${world.root}/config`,
    ...config.gobuster.wordlist_folders,
  ];
  if (file !== null) folders.push(file);
  return folders.filter((path) =>
    queryPermission({ name: "read", path }) === "granted"
  );
}

/** The names of the keys that differ; never their values. */
export function changedKeys(before: Config, after: Config): string[] {
  return KEYS.filter(({ section, key }) =>
    valueOf(before, section, key) !== valueOf(after, section, key)
  ).map(({ name }) => name);
}

function valueOf(config: Config, section: string, key: string): string {
  const sections = config as unknown as Record<string, Record<string, unknown>>;
  return JSON.stringify(sections[section]?.[key]);
}
