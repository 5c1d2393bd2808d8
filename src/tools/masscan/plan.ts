/**
 * Holds a request against every guardrail and decides what masscan will do.
 *
 * A plan always names every guardrail, also after one has refused. What masscan cannot do is refused
 * here, with the tool that can: it writes frames for its default router and hears raw frames, so it
 * reaches nothing on loopback; and as source of an IPv6 scan it takes no private address (its
 * `rawsock-getip6.c` passes over `fc00::/7`), so it cannot scan the IPv6 networks that are private.
 *
 * @module
 */
import { type Judgement, Scope, type Target } from "@/scope/scope.ts";
import { namesOf } from "@/scope/target.ts";
import { judgeTimeout } from "../timeout.ts";
import type { Plan, PlanContext, Verdict } from "../tool.ts";
import { allowed, refused } from "../verdict.ts";
import {
  BANNER_PORT_FIRST,
  BANNER_PORTS,
  type MasscanSettings,
  type Pass,
  passArgv,
  seedsOf,
} from "./argv.ts";
import type { MasscanRequest } from "./request.ts";

/**
 * Repetitions of each probe in a banner pass. masscan works off its open connections only when a
 * packet comes in; with three repetitions probes go out for twelve seconds and more, and each is
 * answered by something. Without them no banner at all was read on an idle interface.
 */
const BANNER_RETRIES = 3;

/** Packets a second of a banner pass at least, and seconds in which its first round goes out. */
const BANNER_RATE_MIN = 50;
const BANNER_ROUND_SECONDS = 10;

/** Seconds that a pass takes besides sending and waiting: start, and the end on an idle interface. */
const PASS_OVERHEAD_SECONDS = 3;

/** Most networks that `permissions` names, and most names that notes tell of. */
const SHOWN_MAX = 16;

/**
 * Plans a scan.
 *
 * @param request A parsed request.
 * @param context Guardrails, powers, looked-up names.
 * @returns The plan.
 */
export function planScan(request: MasscanRequest, context: PlanContext): Plan {
  const { guardrails } = context;
  const judgement = Scope.of(guardrails.scope).judge(
    request.targets,
    context.resolved,
  );
  const { targets, family, notes } = onlyIPv4(judgement.targets);
  const addressCount = targets.length === 0
    ? judgement.addressCount
    : targets.reduce((sum, target) => sum + target.addressCount, 0);
  const settings: MasscanSettings = {
    targets,
    ports: request.ports,
    rate: request.rate ?? guardrails.masscan.rateDefault,
    waitSeconds: request.waitSeconds ?? guardrails.masscan.waitSeconds,
    retries: request.retries,
    ttl: request.ttl,
  };
  const timeout = judgeTimeout(
    "masscan",
    request.timeoutSeconds,
    guardrails,
  );
  const verdicts: readonly Verdict[] = [
    ...judgement.verdicts,
    judgeLoopback(judgement, request),
    family,
    judgePorts(request, context),
    judgeRate(settings, context),
    judgeRawSockets(context),
    timeout.verdict,
  ];
  const runs = verdicts.every((verdict) => verdict.allowed);
  const passes = passesOf(request, settings, guardrails.masscan.passes);
  const { probes, seconds } = estimate(settings, passes, addressCount);
  return {
    tool: "masscan",
    verdicts,
    passes: runs
      ? passes.map((pass) =>
        passArgv(settingsOf(pass, settings, addressCount), pass)
      )
      : [],
    targets: targets.map(String),
    addressCount,
    probes,
    seconds,
    scanType: "masscan",
    permissions: permissions(targets),
    timeoutMs: timeout.timeoutMs,
    notes: runs
      ? [
        ...notes,
        ...nameNotes(targets),
        ...methodNotes(request, passes, seconds, timeout.timeoutMs),
      ]
      : [],
    facts: {
      networks: targets.flatMap(({ networks }) => networks),
      names: namesOf(request.targets),
      ports: request.ports.count,
      rate: settings.rate,
      intrusive: false,
    },
  };
}

/** Discovery first, each pass with its own seed; banners in a pass of their own at the end. */
function passesOf(
  request: MasscanRequest,
  settings: MasscanSettings,
  count: number,
): readonly Pass[] {
  // Banner passes need a fixed source port. A connection that an earlier one left behind at a target
  // makes it answer a new SYN otherwise than with a SYN-ACK, so discovery must not share that port.
  const total = count + (request.banners ? 1 : 0);
  return seedsOf(settings, total).map((seed, index) => ({
    seed,
    banners: index >= count,
  }));
}

/** A banner pass repeats its probes, and takes its time rather than flood few hosts. */
function settingsOf(
  pass: Pass,
  settings: MasscanSettings,
  addressCount: number,
): MasscanSettings {
  if (!pass.banners) return settings;
  const round = Math.ceil(
    addressCount * settings.ports.count / BANNER_ROUND_SECONDS,
  );
  return {
    ...settings,
    rate: Math.min(settings.rate, Math.max(BANNER_RATE_MIN, round)),
    retries: Math.max(settings.retries, BANNER_RETRIES),
  };
}

function estimate(
  settings: MasscanSettings,
  passes: readonly Pass[],
  addressCount: number,
): { probes: number; seconds: number } {
  const sum = { probes: 0, seconds: 0 };
  for (const pass of passes) {
    const own = settingsOf(pass, settings, addressCount);
    // A repetition goes out a second after its probe, and masscan runs on for as long.
    const probes = (addressCount * own.ports.count + own.retries * own.rate) *
      (own.retries + 1);
    sum.probes += probes;
    sum.seconds += probes / own.rate + own.waitSeconds + PASS_OVERHEAD_SECONDS;
  }
  return { probes: sum.probes, seconds: Math.ceil(sum.seconds) };
}

/**
 * masscan is given IPv4 only. A name that has addresses of both families is scanned at its IPv4
 * ones; whatever else is IPv6 is refused.
 */
function onlyIPv4(
  targets: Judgement["targets"],
): { targets: readonly Target[]; family: Verdict; notes: string[] } {
  const guardrail = "address_family";
  const kept = targets.filter((target) => target.family === 4);
  const names = new Set(kept.map((target) => String(target.name)));
  const dropped = targets.filter((target) => target.family === 6);
  const lost = dropped.some((target) =>
    target.name === null || !names.has(String(target.name))
  );
  if (lost) {
    return {
      targets,
      family: refused(
        guardrail,
        "invalid_target",
        "Cannot scan IPv6 with masscan: it sends from no private IPv6 address; use nmap for these targets",
      ),
      notes: [],
    };
  }
  return {
    targets: kept,
    family: allowed(
      guardrail,
      targets.length === 0 ? "not looked at: no target is allowed" : "IPv4",
    ),
    notes: dropped.slice(0, SHOWN_MAX).map((target) =>
      `${target} of ${target.name} is left out: masscan scans IPv4 only; use nmap for it`
    ),
  };
}

/** Looks at the request too: a refused one has no targets, and both reasons should be told. */
function judgeLoopback(
  judgement: Judgement,
  request: MasscanRequest,
): Verdict {
  const named = request.targets.some((target) =>
    target.kind !== "name" &&
    (target.block.family === 4
      ? target.block.first >> 24n === 127n || target.block.last >> 24n === 127n
      : target.block.first <= 1n && target.block.last >= 1n)
  );
  if (!named && !judgement.targets.some((target) => target.isLoopback)) {
    return allowed("loopback", "no target is loopback");
  }
  return refused(
    "loopback",
    "invalid_target",
    "Cannot scan loopback with masscan: it sends through a router and hears no loopback; use nmap for 127.0.0.0/8 and ::1",
  );
}

function judgePorts(request: MasscanRequest, context: PlanContext): Verdict {
  const { portsMax } = context.guardrails.masscan;
  const { count } = request.ports;
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

function judgeRate(settings: MasscanSettings, context: PlanContext): Verdict {
  const { rateMax } = context.guardrails.masscan;
  const { rate } = settings;
  return rate <= rateMax
    ? allowed("rate", `${rate} packets a second, at most ${rateMax}`)
    : refused(
      "rate",
      "invalid_arguments",
      `Cannot send ${rate} packets a second: the cap is ${rateMax}; use rate ${rateMax} or less, or leave it out`,
    );
}

function judgeRawSockets(context: PlanContext): Verdict {
  return context.powers.rawSockets
    ? allowed("raw_sockets", "raw packets can be sent here")
    : refused(
      "raw_sockets",
      "tool_unavailable",
      "Cannot run masscan: raw packets cannot be sent on this host; use nmap with scan_type connect, or run the server as root or grant it CAP_NET_RAW",
    );
}

function permissions(targets: readonly Target[]): readonly string[] {
  const shown = targets.slice(0, SHOWN_MAX);
  const more = targets.length - shown.length;
  return [
    "run masscan",
    "raw sockets",
    ...shown.map((target) => `network: ${target}`),
    ...(more > 0 ? [`network: ${more} more targets`] : []),
  ];
}

function nameNotes(targets: readonly Target[]): string[] {
  return targets.filter((target) => target.name !== null).slice(0, SHOWN_MAX)
    .map((target) =>
      `${target.name} was looked up and is scanned as ${target}`
    );
}

function methodNotes(
  request: MasscanRequest,
  passes: readonly Pass[],
  seconds: number,
  timeoutMs: number,
): string[] {
  const notes = [
    "masscan sends everything through the default router: hosts on this machine's own link do not answer it; use nmap for them",
  ];
  if (request.banners) {
    const last = BANNER_PORT_FIRST + BANNER_PORTS - 1;
    notes.push(
      `banners are read in pass ${passes.length} and only where a firewall of this host drops TCP to its own ports ${BANNER_PORT_FIRST}-${last}, as its kernel resets the connections otherwise; nmap with service_detection needs none of that`,
    );
  }
  if (seconds * 1_000 > timeoutMs) {
    notes.push(
      `the estimate of ${seconds} s exceeds the deadline of ${
        timeoutMs / 1_000
      } s; ask for fewer ports or hosts, or raise rate or timeout_seconds`,
    );
  }
  return notes;
}
