/**
 * What the scope makes, who else can make it, and a second opinion on what it allows.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Scope, Target } from "@/scope/scope.ts";
import { parseTarget } from "@/scope/target.ts";
import type { ScopeRules } from "@/scope/rules.ts";
import { SafeText } from "@/spawn/argv.ts";
import { verifies } from "../../requirements.ts";

verifies(
  "scope.names.suffix",
  "scope.names.every_address",
  "scope.names.pinned",
  "scope.forgery_refused",
  "scope.ipv6",
);

const RULES: ScopeRules = {
  allowedSubnets: ["203.0.113.0/24"],
  deniedSubnets: ["10.66.0.0/16", "192.168.5.128/25"],
  allowedHostSuffixes: [".lab.internal"],
  bounds: [],
  engagementRequired: false,
  within: [],
  maxNetworkSize: 1024,
};

const NOBODY = new Map<string, readonly string[]>();

Deno.test("Scope.judge() pins names to their addresses", () => {
  const resolved = new Map([["web.lab.internal", ["10.0.0.7", "fd00::7"]]]);
  const { targets, addressCount } = Scope.of(RULES).judge(
    [parseTarget("Web.lab.internal")],
    resolved,
  );
  assert.equal(addressCount, 2);
  const seen = targets.map((target) => [
    SafeText.textOf(target.argv),
    String(target.name),
    target.family,
  ]);
  assert.deepEqual(seen, [
    ["10.0.0.7", "web.lab.internal", 4],
    ["fd00::7", "web.lab.internal", 6],
  ]);
});

Deno.test("Scope.judge() tells what each target is", () => {
  const texts = ["127.0.0.0/30", "10.0.0.5-9", "10.0.0.64/26", "::1"];
  const { targets } = Scope.of(RULES).judge(texts.map(parseTarget), NOBODY);
  const seen = targets.map((target) => [
    `${target}`,
    `${target.first} ${target.last}`,
    target.addressCount,
    target.family,
    target.isLoopback,
    target.name,
  ]);
  assert.deepEqual(seen, [
    ["127.0.0.0/30", "127.0.0.0 127.0.0.3", 4, 4, true, null],
    ["10.0.0.5-9", "10.0.0.5 10.0.0.9", 5, 4, false, null],
    ["10.0.0.64/26", "10.0.0.64 10.0.0.127", 64, 4, false, null],
    ["::1", "::1 ::1", 1, 6, true, null],
  ]);
});

Deno.test("Scope.judge() drops a target that lies in another", () => {
  const texts = ["10.0.0.5", "10.0.0.0/24", "10.0.0.0/24", "10.0.0.9-12"];
  const { targets, addressCount } = Scope.of(RULES).judge(
    texts.map(parseTarget),
    NOBODY,
  );
  assert.deepEqual(targets.map(String), ["10.0.0.0/24"]);
  assert.equal(addressCount, 256);
});

Deno.test("Scope.judge() makes no target when one of many is refused", () => {
  const texts = ["10.0.0.1", "8.8.8.8", "9.9.9.9"];
  const judgement = Scope.of(RULES).judge(texts.map(parseTarget), NOBODY);
  assert.deepEqual(judgement.targets, []);
  assert.equal(judgement.addressCount, 3);
  assert.match(
    judgement.verdicts[0]?.reason ?? "",
    /^Cannot scan "8\.8\.8\.8"/,
  );
  assert.deepEqual(judgement.verdicts.map((verdict) => verdict.guardrail), [
    "scope",
    "network_size",
  ]);
});

Deno.test("Scope.judge() judges the addresses of a name, not what is around them", () => {
  // A target text that was made by hand instead of parsed gains nothing: its number is judged.
  const forged = {
    kind: "address",
    text: "10.0.0.1",
    block: { family: 4, first: 0x08080808n, last: 0x08080808n },
  } as const;
  const { targets, verdicts } = Scope.of(RULES).judge([forged], NOBODY);
  assert.deepEqual(targets, []);
  assert.equal(verdicts[0]?.error?.code, "target_not_allowed");
});

Deno.test("Scope.allowsName() keeps foreign names from being looked up", () => {
  const scope = Scope.of(RULES);
  assert.equal(scope.allowsName("a.lab.internal"), true);
  for (
    const name of ["lab.internal", ".lab.internal", "x.test", "alab.internal"]
  ) {
    assert.equal(scope.allowsName(name), false, name);
  }
});

Deno.test("Scope.of() refuses malformed rules", () => {
  const wrong: readonly Partial<ScopeRules>[] = [
    { allowedSubnets: ["10.0.0.0/33"] },
    { allowedSubnets: ["10.0.0"] },
    { deniedSubnets: ["any"] },
    { allowedHostSuffixes: ["lab.internal"] },
    { allowedHostSuffixes: ["."] },
    { allowedHostSuffixes: [""] },
    { allowedHostSuffixes: [".lab..internal"] },
    { maxNetworkSize: 0 },
    { maxNetworkSize: NaN },
    { maxNetworkSize: 1.5 },
  ];
  for (const rules of wrong) {
    assert.throws(() => Scope.of({ ...RULES, ...rules }), RangeError);
  }
});

Deno.test("Target cannot be forged", () => {
  const { targets } = Scope.of(RULES).judge([parseTarget("10.0.0.1")], NOBODY);
  const real = targets[0];
  assert.ok(real instanceof Target && Target.is(real));
  const block = { family: 4, first: 0x08080808n, last: 0x08080808n } as const;
  const Maker = real.constructor as new (...args: unknown[]) => Target;
  assert.throws(() => new Maker(Symbol("scope/scope"), block, null), TypeError);
  assert.throws(() => new Maker(undefined, block, null), TypeError);
  assert.throws(
    () => Target.mint(Symbol("scope/scope"), block, null),
    TypeError,
  );
  const fakes: readonly unknown[] = [
    { argv: "8.8.8.8", addressCount: 1, family: 4 },
    Object.create(Target.prototype),
    Object.create(real),
    structuredClone(real),
    JSON.parse(JSON.stringify(real)),
    null,
    "10.0.0.1",
  ];
  for (const fake of fakes) {
    assert.equal(Target.is(fake), false);
    assert.throws(() => (fake as Target).argv.toString() === "" || throws());
  }
  assert.throws(() => Object.assign(real, { name: "x" }), TypeError);
  assert.deepEqual(Reflect.ownKeys(real), []);
  const foreign = { value: SafeText.match("8.8.8.8", /[0-9.]+/) };
  assert.throws(() => Object.defineProperty(real, "argv", foreign), TypeError);
});

Deno.test("Scope.judge() allows nothing that a second opinion refuses", () => {
  const octets = fc.tuple(
    fc.constantFrom(0, 9, 10, 11, 126, 127, 128, 169, 172, 192, 203, 224, 255),
    fc.constantFrom(0, 15, 16, 31, 32, 65, 66, 67, 167, 168, 169, 254),
    fc.constantFrom(0, 4, 5, 6, 112, 113, 114, 169, 255),
    fc.constantFrom(0, 1, 127, 128, 129, 254, 255),
  );
  const texts = fc.oneof(
    octets.map((parts) => parts.join(".")),
    fc.tuple(octets, fc.integer({ min: 0, max: 32 })).map(([parts, prefix]) =>
      `${parts.join(".")}/${prefix}`
    ),
    fc.tuple(octets, fc.nat(255)).map(([parts, end]) =>
      `${parts.join(".")}-${Math.max(end, parts[3])}`
    ),
  );
  const scope = Scope.of(RULES);
  fc.assert(
    fc.property(texts, (text) => {
      const { targets } = scope.judge([parseTarget(text)], NOBODY);
      const [first, last] = span(text);
      const size = last - first + 1;
      assert.equal(
        targets.length === 1,
        fits(first, last) && size <= 1024,
        text,
      );
    }),
    { numRuns: 3_000 },
  );
});

/** The second opinion, in plain numbers and without any code of the scope. */
function fits(first: number, last: number): boolean {
  const inside = (low: string, high: string) =>
    number(low) <= first && last <= number(high);
  const touches = (low: string, high: string) =>
    first <= number(high) && number(low) <= last;
  if (touches("10.66.0.0", "10.66.255.255")) return false;
  if (touches("192.168.5.128", "192.168.5.255")) return false;
  return inside("127.0.0.0", "127.255.255.255") ||
    inside("10.0.0.0", "10.255.255.255") ||
    inside("172.16.0.0", "172.31.255.255") ||
    inside("192.168.0.0", "192.168.255.255") ||
    inside("203.0.113.0", "203.0.113.255");
}

function span(text: string): [number, number] {
  const [head = "", prefix] = text.split("/");
  const [start = "", end] = head.split("-");
  const first = number(start);
  if (end !== undefined) return [first, first - first % 256 + Number(end)];
  if (prefix === undefined) return [first, first];
  const size = 2 ** (32 - Number(prefix));
  const base = first - first % size;
  return [base, base + size - 1];
}

function number(text: string): number {
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function throws(): never {
  throw new TypeError("a look-alike gave a text");
}
