import assert from "node:assert/strict";
import fc from "fast-check";
import { isSecretName, redactProperties, redactText } from "@/log/redact.ts";

Deno.test("isSecretName() knows the names of secrets", () => {
  const secret = [
    "key",
    "keys",
    "api_key",
    "api-key",
    "apiKey",
    "apikey",
    "API_KEY",
    "APIKEY",
    "X-API-Key",
    "privateKey",
    "ssh_key_path",
    "token",
    "tokens",
    "access_token",
    "accessToken",
    "TOKEN",
    "refreshTokens",
    "secret",
    "client_secret",
    "clientSecret",
    "password",
    "passwd",
    "db_password",
    "passphrase",
    "Authorization",
    "proxy-authorization",
    "cookie",
    "Set-Cookie",
    "credentials",
  ];
  for (const name of secret) assert.equal(isSecretName(name), true, name);
  const plain = [
    "monkey",
    "keyboard",
    "hockey",
    "keywords",
    "max_tokens",
    "maxTokens",
    "max_result_tokens",
    "maxResultTokens",
    "passes",
    "pass",
    "target",
    "tool",
    "trace_id",
    "author",
  ];
  for (const name of plain) assert.equal(isSecretName(name), false, name);
});

Deno.test("redactText() takes credentials out of a text", () => {
  const table = [
    ["http://u:p@h/x", "http://***REDACTED***@h/x"],
    [
      "at postgres://u:p@ss@h:5/db now",
      "at postgres://***REDACTED***@h:5/db now",
    ],
    [
      "redis://:p@h a http://b:c@d",
      "redis://***REDACTED***@h a http://***REDACTED***@d",
    ],
    [
      "http://h/?a=1&api_key=abc&b=2",
      "http://h/?a=1&api_key=***REDACTED***&b=2",
    ],
    ["Authorization: Bearer abc.def-g", "Authorization: Bearer ***REDACTED***"],
    ["basic dXNlcjpwYXNz", "basic ***REDACTED***"],
    ["http://h/a@b?keyword=1", "http://h/a@b?keyword=1"],
    ['Cannot use "u:p@h"', 'Cannot use "***REDACTED***@h"'],
    ["a password=x y", "a password=***REDACTED*** y"],
    ["smbpassword=x,y", "smbpassword=***REDACTED***,y"],
    ["token='a b' c", "token=***REDACTED*** c"],
    ["-U admin -P x -t 2", "-U admin -P ***REDACTED*** -t 2"],
    ["-Px", "-P***REDACTED***"],
    ["-H 'X-Own: a' -k", "-H ***REDACTED*** -k"],
    ["-c a=b;c=d", "-c ***REDACTED***"],
    ['--cookies "a=b; c=d" -k', "--cookies ***REDACTED*** -k"],
    ["--password=x", "--password=***REDACTED***"],
    [
      "-n -Pn -PS22,80 -PE -p 80 -sV --top-ports 100",
      "-n -Pn -PS22,80 -PE -p 80 -sV --top-ports 100",
    ],
    [
      "Cannot verify the token: it is old",
      "Cannot verify the token: it is old",
    ],
    [
      "scan of fd00::1 at 10:30, key_id=3",
      "scan of fd00::1 at 10:30, key_id=3",
    ],
  ];
  for (const [text = "", expected] of table) {
    assert.equal(redactText(text), expected);
  }
});

Deno.test("redactText() cuts a long text and says how long it was", () => {
  const cut = redactText("x".repeat(5_000));
  assert.equal(cut, `${"x".repeat(2_048)}… (cut, 5000 long)`);
});

Deno.test("redactText() takes time in proportion to the text, whatever the text", () => {
  const nasty = [
    "a://",
    "://",
    "?a=",
    "://@",
    "Bearer ",
    "a".repeat(64) + "=",
    "password=",
    'token="',
    " -P",
    "-P ",
    "--cookie ",
    "a:@",
  ];
  const started = performance.now();
  for (const part of nasty) {
    redactText(part.repeat(200_000 / part.length));
    redactText(`://${part.repeat(200_000 / part.length)}`);
  }
  // A quadratic pattern takes seconds here; this takes a few milliseconds.
  assert.ok(performance.now() - started < 1_000);
});

Deno.test("redactProperties() lets no value under a secret's name through, at any depth", () => {
  const secret = "hunter2hunter2";
  const name = fc.constantFrom("password", "api_key", "token", "clientSecret");
  const wrap = fc.array(
    fc.constantFrom("object", "array", "map", "error" as const),
    { maxLength: 4 },
  );
  const value = fc.constantFrom<unknown>(secret, [secret], { a: secret });
  fc.assert(fc.property(name, wrap, value, (name, wraps, value) => {
    let nested: unknown = { [name]: value };
    for (const kind of wraps) {
      if (kind === "object") nested = { inner: nested };
      if (kind === "array") nested = [nested];
      if (kind === "map") nested = new Map([["inner", nested]]);
      if (kind === "error") nested = new Error("x", { cause: nested });
    }
    const text = JSON.stringify(redactProperties({ nested }));
    assert.doesNotMatch(text, /hunter2/);
  }));
});

Deno.test("redactProperties() keeps plain values as they are", () => {
  const properties = { a: 1, b: "x", c: true, d: null, e: [1, { f: "y" }] };
  assert.deepEqual(redactProperties(properties), properties);
});

Deno.test("redactProperties() does not call toJSON and takes __proto__ as a name", () => {
  const value = JSON.parse('{"__proto__":{"polluted":1}}');
  value.toJSON = () => ({ replaced: true });
  const copied = redactProperties(value);
  assert.equal(
    JSON.stringify(copied),
    '{"__proto__":{"polluted":1},"toJSON":"(function)"}',
  );
  assert.equal("polluted" in {}, false);
});

Deno.test("redactProperties() bounds depth, entries and the whole", () => {
  const wide = Array.from({ length: 1_000 }, (_, index) => index);
  const copied = redactProperties({ wide });
  assert.equal((copied["wide"] as unknown[]).length, 65);
  const tree = (depth: number): unknown =>
    depth === 0 ? 1 : Array.from({ length: 60 }, () => tree(depth - 1));
  const text = JSON.stringify(redactProperties({ tree: tree(3) }));
  assert.ok(text.length < 600_000, String(text.length));
  assert.match(text, /too many values/);
  assert.deepEqual(
    redactProperties({ a: { b: { c: { d: { e: { f: { g: 1 } } } } } } }),
    { a: { b: { c: { d: { e: { f: "(cut: too deep)" } } } } } },
  );
});

Deno.test("redactProperties() writes bytes as their number", () => {
  assert.deepEqual(redactProperties({ raw: new Uint8Array(7) }), {
    raw: "(7 bytes)",
  });
});
