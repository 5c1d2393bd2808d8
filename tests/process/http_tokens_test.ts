/**
 * Tokens from end to end: an issuer on loopback, the server as its task starts it with exactly that host
 * allowed, and every attack on signed tokens that is known by a name.
 *
 * The server counts failures by network, so every attack comes from an address of its own, which a
 * trusted proxy (the test) tells.
 *
 * @module
 */
import assert from "node:assert/strict";
import { exportSPKI, importJWK } from "jose";
import { verifies } from "../requirements.ts";
import { type Answer, HttpFolder, HttpServer } from "../support/http.ts";
import { freePort } from "../support/network.ts";
import { standIn } from "../support/stand_ins.ts";
import { makePair } from "../unit/identity/issuer.ts";
import { AUDIENCE, forged, LiveIssuer } from "./fixtures/live_issuer.ts";

/** A server that relies on an issuer, with stand-ins and the flags that the task would have. */
function relying(issuer: LiveIssuer): Promise<HttpServer> {
  return HttpServer.start({
    path: [standIn("canned")],
    net: [new URL(issuer.url).host],
    tenants: ["red", "blue"],
    env: {
      ...issuer.env,
      MCP_SERVER_TRUSTED_PROXIES: "127.0.0.1/32",
      MCP_IDENTITY_CLOCK_SKEW_SECONDS: "0",
    },
  });
}

/** Calls of one test, each from another network. */
class Calls {
  readonly #server: HttpServer;
  #count = 0;

  constructor(server: HttpServer) {
    this.#server = server;
  }

  async ask(token: string, path = "/v1/scans"): Promise<Answer> {
    this.#count += 1;
    return await this.#server.ask(path, {
      key: token,
      headers: {
        "x-forwarded-for": `198.51.${this.#count >> 8}.${this.#count & 255}`,
      },
      signal: AbortSignal.timeout(15_000),
    });
  }
}

/** All that an audit log and the log hold. */
async function traces(server: HttpServer): Promise<string> {
  let text = server.stderr;
  const folders = [server.folder.state];
  for (
    let folder = folders.pop();
    folder !== undefined;
    folder = folders.pop()
  ) {
    for await (const entry of Deno.readDir(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) folders.push(path);
      else {
        const bytes = await Deno.readFile(path);
        text += new TextDecoder("latin1").decode(bytes);
      }
    }
  }
  return text;
}

/** The parts of tokens that nothing may keep: the signature, and the claims as they were sent. */
function assertUntold(text: string, tokens: readonly string[]): void {
  for (const token of tokens) {
    for (const part of token.split(".").slice(1)) {
      if (part.length < 20) continue;
      assert.ok(!text.includes(part), `a part of a token was kept: ${part}`);
    }
  }
}

Deno.test("sandbox/start lets the server reach the issuer of its configuration and no other host", async () => {
  verifies("identity.token.net");
  verifies("http.net_from_config");
  await using issuer = await LiveIssuer.start();
  await using folder = await HttpFolder.make();
  await using server = await HttpServer.start({
    ...{ folder, env: issuer.env, tenants: ["red"] },
  });
  const { stdout } = await new Deno.Command("cat", {
    args: [`/proc/${server.pid}/cmdline`],
  }).output();
  const flags = new TextDecoder().decode(stdout).split("\0");
  const own = new URL(server.url).host;
  assert.deepEqual(
    flags.filter((flag) => flag.startsWith("--allow-net")),
    [`--allow-net=${own},${new URL(issuer.url).host}`],
  );
  const answer = await server.ask("/v1/scans", { key: await issuer.sign() });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(issuer.asked, [
    "/.well-known/openid-configuration",
    "/jwks",
  ]);
});

Deno.test("good tokens are the tenant and the roles that their claims say", async () => {
  verifies("identity.token_claims");
  await using issuer = await LiveIssuer.start();
  await using server = await relying(issuer);
  const calls = new Calls(server);
  const body = { target: "127.0.0.1", ports: "80" };
  const alice = await issuer.sign();
  const scan = await server.ask("/tools/nmap/execute", { key: alice, body });
  assert.equal(scan.status, 200, scan.text);
  const id: string = scan.json.scan_id;
  const seen = async (change: Readonly<Record<string, unknown>>) =>
    (await calls.ask(await issuer.sign(change), `/v1/scans/${id}`)).status;
  assert.equal(await seen({ sub: "bob" }), 200);
  assert.equal(await seen({ tenant: "blue" }), 404);
  assert.equal(await seen({ tenant: "default" }), 404);
  const may = async (
    change: Readonly<Record<string, unknown>>,
    path: string,
    sent?: unknown,
  ) => {
    const key = await issuer.sign(change);
    const { status } = await server.ask(path, {
      ...{ key, ...sent !== undefined && { body: sent } },
    });
    return status;
  };
  for (
    const [change, path, sent, expected] of [
      [{ roles: ["viewer"] }, "/tools/nmap/execute", body, 403],
      [{ roles: ["viewer"] }, "/v1/scans", undefined, 200],
      [{ roles: "viewer operator" }, "/tools/nmap/execute", body, 200],
      [{ roles: [] }, "/v1/scans", undefined, 403],
      [{ roles: ["Admin", "root", "__proto__"] }, "/v1/keys", undefined, 403],
      [{ roles: ["admin"] }, "/v1/keys", undefined, 200],
      [{ roles: ["admin"] }, "/config", undefined, 403],
      [{ roles: ["admin"], tenant: "default" }, "/config", undefined, 200],
      [{ scope: "openid read" }, "/tools/nmap/execute", body, 403],
      [{ scope: "openid read" }, "/v1/scans", undefined, 200],
      [{ scope: "scan:masscan" }, "/tools/nmap/execute", body, 403],
      [{ scope: "scan:nmap" }, "/tools/nmap/execute", body, 200],
    ] as const
  ) {
    assert.equal(
      await may(change, path, sent),
      expected,
      `${JSON.stringify(change)} ${path}`,
    );
  }
  assertUntold(await traces(server), [alice]);
});

/** The attacks, by name; each token would be let in by a server that falls for it. */
async function attacks(
  issuer: LiveIssuer,
): Promise<readonly (readonly [string, string])[]> {
  const { jwk } = issuer.pair;
  const now = Math.floor(Date.now() / 1_000);
  const claims = issuer.claims({ roles: ["admin"], tenant: "default" });
  const foreign = await makePair("first", "RS256");
  const stranger = await makePair("stranger", "RS256");
  const pem = await exportSPKI(
    await importJWK({ ...jwk, key_ops: ["verify"], ext: true }, "RS256", {
      extractable: true,
    }) as CryptoKey,
  );
  const hs = { alg: "HS256", kid: "first", typ: "JWT" };
  const good = await issuer.sign();
  const [head = "", , mark = ""] = good.split(".");
  const [, raised = ""] = (await forged(hs, claims)).split(".");
  const sign = (
    change: Readonly<Record<string, unknown>>,
    header: Readonly<Record<string, unknown>> = {},
    pair = issuer.pair,
  ) => issuer.sign(change, header, pair);
  const der = Uint8Array.fromBase64(pem.replace(/-----.*-----|\s/g, ""));
  return [
    ["alg none", await forged({ alg: "none" }, claims)],
    ["alg None", await forged({ alg: "None", kid: "first" }, claims)],
    ["alg none, signed", await forged({ alg: "none" }, claims, "x")],
    ["alg as a list", await forged({ alg: ["RS256"] }, claims, "x")],
    ["no alg", await forged({ kid: "first" }, claims, "x")],
    ["HS256 with the PEM", await forged(hs, claims, pem)],
    ["HS256 with the PEM, trimmed", await forged(hs, claims, pem.trim())],
    ["HS256 with the DER", await forged(hs, claims, der)],
    ["HS256 with the JWK", await forged(hs, claims, JSON.stringify(jwk))],
    ["HS256 with the modulus", await forged(hs, claims, jwk.n ?? "")],
    ["HS256 with nothing much", await forged(hs, claims, "\0")],
    [
      "PS256 with the RS256 key",
      await forged({ ...hs, alg: "PS256" }, claims, "x"),
    ],
    ["claims of another token", `${head}.${raised}.${mark}`],
    ["no signature", `${head}.${raised}.`],
    ["a cut signature", good.slice(0, -10)],
    ["five parts", `${good}.${mark}.${mark}`],
    ["wrong audience", await sign({ aud: "https://other.example" })],
    [
      "audience that begins so",
      await sign({ aud: `${AUDIENCE}.evil.example` }),
    ],
    ["no audience", await sign({ aud: undefined })],
    ["wrong issuer", await sign({ iss: "https://login.evil.example" })],
    ["issuer with a slash", await sign({ iss: `${issuer.url}/` })],
    ["expired", await sign({ exp: now - 5 })],
    ["no end", await sign({ exp: undefined })],
    ["end as a text", await sign({ exp: "9999999999" })],
    ["future nbf", await sign({ nbf: now + 3_600 })],
    ["future iat", await sign({ iat: now + 3_600 })],
    ["no sub", await sign({ sub: undefined })],
    ["sub with a line feed", await sign({ sub: "alice\nadmin" })],
    ["unknown tenant", await sign({ tenant: "nobody" })],
    ["tenant __proto__", await sign({ tenant: "__proto__" })],
    ["no tenant", await sign({ tenant: undefined })],
    ["kid of a file", await sign({}, { kid: "../../../../dev/null" })],
    ["kid of SQL", await sign({}, { kid: "x' UNION SELECT 'k" })],
    ["kid of a command", await sign({}, { kid: "|/bin/sh" })],
    ["kid with NUL", await sign({}, { kid: "first\0" })],
    ["kid of 10 KB", await sign({}, { kid: "k".repeat(10_000) })],
    ["kid __proto__", await sign({}, { kid: "__proto__" })],
    ["kid as a number", await sign({}, { kid: 1 })],
    ["jku", await sign({}, { jku: "http://127.0.0.1:1/jwks" }, stranger)],
    ["x5u", await sign({}, { x5u: "http://127.0.0.1:1/cert" }, stranger)],
    ["jwk", await sign({}, { jwk: { ...stranger.jwk } }, stranger)],
    ["foreign key under a known kid", await sign({}, {}, foreign)],
    ["foreign key without a kid", await sign({}, { kid: undefined }, foreign)],
    ["typ of an id token", await sign({}, { typ: "logout+jwt" })],
    ["no JSON", "bm8.bm8.bm8"],
    ["no token", "nothing"],
    ["16 KB", `${head}.${"A".repeat(16_000)}.${mark}`],
  ];
}

Deno.test("attacks on tokens are all refused by 401 in one shape, and nothing of them is kept", async () => {
  verifies("identity.token_attacks");
  await using issuer = await LiveIssuer.start();
  await using server = await relying(issuer);
  const calls = new Calls(server);
  assert.equal((await calls.ask(await issuer.sign())).status, 200);
  const sent: string[] = [];
  for (const [name, token] of await attacks(issuer)) {
    const answer = await calls.ask(token);
    assert.equal(answer.status, 401, `${name}: ${answer.text}`);
    const { type, title, status, detail, code, instance, trace_id, ...rest } =
      answer.json;
    assert.deepEqual(
      [type, title, status, code, rest],
      [
        "/problems/unauthenticated",
        answer.json.title,
        401,
        "unauthenticated",
        {},
      ],
      name,
    );
    assert.ok(title && instance && trace_id, name);
    assert.match(detail, /^Cannot (?:accept|read) the (?:token|credentials): /);
    assert.equal(
      answer.headers.get("www-authenticate"),
      `Bearer error="invalid_token", resource_metadata="${server.url}/.well-known/oauth-protected-resource"`,
      name,
    );
    assertUntold(answer.text, [token]);
    sent.push(token);
  }
  // Only what the issuer publishes was fetched, and not once for each invented key.
  assert.ok(issuer.asked.length <= 4, String(issuer.asked));
  assertUntold(await traces(server), sent);
  assert.doesNotMatch(server.stderr, /"level":"error"/);
  assert.equal((await calls.ask(await issuer.sign())).status, 200);
});

Deno.test("keys rotate, and an issuer that is down locks nobody out whose key is known", async () => {
  verifies("identity.token.rotation");
  verifies("identity.key_rotation", "identity.jwks");
  await using issuer = await LiveIssuer.start();
  const { jwk } = issuer.pair;
  const next = await makePair("second", "ES256");
  await using server = await relying(issuer);
  const { secret } = await server.key({ roles: ["viewer"] });
  const calls = new Calls(server);
  // Down from the beginning: that is no fault of the caller, and none of the server either.
  await issuer.down();
  const early = await calls.ask(await issuer.sign());
  assert.deepEqual([early.status, early.json.code], [503, "tool_unavailable"]);
  assert.ok(Number(early.headers.get("retry-after")) >= 1);
  assert.equal((await calls.ask(secret)).status, 200, "API keys still work");
  const { checks } = (await server.ask("/health")).json;
  const check = checks.find(({ name }: { name: string }) =>
    name === "dependency_issuer"
  );
  assert.equal(check.status, "unhealthy", "health sees that it is away");
  issuer.up();
  issuer.keys = [jwk, next.jwk];
  let status = 503;
  for (let look = 0; look < 40 && status === 503; look++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    status = (await calls.ask(await issuer.sign())).status;
  }
  assert.equal(status, 200);
  assert.equal((await calls.ask(await issuer.sign({}, {}, next))).status, 200);
  await issuer.down();
  assert.equal((await calls.ask(await issuer.sign())).status, 200);
  const unknown = await makePair("third", "ES256");
  const answer = await calls.ask(await issuer.sign({}, {}, unknown));
  assert.equal(answer.status, 401, answer.text);
});

Deno.test("a stream ends with the token that opened it", async () => {
  verifies("identity.leases");
  await using issuer = await LiveIssuer.start();
  await using server = await relying(issuer);
  const now = Math.floor(Date.now() / 1_000);
  const key = await issuer.sign({ exp: now + 4 });
  const stream = await server.fetch("/events", {
    ...{ key, signal: AbortSignal.timeout(30_000) },
  });
  assert.equal(stream.status, 200);
  // Its end, or the test's: nothing but the server ends it.
  await stream.text();
  assert.ok(Date.now() / 1_000 >= now + 4);
  assert.equal((await server.ask("/v1/scans", { key })).status, 401);
});

Deno.test("a server whose issuer cannot be right does not start", async () => {
  const port = freePort();
  for (
    const [env, said] of [
      [{ MCP_IDENTITY_ISSUER: `http://127.0.0.1:${port}` }, /audience/],
      [{ MCP_IDENTITY_ISSUER: "file:///etc/passwd" }, /identity\.issuer/],
      [
        {
          MCP_IDENTITY_ISSUER: `http://127.0.0.1:${port}`,
          MCP_IDENTITY_AUDIENCE: AUDIENCE,
          MCP_IDENTITY_ALGORITHMS: "HS256",
        },
        /identity\.algorithms/,
      ],
      [
        {
          MCP_IDENTITY_ISSUER: `http://127.0.0.1:${port}`,
          MCP_IDENTITY_AUDIENCE: AUDIENCE,
          MCP_IDENTITY_ALGORITHMS: "none",
        },
        /identity\.algorithms/,
      ],
    ] as const
  ) {
    await assert.rejects(
      async () => {
        await using _ = await HttpServer.start({
          ...{ path: [standIn("canned")], env },
        });
      },
      said,
      JSON.stringify(env),
    );
  }
});
