/**
 * Addresses as numbers: which of them a scan covered, and in which order they are told.
 *
 * A comparison looks at every host of two scans, so an IPv4 address is a plain number here; `bigint`,
 * which the scope needs for its judgements, would cost most of the time of a large comparison.
 *
 * @module
 */
import {
  addressText,
  type Block,
  blockText,
  parseAddress,
} from "@/scope/block.ts";
import { parseTarget } from "@/scope/target.ts";
import { AppError } from "@/error/app_error.ts";

/** A run of addresses of one family, both ends included. */
interface Span<N extends number | bigint> {
  readonly first: N;
  readonly last: N;
}

/** A set of addresses. */
export class AddressSet {
  readonly #four: readonly Span<number>[];
  readonly #six: readonly Span<bigint>[];

  private constructor(
    four: readonly Span<number>[],
    six: readonly Span<bigint>[],
  ) {
    this.#four = four;
    this.#six = six;
  }

  /**
   * Makes a set.
   *
   * @param texts Addresses, networks and ranges, as a scan's `targets` has them.
   * @returns The set, or null if one of the texts names no addresses.
   */
  static of(texts: readonly string[]): AddressSet | null {
    const four: Span<number>[] = [];
    const six: Span<bigint>[] = [];
    for (const text of texts) {
      const block = blockOf(text);
      if (block === null) return null;
      const { first, last } = block;
      if (block.family === 6) six.push({ first, last });
      else four.push({ first: Number(first), last: Number(last) });
    }
    return new AddressSet(merged(four), merged(six));
  }

  /** Whether it holds no address at all. */
  get empty(): boolean {
    return this.#four.length === 0 && this.#six.length === 0;
  }

  /** How many addresses it holds; an IPv6 network may have more than a number can count exactly. */
  get size(): number {
    const four = this.#four.reduce(
      (sum, { first, last }) => sum + last - first + 1,
      0,
    );
    const six = this.#six.reduce(
      (sum, { first, last }) => sum + last - first + 1n,
      0n,
    );
    return four + Number(six);
  }

  /**
   * Tells whether it holds an address.
   *
   * @param text The address.
   * @returns False also for what is no address.
   */
  has(text: string): boolean {
    const four = fourOf(text);
    if (four !== null) return holds(this.#four, four);
    const block = parseAddress(text);
    return block !== null && block.family === 6 &&
      holds(this.#six, block.first);
  }

  /**
   * Gives what two sets have in common.
   *
   * @param other The other set.
   * @returns Their common addresses.
   */
  and(other: AddressSet): AddressSet {
    return new AddressSet(
      common(this.#four, other.#four),
      common(this.#six, other.#six),
    );
  }

  /**
   * Writes the set.
   *
   * @param max Most texts; what is more is counted in the last one.
   * @returns Addresses, networks and ranges.
   */
  texts(max: number): readonly string[] {
    const blocks: Block[] = [
      ...this.#four.map(({ first, last }): Block => ({
        family: 4,
        first: BigInt(first),
        last: BigInt(last),
      })),
      ...this.#six.map(({ first, last }): Block => ({
        family: 6,
        first,
        last,
      })),
    ];
    const shown = blocks.slice(0, max).map(blockText);
    const left = blocks.length - shown.length;
    return left === 0 ? shown : [...shown, `… ${left} more`];
  }
}

/**
 * Gives a text that sorts as the addresses do: IPv4 first, each family by number.
 *
 * @param address The address; what is no address sorts last, by its text.
 * @returns The text to sort by.
 */
export function addressOrder(address: string): string {
  const four = fourOf(address);
  if (four !== null) return `4${four.toString(16).padStart(8, "0")}`;
  const block = parseAddress(address);
  if (block === null) return `9${address}`;
  return `6${block.first.toString(16).padStart(32, "0")}`;
}

/**
 * Gives the one text of an address that has several.
 *
 * @param address The address as a tool wrote it.
 * @returns Its canonical text; what is no address stays.
 */
export function sameAddress(address: string): string {
  if (!address.includes(":")) return address;
  const block = parseAddress(address);
  return block === null ? address : addressText(block.family, block.first);
}

/** The number of a dotted address in plain form, or null. */
function fourOf(text: string): number | null {
  if (text.length > 15) return null;
  let value = 0;
  let part = -1;
  let dots = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 46) {
      if (part < 0) return null;
      value = value * 256 + part;
      part = -1;
      dots++;
    } else if (code >= 48 && code <= 57) {
      part = part < 0 ? code - 48 : part * 10 + code - 48;
      if (part > 255) return null;
    } else return null;
  }
  return dots === 3 && part >= 0 ? value * 256 + part : null;
}

function blockOf(text: string): Block | null {
  try {
    const target = parseTarget(text);
    return target.kind === "name" ? null : target.block;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return wideBlockOf(text);
  }
}

/** A range over more than the last octet: our own text, which no request may use. */
function wideBlockOf(text: string): Block | null {
  const [from = "", to = "", more] = text.split("-");
  const [first, last] = [parseAddress(from), parseAddress(to)];
  if (more !== undefined || first === null || last === null) return null;
  if (first.family !== last.family || last.last < first.first) return null;
  return { family: first.family, first: first.first, last: last.last };
}

function merged<N extends number | bigint>(
  spans: readonly Span<N>[],
): readonly Span<N>[] {
  const result: Span<N>[] = [];
  for (const span of [...spans].sort((a, b) => a.first < b.first ? -1 : 1)) {
    const before = result.at(-1);
    if (before !== undefined && span.first <= before.last) {
      const last = span.last > before.last ? span.last : before.last;
      result[result.length - 1] = { first: before.first, last };
    } else result.push(span);
  }
  return result;
}

function common<N extends number | bigint>(
  mine: readonly Span<N>[],
  theirs: readonly Span<N>[],
): readonly Span<N>[] {
  const result: Span<N>[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [mine[i], theirs[j]];
    if (a === undefined || b === undefined) return result;
    const first = a.first > b.first ? a.first : b.first;
    const last = a.last < b.last ? a.last : b.last;
    if (first <= last) result.push({ first, last });
    if (a.last < b.last) i++;
    else j++;
  }
}

/** Looks a number up in sorted spans that lie apart. */
function holds<N extends number | bigint>(
  spans: readonly Span<N>[],
  value: N,
): boolean {
  let [low, high] = [0, spans.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const span = spans[middle];
    if (span === undefined) return false;
    if (value < span.first) high = middle - 1;
    else if (value > span.last) low = middle + 1;
    else return true;
  }
  return false;
}
