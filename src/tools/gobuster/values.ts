/**
 * The small lists of a gobuster request: extensions, status codes, lengths, and the name server's
 * address. Each is written anew from what was parsed, sorted and without repeats, so that a command
 * line holds nothing that a caller typed.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { parseAddress } from "@/scope/block.ts";
import { parseTarget, type TargetText } from "@/scope/target.ts";
import { SafeText } from "@/spawn/argv.ts";
import { shown } from "../field.ts";

/** Most extensions: each is one more request a word. */
export const EXTENSIONS_MAX = 16;

/** Most lengths that are left out. */
const LENGTHS_MAX = 16;

/** Longest text of a list, in UTF-16 code units. */
export const LIST_LENGTH_MAX = 256;

/** A name server as it was named. */
export interface ResolverText {
  /** One address, not yet judged. */
  readonly target: Extract<
    TargetText,
    { kind: "address" | "network" | "range" }
  >;
  readonly port: number;
}

/**
 * Reads file extensions.
 *
 * @param text Extensions with commas between, with or without a leading dot.
 * @returns Each once, without the dot, sorted.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseExtensions(text: string): readonly string[] {
  const found = new Set<string>();
  for (const item of text.split(",")) {
    const extension = item.replace(/^\./, "");
    if (!/^[A-Za-z0-9][A-Za-z0-9_~.-]{0,15}$/.test(extension)) {
      throw refuse(
        "extensions",
        `${shown(item)} is no extension; write them like php,html,tar.gz`,
      );
    }
    found.add(extension);
  }
  if (found.size > EXTENSIONS_MAX) {
    throw refuse(
      "extensions",
      `there are ${found.size}, at most ${EXTENSIONS_MAX} are taken`,
    );
  }
  return [...found].sort();
}

/**
 * Reads status codes.
 *
 * @param text Codes and ranges of them, like `200,301-308`.
 * @param name The argument's name, for the message.
 * @returns The same, sorted and merged.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseStatusCodes(text: string, name: string): SafeText {
  const ranges: { first: number; last: number }[] = [];
  for (const item of text.split(",")) {
    const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(item);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last < first) {
      throw refuse(
        name,
        `${
          shown(item)
        } is no status code from 100 to 599; write them like 200,301-308`,
      );
    }
    ranges.push({ first, last });
  }
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges.sort((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (before !== undefined && range.first <= before.last + 1) {
      before.last = Math.max(before.last, range.last);
    } else merged.push(range);
  }
  const parts = merged.map(({ first, last }) =>
    first === last ? `${first}` : `${first}-${last}`
  );
  return SafeText.match(parts.join(","), /[0-9,-]+/);
}

/**
 * Reads lengths of answers.
 *
 * @param text Numbers of bytes with commas between.
 * @returns Each once, sorted.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseLengths(text: string): SafeText {
  const items = text.split(",");
  for (const item of items) {
    if (!/^(0|[1-9][0-9]{0,8})$/.test(item)) {
      throw refuse(
        "extra_args",
        `${shown(item)} is no length in bytes; write --exclude-length 42,1024`,
      );
    }
  }
  const lengths = [...new Set(items.map(Number))].sort((a, b) => a - b);
  if (lengths.length > LENGTHS_MAX) {
    throw refuse(
      "extra_args",
      `there are ${lengths.length} lengths, at most ${LENGTHS_MAX} are taken`,
    );
  }
  return SafeText.match(lengths.join(","), /[0-9,]+/);
}

/**
 * Reads the address of a name server.
 *
 * @param text An address, or an address and a port: `10.0.0.53`, `10.0.0.53:5353`, `[fd00::53]:53`.
 * @returns Address and port.
 * @throws {AppError} `invalid_target`.
 */
export function parseResolver(text: string): ResolverText {
  const [, bracketed, plain, portGiven] =
    /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  const block = parseAddress(address);
  const port = Number(portGiven ?? 53);
  const sound = block !== null &&
    (bracketed === undefined || block.family === 6) &&
    (portGiven === undefined || String(port) === portGiven) &&
    port >= 1 && port <= 65_535;
  if (!sound) {
    throw new AppError(
      "invalid_target",
      `Cannot use the name server ${
        shown(text)
      }: write an address, or an address and a port, like 10.0.0.53:53 or [fd00::53]:53`,
    );
  }
  const target = parseTarget(address);
  if (target.kind === "name") throw new TypeError("an address is no name");
  return { target, port };
}

/**
 * Writes a name server for a command line. The port always stands there: without one gobuster would
 * look for it behind the last colon of an IPv6 address.
 *
 * @param resolver The name server.
 * @returns Address and port.
 */
export function resolverSafe({ target, port }: ResolverText): SafeText {
  const { text } = target;
  const host = text.includes(":") ? `[${text}]` : text;
  return SafeText.match(`${host}:${port}`, /\[?[0-9a-f.:]+\]?:[0-9]+/);
}

function refuse(name: string, why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use the argument "${name}": ${why}`,
  );
}
