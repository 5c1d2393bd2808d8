import assert from "node:assert/strict";
import fc from "fast-check";
import { joined, without } from "@/egress/blocks.ts";
import type { Block } from "@/scope/block.ts";

/** Small numbers, so that blocks meet often and every address can be asked. */
const LAST = 40;

const blocks = fc.array(
  fc.tuple(
    fc.constantFrom(4, 6),
    fc.integer({ min: 0, max: LAST }),
    fc.integer({ min: 0, max: LAST }),
  ).map(([family, a, b]): Block => ({
    family: family === 4 ? 4 : 6,
    first: BigInt(Math.min(a, b)),
    last: BigInt(Math.max(a, b)),
  })),
  { maxLength: 8 },
);

function addresses(list: readonly Block[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { family, first, last } of list) {
    for (let value = first; value <= last; value += 1n) {
      found.add(`${family} ${value}`);
    }
  }
  return found;
}

Deno.test("joined() keeps every address, in blocks that rise and do not touch", () => {
  fc.assert(fc.property(blocks, (list) => {
    const result = joined(list);
    assert.deepEqual(
      [...addresses(result)].sort(),
      [...addresses(list)].sort(),
    );
    for (const [index, block] of result.entries()) {
      const before = result[index - 1];
      if (before === undefined) continue;
      assert.ok(
        before.family < block.family ||
          (before.family === block.family && before.last + 1n < block.first),
      );
    }
  }));
});

Deno.test("without() takes out exactly the holes", () => {
  fc.assert(fc.property(blocks, blocks, (list, holes) => {
    const gone = addresses(holes);
    const left = [...addresses(list)].filter((one) => !gone.has(one));
    assert.deepEqual([...addresses(without(list, holes))].sort(), left.sort());
  }));
});
