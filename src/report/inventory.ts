/**
 * What several scans know together: every open service with the latest that was said of it, and every
 * path and name. Scans are read one at a time; only what is open is kept.
 *
 * @module
 */
import { addressOrder, sameAddress } from "@/scans/diff_addresses.ts";
import { Coverage } from "@/scans/diff_coverage.ts";
import { coversPort, type PortChoice } from "@/scans/diff_ports.ts";
import type { Scan, ScanStatus } from "@/scans/scan.ts";
import { summarize } from "@/scans/summary.ts";
import type { ToolName } from "@/tools/tool.ts";
import { isOpen, type PortReport, type Report } from "@/tools/report.ts";
import { type Count, HostCounter, suspiciousCount } from "./facts.ts";
import type { SetInput } from "./input.ts";

/** Most services, and most paths and names, that are kept. */
export const INVENTORY_MAX = 200_000;

/** A scan in a line. */
export interface ScanLine {
  readonly id: string;
  readonly tool: ToolName;
  readonly target: string;
  readonly scanType: string;
  readonly status: ScanStatus;
  readonly at: number;
  readonly summary: string;
  readonly suspicious: number;
}

/** An open port as the latest scan that lists it saw it. */
export interface Service {
  readonly address: string;
  readonly port: PortReport;
  readonly firstSeen: number;
  readonly lastSeen: number;
  readonly scanId: string;
}

/** A path or a name as the latest scan that found it saw it. */
export interface WebFinding {
  readonly kind: "path" | "name";
  /** The URL or the domain. */
  readonly place: string;
  /** A path, which the server chose, or a name. */
  readonly text: string;
  readonly status: number | null;
  readonly addresses: readonly string[];
  readonly redirect: string | undefined;
  readonly suspicious: readonly string[];
  readonly lastSeen: number;
}

/** What several scans know together. */
export interface Inventory {
  readonly scans: readonly ScanLine[];
  /** By address and port. */
  readonly services: readonly Service[];
  readonly findings: readonly WebFinding[];
  readonly hostsUp: number;
  readonly byService: readonly Count[];
  readonly spread: readonly Count[];
  readonly suspicious: number;
  /** What was left out. */
  readonly cut: number;
}

/**
 * Reads the scans of a set.
 *
 * @param input The set.
 * @returns What they know together.
 */
export async function inventoryOf(input: SetInput): Promise<Inventory> {
  const gatherer = new Gatherer();
  for await (const scan of input.scans()) gatherer.add(scan);
  return gatherer.inventory();
}

class Gatherer {
  readonly #scans: ScanLine[] = [];
  readonly #services = new Map<string, Service>();
  /** Which ports the scan looked at that saw a service last. */
  readonly #choices = new Map<string, PortChoice>();
  readonly #findings = new Map<string, WebFinding>();
  readonly #up = new Set<string>();
  #cut = 0;

  add(scan: Scan): void {
    const at = scan.startedAt ?? scan.queuedAt;
    const { id, tool, target, scanType, status, report } = scan;
    const suspicious = report === null ? 0 : suspiciousCount(report);
    const summary = summarize(scan, 4);
    this.#scans.push({
      id,
      tool,
      target,
      scanType,
      status,
      at,
      summary,
      suspicious,
    });
    if (report !== null) this.#report(scan, report, at);
  }

  /** Drops what a later scan proves to be open no longer, although it does not list it. */
  #forget(coverage: Coverage, at: number): void {
    for (const [key, { address, port, lastSeen }] of this.#services) {
      if (lastSeen >= at) continue;
      const state = coverage.host(address);
      if (state.kind === "unknown" || state.kind === "unseen") continue;
      const mine = coverage.ports.get(port.protocol);
      if (!coversPort(mine, this.#choices.get(key), port.port)) continue;
      const { kind } = coverage.unlisted(state, port.protocol);
      if (kind === "states" || kind === "down") this.#services.delete(key);
    }
  }

  #report(scan: Scan, report: Report, at: number): void {
    const scanId = scan.id;
    if (report.kind === "hosts") {
      const coverage = new Coverage(scan, report);
      for (const host of report.hosts) {
        const address = sameAddress(host.address);
        if (host.status === "up") this.#up.add(address);
        for (const port of host.ports) {
          this.#port(address, port, coverage, { at, scanId });
        }
      }
      this.#forget(coverage, at);
    } else if (report.kind === "paths") {
      for (const { status, untrusted, suspicious = [] } of report.paths) {
        this.#finding({
          kind: "path",
          place: report.url,
          text: untrusted.path,
          status,
          addresses: [],
          redirect: untrusted.redirect,
          suspicious,
          lastSeen: at,
        });
      }
    } else {
      for (const one of report.names) {
        this.#finding({
          kind: "name",
          place: `${report.mode} ${report.domain}`,
          text: one.name,
          status: one.status ?? null,
          addresses: one.addresses ?? [],
          redirect: one.untrusted?.redirect,
          suspicious: one.suspicious ?? [],
          lastSeen: at,
        });
      }
    }
  }

  #port(
    address: string,
    port: PortReport,
    coverage: Coverage,
    { at, scanId }: { at: number; scanId: string },
  ): void {
    const key = `${address} ${port.protocol} ${port.port}`;
    const known = this.#services.get(key);
    if (known !== undefined && known.lastSeen > at) {
      if (isOpen(port) && at < known.firstSeen) {
        this.#services.set(key, { ...known, firstSeen: at });
      }
      return;
    }
    if (!isOpen(port)) {
      this.#services.delete(key);
      return;
    }
    if (known === undefined && this.#services.size >= INVENTORY_MAX) {
      this.#cut++;
      return;
    }
    // A scan that did not ask says less than one that did; what was said before stays.
    const telling = known !== undefined && known.port.method === "probed" &&
        port.method !== "probed"
      ? known.port
      : port;
    const choice = coverage.ports.get(port.protocol);
    if (choice !== undefined) this.#choices.set(key, choice);
    this.#services.set(key, {
      address,
      port: telling,
      firstSeen: Math.min(at, known?.firstSeen ?? at),
      lastSeen: at,
      scanId,
    });
  }

  #finding(finding: WebFinding): void {
    const key = `${finding.kind} ${finding.place} ${finding.text}`;
    const known = this.#findings.get(key);
    if (known !== undefined && known.lastSeen > finding.lastSeen) return;
    if (known === undefined && this.#findings.size >= INVENTORY_MAX) {
      this.#cut++;
      return;
    }
    this.#findings.set(key, finding);
  }

  inventory(): Inventory {
    const services = sortedServices(this.#services.values());
    const counter = new HostCounter();
    for (const address of this.#up) this.#count(counter, address, services);
    const facts = counter.facts(this.#up.size, null);
    return {
      scans: this.#scans,
      services,
      findings: [...this.#findings].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([, finding]) => finding),
      hostsUp: this.#up.size,
      byService: facts.services,
      spread: facts.spread,
      suspicious: this.#scans.reduce((sum, one) => sum + one.suspicious, 0),
      cut: this.#cut,
    };
  }

  #count(
    counter: HostCounter,
    address: string,
    services: readonly Service[],
  ): void {
    this.#byAddress ??= Map.groupBy(services, (one) => one.address);
    const ports = (this.#byAddress.get(address) ?? []).map(({ port }) => port);
    counter.add({ address, status: "up", ports });
  }

  #byAddress: Map<string, Service[]> | null = null;
}

function sortedServices(all: Iterable<Service>): readonly Service[] {
  return [...all].map((one) => ({ order: addressOrder(one.address), one }))
    .sort((a, b) =>
      a.order === b.order
        ? a.one.port.port - b.one.port.port ||
          (a.one.port.protocol < b.one.port.protocol ? -1 : 1)
        : a.order < b.order
        ? -1
        : 1
    ).map(({ one }) => one);
}
