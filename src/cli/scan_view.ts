/**
 * Shows a scan to a person: what was done, a table of findings, and what to know about them.
 *
 * What scanned hosts said was cleaned on its way in; here it stands in the last column only.
 *
 * @module
 */
import { isOver, type Scan, scanTypeOf } from "@/scans/scan.ts";
import { durationOf, isoTime } from "@/scans/times.ts";
import { summarize } from "@/scans/summary.ts";
import type { HostReport, PortReport, Report } from "@/tools/report.ts";
import type { Style } from "./style.ts";
import { table } from "./table.ts";

/**
 * Writes a scan as text.
 *
 * @param scan The scan as it ended.
 * @param columns Width of the output.
 * @param style Colours.
 * @returns Lines, each with its end.
 */
export function scanText(scan: Scan, columns: number, style: Style): string {
  const seconds = durationOf(scan);
  const head = [
    style.bold(`${scan.tool} ${scan.target}`),
    scan.scanType,
    seconds === null ? "" : `${seconds.toFixed(1)} s`,
    style.dim(scan.id),
  ].filter((part) => part !== "").join("  ");
  const lines = [head, summaryLine(scan, style), ""];
  if (scan.report !== null) {
    lines.push(...reportLines(scan.report, columns, style));
  }
  for (const note of scan.notes) lines.push(style.dim(`note: ${note}`));
  if (scan.error !== null) {
    lines.push(style.red(`${scan.error.code}: ${scan.error.message}`));
  }
  return lines.join("\n") + "\n";
}

/**
 * Gives a scan as plain JSON: the contract's result, whole.
 *
 * @param scan The scan.
 * @returns The result.
 */
export function scanJson(scan: Scan): Readonly<Record<string, unknown>> {
  return {
    scan_id: scan.id,
    tool: scan.tool,
    target: scan.target,
    status: scan.status,
    scan_type: scanTypeOf(scan),
    started_at: isoTime(scan.startedAt),
    finished_at: isoTime(scan.finishedAt),
    duration_seconds: durationOf(scan),
    argv: scan.argv,
    summary: summarize(scan),
    notes: scan.notes,
    report: scan.report,
    error: scan.error,
    trace_id: scan.traceId,
  };
}

function summaryLine(scan: Scan, style: Style): string {
  const paint = scan.status === "succeeded"
    ? style.green
    : isOver(scan)
    ? style.yellow
    : style.dim;
  return paint(summarize(scan));
}

function reportLines(
  report: Report,
  columns: number,
  style: Style,
): readonly string[] {
  const rows = reportRows(report);
  if (rows.length <= 1) return [];
  const [heading = "", ...lines] = table(rows, columns);
  return [style.bold(heading), ...lines, ""];
}

function reportRows(report: Report): readonly (readonly string[])[] {
  switch (report.kind) {
    case "hosts":
      return [
        ["HOST", "PORT", "STATE", "SERVICE", "DETAILS"],
        ...report.hosts.flatMap(hostRows),
      ];
    case "paths":
      return [
        ["STATUS", "SIZE", "PATH", "REDIRECT"],
        ...report.paths.map(({ status, size, untrusted }) => [
          String(status),
          size === null ? "" : String(size),
          untrusted.path,
          untrusted.redirect ?? "",
        ]),
      ];
    case "names":
      return [
        ["NAME", "ADDRESSES", "STATUS", "SIZE"],
        ...report.names.map(({ name, addresses, status, size }) => [
          name,
          (addresses ?? []).join(" "),
          status === undefined ? "" : String(status),
          size === undefined || size === null ? "" : String(size),
        ]),
      ];
  }
}

/** Closed ports are counted, not listed: a person looks for what is there. */
function hostRows(host: HostReport): readonly (readonly string[])[] {
  const listed = host.ports.filter(({ state }) => state !== "closed");
  const rows = listed.map((port) => [
    host.address,
    `${port.port}/${port.protocol}`,
    port.state,
    port.tunnel === undefined
      ? port.service ?? ""
      : `${port.tunnel}/${port.service ?? ""}`,
    portDetails(port),
  ]);
  const others = new Map(
    (host.other_ports ?? []).map(({ state, count }) => [state, count]),
  );
  const closed = host.ports.length - listed.length;
  if (closed > 0) others.set("closed", (others.get("closed") ?? 0) + closed);
  const counts = [...others].map(([state, count]) => `${count} ${state}`).join(
    ", ",
  );
  if (counts !== "") {
    rows.push([host.address, "", "", "", `not shown: ${counts}`]);
  }
  return rows.length > 0 ? rows : [[host.address, "", host.status, "", ""]];
}

function portDetails(port: PortReport): string {
  const { product, version, extra_info, banners } = port.untrusted ?? {};
  const said = [product, version, extra_info, banners?.[0]?.text];
  return said.filter((text) => text !== undefined).join(" ").replaceAll(
    "\n",
    " ",
  );
}
