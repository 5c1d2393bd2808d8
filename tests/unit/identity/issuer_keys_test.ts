/**
 * When the issuer's keys are fetched, and what is taken of what it says. Real servers that are slow,
 * huge and down are in `tests/process/keys_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../../requirements.ts";
import { ISSUER, Issuer, makePair } from "./issuer.ts";

const DISCOVERY = `${ISSUER}/.well-known/openid-configuration`;
const CERTS = `${ISSUER}/certs`;

const UNPROVED = { code: "unauthenticated", message: /does not hold/ };
const UNAVAILABLE = {
  code: "tool_unavailable",
  message:
    "Cannot check the token: the issuer's keys cannot be fetched now; try again in a moment, or call with an API key",
  retryAfter: 5,
};

Deno.test("IssuerKeys fetches once for everybody who asks, and not while the keys are fresh", async () => {
  verifies("identity.jwks");
  const issuer = await Issuer.make();
  const token = await issuer.sign(
    issuer.claims({ exp: issuer.seconds + 9_999 }),
  );
  const verify = () => issuer.verifier.verify(token);
  await Promise.all(Array.from({ length: 50 }, verify));
  assert.deepEqual(issuer.fetched, [DISCOVERY, CERTS]);
  issuer.clock += 600_000;
  await verify();
  assert.equal(issuer.fetched.length, 2);
  issuer.clock += 1;
  await Promise.all([verify(), verify()]);
  assert.equal(issuer.fetched.length, 4);
});

Deno.test("IssuerKeys asks the configured URL and no discovery", async () => {
  const url = "https://keys.example.com/jwks.json";
  const issuer = new Issuer(await makePair("k1"), { jwksUrl: url });
  await issuer.verifier.verify(await issuer.sign());
  assert.deepEqual(issuer.fetched, [url]);
});

Deno.test("IssuerKeys follows a rotation, at most once in 30 seconds, whoever asks", async () => {
  verifies("identity.jwks");
  const issuer = await Issuer.make();
  await issuer.verifier.verify(await issuer.sign());
  const next = await makePair("k2");
  issuer.keys = [issuer.pair.jwk, next.jwk];
  const token = await issuer.sign(issuer.claims(), {}, next);
  // The first fetch is too near.
  await assert.rejects(issuer.verifier.verify(token), UNPROVED);
  assert.equal(issuer.fetched.length, 2);
  issuer.clock += 30_000;
  await Promise.all(
    Array.from({ length: 20 }, () => issuer.verifier.verify(token)),
  );
  assert.equal(issuer.fetched.length, 4);
  await issuer.verifier.verify(await issuer.sign());
  // Invented ids, each another one.
  const stranger = await makePair("x");
  await Promise.all(Array.from({ length: 50 }, async (_, at) => {
    const header = { kid: `invented-${at}` };
    const forged = await issuer.sign(issuer.claims(), header, stranger);
    await assert.rejects(issuer.verifier.verify(forged), UNPROVED);
  }));
  assert.equal(issuer.fetched.length, 4);
  issuer.clock += 29_999;
  const forged = await issuer.sign(issuer.claims(), {}, stranger);
  await assert.rejects(issuer.verifier.verify(forged), UNPROVED);
  assert.equal(issuer.fetched.length, 4);
  issuer.clock += 1;
  await assert.rejects(issuer.verifier.verify(forged), UNPROVED);
  await assert.rejects(issuer.verifier.verify(forged), UNPROVED);
  assert.equal(issuer.fetched.length, 6);
});

Deno.test("IssuerKeys drops a key that the issuer took back", async () => {
  verifies("identity.jwks");
  const issuer = await Issuer.make();
  const claims = issuer.claims({ exp: issuer.seconds + 9_999 });
  const token = await issuer.sign(claims);
  await issuer.verifier.verify(token);
  issuer.keys = [(await makePair("k2")).jwk];
  issuer.clock += 600_001;
  await assert.rejects(issuer.verifier.verify(token), UNPROVED);
  issuer.keys = [];
  issuer.clock += 600_001;
  await assert.rejects(issuer.verifier.verify(token), UNPROVED);
});

Deno.test("IssuerKeys uses its keys for a day while the issuer is down", async () => {
  verifies("identity.jwks");
  const issuer = await Issuer.make();
  const claims = issuer.claims({ exp: issuer.seconds + 999_999 });
  const token = await issuer.sign(claims);
  await issuer.verifier.verify(token);
  issuer.keys = null;
  issuer.clock += 86_400_000;
  await issuer.verifier.verify(token);
  await issuer.verifier.verify(token);
  assert.equal(issuer.fetched.length, 3, "one try in 30 seconds");
  assert.match(issuer.warnings.join(), /connection refused/);
  issuer.clock += 1;
  await assert.rejects(issuer.verifier.verify(token), UNAVAILABLE);
  issuer.keys = [issuer.pair.jwk];
  issuer.clock += 30_000;
  await issuer.verifier.verify(token);
});

Deno.test("IssuerKeys without any keys tries again after five seconds", async () => {
  const issuer = await Issuer.make();
  issuer.keys = null;
  const token = await issuer.sign();
  for (let at = 0; at < 3; at++) {
    await assert.rejects(issuer.verifier.verify(token), UNAVAILABLE);
  }
  assert.equal(issuer.fetched.length, 1);
  issuer.keys = [issuer.pair.jwk];
  issuer.clock += 5_000;
  await issuer.verifier.verify(token);
});

Deno.test("IssuerKeys refuses documents that are not the issuer's own", async () => {
  const json = (value: unknown) => Response.json(value);
  const jwks_uri = CERTS;
  const to = (location: string) =>
    new Response(null, { status: 302, headers: { location } });
  const discoveries: readonly (readonly [Response, RegExp])[] = [
    [json({ issuer: `${ISSUER}/`, jwks_uri }), /not identity\.issuer/],
    [json({ issuer: "https://evil.example.com", jwks_uri }), /not identity/],
    [json({ jwks_uri }), /not identity\.issuer/],
    [json({ issuer: ISSUER }), /set identity\.jwks_url/],
    [json({ issuer: ISSUER, jwks_uri: 1 }), /set identity\.jwks_url/],
    [json({ issuer: ISSUER, jwks_uri: "/certs" }), /set identity\.jwks_url/],
    [
      json({ issuer: ISSUER, jwks_uri: "http://login.example.com/certs" }),
      /not of the issuer's origin/,
    ],
    [
      json({ issuer: ISSUER, jwks_uri: "https://169.254.169.254/latest" }),
      /not of the issuer's origin/,
    ],
    [json([]), /no JSON object/],
    [json(null), /no JSON object/],
    [new Response("<html>"), /SyntaxError/],
    [new Response(new Uint8Array([0xff, 0xfe])), /TypeError/],
    [new Response("{}", { status: 500 }), /status is 500/],
    [new Response(null, { status: 204 }), /status is 204/],
    [to("https://evil.example.com/"), /another origin/],
    [to("http://login.example.com/"), /another origin/],
    [to("file:///etc/passwd"), /another origin/],
    [to("https://login.example.com:8443/"), /another origin/],
    [to("https://["), /another origin/],
    [new Response(null, { status: 302 }), /status is 302/],
  ];
  for (const [answer, why] of discoveries) {
    const issuer = await Issuer.make();
    issuer.answer = (url) =>
      url === DISCOVERY ? Promise.resolve(answer.clone()) : null;
    const token = await issuer.sign();
    await assert.rejects(issuer.verifier.verify(token), UNAVAILABLE);
    assert.match(issuer.warnings.join(), why);
    assert.deepEqual(issuer.fetched, [DISCOVERY], "nothing else was asked");
  }
});

Deno.test("IssuerKeys refuses sets that are none, and leaves out keys that are none", async () => {
  const pair = await makePair("k1");
  const { jwk } = pair;
  const many = Array.from(
    { length: 101 },
    (_, at) => ({ ...jwk, kid: `${at}` }),
  );
  for (const keys of [many, "x", { 0: jwk }, null]) {
    const issuer = new Issuer(pair);
    issuer.keys = keys as unknown[];
    if (keys === null) {
      issuer.answer = (url) =>
        url === CERTS ? Promise.resolve(Response.json({})) : null;
      issuer.keys = [];
    }
    const token = await issuer.sign();
    await assert.rejects(issuer.verifier.verify(token), UNAVAILABLE);
    assert.match(issuer.warnings.join(), /holds (?:no|more than 100) keys/);
  }
  const strange: readonly (readonly [object | null, boolean])[] = [
    [null, false],
    [{ ...jwk, use: "enc" }, false],
    [{ ...jwk, key_ops: ["sign"] }, false],
    [{ ...jwk, key_ops: "verify" }, false],
    [{ ...jwk, alg: "ES384" }, false],
    [{ ...jwk, kty: "oct" }, false],
    [{ ...jwk, crv: 1 }, false],
    [{ ...jwk, kid: "k".repeat(129) }, false],
    [{ ...jwk, x: "A".repeat(10_000) }, false],
    [{ ...jwk, x: "AAAA" }, false],
    [{ ...jwk, key_ops: ["verify"], x5u: "https://evil", d: "AAAA" }, true],
    [{ ...jwk, alg: undefined }, true],
  ];
  for (const [key, good] of strange) {
    const issuer = new Issuer(pair);
    issuer.keys = [key];
    const verified = issuer.verifier.verify(await issuer.sign());
    const what = JSON.stringify(key)?.slice(0, 200);
    if (good) assert.equal((await verified).tenant, "red", what);
    else await assert.rejects(verified, UNPROVED, what);
  }
});

Deno.test("IssuerKeys refuses RSA keys under 2048 bits", async () => {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 1_024,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const { n, e, kty } = await crypto.subtle.exportKey("jwk", publicKey);
  const issuer = await Issuer.make();
  issuer.keys = [{ n, e, kty, kid: "weak" }];
  const body = [{ alg: "RS256", kid: "weak" }, issuer.claims()]
    .map((part) => new TextEncoder().encode(JSON.stringify(part)))
    .map((bytes) =>
      bytes.toBase64({ alphabet: "base64url", omitPadding: true })
    )
    .join(".");
  const seal = new Uint8Array(
    await crypto.subtle.sign(
      "RSASSA-PKCS1-v1_5",
      privateKey,
      new TextEncoder().encode(body),
    ),
  ).toBase64({ alphabet: "base64url", omitPadding: true });
  await assert.rejects(issuer.verifier.verify(`${body}.${seal}`), UNPROVED);
});
