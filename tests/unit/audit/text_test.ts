/**
 * No secret reaches the log, whatever field it comes by, and no text leaves its line.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { AuditEntry } from "@/audit/entry.ts";
import { fieldsOf } from "@/audit/entry.ts";
import { canonicalJson } from "@/audit/canonical.ts";
import { LINE_BYTES_MAX } from "@/audit/line.ts";
import { auditText, auditValue, LONG_TEXT_MAX } from "@/audit/text.ts";
import type { Plain } from "@/log/redact.ts";
import { MemoryFiles } from "./memory_files.ts";
import { decision, linesOf, openLog, WHO } from "./samples.ts";
import { verifies } from "../../requirements.ts";

verifies("audit.no_secret");

/** Texts with a secret in them; each says `CANARY` where the secret is. */
const CANARIES = [
  "http://user:CANARY@127.0.0.1/",
  "http://user:p@CANARY@127.0.0.1/",
  "http://CANARY@127.0.0.1/",
  "http://user:p/CANARY@127.0.0.1/",
  "http://user:p?CANARY#CANARY@127.0.0.1/",
  "postgres://scan:CANARY@db/scans",
  "user:CANARY@127.0.0.1",
  "http://127.0.0.1/?token=CANARY&page=1",
  "http://127.0.0.1/?a=1&api_key=CANARY",
  "--script-args http.password=CANARY",
  "password: CANARY",
  'password: "CANARY with spaces"',
  "PASSWORD='CANARY'",
  "--passphrase=CANARY",
  "pwd=CANARY;",
  "secret = CANARY",
  "client_secret=CANARY",
  "access_token=CANARY",
  "api-key: CANARY",
  "apiKey=CANARY",
  "key=CANARY",
  "Authorization: Bearer CANARY",
  "authorization: Basic Q0FOQVJZ-CANARY",
  "Authorization: Digest username=a, response=CANARY",
  "bearer CANARY",
  "Cookie: a=b; session=CANARY",
  "Set-Cookie: session=CANARY; Path=/",
  "X-Api-Key: CANARY",
  "x-auth-token: CANARY",
  '{"password":"CANARY"}',
  "-----BEGIN RSA PRIVATE KEY-----\nCANARY\n-----END RSA PRIVATE KEY-----",
  "-----BEGIN PRIVATE KEY-----\nCANARY",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARY-CANARY",
  "sk-live-CANARY0123456789abcdef",
  "ghp_CANARY0123456789abcdef01234567",
  "AKIACANARYCANARY0123",
  "xoxb-CANARY-0123456789",
  "glpat-CANARY0123456789abcd",
];

Deno.test("auditText() takes every secret out and leaves what stands around it", () => {
  for (const text of CANARIES) {
    const kept = auditText(`before ${text}`, LONG_TEXT_MAX);
    assert.ok(!kept.includes("CANARY"), `${text} -> ${kept}`);
    assert.ok(kept.startsWith("before"), kept);
  }
});

Deno.test("auditText() leaves what an auditor has to read", () => {
  const texts = [
    "127.0.0.1",
    "10.0.0.0/24",
    "fe80::1",
    "www.lab.internal",
    "http://127.0.0.1:8080/admin?page=2",
    "http://127.0.0.1:8080/@admin",
    "http://[fd00::1]:8080/@admin",
    "--open --reason -p 1-1024",
    'Cannot scan "8.8.8.8": it is not in scope; allowed are 10.0.0.0/8 and 127.0.0.0/8',
    "ssl-enum-ciphers,http-title",
    "0123456789abcdef0123456789abcdef",
    "01hqz7v6x2abcdefghjkmnpqrs",
    "a".repeat(64),
    "admin@example.org",
    "claude-desktop 1.0",
  ];
  for (const text of texts) assert.equal(auditText(text, LONG_TEXT_MAX), text);
});

Deno.test("auditText() keeps the target of a URL with a password", () => {
  assert.equal(
    auditText("http://admin:hunter2@10.0.0.7:8080/x", LONG_TEXT_MAX),
    "http://***REDACTED***@10.0.0.7:8080/x",
  );
});

Deno.test("auditText() lets no secret through at any cut", () => {
  for (const text of CANARIES) {
    for (let at = 8_192 - 40; at <= 8_192; at += 1) {
      const kept = auditText("y ".repeat(at / 2) + text, LONG_TEXT_MAX);
      assert.ok(!kept.includes("CANARY"));
    }
    const shrunk = `-----BEGIN PRIVATE KEY-----${"z".repeat(9_000)}${text}`;
    assert.ok(!auditText(shrunk, LONG_TEXT_MAX).includes("CANARY"));
  }
});

Deno.test("auditText() is no slower for a hostile text than its length says", () => {
  const hostile = [
    "a",
    ":",
    "@",
    "a:",
    "x-",
    "x-key",
    "key=",
    '"',
    "password",
    "eyJ",
    "://",
    "-----BEGIN ",
    "bearer ",
    "a@",
    "secret   ",
  ];
  for (const piece of hostile) {
    const text = piece.repeat(1_000_000 / piece.length);
    const startedAt = performance.now();
    auditText(text, LONG_TEXT_MAX);
    const took = performance.now() - startedAt;
    assert.ok(took < 250, `${piece} took ${took} ms`);
  }
});

/** An entry of every kind with a text in every field that takes one. */
function entriesWith(text: string): readonly AuditEntry[] {
  const who = { ...WHO, client: text, address: text, tenant: text };
  const hashes = { configHash: text, policyHash: text };
  const ids = { scanId: text, traceId: text };
  return [
    {
      kind: "request",
      who,
      operation: "scan",
      tool: text,
      arguments: { target: text, deep: [{ [text]: text }], list: [text] },
      traceId: text,
    },
    {
      kind: "request",
      who,
      operation: "read",
      tool: null,
      arguments: text,
      traceId: text,
    },
    decision("refused", {
      who,
      tool: text,
      target: text,
      rule: text,
      message: text,
      policies: [text],
      ...ids,
      ...hashes,
    }),
    {
      kind: "scan_started",
      tenant: text,
      ...ids,
      tool: text,
      targets: [text],
      argv: [[text]],
    },
    {
      kind: "scan_ended",
      tenant: text,
      ...ids,
      tool: text,
      status: text,
      code: null,
    },
    {
      kind: "approval_expired",
      tenant: text,
      approvalId: text,
      subject: WHO.subject,
      tool: text,
      target: text,
      policies: [text],
    },
    {
      kind: "config_changed",
      source: text,
      outcome: "applied",
      keys: [text],
      ...hashes,
    },
    {
      kind: "server_started",
      version: text,
      transport: "cli",
      sandbox: text,
      ...hashes,
    },
    { kind: "server_stopped", reason: text },
  ];
}

Deno.test("no canary reaches a line by any field of any kind", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files, { limits: { rotateBytes: 10 ** 9 } });
  for (const text of CANARIES) {
    await Promise.all(entriesWith(text).map((entry) => log.append(entry)));
  }
  // A secret by its name, whatever it looks like.
  await log.append({
    kind: "request",
    who: WHO,
    operation: "scan",
    tool: "nmap",
    arguments: {
      password: "CANARY",
      headers: { "X-Api-Key": "CANARY" },
      token: ["CANARY"],
    },
    traceId: "0",
  });
  const bytes = [...files.files.values()].map((one) =>
    new TextDecoder().decode(one)
  );
  for (const text of bytes) assert.ok(!text.includes("CANARY"));
  assert.ok(linesOf(files).length > CANARIES.length * 9);
});

Deno.test("an entry is one line of printable ASCII, whatever it is made of", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files, { limits: { rotateBytes: 10 ** 9 } });
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.constantFrom(
      '\n{"seq":1,"time":"2026-01-01T00:00:00.000Z"}\n',
      "\r\n",
      "\u2028\u2029",
      "\x1b[2J\x1b]0;x\x07",
      "\u202e\u0000",
      "\ud800",
      '","kind":"decision","outcome":"allowed',
      "__proto__",
    ),
  );
  let count = 0;
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => {
      await Promise.all(entriesWith(text).map((entry) => log.append(entry)));
      count += 9;
    }),
    { numRuns: 200 },
  );
  const lines = linesOf(files);
  for (const { text } of lines) assert.match(text, /^[\x20-\x7e]+$/);
  const own = lines.filter(({ text }) =>
    /"kind":"(?:checkpoint|log_opened)"/.test(text)
  );
  assert.equal(lines.length - own.length, count);
});

Deno.test("the largest entry fits a line", () => {
  const long = "\u{1f600}\u0000".repeat(20_000);
  for (const entry of entriesWith(long)) {
    const length = canonicalJson(fieldsOf(entry, sha256)).length;
    assert.ok(length < LINE_BYTES_MAX - 1_000, `${entry.kind}: ${length}`);
  }
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

Deno.test("auditValue() cuts a value that is too large and says so", () => {
  const given = Object.fromEntries(
    Array.from({ length: 60 }, (_, i) => [`a${i}`, "x".repeat(2_000)]),
  );
  const value = auditValue(given, sha256) as {
    cut: number;
    sha256: string;
    start: string;
  };
  assert.ok(value.cut > 100_000);
  assert.equal(value.start.length, 4_096);
  assert.ok(value.start.startsWith('{"a0":"xxx'));
  assert.equal(value.sha256, sha256(canonicalJson(given)));
});

Deno.test("auditValue() keeps a list of 64 whole, the longest names included", () => {
  verifies("audit.cut_is_provable");
  const ids = Array.from({ length: 64 }, (_, i) => `${i}`.padStart(26, "0"));
  assert.deepEqual(auditValue({ ids }, sha256), { ids });
  const target = Array.from({ length: 64 }, (_, i) => `${i}`.padEnd(253, "a"));
  assert.deepEqual(auditValue({ target }, sha256), { target });
});

/** Values that cannot be kept whole and hold no secret. */
const CUT_VALUES: Readonly<Record<string, unknown>> = {
  "a list of 65": {
    target: Array.from({ length: 65 }, (_, i) => `10.0.0.${i}`),
  },
  "a list in a list": {
    argv: [Array.from({ length: 100 }, (_, i) => `-p${i}`)],
  },
  "many members": Object.fromEntries(
    Array.from({ length: 65 }, (_, i) => [`name_${i}`, i]),
  ),
  "many values": Array.from({ length: 60 }, (_, i) => Array(10).fill(i)),
  "a long text": { extra_args: "--open ".repeat(1_000) },
  "a very long text": { extra_args: "--open ".repeat(5_000) },
  "deep data": JSON.parse(`${'{"a":'.repeat(20)}1${"}".repeat(20)}`),
};

for (const [what, given] of Object.entries(CUT_VALUES)) {
  Deno.test(`auditValue() proves ${what} by the hash of the whole`, () => {
    verifies("audit.cut_is_provable");
    const json = canonicalJson(given as Plain);
    const { cut, sha256: sum, ...rest } = auditValue(given, sha256) as Record<
      string,
      Plain
    >;
    assert.equal(sum, sha256(json));
    assert.equal(cut, json.length);
    assert.equal(Object.keys(rest).length, 1);
    // One item more or less, in the part that is not kept, is another request.
    const other = structuredClone(given) as Record<string, unknown>;
    const last = Object.keys(other).at(-1) ?? "";
    other[last] = [other[last], "x"];
    const changed = auditValue(other, sha256) as Record<string, Plain>;
    assert.notEqual(changed["sha256"], sum);
  });
}

Deno.test("auditValue() hashes no secret, so that none can be guessed by its hash", () => {
  const hosts = Array.from({ length: 70 }, (_, i) => `10.0.0.${i}`);
  for (const text of CANARIES) {
    const long = `${"--open ".repeat(1_000)} ${text}`;
    for (const extra of [text, long, `${"y ".repeat(1_010)}${text}`]) {
      const sumOf = (secret: string) => {
        const extraArgs = extra.replaceAll("CANARY", secret);
        const value = auditValue({
          hosts,
          extra_args: extraArgs,
          password: secret,
          deep: [{ [extraArgs]: [extraArgs] }],
        }, sha256);
        return (value as Record<string, Plain>)["sha256"];
      };
      assert.equal(sumOf("CANARY"), sumOf("WALRUS"), extra.slice(-80));
    }
  }
});

Deno.test("auditValue() reads what no request can hold, without an end or an error", () => {
  const endless: unknown[] = [];
  endless.push(endless, endless);
  const getter = Object.defineProperty({}, "a", {
    enumerable: true,
    get: () => {
      throw new Error("a getter");
    },
  });
  for (const value of [endless, getter, new Map([[1n, NaN]]), Symbol("a")]) {
    assert.doesNotThrow(() => auditValue(value, sha256));
  }
});

Deno.test("fieldsOf() writes the fields of the kind and no other", () => {
  const stray = { ...decision("allowed"), raw: "stray", password: "stray" };
  assert.deepEqual(Object.keys(fieldsOf(stray, sha256)).sort(), [
    "code",
    "config_hash",
    "labels",
    "message",
    "operation",
    "outcome",
    "policies",
    "policy_hash",
    "rule",
    "scan_id",
    "target",
    "tool",
    "trace_id",
    "who",
  ]);
  assert.throws(
    () => fieldsOf({ kind: "checkpoint" } as unknown as AuditEntry, sha256),
    /Cannot record an entry of an unknown kind/,
  );
});
