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

/**
 * What is kept under some labels. A trace is the client's own and may hold calls for several
 * engagements, so it tells nothing.
 */
class Labelled {
  readonly #labels: Labels;
  readonly #scans = new Set<Plain>();

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  add({ kind, fields }: Line): void {
    const { scan_id = null, labels } = fields;
    const mine = kind === "decision" && isUnder(labels, this.#labels);
    if (mine && scan_id !== null) this.#scans.add(scan_id);
  }

  has({ kind, fields }: Line): boolean {
    const { scan_id = null, labels } = fields;
    if (this.#scans.has(scan_id)) return true;
    if (kind === "decision") return isUnder(labels, this.#labels);
    return kind === "request" && this.#asks(fields["arguments"]);
  }

  /** A request says it by itself, or by the scan that it is about. */
  #asks(given: Plain | undefined): boolean {
    const args = membersOf(given);
    // What was too long for the log is kept in part.
    const { cut, value } = args;
    if (cut !== undefined && value !== undefined) return this.#asks(value);
    const { id, scan_id } = args;
    return this.#scans.has(id ?? scan_id ?? null) ||
      isUnder(args, this.#labels);
  }
}

/** A decision says which scan is kept under them; requests stand before it, so it is read first. */
async function labelledEntries(
  files: AuditFiles,
  numbers: readonly number[],
  labels: Labels,
): Promise<Labelled> {
  const labelled = new Labelled(labels);
  for await (const lines of rawLines(files, numbers)) {
    for (const { bytes, whole } of lines) {
      const parsed = bytes === null || !whole ? null : parseLine(bytes);
      if (parsed !== null) labelled.add(parsed);
    }
  }
  return labelled;
}

function isUnder(
  kept: Plain | undefined,
  { engagement, tags }: Labels,
): boolean {
  const { engagement: its = null, tags: all = [] } = membersOf(kept);
  return (engagement === null || its === engagement) &&
    Array.isArray(all) && tags.every((tag) => all.includes(tag));
}

function membersOf(value: Plain | undefined): Readonly<Record<string, Plain>> {
  return typeof value !== "object" || value === null || Array.isArray(value)
    ? {}
    : value;
}
