/**
 * Reports of a scan as resources: what a person keeps, in the formats of `src/report`, and nmap's own
 * XML as it came.
 *
 * The code of the formats is loaded when the first report is read: a server that writes none does not
 * pay for it when it starts.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ReportFormat } from "@/report/format.ts";
import type { Scan } from "@/scans/scan.ts";

/** How an address says which format is wanted. */
export const REPORT_EXTENSIONS = [
  "html",
  "md",
  "csv",
  "jsonl",
  "sarif",
  "xml",
] as const;

/** One of {@linkcode REPORT_EXTENSIONS}. */
export type ReportExtension = typeof REPORT_EXTENSIONS[number];

/** Most bytes of a report over MCP: it is one message, and a model may be at its other end. */
export const REPORT_BYTES_MAX = 1_048_576;

/** What a report needs to know besides the scan. */
export interface ReportInfo {
  /** The version of this server. */
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
}

/** A report. */
export interface Report {
  readonly mimeType: string;
  readonly text: string;
}

const FORMATS: Readonly<Record<Exclude<ReportExtension, "xml">, ReportFormat>> =
  {
    html: "html",
    md: "markdown",
    csv: "csv",
    jsonl: "json_lines",
    sarif: "sarif",
  };

/**
 * Reads which format an address asks for.
 *
 * @param text What stands behind `report.`: untrusted text.
 * @returns The extension.
 * @throws {AppError} `not_found`.
 */
export function parseExtension(text: string): ReportExtension {
  const extension = REPORT_EXTENSIONS.find((one) => one === text);
  if (extension !== undefined) return extension;
  throw new AppError(
    "not_found",
    `Cannot read the resource: there is no such format of a report; there is ${
      REPORT_EXTENSIONS.map((one) => `report.${one}`).join(", ")
    }`,
  );
}

/**
 * Writes a report.
 *
 * @param scan The scan.
 * @param extension The format.
 * @param info Version and clock.
 * @returns The report with its media type.
 * @throws {AppError} `not_found` where there is no such report of the scan; `invalid_arguments` if it
 * is too large for a message.
 */
export async function reportOf(
  scan: Scan,
  extension: ReportExtension,
  info: ReportInfo,
): Promise<Report> {
  const { FORMAT_FACTS, renderReport } = await import("@/report/format.ts");
  if (extension === "xml") {
    return { mimeType: FORMAT_FACTS.xml.mediaType, text: await xmlOf(scan) };
  }
  const format = FORMATS[extension];
  const pieces = renderReport(format, { kind: "scan", scan }, {
    generatedAtMs: info.wallNow(),
    version: info.version,
    ...(scan.engagement === null ? {} : { engagement: scan.engagement }),
    tags: scan.tags,
  });
  let text = "";
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += new TextEncoder().encode(piece).length;
    // A report is made piece by piece, so that what is too large is not made to its end.
    if (bytes > REPORT_BYTES_MAX) throw tooLarge(scan, extension);
    text += piece;
  }
  return { mimeType: FORMAT_FACTS[format].mediaType, text };
}

async function xmlOf(scan: Scan): Promise<string> {
  if (scan.tool !== "nmap") throw noXml(scan, `${scan.tool} writes none`);
  if (scan.raw === null || scan.raw.length === 0) {
    throw noXml(scan, "its raw output is not kept");
  }
  const { rawXml } = await import("@/report/raw_xml.ts");
  const { bytes, whole } = rawXml(scan);
  if (!whole) {
    throw noXml(
      scan,
      `it was cut at the limit of output and is not well-formed (what is kept is in scan://${scan.id}/raw)`,
    );
  }
  if (bytes.length > REPORT_BYTES_MAX) throw tooLarge(scan, "xml");
  return new TextDecoder().decode(bytes);
}

function noXml({ id }: Scan, why: string): AppError {
  return new AppError(
    "not_found",
    `Cannot give XML of the scan "${id}": ${why}; scan://${id}/report.jsonl holds all that is known`,
  );
}

function tooLarge({ id }: Scan, extension: ReportExtension): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot give report.${extension} of the scan "${id}": it has more than ${REPORT_BYTES_MAX} bytes; write it to a file with "deno task report" on the server's host, or read scan://${id}/hosts in pages`,
  );
}
