/**
 * Rules between keys, applied when each key for itself is sound.
 *
 * Where a default is above a maximum that the operator lowered, the default is lowered too, with a
 * warning: nobody wrote it. Where the operator wrote both, they contradict each other, and that is
 * refused.
 *
 * @module
 */
import { shown } from "@/tools/field.ts";
import { isLoopback, isPublic } from "./complaint.ts";
import type { Config, KeyName } from "./schema.ts";

/** A pair of numbers of which the first may not be above the second. */
const AT_MOST: readonly (readonly [low: KeyName, high: KeyName])[] = [
  ["tool.default_timeout", "tool.max_timeout"],
  ["nmap.top_ports", "nmap.max_ports"],
  ["masscan.default_rate", "masscan.max_rate"],
  ["gobuster.default_threads", "gobuster.max_threads"],
  ["breaker.recovery_timeout_seconds", "breaker.max_recovery_timeout_seconds"],
  ["health.overall_timeout_seconds", "health.interval_seconds"],
  // After the pair above: that one may have lowered the second number.
  ["health.check_timeout_seconds", "health.overall_timeout_seconds"],
];

/** A key that means nothing without another one. */
const TOGETHER: readonly (readonly [set: KeyName, needs: KeyName])[] = [
  ["server.tls_certificate_file", "server.tls_key_file"],
  ["server.tls_key_file", "server.tls_certificate_file"],
  ["identity.issuer", "identity.audience"],
  ["identity.jwks_url", "identity.issuer"],
];

/** The values so far, by name. */
export interface Draft {
  get(name: KeyName): unknown;
  set(name: KeyName, value: unknown): void;
  /** Where a value was written, or null for a default. */
  placeOf(name: KeyName): string | null;
  /** Whether a value was refused, so that no rule can be applied to it. */
  isBroken(name: KeyName): boolean;
  /** Hears what is wrong, and at which key. */
  refuse(name: KeyName, message: string): void;
  /** Hears what an operator should know. */
  warn(name: KeyName, message: string): void;
}

/**
 * Applies the rules between keys.
 *
 * @param draft The values; some defaults may be lowered.
 */
export function applyRules(draft: Draft): void {
  for (const [low, high] of AT_MOST) applyAtMost(draft, low, high);
  applyPace(draft);
  applyTogether(draft);
}

/**
 * Names what weakens the server and was asked for.
 *
 * @param config The configuration.
 * @param warn Hears of it.
 */
export function warnOfWeakness(
  config: Config,
  warn: (name: KeyName, message: string) => void,
): void {
  for (const subnet of config.security.allowed_subnets) {
    if (!isPublic(subnet)) continue;
    warn(
      "security.allowed_subnets",
      `${
        shown(subnet)
      } holds public addresses; scan them only with their owner's consent`,
    );
  }
  if (config.server.transport === "http" && !isLoopback(config.server.host)) {
    warn(
      "server.host",
      `${shown(config.server.host)} can be reached from other machines`,
    );
  }
}

function applyAtMost(draft: Draft, low: KeyName, high: KeyName): void {
  if (draft.isBroken(low) || draft.isBroken(high)) return;
  const value = Number(draft.get(low));
  const limit = Number(draft.get(high));
  if (value <= limit) return;
  const lowPlace = draft.placeOf(low);
  const highPlace = draft.placeOf(high);
  if (lowPlace === null) {
    draft.set(low, limit);
    draft.warn(
      low,
      `the default ${value} is above ${high}, which is ${limit}; ${limit} is used`,
    );
    return;
  }
  draft.refuse(
    low,
    `${value} is above ${high}, which is ${limit} (${
      highPlace ?? "its default"
    }); lower the one or raise the other`,
  );
}

function applyTogether(draft: Draft): void {
  for (const [set, needs] of TOGETHER) {
    if (draft.isBroken(set) || draft.isBroken(needs)) continue;
    if (draft.get(set) === null || draft.get(needs) !== null) continue;
    draft.refuse(set, `it needs ${needs} beside it; set both or neither`);
  }
}

function applyPace(draft: Draft): void {
  if (draft.isBroken("nmap.pace") || draft.isBroken("nmap.allowed_paces")) {
    return;
  }
  const pace = draft.get("nmap.pace");
  const paces = draft.get("nmap.allowed_paces");
  if (Array.isArray(paces) && paces.includes(pace)) return;
  const name = draft.placeOf("nmap.pace") === null
    ? "nmap.allowed_paces"
    : "nmap.pace";
  draft.refuse(
    name,
    `the pace ${
      shown(pace)
    } is not among nmap.allowed_paces; add it there or name another nmap.pace`,
  );
}
