/**
 * Tokens that hold, and the known ways to forge one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { exportSPKI, importJWK } from "jose";
import { TokenVerifier } from "@/identity/tokens.ts";
import { verifies } from "../../requirements.ts";
import { ISSUER, Issuer, makePair, part } from "./issuer.ts";

/** Every refusal has the code, begins alike and repeats nothing of the token. */
async function refused(
  issuer: Issuer,
  token: string,
  message: RegExp,
  what: string,
): Promise<void> {
  await assert.rejects(issuer.verifier.verify(token), (error) => {
    const { code, message: said } = error as Error & { code?: string };
    assert.equal(code, "unauthenticated", `${what}: ${error}`);
    assert.match(said, /^Cannot accept the token: /, what);
    assert.match(said, message, what);
    for (const piece of token.split(".").filter(({ length }) => length > 8)) {
      assert.ok(!said.includes(piece), `${what}: the message repeats it`);
    }
    return true;
  });
}

const UNPROVED = /its signature does not hold/;
const NO_TOKEN = /it is no signed JWT of at most 8 KiB/;

for (const alg of ["RS256", "ES256", "EdDSA"]) {
  Deno.test(`TokenVerifier.verify() takes a token signed with ${alg}`, async () => {
    const issuer = await Issuer.make(alg);
    const { expiresAt, ...principal } = await issuer.verifier.verify(
      await issuer.sign(),
    );
    assert.ok((expiresAt ?? 0) > issuer.seconds * 1_000);
    assert.deepEqual(principal, {
      kind: "token",
      subject: "https://login.example.com/realms/soc#alice",
      client: "soc-console",
      tenant: "red",
      roles: new Set(["viewer", "operator"]),
      scopes: null,
    });
  });
}

Deno.test("TokenVerifier.verify() refuses tokens whose claims do not hold", async () => {
  verifies("identity.token_claims");
  const issuer = await Issuer.make();
  const now = issuer.seconds;
  const aud = /not meant for this server/;
  const early = /not valid yet/;
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ["another audience", { aud: "https://other.example.com" }, aud],
    ["no audience", { aud: undefined }, /it has no aud/],
    ["a part of the audience", { aud: "https://scan.example.co" }, aud],
    ["an audience around ours", { aud: "https://scan.example.com.evil" }, aud],
    ["audiences without ours", { aud: ["a", "b"] }, aud],
    ["an audience that is a map", { aud: { 0: "x" } }, aud],
    ["another issuer", { iss: "https://evil.example.com" }, /another issuer/],
    ["our issuer with a slash", { iss: `${ISSUER}/` }, /another issuer/],
    ["no issuer", { iss: undefined }, /it has no iss/],
    ["a list of issuers", { iss: [ISSUER] }, /another issuer/],
    ["expired", { exp: now - 30 }, /it is expired; get a new one/],
    ["no end", { exp: undefined }, /it has no exp/],
    ["an end that is a text", { exp: String(now + 300) }, /its exp says no/],
    ["an endless end", { exp: "never" }, /its exp says no/],
    ["not before", { nbf: now + 31 }, early],
    ["issued in the future", { iat: now + 31 }, early],
    ["issued at a text", { iat: "x" }, /not valid yet|its iat says no/],
    ["no subject", { sub: undefined }, /it has no sub/],
    ["an empty subject", { sub: "" }, /its sub has to be/],
    ["a subject with a line end", { sub: "alice\nadmin" }, /its sub has to/],
    ["a hidden character", { sub: "ali\u200bce" }, /its sub has to be/],
    ["a long subject", { sub: "a".repeat(256) }, /its sub has to be/],
    ["another tenant", { tenant: "green" }, /names no tenant of this server/],
    ["no tenant", { tenant: undefined }, /names no tenant/],
    ["tenants", { tenant: ["red"] }, /names no tenant/],
    ["a prototype's tenant", { tenant: "__proto__" }, /names no tenant/],
  ];
  for (const [what, change, message] of cases) {
    const claims = JSON.parse(JSON.stringify(issuer.claims({ ...change })));
    const header = '{"alg":"ES256","kid":"k1"}';
    const token = await issuer.signText(header, JSON.stringify(claims));
    await refused(issuer, token, message, what);
  }
});

Deno.test("TokenVerifier.verify() grants the issuer's clock its skew and no more", async () => {
  verifies("identity.token_claims");
  const issuer = await Issuer.make();
  const now = issuer.seconds;
  for (
    const change of [
      { exp: now - 29 },
      { nbf: now + 30 },
      { iat: now + 30 },
      { aud: ["x", "https://scan.example.com"] },
    ]
  ) {
    const token = await issuer.sign(issuer.claims({ ...change }));
    assert.equal((await issuer.verifier.verify(token)).tenant, "red");
  }
});

Deno.test("TokenVerifier.verify() refuses alg none in every spelling", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  const claims = part(issuer.claims());
  for (const alg of ["none", "None", "NONE", "nOnE", "", null, 0, ["ES256"]]) {
    const head = part({ alg, kid: "k1" });
    await refused(issuer, `${head}.${claims}.`, NO_TOKEN, `${alg}, empty`);
    await refused(issuer, `${head}.${claims}.AAAA`, UNPROVED, `${alg}`);
  }
  const { alg: _, ...none } = { alg: 0, kid: "k1" };
  await refused(issuer, `${part(none)}.${claims}.AAAA`, /./, "no alg");
});

Deno.test("TokenVerifier.verify() refuses a public key used as a shared secret", async () => {
  verifies("identity.token_attacks");
  const pair = await makePair("k1", "RS256");
  const issuer = new Issuer(pair);
  const key = await importJWK(pair.jwk, "RS256", { extractable: true });
  const pem = await exportSPKI(key as CryptoKey);
  const secrets = [pem, pem.trim(), JSON.stringify(pair.jwk), pair.jwk.n ?? ""];
  for (
    const [alg, sha] of [["HS256", "sha256"], ["HS512", "sha512"]] as const
  ) {
    for (const secret of secrets) {
      const body = `${part({ alg, kid: "k1" })}.${part(issuer.claims())}`;
      const seal = createHmac(sha, secret).update(body).digest("base64url");
      await refused(issuer, `${body}.${seal}`, UNPROVED, alg);
    }
  }
  assert.deepEqual(
    issuer.fetched,
    [],
    "it was refused before any key was read",
  );
});

Deno.test("new TokenVerifier() takes no algorithm with a shared secret", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  for (
    const algorithms of [[], ["HS256"], ["ES256", "HS512"], ["none"], ["dir"]]
  ) {
    assert.throws(
      () =>
        new TokenVerifier(
          {
            issuer: ISSUER,
            audience: "x",
            algorithms,
            clockSkewSeconds: 0,
            tenantClaim: "t",
            rolesClaim: "r",
            roleNames: new Map(),
            tenants: () => new Set(),
          },
          issuer.source,
          () => 0,
        ),
      RangeError,
    );
  }
});

Deno.test("TokenVerifier.verify() takes a shared secret out of no key set", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  issuer.keys = [{ kty: "oct", k: part("secret"), kid: "k1", alg: "HS256" }];
  await refused(issuer, await issuer.sign(), UNPROVED, "oct");
});

Deno.test("TokenVerifier.verify() refuses other keys, other algorithms and changed tokens", async () => {
  const issuer = await Issuer.make();
  const stranger = await makePair("k1");
  await refused(
    issuer,
    await issuer.sign(issuer.claims(), {}, stranger),
    UNPROVED,
    "a stranger's key under our kid",
  );
  const rsa = await makePair("k1", "PS256");
  await refused(
    issuer,
    await issuer.sign(issuer.claims(), {}, rsa),
    UNPROVED,
    "an algorithm that is not configured",
  );
  // The issuer itself publishes that key; only the configuration does not have its algorithm.
  const own = new Issuer(rsa);
  await refused(own, await own.sign(), UNPROVED, "the issuer's own PS256");
  const sound = new Issuer(rsa, { algorithms: ["PS256"] });
  assert.equal((await sound.verifier.verify(await sound.sign())).tenant, "red");
  const token = await issuer.sign();
  const [head = "", , seal = ""] = token.split(".");
  const raised = part(issuer.claims({ tenant: "default" }));
  await refused(issuer, `${head}.${raised}.${seal}`, UNPROVED, "other claims");
  const flipped = seal.startsWith("A") ? "B" : "A";
  const bent = `${head}.${token.split(".")[1]}.${flipped}${seal.slice(1)}`;
  await refused(issuer, bent, UNPROVED, "another signature");
});

Deno.test("TokenVerifier.verify() lets no header bring or name a key", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  const stranger = await makePair("evil");
  const url = "https://evil.example.com/jwks.json";
  for (
    const header of [
      { jwk: stranger.jwk },
      { jku: url },
      { x5u: url },
      { jwk: stranger.jwk, kid: "k1", jku: url, x5u: url },
      { x5c: ["MIIB"] },
    ]
  ) {
    const forged = await issuer.sign(issuer.claims(), header, stranger);
    await refused(issuer, forged, UNPROVED, Object.keys(header).join());
    // What the issuer itself writes there is passed over.
    const sound = await issuer.sign(issuer.claims(), { ...header, kid: "k1" });
    assert.equal((await issuer.verifier.verify(sound)).tenant, "red");
  }
  assert.ok(issuer.fetched.every((one) => one.startsWith(ISSUER)));
});

Deno.test("TokenVerifier.verify() refuses hostile key ids and asks the issuer no more for them", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  await issuer.verifier.verify(await issuer.sign());
  const before = issuer.fetched.length;
  const kids: readonly unknown[] = [
    "../../../../dev/null",
    "/proc/self/environ",
    "https://evil.example.com/jwks.json",
    "k1' or '1'='1",
    "k1\0",
    "k1\n",
    "|/bin/id",
    "__proto__",
    "constructor",
    "",
    "a".repeat(129),
    "é",
    1,
    null,
    ["k1"],
    { kid: "k1" },
  ];
  for (const kid of kids) {
    const token = await issuer.signText(
      JSON.stringify({ alg: "ES256", kid }),
      JSON.stringify(issuer.claims()),
    );
    await refused(issuer, token, UNPROVED, JSON.stringify(kid));
  }
  // Even where the issuer names a key so.
  const odd = new Issuer(issuer.pair);
  for (const kid of ["k 1", "k\n1", "", "é"]) {
    odd.keys = [{ ...issuer.pair.jwk, kid }];
    const token = await odd.sign(odd.claims(), { kid });
    await refused(odd, token, UNPROVED, JSON.stringify(kid));
  }
  assert.deepEqual(odd.fetched, []);
  const huge = await issuer.signText(
    JSON.stringify({ alg: "ES256", kid: "a".repeat(10_000) }),
    JSON.stringify(issuer.claims()),
  );
  await refused(issuer, huge, NO_TOKEN, "10 kB");
  assert.equal(issuer.fetched.length, before);
});

Deno.test("TokenVerifier.verify() refuses crit and b64", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  for (
    const extra of [
      { crit: ["b64"], b64: false },
      { crit: ["b64"], b64: true },
      { crit: ["exp"] },
      { crit: [] },
      { crit: null },
      { b64: false },
      { b64: true },
    ]
  ) {
    const token = await issuer.signText(
      JSON.stringify({ alg: "ES256", kid: "k1", ...extra }),
      JSON.stringify(issuer.claims()),
    );
    await refused(issuer, token, NO_TOKEN, JSON.stringify(extra));
  }
});

Deno.test("TokenVerifier.verify() takes access tokens and no token of another type", async () => {
  verifies("identity.token_attacks");
  const issuer = await Issuer.make();
  for (const typ of ["at+jwt", "JWT", "jwt", "application/at+jwt", "AT+JWT"]) {
    await issuer.verifier.verify(await issuer.sign(issuer.claims(), { typ }));
  }
  for (const typ of ["logout+jwt", "secevent+jwt", "dpop+jwt", "", "x"]) {
    const token = await issuer.sign(issuer.claims(), { typ });
    await refused(issuer, token, /its typ is neither/, typ);
  }
});

Deno.test("TokenVerifier.verify() refuses what is no token, however long", async () => {
  const issuer = await Issuer.make();
  const head = part({ alg: "ES256", kid: "k1" });
  const deep = "[".repeat(2_000) + "]".repeat(2_000);
  for (
    const token of [
      "",
      ".",
      "..",
      "a.b",
      "a.b.c.d.e",
      `${head}.${part("x")}`,
      "a".repeat(8_193),
      `${"a".repeat(1_000_000)}.b.c`,
      `${head}.e30.AA=`,
      `${head}.e30.A A`,
      `${head}.e30.\u0000`,
      `${part("not json")}.e30.AAAA`,
      `${part("[]")}.e30.AAAA`,
      `${part("null")}.e30.AAAA`,
      `${part('"ES256"')}.e30.AAAA`,
    ]
  ) await refused(issuer, token, /./, token.slice(0, 40));
  for (const claims of ["null", "[]", "1", "x", deep, ""]) {
    const token = await issuer.signText('{"alg":"ES256","kid":"k1"}', claims);
    await refused(issuer, token, /./, claims.slice(0, 20));
  }
  const filler = "a".repeat(7_000);
  const long = await issuer.sign(issuer.claims({ filler }));
  await refused(issuer, long, NO_TOKEN, "more than 8 KiB");
});

Deno.test("TokenVerifier.verify() reads doubled names as their last, in all parts alike", async () => {
  const issuer = await Issuer.make();
  const claims = JSON.stringify(issuer.claims());
  const twice = `{"tenant":"default",${claims.slice(1)}`;
  const token = await issuer.signText(
    '{"alg":"none","alg":"ES256","kid":"k1"}',
    twice,
  );
  assert.equal((await issuer.verifier.verify(token)).tenant, "red");
  const none = await issuer.signText(
    '{"alg":"ES256","kid":"k1","alg":"none"}',
    claims,
  );
  await refused(issuer, none, UNPROVED, "none last");
});
