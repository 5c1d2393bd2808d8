/**
 * Pages of lists, and times in queries.
 *
 * @module
 */
import type { Context } from "hono";
import { AppError } from "@/error/app_error.ts";
import { parseTime } from "@/scans/times.ts";
import type { PageOptions } from "@/store/scan_record.ts";
import { shown } from "@/tools/field.ts";
import type { OperatorEnv } from "../env.ts";
import { PAGE_DEFAULT } from "../schemas/kinds.ts";

/**
 * Says which page is meant.
 *
 * @param query The query's own `limit` and `cursor`.
 * @returns The page.
 */
export function pageOf(
  { limit, cursor }: {
    readonly limit?: number | undefined;
    readonly cursor?: string | undefined;
  },
): PageOptions {
  return { limit: limit ?? PAGE_DEFAULT, cursor: cursor ?? null };
}

/**
 * Names the next page in a header, for clients that follow links.
 *
 * @param c The request.
 * @param next The next cursor, or null on the last page.
 */
export function linkNext(c: Context<OperatorEnv>, next: string | null): void {
  if (next === null) return;
  const url = new URL(c.req.url);
  url.searchParams.set("cursor", next);
  // Relative: behind a proxy the client knows another host and scheme than the server.
  c.header("Link", `<${url.pathname}${url.search}>; rel="next"`);
}

/** A part of a list that is all in memory. */
export interface Part<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/**
 * Cuts a page out of a list that is all in memory.
 *
 * @param all The list.
 * @param cursor Where the page before ended: a count.
 * @param limit Most items.
 * @returns The page.
 * @throws {AppError} `invalid_arguments` when the cursor is not of this list.
 */
export function partOf<T>(
  all: readonly T[],
  cursor: string | undefined,
  limit: number,
): Part<T> {
  const start = Number(cursor ?? "0");
  if (start > 0 && start >= all.length) {
    throw new AppError(
      "invalid_arguments",
      `Cannot use the query parameter "cursor": there are ${all.length} items with these filters; leave it out to start at the beginning`,
    );
  }
  const end = start + limit;
  return {
    items: all.slice(start, end),
    next: end < all.length ? String(end) : null,
  };
}

/**
 * Reads a time: a day, which begins at midnight in UTC, or a time with its zone.
 *
 * @param text What the query holds.
 * @param name The parameter.
 * @returns Milliseconds since the epoch.
 * @throws {AppError} `invalid_arguments`.
 */
export function timeOf(
  text: string | undefined,
  name: string,
): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseTime(text);
  if (ms !== null) return ms;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the query parameter "${name}": ${
      shown(text)
    } is no time like 2026-01-31 or 2026-01-31T08:00:00Z (write + as %2B)`,
  );
}
