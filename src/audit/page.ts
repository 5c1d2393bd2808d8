/**
 * Reads the newest entries of a log for a person: page by page, and only what is theirs.
 *
 * @module
 */
import { fileName, fileNumbers } from "./file_name.ts";
import type { AuditFiles } from "./files.ts";
import { type Line, parseLine } from "./line.ts";
import { type RawLine, rawLines } from "./raw_lines.ts";

/** Which entries, and whose. */
export interface PageFilter {
  readonly tenant: string;
  /** Whether entries of the server itself are shown too. */
  readonly seesServer: boolean;
  /** ISO 8601 in UTC with milliseconds: entries of that time and later. */
  readonly since: string | null;
  /** Entries before that time. */
  readonly until: string | null;
  readonly kind: string | null;
  /** Entries of one scan. */
  readonly scanId: string | null;
}

/**
 * Bytes after which a page ends with the file that is read, though it is not full: a tenant with few
 * entries must not have the whole log read at once. The next page goes on from there.
 */
const BYTES_MAX = 67_108_864;

/** Where the number and the time of a file's first entry stand. */
const HEAD_BYTES = 200;

/** A page of entries. */
export interface EntriesPage {
  /** Newest first. There may be fewer than asked for although there is a next page. */
  readonly items: readonly Line[];
  /** Entries before this number are on the next page; null if there are none. */
  readonly before: number | null;
}

/**
 * Reads a page.
 *
 * @param files The log's folder.
 * @param filter Which entries, and whose.
 * @param before Only entries with a lower number; null begins at the newest.
 * @param limit Most entries.
 * @returns The page. Lines that are damaged are left out: `audit verify` names them.
 */
export async function readEntries(
  files: AuditFiles,
  filter: PageFilter,
  before: number | null,
  limit: number,
): Promise<EntriesPage> {
  const found: Line[] = [];
  const numbers = [...fileNumbers(await files.list())].reverse();
  let bytes = 0;
  for (const number of numbers) {
    const first = await firstOf(files, number);
    // All of it is newer than what is asked for.
    if (before !== null && first !== null && first.seq >= before) continue;
    found.push(...await lastOf(files, number, { filter, before, limit }));
    if (found.length > limit) break;
    if (first !== null && first.time < (filter.since ?? "")) break;
    bytes += await files.size(fileName(number)) ?? 0;
    if (bytes >= BYTES_MAX && first !== null && number !== numbers.at(-1)) {
      return { items: found, before: first.seq };
    }
  }
  const items = found.slice(0, limit);
  const next = found.length > limit ? items.at(-1)?.seq ?? null : null;
  return { items, before: next };
}

/** The newest entries of a file that are wanted: one more than a page, if there are so many. */
async function lastOf(
  files: AuditFiles,
  number: number,
  { filter, before, limit }: {
    readonly filter: PageFilter;
    readonly before: number | null;
    readonly limit: number;
  },
): Promise<readonly Line[]> {
  const last = new Last(limit + 1);
  try {
    for await (const lines of rawLines(files, [number])) {
      for (const line of lines) {
        const entry = entryOf(line, filter, before);
        if (entry !== null) last.add(entry);
      }
    }
  } catch (thrown) {
    // The server removes old files while somebody reads: then they are gone for the reader as well.
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
  return last.newestFirst;
}

/** The last of a row. */
class Last {
  readonly #max: number;
  #lines: Line[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  add(line: Line): void {
    this.#lines.push(line);
    if (this.#lines.length >= 2 * this.#max) this.#cut();
  }

  get newestFirst(): readonly Line[] {
    this.#cut();
    return [...this.#lines].reverse();
  }

  #cut(): void {
    this.#lines = this.#lines.slice(-this.#max);
  }
}

function entryOf(
  { bytes, whole }: RawLine,
  filter: PageFilter,
  before: number | null,
): Line | null {
  const line = bytes === null || !whole ? null : parseLine(bytes);
  if (line === null || (before !== null && line.seq >= before)) return null;
  return isTheirs(line, filter) && isWanted(line, filter) ? line : null;
}

/** An entry says whose it is. One that does not is the server's own. */
function isTheirs(
  { fields }: Line,
  { tenant, seesServer }: PageFilter,
): boolean {
  const { who, tenant: own } = fields;
  const said = typeof who === "object" && who !== null && !Array.isArray(who)
    ? who["tenant"]
    : own;
  return said === undefined || said === null ? seesServer : said === tenant;
}

function isWanted({ time, kind, fields }: Line, filter: PageFilter): boolean {
  // Times of one form sort as texts.
  if (filter.since !== null && time < filter.since) return false;
  if (filter.until !== null && time >= filter.until) return false;
  if (filter.kind !== null && kind !== filter.kind) return false;
  return filter.scanId === null || fields["scan_id"] === filter.scanId;
}

/** The first entry of a file, as far as its line's head says it. */
async function firstOf(
  files: AuditFiles,
  number: number,
): Promise<{ readonly seq: number; readonly time: string } | null> {
  const head = await files.read(fileName(number), 0, HEAD_BYTES);
  const text = new TextDecoder().decode(head ?? new Uint8Array());
  const [, seq, time] = /^\{"seq":(\d{1,15}),"time":"([^"]{24})"/.exec(text) ??
    [];
  return seq === undefined || time === undefined
    ? null
    : { seq: Number(seq), time };
}
