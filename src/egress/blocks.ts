/**
 * Sums and differences of blocks of addresses.
 *
 * @module
 */
import { type Block, contains, overlaps } from "@/scope/block.ts";

/**
 * Joins blocks that overlap or adjoin.
 *
 * @param blocks The blocks, in any order.
 * @returns The same addresses as the fewest blocks: IPv4 first, rising.
 */
export function joined(blocks: readonly Block[]): readonly Block[] {
  const result: Block[] = [];
  for (const block of blocks.toSorted(compare)) {
    const last = result.at(-1);
    if (
      last === undefined || last.family !== block.family ||
      last.last + 1n < block.first
    ) result.push(block);
    else if (last.last < block.last) {
      result[result.length - 1] = { ...last, last: block.last };
    }
  }
  return result;
}

/**
 * Takes addresses out of blocks.
 *
 * @param blocks The blocks.
 * @param holes What is taken out.
 * @returns What is left.
 */
export function without(
  blocks: readonly Block[],
  holes: readonly Block[],
): readonly Block[] {
  return holes.reduce(
    (left: readonly Block[], hole) => left.flatMap((one) => cut(one, hole)),
    blocks,
  );
}

function cut(block: Block, hole: Block): readonly Block[] {
  if (!overlaps(block, hole)) return [block];
  if (contains(hole, block)) return [];
  const { family } = block;
  const before = { family, first: block.first, last: hole.first - 1n };
  const behind = { family, first: hole.last + 1n, last: block.last };
  return [before, behind].filter(({ first, last }) => first <= last);
}

function compare(a: Block, b: Block): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.first < b.first ? -1 : a.first > b.first ? 1 : 0;
}
