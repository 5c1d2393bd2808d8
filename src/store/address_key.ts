/**
 * Addresses as keys that sort: the family's digit and then every byte in hexadecimal, so that a
 * network is a range of keys and a database needs no type of its own for addresses.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { type Family, parseAddress, parseNetwork } from "@/scope/block.ts";
import { storable } from "./plain_text.ts";

/** A range of keys, both ends included. */
export interface KeyRange {
  readonly first: string;
  readonly last: string;
  /** Tokens of the blocks around an address, one of which holds the whole range; or null. */
  readonly token: string | null;
}

/** Lengths of the keys of the blocks that get a token: /8 /16 /24, and /32 /48 /64. */
const TOKEN_LENGTHS: Readonly<Record<Family, readonly number[]>> = {
  4: [3, 5, 7],
  6: [9, 13, 17],
};

/** Longest text of an address: IPv6 and a zone. */
const ADDRESS_LENGTH_MAX = 100;

/** Sorts behind whatever may follow an address in a key. */
const BEHIND = "~";

/**
 * Makes the key of an address.
 *
 * @param address The address as a tool reported it; a zone may follow.
 * @returns Its key. What is no address sorts behind all of them.
 */
export function addressKey(address: string): string {
  const [plain = "", zone] = address.split("%", 2);
  const block = parseAddress(plain);
  if (block === null) return `z${storable(address, ADDRESS_LENGTH_MAX)}`;
  const key = keyOf(block.family, block.first);
  return zone === undefined
    ? key
    : `${key}%${storable(zone, ADDRESS_LENGTH_MAX)}`;
}

/**
 * Reads an address or a network as a range of keys.
 *
 * @param text An address or a CIDR network.
 * @returns The range.
 * @throws {AppError} `invalid_arguments`.
 */
export function subnetRange(text: string): KeyRange {
  const block = parseNetwork(text) ?? parseAddress(text);
  if (block === null) {
    throw new AppError(
      "invalid_arguments",
      "Cannot filter by that subnet: it is no address and no CIDR network such as 10.0.0.0/24",
    );
  }
  const first = keyOf(block.family, block.first);
  const last = keyOf(block.family, block.last);
  const token = TOKEN_LENGTHS[block.family].findLast((length) =>
    first.slice(0, length) === last.slice(0, length)
  );
  return {
    first,
    last: last + BEHIND,
    token: token === undefined ? null : first.slice(0, token),
  };
}

/**
 * Gives the tokens of the blocks around an address.
 *
 * @param key The address's key.
 * @returns The shorter keys.
 */
export function blockTokens(key: string): readonly string[] {
  const family = key.startsWith("4") ? 4 : key.startsWith("6") ? 6 : null;
  return family === null
    ? []
    : TOKEN_LENGTHS[family].map((length) => key.slice(0, length));
}

function keyOf(family: Family, value: bigint): string {
  return `${family}${value.toString(16).padStart(family === 4 ? 8 : 32, "0")}`;
}
