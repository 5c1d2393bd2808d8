/**
 * Port lists: digits, commas and ranges from 1 to 65535, with `T:` and `U:` where a tool takes them.
 *
 * The list that stands in a command line is written anew from the parsed numbers, sorted and merged,
 * so it holds nothing that a caller typed.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { SafeText } from "@/spawn/argv.ts";
import { shown } from "./field.ts";

const MINT = Symbol("tools/ports");

/** Longest text of a port list, in UTF-16 code units. */
export const PORTS_LENGTH_MAX = 4_096;

/** The ports of both protocols. */
export const PORT_COUNT_MAX = 131_070;

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Options of {@linkcode parsePorts}. */
export interface PortsOptions {
  /** Most ports, counted over all ranges and both protocols after merging. */
  readonly countMax: number;
  /** Whether `T:` and `U:` are taken. @default false */
  readonly prefixes?: boolean;
}

/** Ports that were parsed. */
export class PortList {
  /** Ranges without a prefix or behind `T:`. Sorted, apart from each other. */
  readonly tcp: readonly PortRange[];
  /** Ranges behind `U:`. */
  readonly udp: readonly PortRange[];
  /** Whether the protocols were named. If not, `tcp` holds the ports of whatever is scanned. */
  readonly prefixed: boolean;
  readonly #argv: SafeText;

  private constructor(
    mint: symbol,
    tcp: readonly PortRange[],
    udp: readonly PortRange[],
    prefixed: boolean,
  ) {
    if (mint !== MINT) {
      throw new TypeError("Cannot construct PortList: use parsePorts");
    }
    this.tcp = tcp;
    this.udp = udp;
    this.prefixed = prefixed;
    this.#argv = SafeText.match(
      listText(tcp, udp, prefixed),
      /[TU:0-9,-]+/,
    );
    Object.freeze(this);
  }

  /** @internal Made by {@linkcode parsePorts} only. */
  static mint(
    mint: symbol,
    tcp: readonly PortRange[],
    udp: readonly PortRange[],
    prefixed: boolean,
  ): PortList {
    return new PortList(mint, tcp, udp, prefixed);
  }

  /** What stands in a command line: `22,80-443` or `T:22,U:53`. */
  get argv(): SafeText {
    return this.#argv;
  }

  /** How many ports these are. */
  get count(): number {
    return countOf(this.tcp) + countOf(this.udp);
  }

  /** @returns The text that stands in a command line. */
  toString(): string {
    return this.#argv.toString();
  }
}

/**
 * Reads a port list.
 *
 * @param text Untrusted text.
 * @param options The count limit and whether prefixes are taken.
 * @returns The ports.
 * @throws {AppError} `invalid_arguments`, with the form that is taken.
 */
export function parsePorts(text: string, options: PortsOptions): PortList {
  if (text.length === 0 || text.length > PORTS_LENGTH_MAX) {
    throw refuse(
      text,
      `it has ${text.length} characters, 1 to ${PORTS_LENGTH_MAX} are taken`,
    );
  }
  const tcp: PortRange[] = [];
  const udp: PortRange[] = [];
  let current: PortRange[] | null = null;
  for (const [index, item] of text.split(",").entries()) {
    const match = /^(?:([TU]):)?([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(item);
    if (match === null) throw refuse(text, `${shown(item)} is no port`);
    const [, prefix, first = "", last = first] = match;
    if (prefix !== undefined) {
      if (options.prefixes !== true) {
        throw refuse(text, "T: and U: are not taken here");
      }
      if (index > 0 && current === null) {
        throw refuse(text, "with T: or U: the list must begin with one");
      }
      current = prefix === "T" ? tcp : udp;
    }
    (current ?? tcp).push(parseRange(text, first, last));
  }
  return finish(text, merged(tcp), merged(udp), {
    prefixed: current !== null,
    countMax: options.countMax,
  });
}

function finish(
  text: string,
  tcp: readonly PortRange[],
  udp: readonly PortRange[],
  options: { prefixed: boolean; countMax: number },
): PortList {
  const count = countOf(tcp) + countOf(udp);
  if (count > options.countMax) {
    throw refuse(
      text,
      `it has ${count} ports, at most ${options.countMax} are taken`,
    );
  }
  return PortList.mint(MINT, tcp, udp, options.prefixed);
}

function parseRange(text: string, first: string, last: string): PortRange {
  const range = { first: Number(first), last: Number(last) };
  for (const [digits, port] of [[first, range.first], [last, range.last]]) {
    if (String(port) !== digits) throw refuse(text, "a port has leading zeros");
    if (Number(port) < 1 || Number(port) > 65_535) {
      throw refuse(text, `${port} is not within 1 to 65535`);
    }
  }
  if (range.last < range.first) {
    throw refuse(text, `the range ${first}-${last} ends before it begins`);
  }
  return range;
}

/** Sorts ranges and joins those that overlap or adjoin. */
function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const result: { first: number; last: number }[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before !== undefined && range.first <= before.last + 1) {
      before.last = Math.max(before.last, range.last);
    } else result.push({ ...range });
  }
  return Object.freeze(result.map((range) => Object.freeze(range)));
}

function countOf(ranges: readonly PortRange[]): number {
  return ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
}

function listText(
  tcp: readonly PortRange[],
  udp: readonly PortRange[],
  prefixed: boolean,
): string {
  const parts: string[] = [];
  if (tcp.length > 0) parts.push(`${prefixed ? "T:" : ""}${rangesText(tcp)}`);
  if (udp.length > 0) parts.push(`U:${rangesText(udp)}`);
  return parts.join(",");
}

function rangesText(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) =>
    first === last ? `${first}` : `${first}-${last}`
  ).join(",");
}

function refuse(text: string, why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use the ports ${
      shown(text)
    }: ${why}; write them like 22,80,8000-8100, all of them as 1-65535`,
  );
}
