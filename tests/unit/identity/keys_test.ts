/**
 * @module
 */
import assert from "node:assert/strict";
import { newKeyText } from "@/identity/key_text.ts";
import { loadKeyMac } from "@/identity/key_mac.ts";
import { verifies } from "../../requirements.ts";
import { KeyBench } from "./memory_keys.ts";

const OPERATOR = { name: "ci", tenant: "red", roles: ["operator"] };

const REFUSED = {
  code: "unauthenticated",
  message:
    "Cannot accept the API key: it is unknown, wrong, expired or revoked; ask whoever runs the server for a new one (deno task keys create)",
};

const random = (bytes: Uint8Array<ArrayBuffer>) =>
  void crypto.getRandomValues(bytes);

Deno.test("ApiKeys.create() gives a secret that verify() knows, and keeps none of it", async () => {
  verifies("identity.key_stored");
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(
    { ...OPERATOR, scopes: ["scan:nmap", "read"], expiresInSeconds: 3_600 },
    "local",
  );
  assert.deepEqual(key, {
    id: key.id,
    name: "ci",
    tenant: "red",
    roles: ["operator"],
    scopes: ["read", "scan:nmap"],
    createdAt: bench.wall,
    createdBy: "local",
    expiresAt: bench.wall + 3_600_000,
    lastUsedAt: null,
    revokedAt: null,
  });
  const stored = JSON.stringify([...bench.rows.rows.values()]);
  assert.ok(!stored.includes(secret.slice(21)));
  assert.match(bench.rows.rows.get(key.id)?.digest ?? "", /^[0-9a-f]{64}$/);
  const principal = await bench.keys.verify(secret);
  assert.deepEqual(principal, {
    kind: "key",
    subject: `key:${key.id}`,
    client: "ci",
    tenant: "red",
    roles: new Set(["operator"]),
    scopes: new Set(["read", "scan:nmap"]),
    expiresAt: key.expiresAt,
  });
  await bench.keys.settled();
});

Deno.test("ApiKeys.create() refuses what makes no sound key", async () => {
  const bench = await KeyBench.make();
  const cases: readonly (readonly [object, RegExp])[] = [
    [{ name: "" }, /its name has to be/],
    [{ name: "a\u202eb" }, /its name has to be/],
    [{ name: "a".repeat(65) }, /its name has to be/],
    [{ tenant: "green" }, /"green" is no tenant/],
    [{ tenant: "__proto__" }, /is no tenant/],
    [{ roles: [] }, /one or more of the roles viewer, operator/],
    [{ roles: ["operator", "root"] }, /one or more of the roles/],
    [{ roles: ["constructor"] }, /one or more of the roles/],
    [{ scopes: [] }, /its scopes have to be of read, scan:nmap/],
    [{ scopes: ["scan:*"] }, /its scopes have to be/],
    [{ expiresInSeconds: 59 }, /good for 60 to 315360000 seconds/],
    [{ expiresInSeconds: 315_360_001 }, /good for 60/],
    [{ expiresInSeconds: 60.5 }, /good for 60/],
    [{ expiresInSeconds: Number.NaN }, /good for 60/],
    [{ id: "../x" }, /its id is none/],
  ];
  for (const [change, message] of cases) {
    await assert.rejects(bench.keys.create({ ...OPERATOR, ...change }, "x"), {
      code: "invalid_arguments",
      message,
    });
  }
  assert.equal(bench.rows.rows.size, 0);
});

Deno.test("ApiKeys.verify() answers unknown, wrong, expired, revoked and homeless keys alike", async () => {
  verifies("identity.key_same_answer");
  const bench = await KeyBench.make();
  const make = async (tenant = "red", life: number | null = null) =>
    await bench.keys.create(
      { ...OPERATOR, tenant, expiresInSeconds: life },
      "x",
    );
  const [good, expired, revoked, homeless] = [
    await make(),
    await make("red", 60),
    await make(),
    await make("blue"),
  ];
  bench.pass(60_000);
  await bench.keys.revoke(revoked.key.id, { tenant: null });
  bench.tenants.delete("blue");
  const cases = [
    ["unknown", newKeyText(bench.keys.newId(), random)],
    ["wrong", newKeyText(good.key.id, random)],
    ["expired", expired.secret],
    ["revoked", revoked.secret],
    ["of a tenant that is gone", homeless.secret],
  ] as const;
  for (const [what, secret] of cases) {
    bench.sums.length = 0;
    bench.comparisons = 0;
    bench.rows.finds.length = 0;
    await assert.rejects(bench.keys.verify(secret), REFUSED, what);
    assert.deepEqual(
      [bench.sums.length, bench.comparisons, bench.rows.finds.length],
      [1, 2, 1],
      what,
    );
  }
  assert.equal((await bench.keys.verify(good.secret)).client, "ci");
  await bench.keys.settled();
});

Deno.test("ApiKeys.verify() refuses half a key without a look-up or a sum", async () => {
  verifies("identity.key_form");
  const bench = await KeyBench.make();
  const { secret } = await bench.keys.create(OPERATOR, "x");
  bench.sums.length = 0;
  await assert.rejects(bench.keys.verify(secret.slice(0, -1)), {
    code: "unauthenticated",
    message:
      "Cannot accept the API key: it is not whole, since its checksum does not fit; copy it again, from smk_ to its last character",
  });
  assert.deepEqual([bench.sums, bench.rows.finds], [[], []]);
});

Deno.test("ApiKeys.verify() refuses a sum that stands at another key's id", async () => {
  const bench = await KeyBench.make();
  const [one, other] = [
    await bench.keys.create(OPERATOR, "x"),
    await bench.keys.create({ ...OPERATOR, roles: ["admin"] }, "x"),
  ];
  const digest = bench.rows.rows.get(one.key.id)?.digest ?? "";
  await bench.rows.updateKey(other.key.id, { digest });
  await assert.rejects(bench.keys.verify(other.secret), REFUSED);
});

Deno.test("ApiKeys.verify() gives nothing for roles and scopes that it does not know", async () => {
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  const row = bench.rows.rows.get(key.id);
  assert.ok(row !== undefined);
  bench.rows.rows.set(key.id, { ...row, roles: ["root"], scopes: ["all"] });
  const principal = await bench.keys.verify(secret);
  assert.deepEqual([principal.roles, principal.scopes], [new Set(), new Set()]);
  await bench.keys.settled();
});

Deno.test("ApiKeys.verify() looks a key up once in three seconds", async () => {
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  for (let at = 0; at < 1_000; at++) await bench.keys.verify(secret);
  assert.equal(bench.rows.finds.length, 1);
  bench.pass(2_999);
  await bench.keys.verify(secret);
  assert.equal(bench.rows.finds.length, 1);
  bench.pass(1);
  await Promise.all([bench.keys.verify(secret), bench.keys.verify(secret)]);
  assert.deepEqual(bench.rows.finds, [key.id, key.id]);
  await bench.keys.settled();
});

Deno.test("ApiKeys.verify() hears of another process's revocation after three seconds, and of its rotation at once", async () => {
  const bench = await KeyBench.make();
  const other = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  await bench.keys.verify(secret);
  other.rows.rows.set(key.id, bench.rows.rows.get(key.id) as never);
  const rotated = await other.keys.rotate(key.id, {
    tenant: null,
    overlapSeconds: 0,
    by: "key:admin",
  });
  bench.rows.rows.set(key.id, other.rows.rows.get(key.id) as never);
  assert.equal((await bench.keys.verify(rotated.secret)).client, "ci");
  await bench.rows.updateKey(key.id, { revokedAt: bench.wall });
  await bench.keys.verify(rotated.secret);
  bench.pass(3_000);
  await assert.rejects(bench.keys.verify(rotated.secret), REFUSED);
  await bench.keys.settled();
});

Deno.test("ApiKeys.revoke() holds at once, whatever is remembered", async () => {
  verifies("identity.key_revoked");
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  await bench.keys.verify(secret);
  const revoked = await bench.keys.revoke(key.id, { tenant: "red" });
  assert.equal(revoked.revokedAt, bench.wall);
  await assert.rejects(bench.keys.verify(secret), REFUSED);
  await bench.keys.settled();
});

Deno.test("ApiKeys.verify() never answers from before a change that ended meanwhile", async () => {
  verifies("identity.key_revoked");
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  const gate = Promise.withResolvers<void>();
  const { findKey } = bench.rows;
  const stale = bench.rows.rows.get(key.id) ?? null;
  bench.rows.findKey = async () => {
    await gate.promise;
    return stale;
  };
  const under = bench.keys.verify(secret);
  bench.rows.findKey = findKey;
  await bench.keys.revoke(key.id, { tenant: null });
  gate.resolve();
  await assert.rejects(under, REFUSED);
});

Deno.test("ApiKeys.rotate() keeps the old secret for its overlap and no longer", async () => {
  verifies("identity.key_rotation");
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  await bench.keys.verify(secret);
  const next = await bench.keys.rotate(key.id, {
    tenant: "red",
    overlapSeconds: 60,
    by: "key:admin",
  });
  assert.equal(next.key.id, key.id);
  bench.pass(59_999);
  for (const good of [secret, next.secret]) await bench.keys.verify(good);
  bench.pass(1);
  await assert.rejects(bench.keys.verify(secret), REFUSED);
  await bench.keys.verify(next.secret);
  const last = await bench.keys.rotate(key.id, {
    tenant: null,
    overlapSeconds: 0,
    by: "key:admin",
  });
  await assert.rejects(bench.keys.verify(next.secret), REFUSED);
  await bench.keys.verify(last.secret);
  await bench.keys.settled();
});

Deno.test("ApiKeys.rotate() and revoke() refuse another tenant's keys as unknown", async () => {
  verifies("identity.key_tenant");
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  for (
    const [id, tenant] of [
      [key.id, "blue"],
      [key.id, "default"],
      [bench.keys.newId(), null],
      ["' or 1=1 --", null],
    ] as const
  ) {
    const refused = { code: "not_found", message: /^Cannot find the key / };
    await assert.rejects(
      bench.keys.rotate(id, { tenant, overlapSeconds: 0, by: "key:admin" }),
      refused,
    );
    await assert.rejects(bench.keys.revoke(id, { tenant }), refused);
  }
  await bench.keys.verify(secret);
  assert.deepEqual(await bench.keys.list("blue"), []);
  assert.deepEqual((await bench.keys.list("red")).map(({ id }) => id), [
    key.id,
  ]);
  await bench.keys.settled();
});

Deno.test("ApiKeys.rotate() refuses dead keys, endless overlaps and whoever may not hold the key", async () => {
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  const rotate = (overlapSeconds: number) =>
    bench.keys.rotate(key.id, {
      tenant: null,
      overlapSeconds,
      by: "key:admin",
    });
  for (const overlap of [-1, 0.5, 2_592_001, Number.NaN]) {
    await assert.rejects(rotate(overlap), { code: "invalid_arguments" });
  }
  const check = () => {
    throw new RangeError("no");
  };
  await assert.rejects(
    bench.keys.rotate(key.id, {
      tenant: null,
      overlapSeconds: 0,
      by: "key:admin",
      check,
    }),
    RangeError,
  );
  await bench.keys.verify(secret);
  await bench.keys.revoke(key.id, { tenant: null });
  await assert.rejects(rotate(0), {
    code: "conflict",
    message: /revoked or expired; create a new one$/,
  });
  await bench.keys.settled();
});

Deno.test("ApiKeys.verify() writes the last use once a minute, and never waits for it or fails by it", async () => {
  verifies("identity.key_last_used");
  const bench = await KeyBench.make();
  const { key, secret } = await bench.keys.create(OPERATOR, "x");
  for (let at = 0; at < 10; at++) await bench.keys.verify(secret);
  await bench.keys.settled();
  assert.deepEqual(bench.rows.changes, [[key.id, { lastUsedAt: bench.wall }]]);
  bench.pass(59_999);
  await bench.keys.verify(secret);
  assert.equal(bench.rows.changes.length, 1);
  bench.pass(1);
  await bench.keys.verify(secret);
  await bench.keys.settled();
  assert.equal(bench.rows.changes.length, 2);
  bench.pass(60_000);
  bench.rows.updateKey = () => Promise.reject(new Error("disk full"));
  assert.equal((await bench.keys.verify(secret)).tenant, "red");
  await bench.keys.settled();
  assert.deepEqual(bench.warnings, [
    "the last use of an API key could not be written",
  ]);
});

Deno.test("ApiKeys.verify() does not call a fault of the store wrong credentials", async () => {
  const bench = await KeyBench.make();
  const { secret } = await bench.keys.create(OPERATOR, "x");
  bench.rows.fault = new Error("gone");
  await assert.rejects(bench.keys.verify(secret), { message: "gone" });
  bench.rows.fault = null;
  await bench.keys.verify(secret);
  await bench.keys.settled();
});

Deno.test("loadKeyMac() makes other sums under another identity key, and compares with anything", async () => {
  const [one, other] = await Promise.all(
    [1, 2].map((fill) => loadKeyMac(new Uint8Array(32).fill(fill))),
  );
  assert.ok(one !== undefined && other !== undefined);
  const sum = one.sum("a");
  assert.match(sum, /^[0-9a-f]{64}$/);
  assert.notEqual(sum, other.sum("a"));
  assert.notEqual(sum, one.sum("b"));
  assert.equal(one.equal(sum, one.sum("a")), true);
  for (const bad of [null, "", sum.slice(1), `${sum}0`, one.sum("b"), "é"]) {
    assert.equal(one.equal(sum, bad), false, String(bad));
  }
});

Deno.test("ApiKeys.rotate() makes whoever gets the secret the key's maker, but not the key itself", async () => {
  const bench = await KeyBench.make();
  const { key } = await bench.keys.create({
    name: "approver",
    tenant: "red",
    roles: ["approver"],
  }, "local");
  const makerAfter = async (by: string) => {
    const options = { tenant: null, overlapSeconds: 0, by };
    return (await bench.keys.rotate(key.id, options)).key.createdBy;
  };
  assert.equal(await makerAfter(`key:${key.id}`), "local");
  assert.equal(await makerAfter("key:admin"), "key:admin");
});
