/**
 * What is done to an answer's body on its way out: a strong ETag with 304 for what the client has
 * already, and gzip. Both need bytes in hand, so a body is gathered up to a bound; one that goes on
 * beyond it is a stream and is passed on as it comes.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Longest body that gets an ETag. */
export const TAGGED_BYTES_MAX = 4 * 1_024 * 1_024;

/** Shortest body that is compressed: below, the overhead eats the gain. */
export const COMPRESSED_BYTES_MIN = 1_024;

/** What may be compressed. Event streams must not wait for a full block, and are none of these. */
const COMPRESSIBLE =
  /^(?:text\/(?:plain|html|csv|markdown|xml)|application\/(?:[\w.-]+\+)?(?:json|xml)|application\/(?:x-ndjson|jsonl|openmetrics-text)|image\/svg\+xml)\b/;

const JSON_TYPE = /^application\/json\b/;

/** What of a request decides. */
export interface Wanted {
  /** Whether the route's answer may be asked for again. */
  readonly taggable: boolean;
  readonly acceptEncoding: string | null;
  readonly ifNoneMatch: string | null;
}

/**
 * Tags and compresses an answer where that is due.
 *
 * @param answer What the route answered.
 * @param wanted What the client wants.
 * @returns The same answer, or another in its stead.
 */
export async function dressed(
  answer: Response,
  wanted: Wanted,
): Promise<Response> {
  const { body, headers } = answer;
  if (body === null) return answer;
  const type = headers.get("content-type") ?? "";
  const tagged = wanted.taggable && answer.status === 200 &&
    JSON_TYPE.test(type);
  const packed = acceptsGzip(wanted.acceptEncoding) &&
    COMPRESSIBLE.test(type) && !headers.has("content-encoding");
  if (!tagged && !packed) return answer;
  const bytesMax = tagged ? TAGGED_BYTES_MAX : COMPRESSED_BYTES_MIN;
  const { chunks, rest } = await gather(body, bytesMax);
  const gathered: Gathered = { chunks, bytes: sizeOf(chunks), rest };
  const gzip = packed &&
    (rest !== null || gathered.bytes >= COMPRESSED_BYTES_MIN);
  if (tagged && rest === null) {
    const tag = tagOf(chunks, gzip);
    headers.set("etag", tag);
    if (matches(wanted.ifNoneMatch, tag)) return notModified(headers);
  }
  return rebuilt(answer, gathered, gzip);
}

/** The begin of a body, or all of it. */
interface Gathered {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  /** What is still to come; null if that was all. */
  readonly rest: ReadableStreamDefaultReader<Uint8Array> | null;
}

async function gather(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
): Promise<Pick<Gathered, "chunks" | "rest">> {
  const reader = body.getReader();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { chunks, rest: null };
    chunks.push(value);
    bytes += value.byteLength;
    if (bytes > bytesMax) return { chunks, rest: reader };
  }
}

function rebuilt(
  { status, headers }: Response,
  { chunks, bytes, rest }: Gathered,
  gzip: boolean,
): Response {
  const plain = rest === null ? joined(chunks, bytes) : chained(chunks, rest);
  const init = { status, headers };
  if (!gzip) {
    if (rest === null) headers.set("content-length", String(bytes));
    return new Response(plain, init);
  }
  headers.delete("content-length");
  headers.set("content-encoding", "gzip");
  const stream = plain instanceof ReadableStream
    ? plain
    : new Blob([plain]).stream();
  return new Response(
    stream.pipeThrough(new CompressionStream("gzip")),
    init,
  );
}

function joined(
  chunks: readonly Uint8Array[],
  bytes: number,
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

function chained(
  chunks: readonly Uint8Array[],
  rest: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const waiting = [...chunks];
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const value = waiting.shift() ?? (await rest.read()).value;
      if (value === undefined) controller.close();
      else controller.enqueue(value as Uint8Array<ArrayBuffer>);
    },
    cancel: (reason) => rest.cancel(reason),
  });
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Equal bytes, equal tag. Another encoding is another representation and needs a tag of its own. */
function tagOf(chunks: readonly Uint8Array[], gzip: boolean): string {
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  const text = hash.digest("base64url").slice(0, 27);
  return gzip ? `"${text}-gzip"` : `"${text}"`;
}

/**
 * Tells whether a client has what a tag stands for: by the weak comparison that RFC 9110 asks for here.
 *
 * @param ifNoneMatch The header `If-None-Match`, or null.
 * @param tag The tag.
 * @returns Whether it does.
 */
export function matches(ifNoneMatch: string | null, tag: string): boolean {
  if (ifNoneMatch === null || ifNoneMatch.length > 4_096) return false;
  return ifNoneMatch.trim() === "*" ||
    ifNoneMatch.split(",").some((one) =>
      one.trim().replace(/^W\//, "") === tag
    );
}

/** What describes a body that is not sent is left out. */
function notModified(headers: Headers): Response {
  for (const name of ["content-type", "content-length", "content-encoding"]) {
    headers.delete(name);
  }
  return new Response(null, { status: 304, headers });
}

function acceptsGzip(acceptEncoding: string | null): boolean {
  if (acceptEncoding === null || acceptEncoding.length > 1_024) return false;
  return acceptEncoding.split(",").some((one) =>
    /^\s*(?:gzip|x-gzip|\*)\s*(?:;\s*q=(?:1(?:\.0*)?|0\.\d*[1-9]\d*)\s*)?$/i
      .test(one)
  ) && !/gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)/i.test(acceptEncoding);
}
