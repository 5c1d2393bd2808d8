/**
 * Compares what two scans found of hosts and ports.
 *
 * @module
 */
import { isOpen } from "@/tools/report.ts";
import type { HostReport, HostsReport, PortReport } from "@/tools/report.ts";
import type {
  ChangeKind,
  DiffBody,
  NotComparedReason,
  PortChange,
  PortSide,
} from "./diff.ts";
import { addressOrder } from "./diff_addresses.ts";
import {
  Coverage,
  type Doubt,
  type HostState,
  refuse,
  type Unlisted,
} from "./diff_coverage.ts";
import {
  commonPorts,
  coversPort,
  type PortChoices,
  type Protocol,
  PROTOCOLS,
  sameChoice,
} from "./diff_ports.ts";
import { Changes, Tally, Uncompared } from "./diff_tally.ts";
import type { Scan } from "./scan.ts";

/** Most texts that name the addresses in common. */
const TARGETS_SHOWN_MAX = 20;

/** What of a service is compared. */
const SERVICE_FIELDS = ["service", "tunnel"] as const;
const UNTRUSTED_FIELDS = ["product", "version", "extra_info"] as const;

const REASON: Readonly<Record<Doubt, NotComparedReason>> = {
  partial: "partial",
  scope: "not_scanned",
  ports: "port_not_scanned",
  unclear: "unclear",
  incomplete: "host_incomplete",
};

/** A scan with its report. */
export interface HostsScan {
  readonly scan: Scan;
  readonly report: HostsReport;
}

/**
 * Compares two reports of hosts.
 *
 * @param older The one to compare with.
 * @param newer The other one.
 * @param changesMax Most changes that are held.
 * @returns The comparison without the names of its scans.
 * @throws {AppError} `invalid_arguments` if the scans have no address in common.
 */
export function diffHosts(
  older: HostsScan,
  newer: HostsScan,
  changesMax: number,
): DiffBody {
  const a = new Coverage(older.scan, older.report);
  const b = new Coverage(newer.scan, newer.report);
  const common = a.targets === null || b.targets === null
    ? null
    : a.targets.and(b.targets);
  if (common?.empty === true) {
    refuse(older.scan, newer.scan, "they have no address in common");
  }
  const comparison = new Comparison(a, b, changesMax);
  for (const address of addressesOf(a, b)) comparison.host(address);
  return {
    compared: {
      targets: common?.texts(TARGETS_SHOWN_MAX) ?? [],
      addresses: common?.size ?? null,
      ports: commonPorts(a.ports, b.ports),
      services: comparison.services,
    },
    ...comparison.result(),
    notes: notesOf(older, newer),
  };
}

/** The addresses of either report, in order. */
function addressesOf(a: Coverage, b: Coverage): readonly string[] {
  const all = new Set([...a.hosts.keys(), ...b.hosts.keys()]);
  return [...all].map((address) => [addressOrder(address), address] as const)
    .sort(([x], [y]) => x < y ? -1 : x > y ? 1 : 0)
    .map(([, address]) => address);
}

/** What a scan knows of a port: it lists it, or what follows from its silence. */
type Known =
  | { readonly kind: "listed"; readonly port: PortReport }
  | Unlisted;

class Comparison {
  readonly #a: Coverage;
  readonly #b: Coverage;
  readonly #changes: Changes;
  readonly #hosts = new Tally([
    "appeared",
    "vanished",
    "first_seen",
    "not_seen_again",
    "changed",
    "unchanged",
  ]);
  readonly #ports = new Tally([
    "opened",
    "closed",
    "first_seen",
    "not_seen_again",
    "changed",
    "unchanged",
  ]);
  readonly #uncompared = new Uncompared();
  /** The protocol of both scans, if each looked at the same ports of it and at no other. */
  readonly #soleProtocol: Protocol | null;
  /** Whether services were probed alike, so that names and versions compare. */
  readonly services: boolean;

  constructor(a: Coverage, b: Coverage, changesMax: number) {
    this.#a = a;
    this.#b = b;
    this.#changes = new Changes(changesMax);
    this.services = a.detection !== null && a.detection === b.detection;
    this.#soleProtocol = soleProtocol(a.ports, b.ports);
  }

  result(): Pick<DiffBody, "totals" | "changes" | "not_compared"> {
    return {
      totals: { hosts: this.#hosts.counts, ports: this.#ports.counts },
      changes: this.#changes.list,
      not_compared: this.#uncompared.list,
      ...this.#changes.truncated,
    };
  }

  /** Compares one host that at least one of the scans reports. */
  host(address: string): void {
    const before = this.#a.host(address);
    const after = this.#b.host(address);
    this.#presence(address, before, after);
    const listed = listedPorts(before, after);
    for (const [protocol, port, old, young] of listed) {
      this.#port(address, protocol, {
        before: old === null
          ? this.#unlisted(this.#a, before, this.#b, protocol, port)
          : { kind: "listed", port: old },
        after: young === null
          ? this.#unlisted(this.#b, after, this.#a, protocol, port)
          : { kind: "listed", port: young },
      });
    }
  }

  #presence(address: string, before: HostState, after: HostState): void {
    const kind = presenceChange(before, after);
    const host = hostOf(after) ?? hostOf(before);
    const names = host?.names === undefined ? {} : { names: host.names };
    if (kind === "unknown") {
      const doubt = before.kind === "unknown" ? before : after;
      const why = doubt.kind === "unknown" ? doubt.why : "unclear";
      const seenIn = before.kind === "unknown" ? "newer" : "older";
      this.#uncompared.add("hosts", seenIn, REASON[why]);
      return;
    }
    if (kind === null) return;
    const others = kind === "unchanged" ? this.#otherPorts(before, after) : {};
    const change = others.other_ports === undefined ? kind : "changed";
    this.#hosts.add(change);
    if (change === "unchanged") return;
    const open_ports = host?.ports.filter(isOpen).length ?? 0;
    this.#changes.add({
      kind: "host",
      change,
      address,
      ...names,
      open_ports,
      ...others,
    });
  }

  /** A firewall in front of a host turns all its ports from one state into another. */
  #otherPorts(
    before: HostState,
    after: HostState,
  ): { other_ports?: { before: string; after: string } } {
    const protocol = this.#soleProtocol;
    if (protocol === null) return {};
    const [from, to] = [
      soleState(this.#a.unlisted(before, protocol)),
      soleState(this.#b.unlisted(after, protocol)),
    ];
    return from === null || to === null || from === to
      ? {}
      : { other_ports: { before: from, after: to } };
  }

  #unlisted(
    mine: Coverage,
    state: HostState,
    theirs: Coverage,
    protocol: Protocol,
    port: number,
  ): Unlisted {
    if (state.kind === "unknown") return state;
    const covered = coversPort(
      mine.ports.get(protocol),
      theirs.ports.get(protocol),
      port,
    );
    return covered
      ? mine.unlisted(state, protocol)
      : { kind: "unknown", why: "ports" };
  }

  #port(
    address: string,
    protocol: Protocol,
    { before, after }: { before: Known; after: Known },
  ): void {
    const open = isOpenIn(before) || isOpenIn(after);
    if (before.kind === "unknown" || after.kind === "unknown") {
      if (open) this.#doubtful(before, after);
      return;
    }
    const changed = this.#changedFields(before, after);
    const kind = portChange(before, after, changed.length > 0);
    if (kind === null) return;
    this.#ports.add(kind);
    if (kind === "unchanged") return;
    const port = before.kind === "listed"
      ? before.port.port
      : after.kind === "listed"
      ? after.port.port
      : 0;
    const change: PortChange = {
      kind: "port",
      change: kind,
      address,
      port,
      protocol,
      before: sideOf(before),
      after: sideOf(after),
      changed,
    };
    this.#changes.add(change);
  }

  #doubtful(before: Known, after: Known): void {
    const [doubt, seenIn] = before.kind === "unknown"
      ? [before, "newer"] as const
      : [after, "older"] as const;
    const why = doubt.kind === "unknown" ? doubt.why : "unclear";
    this.#uncompared.add("open_ports", seenIn, REASON[why]);
  }

  #changedFields(before: Known, after: Known): string[] {
    if (before.kind !== "listed" || after.kind !== "listed") {
      const [from, to] = [definiteState(before), definiteState(after)];
      return from === null || to === null || from === to ? [] : ["state"];
    }
    const [old, young] = [before.port, after.port];
    const changed = old.state === young.state ? [] : ["state"];
    if (!isOpen(old) || !isOpen(young)) return changed;
    if (this.services) return [...changed, ...serviceChanges(old, young)];
    if (this.#a.detection !== this.#b.detection) {
      this.#uncompared.add("services", "both", "detection_differs");
    }
    return changed;
  }
}

function soleProtocol(
  older: PortChoices,
  newer: PortChoices,
): Protocol | null {
  const [protocol, ...more] = [...older.keys()];
  if (protocol === undefined || more.length > 0 || newer.size !== 1) {
    return null;
  }
  return sameChoice(older.get(protocol), newer.get(protocol)) ? protocol : null;
}

/** The ports that either scan lists of a host, in order of protocol and number. */
function listedPorts(
  before: HostState,
  after: HostState,
): readonly [Protocol, number, PortReport | null, PortReport | null][] {
  const old = hostOf(before)?.ports ?? [];
  const young = hostOf(after)?.ports ?? [];
  const byKey = new Map<number, [PortReport | null, PortReport | null]>();
  for (const port of old) byKey.set(keyOf(port), [port, null]);
  for (const port of young) {
    const key = keyOf(port);
    const pair = byKey.get(key);
    if (pair === undefined) byKey.set(key, [null, port]);
    else pair[1] = port;
  }
  return [...byKey].sort(([a], [b]) => a - b).map(([key, [a, b]]) => [
    PROTOCOLS[Math.floor(key / 65_536)] ?? "tcp",
    key % 65_536,
    a,
    b,
  ]);
}

function keyOf({ protocol, port }: PortReport): number {
  return PROTOCOLS.indexOf(protocol) * 65_536 + port;
}

function hostOf(state: HostState): HostReport | null {
  return state.kind === "up" || state.kind === "silent" ? state.host : null;
}

/** What became of a host: null says nothing, `unknown` that one scan cannot speak of it. */
function presenceChange(
  before: HostState,
  after: HostState,
): ChangeKind | "unchanged" | "unknown" | null {
  const [was, is] = [before.kind, after.kind];
  if (was === "up" && is === "up") return "unchanged";
  if (was === "silent" && is === "silent") return "unchanged";
  // Without discovery an address that is not used looks like a host that drops everything: what
  // becomes of its ports is told, not that it came or went.
  if (was === "silent" || is === "silent") return null;
  if (was === "quiet" || is === "quiet") return null;
  if (was === "up") return is === "down" ? "vanished" : unseen(is, false);
  if (is === "up") return was === "down" ? "appeared" : unseen(was, true);
  return null;
}

function unseen(
  kind: HostState["kind"],
  came: boolean,
): ChangeKind | "unknown" {
  if (kind !== "unseen") return "unknown";
  return came ? "first_seen" : "not_seen_again";
}

function portChange(
  before: Known,
  after: Known,
  changed: boolean,
): ChangeKind | "unchanged" | null {
  const [was, is] = [isOpenIn(before), isOpenIn(after)];
  if (before.kind === "unseen") return is ? "first_seen" : null;
  if (after.kind === "unseen") return was ? "not_seen_again" : null;
  if (was !== is) return is ? "opened" : "closed";
  if (changed) return "changed";
  return was ? "unchanged" : null;
}

function isOpenIn(known: Known): boolean {
  return known.kind === "listed" && isOpen(known.port);
}

/** The state of a port if it is one and certain. */
function definiteState(known: Known): string | null {
  return known.kind === "listed" ? known.port.state : soleState(known);
}

function soleState(unlisted: Unlisted): string | null {
  if (unlisted.kind !== "states") return null;
  const [state, ...more] = unlisted.states;
  return state !== undefined && more.length === 0 ? state : null;
}

function sideOf(known: Known): PortSide | null {
  switch (known.kind) {
    case "listed":
      return portSide(known.port);
    case "states":
      return { state: soleState(known) ?? "not open" };
    case "down":
      return { state: "host down" };
    default:
      return null;
  }
}

function portSide(port: PortReport): PortSide {
  const untrusted: Record<string, string> = {};
  for (const field of UNTRUSTED_FIELDS) {
    const text = port.untrusted?.[field];
    if (text !== undefined) untrusted[field] = text;
  }
  const suspicious = (port.suspicious ?? []).filter((key) =>
    Object.hasOwn(untrusted, key)
  );
  return {
    state: port.state,
    ...(port.service === undefined ? {} : { service: port.service }),
    ...(port.tunnel === undefined ? {} : { tunnel: port.tunnel }),
    ...(Object.keys(untrusted).length === 0 ? {} : { untrusted }),
    ...(suspicious.length === 0 ? {} : { suspicious }),
  };
}

function serviceChanges(old: PortReport, young: PortReport): string[] {
  return [
    ...SERVICE_FIELDS.filter((field) => old[field] !== young[field]),
    ...UNTRUSTED_FIELDS.filter((field) =>
      old.untrusted?.[field] !== young.untrusted?.[field]
    ),
  ];
}

function notesOf(older: HostsScan, newer: HostsScan): string[] {
  const notes: string[] = [];
  const tools = [older.scan.tool, newer.scan.tool];
  if (tools.includes("masscan")) {
    notes.push(
      "masscan misses answers: what only its silence tells is first_seen or not_seen_again, not new or gone",
    );
  }
  const [from, to] = [older.report.tool_version, newer.report.tool_version];
  if (tools[0] === tools[1] && from !== null && to !== null && from !== to) {
    notes.push(
      `${
        tools[0]
      } ${from} and ${to} were used: another version may name the same service in other words and look at other frequent ports`,
    );
  }
  const [was, is] = [older.scan.scanType, newer.scan.scanType];
  if (tools[0] === tools[1] && was !== is && was !== "" && is !== "") {
    notes.push(
      `The scan types differ (${was}, ${is}): closed and filtered may be told apart otherwise`,
    );
  }
  return notes;
}
