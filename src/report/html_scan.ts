/**
 * An HTML report of one scan.
 *
 * @module
 */
import type { Scan, ScanStatus } from "@/scans/scan.ts";
import { summarize } from "@/scans/summary.ts";
import type { Report } from "@/tools/report.ts";
import {
  type Count,
  hostFacts,
  statusCounts,
  suspiciousCount,
  topOf,
} from "./facts.ts";
import { barChart, partsChart } from "./html_charts.ts";
import { esc } from "./html_escape.ts";
import {
  hasDetails,
  hostDetails,
  hostTable,
  nameTable,
  pathTable,
} from "./html_findings.ts";
import {
  box,
  type Figure,
  figures,
  page,
  type Part,
  sentences,
  terms,
} from "./html_page.ts";
import type { ReportContext } from "./input.ts";
import {
  commandText,
  durationText,
  limitsOf,
  numberText,
  SUSPICIOUS_TEXT,
  timeText,
  UNTRUSTED_TEXT,
} from "./words.ts";

/** Bars of a chart. */
const BARS_MAX = 10;

/** Targets and command lines that are shown, and characters of one. */
const TARGETS_SHOWN_MAX = 60;
const COMMANDS_SHOWN_MAX = 16;
const COMMAND_LENGTH_MAX = 4_000;

/**
 * Writes a scan as a page.
 *
 * @param scan The scan.
 * @param context What is said beside it.
 * @returns The pieces of the page.
 */
export function scanHtml(
  scan: Scan,
  context: ReportContext,
): Iterable<string> {
  return page(
    {
      kind: "Scan report",
      title: scan.target,
      subtitle: `${scan.tool}${
        scan.scanType === "" || scan.scanType === scan.tool
          ? ""
          : ` ${scan.scanType}`
      } · ${timeText(scan.startedAt ?? scan.queuedAt)}`,
      badge: statusBadge(scan.status),
    },
    partsOf(scan, context),
    context,
  );
}

function partsOf(scan: Scan, context: ReportContext): readonly Part[] {
  const { report } = scan;
  const charts = report === null ? "" : chartsOf(report);
  return [
    { id: "summary", title: "Summary", body: summary(scan) },
    ...(charts === "" ? [] : [{
      id: "charts",
      title: "At a glance",
      body: [`<div class="charts">${charts}</div>\n`],
    }]),
    ...(report === null ? [] : findingParts(report)),
    { id: "method", title: "How it was scanned", body: method(scan, context) },
    { id: "limits", title: "Notes and limits", body: limits(scan) },
  ];
}

function findingParts(report: Report): readonly Part[] {
  switch (report.kind) {
    case "hosts":
      return [
        { id: "hosts", title: "Hosts", body: hostTable(report) },
        ...(report.hosts.some(hasDetails)
          ? [{ id: "ports", title: "Ports by host", body: hostDetails(report) }]
          : []),
      ];
    case "paths":
      return [{ id: "paths", title: "Paths", body: pathTable(report) }];
    case "names":
      return [{ id: "names", title: "Names", body: nameTable(report) }];
  }
}

/**
 * Shows how a scan ended.
 *
 * @param status The status.
 * @returns HTML.
 */
export function statusBadge(status: ScanStatus): string {
  const tone = status === "succeeded"
    ? "ok"
    : status === "failed"
    ? "bad"
    : "mid";
  return `<span class="badge ${tone}">${esc(status.replace("_", " "))}</span>`;
}

function* summary(scan: Scan): Generator<string> {
  yield `<p class="lead">${esc(summarize(scan), { lengthMax: 2_000 })}</p>`;
  if (scan.report !== null) yield figures(figuresOf(scan.report, scan));
  if (scan.error !== null) {
    yield box([`The scan failed: ${scan.error.message}`], true);
  }
  if (scan.report?.partial === true) {
    yield box([
      "The scan ended before its time. What is not listed may be there all the same.",
    ]);
  }
  if (scan.report?.truncated !== undefined) {
    yield box([`The results were cut: ${scan.report.truncated}.`]);
  }
  if (scan.report !== null && suspiciousCount(scan.report) > 0) {
    yield box([SUSPICIOUS_TEXT], true);
  }
}

function figuresOf(report: Report, scan: Scan): readonly Figure[] {
  const suspicious = suspiciousCount(report);
  return [
    ...findingFigures(report),
    { label: "Duration", value: durationText(scan) },
    ...(suspicious === 0 ? [] : [{
      label: "Suspicious texts",
      value: numberText(suspicious),
      tone: "bad" as const,
    }]),
  ];
}

function findingFigures(report: Report): readonly Figure[] {
  if (report.kind === "hosts") {
    const { up, total, open, exposed, services } = hostFacts(report);
    return [
      {
        label: "Hosts up",
        value: total === null
          ? numberText(up)
          : `${numberText(up)} / ${numberText(total)}`,
      },
      { label: "Open ports", value: numberText(open), tone: "good" },
      { label: "With open ports", value: numberText(exposed) },
      { label: "Services", value: numberText(services.length) },
    ];
  }
  const found = report.kind === "paths" ? report.paths : report.names;
  const { tried, words } = report.totals;
  return [
    {
      label: report.kind === "paths" ? "Paths" : "Names",
      value: numberText(found.length),
      tone: "good",
    },
    ...(tried === null ? [] : [{
      label: "Words tried",
      value: words === null || words === tried
        ? numberText(tried)
        : `${numberText(tried)} / ${numberText(words)}`,
    }]),
  ];
}

function chartsOf(report: Report): string {
  if (report.kind === "hosts") {
    const facts = hostFacts(report);
    return hostCharts(facts);
  }
  return barChart("Answers by status code", statusCounts(report));
}

/**
 * Draws the charts of hosts and ports.
 *
 * @param facts What to draw.
 * @returns Figures, or nothing where there is nothing to show.
 */
export function hostCharts(
  facts: {
    readonly states: readonly Count[];
    readonly services: readonly Count[];
    readonly spread: readonly Count[];
  },
): string {
  return partsChart("Ports by state", topOf(facts.states, 6)) +
    barChart("Hosts by number of open ports", withoutTail(facts.spread)) +
    barChart("Services on open ports", topOf(facts.services, BARS_MAX));
}

/** Without the last entries that count nothing. */
function withoutTail(counts: readonly Count[]): readonly Count[] {
  const last = counts.findLastIndex(({ value }) => value > 0);
  return counts.slice(0, last + 1);
}

function* method(scan: Scan, context: ReportContext): Generator<string> {
  const shown = scan.targets.slice(0, TARGETS_SHOWN_MAX);
  const left = scan.targets.length - shown.length;
  const version = scan.report?.kind === "hosts"
    ? scan.report.tool_version
    : null;
  yield terms([
    ["Scan", `<span class="mono">${esc(scan.id)}</span>`],
    ["Tool", esc(version === null ? scan.tool : `${scan.tool} ${version}`)],
    [
      "Targets",
      esc(shown.join(" ") + (left > 0 ? ` … ${left} more` : ""), {
        lengthMax: COMMAND_LENGTH_MAX,
      }),
    ],
    ["Accepted", esc(timeText(scan.queuedAt))],
    ["Started", esc(timeText(scan.startedAt))],
    ["Finished", esc(timeText(scan.finishedAt))],
    ["Trace", `<span class="mono">${esc(scan.traceId)}</span>`],
  ]);
  const lines = scan.argv.slice(0, COMMANDS_SHOWN_MAX);
  if (lines.length > 0) {
    yield `<h3>Command ${lines.length === 1 ? "line" : "lines"}</h3>`;
  }
  for (const argv of lines) {
    yield `<pre class="cmd">${
      esc(commandText(argv), { lengthMax: COMMAND_LENGTH_MAX })
    }</pre>\n`;
  }
  yield guardrails(context);
}

/**
 * Shows the rules that held.
 *
 * @param context Where they stand.
 * @returns HTML, or nothing if none are known.
 */
export function guardrails(context: ReportContext): string {
  const rules = context.guardrails ?? [];
  return rules.length === 0 ? "" : `<h3>Guardrails</h3>${sentences(rules)}`;
}

function* limits(scan: Scan): Generator<string> {
  if (scan.notes.length > 0) {
    yield `<h3>Notes of the scan</h3>${sentences(scan.notes)}`;
  }
  yield `<h3>What the method cannot tell</h3>${sentences(limitsOf(scan))}`;
  yield `<h3>Text of scanned hosts</h3><p>${esc(UNTRUSTED_TEXT)}</p>\n`;
  yield `<p class="small">It looks like this: <bdi class="u">text of a host</bdi>, and like this where it reads like an instruction to a model: <bdi class="u sus">text of a host</bdi> <span class="warn">suspicious</span></p>\n`;
}
