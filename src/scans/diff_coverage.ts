/**
 * What a scan covered, and therefore what its silence means.
 *
 * A host that a report does not list is down only if the scan was to look at it, came to its end,
 * lists every host that is up, and counted as many addresses as it was given. A port that it does not
 * list is closed only if it was among those looked at, and if the ports of that host that are listed
 * and those that are only counted make up all of them. Whatever is less than that proves nothing,
 * and masscan's silence never does: it misses answers.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { HostReport, HostsReport } from "@/tools/report.ts";
import { AddressSet, sameAddress } from "./diff_addresses.ts";
import {
  flagValue,
  type NmapArguments,
  readNmapArguments,
} from "./diff_arguments.ts";
import {
  choiceCount,
  type PortChoice,
  type PortChoices,
  PortSet,
  type Protocol,
  PROTOCOLS,
} from "./diff_ports.ts";
import type { Scan } from "./scan.ts";

/** Ports that nmap takes where a command line names none. */
const NMAP_PORTS_DEFAULT = 1_000;

/** Bytes of raw output in which nmap says which ports it looks at. */
const HEAD_BYTES = 524_288;

/** Why nothing follows from a scan's silence. */
export type Doubt = "partial" | "scope" | "ports" | "unclear" | "incomplete";

/** What a scan knows of a host. */
export type HostState =
  | { readonly kind: "up" | "silent"; readonly host: HostReport }
  /** Looked at and not there. */
  | { readonly kind: "down" }
  /** Up or down, without an open port. */
  | { readonly kind: "quiet" }
  /** Looked at and not seen, which proves nothing. */
  | { readonly kind: "unseen" }
  | { readonly kind: "unknown"; readonly why: Doubt };

/** What a scan knows of a port that it does not list. */
export type Unlisted =
  /** One of these states; none of them is `open`. */
  | { readonly kind: "states"; readonly states: readonly string[] }
  | { readonly kind: "down" }
  | { readonly kind: "unseen" }
  | { readonly kind: "unknown"; readonly why: Doubt };

/** What a scan of hosts covered. */
export class Coverage {
  /** The hosts of its report by address. */
  readonly hosts: ReadonlyMap<string, HostReport>;
  /** What it looked at, or null where only its report tells. */
  readonly targets: AddressSet | null;
  /** Which ports it looked at. */
  readonly ports: PortChoices;
  /** How services were probed, or null if they were not. */
  readonly detection: string | null;
  /** Whether it came to its end and nothing was cut. */
  readonly complete: boolean;
  readonly #masscan: boolean;
  readonly #openOnly: boolean;
  readonly #downIsProven: boolean;
  readonly #portCount: number;
  /** Whether a silent TCP port is called `filtered`, and `open|filtered` is said of UDP alone. */
  readonly #plainTcp: boolean;

  /**
   * @param scan The scan.
   * @param report Its report.
   */
  constructor(scan: Scan, report: HostsReport) {
    const said = readNmapArguments(scan.argv[0] ?? []);
    const targets = AddressSet.of(scan.targets);
    this.hosts = new Map(
      report.hosts.map((host) => [sameAddress(host.address), host]),
    );
    this.#masscan = scan.tool === "masscan";
    this.targets = targets === null || targets.empty ? null : targets;
    this.ports = choicesOf(scan, report, said);
    this.detection = this.#masscan ? null : said.detection;
    this.complete = isComplete(scan);
    this.#openOnly = !this.#masscan && said.openOnly;
    this.#downIsProven = said.discovery && scan.argv.length > 0 &&
      countsAll(scan, report);
    this.#portCount = [...this.ports.values()]
      .reduce((sum, choice) => sum + choiceCount(choice), 0);
    this.#plainTcp = /^(?:connect|syn)(?:\+udp)?$/.test(scan.scanType);
  }

  /**
   * Tells what the scan knows of a host.
   *
   * @param address Its address, in canonical form.
   * @returns The host as reported, or what follows from its absence.
   */
  host(address: string): HostState {
    const host = this.hosts.get(address);
    if (host !== undefined) return stateOf(host);
    if (this.targets === null) return { kind: "unknown", why: "unclear" };
    if (!this.targets.has(address)) return { kind: "unknown", why: "scope" };
    if (!this.complete) return { kind: "unknown", why: "partial" };
    if (this.#masscan) return { kind: "unseen" };
    if (this.#openOnly) return { kind: "quiet" };
    return this.#downIsProven
      ? { kind: "down" }
      : { kind: "unknown", why: "unclear" };
  }

  /**
   * Tells what the scan knows of the ports that it does not list of a host, if it looked at them.
   *
   * @param state What it knows of the host.
   * @param protocol The protocol of the ports.
   * @returns Their state, or why it is not known.
   */
  unlisted(state: HostState, protocol: Protocol): Unlisted {
    switch (state.kind) {
      case "down":
      case "unseen":
        return state;
      case "unknown":
        return state;
      case "quiet":
        return { kind: "states", states: ["closed", "filtered"] };
      default:
        return this.#unlistedOf(state.host, protocol);
    }
  }

  #unlistedOf(host: HostReport, protocol: Protocol): Unlisted {
    if (!this.complete) return { kind: "unknown", why: "partial" };
    if (this.#masscan) return { kind: "unseen" };
    const others = host.other_ports ?? [];
    const counted = others.reduce((sum, { count }) => sum + count, 0);
    if (counted + host.ports.length < this.#portCount) {
      return { kind: "unknown", why: "incomplete" };
    }
    const udpOnly = protocol === "tcp" && this.#plainTcp;
    const states = [...new Set(others.map(({ state }) => state))]
      .filter((state) => !udpOnly || state !== "open|filtered");
    return states.length === 0 || states.some((state) => /open/.test(state))
      ? { kind: "unknown", why: "incomplete" }
      : { kind: "states", states };
  }
}

/**
 * Tells whether a scan came to its end and kept all that it found.
 *
 * @param scan The scan.
 * @returns Whether what it does not report may be taken for absent.
 */
export function isComplete({ status, report }: Scan): boolean {
  return status === "succeeded" && report !== null && !report.partial &&
    report.truncated === undefined;
}

/**
 * Refuses a comparison.
 *
 * @param older One scan.
 * @param newer The other.
 * @param why What keeps them apart.
 * @throws {AppError} `invalid_arguments`.
 */
export function refuse(older: Scan, newer: Scan, why: string): never {
  throw new AppError(
    "invalid_arguments",
    `Cannot compare the scans "${older.id}" and "${newer.id}": ${why}; name two scans of overlapping targets`,
  );
}

/** nmap skips a target without a route, and leaves out what `--exclude` names. */
function countsAll(scan: Scan, report: HostsReport): boolean {
  const { total } = report.totals;
  if (total === null) return false;
  const given = scan.targets.reduce(
    (sum, text) => sum + (AddressSet.of([text])?.size ?? Number.NaN),
    0,
  );
  return given === total;
}

function stateOf(host: HostReport): HostState {
  if (host.status === "down") return { kind: "down" };
  if (host.status === "unknown") return { kind: "unknown", why: "unclear" };
  // Without discovery every address counts as up; what never answered may not be there.
  const silent = host.reason === "user-set" &&
    [...host.ports, ...host.other_ports ?? []].every(({ state }) =>
      state === "filtered" || state === "open|filtered"
    );
  return { kind: silent ? "silent" : "up", host };
}

function choicesOf(
  scan: Scan,
  report: HostsReport,
  said: NmapArguments,
): PortChoices {
  if (scan.tool === "masscan") return masscanChoices(scan);
  if (!said.scansPorts || scan.scanType === "ping") return new Map();
  const protocols = protocolsOf(scan.scanType);
  return listedChoices(requestedPorts(scan), protocols) ??
    listedChoices(said.ports, protocols) ??
    headChoices(scan.raw) ??
    topChoices(report, said, protocols);
}

function requestedPorts({ request }: Scan): string | null {
  const ports = request["ports"];
  return typeof ports === "string" ? ports : null;
}

function masscanChoices(scan: Scan): PortChoices {
  const text = flagValue(scan.argv[0] ?? [], "--ports") ?? requestedPorts(scan);
  const ports = text === null ? null : PortSet.parse(text);
  return ports === null || ports.count === 0
    ? new Map()
    : new Map([["tcp", { kind: "list", ports }]]);
}

/** `connect`, `syn+udp`: what the plan called it. */
function protocolsOf(scanType: string): readonly Protocol[] {
  const protocols = new Set<Protocol>();
  for (const part of scanType.split("+")) {
    if (part === "udp") protocols.add("udp");
    else if (part.startsWith("sctp")) protocols.add("sctp");
    else if (part === "ipproto") protocols.add("ip");
    else if (part !== "ping" && part !== "") protocols.add("tcp");
  }
  return [...protocols];
}

/** Reads `22,80`, `T:22,U:53`; a name of a service makes the whole unclear. */
function listedChoices(
  text: string | null,
  protocols: readonly Protocol[],
): PortChoices | null {
  if (text === null || protocols.length === 0) return null;
  const parts = new Map<Protocol | null, string[]>();
  let current: Protocol | null = null;
  for (const item of text.split(",")) {
    const prefix = /^([TUSP]):/.exec(item)?.[1];
    if (prefix !== undefined) current = PREFIXES[prefix] ?? null;
    const list = parts.get(current) ?? [];
    list.push(prefix === undefined ? item : item.slice(2));
    parts.set(current, list);
  }
  const choices = new Map<Protocol, PortChoice>();
  for (const protocol of protocols) {
    const items = [...parts.get(null) ?? [], ...parts.get(protocol) ?? []];
    const ports = PortSet.parse(items.join(","));
    if (ports === null) return null;
    choices.set(protocol, { kind: "list", ports });
  }
  return choices;
}

const PREFIXES: Readonly<Record<string, Protocol>> = {
  T: "tcp",
  U: "udp",
  S: "sctp",
  P: "ip",
};

/** nmap lists the ports at the head of its document, before anything that a host said. */
function headChoices(raw: Uint8Array | null): PortChoices | null {
  if (raw === null) return null;
  const text = new TextDecoder().decode(raw.subarray(0, HEAD_BYTES));
  const head = text.split("<host", 1)[0] ?? "";
  const choices = new Map<Protocol, PortChoice>();
  const infos = head.matchAll(
    /<scaninfo type="[a-z-]{1,20}" protocol="([a-z]{2,4})" numservices="(\d{1,6})" services="([0-9,-]*)"\s*\/>/g,
  );
  for (const [, name, count, services = ""] of infos) {
    const protocol = PROTOCOLS.find((one) => one === name);
    const ports = PortSet.parse(services);
    if (protocol === undefined || ports?.count !== Number(count)) return null;
    choices.set(protocol, { kind: "list", ports });
  }
  return choices.size === 0 ? null : choices;
}

function topChoices(
  report: HostsReport,
  said: NmapArguments,
  protocols: readonly Protocol[],
): PortChoices {
  const version = report.tool_version;
  if (said.ports !== null || version === null) return new Map();
  const count = said.topPorts ?? NMAP_PORTS_DEFAULT;
  return new Map(
    protocols.map((protocol) => [protocol, { kind: "top", count, version }]),
  );
}
