import assert from "node:assert/strict";
import fc from "fast-check";
import { jsonTokensOf, shorten, takeWhole, tokensOf } from "@/mcp/budget.ts";

Deno.test("tokensOf() counts addresses dearer than prose", () => {
  // What the usual byte-pair tokenizers make of them: seven for an address, three for the marks.
  assert.equal(tokensOf("10.0.0.123"), 7);
  assert.ok(tokensOf('"10.0.0.123",') >= 8);
  assert.equal(tokensOf("Every scan has an end"), 5 + 1);
  assert.equal(tokensOf(""), 0);
});

Deno.test("tokensOf() is never below a sixth of the characters of dense text", () => {
  fc.assert(fc.property(
    fc.string({ unit: fc.constantFrom(...'abz09.,:{}[]"é漢') }),
    (text) => assert.ok(tokensOf(text) >= text.length / 6),
  ));
});

Deno.test("tokensOf() of parts is never below tokensOf() of the whole", () => {
  const part = fc.string({ unit: fc.constantFrom(...'ab1.,{}"\n') });
  fc.assert(fc.property(part, part, (a, b) => {
    assert.ok(tokensOf(a) + tokensOf(b) >= tokensOf(a + b));
  }));
});

Deno.test("jsonTokensOf() of nothing is nothing", () => {
  assert.equal(jsonTokensOf(undefined), 0);
});

Deno.test("takeWhole() takes items while they fit and says where it stopped", () => {
  const costOf = (item: number) => item;
  assert.deepEqual(takeWhole([2, 3, 4], 0, 5, costOf), {
    items: [2, 3],
    end: 2,
  });
  assert.deepEqual(takeWhole([2, 3, 4], 2, 3, costOf), { items: [], end: 2 });
  assert.deepEqual(takeWhole([2], 0, 100, costOf), { items: [2], end: 1 });
});

Deno.test("shorten() cuts between characters", () => {
  assert.equal(shorten("abcdef", 4), "abc…");
  assert.equal(shorten("abc", 3), "abc");
  assert.equal(shorten("ab\u{1f600}cd", 4), "ab…");
});
