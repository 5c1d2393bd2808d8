/**
 * What is allowed here and what this host can do, as `policy://guardrails` shows it. Names of
 * wordlists are shown, paths of this machine are not.
 *
 * @module
 */
import type { Capabilities } from "@/dispatch/engine.ts";
import type { ToolLimits } from "@/tools/guardrails.ts";
import { scope } from "./descriptions.ts";

/**
 * Shows the capabilities to a client.
 *
 * @param capabilities What is allowed here now.
 * @returns Plain JSON.
 */
export function guardrailsView(
  capabilities: Capabilities,
): Readonly<Record<string, unknown>> {
  const { guardrails, sandbox, rawSockets, tools } = capabilities;
  const { nmap, masscan, gobuster } = guardrails;
  return {
    summary: `May be scanned: ${scope(guardrails)}. Intrusive options are ${
      guardrails.allowIntrusive ? "allowed by the configuration" : "refused"
    }.`,
    scope: {
      allowed: ["loopback", "private", ...guardrails.scope.allowedSubnets],
      denied_subnets: guardrails.scope.deniedSubnets,
      allowed_host_suffixes: guardrails.scope.allowedHostSuffixes,
      max_network_size: guardrails.scope.maxNetworkSize,
      engagement_required: guardrails.scope.engagementRequired,
      bounds: guardrails.scope.bounds,
    },
    allow_intrusive: guardrails.allowIntrusive,
    timeout_seconds: {
      default: guardrails.timeoutSecondsDefault,
      max: guardrails.timeoutSecondsMax,
    },
    output_bytes_max: guardrails.outputBytesMax,
    extra_args_length_max: guardrails.extraArgsLengthMax,
    sandbox: {
      mode: sandbox.mode,
      reason: sandbox.reason,
      egress_guard_required: guardrails.egressGuard,
    },
    nmap: {
      limits: limitsView(nmap.limits),
      pace_default: nmap.paceDefault,
      paces: nmap.paces,
      timing_default: nmap.timingDefault,
      max_parallelism: nmap.maxParallelism,
      top_ports_default: nmap.topPortsDefault,
      ports_max: nmap.portsMax,
      script_categories: nmap.scriptCategories,
      script_names: nmap.scriptNames,
    },
    masscan: {
      limits: limitsView(masscan.limits),
      rate_default: masscan.rateDefault,
      rate_max: masscan.rateMax,
      passes: masscan.passes,
      wait_seconds: masscan.waitSeconds,
      ports_max: masscan.portsMax,
    },
    gobuster: {
      limits: limitsView(gobuster.limits),
      threads_default: gobuster.threadsDefault,
      threads_max: gobuster.threadsMax,
      wordlists: gobuster.wordlists.map(({ name, words }) => ({ name, words })),
      wordlist_default: gobuster.wordlistDefault,
      resolver: gobuster.resolver,
      request_timeout_seconds: gobuster.requestTimeoutSeconds,
    },
    host: { raw_sockets: rawSockets },
    tools: tools.map(({ name, enabled, version, breaker }) => ({
      name,
      enabled,
      version,
      breaker,
    })),
  };
}

function limitsView(limits: ToolLimits): Readonly<Record<string, number>> {
  return {
    cpu_seconds: limits.cpuSeconds,
    address_space_bytes: limits.addressSpaceBytes,
    file_bytes: limits.fileBytes,
    processes: limits.processes,
    open_files: limits.openFiles,
    wall_seconds: limits.wallSeconds,
    output_bytes: limits.outputBytes,
  };
}
