/**
 * What a report counts: the figures and the charts of every format come from here.
 *
 * @module
 */
import {
  type HostReport,
  type HostsReport,
  isOpen,
  type NamesReport,
  type PathsReport,
  type PortReport,
  type Report,
} from "@/tools/report.ts";

/** A thing counted. */
export interface Count {
  readonly label: string;
  readonly value: number;
}

/** The figures of hosts and ports. */
export interface HostFacts {
  readonly up: number;
  readonly total: number | null;
  readonly open: number;
  /** Hosts with at least one open port. */
  readonly exposed: number;
  /** Ports of every state, the counted ones included, most frequent first. */
  readonly states: readonly Count[];
  /** Services of open ports, most frequent first. */
  readonly services: readonly Count[];
  /** Hosts by their number of open ports, from few to many. */
  readonly spread: readonly Count[];
  readonly suspicious: number;
}

/** Ranges of open ports a host, by which hosts are counted. */
const SPREAD = [
  ["none", 0],
  ["1", 1],
  ["2–3", 3],
  ["4–7", 7],
  ["8–15", 15],
  ["16–63", 63],
  ["64 and more", Number.POSITIVE_INFINITY],
] as const;

/**
 * Counts hosts and ports.
 *
 * @param report The report.
 * @returns The figures.
 */
export function hostFacts(report: HostsReport): HostFacts {
  const counter = new HostCounter();
  for (const host of report.hosts) counter.add(host);
  return counter.facts(report.totals.up, report.totals.total);
}

/** Counts hosts one by one. */
export class HostCounter {
  readonly #states = new Map<string, number>();
  readonly #services = new Map<string, number>();
  readonly #spread = SPREAD.map(() => 0);
  #up = 0;
  #open = 0;
  #exposed = 0;
  #suspicious = 0;

  /** Counts a host with its ports. */
  add(host: HostReport): void {
    let open = 0;
    for (const port of host.ports) {
      count(this.#states, port.state, 1);
      if (!isOpen(port)) continue;
      open++;
      count(this.#services, serviceOf(port), 1);
    }
    for (const other of host.other_ports ?? []) {
      count(this.#states, other.state, other.count);
    }
    this.#open += open;
    if (isSuspicious(host)) this.#suspicious++;
    if (host.status !== "up") return;
    this.#up++;
    if (open > 0) this.#exposed++;
    const at = SPREAD.findIndex(([, most]) => open <= most);
    this.#spread[at] = (this.#spread[at] ?? 0) + 1;
  }

  /**
   * Gives the figures.
   *
   * @param up Hosts up as the tool said; what was counted, if more.
   * @param total Addresses in all, or null.
   */
  facts(up: number, total: number | null): HostFacts {
    return {
      up: Math.max(up, this.#up),
      total,
      open: this.#open,
      exposed: this.#exposed,
      states: ranked(this.#states),
      services: ranked(this.#services),
      spread: SPREAD.map(([label], at) => ({
        label,
        value: this.#spread[at] ?? 0,
      })),
      suspicious: this.#suspicious,
    };
  }
}

/**
 * Counts the answers of a web server.
 *
 * @param report Paths or virtual hosts.
 * @returns Status codes, ascending; what has none is left out.
 */
export function statusCounts(
  report: PathsReport | NamesReport,
): readonly Count[] {
  const counts = new Map<string, number>();
  const all = report.kind === "paths" ? report.paths : report.names;
  for (const { status } of all) {
    if (status !== undefined) count(counts, String(status), 1);
  }
  return [...counts].map(([label, value]) => ({ label, value }))
    .sort((a, b) => a.label < b.label ? -1 : 1);
}

/**
 * Counts findings in whose text a model might read an instruction.
 *
 * @param report The report.
 * @returns How many hosts, paths or names.
 */
export function suspiciousCount(report: Report): number {
  switch (report.kind) {
    case "hosts":
      return report.hosts.filter(isSuspicious).length;
    case "paths":
      return report.paths.filter(({ suspicious }) => suspicious !== undefined)
        .length;
    case "names":
      return report.names.filter(({ suspicious }) => suspicious !== undefined)
        .length;
  }
}

/**
 * Names the service of a port.
 *
 * @param port The port.
 * @returns For example `ssl/http`, or `unknown`.
 */
export function serviceOf(
  { service, tunnel }: Pick<PortReport, "service" | "tunnel">,
): string {
  const name = service ?? "unknown";
  return tunnel === undefined ? name : `${tunnel}/${name}`;
}

/**
 * Keeps the most frequent and sums the others up.
 *
 * @param counts Counts, most frequent first.
 * @param max How many to keep.
 * @returns At most one more.
 */
export function topOf(
  counts: readonly Count[],
  max: number,
): readonly Count[] {
  if (counts.length <= max) return counts;
  const others = counts.slice(max).reduce((sum, { value }) => sum + value, 0);
  return [...counts.slice(0, max), {
    label: `${counts.length - max} others`,
    value: others,
  }];
}

function isSuspicious(host: HostReport): boolean {
  const marked = ({ suspicious }: { suspicious?: unknown }) =>
    suspicious !== undefined;
  return marked(host) || (host.scripts ?? []).some(marked) ||
    host.ports.some((port) =>
      marked(port) || (port.scripts ?? []).some(marked)
    );
}

function ranked(counts: ReadonlyMap<string, number>): readonly Count[] {
  return [...counts].map(([label, value]) => ({ label, value }))
    .sort((a, b) => b.value - a.value || (a.label < b.label ? -1 : 1));
}

function count(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
