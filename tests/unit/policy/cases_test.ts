import assert from "node:assert/strict";
import { parseCaseRequest, parseCases, testCases } from "@/policy/cases.ts";
import { casesOf } from "@/policy/cases_file.ts";
import { verifies } from "../../requirements.ts";
import { DEFAULTS, OPERATORS, policiesOf } from "./support.ts";

Deno.test("parseCaseRequest() fills in what is not said", () => {
  const { inScope, ...request } = parseCaseRequest(
    { target: "10.0.0.0/24" },
    DEFAULTS,
  );
  assert.equal(inScope("10.0.0.0/24"), true);
  assert.deepEqual(request, {
    principal: {
      subject: "test",
      client: "test",
      tenant: "default",
      roles: ["operator"],
    },
    tool: "nmap",
    mode: "connect",
    networks: ["10.0.0.0/24"],
    names: [],
    engagement: null,
    tags: [],
    addresses: 256,
    ports: 0,
    rate: 0,
    intrusive: false,
    intrusiveAllowed: false,
    transport: "cli",
    source: null,
    at: DEFAULTS.now,
    approved: false,
  });
});

Deno.test("parseCaseRequest() cuts ranges into networks and takes names apart", () => {
  const { networks, names, addresses } = parseCaseRequest(
    { target: ["10.0.0.1-4", "Host.Lab.Internal", "fd00::/127"] },
    DEFAULTS,
  );
  assert.deepEqual(networks, [
    "10.0.0.1",
    "10.0.0.2/31",
    "10.0.0.4",
    "fd00::/127",
  ]);
  assert.deepEqual(names, ["host.lab.internal"]);
  assert.equal(addresses, 6);
});

Deno.test("parseCaseRequest() refuses what it does not know, and says what was meant", () => {
  verifies("policy.cases");
  const target = "10.0.0.1";
  const table: [unknown, RegExp][] = [
    [{ taget: "10.0.0.1" }, /"taget" is not known; did you mean "target"\?/],
    [{ target, inscope: true }, /did you mean "in_scope"\?/],
    [{ target, xyzzy: 1 }, /"xyzzy" is not known; write client, subject/],
    [JSON.parse('{"__proto__": {}}'), /"__proto__" is not known/],
    [{}, /it needs a target, such as 10\.0\.0\.0\/24/],
    [null, /expected an object/],
    [[], /expected an object/],
    [{ target, networks: [target] }, /leave one of them out/],
    [{ networks: ["a.test"] }, /"a\.test" is no network; put it into names/],
    [{ target: "a.test" }, /names alone are not scanned/],
    [{ target: "10.0.0.0/33" }, /no network in CIDR form/],
    [{ target, tool: "zmap" }, /expected one of nmap, masscan, gobuster/],
    [{ target, mode: "xmas" }, /"xmas" is no mode of nmap; write connect/],
    [{ target, tool: "masscan", mode: "dir" }, /no mode of masscan/],
    [{ target, time: "noon" }, /the time "noon" is none/],
    [{ target, time: "2026-02-30T25:00:00Z" }, /is none/],
    [{ target, time: "1969-12-31" }, /is none/],
    [{ target, source: "10.0.0.0/8" }, /the source "10\.0\.0\.0\/8" is no/],
    [{ target, transport: "fax" }, /expected one of stdio, http, cli/],
    [{ target, rate: 1.5 }, /expected an integer/],
    [{ target, roles: "operator" }, /expected a list/],
    [{ target, approved: "yes" }, /expected true or false/],
    [{ target, tags: Array(17).fill("a") }, /at most 16/],
  ];
  for (const [request, message] of table) {
    assert.throws(() => parseCaseRequest(request, DEFAULTS), { message });
  }
});

Deno.test("parseCases() refuses what is no list of cases", () => {
  verifies("policy.cases");
  const request = {};
  const table: [unknown, RegExp][] = [
    [{}, /expected a list of cases/],
    [[1], /the case "number 1": expected name, request and expect/],
    [[{ request }], /the case "number 1": it needs a name/],
    [[{ name: "a" }], /it needs a request/],
    [[{ name: "a", request, expected: "deny" }], /did you mean "expect"\?/],
    [[{ name: "a", request, expect: "forbid" }], /write allow, deny, approval/],
    [Array(1_001).fill({ name: "a", request }), /there are 1001, at most 1000/],
  ];
  for (const [value, message] of table) {
    assert.throws(() => parseCases(value), {
      code: "invalid_arguments",
      message,
    });
  }
});

Deno.test("casesOf() reads YAML and JSON, and refuses a key that is there twice", () => {
  const yaml = "- name: a\n  request: { target: 10.0.0.1 }\n  expect: allow\n";
  const json = JSON.stringify([
    { name: "a", request: { target: "10.0.0.1" }, expect: "allow" },
  ]);
  assert.deepEqual(
    casesOf({ name: "a.yaml", text: yaml }),
    casesOf({ name: "a.json", text: json }),
  );
  assert.deepEqual(casesOf({ name: "a.yaml", text: "" }), []);
  assert.throws(
    () =>
      casesOf({
        name: "a.yaml",
        text: "- name: a\n  name: b\n  request: {}\n",
      }),
    { code: "invalid_arguments", message: /line 2:3: this key is there twice/ },
  );
  assert.throws(() => casesOf({ name: "a.yaml", text: "- &a [*a]" }), {
    code: "invalid_arguments",
  });
});

Deno.test("testCases() judges all cases or none", async () => {
  verifies("policy.cases");
  const policies = await policiesOf(OPERATORS);
  const request = { target: "10.0.0.1" };
  assert.deepEqual(
    await testCases(policies, [
      { name: "right", request, expect: "allow" },
      { name: "wrong", request, expect: "deny" },
      { name: "open", request: { ...request, roles: ["viewer"] } },
    ], DEFAULTS),
    [
      { name: "right", decision: "allow", policies: ["operators"], ok: true },
      { name: "wrong", decision: "allow", policies: ["operators"], ok: false },
      { name: "open", decision: "deny", policies: [], ok: null },
    ],
  );
  await assert.rejects(
    testCases(policies, [
      { name: "right", request },
      { name: "second", request: { tool: "nmap" } },
    ], DEFAULTS),
    {
      code: "invalid_arguments",
      message: /^Cannot read the case "second": it needs a target/,
    },
  );
});
