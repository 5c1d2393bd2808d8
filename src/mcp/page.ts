/**
 * One page of a scan's findings that fits a number of tokens: whole findings only, the most telling
 * first, and a cursor for the rest. A finding that is too large for a page of its own loses its
 * details rather than its place, so that every page moves on.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { HostReport, Report } from "@/tools/report.ts";
import { addressLine, foldAddresses, type Group } from "./addresses.ts";
import { jsonTokensOf, shorten, takeWhole, tokensOf } from "./budget.ts";
import {
  assertFilterFits,
  type Detail,
  hostOf,
  reportOf,
  type Row,
  type RowFilter,
  rowsOf,
} from "./rows.ts";
import { findingLines } from "./text.ts";

/** Longest path of a finding that was too large for its page. */
const BARE_PATH_LENGTH_MAX = 120;

/** What is wanted of a report. */
export interface PageQuery {
  readonly filter: RowFilter;
  readonly detail: Detail;
  /** Index of the first finding: the cursor of the page before. */
  readonly start: number;
}

/** A page: what a program reads, what a model reads, and where the next one starts. */
export interface Page {
  /** For `full` and `brief`. */
  readonly report: Report | null;
  /** For `addresses`. */
  readonly hosts: readonly string[] | null;
  readonly lines: readonly string[];
  /** Findings on this page, findings on this page and before, findings in all. */
  readonly shown: number;
  readonly total: number;
  /** Null when this page is the last one. */
  readonly next: number | null;
  /** Whether a finding lost its details because it was too large. */
  readonly shortened: boolean;
}

/** All of a report. */
export const EVERYTHING: PageQuery = { filter: {}, detail: "full", start: 0 };

/**
 * Cuts one page from a report.
 *
 * @param report The report.
 * @param query What is wanted.
 * @param budget Tokens at hand, for the JSON and the text together.
 * @returns The page.
 * @throws {AppError} `invalid_arguments` when the cursor or a filter does not belong to the report.
 */
export function pageOf(report: Report, query: PageQuery, budget: number): Page {
  assertFilterFits(report, query.filter);
  const rows = rowsOf(report, query.filter);
  if (query.detail === "addresses" && report.kind !== "paths") {
    return addressPage(rows, query.start, budget);
  }
  assertStart(query.start, rows.length);
  const empty = reportOf(report, [], query.detail);
  const cost = priceOf(report, query.detail);
  const left = budget - jsonTokensOf(empty);
  let fit = takeWhole(rows, query.start, left, cost);
  let shortened = false;
  let shown = reportOf(report, fit.items, query.detail);
  const first = rows[query.start];
  if (fit.items.length === 0 && first !== undefined) {
    fit = { items: [first], end: query.start + 1 };
    shown = reportOf(report, [bareRow(first)], "brief");
    shortened = true;
  }
  return {
    report: shown,
    hosts: null,
    lines: findingLines(shown),
    shown: fit.items.length,
    total: rows.length,
    next: fit.end < rows.length ? fit.end : null,
    shortened,
  };
}

/**
 * Reads a cursor.
 *
 * @param cursor What the client sent back.
 * @returns The index of the first finding.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (!/^[1-9]\d{0,6}$/.test(cursor)) {
    throw new AppError(
      "invalid_arguments",
      'Cannot use the argument "cursor": it did not come from truncated.next; leave it out to start at the beginning',
    );
  }
  return Number(cursor);
}

function addressPage(
  rows: readonly Row[],
  start: number,
  budget: number,
): Page {
  const found = new Set<string>();
  for (const row of rows) {
    if (row.kind === "host") found.add(row.host.address);
    if (row.kind === "name") found.add(row.name.name);
  }
  const groups = foldAddresses(found);
  assertStart(start, groups.length);
  // In the text a beginning is shared, so that the JSON's price counts for both at most.
  const fit = takeWhole(
    groups,
    start,
    budget,
    ({ text }) => tokensOf(`"${text}",`) + tokensOf(`; ${text}`),
  );
  return {
    report: null,
    hosts: fit.items.map(({ text }) => text),
    lines: fit.items.length === 0 ? [] : [addressLine(fit.items)],
    shown: countOf(fit.items),
    total: countOf(groups),
    next: fit.end < groups.length ? fit.end : null,
    shortened: false,
  };
}

/** Tokens that a row adds to a page, in JSON and in text. A host's head is paid for once. */
function priceOf(report: Report, detail: Detail): (row: Row) => number {
  const paid = new Set<HostReport>();
  return (row) => {
    const whole = reportPrice(reportOf(report, [row], detail));
    if (row.kind !== "host") return whole;
    if (!paid.has(row.host)) {
      paid.add(row.host);
      return whole;
    }
    const head = hostOf(row.host, [], { detail: "brief", details: false });
    return whole - jsonTokensOf(head) - tokensOf(findingText([head])) + 4;
  };
}

function reportPrice(report: Report): number {
  const items = report.kind === "hosts"
    ? report.hosts
    : report.kind === "paths"
    ? report.paths
    : report.names;
  return jsonTokensOf(items) + tokensOf(findingLines(report).join("\n")) + 2;
}

function findingText(hosts: HostReport[]): string {
  return findingLines({
    kind: "hosts",
    partial: false,
    hosts,
    totals: { up: 0, down: null, total: null },
    tool_version: null,
  }).join("\n");
}

/** A row without what can be long. */
function bareRow(row: Row): Row {
  switch (row.kind) {
    case "host": {
      const { names: _, ...host } = row.host;
      return { ...row, host, details: false };
    }
    case "path": {
      const path = shorten(row.path.untrusted.path, BARE_PATH_LENGTH_MAX);
      return { kind: "path", path: { ...row.path, untrusted: { path } } };
    }
    case "name": {
      const { addresses: _, untrusted: __, ...name } = row.name;
      return { kind: "name", name };
    }
  }
}

function countOf(groups: readonly Group[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}

function assertStart(start: number, total: number): void {
  if (start === 0 || start < total) return;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the argument "cursor": there are ${total} findings with these filters; leave it out to start at the beginning`,
  );
}
