/**
 * Raw output of a scan as a download: bytes as they came, whole or one range of them.
 *
 * The output of a scan that is over never changes, so it has a strong tag by which a client goes on with
 * a download that broke off, or learns that it has all of it. While a scan runs its output grows, and
 * after a restart of the server it may begin anew: then there is no tag.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { isOver, type Scan } from "@/scans/scan.ts";
import { matches } from "../entity.ts";
import { HttpError } from "../http_error.ts";

/** What a client says of what it has and wants: the header fields of these names. */
export interface RawAsked {
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

/** A range of bytes, both ends included. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Answers with raw output.
 *
 * @param scan The scan.
 * @param asked What the client has and wants.
 * @returns The answer: 200, 206 with a part, or 304.
 * @throws {AppError} `not_found` if it is not kept; with the status 416 if the range is not there.
 */
export function rawAnswer(scan: Scan, asked: RawAsked): Response {
  const { id, raw } = scan;
  if (raw === null) {
    throw new AppError(
      "not_found",
      `Cannot give the raw output of the scan "${id}": it is not kept; /v1/scans/${id} holds what was read out of it`,
    );
  }
  const tag = isOver(scan) ? `"${id}-${raw.length}"` : null;
  const tagged = tag === null ? {} : { ETag: tag };
  if (tag !== null && matches(asked.ifNoneMatch ?? null, tag)) {
    return new Response(null, { status: 304, headers: tagged });
  }
  const headers = {
    ...tagged,
    "Accept-Ranges": "bytes",
    // Whatever a host sent is no page of this server and no program.
    "Content-Type": "application/octet-stream",
    "Content-Disposition": `attachment; filename="scan-${id}.raw"`,
    "X-Content-Type-Options": "nosniff",
  };
  // A part is of no use to a client that has the beginning of something else.
  const isSame = asked.ifRange === undefined || asked.ifRange.trim() === tag;
  const range = isSame ? rangeOf(asked.range, raw.length) : null;
  if (range === null) {
    return new Response(bytesOf(raw), {
      headers: { ...headers, "Content-Length": String(raw.length) },
    });
  }
  const part = raw.subarray(range.first, range.last + 1);
  return new Response(bytesOf(part), {
    status: 206,
    headers: {
      ...headers,
      "Content-Length": String(part.length),
      "Content-Range": `bytes ${range.first}-${range.last}/${raw.length}`,
    },
  });
}

/**
 * Reads a range. What is no single range of bytes asks for the whole, as the rules of HTTP have it.
 *
 * @throws {HttpError} 416.
 */
function rangeOf(wanted: string | undefined, total: number): Range | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(wanted?.trim() ?? "");
  const [, from = "", to = ""] = match ?? [];
  if (from === "" && to === "") return null;
  const first = from === "" ? Math.max(0, total - Number(to)) : Number(from);
  const last = from === "" || to === ""
    ? total - 1
    : Math.min(Number(to), total - 1);
  // The end before the beginning is no range at all.
  if (from !== "" && to !== "" && Number(to) < first) return null;
  if (first < total) return { first, last };
  throw new HttpError(
    416,
    "invalid_arguments",
    `Cannot give that range: there are ${total} bytes`,
    { "Content-Range": `bytes */${total}` },
  );
}

/** The types of `Response` do not know arrays over a buffer that may be shared; ours never is. */
function bytesOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
