/**
 * Places for streams.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Places } from "@/operator/places.ts";

Deno.test("Places.take() gives so many places, and one that is given back once more", () => {
  let max = 2;
  const places = new Places(() => ({ all: max, tenant: 9 }), "event streams");
  const first = places.take("a");
  places.take("b");
  assert.throws(() => places.take("a"), {
    code: "queue_full",
    retryAfter: 30,
    message:
      "Cannot open one more: all 2 event streams are taken (server.max_streams); close one, or come back later",
  });
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(places.taken, 1);
  places.take("a");
  assert.throws(() => places.take("b"), { code: "queue_full" });
  max = 3;
  places.take("b");
  assert.equal(places.taken, 3);
});

Deno.test("Places.take() leaves places for other tenants", () => {
  const places = new Places(() => ({ all: 4, tenant: 2 }), "WebSockets");
  places.take("red");
  const second = places.take("red");
  assert.throws(() => places.take("red"), {
    code: "queue_full",
    message:
      "Cannot open one more: all 2 WebSockets of your tenant are taken (server.max_streams); close one, or come back later",
  });
  places.take("blue");
  second[Symbol.dispose]();
  places.take("red");
  assert.equal(places.taken, 3);
});
