/**
 * Reads what a caller names as a target. Syntax only: whether it may be scanned is the scope's
 * judgement (`scope.ts`).
 *
 * The grammar is smaller than that of any scanner, so that every text has one meaning: dotted
 * decimal without leading zeros, IPv6 without zone and without embedded IPv4, a network with a
 * decimal prefix, a range in the last octet, or a host name of RFC 1123 labels. What is refused is
 * refused with the form to use instead.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import {
  addressText,
  type Block,
  blockText,
  contains,
  parseAddress,
  parseNetwork,
} from "./block.ts";

/** Longest target text: a host name of 253 characters. */
export const TARGET_LENGTH_MAX = 253;

/** Most targets of one request. */
export const TARGETS_MAX = 128;

/** A target as it was named: well formed, not yet judged. */
export type TargetText =
  | {
    readonly kind: "address" | "network" | "range";
    /** Canonical text. */
    readonly text: string;
    readonly block: Block;
  }
  /** `text` is the name in lower case. */
  | { readonly kind: "name"; readonly text: string };

const MAPPED: Block = {
  family: 6,
  first: 0xffff00000000n,
  last: 0xffffffffffffn,
};

/**
 * Reads a target.
 *
 * @param text Untrusted text.
 * @returns What it names.
 * @throws {AppError} `invalid_target`, with the forms that are taken.
 */
export function parseTarget(text: string): TargetText {
  if (text.length === 0 || text.length > TARGET_LENGTH_MAX) {
    throw refuse(
      text,
      `it has ${text.length} characters, 1 to ${TARGET_LENGTH_MAX} are taken`,
    );
  }
  if (!/^[A-Za-z0-9.:/-]+$/.test(text) || text.startsWith("-")) {
    throw refuse(text, "it holds characters that no target has");
  }
  if (text.includes("/")) return parseNetworkText(text);
  const address = parseAddress(text);
  if (address !== null) return addressTarget(text, address);
  if (text.includes(":")) {
    throw refuse(text, "it is no IPv6 address in plain form");
  }
  return parseRange(text) ?? parseName(text);
}

/**
 * Gives the host names among targets.
 *
 * @param targets The targets.
 * @returns Each name once, in order.
 */
export function namesOf(targets: readonly TargetText[]): readonly string[] {
  const names = targets.filter((target) => target.kind === "name");
  return [...new Set(names.map((target) => target.text))];
}

function addressTarget(text: string, block: Block): TargetText {
  refuseMapped(text, block);
  return { kind: "address", text: blockText(block), block };
}

function parseNetworkText(text: string): TargetText {
  const block = parseNetwork(text);
  if (block === null) {
    throw refuse(text, "it is no network in CIDR form");
  }
  refuseMapped(text, block);
  const kind = block.first === block.last ? "address" : "network";
  return { kind, text: blockText(block), block };
}

/** An IPv4 address in IPv6 clothes is one address with two texts: only the plain one is taken. */
function refuseMapped(text: string, block: Block): void {
  if (!contains(MAPPED, block)) return;
  const plain = addressText(4, block.first & 0xffffffffn);
  throw refuse(text, `it is an IPv4-mapped address; write ${plain} itself`);
}

function parseRange(text: string): TargetText | null {
  const match = /^([0-9.]+)-([0-9.]+)$/.exec(text);
  if (match === null) return null;
  const [, head = "", tail = ""] = match;
  const start = parseAddress(head);
  if (
    start === null || !/^(0|[1-9][0-9]{0,2})$/.test(tail) || Number(tail) > 255
  ) {
    throw refuse(text, "a range is written a.b.c.d-e, within the last octet");
  }
  const last = (start.first >> 8n << 8n) | BigInt(tail);
  if (last < start.first) throw refuse(text, "the range ends before it begins");
  const block: Block = { family: 4, first: start.first, last };
  const kind = start.first === last ? "address" : "range";
  return { kind, text: rangeText(block), block };
}

/** A range stays one in text, though it may be a whole network by chance. */
function rangeText(block: Block): string {
  const first = addressText(4, block.first);
  return block.first === block.last ? first : `${first}-${block.last & 0xffn}`;
}

function parseName(text: string): TargetText {
  const labels = text.split(".");
  for (const label of labels) {
    if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label)) {
      throw refuse(text, "it is neither an address nor a host name");
    }
  }
  // A last label that reads as a number makes programs take the whole for an address: `0x7f.1`.
  if (/^([0-9]+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "")) {
    throw refuse(
      text,
      "it is no plain dotted address: four decimal numbers without leading zeros",
    );
  }
  return { kind: "name", text: text.toLowerCase() };
}

function refuse(text: string, why: string): AppError {
  return new AppError(
    "invalid_target",
    `Cannot use the target ${
      shown(text)
    }: ${why}; use an address, a CIDR network, a range like 10.0.0.1-20, or a host name`,
  );
}

/** Quotes an untrusted text: without what stands before an @, short, and with nothing unprintable. */
function shown(text: string): string {
  const plain = text.replace(/^.*(?=@)/s, "***");
  const short = plain.length > 60 ? `${plain.slice(0, 60)}...` : plain;
  return `"${short.replace(/[^\x20-\x7e]/g, "?")}"`;
}
