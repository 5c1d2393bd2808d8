/**
 * Where a page ends: the key of its last item, written so that a caller can hand it back and cannot
 * read anything into it. Pages go by keys and never by a count of rows to skip: a count is slow far
 * down a list, and gives rows twice when others are added meanwhile.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Page, PageOptions } from "./scan_record.ts";

/** Most items of a page. */
export const PAGE_ITEMS_MAX = 1_000;

const CURSOR_LENGTH_MAX = 2_048;

/** A part of a key. */
export type KeyPart = string | number;

/**
 * Writes a cursor.
 *
 * @param list Which list it belongs to.
 * @param key The key of the last item.
 * @returns The cursor.
 */
export function writeCursor(list: string, key: readonly KeyPart[]): string {
  const bytes = new TextEncoder().encode(JSON.stringify([list, ...key]));
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * Reads a cursor.
 *
 * @param list Which list it has to belong to.
 * @param shape What each part of its key has to be: an example of it.
 * @param cursor What came back from the caller.
 * @returns The key, or null where there is no cursor.
 * @throws {AppError} `invalid_arguments`.
 */
export function readCursor<const T extends readonly KeyPart[]>(
  list: string,
  shape: T,
  cursor: string | null | undefined,
): { [K in keyof T]: T[K] extends string ? string : number } | null {
  if (cursor === null || cursor === undefined) return null;
  const parts = partsOf(cursor);
  const [head, ...key] = parts ?? [];
  const fits = head === list && key.length === shape.length &&
    key.every((part, at) =>
      typeof part === typeof shape[at] &&
      (typeof part !== "number" || Number.isSafeInteger(part)) &&
      (typeof part !== "string" || !part.includes("\u0000"))
    );
  if (!fits) {
    throw noCursor();
  }
  return key as unknown as {
    [K in keyof T]: T[K] extends string ? string : number;
  };
}

/**
 * What is said of a cursor that is none: to begin again without a word would have a client whose cursor
 * was damaged read the same page for ever.
 *
 * @returns `invalid_arguments`.
 */
export function noCursor(): AppError {
  return new AppError(
    "invalid_arguments",
    "Cannot go on from that cursor: it is none that this list gave; leave it out to begin at the start",
  );
}

/**
 * Checks how many items are asked for.
 *
 * @param options The page.
 * @returns The number.
 * @throws {AppError} `invalid_arguments`.
 */
export function limitOf({ limit }: PageOptions): number {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= PAGE_ITEMS_MAX) {
    return limit;
  }
  throw new AppError(
    "invalid_arguments",
    `Cannot list ${limit} items: a page has 1 to ${PAGE_ITEMS_MAX}`,
  );
}

/**
 * Makes a page of rows of which one more was asked for than it may have.
 *
 * @param rows The rows.
 * @param limit Most items of the page.
 * @param item Makes an item of a row.
 * @param cursor Gives the cursor behind a row.
 * @returns The page.
 */
export function pageOf<R, T>(
  rows: readonly R[],
  limit: number,
  item: (row: R) => T,
  cursor: (row: R) => string,
): Page<T> {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  return {
    items: kept.map(item),
    next: rows.length > limit && last !== undefined ? cursor(last) : null,
  };
}

function partsOf(cursor: string): unknown[] | null {
  if (cursor.length > CURSOR_LENGTH_MAX) return null;
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    const parts: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(parts) ? parts : null;
  } catch {
    // Not base64 or not JSON: no cursor of ours either way.
    return null;
  }
}
