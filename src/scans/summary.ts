/**
 * What a scan found, in one sentence of our own words. No text that a scanned host chose is in it:
 * numbers, addresses, port numbers and states only.
 *
 * @module
 */
import { isOver, type Scan, type ScanHead, type ScanStatus } from "./scan.ts";
import { isOpen, type Report } from "@/tools/report.ts";
import type { Progress } from "@/tools/tool.ts";

/** Kinds of finding that are counted one by one where there is room. */
const KINDS_MAX = 10;

/** The states in words. */
const STATUS: Readonly<Record<ScanStatus, string>> = {
  queued: "Waiting for a free place",
  running: "Running",
  succeeded: "Done",
  partial: "Ended early, results are incomplete",
  failed: "Failed",
  timed_out: "Stopped at its deadline, results are incomplete",
  cancelled: "Cancelled, results are incomplete",
  interrupted: "Interrupted by the end of the server",
};

/**
 * Sums a scan up.
 *
 * @param scan The scan.
 * @param kindsMax Most kinds of finding that are counted one by one.
 * @returns One or two sentences.
 */
export function summarize(scan: Scan, kindsMax: number = KINDS_MAX): string {
  const state = STATUS[scan.status];
  if (!isOver(scan)) {
    return scan.progress === null
      ? `${state}.`
      : `${state}: ${progressText(scan.progress)}.`;
  }
  if (scan.report === null) return `${state}.`;
  return `${state}: ${findings(scan.report, kindsMax)}.`;
}

/**
 * Makes the head of a scan.
 *
 * @param scan The scan.
 * @returns It without what it found.
 */
export function headOf(scan: Scan): ScanHead {
  const { report: _report, raw: _raw, ...head } = scan;
  return { ...head, summary: summarize(scan) };
}

/**
 * Says how far a scan is.
 *
 * @param progress The progress.
 * @returns Words without a period.
 */
export function progressText(progress: Progress): string {
  const parts = [progress.phase];
  if (progress.percent !== null) parts.push(`${Math.floor(progress.percent)}%`);
  parts.push(`${progress.found} found`);
  if (progress.remainingSeconds !== null) {
    parts.push(`about ${Math.ceil(progress.remainingSeconds)} s left`);
  }
  return parts.join(", ");
}

function findings(report: Report, kindsMax: number): string {
  switch (report.kind) {
    case "hosts": {
      const ports = report.hosts.flatMap((host) => host.ports.filter(isOpen));
      const kinds = counts(
        ports.map(({ port, protocol }) => `${port}/${protocol}`),
        kindsMax,
      );
      return `${hostCount(report.totals)}, ${
        many(ports.length, "open port")
      }${kinds}`;
    }
    case "paths":
      return `${many(report.paths.length, "path")}${
        counts(report.paths.map(({ status }) => `status ${status}`), kindsMax)
      }${tried(report.totals)}`;
    case "names":
      return `${many(report.names.length, "name")} (${report.mode})${
        tried(report.totals)
      }`;
  }
}

function hostCount(totals: { up: number; total: number | null }): string {
  return totals.total === null
    ? `${many(totals.up, "host")} up`
    : `${totals.up} of ${many(totals.total, "host")} up`;
}

function tried(
  totals: { tried: number | null; words: number | null },
): string {
  if (totals.tried === null) return "";
  return totals.words === null
    ? `; ${many(totals.tried, "word")} tried`
    : `; ${totals.tried} of ${many(totals.words, "word")} tried`;
}

/** `: 22/tcp ×3, 80/tcp ×1`, the most frequent first. */
function counts(kinds: readonly string[], kindsMax: number): string {
  const counted = new Map<string, number>();
  for (const kind of kinds) counted.set(kind, (counted.get(kind) ?? 0) + 1);
  const sorted = [...counted].sort(([, a], [, b]) => b - a);
  if (sorted.length === 0) return "";
  const shown = sorted.slice(0, kindsMax)
    .map(([kind, count]) => count === 1 ? kind : `${kind} ×${count}`);
  const left = sorted.length - shown.length;
  if (left > 0) shown.push(`${left} more kinds`);
  return `: ${shown.join(", ")}`;
}

/**
 * Counts something in words.
 *
 * @param count How many.
 * @param noun What, in the singular.
 * @returns For example `1 host`, `3 hosts`.
 */
export function many(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
