/**
 * The ports that a scan looked at. They are either known one by one, or only by the words that chose
 * them: `--top-ports 1000` takes what nmap's own table of services says, which is not at hand here.
 *
 * @module
 */

/** Protocols that a report knows, in the order in which ports are told. */
export const PROTOCOLS = ["tcp", "udp", "sctp", "ip"] as const;

/** One of {@linkcode PROTOCOLS}. */
export type Protocol = typeof PROTOCOLS[number];

/** Longest list that is read: every second port, written out, has about 200,000 characters. */
const LIST_LENGTH_MAX = 524_288;

/** Most ranges of a list that is shown. */
const RANGES_SHOWN_MAX = 40;

/** Ports of one protocol. */
export class PortSet {
  readonly #bits: Uint8Array;
  /** How many ports it holds. */
  readonly count: number;

  private constructor(bits: Uint8Array) {
    this.#bits = bits;
    let count = 0;
    for (const bit of bits) count += bit;
    this.count = count;
  }

  /**
   * Reads a list as nmap writes and takes it: `22,80,8000-8100`, `-100`, `60000-`, `-`.
   *
   * @param text The list, without prefixes of protocols.
   * @returns The ports, or null if the text is no list of numbers.
   */
  static parse(text: string): PortSet | null {
    if (text.length > LIST_LENGTH_MAX) return null;
    const bits = new Uint8Array(65_536);
    if (text === "") return new PortSet(bits);
    for (const item of text.split(",")) {
      const match = /^(\d{1,5})?(-)?(\d{1,5})?$/.exec(item);
      if (match === null || item === "") return null;
      const [, from, dash, to] = match;
      const first = Number(from ?? 1);
      const last = dash === undefined ? first : Number(to ?? 65_535);
      if (first > 65_535 || last > 65_535 || last < first) return null;
      bits.fill(1, first, last + 1);
    }
    return new PortSet(bits);
  }

  /** Tells whether it holds a port. */
  has(port: number): boolean {
    return this.#bits[port] === 1;
  }

  /** Tells whether two sets are the same. */
  equals(other: PortSet): boolean {
    return this.count === other.count &&
      this.#bits.every((bit, port) => bit === other.#bits[port]);
  }

  /** Gives what two sets have in common. */
  and(other: PortSet): PortSet {
    return new PortSet(
      this.#bits.map((bit, port) => bit & (other.#bits[port] ?? 0)),
    );
  }

  /** Writes the ports as ranges; a long list is cut. */
  toString(): string {
    const ranges: string[] = [];
    let first = -1;
    for (let port = 0; port <= 65_536; port++) {
      const held = this.#bits[port] === 1;
      if (held && first < 0) first = port;
      if (held || first < 0) continue;
      ranges.push(first === port - 1 ? `${first}` : `${first}-${port - 1}`);
      first = -1;
    }
    const shown = ranges.slice(0, RANGES_SHOWN_MAX).join(",");
    const left = ranges.length - RANGES_SHOWN_MAX;
    return left > 0 ? `${shown},… ${left} more ranges` : shown;
  }
}

/** What a scan looked at of one protocol. */
export type PortChoice =
  | { readonly kind: "list"; readonly ports: PortSet }
  /** The most frequent ones by the table of one version of nmap. */
  | { readonly kind: "top"; readonly count: number; readonly version: string };

/** What a scan looked at, by protocol. A protocol that is not in it was not scanned. */
export type PortChoices = ReadonlyMap<Protocol, PortChoice>;

/**
 * Counts the ports of a choice.
 *
 * @param choice The choice.
 * @returns How many ports each host was asked for.
 */
export function choiceCount(choice: PortChoice): number {
  return choice.kind === "list" ? choice.ports.count : choice.count;
}

/**
 * Tells whether a scan looked at a port that another scan reports.
 *
 * Of two choices by frequency and of one version of nmap the smaller lies in the larger. A port that
 * was chosen by frequency is in no list for certain that is not the same choice.
 *
 * @param mine What the scan looked at of the protocol, if at all.
 * @param theirs How the other scan came to the port.
 * @param port The port.
 * @returns Whether that is certain.
 */
export function coversPort(
  mine: PortChoice | undefined,
  theirs: PortChoice | undefined,
  port: number,
): boolean {
  if (mine === undefined) return false;
  if (mine.kind === "list") return mine.ports.has(port);
  return theirs?.kind === "top" && theirs.version === mine.version &&
    theirs.count <= mine.count;
}

/**
 * Tells whether two choices are the same ports for certain.
 *
 * @param a A choice.
 * @param b Another one.
 * @returns Whether they are.
 */
export function sameChoice(
  a: PortChoice | undefined,
  b: PortChoice | undefined,
): boolean {
  if (a?.kind === "list" && b?.kind === "list") return a.ports.equals(b.ports);
  return a?.kind === "top" && b?.kind === "top" && a.count === b.count &&
    a.version === b.version;
}

/**
 * Says which ports two scans have both looked at.
 *
 * @param older The choices of one.
 * @param newer The choices of the other.
 * @returns For example `tcp 22,80`, or null if none are known.
 */
export function commonPorts(
  older: PortChoices,
  newer: PortChoices,
): string | null {
  const parts: string[] = [];
  for (const protocol of PROTOCOLS) {
    const [a, b] = [older.get(protocol), newer.get(protocol)];
    if (a?.kind === "list" && b?.kind === "list") {
      const both = a.ports.and(b.ports);
      if (both.count > 0) parts.push(`${protocol} ${both}`);
    } else if (a?.kind === "top" && b?.kind === "top") {
      if (a.version !== b.version) continue;
      parts.push(
        `${protocol}: the ${Math.min(a.count, b.count)} most frequent`,
      );
    }
  }
  return parts.length === 0 ? null : parts.join("; ");
}
