/**
 * nmap's own XML as it came, for the programs that read it.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Scan } from "@/scans/scan.ts";

/** What nmap wrote. */
export interface RawXml {
  readonly bytes: Uint8Array;
  /** Whether it is all that nmap wrote; if not, it breaks off and is not well-formed. */
  readonly whole: boolean;
}

/**
 * Gives the XML of a scan.
 *
 * @param scan The scan.
 * @returns The bytes as they came. Text of scanned hosts in it is as nmap wrote it, not cleaned.
 * @throws {AppError} `invalid_arguments` if the scan is not nmap's; `not_found` if its raw output is
 * not kept.
 */
export function rawXml(scan: Scan): RawXml {
  if (scan.tool !== "nmap") {
    throw new AppError(
      "invalid_arguments",
      `Cannot give XML of the scan "${scan.id}": ${scan.tool} writes none; use json_lines or csv`,
    );
  }
  if (scan.raw === null || scan.raw.length === 0) {
    throw new AppError(
      "not_found",
      `Cannot give XML of the scan "${scan.id}": its raw output is not kept; use json_lines, which holds the whole report`,
    );
  }
  return { bytes: scan.raw, whole: !scan.rawTruncated };
}
