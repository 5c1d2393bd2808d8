import assert from "node:assert/strict";
import fc from "fast-check";
import { redact, REDACTED } from "@/config/redact.ts";

const CANARY = "c4nary-5ecret-value";

const SECRET_NAMES = [
  "password",
  "Password",
  "db_password",
  "dbPassword",
  "passwd",
  "passphrase",
  "key",
  "keys",
  "api_key",
  "apiKey",
  "apikey",
  "API-KEY",
  "private_key",
  "keyfile",
  "token",
  "tokens",
  "access_token",
  "accessToken",
  "bearerToken",
  "secret",
  "client_secret",
  "clientSecrets",
  "credentials",
  "authorization",
  "Authorization",
  "cookie",
  "set-cookie",
  "signature",
  "dsn",
  "pin",
];

for (const name of SECRET_NAMES) {
  Deno.test(`redact() hides what stands under ${name}, however deep`, () => {
    for (const value of [CANARY, [CANARY], { a: { b: CANARY } }, 42_424_242]) {
      const shown = JSON.stringify(
        redact({ a: [{ [name]: value }], [name]: value }),
      );
      assert.ok(!shown.includes(CANARY) && !shown.includes("42424242"), shown);
      assert.ok(shown.includes(REDACTED));
    }
  });
}

const SECRET_TEXTS = [
  `postgres://user:${CANARY}@db.internal/scans`,
  `redis://:${CANARY}@127.0.0.1:6379`,
  `https://${CANARY}@example.internal/x`,
  `amqp://user:a/b?c#${CANARY}@mq`,
  `https://example.internal/hook?token=${CANARY}`,
  `https://example.internal/hook?a=1&api_key=${CANARY}`,
  `https://example.internal/x?sig=${CANARY}&b=2`,
  `https://example.internal/x?X-Amz-Signature=${CANARY}`,
  `https://example.internal/#access_token=${CANARY}`,
  `host=db user=scanner password=${CANARY}`,
  `Password: ${CANARY}`,
  `Server=db;Pwd=${CANARY};`,
  `user:${CANARY}@db.internal:5432`,
  `Bearer ${CANARY}`,
  `-----BEGIN RSA PRIVATE KEY-----\n${CANARY}`,
];

for (const text of SECRET_TEXTS) {
  Deno.test(`redact() hides ${text.replace(CANARY, "…").slice(0, 40)} under any name`, () => {
    for (const value of [{ url: text }, { a: [text] }, text, { [text]: 1 }]) {
      const shown = JSON.stringify(redact(value));
      assert.ok(!shown.includes(CANARY), shown);
      assert.ok(shown.includes(REDACTED));
    }
  });
}

Deno.test("redact() shows what is no secret", () => {
  const plain = {
    server: { host: "127.0.0.1", port: 8_080, transport: "stdio" },
    mcp: { max_result_tokens: 6_000 },
    scans: { keep: 500, keep_bytes: 1 },
    limits: { max_extra_args_length: 2_048, breaker: null, jitter: 0.1 },
    security: {
      allowed_host_suffixes: [".lab.internal"],
      allow_intrusive: false,
    },
    folder: "config/wordlists",
    url: "https://example.internal:8443/a/b?page=2#top",
    resolver: "[::1]:53",
  };
  assert.deepEqual(redact(plain), plain);
});

Deno.test("redact() shows that a secret is not set", () => {
  assert.deepEqual(redact({ password: null }), { password: null });
});

Deno.test("redact() hides what is no plain data, and what is too deep", () => {
  assert.deepEqual(
    redact({ a: new Map([["b", CANARY]]), f: () => CANARY, d: new Date(0) }),
    {
      a: REDACTED,
      f: REDACTED,
      d: REDACTED,
    },
  );
  const ring: Record<string, unknown> = {};
  ring["next"] = ring;
  assert.ok(JSON.stringify(redact(ring)).includes(REDACTED));
});

Deno.test("redact() changes no prototype and not its argument", () => {
  const given = JSON.parse(
    `{"__proto__": {"polluted": 1}, "key": "${CANARY}"}`,
  );
  const before = JSON.stringify(given);
  const copy = redact(given);
  assert.equal(JSON.stringify(given), before);
  assert.equal(Object.getPrototypeOf(copy), Object.prototype);
  assert.equal("polluted" in {}, false);
});

Deno.test("redact() never shows a canary under a secret's name", () => {
  const name = fc.constantFrom(...SECRET_NAMES);
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      fc.constant(CANARY),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie("tree"), { maxKeys: 3 }),
    ),
  }));
  fc.assert(fc.property(name, tree, fc.jsonValue(), (secret, hidden, rest) => {
    const shown = JSON.stringify(
      redact({ rest, nested: [{ [secret]: hidden }] }),
    );
    assert.ok(!shown.includes(CANARY), shown);
  }));
});

Deno.test("redact() is done soon with a long text", () => {
  const started = performance.now();
  for (
    const part of [
      "a",
      "://",
      "a:",
      "?",
      "?key",
      "key",
      "@",
      "bearer ",
      "-----BEGIN ",
    ]
  ) {
    redact(part.repeat(200_000 / part.length));
  }
  assert.ok(performance.now() - started < 5_000);
});
