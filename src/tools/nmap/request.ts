/**
 * What a caller may ask of nmap, and how it is read.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { Scope } from "@/scope/scope.ts";
import {
  namesOf,
  parseTarget,
  TARGET_LENGTH_MAX,
  TARGETS_MAX,
  type TargetText,
} from "@/scope/target.ts";
import { foldExtraArgs } from "../extra_args.ts";
import {
  choice,
  type Fields,
  flag,
  integer,
  type Parsed,
  parseFields,
  required,
  shown,
  text,
  textOrTexts,
  texts,
} from "../field.ts";
import { type Guardrails, type Pace, PACES } from "../guardrails.ts";
import {
  parsePorts,
  PORT_COUNT_MAX,
  type PortList,
  PORTS_LENGTH_MAX,
} from "../ports.ts";
import { TIMEOUT_FIELD } from "../timeout.ts";
import { EXTRA_ARGS_LENGTH_MAX } from "../tokenizer.ts";
import { FLAG_FIELDS, FLAG_TABLE } from "./flags.ts";
import { SCRIPT_CATEGORIES, SCRIPTS } from "./scripts.ts";

/** How nmap looks for ports. */
export const SCAN_TYPES = ["connect", "syn", "udp", "ping"] as const;

/** One of {@linkcode SCAN_TYPES}. */
export type ScanType = typeof SCAN_TYPES[number];

/** The arguments of a call. */
export const NMAP_FIELDS = {
  target: required(textOrTexts(
    "Address, CIDR, a.b.c.d-e range, or host name; or an array of these.",
    { lengthMax: TARGET_LENGTH_MAX, itemsMax: TARGETS_MAX },
  )),
  ports: text(
    "Ports like 22,80,8000-8100 or T:80,U:53. Default: the most common ones.",
    PORTS_LENGTH_MAX,
  ),
  top_ports: integer("Scan the N most common ports instead.", 1, 65_535),
  scan_type: choice(
    "connect needs no privilege; syn, udp and ping do. Default: syn or connect.",
    SCAN_TYPES,
  ),
  service_detection: flag("Probe open ports for product and version (slower)."),
  os_detection: flag("Guess the operating system. Intrusive."),
  scripts: texts(
    "NSE script names or the categories safe, default, discovery.",
    { lengthMax: 64, itemsMax: 32 },
  ),
  timing: integer("nmap -T template; 5 is intrusive.", 0, 5),
  pace: choice("How hard to push; faster paces may be barred.", PACES),
  host_discovery: flag(
    "Ping hosts first. Default: only when there is more than one.",
  ),
  extra_args: text(
    "Further nmap flags, e.g. --open --reason; only listed ones are taken.",
    EXTRA_ARGS_LENGTH_MAX,
  ),
  timeout_seconds: TIMEOUT_FIELD,
} satisfies Fields;

const ALL_FIELDS = { ...NMAP_FIELDS, ...FLAG_FIELDS } satisfies Fields;

type All = Parsed<typeof ALL_FIELDS>;

/** A request that is well formed. Whether it is allowed is the plan's matter. */
export interface NmapRequest {
  readonly targets: readonly TargetText[];
  /** Host names that lie below an allowed suffix; the others must not be looked up. */
  readonly lookups: readonly string[];
  readonly ports: PortList | undefined;
  readonly topPorts: number | undefined;
  readonly scanType: ScanType | undefined;
  readonly serviceDetection: boolean;
  readonly osDetection: boolean;
  readonly aggressive: boolean;
  /** Script names and category words, each known to nmap. */
  readonly scripts: readonly string[];
  readonly timing: number | undefined;
  readonly pace: Pace | undefined;
  readonly hostDiscovery: boolean | undefined;
  readonly echoPing: boolean;
  readonly synPing: PortList | undefined;
  readonly ackPing: PortList | undefined;
  readonly versionIntensity: number | undefined;
  readonly traceroute: boolean;
  readonly openOnly: boolean;
  readonly showReason: boolean;
  readonly minRate: number | undefined;
  readonly maxRate: number | undefined;
  readonly maxRetries: number | undefined;
  readonly hostTimeoutSeconds: number | undefined;
  readonly scanDelayMs: number | undefined;
  readonly defeatRstRatelimit: boolean;
  readonly timeoutSeconds: number | undefined;
}

/**
 * Reads a request.
 *
 * @param input Untrusted JSON.
 * @param guardrails Limits and the scope.
 * @returns The request.
 * @throws {AppError} `invalid_arguments`, `invalid_target`, or `intrusive_not_allowed` for a flag
 * that no right allows.
 */
export function parseRequest(
  input: unknown,
  guardrails: Guardrails,
): NmapRequest {
  const fields = foldExtraArgs(parseFields(NMAP_FIELDS, input), {
    tool: "nmap",
    fields: ALL_FIELDS,
    flags: FLAG_TABLE,
    lengthMax: guardrails.extraArgsLengthMax,
  });
  const targets = fields.target.map(parseTarget);
  const scope = Scope.of(guardrails.scope);
  const request: NmapRequest = {
    targets,
    lookups: namesOf(targets).filter((name) => scope.allowsName(name)),
    ...portFields(fields),
    scanType: fields.scan_type,
    serviceDetection: fields.service_detection ?? false,
    osDetection: fields.os_detection ?? false,
    aggressive: fields.aggressive ?? false,
    scripts: parseScripts(fields.scripts ?? []),
    timing: fields.timing,
    pace: fields.pace,
    hostDiscovery: fields.host_discovery,
    versionIntensity: fields.version_intensity,
    traceroute: fields.traceroute ?? false,
    openOnly: fields.open_only ?? false,
    showReason: fields.show_reason ?? false,
    ...rateFields(fields),
    timeoutSeconds: fields.timeout_seconds,
  };
  refuseContradictions(request);
  return request;
}

function portFields(fields: All) {
  const discovery = { countMax: 64 };
  return {
    ports: fields.ports === undefined
      ? undefined
      : parsePorts(fields.ports, { countMax: PORT_COUNT_MAX, prefixes: true }),
    topPorts: fields.top_ports,
    echoPing: fields.echo_ping ?? false,
    synPing: fields.syn_ping === undefined
      ? undefined
      : parsePorts(fields.syn_ping, discovery),
    ackPing: fields.ack_ping === undefined
      ? undefined
      : parsePorts(fields.ack_ping, discovery),
  };
}

function rateFields(fields: All) {
  return {
    minRate: fields.min_rate,
    maxRate: fields.max_rate,
    maxRetries: fields.max_retries,
    hostTimeoutSeconds: fields.host_timeout_seconds,
    scanDelayMs: fields.scan_delay_ms,
    defeatRstRatelimit: fields.defeat_rst_ratelimit ?? false,
  };
}

/** A name that nmap's own table does not hold would be taken for a file by nmap. */
function parseScripts(words: readonly string[]): readonly string[] {
  for (const word of words) {
    if (SCRIPTS.has(word) || SCRIPT_CATEGORIES.includes(word)) continue;
    throw refuse(
      `${
        shown(word)
      } is no NSE script; use a name without .nse, or one of the categories safe, default, discovery`,
    );
  }
  return [...new Set(words)];
}

/** nmap would refuse some of these itself, late and in its own words, and ignore the others. */
function refuseContradictions(request: NmapRequest): void {
  const { ports, scanType } = request;
  if (ports !== undefined && request.topPorts !== undefined) {
    throw refuse("ports and top_ports exclude each other; keep one");
  }
  if (scanType === "ping") refusePortWork(request);
  if (ports?.prefixed) {
    if (ports.tcp.length > 0 && scanType === "udp") {
      throw refuse("T: ports need scan_type connect or syn, not udp");
    }
    if (
      ports.tcp.length === 0 && scanType !== undefined && scanType !== "udp"
    ) {
      throw refuse("U: ports alone need scan_type udp; or leave it out");
    }
  }
  const probes = request.echoPing || request.synPing !== undefined ||
    request.ackPing !== undefined;
  if (probes && request.hostDiscovery === false) {
    throw refuse("-Pn and host_discovery: false exclude -PE, -PS and -PA");
  }
  const { minRate, maxRate, pace } = request;
  if (minRate !== undefined && maxRate !== undefined && maxRate < minRate) {
    throw refuse("--max-rate is below --min-rate");
  }
  if (minRate !== undefined && pace !== undefined && pace !== "fast") {
    throw refuse(`--min-rate excludes pace ${pace}; use pace fast`);
  }
  const detects = request.serviceDetection || request.aggressive;
  if (request.versionIntensity !== undefined && !detects) {
    throw refuse("--version-intensity needs service_detection");
  }
}

function refusePortWork(request: NmapRequest): void {
  const asks = request.ports !== undefined ||
    request.topPorts !== undefined || request.serviceDetection ||
    request.osDetection || request.aggressive;
  if (asks) {
    throw refuse(
      "scan_type ping looks at no port; leave ports, top_ports and detection out, or use another scan_type",
    );
  }
  if (request.hostDiscovery === false) {
    throw refuse("scan_type ping is host discovery; leave host_discovery out");
  }
}

function refuse(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use these arguments of nmap: ${why}`,
  );
}
