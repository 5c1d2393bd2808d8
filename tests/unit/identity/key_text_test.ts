/**
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  isKeyId,
  newKeyId,
  newKeyText,
  parseKeyText,
} from "@/identity/key_text.ts";
import { verifies } from "../../requirements.ts";

const random = (bytes: Uint8Array<ArrayBuffer>) =>
  void crypto.getRandomValues(bytes);

Deno.test("newKeyText() has a form that a scanner of secrets can know", () => {
  verifies("identity.key_form");
  const zeros = newKeyText("0000000000000000", (bytes) => void bytes.fill(0));
  assert.equal(
    zeros,
    "smk_0000000000000000_0000000000000000000000000000000000000000000" +
      zeros.slice(-6),
  );
  const ones = newKeyText("zzzzzzzzzzzzzzzz", (bytes) => void bytes.fill(255));
  assert.match(
    ones,
    /^smk_[0-9a-hjkmnp-tv-z]{16}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}$/,
  );
  assert.equal(ones.length, 70);
});

Deno.test("newKeyText() pins the checksum: CRC-32 in base 62", () => {
  // Made by zlib.crc32 of another language over all but the last six characters.
  assert.equal(
    newKeyText("0000000000000000", (bytes) => void bytes.fill(0)).slice(-6),
    "2hz4Zf",
  );
});

Deno.test("newKeyId() makes ids that differ, and newKeyText() secrets that differ", () => {
  const ids = new Set(Array.from({ length: 500 }, () => newKeyId(random)));
  assert.equal(ids.size, 500);
  assert.ok([...ids].every(isKeyId));
  const texts = new Set(
    Array.from(
      { length: 500 },
      () => newKeyText("0000000000000000", random),
    ),
  );
  assert.equal(texts.size, 500);
});

Deno.test("newKeyText() uses all 256 bits", () => {
  for (let at = 0; at < 32; at++) {
    const one = newKeyText("0000000000000000", (bytes) => void bytes.fill(0));
    const other = newKeyText("0000000000000000", (bytes) => {
      bytes.fill(0);
      bytes[at] = 1;
    });
    assert.notEqual(one, other, `byte ${at} is not used`);
  }
});

Deno.test("parseKeyText() reads every key back, and none with one character changed", () => {
  verifies("identity.key_form");
  fc.assert(fc.property(
    fc.nat(69),
    fc.constantFrom(..."0123456789ABCXYZabcxyz_-. \n\0é"),
    (at, character) => {
      const id = newKeyId(random);
      const text = newKeyText(id, random);
      assert.equal(parseKeyText(text), id);
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      assert.equal(parseKeyText(changed), changed === text ? id : null);
    },
  ));
});

Deno.test("parseKeyText() refuses whatever is no whole key", () => {
  verifies("identity.key_form");
  const text = newKeyText(newKeyId(random), random);
  for (
    const bad of [
      "",
      "smk_",
      text.slice(0, -1),
      `${text}0`,
      ` ${text}`,
      `${text}\n`,
      text.toUpperCase(),
      text.replace("smk_", "SMK_"),
      "smk_" + "0".repeat(10_000),
      "smk_../../../../etc/passwd",
      "smk_' or 1=1 --",
    ]
  ) assert.equal(parseKeyText(bad), null, bad.slice(0, 80));
});
