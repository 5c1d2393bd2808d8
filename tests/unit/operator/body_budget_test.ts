import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { BodyBudget, type BodyShare } from "@/operator/body_budget.ts";
import { verifies } from "../../requirements.ts";

const MIB = 1_048_576;

const ann = { tenant: "red", subject: "key:ann" };
const bob = { tenant: "red", subject: "key:bob" };
const eve = { tenant: "blue", subject: "key:eve" };

/** Takes a megabyte at a time, until it is refused. */
function fill(share: BodyShare): number {
  for (let taken = 0; taken < 1_000; taken++) {
    try {
      share.take(MIB);
    } catch (thrown) {
      assert.ok(thrown instanceof AppError);
      assert.equal(thrown.code, "queue_full");
      assert.match(thrown.message, /send fewer requests at a time/);
      assert.equal(thrown.retryAfter, 2);
      return taken;
    }
  }
  return assert.fail("nothing was refused");
}

Deno.test("BodyBudget leaves room for others, whoever takes what there is", () => {
  verifies("http.body.budget");
  const budget = new BodyBudget(() => MIB);
  // A caller has a third of 64 MiB; what is free then is shared in the same way.
  const taken = [ann, bob, eve].map((owner) => fill(budget.share(owner)));
  assert.deepEqual(taken, [21, 7, 12]);
  const late = { tenant: "green", subject: "key:late" };
  assert.ok(fill(budget.share(late)) >= 1);
  assert.ok(budget.taken <= 64 * MIB);
});

Deno.test("BodyBudget counts all bodies of a caller together, and keys of two tenants apart", () => {
  const budget = new BodyBudget(() => MIB);
  assert.equal(fill(budget.share(ann)), 21);
  assert.equal(fill(budget.share(ann)), 0);
  assert.ok(fill(budget.share({ ...ann, tenant: "blue" })) > 0);
});

Deno.test("BodyBudget gets back what a body held, once", () => {
  verifies("http.body.budget");
  const budget = new BodyBudget(() => MIB);
  const share = budget.share(ann);
  assert.equal(fill(share), 21);
  share[Symbol.dispose]();
  share[Symbol.dispose]();
  assert.equal(budget.taken, 0);
  assert.equal(fill(budget.share(bob)), 21);
});

Deno.test("BodyBudget has room for the longest body that is allowed", () => {
  let longest = MIB;
  const budget = new BodyBudget(() => longest);
  longest = 64 * MIB;
  budget.share(ann).take(2 * longest);
});

Deno.test("BodyBudget never holds more than there is, and nothing in the end", () => {
  const asked = fc.array(
    fc.record({
      owner: fc.constantFrom(ann, bob, eve),
      bytes: fc.integer({ min: 1, max: 30 * MIB }),
      ends: fc.boolean(),
    }),
    { maxLength: 60 },
  );
  fc.assert(fc.property(asked, (steps) => {
    const budget = new BodyBudget(() => MIB);
    const shares: BodyShare[] = [];
    for (const { owner, bytes, ends } of steps) {
      const share = budget.share(owner);
      shares.push(share);
      try {
        share.take(bytes);
      } catch (thrown) {
        assert.ok(thrown instanceof AppError);
      }
      assert.ok(budget.taken <= 64 * MIB);
      if (ends) share[Symbol.dispose]();
    }
    for (const share of shares) share[Symbol.dispose]();
    assert.equal(budget.taken, 0);
  }));
});
