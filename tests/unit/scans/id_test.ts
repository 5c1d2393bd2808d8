/**
 * Ids of scans: sorted by time, and not to be guessed.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { newScanId } from "@/scans/id.ts";

const zeros = (bytes: Uint8Array) => void bytes.fill(0);
const ones = (bytes: Uint8Array) => void bytes.fill(255);

/** Any time from 1970 to the year 10889. */
const TIME = fc.integer({ min: 0, max: 2 ** 48 });

Deno.test("newScanId() makes 26 characters that fit an address and a file name", () => {
  fc.assert(fc.property(TIME, fc.uint8Array({ minLength: 16 }), (at, noise) => {
    const id = newScanId(at, (bytes) => bytes.set(noise.subarray(0, 16)));
    assert.match(id, /^[0-9a-hjkmnp-tv-z]{26}$/);
  }));
});

Deno.test("newScanId() sorts by time whatever chance says", () => {
  fc.assert(fc.property(TIME, TIME, (a, b) => {
    fc.pre(a < b);
    assert.ok(newScanId(a, ones) < newScanId(b, zeros));
  }));
});

Deno.test("newScanId() takes 80 bits of chance", () => {
  const asked: number[] = [];
  const ids = new Set<string>();
  for (let byte = 0; byte < 32; byte++) {
    ids.add(newScanId(1, (bytes) => {
      asked.push(bytes.length);
      bytes.fill(byte);
    }));
  }
  // Five bits a character, each of them used.
  assert.equal(ids.size, 32);
  assert.ok(asked.every((length) => length === 16));
});

Deno.test("newScanId() is pinned", () => {
  assert.equal(
    newScanId(1_700_000_000_000, zeros),
    "01hf7yat000000000000000000",
  );
});
