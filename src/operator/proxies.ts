/**
 * Who really calls, behind proxies. A header says what its sender likes, so it is read only when it
 * comes from a proxy that the operator named, and only as far back as such proxies reach: the address
 * that counts is the rightmost one that is none of them.
 *
 * A proxy writes one of the two headers and may hand on the other as the client sent it. Which one is
 * the proxy's cannot be told; so where both are there and disagree, neither is believed.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import {
  addressText,
  type Block,
  contains,
  parseAddress,
  parseNetwork,
} from "@/scope/block.ts";

/** Most hops that are read. */
const HOPS_MAX = 16;

/** Longest header that is read. */
const HEADER_LENGTH_MAX = 2_048;

/** Where a request comes from. */
export interface Caller {
  readonly address: string;
  /** What the client spoke to the outermost trusted proxy, if one says. */
  readonly scheme: "http" | "https" | null;
}

/** The proxies that are believed. */
export class Proxies {
  readonly #networks: readonly Block[];

  /** @param server The section of the configuration. */
  constructor(server: Config["server"]) {
    this.#networks = server.trusted_proxies.flatMap((text) => {
      const network = parseNetwork(text) ?? parseAddress(text);
      return network === null ? [] : [network];
    });
  }

  /** Whether there is any, so that a peer's address has to be known at all. */
  get any(): boolean {
    return this.#networks.length > 0;
  }

  /**
   * Tells where a request comes from.
   *
   * @param peer The address of the connection's other end.
   * @param headers The request's headers.
   * @returns The address, and the scheme if a trusted proxy says.
   */
  callerOf(peer: string, headers: Headers): Caller {
    const address = plainAddress(peer);
    if (!this.#trusts(address)) return { address, scheme: null };
    const listed = hopsOf(headers.get("x-forwarded-for"), listedHops);
    const forwarded = hopsOf(headers.get("forwarded"), forwardedHops);
    const scheme = schemeOf(headers.get("x-forwarded-proto"));
    if (listed === null && forwarded === null) return { address, scheme };
    const [one, other] = [listed, forwarded].map((hops) =>
      hops === null ? null : this.#outermost(address, hops)
    );
    const caller = one !== null && other !== null && one !== other
      ? address
      : one ?? other ?? address;
    return { address: caller, scheme };
  }

  /** Goes back from the nearest hop until one is nobody we trust, or says nothing. */
  #outermost(peer: string, hops: readonly string[]): string {
    let caller = peer;
    for (const hop of hops.toReversed()) {
      const block = parseAddress(hop);
      if (block === null) return caller;
      caller = addressText(block.family, block.first);
      if (!this.#trusts(caller)) return caller;
    }
    return caller;
  }

  #trusts(address: string): boolean {
    const block = parseAddress(address);
    return block !== null &&
      this.#networks.some((network) => contains(network, block));
  }
}

/**
 * Writes a peer's address as everything else writes it: an IPv4 client of a socket that takes both
 * families is one of IPv4.
 *
 * @param peer The address as the runtime gives it.
 * @returns The address.
 */
export function plainAddress(peer: string): string {
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(peer) ? peer.slice(7) : peer;
}

function hopsOf(
  header: string | null,
  read: (header: string) => string[],
): string[] | null {
  if (header === null) return null;
  // What is too long is no list of hops: it says nothing.
  if (header.length > HEADER_LENGTH_MAX) return [];
  return read(header).slice(-HOPS_MAX);
}

function listedHops(header: string): string[] {
  return header.split(",").map((hop) => withoutPort(hop.trim()));
}

function forwardedHops(header: string): string[] {
  return header.split(",").map((element) => {
    const [, quoted, bare] =
      /(?:^|;)\s*for\s*=\s*(?:"([^"\\]*)"|([^\s;,"]+))/i.exec(element) ?? [];
    return withoutPort(quoted ?? bare ?? "");
  });
}

/** `[::1]:80`, `192.0.2.1:80` and plain addresses. */
function withoutPort(hop: string): string {
  const [, bracketed] = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop) ?? [];
  return plainAddress(
    bracketed ?? hop.replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, "$1"),
  );
}

function schemeOf(header: string | null): "http" | "https" | null {
  const last = header?.split(",").at(-1)?.trim().toLowerCase();
  return last === "http" || last === "https" ? last : null;
}
