import assert from "node:assert/strict";
import { Ends } from "@/spawn/ends.ts";

function ends(bytesMax: number, ...chunks: readonly string[]): string {
  const both = new Ends(bytesMax);
  for (const chunk of chunks) both.add(new TextEncoder().encode(chunk));
  return both.text();
}

Deno.test("Ends keeps a short text whole, in one chunk or in many", () => {
  assert.equal(ends(8, ""), "");
  assert.equal(ends(8, "abc"), "abc");
  assert.equal(ends(4, "ab", "cd", "ef", "gh"), "abcdefgh");
  assert.equal(ends(4, "abcdefgh"), "abcdefgh");
});

Deno.test("Ends keeps the first and the last bytes of a long text, and nothing twice", () => {
  assert.equal(ends(3, "abcdefghij"), "abchij");
  assert.equal(ends(3, "ab", "cde", "fgh", "ij"), "abchij");
  assert.equal(ends(3, "abcd"), "abcd");
});
