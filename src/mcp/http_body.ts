/**
 * Bodies over HTTP: read up to a cap before anything looks at them, and answered in the protocol's
 * own errors.
 *
 * @module
 */
import {
  isJsonContentType,
  type JSONRPCMessage,
  PARSE_ERROR,
} from "@modelcontextprotocol/server";
import { type Json, readJson, readJsonText, refusal } from "./frame.ts";

/** Most bytes of a request's body, as of a line over stdio. */
export const BODY_BYTES_MAX = 4 * 1024 * 1024;

/** The code of errors that JSON-RPC has none for. */
const SERVER_ERROR = -32_000;

/** The code of a session that is not there. */
const NO_SESSION = -32_001;

/** Why a request is refused before it is a message. */
export interface HttpRefusal {
  readonly status: number;
  readonly message: JSONRPCMessage;
}

/**
 * Reads the body of a POST.
 *
 * @param request The request.
 * @param text Its body, where whoever called has read and bounded it.
 * @returns The value, or why there is none.
 */
export async function readBody(
  request: Request,
  text?: string,
): Promise<
  | { readonly kind: "value"; readonly value: unknown; readonly bytes: number }
  | { readonly kind: "refused"; readonly response: Response }
> {
  if (!isJsonContentType(request.headers.get("content-type"))) {
    return { kind: "refused", response: refuse(415, "send application/json") };
  }
  const body = text ?? await bytesOf(request);
  const bytes = body === null ? Infinity : sizeOf(body);
  if (body === null || bytes > BODY_BYTES_MAX) {
    const why = `it is larger than ${BODY_BYTES_MAX} bytes; send less`;
    return { kind: "refused", response: refuse(413, why) };
  }
  const json: Json = typeof body === "string"
    ? readJsonText(body)
    : readJson(body);
  if (json.kind === "json") return { kind: "value", value: json.value, bytes };
  const message = json.kind === "blank"
    ? refusal(PARSE_ERROR, "it is empty")
    : json.refusal;
  return { kind: "refused", response: answer(400, message) };
}

/**
 * Refuses a request.
 *
 * @param status The HTTP status.
 * @param why What is wrong and what to do.
 * @param headers More headers.
 * @returns The response.
 */
export function refuse(
  status: number,
  why: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return answer(status, refusal(SERVER_ERROR, why), headers);
}

/**
 * Answers that there is no such session: the same for one that never was, that is over, and that is
 * somebody else's.
 *
 * @returns The response.
 */
export function noSession(): Response {
  return answer(
    404,
    refusal(NO_SESSION, "there is no such session; initialize anew"),
  );
}

/**
 * Answers with one message.
 *
 * @param status The HTTP status.
 * @param message The message.
 * @param headers More headers.
 * @returns The response.
 */
export function answer(
  status: number,
  message: JSONRPCMessage,
  headers: Readonly<Record<string, string>> = {},
): Response {
  // Clients of the older revisions want an id, and null where none is known.
  return Response.json({ id: null, ...message }, {
    status,
    headers: { ...headers, "cache-control": "no-store" },
  });
}

/** The bytes of a body. A text has at least as many as characters: a long one is not encoded. */
function sizeOf(body: string | Uint8Array): number {
  return typeof body !== "string" || body.length > BODY_BYTES_MAX
    ? body.length
    : new TextEncoder().encode(body).length;
}

/** The whole body, or null if it is too large. */
async function bytesOf(request: Request): Promise<Uint8Array | null> {
  const { body } = request;
  if (body === null) return new Uint8Array();
  if (Number(request.headers.get("content-length")) > BODY_BYTES_MAX) {
    await body.cancel().catch(() => {});
    return null;
  }
  const parts: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the body.
  for await (const part of body) {
    length += part.length;
    if (length > BODY_BYTES_MAX) return null;
    parts.push(part);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
