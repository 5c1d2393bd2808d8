/**
 * Reports as CSV (RFC 4180), for spreadsheets. A spreadsheet takes a cell that begins with `=`, `+`,
 * `-` or `@` for a formula and runs it; what scanned hosts say must not get that far. Such a cell gets
 * an apostrophe in front, which a spreadsheet shows as the text it is.
 *
 * One row a finding, the same columns for every tool, so that reports can be put below each other.
 * Columns with text of scanned hosts are named `untrusted_…`.
 *
 * @module
 */
import type { Change, PortSide, WebSide } from "@/scans/diff.ts";
import type { Scan } from "@/scans/scan.ts";
import { isoTime } from "@/scans/times.ts";
import type { HostReport, PortReport, Report } from "@/tools/report.ts";
import type { ReportInput } from "./input.ts";
import { visible } from "./visible.ts";

/** The columns of findings. */
export const COLUMNS = [
  "record",
  "scan_id",
  "tool",
  "started_at",
  "address",
  "names",
  "host_status",
  "port",
  "protocol",
  "state",
  "service",
  "tunnel",
  "method",
  "confidence",
  "where",
  "http_status",
  "size",
  "addresses",
  "untrusted_product",
  "untrusted_version",
  "untrusted_extra_info",
  "untrusted_banner",
  "untrusted_path",
  "untrusted_redirect",
  "untrusted_reverse_names",
  "suspicious",
] as const;

/** The columns of changes. */
export const CHANGE_COLUMNS = [
  "record",
  "change",
  "address",
  "port",
  "protocol",
  "name",
  "untrusted_path",
  "changed",
  "before_state",
  "after_state",
  "before_service",
  "after_service",
  "untrusted_before_product",
  "untrusted_after_product",
  "before_http_status",
  "after_http_status",
  "untrusted_before_redirect",
  "untrusted_after_redirect",
] as const;

/** Longest cell. A spreadsheet takes 32,767 characters. */
const CELL_LENGTH_MAX = 8_000;

type Cells = Partial<Record<string, string | number | null | undefined>>;

/**
 * Writes findings, or changes.
 *
 * @param input What to report.
 * @returns Rows, the heading first.
 */
export async function* csv(input: ReportInput): AsyncGenerator<string> {
  if (input.kind === "diff") {
    yield line(CHANGE_COLUMNS);
    for (const change of input.diff.changes) {
      yield cells(CHANGE_COLUMNS, changeCells(change));
    }
    return;
  }
  yield line(COLUMNS);
  if (input.kind === "scan") yield* scanRows(input.scan);
  else for await (const scan of input.scans()) yield* scanRows(scan);
}

function* scanRows(scan: Scan): Generator<string> {
  if (scan.report === null) return;
  const base = {
    scan_id: scan.id,
    tool: scan.tool,
    started_at: isoTime(scan.startedAt),
  };
  for (const row of reportRows(scan.report)) {
    yield cells(COLUMNS, { ...base, ...row });
  }
}

function* reportRows(report: Report): Generator<Cells> {
  switch (report.kind) {
    case "hosts":
      for (const host of report.hosts) yield* hostRows(host);
      return;
    case "paths":
      for (const { status, size, untrusted, suspicious } of report.paths) {
        yield {
          record: "path",
          where: report.url,
          http_status: status,
          size,
          untrusted_path: untrusted.path,
          untrusted_redirect: untrusted.redirect,
          suspicious: suspicious?.join(" "),
        };
      }
      return;
    case "names":
      for (const one of report.names) {
        yield {
          record: "name",
          names: one.name,
          where: report.domain,
          http_status: one.status,
          size: one.size,
          addresses: one.addresses?.join(" "),
          untrusted_redirect: one.untrusted?.redirect,
          suspicious: one.suspicious?.join(" "),
        };
      }
  }
}

function* hostRows(host: HostReport): Generator<Cells> {
  const base = {
    address: host.address,
    names: host.names?.join(" "),
    host_status: host.status,
    untrusted_reverse_names: host.untrusted?.reverse_names?.join(" "),
  };
  if (host.ports.length === 0) {
    yield { record: "host", ...base, suspicious: host.suspicious?.join(" ") };
  }
  for (const port of host.ports) {
    yield { record: "port", ...base, ...portCells(port) };
  }
}

function portCells(port: PortReport): Cells {
  const { product, version, extra_info, banners } = port.untrusted ?? {};
  return {
    port: port.port,
    protocol: port.protocol,
    state: port.state,
    service: port.service,
    tunnel: port.tunnel,
    method: port.method,
    confidence: port.confidence,
    untrusted_product: product,
    untrusted_version: version,
    untrusted_extra_info: extra_info,
    untrusted_banner: banners?.map(({ text }) => text).join(" "),
    suspicious: port.suspicious?.join(" "),
  };
}

function changeCells(change: Change): Cells {
  const base = { record: change.kind, change: change.change };
  switch (change.kind) {
    case "host":
      return {
        ...base,
        address: change.address,
        name: change.names?.join(" "),
        before_state: change.other_ports?.before,
        after_state: change.other_ports?.after,
      };
    case "port":
      return {
        ...base,
        address: change.address,
        port: change.port,
        protocol: change.protocol,
        changed: change.changed.join(" "),
        before_state: change.before?.state,
        after_state: change.after?.state,
        before_service: change.before?.service,
        after_service: change.after?.service,
        untrusted_before_product: productOf(change.before),
        untrusted_after_product: productOf(change.after),
      };
    default:
      return {
        ...base,
        ...(change.kind === "path"
          ? { untrusted_path: change.untrusted.path }
          : { name: change.name }),
        changed: change.changed.join(" "),
        ...webCells(change.before, change.after),
      };
  }
}

function webCells(before: WebSide | null, after: WebSide | null): Cells {
  return {
    before_state: before?.addresses?.join(" "),
    after_state: after?.addresses?.join(" "),
    before_http_status: before?.status,
    after_http_status: after?.status,
    untrusted_before_redirect: before?.untrusted?.redirect,
    untrusted_after_redirect: after?.untrusted?.redirect,
  };
}

function productOf(side: PortSide | null): string | undefined {
  const { product, version, extra_info } = side?.untrusted ?? {};
  const parts = [product, version, extra_info].filter((one) =>
    one !== undefined
  );
  return parts.length === 0 ? undefined : parts.join(" ");
}

function cells(columns: readonly string[], values: Cells): string {
  return line(columns.map((column) => values[column]));
}

function line(
  values: readonly (string | number | null | undefined)[],
): string {
  return `${values.map(cell).join(",")}\r\n`;
}

/** A cell that no spreadsheet takes for a formula, and that holds no line end. */
function cell(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = visible(value, { lengthMax: CELL_LENGTH_MAX });
  // The wide forms count too, and blanks before them are dropped by some.
  const guarded = /^[\s"']*[=+\-@|%\t\r\n＝＋－＠]/.test(value) ||
      /^[\s"']*[=+\-@|%＝＋－＠]/.test(text)
    ? `'${text}`
    : text;
  return /[",\r\n;]/.test(guarded)
    ? `"${guarded.replaceAll('"', '""')}"`
    : guarded;
}
