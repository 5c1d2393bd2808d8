/**
 * Columns for a person at a terminal.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { styleOf } from "@/cli/style.ts";
import { table } from "@/cli/table.ts";

Deno.test("table() makes each column as wide as its widest cell", () => {
  assert.deepEqual(
    table([["HOST", "PORT"], ["127.0.0.1", "22/tcp"], ["::1", ""]], 80),
    ["HOST       PORT", "127.0.0.1  22/tcp", "::1"],
  );
});

Deno.test("table() takes rows of different lengths, and none", () => {
  assert.deepEqual(table([["a"], ["b", "c"]], 80), ["a", "b  c"]);
  assert.deepEqual(table([], 80), []);
  assert.deepEqual(table([[]], 80), [""]);
});

Deno.test("table() cuts what is wider than the terminal and says so", () => {
  const [line = ""] = table([["a", "x".repeat(100)]], 40);
  assert.equal(line.length, 40);
  assert.equal(line.at(-1), "…");
});

Deno.test("table() never writes a line that is too wide or ends in blanks", () => {
  const rows = fc.array(fc.array(fc.string()), { maxLength: 6 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 21, max: 200 }), (all, columns) => {
      const lines = table(all, columns);
      assert.equal(lines.length, all.length);
      for (const line of lines) {
        assert.ok(line.length <= columns);
        assert.equal(line, line.trimEnd());
      }
    }),
  );
});

Deno.test("styleOf() paints only where colours are wanted", () => {
  assert.equal(styleOf(true).red("x"), "\x1b[31mx\x1b[0m");
  for (const paint of Object.values(styleOf(false))) {
    assert.equal(paint("x"), "x");
  }
});
