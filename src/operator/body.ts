/**
 * Reads a request's body with every bound that there is: bytes as announced, bytes as they come, the
 * time that it takes, UTF-8, and depth, in that order and all of it before anything is parsed.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { isDeeperThan, JSON_DEPTH_MAX } from "@/tools/json_depth.ts";
import { HttpError } from "./http_error.ts";

/** The bounds of a body. */
export interface BodyBounds {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/**
 * Refuses a body that is announced as too long. Nothing of it was read then.
 *
 * @param headers The request's headers.
 * @param bytesMax Most bytes.
 * @throws {AppError} `payload_too_large`.
 */
export function checkAnnounced(headers: Headers, bytesMax: number): void {
  const announced = headers.get("content-length");
  if (announced !== null && Number(announced) > bytesMax) {
    throw tooLarge(bytesMax);
  }
}

/**
 * Reads a body as text.
 *
 * @param body The body.
 * @param bounds Its bounds.
 * @returns The text.
 * @throws {AppError} `payload_too_large`; `timeout` (408) if it does not arrive; `invalid_arguments` if
 * it breaks off, is not UTF-8 or is nested too deeply.
 */
export async function readBody(
  body: ReadableStream<Uint8Array>,
  bounds: BodyBounds,
): Promise<string> {
  const text = decode(await readBytes(body, bounds));
  if (!isDeeperThan(text)) return text;
  throw new AppError(
    "invalid_arguments",
    `Cannot read the request's body: it is nested deeper than ${JSON_DEPTH_MAX} levels; send it flatter`,
  );
}

async function readBytes(
  body: ReadableStream<Uint8Array>,
  { bytesMax, timeoutMs }: BodyBounds,
): Promise<readonly Uint8Array[]> {
  const reader = body.getReader();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // The read that waits ends by it; that the stream is broken already is no news.
    reader.cancel().catch(() => {});
  }, timeoutMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await readOr(reader);
      if (late) throw tooLate(timeoutMs);
      if (done) return chunks;
      bytes += value.byteLength;
      if (bytes > bytesMax) {
        reader.cancel().catch(() => {});
        throw tooLarge(bytesMax);
      }
      chunks.push(value);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** A client that goes away in the midst of its body has made a request that cannot be read. */
async function readOr(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch {
    throw new AppError(
      "invalid_arguments",
      "Cannot read the request's body: it broke off or is malformed; send it again",
    );
  }
}

function decode(chunks: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    const [only] = chunks;
    if (chunks.length === 1 && only !== undefined) return decoder.decode(only);
    const parts = chunks.map((chunk) =>
      decoder.decode(chunk, { stream: true })
    );
    return parts.join("") + decoder.decode();
  } catch {
    throw new AppError(
      "invalid_arguments",
      "Cannot read the request's body: it is not UTF-8",
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
