/**
 * What is told live of findings, while a scan goes on: how many there are and the first of them, by
 * address, port and service. What a host said of itself is for the report; the one text here that is
 * not of this server's own making is a path, and it stands below `untrusted`.
 *
 * @module
 */
import {
  type HostReport,
  type HostsReport,
  isOpen,
  type NamesReport,
  type PathsReport,
  type Report,
} from "@/tools/report.ts";
import { cleanText } from "@/tools/untrusted.ts";

/** Most findings that one event shows. */
export const FOUND_SHOWN_MAX = 20;

/** Most UTF-16 code units of one text. */
export const FOUND_TEXT_MAX = 120;

type Shown = Readonly<Record<string, unknown>>;

/** The findings of one event. */
interface Tally {
  readonly counts: Readonly<Record<string, number>>;
  /** How many could be shown. */
  readonly all: number;
  readonly shown: readonly Shown[];
}

/**
 * Makes the data of `scan.found`: the findings as values and, for whoever only watches, as lines.
 *
 * @param report What was found since the last time, as the tool's isolate hands it to main. It may
 * name a finding again when more is known of it.
 * @returns Counts of what is new, some of it, and how much of it is not shown: plain data of a few
 * kilobytes, whatever was found.
 */
export function foundData(report: Report): Readonly<Record<string, unknown>> {
  const { counts, all, shown } = tallyOf(report);
  const lines = shown.map(lineOf);
  return {
    ...counts,
    newest: shown,
    // The words of a path are a web server's own.
    ...(report.kind === "paths" ? { untrusted: { lines } } : { lines }),
    more: all - shown.length,
  };
}

/** A finding in one line, as the tools themselves tell it to a person. */
function lineOf(
  { address, port, protocol, service, status, untrusted, name }: Shown,
): string {
  if (untrusted !== undefined) {
    return `${status} ${(untrusted as { path: string }).path}`;
  }
  if (address === undefined) return String(name);
  if (port === undefined) return `${address} up`;
  return `${address} ${port}/${protocol} open${
    service === null ? "" : ` ${service}`
  }`;
}

/** Tells whether a report has anything that could be told. */
export function hasFindings(report: Report): boolean {
  return tallyOf(report).all > 0;
}

function tallyOf(report: Report): Tally {
  switch (report.kind) {
    case "hosts":
      return ofHosts(report);
    case "paths":
      return ofPaths(report);
    case "names":
      return ofNames(report);
  }
}

function ofHosts({ hosts }: HostsReport): Tally {
  const shown: Shown[] = [];
  let [up, ports, silent] = [0, 0, 0];
  for (const host of hosts) {
    if (host.status === "up") up++;
    const open = showPorts(host, shown);
    ports += open;
    if (open > 0 || host.status !== "up") continue;
    silent++;
    if (shown.length < FOUND_SHOWN_MAX) {
      shown.push({ address: text(host.address) });
    }
  }
  return { counts: { hosts: up, ports }, all: ports + silent, shown };
}

/** Counts a host's open ports and shows those for which there is room. */
function showPorts({ address, ports }: HostReport, shown: Shown[]): number {
  let open = 0;
  for (const port of ports) {
    if (!isOpen(port)) continue;
    open++;
    if (shown.length >= FOUND_SHOWN_MAX) continue;
    shown.push({
      address: text(address),
      port: port.port,
      protocol: port.protocol,
      service: port.service === undefined ? null : text(port.service),
    });
  }
  return open;
}

function ofPaths({ paths }: PathsReport): Tally {
  return {
    counts: { paths: paths.length },
    all: paths.length,
    shown: paths.slice(0, FOUND_SHOWN_MAX).map(({ status, untrusted }) => ({
      status,
      untrusted: { path: text(untrusted.path) },
    })),
  };
}

function ofNames({ names }: NamesReport): Tally {
  return {
    counts: { names: names.length },
    all: names.length,
    shown: names.slice(0, FOUND_SHOWN_MAX).map(({ name }) => ({
      name: text(name),
    })),
  };
}

/** The isolate that read it cleaned it; main does so again, for it trusts no isolate. */
function text(said: string): string {
  return cleanText(said, { lengthMax: FOUND_TEXT_MAX });
}
