/**
 * Holds a request against every guardrail and decides what nmap will do.
 *
 * A plan always names every guardrail, also after one has refused: a caller sees at once all that
 * has to change. With a refusal there is no command line.
 *
 * What is chosen for a caller who left it out is said in `notes` and in `scanType`. What a caller
 * names is done or refused, never replaced.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";
import type { Family } from "@/scope/block.ts";
import { type Judgement, Scope, type Target } from "@/scope/scope.ts";
import type { Pace } from "../guardrails.ts";
import { namesOf } from "@/scope/target.ts";
import { judgeTimeout } from "../timeout.ts";
import type { Plan, PlanContext, Verdict } from "../tool.ts";
import { allowed, refused } from "../verdict.ts";
import { type NmapSettings, scanArgv, type Technique } from "./argv.ts";
import { estimate, portsOf } from "./estimate.ts";
import type { NmapRequest } from "./request.ts";
import { classifyScript, SCRIPTS } from "./scripts.ts";

/** Packets a second below which the `fast` pace does not fall. */
const FAST_MIN_RATE = 300;

/** Most networks that `permissions` names. */
const NETWORKS_SHOWN_MAX = 16;

/**
 * Plans a scan.
 *
 * @param request A parsed request.
 * @param context Guardrails, powers, looked-up names.
 * @returns The plan.
 */
export function planScan(request: NmapRequest, context: PlanContext): Plan {
  const { guardrails } = context;
  const judgement = Scope.of(guardrails.scope).judge(
    request.targets,
    context.resolved,
  );
  const { targets, family, notes } = oneFamily(judgement.targets);
  const hosts = family.error === undefined && targets.length > 0
    ? targets.reduce((sum, target) => sum + target.addressCount, 0)
    : judgement.addressCount;
  const settings = settle(request, context, hosts, targets[0]?.family ?? 4);
  const timeout = judgeTimeout(
    "nmap",
    request.timeoutSeconds,
    guardrails,
  );
  const verdicts: readonly Verdict[] = [
    ...judgement.verdicts,
    family,
    judgePorts(settings, context),
    judgePace(request, context),
    judgeScripts(settings, context),
    judgeIntrusive(request, settings, context),
    judgeRawSockets(request, settings, context),
    timeout.verdict,
  ];
  const { probes, seconds } = estimate(settings, request, hosts);
  const runs = verdicts.every((verdict) => verdict.allowed);
  return {
    tool: "nmap",
    verdicts,
    passes: runs ? [scanArgv(settings, request, targets)] : [],
    targets: targets.map(String),
    addressCount: hosts,
    probes,
    seconds,
    scanType: scanTypeText(settings),
    permissions: permissions(settings, targets),
    timeoutMs: timeout.timeoutMs,
    notes: runs
      ? [
        ...notes,
        ...nameNotes(targets),
        ...choiceNotes(request, settings, context, hosts),
        ...deadlineNotes(seconds, timeout.timeoutMs),
      ]
      : [],
    facts: {
      networks: targets.flatMap(({ networks }) => networks),
      names: namesOf(request.targets),
      ports: portsOf(settings),
      rate: settings.minRate ?? 0,
      intrusive: intrusiveAsks(request, settings).length > 0 ||
        settings.scripts.some((word) => needsRight(word, context)),
    },
  };
}

/** Fills in what the caller left out. */
function settle(
  request: NmapRequest,
  context: PlanContext,
  hosts: number,
  family: Family,
): NmapSettings {
  const { nmap } = context.guardrails;
  const techniques = techniquesOf(request, context);
  const ping = techniques.includes("-sn");
  const asksDiscovery = request.echoPing || request.synPing !== undefined ||
    request.ackPing !== undefined;
  const hostDiscovery = !ping &&
    (request.hostDiscovery ?? (asksDiscovery || hosts > 1));
  const osDetection = request.osDetection || request.aggressive;
  const traceroute = request.traceroute || request.aggressive;
  const pace = paceOf(request, context);
  const timing = request.timing ?? nmap.timingDefault;
  return {
    family,
    privileged: techniques.some((technique) => technique !== "-sT") ||
      osDetection || traceroute ||
      (hostDiscovery && context.powers.rawSockets),
    techniques,
    hostDiscovery,
    ports: ping ? null : request.ports ?? null,
    topPorts: ping || request.ports !== undefined
      ? null
      : request.topPorts ?? nmap.topPortsDefault,
    serviceDetection: request.serviceDetection || request.aggressive,
    osDetection,
    traceroute,
    scripts: request.aggressive && !request.scripts.includes("default")
      ? [...request.scripts, "default"]
      : request.scripts,
    timing,
    // The templates up to 2 send one probe at a time; a cap would raise that.
    maxParallelism: pace === "restrained" && timing > 2
      ? nmap.maxParallelism
      : null,
    minRate: pace === "fast" ? minRateOf(request) : null,
  };
}

function techniquesOf(
  request: NmapRequest,
  context: PlanContext,
): readonly Technique[] {
  const tcp: Technique = context.powers.rawSockets ? "-sS" : "-sT";
  const { ports, scanType } = request;
  const udpPorts = ports?.prefixed === true && ports.udp.length > 0;
  const udpOnly = udpPorts && ports.tcp.length === 0;
  if (scanType === "ping") return ["-sn"];
  if (scanType === "udp" || udpOnly) return ["-sU"];
  const named: Record<"connect" | "syn", Technique> = {
    connect: "-sT",
    syn: "-sS",
  };
  const chosen = scanType === undefined ? tcp : named[scanType];
  return udpPorts ? [chosen, "-sU"] : [chosen];
}

/** `--min-rate` is what the fast pace is made of, so whoever names it asks for that pace. */
function paceOf(request: NmapRequest, context: PlanContext): Pace {
  if (request.minRate !== undefined) return "fast";
  return request.pace ?? context.guardrails.nmap.paceDefault;
}

function minRateOf(request: NmapRequest): number {
  return request.minRate ??
    Math.min(FAST_MIN_RATE, request.maxRate ?? FAST_MIN_RATE);
}

/**
 * nmap scans one family a run. Explicit addresses of both are refused; a name that has addresses of
 * both is scanned at those of the family that the rest of the request has, IPv4 if there is no rest.
 */
function oneFamily(
  targets: Judgement["targets"],
): { targets: readonly Target[]; family: Verdict; notes: string[] } {
  const guardrail = "address_family";
  if (targets.length === 0) {
    const reason = "not looked at: no target is allowed";
    return { targets, family: allowed(guardrail, reason), notes: [] };
  }
  const explicit = targets.filter((target) => target.name === null);
  const wanted: Family = explicit[0]?.family ??
    (targets.some((target) => target.family === 4) ? 4 : 6);
  const kept = targets.filter((target) => target.family === wanted);
  const keptNames = new Set(kept.map((target) => String(target.name)));
  const dropped = targets.filter((target) => target.family !== wanted);
  const lost = dropped.some((target) =>
    target.name === null || !keptNames.has(String(target.name))
  );
  if (lost) {
    return {
      targets,
      family: refused(
        guardrail,
        "invalid_arguments",
        "Cannot scan IPv4 and IPv6 at once: nmap scans one family a run; ask for each in a scan of its own",
      ),
      notes: [],
    };
  }
  return {
    targets: kept,
    family: allowed(guardrail, `IPv${wanted} only`),
    notes: dropped.map((target) =>
      `${target} of ${target.name} is left out: the scan is IPv${wanted}; ask for that address to scan it`
    ),
  };
}

function judgePorts(settings: NmapSettings, context: PlanContext): Verdict {
  const { portsMax } = context.guardrails.nmap;
  const count = portsOf(settings);
  return count <= portsMax
    ? allowed(
      "ports",
      `${
        count === 1 ? "1 port" : `${count} ports`
      } a host, at most ${portsMax}`,
    )
    : refused(
      "ports",
      "invalid_arguments",
      `Cannot scan ${count} ports: the limit is ${portsMax}; name fewer ports`,
    );
}

function judgePace(request: NmapRequest, context: PlanContext): Verdict {
  const { paces } = context.guardrails.nmap;
  const pace = paceOf(request, context);
  if (paces.includes(pace)) return allowed("pace", `${pace} is allowed`);
  const what = request.minRate === undefined
    ? `the pace "${pace}"`
    : "--min-rate, which is the pace fast";
  return refused(
    "pace",
    "invalid_arguments",
    `Cannot use ${what}: it is not allowed here; use ${paces.join(" or ")}`,
  );
}

function judgeScripts(settings: NmapSettings, context: PlanContext): Verdict {
  for (const word of settings.scripts) {
    const why = scriptRefusal(word, context);
    if (why !== null) return refused("scripts", why.code, why.message);
  }
  const { scripts } = settings;
  return allowed(
    "scripts",
    scripts.length === 0 ? "no scripts" : `${scripts.join(", ")}: allowed`,
  );
}

/** Whether a script may be run only by the right to be intrusive. */
function needsRight(word: string, { guardrails }: PlanContext): boolean {
  const { nmap } = guardrails;
  if (classifyScript(word) === "intrusive") return true;
  const categories = SCRIPTS.get(word) ?? [word];
  return !nmap.scriptNames.includes(word) &&
    !categories.some((category) => nmap.scriptCategories.includes(category));
}

function scriptRefusal(
  word: string,
  context: PlanContext,
): { code: ErrorCode; message: string } | null {
  const { nmap, allowIntrusive } = context.guardrails;
  if (classifyScript(word) === "unconfined") {
    return {
      code: allowIntrusive ? "target_not_allowed" : "intrusive_not_allowed",
      message:
        `Cannot run the script "${word}": it sends to others than the targets, which no right allows; leave it out`,
    };
  }
  if (allowIntrusive || !needsRight(word, context)) return null;
  const categories = SCRIPTS.get(word) ?? [word];
  const way = nmap.scriptCategories.join(", ") || "no category";
  return {
    code: "intrusive_not_allowed",
    message: `Cannot run the script "${word}" (${
      categories.join(", ")
    }): it needs security.allow_intrusive, which is off; allowed are scripts that are not intrusive of: ${way}`,
  };
}

function intrusiveAsks(
  request: NmapRequest,
  settings: NmapSettings,
): readonly string[] {
  return [
    ...(request.aggressive ? ["-A"] : []),
    ...(request.osDetection ? ["os_detection"] : []),
    ...(settings.timing === 5 ? ["timing 5"] : []),
  ];
}

function judgeIntrusive(
  request: NmapRequest,
  settings: NmapSettings,
  context: PlanContext,
): Verdict {
  const asks = intrusiveAsks(request, settings);
  if (asks.length === 0) return allowed("intrusive", "nothing intrusive");
  const what = asks.join(", ");
  return context.guardrails.allowIntrusive
    ? allowed("intrusive", `${what}: intrusive options are allowed here`)
    : refused(
      "intrusive",
      "intrusive_not_allowed",
      `Cannot use ${what}: intrusive options need security.allow_intrusive, which is off; leave it out`,
    );
}

function judgeRawSockets(
  request: NmapRequest,
  settings: NmapSettings,
  context: PlanContext,
): Verdict {
  const needs = [
    ...(settings.techniques.includes("-sS") ? ["a syn scan"] : []),
    ...(settings.techniques.includes("-sU") ? ["a udp scan"] : []),
    ...(settings.techniques.includes("-sn") ? ["a ping scan"] : []),
    ...(settings.osDetection ? ["os_detection"] : []),
    ...(settings.traceroute ? ["traceroute"] : []),
    ...(request.echoPing ? ["-PE"] : []),
    ...(request.ackPing === undefined ? [] : ["-PA"]),
    ...(request.defeatRstRatelimit ? ["--defeat-rst-ratelimit"] : []),
  ];
  if (needs.length === 0) {
    return allowed("raw_sockets", "no raw packets are needed");
  }
  const what = needs.join(", ");
  return context.powers.rawSockets
    ? allowed("raw_sockets", `${what}: raw packets can be sent here`)
    : refused(
      "raw_sockets",
      "tool_unavailable",
      `Cannot run ${what}: raw packets cannot be sent on this host; run the server as root or grant it CAP_NET_RAW, or use scan_type connect without these options`,
    );
}

function scanTypeText(settings: NmapSettings): string {
  const texts: Record<Technique, string> = {
    "-sT": "connect",
    "-sS": "syn",
    "-sU": "udp",
    "-sn": "ping",
  };
  return settings.techniques.map((technique) => texts[technique]).join("+");
}

function permissions(
  settings: NmapSettings,
  targets: readonly Target[],
): readonly string[] {
  const shown = targets.slice(0, NETWORKS_SHOWN_MAX);
  const more = targets.length - shown.length;
  return [
    "run nmap",
    ...(settings.privileged ? ["raw sockets"] : []),
    ...shown.map((target) => `network: ${target}`),
    ...(more > 0 ? [`network: ${more} more targets`] : []),
  ];
}

function nameNotes(targets: readonly Target[]): string[] {
  return targets.filter((target) => target.name !== null).slice(0, 32).map((
    target,
  ) => `${target.name} was looked up and is scanned as ${target}`);
}

function choiceNotes(
  request: NmapRequest,
  settings: NmapSettings,
  context: PlanContext,
  hosts: number,
): string[] {
  const { rawSockets } = context.powers;
  const notes: string[] = [];
  if (request.scanType === undefined) {
    notes.push(
      `scan_type ${scanTypeText(settings)} was chosen: raw packets ${
        rawSockets ? "can" : "cannot"
      } be sent on this host`,
    );
  }
  if (settings.hostDiscovery && request.hostDiscovery === undefined) {
    const found = rawSockets
      ? "hosts that answer no ping are not scanned"
      : "without raw packets a host is found only by its TCP ports 80 and 443, others are not scanned";
    notes.push(
      `host discovery comes first because there are ${hosts} addresses: ${found}; host_discovery: false scans all`,
    );
  }
  if (settings.techniques.includes("-sU")) {
    notes.push(
      "UDP ports that do not answer are reported as open|filtered; hosts limit their answers, so UDP is slow",
    );
  }
  return notes;
}

function deadlineNotes(seconds: number, timeoutMs: number): string[] {
  if (seconds * 1_000 <= timeoutMs) return [];
  return [
    `the estimate of ${seconds} s exceeds the deadline of ${
      timeoutMs / 1_000
    } s; ask for fewer ports or hosts, or raise timeout_seconds`,
  ];
}
