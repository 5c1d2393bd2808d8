/**
 * Messages of the boundary that are none: each is dropped or, at birth, a mistake that ends the
 * isolate. Nothing else may happen.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  parseAnswer,
  parseAsk,
  parseBirth,
  parseWardenMessage,
} from "@/isolate/parse.ts";
import { REQUEST_LENGTH_MAX } from "@/isolate/protocol.ts";
import { verifies } from "../../requirements.ts";
import { GUARDRAILS } from "../tools/nmap_fixture.ts";

const SCAN = {
  kind: "scan",
  id: 1,
  request: "{}",
  rawSockets: true,
  resolved: { "a.lab.internal": ["10.0.0.1"] },
  labels: { engagement: "spring", tags: ["web"], tenant: "default" },
} as const;

Deno.test("parseAsk() reads each kind and keeps nothing that it does not know", () => {
  verifies("isolate.no_argv_crosses");
  const extra = {
    argv: ["--script=/x.nse"],
    program: "/bin/sh",
    guardrails: { allowIntrusive: true },
  };
  assert.deepEqual(parseAsk({ ...SCAN, ...extra }), SCAN);
  assert.deepEqual(parseAsk({ ...SCAN, kind: "plan", ...extra }), {
    ...SCAN,
    kind: "plan",
  });
  for (const kind of ["ping", "cancel", "probe"] as const) {
    assert.deepEqual(parseAsk({ kind, id: 7, ...extra }), { kind, id: 7 });
  }
  const watch = { kind: "watch", id: 3, on: true };
  assert.deepEqual(parseAsk({ ...watch, ...extra }), watch);
  const resolve = { kind: "resolve", id: 2, names: ["a.lab.internal"] };
  assert.deepEqual(parseAsk({ ...resolve, ...extra }), resolve);
});

const MALFORMED_ASKS: readonly unknown[] = [
  null,
  undefined,
  0,
  "scan",
  [],
  [SCAN],
  new Map(Object.entries(SCAN)),
  {},
  { id: 1 },
  { kind: "scan" },
  { kind: "watch", id: 1 },
  { kind: "watch", id: 1, on: "true" },
  { ...SCAN, kind: "spawn" },
  { ...SCAN, kind: "birth" },
  { ...SCAN, kind: ["scan"] },
  { ...SCAN, id: -1 },
  { ...SCAN, id: 1.5 },
  { ...SCAN, id: NaN },
  { ...SCAN, id: "1" },
  { ...SCAN, id: 2 ** 53 },
  { ...SCAN, request: { target: "127.0.0.1" } },
  { ...SCAN, request: "x".repeat(65_537) },
  { ...SCAN, rawSockets: 1 },
  { ...SCAN, rawSockets: undefined },
  { ...SCAN, resolved: { a: "10.0.0.1" } },
  { ...SCAN, resolved: { a: [1] } },
  { ...SCAN, resolved: { a: ["1".repeat(65)] } },
  { ...SCAN, resolved: { a: Array(65).fill("10.0.0.1") } },
  { ...SCAN, resolved: { ["a".repeat(254)]: [] } },
  {
    ...SCAN,
    resolved: Object.fromEntries(
      Array.from({ length: 257 }, (_, i) => [`n${i}`, []]),
    ),
  },
  { ...SCAN, labels: undefined },
  { ...SCAN, labels: { tags: [] } },
  { ...SCAN, labels: { engagement: "x".repeat(65), tags: [] } },
  { ...SCAN, labels: { engagement: null } },
  { ...SCAN, labels: { engagement: null, tags: Array(17).fill("a") } },
  { ...SCAN, labels: { engagement: null, tags: [1] } },
  { kind: "resolve", id: 1 },
  { kind: "resolve", id: 1, names: "a.lab.internal" },
  { kind: "resolve", id: 1, names: [1] },
  { kind: "resolve", id: 1, names: ["a".repeat(254)] },
  { kind: "resolve", id: 1, names: Array(257).fill("a") },
];

Deno.test("parseAsk() drops what is none", () => {
  verifies("isolate.messages.malformed");
  assert.equal(REQUEST_LENGTH_MAX, 65_536);
  for (const [at, message] of MALFORMED_ASKS.entries()) {
    assert.equal(parseAsk(message), null, `case ${at}`);
  }
});

const DONE = {
  kind: "done",
  id: 1,
  outcome: { raw: new Uint8Array(), report: { kind: "hosts" } },
};

Deno.test("parseAnswer() drops what is none", () => {
  verifies("isolate.messages.malformed");
  const malformed: readonly unknown[] = [
    ...MALFORMED_ASKS,
    { kind: "pong" },
    { kind: "pong", id: -1 },
    { kind: "ready", tool: "sh", grants: { run: [], others: [] } },
    { kind: "ready", tool: "nmap" },
    { kind: "ready", tool: "nmap", grants: { run: "nmap", others: [] } },
    { kind: "ready", tool: "nmap", grants: { run: [], others: [1] } },
    {
      kind: "ready",
      tool: "nmap",
      grants: { run: Array(9).fill("a"), others: [] },
    },
    { ...DONE, outcome: null },
    { ...DONE, outcome: { ...DONE.outcome, raw: "text" } },
    { ...DONE, outcome: { ...DONE.outcome, report: null } },
    { kind: "planned", id: 1 },
    { kind: "resolved", id: 1, addresses: [] },
    { kind: "progress", id: 1, progress: 50 },
    { kind: "output", id: 1, printed: ["line"] },
    { kind: "probed", id: 1, version: 7 },
  ];
  for (const [at, message] of malformed.entries()) {
    assert.equal(parseAnswer(message), null, `case ${at}`);
  }
  assert.equal(parseAnswer(DONE)?.kind, "done");
});

Deno.test("no message, whatever it is, makes a parser throw or answer with another kind", () => {
  verifies("isolate.messages.malformed");
  const kinds = fc.constantFrom(
    "scan",
    "plan",
    "resolve",
    "probe",
    "cancel",
    "ping",
    "birth",
    "start",
    "end",
    "ready",
    "done",
    "refused",
    "pong",
  );
  const message = fc.oneof(
    fc.anything({ withMap: true, withBigInt: true, withTypedArray: true }),
    fc.record({
      kind: fc.oneof(kinds, fc.anything()),
      id: fc.oneof(fc.nat(), fc.anything()),
      key: fc.oneof(fc.nat(), fc.anything()),
      tool: fc.oneof(fc.constantFrom("nmap", "sh"), fc.anything()),
      request: fc.oneof(fc.string(), fc.anything()),
      rawSockets: fc.oneof(fc.boolean(), fc.anything()),
      resolved: fc.anything(),
      names: fc.oneof(fc.array(fc.string()), fc.anything()),
      grants: fc.anything(),
      outcome: fc.anything(),
      error: fc.anything(),
    }, { requiredKeys: [] }),
  );
  fc.assert(fc.property(message, (data) => {
    const kind = (data as { kind?: unknown } | null)?.kind;
    for (const parse of [parseAsk, parseAnswer, parseWardenMessage]) {
      const parsed = parse(data);
      if (parsed !== null) assert.equal(parsed.kind, kind);
    }
  }));
});

const BIRTH = {
  kind: "birth",
  tool: "nmap",
  programs: { nmap: "/usr/bin/nmap" },
  guardrails: GUARDRAILS,
} as const;

Deno.test("parseBirth() refuses what is no birth of its tool", () => {
  const malformed: readonly unknown[] = [
    null,
    {},
    { ...BIRTH, kind: "scan" },
    { ...BIRTH, tool: "masscan" },
    { ...BIRTH, programs: { sh: "/bin/sh" } },
    { ...BIRTH, programs: { nmap: 1 } },
    { ...BIRTH, guardrails: null },
    { ...BIRTH, guardrails: [] },
  ];
  for (const [at, message] of malformed.entries()) {
    assert.throws(() => parseBirth(message, "nmap"), TypeError, `case ${at}`);
  }
});

Deno.test("parseBirth() freezes the guardrails to their last leaf", () => {
  verifies("isolate.guardrails_sealed");
  const { guardrails } = parseBirth(structuredClone(BIRTH), "nmap");
  const loose = guardrails as unknown as {
    allowIntrusive: boolean;
    scope: { allowedSubnets: string[] };
    gobuster: { wordlists: { path: string }[] };
  };
  assert.throws(() => (loose.allowIntrusive = true), TypeError);
  assert.throws(() => loose.scope.allowedSubnets.push("0.0.0.0/0"), TypeError);
  const [wordlist] = loose.gobuster.wordlists;
  assert.throws(
    () => Object.assign(wordlist ?? {}, { path: "/etc/passwd" }),
    TypeError,
  );
  assert.deepEqual(guardrails, GUARDRAILS);
});

Deno.test("parseWardenMessage() takes no rule and no program with a start", () => {
  verifies("isolate.guardrails_sealed");
  const start = { kind: "start", key: 3, tool: "nmap" } as const;
  assert.deepEqual(
    parseWardenMessage({ ...start, program: "/bin/sh", guardrails: {} }),
    start,
  );
  assert.deepEqual(parseWardenMessage({ kind: "end", key: 3, tool: "x" }), {
    kind: "end",
    key: 3,
  });
  const malformed: readonly unknown[] = [
    null,
    [],
    {},
    { ...start, key: -1 },
    { ...start, key: "3" },
    { ...start, tool: "sh" },
    { ...start, tool: ["nmap"] },
    { kind: "end" },
    { kind: "birth" },
    { kind: "birth", env: {}, programs: {}, guardrails: null },
    { kind: "birth", env: [], programs: {}, guardrails: {} },
  ];
  for (const [at, message] of malformed.entries()) {
    assert.equal(parseWardenMessage(message), null, `case ${at}`);
  }
});
