/**
 * Reads a request's body with every bound that there is: its form and its bytes as announced, bytes as
 * they come, of this body and of all, the time that it takes, UTF-8, and depth, in that order and all of
 * it before anything is parsed.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { isDeeperThan, JSON_DEPTH_MAX } from "@/tools/json_depth.ts";
import type { BodyShare } from "./body_budget.ts";
import { HttpError } from "./http_error.ts";

/** Bytes of room for a body to begin with: most need no more. */
const FIRST_BYTES = 4_096;

/** The bounds of a body. */
export interface BodyBounds {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/**
 * Refuses a body that is announced as too long, as packed or in another charset. Nothing of it was read
 * then.
 *
 * @param request The request.
 * @param bytesMax Most bytes.
 * @throws {AppError} `payload_too_large`; `invalid_arguments` (415).
 */
export function checkAnnounced(
  { body, headers }: Request,
  bytesMax: number,
): void {
  const announced = headers.get("content-length");
  if (announced !== null && Number(announced) > bytesMax) {
    throw tooLarge(bytesMax);
  }
  if (body === null) return;
  if (!PLAIN.test(headers.get("content-encoding") ?? "")) {
    throw new HttpError(
      415,
      "invalid_arguments",
      "Cannot read the request's body: its Content-Encoding says that it is packed; send it as it is, without that field",
      { "accept-encoding": "identity" },
    );
  }
  const charset = CHARSET.exec(headers.get("content-type") ?? "")?.[1];
  if (charset !== undefined && !UTF_8.test(charset)) {
    throw new HttpError(
      415,
      "invalid_arguments",
      "Cannot read the request's body: its Content-Type names another charset; send JSON in UTF-8",
      { accept: "application/json" },
    );
  }
}

/** No encoding, or none but the one that changes nothing. */
const PLAIN = /^\s*(?:identity\s*(?:,\s*identity\s*)*)?$/i;

const CHARSET = /;\s*charset\s*=\s*("[^"]*"|[^;]*)/i;

const UTF_8 = /^\s*(?:"utf-?8"|utf-?8)\s*$/i;

/**
 * Reads a body as text.
 *
 * @param body The body.
 * @param bounds Its bounds.
 * @param share What it takes of the room for all bodies; it is given back by whoever made it.
 * @returns The text.
 * @throws {AppError} `payload_too_large`; `queue_full` if its share is used up; `timeout` (408) if it
 * does not arrive; `invalid_arguments` if it breaks off, is not UTF-8 or is nested too deeply.
 */
export async function readBody(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  bounds: BodyBounds,
  share: BodyShare,
): Promise<string> {
  const text = await readText(body, bounds, share);
  if (!isDeeperThan(text)) return text;
  throw new AppError(
    "invalid_arguments",
    `Cannot read the request's body: it is nested deeper than ${JSON_DEPTH_MAX} levels; send it flatter`,
  );
}

async function readText(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  { bytesMax, timeoutMs }: BodyBounds,
  share: BodyShare,
): Promise<string> {
  const reader = body.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // The read that waits ends by it; that the stream is broken already is no news.
    reader.cancel().catch(() => {});
  }, timeoutMs);
  using arrived = new Arrived(share);
  try {
    for (;;) {
      const { done, value } = await readOr(reader);
      if (late) throw tooLate(timeoutMs);
      if (done) return arrived.text();
      if (arrived.bytes + value.byteLength > bytesMax) throw tooLarge(bytesMax);
      arrived.add(value);
    }
  } catch (refused) {
    reader.cancel().catch(() => {});
    throw refused;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What has arrived of a body, in one piece that grows. The runtime hands over each part, were it one
 * byte, in a block of 64 KiB: kept as they come, a thousand bytes sent one by one would hold 64 MiB.
 * Blocks and piece are let go of by hand (`transfer(0)`): the collector does not hurry for either.
 */
class Arrived implements Disposable {
  readonly #share: BodyShare;
  #room = new ArrayBuffer(0);
  #bytes = 0;

  constructor(share: BodyShare) {
    this.#share = share;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a part over; nobody else has it. */
  add(part: Uint8Array<ArrayBuffer>): void {
    const bytes = this.#bytes + part.byteLength;
    const room = this.#room.byteLength;
    if (bytes > room) {
      const wider = Math.max(bytes, 2 * room, FIRST_BYTES);
      this.#share.take(wider - room);
      this.#room = this.#room.transfer(wider);
    }
    new Uint8Array(this.#room).set(part, this.#bytes);
    this.#bytes = bytes;
    part.buffer.transfer(0);
  }

  text(): string {
    return decode(new Uint8Array(this.#room, 0, this.#bytes));
  }

  [Symbol.dispose](): void {
    this.#room = this.#room.transfer(0);
  }
}

/** A client that goes away in the midst of its body has made a request that cannot be read. */
async function readOr(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): Promise<ReadableStreamReadResult<Uint8Array<ArrayBuffer>>> {
  try {
    return await reader.read();
  } catch {
    throw new AppError(
      "invalid_arguments",
      "Cannot read the request's body: it broke off or is malformed; send it again",
    );
  }
}

function decode(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new AppError(
      "invalid_arguments",
      "Cannot read the request's body: it is not UTF-8; send JSON in UTF-8, not packed",
    );
  }
}

function tooLarge(bytesMax: number): AppError {
  return new AppError(
    "payload_too_large",
    `Cannot take the request's body: it has more than ${bytesMax} bytes (server.max_body_bytes); send less in one request`,
  );
}

function tooLate(timeoutMs: number): HttpError {
  return new HttpError(
    408,
    "timeout",
    `Cannot wait for the request's body any longer: it did not arrive within ${
      timeoutMs / 1_000
    } s (server.request_timeout_seconds); send it again`,
    { connection: "close" },
  );
}
