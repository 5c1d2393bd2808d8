/**
 * Cutting output into lines, in bounded memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Lines } from "@/tools/lines.ts";

function linesOf(
  pieces: readonly Uint8Array[],
  options: { bytesMax: number; carriageReturn?: boolean },
): [string, boolean][] {
  const taken: [string, boolean][] = [];
  const lines = new Lines((line, cut) => taken.push([line, cut]), options);
  for (const piece of pieces) lines.write(piece);
  lines.end();
  return taken;
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("Lines cuts at line feeds, and at carriage returns if told so", () => {
  const pieces = [bytes("a\rb\nc"), bytes("d\n\ne")];
  assert.deepEqual(linesOf(pieces, { bytesMax: 9 }), [
    ["a\rb", false],
    ["cd", false],
    ["e", false],
  ]);
  assert.deepEqual(linesOf(pieces, { bytesMax: 9, carriageReturn: true }), [
    ["a", false],
    ["b", false],
    ["cd", false],
    ["e", false],
  ]);
});

Deno.test("Lines hands on a long line cut, and the next one whole", () => {
  const pieces = [bytes("abcdef"), bytes("ghi\nxyz\n")];
  assert.deepEqual(linesOf(pieces, { bytesMax: 4 }), [["abcd", true], [
    "xyz",
    false,
  ]]);
});

Deno.test("Lines reads alike however the bytes are cut", () => {
  fc.assert(fc.property(
    fc.string({ unit: fc.constantFrom("a", "é", "\n", "\r"), maxLength: 80 }),
    fc.integer({ min: 1, max: 9 }),
    fc.boolean(),
    (text, size, carriageReturn) => {
      const whole = bytes(text);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < whole.length; at += size) {
        pieces.push(whole.subarray(at, at + size));
      }
      const options = { bytesMax: 12, carriageReturn };
      assert.deepEqual(linesOf(pieces, options), linesOf([whole], options));
      const kept = linesOf(pieces, { bytesMax: 1_000, carriageReturn });
      const ends = carriageReturn ? /[\r\n]/ : /\n/;
      assert.deepEqual(
        kept.map(([line]) => line),
        text.split(ends).filter((line) => line !== ""),
      );
    },
  ));
});
