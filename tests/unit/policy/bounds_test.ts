import assert from "node:assert/strict";
import fc from "fast-check";
import { excessOf } from "@/policy/bounds.ts";
import { verifies } from "../../requirements.ts";
import { decision, OPERATORS, policiesOf } from "./support.ts";

function when(expression: string): string {
  return `@id("x") permit (principal, action, resource) when { ${expression} };`;
}

/** Ways to nest, and how often one of them ends Cedar's instance without the bounds. */
const NESTINGS: readonly (readonly [string, (n: number) => string])[] = [
  ["parentheses", (n) => "(".repeat(n) + "true" + ")".repeat(n)],
  ["negations", (n) => "!(".repeat(n) + "true" + ")".repeat(n)],
  ["sets", (n) => "[".repeat(n) + "1" + "]".repeat(n) + " == []"],
  ["records", (n) => "{a:".repeat(n) + "1" + "}".repeat(n) + " == 1"],
  ["or", (n) => Array(n).fill("true").join("||")],
  ["and", (n) => Array(n).fill("context.intrusive").join("&&")],
  ["plus", (n) => Array(n).fill("1").join("+") + " == 1"],
  ["dots", (n) => "context" + ".a".repeat(n) + " == 1"],
  ["calls", (n) => "resource.names" + ".contains(1)".repeat(n)],
  ["indices", (n) => "context" + '["a"]'.repeat(n) + " == 1"],
  ["if", (n) => "if true then ".repeat(n) + "true" + " else false".repeat(n)],
  ["else", (n) => "if true then false else ".repeat(n) + "true"],
  [
    "clauses",
    (n) => `true } ${"when { context.intrusive } ".repeat(n)} when { true`,
  ],
];

Deno.test("excessOf() refuses whatever nests deeply, and Cedar lives on", async () => {
  verifies("policy.bounds");
  const policies = await policiesOf(OPERATORS);
  for (const [name, nested] of NESTINGS) {
    for (const n of [500, 5_000]) {
      const messages = await policies.validate(when(nested(n)));
      assert.equal(messages.length, 1, name);
      assert.match(
        messages[0] ?? "",
        /^policy:1: .*; split it into several policies|^policy:1: brackets/,
        `${name} ${n}`,
      );
    }
  }
  const { kind } = await decision(policies, { target: "10.0.0.1" });
  assert.equal(kind, "allow");
});

Deno.test("what excessOf() lets through does not end Cedar, whatever is nested in what", async () => {
  verifies("policy.bounds");
  const policies = await policiesOf(OPERATORS);
  const step = fc.constantFrom<(inner: string) => string>(
    (inner) => `(${inner})`,
    (inner) => `!(${inner})`,
    (inner) => `[${inner}] == []`,
    (inner) => `{a: ${inner}} == 1`,
    (inner) => `${"true || ".repeat(18)}(${inner})`,
    (inner) => `${"true && ".repeat(18)}(${inner})`,
    (inner) => `(${inner}) == 1${" + 1".repeat(14)}`,
    (inner) => `if true then (${inner}) else false`,
    (inner) => `if (${inner}) then true else false`,
    (inner) => `resource.names.contains(${inner})`,
    (inner) => `context["a"]["b"].c.d == (${inner})`,
    (inner) => `- - -(${inner}) == 1`,
    (inner) => `(${inner}) has a`,
    (inner) => `(${inner}) like "a*"`,
  );
  const nested = fc.array(step, { minLength: 10, maxLength: 24 }).map((steps) =>
    when(steps.reduce((inner, wrap) => wrap(inner), "true"))
  );
  let passed = 0;
  await fc.assert(
    fc.asyncProperty(nested, async (text) => {
      if (excessOf(text) === null) passed++;
      assert.ok(Array.isArray(await policies.validate(text)));
    }),
    { numRuns: 250 },
  );
  assert.ok(passed > 50, `${passed} texts came to Cedar`);
  const { kind } = await decision(policies, { target: "10.0.0.1" });
  assert.equal(kind, "allow");
});

Deno.test("the longest policies that are taken can be loaded and decide", async () => {
  verifies("policy.bounds");
  const policies = await policiesOf(
    OPERATORS,
    `@id("deep") forbid (principal, action, resource) when { ${
      "(".repeat(18)
    }context.intrusive${")".repeat(18)} };`,
    `@id("long") forbid (principal, action, resource) when { ${
      Array(290).fill("context.intrusive").join(" && ")
    } };`,
    `@id("sum") forbid (principal, action, resource) when { context.rate${
      " + 1".repeat(290)
    } > 100000 };`,
    `@id("if") forbid (principal, action, resource) when { ${
      "if context.intrusive then ".repeat(31)
    }true${" else false".repeat(31)} };`,
  );
  const { kind } = await decision(policies, { target: "10.0.0.1" });
  assert.equal(kind, "allow");
});

Deno.test("validate() answers to any text", async () => {
  const policies = await policiesOf(OPERATORS);
  const word = fc.constantFrom(
    ..."permit forbid ( ) [ ] { } . , ; : == != < > && || ! - + * @id if then else when unless has like in is true ip context principal action resource ?principal"
      .split(" "),
    '"',
    '"a"',
    '@id("a")',
    "\\",
    "//",
    "\n",
    "\ud800",
    "\u0000",
    "\u202e",
    'Action::"nmap"',
    "9223372036854775808",
    '"\\u{110000}"',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 60 }), async (words) => {
      const messages = await policies.validate(words.join(" "));
      assert.ok(messages.every((message) => /^[\x20-\x7e]+$/.test(message)));
    }),
    { numRuns: 500 },
  );
  const { kind } = await decision(policies, { target: "10.0.0.1" });
  assert.equal(kind, "allow");
});

Deno.test("excessOf() is quick about a text of the largest size", () => {
  for (const part of ['"', "(", "//", '"\\', "a", "if ", "\\\\", '""']) {
    const text = part.repeat(Math.floor(262_144 / part.length));
    excessOf(text);
    excessOf(`"${text}`);
  }
});
