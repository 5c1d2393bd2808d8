import assert from "node:assert/strict";
import { RandomHex, requestIdOf, traceOf } from "@/operator/ids.ts";
import { verifies } from "../../requirements.ts";

/** Counts up, so that every digit is told. */
function counting(): RandomHex {
  let next = 0;
  return new RandomHex((bytes) => {
    for (let at = 0; at < bytes.length; at++) bytes[at] = next++ & 0xff;
  });
}

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

Deno.test("RandomHex.take() never gives the same bytes twice", () => {
  const random = new RandomHex((bytes) => crypto.getRandomValues(bytes));
  const seen = new Set(Array.from({ length: 2_000 }, () => random.take(8)));
  assert.equal(seen.size, 2_000);
  assert.equal(counting().take(3), "000102");
});

Deno.test("traceOf() goes on with a sound traceparent", () => {
  verifies("http.trace");
  for (
    const [header, flags] of [
      [`00-${TRACE}-${SPAN}-01`, "01"],
      [`00-${TRACE}-${SPAN}-00`, "00"],
      // A later version may say more.
      [`cc-${TRACE}-${SPAN}-01-more`, "01"],
    ] as const
  ) {
    assert.deepEqual(traceOf(header, counting()), {
      traceId: TRACE,
      traceparent: `00-${TRACE}-0001020304050607-${flags}`,
    }, header);
  }
});

Deno.test("traceOf() begins a trace where there is no sound one", () => {
  for (
    const header of [
      null,
      "",
      TRACE,
      `00-${TRACE}-${SPAN}`,
      `00-${TRACE}-${SPAN}-01-more`,
      `ff-${TRACE}-${SPAN}-01`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
    ]
  ) {
    assert.deepEqual(traceOf(header, counting()), {
      traceId: "000102030405060708090a0b0c0d0e0f",
      traceparent: "00-000102030405060708090a0b0c0d0e0f-1011121314151617-00",
    }, String(header));
  }
});

Deno.test("requestIdOf() takes ids that are safe to repeat", () => {
  verifies("http.trace");
  for (const id of ["a", "req-7", "9f0c:1.2_3", "a".repeat(64)]) {
    assert.equal(requestIdOf(id, counting()), id);
  }
  for (
    const id of [null, "", " ", "a b", "-a", "a".repeat(65), '"', "<b>", "é"]
  ) assert.equal(requestIdOf(id, counting()), "0001020304050607", String(id));
});
