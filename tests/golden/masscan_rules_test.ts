/**
 * One allow and one deny for each guardrail of masscan, with its name and code.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Guardrails } from "@/tools/guardrails.ts";
import { masscan } from "@/tools/masscan/tool.ts";
import {
  type Context,
  endingOf,
  GUARDRAILS,
  planOf,
} from "../unit/tools/nmap_fixture.ts";
import { verifies } from "../requirements.ts";

verifies(
  "rules.allow_and_deny",
  "masscan.rate_cap",
  "masscan.unusable_says_so",
);

type Request = Readonly<Record<string, unknown>>;

interface Row {
  readonly rule: string;
  readonly allow: readonly Request[];
  readonly deny: readonly Request[];
  readonly by: string;
  readonly code: string;
  readonly message: RegExp;
  /** Of the requests that are denied. */
  readonly context?: Context;
}

const FEW_PORTS: Guardrails = {
  ...GUARDRAILS,
  masscan: { ...GUARDRAILS.masscan, portsMax: 100 },
};

const TABLE: readonly Row[] = [
  {
    rule: "scope",
    allow: [{ target: "10.0.0.1", ports: "80" }, {
      target: "web.lab.internal",
      ports: "80",
    }],
    deny: [
      { target: "8.8.8.8", ports: "80" },
      { target: "10.66.0.1", ports: "80" },
      { target: ["10.0.0.1", "evil.lab.internal"], ports: "80" },
      { target: "web.attacker.test", ports: "80" },
    ],
    by: "scope",
    code: "target_not_allowed",
    message: /^Cannot scan /,
  },
  {
    rule: "network_size",
    allow: [{ target: "10.0.0.0/22", ports: "80" }],
    deny: [{ target: "10.0.0.0/21", ports: "80" }],
    by: "network_size",
    code: "network_too_large",
    message: /use \/22 or smaller, e\.g\. 10\.0\.0\.0\/22/,
  },
  {
    rule: "loopback",
    allow: [{ target: "10.127.0.1", ports: "80" }],
    deny: [
      { target: "127.0.0.1", ports: "80" },
      { target: "::1", ports: "80" },
      { target: ["10.0.0.1", "127.9.9.9"], ports: "80" },
      { target: "127.0.0.0/24", ports: "80" },
    ],
    by: "loopback",
    code: "invalid_target",
    message: /hears no loopback; use nmap/,
  },
  {
    rule: "address_family",
    allow: [{ target: "dual.lab.internal", ports: "80" }],
    deny: [
      { target: "fd00::1", ports: "80" },
      { target: ["10.0.0.1", "fd00::/120"], ports: "80" },
      { target: "six.lab.internal", ports: "80" },
    ],
    by: "address_family",
    code: "invalid_target",
    message: /^Cannot scan IPv6 with masscan: .*; use nmap/,
  },
  {
    rule: "ports",
    allow: [{ target: "10.0.0.1", ports: "1-65535" }],
    deny: [{ target: "10.0.0.1", ports: "1-101" }],
    by: "ports",
    code: "invalid_arguments",
    message: /^Cannot scan 101 ports: the limit is 100/,
    context: { guardrails: FEW_PORTS },
  },
  {
    rule: "rate",
    allow: [{ target: "10.0.0.1", ports: "80", rate: 10_000 }],
    deny: [
      { target: "10.0.0.1", ports: "80", rate: 10_001 },
      { target: "10.0.0.1", ports: "80", extra_args: "--max-rate=10001" },
    ],
    by: "rate",
    code: "invalid_arguments",
    message: /^Cannot send 10001 packets a second: the cap is 10000;/,
  },
  {
    rule: "raw_sockets",
    allow: [{ target: "10.0.0.1", ports: "80" }],
    deny: [{ target: "10.0.0.1", ports: "80" }],
    by: "raw_sockets",
    code: "tool_unavailable",
    message: /use nmap with scan_type connect, or run .* as root .*CAP_NET_RAW/,
    context: { rawSockets: false },
  },
  {
    rule: "timeout",
    allow: [{ target: "10.0.0.1", ports: "80", timeout_seconds: 1800 }],
    deny: [{ target: "10.0.0.1", ports: "80", timeout_seconds: 1801 }],
    by: "timeout",
    code: "invalid_arguments",
    message: /^Cannot run for 1801 s/,
  },
  {
    rule: "extra_args",
    allow: [{
      target: "10.0.0.1",
      ports: "80",
      extra_args: "--rate 5 --banners --wait=2 --retries 1 --ttl 64",
    }],
    deny: [
      { target: "10.0.0.1", ports: "80", extra_args: "--seed 1" },
      { target: "10.0.0.1", ports: "80", extra_args: "--wait 61" },
      { target: "10.0.0.1", ports: "80", extra_args: "--retries 4" },
      { target: "10.0.0.1", ports: "80", extra_args: "--wait forever" },
      { target: "10.0.0.1", ports: "80", extra_args: "--shard 1/2" },
      { target: "10.0.0.1", ports: "80", rate: 5, extra_args: "--rate 6" },
    ],
    by: "parse",
    code: "invalid_arguments",
    message: /^Cannot use /,
  },
  {
    rule: "ports are TCP",
    allow: [{ target: "10.0.0.1", ports: "1,65535" }],
    deny: ["U:53", "T:80", "0", "65536", "80-", "http", "80;81"].map((
      ports,
    ) => ({
      target: "10.0.0.1",
      ports,
    })),
    by: "parse",
    code: "invalid_arguments",
    message: /^Cannot use the ports /,
  },
];

for (const row of TABLE) {
  Deno.test(`masscan.plan() keeps the rule ${row.rule}`, () => {
    for (const request of row.allow) {
      const ending = endingOf(masscan, request);
      assert.equal(ending.kind, "runs", JSON.stringify([request, ending]));
    }
    for (const request of row.deny) {
      const ending = endingOf(masscan, request, row.context);
      const shown = JSON.stringify([request, ending]);
      assert.ok(ending.kind === "refused", shown);
      assert.deepEqual([ending.by, ending.code], [row.by, row.code], shown);
      assert.match(ending.message, row.message);
    }
  });
}

Deno.test("masscan.plan() names every guardrail, after a refusal too", () => {
  const names = [
    "scope",
    "network_size",
    "loopback",
    "address_family",
    "ports",
    "rate",
    "raw_sockets",
    "timeout",
  ];
  const requests = [
    { target: "10.0.0.1", ports: "80" },
    { target: "0.0.0.0/0", ports: "80", rate: 99_999 },
    { target: "::/0", ports: "80", timeout_seconds: 9_999 },
  ];
  for (const request of requests) {
    const { verdicts } = planOf(masscan, request, { rawSockets: false });
    assert.deepEqual(verdicts.map((verdict) => verdict.guardrail), names);
    for (const { allowed, reason, error } of verdicts) {
      assert.equal(allowed, error === undefined);
      assert.ok(reason.length > 0 && reason.length < 1_200, reason);
    }
  }
});
