/**
 * A report of a scan as a download, written piece by piece.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ReportExtension } from "@/mcp/report_resource.ts";
import {
  FORMAT_FACTS,
  renderReport,
  type ReportFormat,
} from "@/report/format.ts";
import { rawXml } from "@/report/raw_xml.ts";
import type { Scan } from "@/scans/scan.ts";
import type { RouteDeps } from "./deps.ts";

const FORMATS: Readonly<Record<Exclude<ReportExtension, "xml">, ReportFormat>> =
  {
    html: "html",
    md: "markdown",
    csv: "csv",
    jsonl: "json_lines",
    sarif: "sarif",
  };

/**
 * What a page that holds text of scanned hosts may do where a browser shows it: nothing. It is a page
 * of its own origin then, and neither runs nor fetches anything.
 */
const CONTENT_SECURITY_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/**
 * Answers with a report.
 *
 * @param scan The scan.
 * @param extension The format.
 * @param deps Version and clock.
 * @returns The answer. Its body is made while it is sent.
 * @throws {AppError} `not_found` where there is no such report of the scan.
 */
export async function reportAnswer(
  scan: Scan,
  extension: ReportExtension,
  { version, wallNow }: Pick<RouteDeps, "version" | "wallNow">,
): Promise<Response> {
  if (extension === "xml") return answer(scan, extension, xmlOf(scan));
  const pieces = renderReport(FORMATS[extension], { kind: "scan", scan }, {
    generatedAtMs: wallNow(),
    version,
    ...(scan.engagement === null ? {} : { engagement: scan.engagement }),
    tags: scan.tags,
  })[Symbol.asyncIterator]();
  // The first piece tells whether there will be a report: after it the status is sent.
  const first = await pieces.next();
  const body = new ReadableStream<string>({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
  return answer(scan, extension, body.pipeThrough(new TextEncoderStream()));
}

function answer(
  { id }: Scan,
  extension: ReportExtension,
  body: BodyInit,
): Response {
  const facts = FORMAT_FACTS[extension === "xml" ? "xml" : FORMATS[extension]];
  return new Response(body, {
    headers: {
      "Content-Type": facts.mediaType,
      "Content-Disposition": `attachment; filename="scan-${id}.${extension}"`,
      "Content-Security-Policy": CONTENT_SECURITY_POLICY,
      "X-Content-Type-Options": "nosniff",
    },
  });
}

function xmlOf(scan: Scan): Uint8Array<ArrayBuffer> {
  if (scan.tool !== "nmap") {
    throw noXml(scan, `${scan.tool} writes none`);
  }
  const { bytes, whole } = rawXml(scan);
  if (!whole) {
    throw noXml(
      scan,
      `it was cut at the limit of output and is not well-formed (what is kept is in /v1/scans/${scan.id}/raw)`,
    );
  }
  return bytes as Uint8Array<ArrayBuffer>;
}

function noXml({ id }: Scan, why: string): AppError {
  return new AppError(
    "not_found",
    `Cannot give XML of the scan "${id}": ${why}; format=jsonl holds all that is known`,
  );
}
