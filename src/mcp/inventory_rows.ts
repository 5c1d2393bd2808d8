/**
 * What is known over all scans as rows of an answer: once as JSON, once as a line. A row is bounded,
 * whatever hosts said: long texts are cut around the words that were searched for, and what is left
 * out can be read in the scan that the row names.
 *
 * @module
 */
import { isoTime } from "@/scans/times.ts";
import type {
  InventoryHost,
  InventoryService,
  Seen,
} from "@/store/inventory.ts";
import type { Found } from "@/store/search.ts";
import type { PortReport } from "@/tools/report.ts";
import { looksLikeInstruction } from "@/tools/untrusted.ts";
import { shorten } from "./budget.ts";
import { data } from "./text.ts";

/** Longest name, product or version. */
const NAME_LENGTH_MAX = 80;

/** Longest piece of a banner or of a script's output. */
const PIECE_LENGTH_MAX = 160;

/** How much of a text stands before the word that was searched for. */
const BEFORE_LENGTH = 40;

/** Most names of a host, and most banners and scripts of a port. */
const ITEMS_MAX = 3;

/** A row: what a program reads and what a model reads. */
export interface InventoryRow {
  readonly json: Readonly<Record<string, unknown>>;
  /** The line as far as nobody outside chose it. */
  readonly head: string;
  /** The rest of the line: what the host said, as data. */
  readonly said: string;
}

/**
 * Shows a host.
 *
 * @param host The host.
 * @returns Its row.
 */
export function hostRow(host: InventoryHost): InventoryRow {
  const { address, status, detail } = host;
  const names = detail.names?.slice(0, ITEMS_MAX).map(shortName);
  const os = detail.os?.[0]?.untrusted.name;
  const reverse = detail.untrusted?.reverse_names?.slice(0, ITEMS_MAX)
    .map(shortName);
  const untrusted = {
    ...(os === undefined ? {} : { os: shortName(os) }),
    ...(reverse === undefined ? {} : { reverse_names: reverse }),
  };
  const said = sayings(untrusted, detail.suspicious ?? []);
  const known = names === undefined ? "" : ` (${names.join(", ")})`;
  return {
    json: {
      address,
      status,
      ...(names === undefined ? {} : { names }),
      ...said,
      ...seenJson(host),
    },
    head: `${address}${known} ${status}, ${seenText(host)}`,
    said: data(said.untrusted, said.suspicious),
  };
}

/**
 * Shows a service.
 *
 * @param service The service.
 * @returns Its row.
 */
export function serviceRow(service: InventoryService): InventoryRow {
  const { address, port, protocol, state } = service;
  const texts = Object.entries(service.untrusted)
    .flatMap(([key, text]) => text === null ? [] : [[key, text] as const]);
  const said = sayings(
    Object.fromEntries(texts.map(([key, text]) => [key, shortName(text)])),
    texts.filter(([, text]) => looksLikeInstruction(text)).map(([key]) => key),
  );
  return {
    json: {
      address,
      port,
      protocol,
      state,
      service: service.service,
      ...said,
      ...seenJson(service),
    },
    head: `${address} ${port}/${protocol} ${state}${
      service.service === null ? "" : ` ${service.service}`
    }, ${seenText(service)}`,
    said: data(said.untrusted, said.suspicious),
  };
}

/**
 * Shows what a search found.
 *
 * @param found The sighting.
 * @param service What is known of the same service over all scans, or null.
 * @param words What was searched for.
 * @returns Its row.
 */
export function foundRow(
  found: Found,
  service: InventoryService | null,
  words: readonly string[],
): InventoryRow {
  const { address, port: report, scanId } = found;
  const { port, protocol, state } = report;
  const name = report.service === undefined
    ? ""
    : ` ${report.tunnel === undefined ? "" : `${report.tunnel}/`}${
      shortName(report.service)
    }`;
  const said = sayings(saidBy(report, words), suspiciousOf(report));
  const known = service === null
    ? ""
    : `, known ${seenText(service, { scan: false })}`;
  return {
    json: {
      address,
      port,
      protocol,
      state,
      service: report.service === undefined ? null : shortName(report.service),
      ...(report.tunnel === undefined ? {} : { tunnel: report.tunnel }),
      ...said,
      scan_id: scanId,
      seen_at: isoTime(found.seenAt),
      ...(service === null ? {} : seenJson(service)),
    },
    head: `${address} ${port}/${protocol} ${state}${name}, seen ${
      minute(found.seenAt)
    } by ${scanId}${known}`,
    said: data(said.untrusted, said.suspicious),
  };
}

/**
 * Gives a row without what can be long.
 *
 * @param row The row.
 * @returns What it is and when it was seen.
 */
export function bareRow({ json, head }: InventoryRow): InventoryRow {
  const { untrusted: _, ...rest } = json;
  return { json: rest, head, said: "" };
}

/** What a host chose, where it chose something. */
function sayings(
  untrusted: Readonly<Record<string, unknown>>,
  suspicious: readonly string[],
): { readonly untrusted?: object; readonly suspicious?: readonly string[] } {
  return {
    ...(Object.keys(untrusted).length === 0 ? {} : { untrusted }),
    ...(suspicious.length === 0 ? {} : { suspicious }),
  };
}

function saidBy(
  { untrusted = {}, scripts = [] }: PortReport,
  words: readonly string[],
): Readonly<Record<string, unknown>> {
  const { product, version, extra_info, hostname, banners = [] } = untrusted;
  const names = Object.entries({ product, version, extra_info, hostname })
    .flatMap(([key, text]) => text === undefined ? [] : [[key, text] as const]);
  const pieces = [
    ...banners.map(({ kind, text }) => [kind, text] as const),
    ...scripts.map((one) => [one.id, one.untrusted.output] as const),
  ];
  const met = pieces.filter(([, text]) => indexOf(text, words) >= 0);
  const named = names.some(([, text]) => indexOf(text, words) >= 0);
  // A word may be met in another spelling than it is searched by; then the first pieces are shown.
  const told = met.length > 0 || named ? met : pieces;
  return {
    ...Object.fromEntries(names.map(([key, text]) => [key, shortName(text)])),
    ...(told.length === 0 ? {} : {
      said: told.slice(0, ITEMS_MAX).map(([by, text]) =>
        `${shortName(by)}: ${around(text, words)}`
      ),
    }),
  };
}

/** Cuts a text around the first of some words. */
function around(text: string, words: readonly string[]): string {
  const start = Math.max(0, indexOf(text, words) - BEFORE_LENGTH);
  if (start === 0) return shorten(text, PIECE_LENGTH_MAX);
  // Half a character may stand at the cut.
  const rest = text.slice(start).replace(/^[\udc00-\udfff]/, "");
  return `…${shorten(rest, PIECE_LENGTH_MAX)}`;
}

function indexOf(text: string, words: readonly string[]): number {
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word))
    .filter((place) => place >= 0);
  return places.length === 0 ? -1 : Math.min(...places);
}

function seenJson(seen: Seen): Readonly<Record<string, unknown>> {
  const { firstSeen, lastSeen, checkedAt, firstScan, lastScan } = seen;
  return {
    first_seen: isoTime(firstSeen),
    last_seen: isoTime(lastSeen),
    // A scan looked later and did not see it.
    ...(checkedAt > lastSeen ? { checked_at: isoTime(checkedAt) } : {}),
    first_scan: firstScan,
    last_scan: lastScan,
  };
}

function seenText(
  { firstSeen, lastSeen, lastScan }: Seen,
  { scan = true }: { readonly scan?: boolean } = {},
): string {
  const [from, to] = [minute(firstSeen), minute(lastSeen)];
  return `${scan ? "seen " : ""}${from === to ? to : `${from} to ${to}`}${
    scan ? ` by ${lastScan}` : ""
  }`;
}

/** `2026-01-02 03:04Z`: a model rarely needs the seconds, and the JSON has them. */
function minute(ms: number): string {
  return `${(isoTime(ms) ?? "").slice(0, 16).replace("T", " ")}Z`;
}

function shortName(text: string): string {
  return shorten(text, NAME_LENGTH_MAX);
}

/** Which of its texts read like an instruction: keys, and scripts by their names. */
function suspiciousOf(
  { suspicious = [], scripts = [] }: PortReport,
): readonly string[] {
  const marked = scripts.filter((script) => script.suspicious !== undefined);
  return [...suspicious, ...marked.map(({ id }) => shortName(id))]
    .slice(0, ITEMS_MAX);
}
