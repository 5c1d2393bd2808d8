/**
 * A block of addresses: every address from a first to a last one, of one family.
 *
 * Networks, ranges and single addresses are all blocks, so the scope's rules are comparisons of two
 * numbers and have one implementation. `bigint` is used for both families: an IPv6 network has more
 * addresses than a `number` can count.
 *
 * Text is read strictly. `ipaddr.js` would also take what `inet_aton` takes (`0x7f.1`, `010.0.0.1`,
 * `127.1`), zone ids, and IPv4 embedded in IPv6; two programs that read such a text differently would
 * judge one address and scan another, so none of these is taken here.
 *
 * @module
 */
import ipaddr from "ipaddr.js";

/** 4 or 6. */
export type Family = 4 | 6;

/** Every address from `first` to `last`, both included. */
export interface Block {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/**
 * Reads one address.
 *
 * @param text Four plain decimal numbers, or an IPv6 address without dots and without a zone.
 * @returns The block of that one address, or null if the text is anything else.
 */
export function parseAddress(text: string): Block | null {
  if (text.length > 39) return null;
  if (/^[0-9.]+$/.test(text)) {
    if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return null;
    return single(4, ipaddr.IPv4.parse(text).toByteArray());
  }
  if (!/^[0-9a-f:]+$/i.test(text) || !ipaddr.IPv6.isValid(text)) return null;
  return single(6, ipaddr.IPv6.parse(text).toByteArray());
}

/**
 * Reads one network.
 *
 * @param text An address, `/`, and a decimal prefix length.
 * @returns The whole network that holds that address, or null if the text is anything else.
 */
export function parseNetwork(text: string): Block | null {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  if (match === null) return null;
  const address = parseAddress(match[1] ?? "");
  const prefix = Number(match[2]);
  if (address === null || prefix > bitsOf(address.family)) return null;
  return networkOf(address, prefix);
}

/**
 * Gives the network around an address.
 *
 * @param block The address; of a larger block, its first address.
 * @param prefix The prefix length.
 * @returns The network.
 */
export function networkOf(block: Block, prefix: number): Block {
  const host = BigInt(bitsOf(block.family) - prefix);
  const first = (block.first >> host) << host;
  return { family: block.family, first, last: first + (1n << host) - 1n };
}

/** Tells how many bits an address of a family has. */
export function bitsOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** Counts the addresses of a block. */
export function sizeOf(block: Block): bigint {
  return block.last - block.first + 1n;
}

/** Tells whether a block lies in another as a whole. */
export function contains(outer: Block, inner: Block): boolean {
  return outer.family === inner.family && outer.first <= inner.first &&
    inner.last <= outer.last;
}

/** Tells whether two blocks share an address. */
export function overlaps(a: Block, b: Block): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/**
 * Gives the prefix length of a block that is a network.
 *
 * @param block The block.
 * @returns The prefix length, or null if the block is no network.
 */
export function prefixOf(block: Block): number | null {
  const size = sizeOf(block);
  if ((size & (size - 1n)) !== 0n || block.first % size !== 0n) return null;
  return bitsOf(block.family) - (size.toString(2).length - 1);
}

/**
 * Cuts a block into networks.
 *
 * @param block The block.
 * @returns The fewest networks that are the block together, in order; a single address without a prefix.
 */
export function networksOf(block: Block): string[] {
  const bits = bitsOf(block.family);
  const networks: string[] = [];
  for (let first = block.first; first <= block.last;) {
    let host = 0;
    const left = block.last - first + 1n;
    while (
      host < bits && first % (1n << BigInt(host + 1)) === 0n &&
      1n << BigInt(host + 1) <= left
    ) host++;
    const size = 1n << BigInt(host);
    networks.push(
      blockText({ family: block.family, first, last: first + size - 1n }),
    );
    first += size;
  }
  return networks;
}

/**
 * Writes an address in its canonical form.
 *
 * @param family The family.
 * @param value The address as a number.
 * @returns Dotted decimal, or RFC 5952 without an embedded dotted part.
 */
export function addressText(family: Family, value: bigint): string {
  const bytes = Array.from(
    { length: bitsOf(family) / 8 },
    (_, index, shift = BigInt(bitsOf(family) - 8 * (index + 1))) =>
      Number((value >> shift) & 0xffn),
  );
  return family === 4
    ? bytes.join(".")
    : new ipaddr.IPv6(bytes).toRFC5952String();
}

/**
 * Writes a block: an address, a network, or `first-last`.
 *
 * @param block The block.
 * @returns Its canonical text. A range inside one IPv4 `/24` is shortened to `a.b.c.d-e`.
 */
export function blockText(block: Block): string {
  const first = addressText(block.family, block.first);
  if (block.first === block.last) return first;
  const prefix = prefixOf(block);
  if (prefix !== null) return `${first}/${prefix}`;
  if (block.family === 4 && block.first >> 8n === block.last >> 8n) {
    return `${first}-${block.last & 0xffn}`;
  }
  return `${first}-${addressText(block.family, block.last)}`;
}

function single(family: Family, bytes: readonly number[]): Block {
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { family, first: value, last: value };
}
