/**
 * A report as a list of rows, in the order in which a reader with little room wants them: open ports
 * first, then hosts without one, then closed ports. Filters, paging and the cut all work on rows, so
 * that a page never breaks a finding apart and no finding is lost between two pages.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type {
  HostReport,
  HostsReport,
  NamesReport,
  PathsReport,
  PortReport,
  Report,
} from "@/tools/report.ts";
import { isOpen } from "@/tools/report.ts";

/** How much of each finding an answer holds. */
export const DETAILS = ["full", "brief", "addresses"] as const;

/** One of {@linkcode DETAILS}. */
export type Detail = typeof DETAILS[number];

/** Which findings are wanted. */
export interface RowFilter {
  readonly openOnly?: boolean | undefined;
  readonly port?: number | undefined;
  readonly service?: string | undefined;
  /** An address, or a name that the request used; of a names report, the name. */
  readonly host?: string | undefined;
  readonly hostStatus?: HostReport["status"] | undefined;
  /** HTTP status of a path or a virtual host. */
  readonly statusCode?: number | undefined;
}

/** A port of a host, or a host alone. `details` stand in one row of each host. */
export interface HostRow {
  readonly kind: "host";
  readonly host: HostReport;
  readonly port: PortReport | null;
  readonly details: boolean;
}

/** A path. */
export interface PathRow {
  readonly kind: "path";
  readonly path: PathsReport["paths"][number];
}

/** A name. */
export interface NameRow {
  readonly kind: "name";
  readonly name: NamesReport["names"][number];
}

/** A finding. */
export type Row = HostRow | PathRow | NameRow;

/**
 * Lists the findings of a report.
 *
 * @param report The report.
 * @param filter Which are wanted.
 * @returns The rows, the most telling first.
 */
export function rowsOf(report: Report, filter: RowFilter): readonly Row[] {
  switch (report.kind) {
    case "hosts":
      return hostRows(report, filter);
    case "paths":
      return report.paths
        .filter((path) => is(filter.statusCode, path.status))
        .map((path) => ({ kind: "path", path }));
    case "names":
      return report.names
        .filter((name) =>
          is(filter.statusCode, name.status) &&
          is(filter.host?.toLowerCase(), name.name.toLowerCase())
        )
        .map((name) => ({ kind: "name", name }));
  }
}

/**
 * Makes a report of some rows.
 *
 * @param report Where the rows come from.
 * @param rows The rows of one page.
 * @param detail How much of each.
 * @returns A report of the same kind with those findings only.
 */
export function reportOf(
  report: Report,
  rows: readonly Row[],
  detail: Detail,
): Report {
  switch (report.kind) {
    case "hosts":
      return { ...report, hosts: joinHosts(rows, detail) };
    case "paths":
      return {
        ...report,
        paths: rows.flatMap((row) => row.kind === "path" ? [row.path] : []),
      };
    case "names":
      return {
        ...report,
        names: rows.flatMap((row) => row.kind === "name" ? [row.name] : []),
      };
  }
}

/**
 * Refuses a filter that can match nothing in a report of this kind.
 *
 * @param report The report.
 * @param filter The filter.
 * @throws {AppError} `invalid_arguments`.
 */
export function assertFilterFits(report: Report, filter: RowFilter): void {
  const taken: readonly (keyof RowFilter)[] = report.kind === "hosts"
    ? ["openOnly", "port", "service", "host", "hostStatus"]
    : report.kind === "names"
    ? ["host", "statusCode"]
    : ["statusCode"];
  for (const [key, value] of Object.entries(filter)) {
    if (value === undefined || value === false) continue;
    if ((taken as readonly string[]).includes(key)) continue;
    const names = taken.map((name) => ARGUMENTS[name]).join(", ");
    throw new AppError(
      "invalid_arguments",
      `Cannot filter by "${
        ARGUMENTS[key as keyof RowFilter]
      }": this scan found ${report.kind}; the filters for it are ${names}`,
    );
  }
}

/** The arguments that stand for the filter's keys. */
const ARGUMENTS: Readonly<Record<keyof RowFilter, string>> = {
  openOnly: "open_only",
  port: "port",
  service: "service",
  host: "host",
  hostStatus: "host_status",
  statusCode: "status_code",
};

/**
 * Gives one host of a page.
 *
 * @param host The host.
 * @param ports Its ports on the page.
 * @param options How much of it, and whether its details stand on this page.
 * @returns The host as it is shown.
 */
export function hostOf(
  host: HostReport,
  ports: readonly PortReport[],
  options: { readonly detail: Detail; readonly details: boolean },
): HostReport {
  const shown = ports.map((port) => portOf(port, options.detail));
  if (options.detail !== "full" || !options.details) {
    const { address, names, status } = host;
    return {
      address,
      ...(names === undefined ? {} : { names }),
      status,
      ports: shown,
      ...(options.details && host.other_ports !== undefined
        ? { other_ports: host.other_ports }
        : {}),
    };
  }
  return { ...host, ports: shown };
}

function portOf(port: PortReport, detail: Detail): PortReport {
  if (detail === "full") return port;
  return {
    port: port.port,
    protocol: port.protocol,
    state: port.state,
    ...(port.service === undefined ? {} : { service: port.service }),
    ...(port.tunnel === undefined ? {} : { tunnel: port.tunnel }),
  };
}

function hostRows(report: HostsReport, filter: RowFilter): HostRow[] {
  const open: HostRow[] = [];
  const bare: HostRow[] = [];
  const rest: HostRow[] = [];
  const byPort = filter.openOnly === true || filter.port !== undefined ||
    filter.service !== undefined;
  for (const host of report.hosts) {
    if (!matchesHost(host, filter)) continue;
    const ports = host.ports.filter((port) => matchesPort(port, filter));
    let details = true;
    for (const port of ports.filter(isOpen)) {
      open.push({ kind: "host", host, port, details });
      details = false;
    }
    if (details && !byPort) {
      // A host without an open port is still a finding, and says so once.
      (host.status === "down" ? rest : bare).push({
        kind: "host",
        host,
        port: null,
        details,
      });
      details = false;
    }
    for (const port of ports.filter((port) => !isOpen(port))) {
      rest.push({ kind: "host", host, port, details });
      details = false;
    }
  }
  return [...open, ...bare, ...rest];
}

function matchesHost(host: HostReport, filter: RowFilter): boolean {
  if (!is(filter.hostStatus, host.status)) return false;
  const wanted = filter.host?.toLowerCase();
  if (wanted === undefined) return true;
  return host.address.toLowerCase() === wanted ||
    (host.names ?? []).some((name) => name.toLowerCase() === wanted) ||
    (host.other_addresses ?? []).some((other) =>
      other.address.toLowerCase() === wanted
    );
}

function matchesPort(port: PortReport, filter: RowFilter): boolean {
  if (filter.openOnly === true && !isOpen(port)) return false;
  if (!is(filter.port, port.port)) return false;
  return is(filter.service?.toLowerCase(), port.service?.toLowerCase());
}

function joinHosts(rows: readonly Row[], detail: Detail): HostReport[] {
  const hosts = new Map<
    HostReport,
    { ports: PortReport[]; details: boolean }
  >();
  for (const row of rows) {
    if (row.kind !== "host") continue;
    const seen = hosts.get(row.host) ?? { ports: [], details: false };
    if (row.port !== null) seen.ports.push(row.port);
    seen.details ||= row.details;
    hosts.set(row.host, seen);
  }
  return [...hosts].map(([host, { ports, details }]) =>
    hostOf(host, ports, { detail, details })
  );
}

/** No wish is met by everything. */
function is<T>(wish: T | undefined, value: T | undefined): boolean {
  return wish === undefined || wish === value;
}
