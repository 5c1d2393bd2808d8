/**
 * The formats of a report, and the one way to write one.
 *
 * @module
 */
import { csv } from "./csv.ts";
import { html } from "./html.ts";
import { inChunks, type ReportContext, type ReportInput } from "./input.ts";
import { inventoryOf } from "./inventory.ts";
import { jsonLines } from "./json_lines.ts";
import { diffMarkdown, scanMarkdown, setMarkdown } from "./markdown.ts";
import { sarif } from "./sarif.ts";

/** The formats that are written here. nmap's XML is given as it came: `rawXml`. */
export const REPORT_FORMATS = [
  "html",
  "markdown",
  "csv",
  "json_lines",
  "sarif",
] as const;

/** One of {@linkcode REPORT_FORMATS}. */
export type ReportFormat = typeof REPORT_FORMATS[number];

/** What a format is to others. */
export interface FormatFacts {
  readonly mediaType: string;
  /** Without a dot. */
  readonly extension: string;
  readonly description: string;
}

/** Facts of every format, XML included. */
export const FORMAT_FACTS: Readonly<
  Record<ReportFormat | "xml", FormatFacts>
> = {
  html: {
    mediaType: "text/html; charset=utf-8",
    extension: "html",
    description: "A page to read or print; holds all it shows, runs no script",
  },
  markdown: {
    mediaType: "text/markdown; charset=utf-8",
    extension: "md",
    description: "Text for a ticket or a wiki",
  },
  csv: {
    mediaType: "text/csv; charset=utf-8; header=present",
    extension: "csv",
    description: "A row a finding, for spreadsheets",
  },
  json_lines: {
    mediaType: "application/jsonl",
    extension: "jsonl",
    description: "An object a line, everything that is known",
  },
  sarif: {
    mediaType: "application/sarif+json",
    extension: "sarif",
    description: "SARIF 2.1.0, for dashboards of findings",
  },
  xml: {
    mediaType: "application/xml",
    extension: "xml",
    description: "nmap's own XML as it came",
  },
};

/**
 * Tells whether a text names a format that is written here.
 *
 * @param text The text to look up.
 * @returns Whether it is one of {@linkcode REPORT_FORMATS}.
 */
export function isReportFormat(text: unknown): text is ReportFormat {
  return (REPORT_FORMATS as readonly unknown[]).includes(text);
}

/**
 * Writes a report.
 *
 * @param format The format.
 * @param input What to report.
 * @param context What is said beside it.
 * @returns The report in pieces, so that a large one is never held whole.
 */
export function renderReport(
  format: ReportFormat,
  input: ReportInput,
  context: ReportContext,
): AsyncIterable<string> {
  switch (format) {
    case "html":
      return inChunks(html(input, context));
    case "markdown":
      return inChunks(markdown(input, context));
    case "csv":
      return inChunks(csv(input));
    case "json_lines":
      return inChunks(jsonLines(input));
    case "sarif":
      return inChunks(sarif(input, context));
  }
}

async function* markdown(
  input: ReportInput,
  context: ReportContext,
): AsyncGenerator<string> {
  switch (input.kind) {
    case "scan":
      yield* scanMarkdown(input.scan, context);
      return;
    case "diff":
      yield* diffMarkdown(input.diff, context);
      return;
    case "set":
      yield* setMarkdown(input.title, await inventoryOf(input), context);
  }
}
