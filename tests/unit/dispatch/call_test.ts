/**
 * The options of a call, apart from the tool's request.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { parseCallArguments } from "@/dispatch/call.ts";
import { verifies } from "../../requirements.ts";

Deno.test("parseCallArguments() takes the call's options and leaves the rest to the tool", () => {
  assert.deepEqual(
    parseCallArguments({
      target: "127.0.0.1",
      background: true,
      max_tokens: 700,
      argv: ["-oN"],
      engagement: "spring",
      tags: ["dmz"],
      idempotency_key: "k-1",
      no_cache: true,
    }),
    {
      background: true,
      plan: false,
      maxTokens: 700,
      engagement: "spring",
      tags: ["dmz"],
      idempotencyKey: "k-1",
      noCache: true,
      request: { target: "127.0.0.1", argv: ["-oN"] },
    },
  );
  assert.deepEqual(parseCallArguments({}), {
    background: false,
    plan: false,
    maxTokens: undefined,
    engagement: null,
    tags: [],
    idempotencyKey: null,
    noCache: false,
    request: {},
  });
});

Deno.test("parseCallArguments() refuses what is no object, and options of the wrong kind", () => {
  const refused: readonly unknown[] = [
    null,
    undefined,
    "x",
    1,
    [],
    { background: 1 },
    { background: "true" },
    { plan: null },
    { max_tokens: 499 },
    { max_tokens: 50_001 },
    { max_tokens: 1.5 },
    { max_tokens: "600" },
    { engagement: "" },
    { engagement: "x".repeat(65) },
    { tags: "dmz" },
    { tags: [] },
    { tags: [1] },
    { tags: Array.from({ length: 17 }, (_, i) => `t${i}`) },
    { idempotency_key: "" },
    { idempotency_key: "x".repeat(129) },
    { no_cache: "yes" },
  ];
  for (const [at, input] of refused.entries()) {
    assert.throws(() => parseCallArguments(input), (error) => {
      assert.ok(error instanceof AppError, `case ${at}`);
      assert.equal(error.code, "invalid_arguments");
      return true;
    });
  }
});

Deno.test("parseCallArguments() keeps a hostile key as a key and reaches no prototype", () => {
  verifies("request.unknown_field_refused");
  const hostile = JSON.parse('{"__proto__": {"plan": true}, "constructor": 1}');
  const { plan, request } = parseCallArguments(hostile);
  assert.equal(plan, false);
  assert.deepEqual(Object.keys(request), ["__proto__", "constructor"]);
  assert.equal(Object.getPrototypeOf(request), Object.prototype);
});

Deno.test("parseCallArguments() loses no argument and adds none", () => {
  const input = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(fc.property(input, (given) => {
    const own = new Set([
      "background",
      "plan",
      "max_tokens",
      "engagement",
      "tags",
      "idempotency_key",
      "no_cache",
    ]);
    fc.pre(Object.keys(given).every((key) => !own.has(key)));
    assert.deepEqual(
      Object.entries(parseCallArguments(given).request),
      Object.entries(given),
    );
  }));
});
