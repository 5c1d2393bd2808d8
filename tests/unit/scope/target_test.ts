/**
 * The grammar of targets.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { namesOf, parseTarget } from "@/scope/target.ts";
import { verifies } from "../../requirements.ts";

verifies("scope.strict_addresses");

Deno.test("parseTarget() writes each form in its canonical text", () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["10.0.0.1", "address", "10.0.0.1"],
    ["0.0.0.0", "address", "0.0.0.0"],
    ["10.0.0.1/32", "address", "10.0.0.1"],
    ["10.0.0.7/24", "network", "10.0.0.0/24"],
    ["0.0.0.0/0", "network", "0.0.0.0/0"],
    ["10.0.0.1-20", "range", "10.0.0.1-20"],
    ["10.0.0.0-255", "range", "10.0.0.0-255"],
    ["10.0.0.4-4", "address", "10.0.0.4"],
    ["::1", "address", "::1"],
    ["FD00:0:0:0::1", "address", "fd00::1"],
    ["fd00::ab:1/64", "network", "fd00::/64"],
    ["::/0", "network", "::/0"],
    ["Web-1.Lab.Internal", "name", "web-1.lab.internal"],
    ["localhost", "name", "localhost"],
    ["10.0.0.1.nip.test", "name", "10.0.0.1.nip.test"],
    ["xn--mnchen-3ya.test", "name", "xn--mnchen-3ya.test"],
  ];
  for (const [text, kind, canonical] of cases) {
    const target = parseTarget(text);
    assert.deepEqual([text, target.kind, target.text], [text, kind, canonical]);
  }
});

Deno.test("parseTarget() refuses what has two meanings, with the way out", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /0 characters/],
    ["a".repeat(254), /254 characters/],
    ["0x7f.1", /no plain dotted address/],
    ["127.1", /no plain dotted address/],
    ["1.2.3", /no plain dotted address/],
    ["2130706433", /no plain dotted address/],
    ["010.0.0.1", /no plain dotted address/],
    ["10.0.0.256", /no plain dotted address/],
    ["a.0x1f", /no plain dotted address/],
    ["a.0x", /no plain dotted address/],
    ["10.0.0.1.", /neither an address nor a host name/],
    ["a..b", /neither an address nor a host name/],
    ["-a.b", /characters that no target has/],
    ["a.-b", /neither an address nor a host name/],
    ["a-.b", /neither an address nor a host name/],
    ["a_b.c", /characters that no target has/],
    [`${"a".repeat(64)}.b`, /neither an address nor a host name/],
    ["10.0.0.1 ", /characters that no target has/],
    ["10.0.0.1\n", /characters that no target has/],
    ["fe80::1%eth0", /characters that no target has/],
    ["\uff11\uff10.0.0.1", /characters that no target has/],
    ["10.0.0.1\u201020", /characters that no target has/],
    ["1::2::3", /no IPv6 address/],
    ["::ffff:8.8.8.8", /no IPv6 address/],
    ["64:ff9b::8.8.8.8", /no IPv6 address/],
    ["::ffff:808:808", /write 8\.8\.8\.8 itself/],
    ["::ffff:0:0/96", /write 0\.0\.0\.0 itself/],
    ["::ffff:10.0.0.0/120", /no network in CIDR form/],
    ["10.0.0.0/08", /no network in CIDR form/],
    ["10.0.0.0/33", /no network in CIDR form/],
    ["fd00::/129", /no network in CIDR form/],
    ["10.0.0/24", /no network in CIDR form/],
    ["web.lab.internal/24", /no network in CIDR form/],
    ["10.0.0.1/24/24", /no network in CIDR form/],
    ["10.0.0.20-10", /ends before it begins/],
    ["10.0.0.1-256", /within the last octet/],
    ["10.0.0.1-02", /within the last octet/],
    ["10.0.0.1-10.0.0.9", /within the last octet/],
    ["10.0.0-255.1", /within the last octet/],
  ];
  for (const [text, message] of cases) {
    assert.throws(
      () => parseTarget(text),
      (error) =>
        error instanceof AppError && error.code === "invalid_target" &&
        message.test(error.message) &&
        error.message.includes("use an address, a CIDR network"),
      JSON.stringify(text),
    );
  }
});

Deno.test("parseTarget() reads again what it wrote, or refuses with its code", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.string({ unit: fc.constantFrom(..."019aAfx.:/-_%, "), maxLength: 40 }),
    fc.ipV4(),
    fc.ipV4Extended(),
    fc.ipV6(),
    fc.domain(),
    fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: -1, max: 130 }))
      .map(([address, prefix]) => `${address}/${prefix}`),
    fc.tuple(fc.ipV4(), fc.nat(300)).map(([address, end]) =>
      `${address}-${end}`
    ),
  );
  fc.assert(
    fc.property(texts, (text) => {
      let target;
      try {
        target = parseTarget(text);
      } catch (error) {
        return error instanceof AppError && error.code === "invalid_target";
      }
      assert.deepEqual(parseTarget(target.text), target);
      assert.match(target.text, /^[a-z0-9:][a-z0-9.:/-]*$/);
      return true;
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("namesOf() gives each host name once", () => {
  const texts = ["a.test", "10.0.0.1", "B.test", "A.test"].map(parseTarget);
  assert.deepEqual(namesOf(texts), ["a.test", "b.test"]);
});

Deno.test("parseTarget() tells nothing of a password in what it refuses", () => {
  verifies("gobuster.url_no_credentials");
  for (
    const text of [
      "http://user:canary@10.0.0.1/",
      "user:canary@host",
      "u:ca@nary/canary@h",
      `http://u:canary${"x".repeat(100)}@h`,
    ]
  ) {
    assert.throws(() => parseTarget(text), (thrown: Error) => {
      assert.doesNotMatch(thrown.message, /canary/);
      assert.match(thrown.message, /^Cannot use the target "\*\*\*@/);
      return true;
    });
  }
});
