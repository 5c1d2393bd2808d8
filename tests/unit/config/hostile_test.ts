import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { loadConfig } from "@/config/load.ts";
import { KEYS } from "@/config/schema.ts";

/** Loads, or is refused as it should be; anything else fails. */
function attempt(text: string, name = "x.yaml"): string {
  try {
    loadConfig({ file: { name, text }, env: {} });
    return "loaded";
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, "invalid_arguments");
    assert.equal(error.cause, undefined, "a parser's fault was not foreseen");
    return error.message.split("\n")[1]?.trim() ?? "";
  }
}

function bomb(): string {
  const lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let level = 1; level < 20; level += 1) {
    const aliases = Array.from({ length: 10 }, () => `*l${level - 1}`);
    lines.push(`l${level}: &l${level} [${aliases.join(", ")}]`);
  }
  return lines.join("\n");
}

const HOSTILE:
  readonly (readonly [name: string, text: string, line: string])[] = [
    [
      "an alias bomb",
      bomb(),
      "x.yaml:2:10: aliases are not taken; write the value out",
    ],
    [
      "a cycle",
      "server: &s [*s]",
      "x.yaml:1:13: aliases are not taken; write the value out",
    ],
    [
      "depth in flow style",
      `a: ${"[".repeat(100_000)}`,
      "x.yaml:1:53: nesting exceeded maxDepth (50)",
    ],
    [
      "depth in block style",
      "- ".repeat(100_000),
      "x.yaml:1:101: nesting exceeded maxDepth (50)",
    ],
    [
      "depth by keys",
      "? ".repeat(100_000),
      "x.yaml:1:100: nesting exceeded maxDepth (50)",
    ],
    [
      "a tab as indentation",
      "server:\n\tport: 1",
      "x.yaml:2:1: tab characters must not be used in indentation",
    ],
    [
      "a binary tag",
      "state: { folder: !!binary AA== }",
      "x.yaml:1:18: tags are not taken; write a plain value",
    ],
    [
      "a function tag",
      "state: !!js/function 'function(){}'",
      "x.yaml:1:8: tags are not taken; write a plain value",
    ],
    [
      "a regexp tag",
      "state: !<tag:yaml.org,2002:js/regexp> /a/",
      "x.yaml:1:8: tags are not taken; write a plain value",
    ],
    [
      "a set tag",
      "server: !!set { port }",
      "x.yaml:1:9: tags are not taken; write a plain value",
    ],
    [
      "a tag of the file's own",
      "%TAG !e! tag:x,2000:\n---\nserver: !e!x {}",
      "x.yaml:3:9: tags are not taken; write a plain value",
    ],
    [
      "an untagged mark",
      "state: { folder: ! x }",
      "x.yaml:1:18: tags are not taken; write a plain value",
    ],
    [
      "too many bytes",
      `# ${"x".repeat(262_143)}`,
      "x.yaml:1:1: the file has more than 262144 bytes",
    ],
    [
      "too many bytes in fewer characters",
      `# ${"é".repeat(131_072)}`,
      "x.yaml:1:1: the file has more than 262144 bytes",
    ],
    [
      "an unprintable character",
      "state: \u0001",
      "x.yaml:1:8: the stream contains non-printable characters",
    ],
    [
      "half a character",
      "state: \ud800",
      "x.yaml:1:8: the stream contains non-printable characters",
    ],
  ];

for (const [name, text, line] of HOSTILE) {
  Deno.test(`loadConfig() refuses ${name}`, () => {
    const started = performance.now();
    assert.equal(attempt(text), line);
    // Generous: what would take minutes without the limit is the point.
    assert.ok(performance.now() - started < 5_000);
  });
}

Deno.test("loadConfig() takes a file of exactly the most bytes", () => {
  assert.equal(attempt(`# ${"x".repeat(262_142)}`), "loaded");
});

Deno.test("loadConfig() is done soon with any file of the most bytes", () => {
  const texts = {
    "many keys": "a: b\n".repeat(52_000),
    "many known keys": "server: {port: 1}\n".repeat(14_000),
    "many items": `security:\n  denied_subnets: [${"x,".repeat(120_000)}]`,
    "many pairs": `[${"a: b,".repeat(50_000)}]`,
    "a long key": `${"a".repeat(250_000)}: b`,
    "a long text": `state:\n  folder: "${"a".repeat(250_000)}"`,
    "a long quote": `"${"a".repeat(250_000)}`,
    "many quotes": "'".repeat(260_000),

    "many documents": "---\na\n".repeat(40_000),
    "a long number": `server:\n  port: ${"9".repeat(250_000)}`,
    "a long fraction": `server:\n  port: 0.${"9".repeat(250_000)}x`,
    "long indentation": `a:\n${" ".repeat(250_000)}b`,
  };
  for (const [what, text] of Object.entries(texts)) {
    for (const name of ["x.yaml", "x.json"]) {
      const started = performance.now();
      assert.notEqual(attempt(text, name), "loaded", what);
      assert.ok(performance.now() - started < 5_000, `${what}, ${name}`);
    }
  }
});

Deno.test("loadConfig() changes no prototype", () => {
  for (
    const key of [
      "__proto__",
      "constructor",
      "prototype",
      "toString",
      "valueOf",
    ]
  ) {
    for (const name of ["x.yaml", "x.json"]) {
      for (
        const text of [
          `{"${key}": {"polluted": 1}}`,
          `{"server": {"${key}": {"polluted": 1}}}`,
        ]
      ) {
        assert.match(attempt(text, name), /is no (?:section|key)/);
      }
    }
  }
  assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
  assert.equal("polluted" in {}, false);
});

const WORDS = [
  ...KEYS.flatMap(({ section, key }) => [section, key]),
  ..."true false null ~ .inf .nan -1 0 1e400 0x10 0o7 \"x\" 'y' [ ] { } , : - ? & * ! | > % @ # << --- ..."
    .split(" "),
  "&a",
  "*a",
  "!!map",
  "!!js/function",
  "__proto__",
  "\n",
  "\r\n",
  "\r",
  "\t",
  "  ",
  " ",
  "\u0000",
  "\ufeff",
  "\u2028",
  "é",
  "\ud800",
];

Deno.test("loadConfig() either loads any text or throws an AppError", () => {
  const soup = fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }).map((
    words,
  ) => words.join(""));
  const texts = fc.oneof(
    soup,
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.string(),
  );
  fc.assert(
    fc.property(
      texts,
      fc.constantFrom("x.yaml", "x.json", "x"),
      (text, name) => {
        attempt(text, name);
      },
    ),
    { numRuns: 3_000 },
  );
});

Deno.test("loadConfig() takes a JSON file for JSON exactly as JSON.parse does", () => {
  const json = fc.oneof(
    fc.json({ maxDepth: 5 }),
    fc.array(
      fc.constantFrom(
        ..."{}[],:\"\\ \t\n0123-+.eEtruefalsn/u0041'".split(""),
        '"a"',
        "true",
        "null",
      ),
      { maxLength: 12 },
    )
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(json, (text) => {
      let sound = true;
      try {
        JSON.parse(text);
      } catch {
        sound = false;
      }
      const line = attempt(text, "x.json");
      const misread =
        /^x\.json:\d+:\d+: (?:expected (?:a JSON|the end|a key|":"|","|the string|a valid)|it is nested)/
          .test(line);
      assert.equal(misread, !sound, line);
    }),
    { numRuns: 5_000 },
  );
});
