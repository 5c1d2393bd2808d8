/**
 * Reports in Markdown, for a ticket or a wiki. What a scanned host chose stands in code spans and code
 * blocks only, fenced by more backticks than it holds: there it is neither a link, nor a picture, nor
 * HTML, whoever renders it.
 *
 * @module
 */
import type { Change, ScanDiff, ScanRef } from "@/scans/diff.ts";
import { changeText, notComparedText, totalsText } from "@/scans/diff_text.ts";
import type { Scan } from "@/scans/scan.ts";
import { summarize } from "@/scans/summary.ts";
import type { HostReport, PortReport, Report } from "@/tools/report.ts";
import {
  hostFacts,
  serviceOf,
  statusCounts,
  suspiciousCount,
} from "./facts.ts";
import { PRODUCT, type ReportContext } from "./input.ts";
import type { Inventory } from "./inventory.ts";
import { BLOCK_LENGTH_MAX, CELL_LENGTH_MAX, visible } from "./visible.ts";
import {
  commandText,
  DIFF_LIMITS,
  durationText,
  isoText,
  limitsOf,
  SET_LIMITS,
  SUSPICIOUS_TEXT,
  timeText,
  UNTRUSTED_TEXT,
} from "./words.ts";

/** Most rows of a report; the other formats hold all. */
const ROWS_MAX = 20_000;

/**
 * Writes a scan.
 *
 * @param scan The scan.
 * @param context What is said beside it.
 * @returns The pieces of the document.
 */
export function* scanMarkdown(
  scan: Scan,
  context: ReportContext,
): Generator<string> {
  const { report } = scan;
  yield `# Scan report: ${plain(scan.target)}\n\n`;
  yield list([
    ["Scan", code(scan.id)],
    ["Tool", plain(`${scan.tool} ${scan.scanType}`)],
    ["Status", plain(scan.status)],
    ["Started", timeText(scan.startedAt)],
    ["Finished", timeText(scan.finishedAt)],
    ["Duration", durationText(scan)],
    ...contextEntries(context),
  ]);
  yield `## Summary\n\n${plain(summarize(scan))}\n\n`;
  if (scan.error !== null) yield `**Failed:** ${plain(scan.error.message)}\n\n`;
  if (report?.partial === true) {
    yield "**Incomplete:** the scan ended before its time. What is not listed may be there all the same.\n\n";
  }
  if (report?.truncated !== undefined) {
    yield `**Cut:** ${plain(report.truncated)}\n\n`;
  }
  if (report !== null) {
    if (suspiciousCount(report) > 0) {
      yield `**Warning:** ${SUSPICIOUS_TEXT}\n\n`;
    }
    yield* findings(report);
  }
  yield "## How it was scanned\n\n";
  for (const argv of scan.argv) yield block(commandText(argv));
  yield bullets(context.guardrails ?? []);
  yield `## Notes and limits\n\n${bullets(scan.notes)}${
    bullets(limitsOf(scan))
  }${plain(UNTRUSTED_TEXT)}\n\n${foot(context)}`;
}

/**
 * Writes a comparison.
 *
 * @param diff The comparison.
 * @param context What is said beside it.
 * @returns The pieces of the document.
 */
export function* diffMarkdown(
  diff: ScanDiff,
  context: ReportContext,
): Generator<string> {
  yield `# Comparison: ${plain(diff.newer.target)}\n\n`;
  yield list([
    ["Older scan", refText(diff.older)],
    ["Newer scan", refText(diff.newer)],
    ["Both covered", plain(coveredText(diff))],
    ...contextEntries(context),
  ]);
  const text = totalsText(diff);
  yield `## Summary\n\n${
    text === "" ? "Nothing that both scans covered has changed" : plain(text)
  }.\n\n`;
  if (diff.truncated !== undefined) {
    yield `**Cut:** ${plain(diff.truncated)}\n\n`;
  }
  if (diff.changes.length > 0) {
    yield "## Changes\n\n";
    yield tableHead(["Change", "What", "Before", "After"]);
    for (const change of diff.changes.slice(0, ROWS_MAX)) {
      yield row(changeCells(change));
    }
    yield more(diff.changes.length);
  }
  if (diff.not_compared.length > 0) {
    yield `## Not compared\n\nNeither new nor gone:\n\n${
      bullets(diff.not_compared.map(notComparedText))
    }`;
  }
  yield `## Notes and limits\n\n${bullets(diff.notes)}${bullets(DIFF_LIMITS)}${
    plain(UNTRUSTED_TEXT)
  }\n\n${foot(context)}`;
}

/**
 * Writes several scans.
 *
 * @param title What they have in common.
 * @param inventory What they know together.
 * @param context What is said beside it.
 * @returns The pieces of the document.
 */
export function* setMarkdown(
  title: string,
  inventory: Inventory,
  context: ReportContext,
): Generator<string> {
  const { scans, services, findings, hostsUp } = inventory;
  yield `# Report of several scans: ${plain(title)}\n\n`;
  yield list([
    ["Scans", String(scans.length)],
    ["Hosts seen", String(hostsUp)],
    ["Open ports", String(services.length)],
    ["Paths and names", String(findings.length)],
    ...contextEntries(context),
  ]);
  if (inventory.suspicious > 0) yield `**Warning:** ${SUSPICIOUS_TEXT}\n\n`;
  yield "## Scans\n\n";
  yield tableHead(["Started", "Tool", "Target", "Status", "Found", "Scan"]);
  for (const scan of scans.slice(0, ROWS_MAX)) {
    yield row([
      timeText(scan.at),
      scan.tool,
      plain(scan.target),
      scan.status,
      plain(scan.summary),
      code(scan.id),
    ]);
  }
  yield more(scans.length);
  if (services.length > 0) {
    yield "## Open services\n\n";
    yield tableHead(["Address", "Port", "Service", "Said", "First", "Last"]);
    for (const one of services.slice(0, ROWS_MAX)) {
      yield row([
        code(one.address),
        `${one.port.port}/${one.port.protocol}`,
        one.port.service === undefined ? "" : plain(serviceOf(one.port)),
        said(one.port),
        timeText(one.firstSeen).slice(0, 10),
        timeText(one.lastSeen).slice(0, 10),
      ]);
    }
    yield more(services.length);
  }
  if (findings.length > 0) {
    yield "## Paths and names\n\n";
    yield tableHead(["Where", "What", "Status", "Leads to"]);
    for (const one of findings.slice(0, ROWS_MAX)) {
      yield row([
        plain(one.place),
        flagged(one.text, one.suspicious.length > 0),
        one.status === null ? "" : String(one.status),
        one.redirect === undefined
          ? plain(one.addresses.join(" "))
          : code(one.redirect),
      ]);
    }
    yield more(findings.length);
  }
  yield `## Notes and limits\n\n${bullets(SET_LIMITS)}${
    plain(UNTRUSTED_TEXT)
  }\n\n${foot(context)}`;
}

function* findings(report: Report): Generator<string> {
  switch (report.kind) {
    case "hosts": {
      const facts = hostFacts(report);
      yield list([
        ["Hosts up", String(facts.up)],
        ["Open ports", String(facts.open)],
        [
          "Ports by state",
          facts.states.map(({ label, value }) => `${value} ${plain(label)}`)
            .join(", "),
        ],
      ]);
      yield "## Hosts\n\n";
      yield tableHead(["Host", "Port", "State", "Service", "Said"]);
      yield* hostRows(report.hosts);
      yield* scripts(report.hosts);
      return;
    }
    case "paths":
      yield list(
        statusCounts(report).map(({ label, value }) =>
          [`Status ${label}`, String(value)] as const
        ),
      );
      yield `## Paths below ${plain(report.url)}\n\n`;
      yield tableHead(["Status", "Size", "Path", "Redirects to"]);
      for (const one of report.paths.slice(0, ROWS_MAX)) {
        const { suspicious = [], untrusted } = one;
        yield row([
          String(one.status),
          one.size === null ? "" : String(one.size),
          flagged(untrusted.path, suspicious.includes("path")),
          untrusted.redirect === undefined
            ? ""
            : flagged(untrusted.redirect, suspicious.includes("redirect")),
        ]);
      }
      yield more(report.paths.length);
      return;
    case "names":
      yield `## Names below ${plain(report.domain)}\n\n`;
      yield tableHead(["Name", "Addresses", "Status", "Redirects to"]);
      for (const one of report.names.slice(0, ROWS_MAX)) {
        yield row([
          code(one.name),
          plain((one.addresses ?? []).join(" ")),
          one.status === undefined ? "" : String(one.status),
          one.untrusted?.redirect === undefined
            ? ""
            : flagged(one.untrusted.redirect, one.suspicious !== undefined),
        ]);
      }
      yield more(report.names.length);
  }
}

function* hostRows(hosts: readonly HostReport[]): Generator<string> {
  let rows = 0;
  for (const host of hosts) {
    const names = (host.names ?? []).map(plain).join(" ");
    const address = `${code(host.address)}${names === "" ? "" : ` ${names}`}`;
    const listed = host.ports.length === 0 ? [null] : host.ports;
    for (const port of listed) {
      if (++rows > ROWS_MAX) continue;
      yield row(
        port === null ? [address, "", plain(host.status), "", ""] : [
          address,
          `${port.port}/${port.protocol}`,
          plain(port.state),
          port.service === undefined ? "" : plain(serviceOf(port)),
          said(port),
        ],
      );
    }
  }
  yield more(rows);
}

function* scripts(hosts: readonly HostReport[]): Generator<string> {
  let begun = false;
  for (const host of hosts) {
    const all = [
      ...(host.scripts ?? []).map((script) => ["host", script] as const),
      ...host.ports.flatMap((port) =>
        (port.scripts ?? []).map((script) =>
          [`${port.port}/${port.protocol}`, script] as const
        )
      ),
    ];
    for (const [where, { id, untrusted, suspicious }] of all) {
      if (!begun) yield "## Output of scripts\n\n";
      begun = true;
      const flag = suspicious === undefined ? "" : " **(suspicious)**";
      yield `${code(host.address)} ${where}, ${plain(id)}${flag}:\n\n${
        block(untrusted.output)
      }`;
    }
  }
}

function said(port: PortReport): string {
  const { product, version, extra_info, banners } = port.untrusted ?? {};
  const text = [product, version, extra_info, banners?.[0]?.text]
    .filter((one) => one !== undefined).join(" ");
  return text === "" ? "" : flagged(text, port.suspicious !== undefined);
}

function changeCells(change: Change): readonly string[] {
  const kind = changeText(change.change);
  switch (change.kind) {
    case "host":
      return [
        kind,
        `host ${code(change.address)}`,
        plain(change.other_ports?.before ?? ""),
        plain(change.other_ports?.after ?? ""),
      ];
    case "port": {
      const side = (one: typeof change.before) =>
        one === null ? "" : [
          plain(one.state),
          one.service === undefined ? "" : plain(one.service),
          said(one as unknown as PortReport),
        ].filter((text) => text !== "").join(" ");
      return [
        kind,
        `${code(change.address)} ${change.port}/${change.protocol}`,
        side(change.before),
        side(change.after),
      ];
    }
    default: {
      const what = change.kind === "path"
        ? flagged(change.untrusted.path, change.suspicious !== undefined)
        : code(change.name);
      const side = (one: typeof change.before) =>
        [
          one?.status === undefined ? "" : `status ${one.status}`,
          plain((one?.addresses ?? []).join(" ")),
          one?.untrusted?.redirect === undefined
            ? ""
            : code(one.untrusted.redirect),
        ].filter((text) => text !== "").join(" ");
      return [
        kind,
        `${change.kind} ${what}`,
        side(change.before),
        side(change.after),
      ];
    }
  }
}

function coveredText({ compared }: ScanDiff): string {
  const targets = compared.targets.join(" ");
  return [targets === "" ? "cannot be told" : targets, compared.ports ?? ""]
    .filter((text) => text !== "").join(", ");
}

function refText(ref: ScanRef): string {
  return `${ref.tool} ${code(ref.scan_id)} of ${isoText(ref.started_at)}${
    ref.complete ? "" : ", incomplete"
  }`;
}

function contextEntries(
  { engagement, tags = [] }: ReportContext,
): readonly (readonly [string, string])[] {
  return [
    ...(engagement === undefined
      ? []
      : [["Engagement", plain(engagement)] as const]),
    ...(tags.length === 0 ? [] : [["Tags", plain(tags.join(", "))] as const]),
  ];
}

function foot(context: ReportContext): string {
  return `_Written by ${PRODUCT} ${plain(context.version)} at ${
    timeText(context.generatedAtMs)
  }. All times are UTC._\n`;
}

function more(count: number): string {
  return count <= ROWS_MAX
    ? "\n"
    : `\n${
      count - ROWS_MAX
    } more rows are not shown here; CSV and JSON Lines hold all of them.\n\n`;
}

function tableHead(names: readonly string[]): string {
  return `${row(names)}${row(names.map(() => "---"))}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |\n`;
}

function list(entries: readonly (readonly [string, string])[]): string {
  const lines = entries.map(([term, text]) => `- ${term}: ${text}\n`).join("");
  return lines === "" ? "" : `${lines}\n`;
}

function bullets(texts: readonly string[]): string {
  const lines = texts.map((text) => `- ${plain(text)}\n`).join("");
  return lines === "" ? "" : `${lines}\n`;
}

/** What GFM makes a link by itself, whatever stands before it: an address or an `@` of mail. */
const LINKS_ITSELF = /(\S*(?::\/\/|www\.|@)\S*)/i;

/**
 * A text of ours, or of a request, as it is: nothing in it is markup. Marks get a backslash. A word that
 * a renderer would link by itself is shown as code: renderers look for those in the text that is left
 * when backslashes and entities are gone, and in code alone they do not.
 */
function plain(text: string): string {
  return visible(text, { lengthMax: 2_000 }).split(LINKS_ITSELF)
    .map((part, at) => at % 2 === 1 ? code(part, 2_000) : escaped(part))
    .join("")
    // At the beginning of a line these would make a list, a rule or a heading.
    .replace(/^(\s*)([-+=])/, "$1\\$2")
    .replace(/^(\s*\d{1,9})([.)])(?=\s|$)/, "$1\\$2");
}

function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]<>#|~!&$^]/g, (letter) => `\\${letter}`);
}

/** A text in a code span. In a table a bar ends the cell even there. */
function code(text: string, lengthMax = CELL_LENGTH_MAX): string {
  const shown = visible(text, { lengthMax }).replaceAll("|", "\\|");
  if (shown === "") return "";
  const runs = shown.match(/`+/g) ?? [];
  const fence = "`".repeat(Math.max(0, ...runs.map((run) => run.length)) + 1);
  const pad = /^[` ]|[` ]$/.test(shown) ? " " : "";
  return `${fence}${pad}${shown}${pad}${fence}`;
}

function flagged(text: string, suspicious: boolean): string {
  return suspicious ? `${code(text)} **(suspicious)**` : code(text);
}

function block(text: string): string {
  const shown = visible(text, {
    lengthMax: BLOCK_LENGTH_MAX,
    keepLines: true,
  });
  const runs = shown.match(/`+/g) ?? [];
  const fence = "`".repeat(Math.max(2, ...runs.map((run) => run.length)) + 1);
  return `${fence}text\n${shown}\n${fence}\n\n`;
}
