/**
 * Derives what a tool isolate is born with from the configuration. Nothing is decided here: every
 * number is already clamped, and every rule already checked.
 *
 * @module
 */
import type { Guardrails, ToolLimits } from "@/tools/guardrails.ts";
import type { ScopeBound } from "@/scope/rules.ts";
import { boundOf } from "./complaint.ts";
import type { Wordlist } from "./catalogue.ts";
import type { Config } from "./schema.ts";

/**
 * Derives the rules of one server.
 *
 * @param config The configuration.
 * @param wordlists The catalogue, read from the configuration's folders.
 * @returns The rules: plain data that may cross to an isolate.
 */
export function guardrailsOf(
  config: Config,
  wordlists: readonly Wordlist[],
): Guardrails {
  const { tool, security, sandbox, nmap, masscan, gobuster } = config;
  return {
    scope: {
      allowedSubnets: [...security.allowed_subnets],
      deniedSubnets: [...security.denied_subnets],
      allowedHostSuffixes: [...security.allowed_host_suffixes],
      maxNetworkSize: security.max_network_size,
      bounds: [
        ...boundsOf("engagement", security.engagement_subnets),
        ...boundsOf("tag", security.tag_subnets),
        ...boundsOf("tenant", security.tenant_subnets),
      ],
      engagementRequired: security.engagement_required,
      within: [],
    },
    allowIntrusive: security.allow_intrusive,
    timeoutSecondsDefault: tool.default_timeout,
    timeoutSecondsMax: tool.max_timeout,
    outputBytesMax: security.max_output_bytes,
    extraArgsLengthMax: security.max_extra_args_length,
    egressGuard: sandbox.egress_guard,
    nmap: {
      limits: limitsOf(nmap),
      paceDefault: nmap.pace,
      paces: [...nmap.allowed_paces],
      timingDefault: nmap.timing,
      maxParallelism: nmap.max_parallelism,
      topPortsDefault: nmap.top_ports,
      portsMax: nmap.max_ports,
      scriptCategories: [...nmap.script_categories],
      scriptNames: [...nmap.allowed_scripts],
    },
    masscan: {
      limits: limitsOf(masscan),
      rateDefault: masscan.default_rate,
      rateMax: masscan.max_rate,
      passes: masscan.passes,
      waitSeconds: masscan.wait_seconds,
      portsMax: masscan.max_ports,
    },
    gobuster: {
      limits: limitsOf(gobuster),
      threadsDefault: gobuster.default_threads,
      threadsMax: gobuster.max_threads,
      wordlists: wordlists.map(({ name, path, words }) => ({
        name,
        path,
        words,
      })),
      wordlistDefault: gobuster.default_wordlist,
      resolver: gobuster.resolver,
      requestTimeoutSeconds: gobuster.request_timeout_seconds,
    },
  };
}

/** Gathers `NAME=SUBNET` by their names. */
function boundsOf(
  kind: ScopeBound["kind"],
  entries: readonly string[],
): ScopeBound[] {
  const subnets = new Map<string, string[]>();
  for (const { name, subnet } of entries.map(boundOf)) {
    subnets.set(name, [...subnets.get(name) ?? [], subnet]);
  }
  return [...subnets].map(([name, of]) => ({ kind, name, subnets: of }));
}

function limitsOf(tool: Config["nmap" | "masscan" | "gobuster"]): ToolLimits {
  return {
    cpuSeconds: tool.limit_cpu_seconds,
    addressSpaceBytes: tool.limit_address_space_bytes,
    fileBytes: tool.limit_file_bytes,
    processes: tool.limit_processes,
    openFiles: tool.limit_open_files,
    wallSeconds: tool.limit_wall_seconds,
    outputBytes: tool.limit_output_bytes,
  };
}
