/**
 * Command lines under attack: look-alikes of the two classes, and every text that a property test
 * can think of.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  Argv,
  type FlagArity,
  type Grammar,
  type Part,
  SafeText,
  TOKEN_COUNT_MAX,
  TOKEN_LENGTH_MAX,
} from "@/spawn/argv.ts";
import { verifies } from "../../requirements.ts";

const GRAMMAR: Grammar = {
  program: "nmap",
  flags: new Map<string, FlagArity>([
    ["-n", "none"],
    ["-p", "next"],
    ["--script", "equals"],
    ["-PS", "glued"],
  ]),
};

const ANYTHING = /[\s\S]+/;

/** Text of every kind, the hostile kinds more often. */
const TEXT = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.tuple(
    fc.constantFrom("-", "--", "\u2212", "\u2010", " -", "\n-", "\0-", ""),
    fc.string(),
  ).map(([head, tail]) => head + tail),
);

Deno.test("SafeText.match() takes printable ASCII that begins with no dash, and nothing else", () => {
  verifies("argv.no_leading_dash");
  fc.assert(fc.property(TEXT, (text) => {
    const fit = /^[\x21-\x7e]+$/.test(text) && !text.startsWith("-");
    let made: string | null = null;
    try {
      made = String(SafeText.match(text, ANYTHING));
    } catch (thrown) {
      assert.ok(thrown instanceof RangeError);
    }
    assert.equal(made, fit ? text : null);
  }));
});

Deno.test("SafeText.match() anchors a pattern that is not, whatever its flags", () => {
  for (
    const pattern of [/a|b/, /^a|b$/, /a|b/g, /a|b/y, /(?:a|b)/m, /^a$|^b$/m]
  ) {
    for (const text of ["ax", "xb", "a\nx", "x\nb"]) {
      assert.throws(() => SafeText.match(text, pattern), RangeError);
    }
    assert.equal(String(SafeText.match("a", pattern)), "a", String(pattern));
  }
  // A sticky pattern remembers where it was; it must not decide twice differently.
  const sticky = /a/gy;
  assert.equal(String(SafeText.match("a", sticky)), "a");
  assert.equal(String(SafeText.match("a", sticky)), "a");
});

Deno.test("SafeText.match() caps the length", () => {
  const most = "a".repeat(TOKEN_LENGTH_MAX);
  assert.equal(String(SafeText.match(most, /a+/)).length, 16_384);
  assert.throws(() => SafeText.match(`${most}a`, /a+/), RangeError);
  assert.throws(() => SafeText.match("", /a*/), RangeError);
});

/** Look-alikes of a value that a class made. */
function forgeries<T extends object>(made: T): readonly unknown[] {
  const prototype = Object.getPrototypeOf(made) as object;
  return [
    null,
    undefined,
    "-oN",
    42,
    {},
    [],
    { toString: () => "-oN" },
    { toJSON: () => ["nmap", "-oN"] },
    Object.create(prototype),
    Object.create(made),
    Object.setPrototypeOf({ text: "-oN" }, prototype),
    structuredClone(made),
    { ...made },
    new Proxy(made, {}),
  ];
}

Deno.test("SafeText.textOf() refuses every look-alike", () => {
  verifies("argv.forgery_refused");
  for (const forged of forgeries(SafeText.match("a", /a/))) {
    assert.throws(() => SafeText.textOf(forged as SafeText), TypeError);
    assert.throws(
      () => Argv.build(GRAMMAR, [{ operand: forged as SafeText }]),
      TypeError,
    );
    // A number is the one other value that a flag takes, undefined is none at all.
    if (typeof forged === "number") continue;
    assert.throws(
      () => Argv.build(GRAMMAR, [{ flag: "-p", value: forged as SafeText }]),
      forged === undefined ? RangeError : TypeError,
    );
  }
});

Deno.test("Argv.tokensOf() refuses every look-alike", () => {
  verifies("argv.forgery_refused");
  const argv = Argv.build(GRAMMAR, [{ flag: "-n" }]);
  assert.deepEqual(Argv.tokensOf(argv), ["-n"]);
  for (const forged of forgeries(argv)) {
    assert.throws(() => Argv.tokensOf(forged as Argv), TypeError);
  }
});

Deno.test("neither class can be constructed, extended into or reached by its constructor", () => {
  verifies("argv.forgery_refused");
  const text = SafeText.match("a", /a/);
  const argv = Argv.build(GRAMMAR, []);
  for (const made of [text, argv]) {
    const Class = made.constructor as new (...args: unknown[]) => unknown;
    for (const mint of [Symbol("spawn/argv"), undefined, made]) {
      assert.throws(() => new Class(mint, "-oN", ["-oN"]), TypeError);
      assert.throws(
        () => Reflect.construct(Class, [mint, "-oN", ["-oN"]]),
        TypeError,
      );
    }
  }
});

Deno.test("the tokens of an Argv cannot be changed afterwards", () => {
  const parts: Part[] = [{ flag: "-n" }];
  const argv = Argv.build(GRAMMAR, parts);
  parts.push({ flag: "-p", value: 1 });
  const tokens = Argv.tokensOf(argv) as string[];
  assert.throws(() => tokens.push("-oN"), TypeError);
  assert.throws(() => (tokens[0] = "-oN"), TypeError);
  argv.toJSON().push("-oN");
  assert.deepEqual(Argv.tokensOf(argv), ["-n"]);
});

const PART: fc.Arbitrary<unknown> = fc.oneof(
  fc.record({ operand: TEXT }),
  fc.record({ flag: TEXT }),
  fc.record({ flag: fc.constantFrom("-n", "-p", "--script", "-PS", "-oN") }),
  fc.record({
    flag: fc.constantFrom("-n", "-p", "--script", "-PS", "-oN", "__proto__"),
    value: fc.oneof(TEXT, fc.integer(), fc.double()),
  }),
);

/** Turns the texts of a drawn part into values, as a tool does; null where a text is refused. */
function partOf(drawn: unknown): Part | null {
  const { flag, value, operand } = drawn as Record<string, unknown>;
  try {
    if (typeof operand === "string") {
      return { operand: SafeText.match(operand, ANYTHING) };
    }
    return {
      flag: String(flag),
      ...(value === undefined ? {} : {
        value: typeof value === "number"
          ? value
          : SafeText.match(String(value), ANYTHING),
      }),
    };
  } catch {
    return null;
  }
}

Deno.test("Argv.build() makes no token but flags of the grammar and values without a dash", () => {
  verifies("argv.no_leading_dash");
  fc.assert(fc.property(fc.array(PART, { maxLength: 8 }), (drawn) => {
    const parts = drawn.map(partOf).filter((part) => part !== null);
    let tokens: readonly string[];
    try {
      tokens = Argv.tokensOf(Argv.build(GRAMMAR, parts));
    } catch (thrown) {
      assert.ok(thrown instanceof RangeError);
      return;
    }
    for (const token of tokens) {
      assert.match(token, /^[\x21-\x7e]+$/);
      if (!token.startsWith("-")) continue;
      assert.match(token, /^(?:-n|-p|--script=[^-].*|-PS[^-].*)$/);
    }
    const dashes = tokens.filter((token) => token.startsWith("-")).length;
    assert.equal(dashes, parts.filter((part) => "flag" in part).length);
  }));
});

Deno.test("Argv.build() writes each arity in its one form", () => {
  const value = SafeText.match("22", /\d+/);
  const parts: Part[] = [
    { flag: "-n" },
    { flag: "-p", value },
    { flag: "--script", value },
    { flag: "-PS", value: 22 },
    { operand: value },
  ];
  assert.deepEqual(Argv.build(GRAMMAR, parts).toJSON(), [
    "nmap",
    "-n",
    "-p",
    "22",
    "--script=22",
    "-PS22",
    "22",
  ]);
});

Deno.test("Argv.build() refuses unknown flags, wrong arity, odd numbers and too many tokens", () => {
  const value = SafeText.match("22", /\d+/);
  const refused: Part[][] = [
    [{ flag: "-oN" }],
    [{ flag: "-oN", value }],
    [{ flag: "-oN", value: 1 }],
    [{ flag: "toString", value }],
    [{ flag: "-p=22" }],
    [{ flag: "" }],
    [{ flag: "-n", value }],
    [{ flag: "-p" }],
    [{ flag: "-p", value: -1 }],
    [{ flag: "-p", value: 1.5 }],
    [{ flag: "-p", value: NaN }],
    [{ flag: "-p", value: Infinity }],
    [{ flag: "-p", value: 2 ** 53 }],
    Array.from({ length: TOKEN_COUNT_MAX + 1 }, () => ({ operand: value })),
  ];
  for (const parts of refused) {
    assert.throws(() => Argv.build(GRAMMAR, parts), RangeError);
  }
  assert.equal(TOKEN_COUNT_MAX, 4_096);
});
