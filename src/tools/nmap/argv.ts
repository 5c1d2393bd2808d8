/**
 * nmap's command line: the closed list of flags that it may ever be started with, and the order in
 * which a scan uses them.
 *
 * Some choices are always made, whatever a request says:
 *
 * - `-n`: names were looked up and judged before, nothing is looked up during the scan.
 * - `--privileged` or `--unprivileged`: nmap does what the plan says, and does not find out by itself
 *   what it may.
 * - `-oX -`: output goes to stdout alone; no flag that names a file is in the list.
 * - no `--noninteractive` for a scan: it switches `--stats-every` off, and with it all progress. No
 *   keyboard is read all the same, as a child has no terminal (see `spawn`).
 *
 * @module
 */
import type { Family } from "@/scope/block.ts";
import { Target } from "@/scope/scope.ts";
import { Argv, type Grammar, type Part, SafeText } from "@/spawn/argv.ts";
import type { PortList } from "../ports.ts";
import type { NmapRequest } from "./request.ts";
import { scriptArgv } from "./scripts.ts";

/** What nmap may be started with. */
export const NMAP_GRAMMAR: Grammar = {
  program: "nmap",
  flags: new Map([
    ["-6", "none"],
    ["-n", "none"],
    ["--noninteractive", "none"],
    ["--privileged", "none"],
    ["--unprivileged", "none"],
    ["-sT", "none"],
    ["-sS", "none"],
    ["-sU", "none"],
    ["-sn", "none"],
    ["-sL", "none"],
    ["--resolve-all", "none"],
    ["-Pn", "none"],
    ["-PE", "none"],
    ["-PS", "glued"],
    ["-PA", "glued"],
    ["-p", "next"],
    ["--top-ports", "equals"],
    ["-sV", "none"],
    ["--version-intensity", "equals"],
    ["-O", "none"],
    ["--script", "equals"],
    ["--traceroute", "none"],
    ["-T0", "none"],
    ["-T1", "none"],
    ["-T2", "none"],
    ["-T3", "none"],
    ["-T4", "none"],
    ["-T5", "none"],
    ["--max-parallelism", "equals"],
    ["--min-rate", "equals"],
    ["--max-rate", "equals"],
    ["--max-retries", "equals"],
    ["--host-timeout", "equals"],
    ["--scan-delay", "equals"],
    ["--defeat-rst-ratelimit", "none"],
    ["--open", "none"],
    ["--reason", "none"],
    ["--stats-every=1s", "none"],
    ["-oX", "none"],
    // Stdout, the only operand of -oX there is.
    ["-", "none"],
    ["--version", "none"],
  ]),
};

/** The way nmap looks for ports. */
export type Technique = "-sT" | "-sS" | "-sU" | "-sn";

/** A request with every default filled in. */
export interface NmapSettings {
  readonly family: Family;
  /** Whether raw packets are used. */
  readonly privileged: boolean;
  readonly techniques: readonly Technique[];
  readonly hostDiscovery: boolean;
  /** What is looked at; neither for a ping scan. */
  readonly ports: PortList | null;
  readonly topPorts: number | null;
  readonly serviceDetection: boolean;
  readonly osDetection: boolean;
  readonly traceroute: boolean;
  readonly scripts: readonly string[];
  readonly timing: number;
  /** Null where the pace sets no cap. */
  readonly maxParallelism: number | null;
  readonly minRate: number | null;
}

/**
 * Builds the command line of a scan.
 *
 * @param settings What will be done.
 * @param request Where the optional flags stand.
 * @param targets What will be scanned, all of one family.
 * @returns The command line.
 * @throws {TypeError} If a target was not made by the scope.
 */
export function scanArgv(
  settings: NmapSettings,
  request: NmapRequest,
  targets: readonly Target[],
): Argv {
  return Argv.build(NMAP_GRAMMAR, [
    ...when(settings.family === 6, { flag: "-6" }),
    { flag: "-n" },
    { flag: settings.privileged ? "--privileged" : "--unprivileged" },
    ...settings.techniques.map((flag) => ({ flag })),
    ...discoveryParts(settings, request),
    ...portParts(settings),
    ...detectionParts(settings, request),
    ...paceParts(settings, request),
    ...when(request.openOnly, { flag: "--open" }),
    ...when(request.showReason, { flag: "--reason" }),
    { flag: "--stats-every=1s" },
    { flag: "-oX" },
    { flag: "-" },
    ...targets.map(operandOf),
  ]);
}

/**
 * Builds the command line that prints nmap's version.
 *
 * @returns The command line.
 */
export function versionArgv(): Argv {
  return Argv.build(NMAP_GRAMMAR, [{ flag: "--version" }]);
}

/**
 * Builds a trial that succeeds only if raw packets can be sent. It sends one to loopback: nmap opens
 * its raw socket for it and ends with 1 where it may not.
 *
 * @returns The command line.
 */
export function rawTrialArgv(): Argv {
  return Argv.build(NMAP_GRAMMAR, [
    { flag: "-n" },
    { flag: "--noninteractive" },
    { flag: "--privileged" },
    { flag: "-sS" },
    { flag: "-Pn" },
    { flag: "-p", value: 1 },
    { flag: "-T4" },
    { operand: SafeText.match("127.0.0.1", /127\.0\.0\.1/) },
  ]);
}

/** The last look before a command line: an address that nobody judged does not get in. */
function operandOf(target: Target): Part {
  if (!Target.is(target)) {
    throw new TypeError("Cannot scan a target that Scope did not make");
  }
  return { operand: target.argv };
}

function discoveryParts(
  settings: NmapSettings,
  request: NmapRequest,
): Part[] {
  if (settings.techniques.includes("-sn")) return probeParts(request);
  if (!settings.hostDiscovery) return [{ flag: "-Pn" }];
  return probeParts(request);
}

function probeParts(request: NmapRequest): Part[] {
  return [
    ...when(request.echoPing, { flag: "-PE" }),
    ...valued("-PS", request.synPing?.argv),
    ...valued("-PA", request.ackPing?.argv),
  ];
}

function portParts(settings: NmapSettings): Part[] {
  if (settings.ports !== null) return valued("-p", settings.ports.argv);
  return valued("--top-ports", settings.topPorts);
}

function detectionParts(
  settings: NmapSettings,
  request: NmapRequest,
): Part[] {
  const { scripts } = settings;
  return [
    ...when(settings.serviceDetection, { flag: "-sV" }),
    ...valued("--version-intensity", request.versionIntensity),
    ...when(settings.osDetection, { flag: "-O" }),
    ...valued("--script", scripts.length > 0 ? scriptArgv(scripts) : null),
    ...when(settings.traceroute, { flag: "--traceroute" }),
  ];
}

function paceParts(settings: NmapSettings, request: NmapRequest): Part[] {
  const { scanDelayMs, hostTimeoutSeconds } = request;
  return [
    { flag: `-T${settings.timing}` },
    // nmap ignores the cap with a warning where a delay is set: a delay sends one probe at a time.
    ...valued(
      "--max-parallelism",
      scanDelayMs === undefined ? settings.maxParallelism : null,
    ),
    ...valued("--min-rate", settings.minRate),
    ...valued("--max-rate", request.maxRate),
    ...valued("--max-retries", request.maxRetries),
    ...valued("--host-timeout", time(hostTimeoutSeconds, "s")),
    ...valued("--scan-delay", time(scanDelayMs, "ms")),
    ...when(request.defeatRstRatelimit, { flag: "--defeat-rst-ratelimit" }),
  ];
}

function time(count: number | undefined, unit: string): SafeText | null {
  return count === undefined
    ? null
    : SafeText.match(`${count}${unit}`, /[0-9]+m?s/);
}

function when(condition: boolean, part: Part): Part[] {
  return condition ? [part] : [];
}

function valued(
  flag: string,
  value: SafeText | number | null | undefined,
): Part[] {
  return value === null || value === undefined ? [] : [{ flag, value }];
}
