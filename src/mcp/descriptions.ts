/**
 * The words by which a model chooses a tool. They say what a tool does, when another is better, and
 * what this server and this host allow now, so that a model need not learn it by being refused.
 *
 * @module
 */
import type { Capabilities } from "@/dispatch/engine.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import type { ToolName } from "@/tools/tool.ts";
import { shorten } from "./budget.ts";
import type { ScanToolName } from "./scan_tools.ts";

/** Longest list of networks, suffixes or names within a description. */
const LIST_LENGTH_MAX = 120;

/** What clients show as the tools' names. */
export const TITLES: Readonly<Record<ToolName | ScanToolName, string>> = {
  nmap: "Scan hosts and ports (nmap)",
  masscan: "Sweep ports fast (masscan)",
  gobuster: "Find web paths, names and virtual hosts (gobuster)",
  scan_status: "State of a scan",
  scan_results: "Findings of a scan",
  scan_list: "Scans",
  scan_diff: "What changed since",
  inventory: "What is known of hosts and services",
  scan_cancel: "Cancel a scan",
};

/** The words for the tools that look after scans. */
export const SCAN_TOOL_DESCRIPTIONS: Readonly<Record<ScanToolName, string>> = {
  scan_status:
    "Says whether a scan waits, runs or is over, how far it is and how long it may take. After background: true, ask again after about the remaining seconds.",
  scan_results:
    "Reads the findings of a scan that is over, page by page, with filters. Filter instead of reading everything: open_only with port answers which hosts have a port open in a few hundred tokens.",
  scan_list: "Names scans, newest first.",
  scan_diff:
    "Compares a scan with an earlier one: what appeared, vanished or changed. What one of them did not cover is neither new nor gone.",
  inventory:
    "Lists hosts and services over all scans, or searches what services said (banners, titles), with when and by which scan each was seen. It sends nothing: ask it before scanning again.",
  scan_cancel: "Ends a scan and waits until its process is gone.",
};

/**
 * Describes a scanner for a model.
 *
 * @param tool The tool.
 * @param capabilities What is allowed here now.
 * @returns A few sentences.
 */
export function describeScanner(
  tool: ToolName,
  capabilities: Capabilities,
): string {
  const { guardrails } = capabilities;
  return [
    ...availability(tool, capabilities),
    ...PURPOSE[tool],
    ...LIMITS[tool](capabilities),
    // Said once: every client sends all descriptions to its model in every conversation.
    ...(tool === "nmap"
      ? [
        `Targets: ${scope(guardrails)}.`,
        `Time limit: ${guardrails.timeoutSecondsDefault} s if left out, at most ${guardrails.timeoutSecondsMax} s.`,
      ]
      : ["Targets, time limit, and background to no_cache: as for nmap."]),
  ].join(" ");
}

/**
 * Says what may be scanned, in words.
 *
 * @param guardrails The rules.
 * @returns A phrase without a period.
 */
export function scope(guardrails: Guardrails): string {
  const {
    allowedSubnets,
    deniedSubnets,
    allowedHostSuffixes,
    maxNetworkSize,
    engagementRequired,
  } = guardrails.scope;
  const parts = ["loopback and private addresses"];
  if (allowedSubnets.length > 0) parts.push(`and ${listed(allowedSubnets)}`);
  if (deniedSubnets.length > 0) parts.push(`but not ${listed(deniedSubnets)}`);
  if (allowedHostSuffixes.length > 0) {
    parts.push(`and names under ${listed(allowedHostSuffixes)}`);
  }
  return `${parts.join(" ")}; at most ${maxNetworkSize} addresses a scan${
    engagementRequired ? "; each scan names its engagement" : ""
  }`;
}

const PURPOSE: Readonly<Record<ToolName, readonly string[]>> = {
  nmap: [
    "Finds live hosts, open ports, services and their versions. The tool to start with.",
    "Use masscan instead only to sweep many ports of many hosts, and gobuster to look into a web server.",
    "Without ports it takes the most common ones; scan_type ping only looks who is up.",
  ],
  masscan: [
    "Sweeps many ports of many hosts fast and names the open ones.",
    "It misses some: a port it does not name is not proven closed; let nmap confirm what matters and find the services.",
    "It does not work on loopback addresses.",
  ],
  gobuster: [
    "Tries the words of a list against a web server or a name server.",
    "mode dir finds paths below a URL, vhost finds virtual hosts of a URL, dns finds names below a domain.",
    "Find the web server's address and port with nmap first.",
  ],
};

const LIMITS: Readonly<
  Record<ToolName, (capabilities: Capabilities) => readonly string[]>
> = {
  nmap: ({ guardrails, rawSockets }) => [
    RAW_NMAP[String(rawSockets) as "true" | "false" | "null"],
    guardrails.allowIntrusive
      ? "Intrusive options are allowed by the configuration."
      : `Intrusive options (-A, -O, vuln scripts) are refused; scripts of ${
        listed(guardrails.nmap.scriptCategories)
      } are allowed.`,
    `Paces: ${guardrails.nmap.paces.join(", ")}.`,
  ],
  masscan: ({ guardrails, rawSockets }) => [
    ...(rawSockets === false
      ? [
        "This host cannot send raw packets, so every call is refused: use nmap.",
      ]
      : []),
    `At most ${guardrails.masscan.rateMax} packets a second.`,
  ],
  gobuster: ({ guardrails }) => [
    `Wordlists: ${
      listed(guardrails.gobuster.wordlists.map(({ name }) => name)) || "none"
    }.`,
    `At most ${guardrails.gobuster.threadsMax} threads; redirects are not followed.`,
  ],
};

const RAW_NMAP: Readonly<Record<"true" | "false" | "null", string>> = {
  true: "This host can do connect, SYN, UDP and ping scans.",
  false:
    "This host can do connect scans only: SYN and UDP scans and OS detection are refused.",
  null: "Whether this host can do SYN and UDP scans is not known yet.",
};

function availability(
  tool: ToolName,
  { tools }: Capabilities,
): readonly string[] {
  const state = tools.find(({ name }) => name === tool);
  if (state === undefined) return [];
  if (!state.enabled) return ["Switched off by the operator."];
  if (state.breaker === "forced_open") return ["Stopped by the operator."];
  if (state.breaker !== "closed") {
    return ["It failed repeatedly and may be refused for the moment."];
  }
  return [];
}

function listed(items: readonly string[]): string {
  return shorten(items.join(", "), LIST_LENGTH_MAX);
}
