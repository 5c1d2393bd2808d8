/**
 * One line, or the body of a request, as a message of the protocol, or as the reason why it is none.
 * Size was bounded before;
 * here come depth, then JSON, then shape, in that order, so that no step meets more than the one
 * before let through.
 *
 * @module
 */
import {
  INVALID_REQUEST,
  type JSONRPCMessage,
  PARSE_ERROR,
  parseJSONRPCMessage,
} from "@modelcontextprotocol/server";
import { isDeeperThan, JSON_DEPTH_MAX } from "@/tools/json_depth.ts";

/** Deepest nesting of a message. */
export const FRAME_DEPTH_MAX = JSON_DEPTH_MAX;

/** A line, read. */
export type Frame =
  | { readonly kind: "message"; readonly message: JSONRPCMessage }
  | Refused
  /** A blank line. */
  | { readonly kind: "blank" };

/** Bytes as JSON. */
export type Json =
  | { readonly kind: "json"; readonly value: unknown }
  | Refused
  | { readonly kind: "blank" };

/** Not a message; the refusal is to be sent. */
export interface Refused {
  readonly kind: "refused";
  readonly refusal: JSONRPCMessage;
}

/**
 * Reads a line.
 *
 * @param bytes The line without its end: untrusted.
 * @returns What it is. It throws nothing, whatever arrives.
 */
export function readFrame(bytes: Uint8Array): Frame {
  const json = readJson(bytes);
  if (json.kind !== "json") return json;
  if (Array.isArray(json.value)) {
    return refused(
      INVALID_REQUEST,
      "batches are not part of the protocol; send one message a line",
    );
  }
  return readMessage(json.value);
}

/**
 * Reads bytes as JSON that is not nested too deep.
 *
 * @param bytes Untrusted, bounded by whoever received them.
 * @returns The value, or the refusal. It throws nothing, whatever arrives.
 */
export function readJson(bytes: Uint8Array): Json {
  const text = decode(bytes);
  return text === null
    ? refused(PARSE_ERROR, "it is not UTF-8")
    : readJsonText(text);
}

/**
 * Reads a text as JSON that is not nested too deep.
 *
 * @param text Untrusted, bounded by whoever received it.
 * @returns The value, or the refusal. It throws nothing, whatever arrives.
 */
export function readJsonText(text: string): Json {
  if (text.trim() === "") return { kind: "blank" };
  if (isDeeperThan(text, FRAME_DEPTH_MAX)) {
    return refused(
      INVALID_REQUEST,
      `it is nested deeper than ${FRAME_DEPTH_MAX} levels`,
    );
  }
  const value = parseJson(text);
  return value === undefined
    ? refused(PARSE_ERROR, "it is not JSON")
    : { kind: "json", value };
}

/**
 * Reads a value as one message.
 *
 * @param value Untrusted JSON.
 * @returns The message, or the refusal.
 */
export function readMessage(
  value: unknown,
): Refused | { readonly kind: "message"; readonly message: JSONRPCMessage } {
  try {
    return { kind: "message", message: parseJSONRPCMessage(value) };
  } catch {
    // The SDK's words for it are a dump of its schema, of no use to a client.
    return refused(
      INVALID_REQUEST,
      "it is no JSON-RPC 2.0 message",
      idOf(value),
    );
  }
}

/**
 * Makes the answer to a line that is no message.
 *
 * @param code The JSON-RPC code.
 * @param why What is wrong with it.
 * @param id The request's id, as far as it is known. The protocol leaves it out otherwise.
 * @returns The answer.
 */
export function refusal(
  code: number,
  why: string,
  id?: string | number,
): JSONRPCMessage {
  return {
    jsonrpc: "2.0",
    ...(id === undefined ? {} : { id }),
    error: { code, message: `Cannot read the message: ${why}` },
  };
}

function refused(code: number, why: string, id?: string | number): Refused {
  return { kind: "refused", refusal: refusal(code, why, id) };
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Fatal mode throws on malformed bytes; that is the answer looked for.
    return null;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON text parses to undefined, so it stands for none.
    return undefined;
  }
}

function idOf(value: unknown): string | number | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!Object.hasOwn(value, "id") || Object.hasOwn(value, "result")) {
    return undefined;
  }
  const { id } = value as { id: unknown };
  const isId = (typeof id === "string" && id.length <= 256) ||
    Number.isSafeInteger(id);
  return isId ? id as string | number : undefined;
}
