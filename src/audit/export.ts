/**
 * Reads entries out of a log for somebody else: as they stand, or as CEF. The lines of the first form
 * are the log's own bytes, so hashes and seals hold for them elsewhere too.
 *
 * @module
 */
import type { Plain } from "@/log/redact.ts";
import type { Labels } from "@/scope/rules.ts";
import { cefLine } from "./cef.ts";
import { fileName, fileNumbers } from "./file_name.ts";
import type { AuditFiles } from "./files.ts";
import { type Line, parseLine } from "./line.ts";
import { rawLines } from "./raw_lines.ts";

/** How entries are written. */
export const EXPORT_FORMATS = ["jsonl", "cef"] as const;

/** One of {@linkcode EXPORT_FORMATS}. */
export type ExportFormat = typeof EXPORT_FORMATS[number];

/** Which entries. */
export interface ExportFilter {
  /** ISO 8601 in UTC with milliseconds: entries of that time and later. */
  readonly since: string | null;
  /** Entries before that time. */
  readonly until: string | null;
  /** Kinds of entry; null takes all. */
  readonly kinds: ReadonlySet<string> | null;
  /** Entries of one scan. */
  readonly scanId: string | null;
  /** Entries of what is kept under an engagement and all of these tags; null takes all. */
  readonly labels: Labels | null;
}

/** Lines that no writer of ours wrote. */
export interface Unreadable {
  readonly file: string;
  readonly line: number;
}

/** What {@linkcode exportLines} works with. */
export interface ExportOptions {
  readonly format: ExportFormat;
  readonly filter: ExportFilter;
  /** The version of the program, for CEF. */
  readonly version: string;
  /** Hears of a line that is left out because it is damaged. */
  readonly onUnreadable: (where: Unreadable) => void;
}

/**
 * Reads entries out of a log.
 *
 * @param files The log's folder.
 * @param options Which, and in which form.
 * @returns The text, some lines at a time.
 */
export async function* exportLines(
  files: AuditFiles,
  options: ExportOptions,
): AsyncGenerator<string> {
  const { format, filter, version, onUnreadable } = options;
  const numbers = fileNumbers(await files.list());
  const labelled = filter.labels === null
    ? null
    : await labelledEntries(files, numbers, filter.labels);
  for await (const lines of rawLines(files, numbers)) {
    let text = "";
    for (const { file, line, bytes, whole } of lines) {
      const parsed = bytes === null || !whole ? null : parseLine(bytes);
      if (parsed === null) onUnreadable({ file: fileName(file), line });
      else if (
        wanted(parsed, filter) && (labelled === null || labelled.has(parsed))
      ) {
        text += `${
          format === "cef" ? cefLine(parsed, version) : parsed.text
        }\n`;
      }
    }
    if (text !== "") yield text;
  }
}

function wanted({ time, kind, fields }: Line, filter: ExportFilter): boolean {
  const { since, until, kinds, scanId } = filter;
  // Times of one form sort as texts.
  if (since !== null && time < since) return false;
  if (until !== null && time >= until) return false;
  if (kinds !== null && !kinds.has(kind)) return false;
  return scanId === null || fields["scan_id"] === scanId;
}

/** The calls and the scans that are kept under some labels. */
class Labelled {
  readonly #traces = new Set<Plain>();
  readonly #scans = new Set<Plain>();

  add({ trace_id = null, scan_id = null }: Line["fields"]): void {
    if (trace_id !== null) this.#traces.add(trace_id);
    if (scan_id !== null) this.#scans.add(scan_id);
  }

  has({ fields: { trace_id = null, scan_id = null } }: Line): boolean {
    return this.#traces.has(trace_id) || this.#scans.has(scan_id);
  }
}

/** A decision says what its call is kept under; the request stands before it, so it is read first. */
async function labelledEntries(
  files: AuditFiles,
  numbers: readonly number[],
  labels: Labels,
): Promise<Labelled> {
  const labelled = new Labelled();
  for await (const lines of rawLines(files, numbers)) {
    for (const { bytes, whole } of lines) {
      const parsed = bytes === null || !whole ? null : parseLine(bytes);
      if (parsed?.kind !== "decision") continue;
      if (isUnder(parsed.fields["labels"], labels)) labelled.add(parsed.fields);
    }
  }
  return labelled;
}

function isUnder(
  kept: Plain | undefined,
  { engagement, tags }: Labels,
): boolean {
  if (typeof kept !== "object" || kept === null || Array.isArray(kept)) {
    return false;
  }
  const { tags: its } = kept;
  return (engagement === null || kept["engagement"] === engagement) &&
    Array.isArray(its) && tags.every((tag) => its.includes(tag));
}
