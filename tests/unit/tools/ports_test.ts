/**
 * Port lists.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { SafeText } from "@/spawn/argv.ts";
import { parsePorts, PortList } from "@/tools/ports.ts";
import { verifies } from "../../requirements.ts";

verifies("ports.grammar");

const BOTH = { countMax: 131_070, prefixes: true };

Deno.test("parsePorts() sorts and merges", () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ["80", "80", 1],
    ["443,80,80", "80,443", 2],
    ["8000-8100,8050-8200", "8000-8200", 201],
    ["1-3,4,6", "1-4,6", 5],
    ["1-65535", "1-65535", 65_535],
    ["65535,1", "1,65535", 2],
    ["T:80,443,U:53", "T:80,443,U:53", 3],
    ["U:53,T:80,22", "T:22,80,U:53", 3],
    ["U:53,U:54", "U:53-54", 2],
    ["T:1-65535,U:1-65535", "T:1-65535,U:1-65535", 131_070],
  ];
  for (const [text, argv, count] of cases) {
    const ports = parsePorts(text, BOTH);
    assert.deepEqual(
      [text, SafeText.textOf(ports.argv), ports.count],
      [text, argv, count],
    );
  }
  const { tcp, udp, prefixed } = parsePorts("T:22,U:53-54", BOTH);
  assert.deepEqual([tcp, udp, prefixed], [
    [{ first: 22, last: 22 }],
    [{ first: 53, last: 54 }],
    true,
  ]);
});

Deno.test("parsePorts() refuses what is no port list", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /0 characters/],
    ["0", /0 is not within 1 to 65535/],
    ["65536", /65536 is not within/],
    ["99999999", /is no port/],
    ["080", /leading zeros/],
    ["80-79", /ends before it begins/],
    ["80-", /is no port/],
    ["-80", /is no port/],
    ["-", /is no port/],
    ["1-2-3", /is no port/],
    ["80,", /is no port/],
    [",80", /is no port/],
    ["80 ,443", /is no port/],
    ["80\n", /is no port/],
    ["80\u2013443", /is no port/],
    ["\uff18\uff10", /is no port/],
    ["http", /is no port/],
    ["http*", /is no port/],
    ["[1-100]", /is no port/],
    ["S:80", /is no port/],
    ["t:80", /is no port/],
    ["T:", /is no port/],
    ["80,U:53", /must begin with one/],
    ["1,".repeat(3_000), /characters/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parsePorts(text, BOTH),
      (error) =>
        error instanceof AppError && error.code === "invalid_arguments" &&
        message.test(error.message) && /write them like/.test(error.message),
      text,
    );
  }
});

Deno.test("parsePorts() takes prefixes only where they are allowed", () => {
  assert.throws(
    () => parsePorts("U:53", { countMax: 10 }),
    /T: and U: are not taken here/,
  );
});

Deno.test("parsePorts() counts after merging and holds the limit", () => {
  assert.equal(parsePorts("1-10,5-10", { countMax: 10 }).count, 10);
  assert.throws(
    () => parsePorts("1-11", { countMax: 10 }),
    /it has 11 ports, at most 10 are taken/,
  );
});

Deno.test("parsePorts() reads again what it wrote, or refuses with its code", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(..."0123456789,-TU: "), maxLength: 40 }),
    fc.array(fc.tuple(fc.nat(70_000), fc.nat(70_000)), { maxLength: 20 }).map((
      pairs,
    ) => pairs.map(([a, b]) => a % 3 === 0 ? `${a}` : `${a}-${b}`).join(",")),
  );
  fc.assert(
    fc.property(texts, (text) => {
      let ports;
      try {
        ports = parsePorts(text, BOTH);
      } catch (error) {
        return error instanceof AppError && error.code === "invalid_arguments";
      }
      const argv = SafeText.textOf(ports.argv);
      assert.match(argv, /^[0-9TU][0-9TU:,-]*$/);
      assert.equal(SafeText.textOf(parsePorts(argv, BOTH).argv), argv);
      return true;
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("PortList cannot be forged", () => {
  const real = parsePorts("80", BOTH);
  const Maker = real.constructor as new (...args: unknown[]) => PortList;
  const token = Symbol("tools/ports");
  assert.throws(() => new Maker(token, [], [], false), TypeError);
  assert.throws(() => PortList.mint(token, [], [], false), TypeError);
  const fakes = [
    Object.create(PortList.prototype),
    Object.create(real),
    structuredClone(real),
  ];
  for (const fake of fakes) {
    assert.throws(() => SafeText.textOf((fake as PortList).argv), TypeError);
  }
  assert.throws(() => Object.assign(real, { tcp: [] }), TypeError);
  assert.throws(() => (real.tcp as unknown[]).push({}), TypeError);
});
