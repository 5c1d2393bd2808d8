import assert from "node:assert/strict";
import fc from "fast-check";
import { FRAME_DEPTH_MAX, readFrame } from "@/mcp/frame.ts";
import { verifies } from "../../requirements.ts";

verifies("request.sizes_capped");

function read(text: string) {
  return readFrame(new TextEncoder().encode(text));
}

function codeOf(text: string): number | string {
  const frame = read(text);
  return frame.kind === "refused" && "error" in frame.refusal
    ? frame.refusal.error.code
    : frame.kind;
}

const CASES: readonly (readonly [string, string, number | string])[] = [
  ["a request", '{"jsonrpc":"2.0","id":1,"method":"ping"}', "message"],
  ["a blank line", " \r", "blank"],
  ["no JSON", "GET / HTTP/1.1", -32700],
  ["half of a message", '{"jsonrpc":"2.0","id":1', -32700],
  ["a batch", '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
  ["a text", '"ping"', -32600],
  ["null", "null", -32600],
  ["no version", '{"id":1,"method":"ping"}', -32600],
  ["a method that is no text", '{"jsonrpc":"2.0","id":1,"method":5}', -32600],
  ["an id that is an object", '{"jsonrpc":"2.0","id":{},"method":"x"}', -32600],
  [
    "params that are a list",
    '{"jsonrpc":"2.0","id":1,"method":"x","params":[]}',
    -32600,
  ],
];

for (const [name, text, expected] of CASES) {
  Deno.test(`readFrame() answers ${expected} to ${name}`, () => {
    assert.equal(codeOf(text), expected);
  });
}

Deno.test("readFrame() refuses deep nesting before it parses, and counts no brackets in texts", () => {
  const deep = (levels: number) =>
    `{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":${"[".repeat(levels)}${
      "]".repeat(levels)
    }}}`;
  assert.equal(codeOf(deep(FRAME_DEPTH_MAX - 2)), "message");
  assert.equal(codeOf(deep(FRAME_DEPTH_MAX - 1)), -32600);
  assert.equal(codeOf(deep(100_000)), -32600);
  const text = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "x",
    params: { a: `${"[{".repeat(500)}\\"` },
  });
  assert.equal(codeOf(text), "message");
});

Deno.test("readFrame() says that batches are not taken", () => {
  const frame = read('[{"jsonrpc":"2.0","id":1,"method":"ping"}]');
  assert.ok(frame.kind === "refused" && "error" in frame.refusal);
  assert.match(frame.refusal.error.message, /send one message a line$/);
});

Deno.test("readFrame() refuses bytes that are no UTF-8", () => {
  const frame = readFrame(new Uint8Array([0x7b, 0xff, 0x7d]));
  assert.equal(frame.kind, "refused");
});

Deno.test("readFrame() names the id of a request that is malformed", () => {
  const frame = read('{"jsonrpc":"1.0","id":"q","method":"x"}');
  assert.ok(frame.kind === "refused" && "id" in frame.refusal);
  assert.equal(frame.refusal.id, "q");
});

Deno.test("readFrame() throws nothing, whatever arrives", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    readFrame(bytes);
  }));
  fc.assert(fc.property(fc.json(), (text) => {
    read(text);
  }));
});

Deno.test("readFrame() lets no key touch a prototype", () => {
  read(
    '{"jsonrpc":"2.0","id":1,"method":"x","params":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}',
  );
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});
