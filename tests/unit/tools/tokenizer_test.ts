/**
 * `extra_args`: tokens, and flags that become fields.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import {
  type FlagTable,
  foldFlags,
  joinFolded,
  tokenize,
  TOKENS_MAX,
  wholeNumber,
  yes,
} from "@/tools/tokenizer.ts";
import { verifies } from "../../requirements.ts";

verifies("extra_args.tokenizer", "extra_args.allowlist", "extra_args.folded");

const TABLE: FlagTable = {
  allowed: [
    { names: ["-s"], field: "small", value: yes },
    { names: ["-p"], forms: ["glued", "next"], field: "ports", value: same },
    {
      names: ["--threads", "-t"],
      forms: ["equals", "next"],
      field: "threads",
      value: wholeNumber,
    },
    { names: ["-PS"], forms: ["glued"], field: "ping", value: same },
  ],
  refused: [
    { names: ["-o", "--output"], code: "invalid_arguments", why: "no files" },
    { names: ["--decoy"], code: "intrusive_not_allowed", why: "no decoys" },
  ],
};

Deno.test("tokenize() splits at spaces and groups in quotes", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["", []],
    ["   ", []],
    ["-sV  --open ", ["-sV", "--open"]],
    [`-p "22 80"`, ["-p", "22 80"]],
    [`a'b c'd"e f"g`, ["ab cde fg"]],
    [`'"' "'"`, ['"', "'"]],
    ["$(id) `id` ; | & > \\ *", [
      "$(id)",
      "`id`",
      ";",
      "|",
      "&",
      ">",
      "\\",
      "*",
    ]],
    ["a\\ b", ["a\\", "b"]],
  ];
  for (const [text, tokens] of cases) assert.deepEqual(tokenize(text), tokens);
});

Deno.test("tokenize() refuses with a reason", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["-sV\n-oN x", /not printable ASCII/],
    ["-sV\t-oN", /not printable ASCII/],
    ["a\u0000b", /not printable ASCII/],
    ["\u2212sV", /not printable ASCII/],
    ["a\u00a0b", /not printable ASCII/],
    ["\u007f", /not printable ASCII/],
    ["'abc", /a ' is not closed/],
    ['a"', /a " is not closed/],
    ["a '' b", /an empty token/],
    ["a ".repeat(TOKENS_MAX + 1), /65 tokens, at most 64/],
    ["a".repeat(8_193), /8193 characters, at most 8192/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => tokenize(text), refusal("invalid_arguments", message));
  }
  assert.equal(tokenize("a ".repeat(TOKENS_MAX)).length, TOKENS_MAX);
});

Deno.test("tokenize() gives tokens of the text's own characters, or refuses", () => {
  const texts = fc.string({
    unit: fc.oneof(
      fc.constantFrom(..." '\"\\-=ab"),
      fc.string({ unit: "binary", minLength: 1, maxLength: 1 }),
    ),
    maxLength: 80,
  });
  fc.assert(
    fc.property(texts, (text) => {
      let tokens;
      try {
        tokens = tokenize(text);
      } catch (error) {
        return error instanceof AppError && error.code === "invalid_arguments";
      }
      for (const token of tokens) assert.match(token, /^[\x20-\x7e]+$/);
      // Quotes and spaces between tokens are all that may get lost.
      const plain = (part: string) => part.replaceAll(/[ '"]/g, "");
      assert.equal(plain(tokens.join("")), plain(text));
      return true;
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("foldFlags() takes each form of a value that the table names", () => {
  const cases: readonly (readonly [string, Record<string, unknown>])[] = [
    ["-s", { small: true }],
    ["-p80", { ports: "80" }],
    ["-p 80", { ports: "80" }],
    ["-p -", { ports: "-" }],
    ["-p-", { ports: "-" }],
    ["--threads=4", { threads: 4 }],
    ["--threads 4", { threads: 4 }],
    ["-t 4", { threads: 4 }],
    ["-t=4", { threads: 4 }],
    ["--threads=0x4", { threads: "0x4" }],
    ["--threads=1e3", { threads: "1e3" }],
    ["--threads=", { threads: "" }],
    ["-PS", { ping: "" }],
    ["-PS22,80 -s", { ping: "22,80", small: true }],
  ];
  for (const [text, fields] of cases) {
    const folded = foldFlags(tokenize(text), TABLE);
    assert.deepEqual(Object.fromEntries(folded), fields, text);
  }
});

Deno.test("foldFlags() refuses every token that is not an allowed flag or its value", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      "10.0.0.1",
      /"10\.0\.0\.1" is not allowed; the flags are -s -p --threads -PS/,
    ],
    ["-s 10.0.0.1", /"10\.0\.0\.1" is not allowed/],
    ["-sp80", /"-sp80" is not allowed/],
    ["-s=1", /"-s=1" is not allowed/],
    ["--thread=4", /"--thread=4" is not allowed/],
    ["--threads4", /"--threads4" is not allowed/],
    ["-p=80", /"-p=80" is not allowed/],
    ["-t4", /"-t4" is not allowed/],
    ["-p", /-p needs a value/],
    ["-p -s", /-p needs a value/],
    ["-p --", /-p needs a value/],
    ["--threads -1", /--threads needs a value/],
    ["--", /"--" is not allowed/],
    ["-", /"-" is not allowed/],
    ["-s -s", /-s sets "small", which another flag sets already/],
    ["-t 1 --threads=2", /sets "threads", which another/],
    ["-o /x", /the flag "-o" in extra_args: no files/],
    ["-o/x", /no files/],
    ["--output=/x", /no files/],
    ["'-s '", /"-s " is not allowed/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => foldFlags(tokenize(text), TABLE),
      refusal("invalid_arguments", message),
      text,
    );
  }
  assert.throws(
    () => foldFlags(["--decoy=1"], TABLE),
    refusal("intrusive_not_allowed", /no decoys/),
  );
});

Deno.test("joinFolded() refuses a field that is set twice", () => {
  const folded = new Map([["ports", "80"]]);
  assert.deepEqual(joinFolded({ target: "x", ports: undefined }, folded), {
    target: "x",
    ports: "80",
  });
  assert.throws(
    () => joinFolded({ ports: "22" }, folded),
    refusal("invalid_arguments", /sets "ports", which the argument/),
  );
});

function refusal(code: string, message: RegExp) {
  return (error: unknown) =>
    error instanceof AppError && error.code === code &&
    message.test(error.message);
}

function same(value: string): string {
  return value;
}
