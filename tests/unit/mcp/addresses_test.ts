import assert from "node:assert/strict";
import fc from "fast-check";
import { addressLine, foldAddresses } from "@/mcp/addresses.ts";

Deno.test("foldAddresses() makes ranges of three neighbours and more", () => {
  const groups = foldAddresses([
    "10.0.0.3",
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.9",
    "10.0.0.10",
    "2001:db8::1",
  ]);
  assert.deepEqual(groups, [
    { text: "10.0.0.1-3", count: 3 },
    { text: "10.0.0.9", count: 1 },
    { text: "10.0.0.10", count: 1 },
    { text: "2001:db8::1", count: 1 },
  ]);
});

Deno.test("foldAddresses() lets no range cross the last octet", () => {
  const groups = foldAddresses([
    "10.0.0.254",
    "10.0.0.255",
    "10.0.1.0",
    "10.0.1.1",
  ]);
  assert.deepEqual(groups.map(({ text }) => text), [
    "10.0.0.254",
    "10.0.0.255",
    "10.0.1.0",
    "10.0.1.1",
  ]);
});

Deno.test("foldAddresses() loses no address and makes none up", () => {
  fc.assert(fc.property(
    fc.uniqueArray(fc.integer({ min: 0, max: 0x3ff }), { maxLength: 300 }),
    (values) => {
      const addresses = values.map((value) =>
        `10.0.${value >> 8}.${value & 255}`
      );
      const unfolded = foldAddresses(addresses).flatMap(({ text, count }) => {
        const [, prefix = "", first = "", last = first] =
          /^(.*\.)(\d+)(?:-(\d+))?$/.exec(text) ?? [];
        assert.equal(Number(last) - Number(first) + 1, count);
        return Array.from(
          { length: count },
          (_, step) => `${prefix}${Number(first) + step}`,
        );
      });
      assert.deepEqual(unfolded.sort(), addresses.sort());
    },
  ));
});

Deno.test("addressLine() writes a shared beginning once", () => {
  const line = addressLine(foldAddresses([
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.7",
    "10.0.1.4",
    "2001:db8::1",
    "2001:db8::2",
  ]));
  assert.equal(line, "10.0.0.1-3,7; 10.0.1.4; 2001:db8::1; 2001:db8::2");
});
