/**
 * The findings of a scan and the changes of a comparison one by one, for the formats that a machine
 * reads. Every record names the scan it comes from and keeps text of scanned hosts below `untrusted`.
 *
 * @module
 */
import type { ScanDiff } from "@/scans/diff.ts";
import type { Scan } from "@/scans/scan.ts";
import { summarize } from "@/scans/summary.ts";
import { durationOf, isoTime } from "@/scans/times.ts";
import type {
  HostReport,
  NamesReport,
  PathsReport,
  PortReport,
} from "@/tools/report.ts";
import type { ReportInput } from "./input.ts";

/** One record. */
export type ReportRecord =
  | ({ readonly record: "scan" } & Readonly<Record<string, unknown>>)
  | ({ readonly record: "host"; readonly scan_id: string } & HostRecord)
  | ({
    readonly record: "port";
    readonly scan_id: string;
    readonly address: string;
  } & PortReport)
  | ({
    readonly record: "path";
    readonly scan_id: string;
    readonly url: string;
  } & PathsReport["paths"][number])
  | ({
    readonly record: "name";
    readonly scan_id: string;
    readonly mode: string;
    readonly domain: string;
  } & NamesReport["names"][number])
  | ({ readonly record: "diff" } & Readonly<Record<string, unknown>>)
  | { readonly record: "change"; readonly change: ScanDiff["changes"][number] };

type HostRecord = Omit<HostReport, "ports">;

/**
 * Gives the records of whatever is reported.
 *
 * @param input What to report.
 * @returns The records, a scan's own before those of its findings.
 */
export async function* recordsOf(
  input: ReportInput,
): AsyncGenerator<ReportRecord> {
  if (input.kind === "diff") yield* diffRecords(input.diff);
  else if (input.kind === "scan") yield* scanRecords(input.scan);
  else for await (const scan of input.scans()) yield* scanRecords(scan);
}

/**
 * Gives the records of a scan.
 *
 * @param scan The scan.
 * @returns The records.
 */
export function* scanRecords(scan: Scan): Generator<ReportRecord> {
  const { id, report } = scan;
  yield {
    record: "scan",
    scan_id: id,
    tool: scan.tool,
    target: scan.target,
    status: scan.status,
    scan_type: scan.scanType,
    queued_at: isoTime(scan.queuedAt),
    started_at: isoTime(scan.startedAt),
    finished_at: isoTime(scan.finishedAt),
    duration_seconds: durationOf(scan),
    targets: scan.targets,
    argv: scan.argv,
    summary: summarize(scan),
    notes: scan.notes,
    error: scan.error,
    partial: report?.partial ?? null,
    ...(report?.truncated === undefined ? {} : { truncated: report.truncated }),
    trace_id: scan.traceId,
  };
  if (report?.kind === "hosts") {
    for (const { ports, ...host } of report.hosts) {
      yield { record: "host", scan_id: id, ...host };
      for (const port of ports) {
        yield { record: "port", scan_id: id, address: host.address, ...port };
      }
    }
  } else if (report?.kind === "paths") {
    for (const path of report.paths) {
      yield { record: "path", scan_id: id, url: report.url, ...path };
    }
  } else if (report?.kind === "names") {
    const { mode, domain } = report;
    for (const name of report.names) {
      yield { record: "name", scan_id: id, mode, domain, ...name };
    }
  }
}

function* diffRecords(diff: ScanDiff): Generator<ReportRecord> {
  const { changes, ...head } = diff;
  yield { record: "diff", ...head };
  for (const change of changes) yield { record: "change", change };
}
