import assert from "node:assert/strict";
import fc from "fast-check";
import { LineSplitter } from "@/mcp/lines.ts";

function split(chunks: readonly Uint8Array[], bytesMax: number): string[] {
  const splitter = new LineSplitter(bytesMax);
  return chunks.flatMap((chunk) =>
    [...splitter.push(chunk)].map((line) =>
      line.kind === "line" ? new TextDecoder().decode(line.bytes) : "!"
    )
  );
}

Deno.test("LineSplitter gives the same lines however the bytes are cut", () => {
  fc.assert(fc.property(
    fc.array(fc.string({ unit: fc.constantFrom(...'ab{}"é'), maxLength: 8 })),
    fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 }),
    (lines, sizes) => {
      const bytes = new TextEncoder().encode(
        lines.map((line) => `${line}\n`).join(""),
      );
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (let turn = 0; at < bytes.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1;
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      assert.deepEqual(split(chunks, 1000), lines);
    },
  ));
});

Deno.test("LineSplitter tells of an overlong line once and reads on behind it", () => {
  const encode = (text: string) => new TextEncoder().encode(text);
  assert.deepEqual(
    split([encode("ok\n"), encode("x".repeat(9)), encode("y\nafter\n")], 8),
    ["ok", "!", "after"],
  );
  assert.deepEqual(split([encode(`${"x".repeat(8)}\n`)], 8), ["x".repeat(8)]);
});

Deno.test("LineSplitter keeps nothing of a line that never ends", () => {
  const splitter = new LineSplitter(1024);
  const chunk = new Uint8Array(64 * 1024).fill(0x61);
  let told = 0;
  for (let turn = 0; turn < 1000; turn++) {
    told += [...splitter.push(chunk)].length;
  }
  assert.equal(told, 1);
});
