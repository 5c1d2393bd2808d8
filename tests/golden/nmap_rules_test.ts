/**
 * One allow and one deny for each guardrail of nmap, with its name and code.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Guardrails } from "@/tools/guardrails.ts";
import { nmap } from "@/tools/nmap/tool.ts";
import {
  type Context,
  endingOf,
  GUARDRAILS,
  LOOSE,
  planOf,
} from "../unit/tools/nmap_fixture.ts";
import { verifies } from "../requirements.ts";

verifies(
  "rules.allow_and_deny",
  "nmap.intrusive_gate",
  "nmap.raw_honest",
  "nmap.scripts.allowlist",
);

type Request = Readonly<Record<string, unknown>>;

interface Row {
  readonly rule: string;
  readonly allow: readonly Request[];
  readonly deny: readonly Request[];
  readonly by: string;
  readonly code: string;
  readonly message: RegExp;
  readonly context?: Context;
}

const NO_RAW: Context = { rawSockets: false };
const INTRUSIVE: Context = { guardrails: LOOSE };
const FEW_PORTS: Guardrails = {
  ...GUARDRAILS,
  nmap: { ...GUARDRAILS.nmap, portsMax: 100, topPortsDefault: 100 },
};

const TABLE: readonly Row[] = [
  {
    rule: "scope: addresses",
    allow: [{ target: "10.0.0.1" }],
    deny: [{ target: "8.8.8.8" }, { target: "10.66.0.1" }],
    by: "scope",
    code: "target_not_allowed",
    message: /^Cannot scan /,
  },
  {
    rule: "scope: names",
    allow: [{ target: "web.lab.internal" }],
    deny: [{ target: "web.attacker.test" }, { target: "evil.lab.internal" }],
    by: "scope",
    code: "target_not_allowed",
    message: /use an address instead|resolves to 8\.8\.8\.8/,
  },
  {
    rule: "scope: names that resolve to nothing usable",
    allow: [{ target: "many.lab.internal" }],
    deny: [{ target: "gone.lab.internal" }, { target: "odd.lab.internal" }],
    by: "scope",
    code: "invalid_target",
    message: /resolves to no address|gave no plain address/,
  },
  {
    rule: "network_size",
    allow: [{ target: "10.0.0.0/22" }],
    deny: [{ target: "10.0.0.0/21" }, {
      target: "10.0.0.0/22 10.1.0.0/22".split(" "),
    }],
    by: "network_size",
    code: "network_too_large",
    message:
      /; use \/22 or smaller, e\.g\. 10\.0\.0\.0\/22, for at most 1024 addresses$/,
  },
  {
    rule: "address_family",
    allow: [{ target: "dual.lab.internal" }, {
      target: ["dual.lab.internal", "fd00::1"],
    }],
    deny: [{ target: ["10.0.0.1", "fd00::1"] }, {
      target: ["web.lab.internal", "six.lab.internal"],
    }],
    by: "address_family",
    code: "invalid_arguments",
    message: /ask for each in a scan of its own/,
  },
  {
    rule: "ports: count",
    context: { guardrails: FEW_PORTS },
    allow: [{ target: "10.0.0.1", ports: "1-100" }, {
      target: "10.0.0.1",
      ports: "T:1-50,U:1-50",
    }],
    deny: [{ target: "10.0.0.1", ports: "1-101" }, {
      target: "10.0.0.1",
      top_ports: 101,
    }, { target: "10.0.0.1", extra_args: "-p-" }],
    by: "ports",
    code: "invalid_arguments",
    message: /the limit is 100; name fewer ports/,
  },
  {
    rule: "pace",
    allow: [{ target: "10.0.0.1", pace: "balanced" }],
    deny: [{ target: "10.0.0.1", pace: "fast" }, {
      target: "10.0.0.1",
      extra_args: "--min-rate=1",
    }],
    by: "pace",
    code: "invalid_arguments",
    message: /not allowed here; use restrained or balanced/,
  },
  {
    rule: "scripts: categories and names",
    allow: [
      { target: "10.0.0.1", scripts: ["default", "safe", "discovery"] },
      { target: "10.0.0.1", scripts: ["http-title", "skypev2-version"] },
      { target: "10.0.0.1", extra_args: "--script banner" },
    ],
    deny: [
      { target: "10.0.0.1", scripts: ["version"] },
      { target: "10.0.0.1", scripts: ["pptp-version"] },
      { target: "10.0.0.1", scripts: ["http-title", "vuln"] },
      { target: "10.0.0.1", scripts: ["ssl-heartbleed"] },
      { target: "10.0.0.1", scripts: ["http-open-proxy"] },
      { target: "10.0.0.1", extra_args: "--script=exploit" },
    ],
    by: "scripts",
    code: "intrusive_not_allowed",
    message: /security\.allow_intrusive, which is off|which no right allows/,
  },
  {
    rule: "scripts: with the intrusive right",
    context: INTRUSIVE,
    allow: [{ target: "10.0.0.1", scripts: ["vuln", "ssh-brute", "auth"] }],
    deny: [
      { target: "10.0.0.1", scripts: ["external"] },
      { target: "10.0.0.1", scripts: ["whois-ip"] },
      { target: "10.0.0.1", scripts: ["broadcast-ping"] },
      { target: "10.0.0.1", scripts: ["url-snarf"] },
    ],
    by: "scripts",
    code: "target_not_allowed",
    message: /sends to others than the targets, which no right allows/,
  },
  {
    rule: "scripts: a name that nmap does not know",
    allow: [{ target: "10.0.0.1", scripts: ["http-robots.txt"] }],
    deny: [
      { target: "10.0.0.1", scripts: ["http-title.nse"] },
      { target: "10.0.0.1", scripts: ["all"] },
      { target: "10.0.0.1", scripts: ["http-*"] },
      { target: "10.0.0.1", scripts: ["default,safe"] },
      { target: "10.0.0.1", scripts: ["not safe"] },
    ],
    by: "parse",
    code: "invalid_arguments",
    message: /is no NSE script; use a name without \.nse/,
  },
  {
    rule: "intrusive",
    allow: [{ target: "10.0.0.1", timing: 4 }],
    deny: [
      { target: "10.0.0.1", timing: 5 },
      { target: "10.0.0.1", os_detection: true },
      { target: "10.0.0.1", extra_args: "-A" },
      { target: "10.0.0.1", extra_args: "-O" },
      { target: "10.0.0.1", extra_args: "-T5" },
    ],
    by: "intrusive",
    code: "intrusive_not_allowed",
    message: /need security\.allow_intrusive, which is off; leave it out/,
  },
  {
    rule: "script arguments",
    context: INTRUSIVE,
    allow: [{ target: "10.0.0.1", extra_args: "-A" }],
    deny: [
      { target: "10.0.0.1", extra_args: "--script-args=newtargets" },
      { target: "10.0.0.1", extra_args: "--script-args-file=/etc/passwd" },
    ],
    by: "parse",
    code: "intrusive_not_allowed",
    message: /no right allows them/,
  },
  {
    rule: "raw_sockets",
    context: NO_RAW,
    allow: [{ target: "10.0.0.1" }, {
      target: "10.0.0.0/24",
      scan_type: "connect",
    }],
    deny: [
      { target: "10.0.0.1", scan_type: "syn" },
      { target: "10.0.0.1", scan_type: "udp" },
      { target: "10.0.0.1", scan_type: "ping" },
      { target: "10.0.0.1", ports: "U:53" },
      { target: "10.0.0.1", extra_args: "-PE" },
      { target: "10.0.0.1", extra_args: "-PA80" },
      { target: "10.0.0.1", extra_args: "--traceroute" },
    ],
    by: "raw_sockets",
    code: "tool_unavailable",
    message:
      /run the server as root or grant it CAP_NET_RAW, or use scan_type connect/,
  },
  {
    rule: "raw_sockets: os_detection",
    context: { guardrails: LOOSE, rawSockets: false },
    allow: [{ target: "10.0.0.1", timing: 5 }],
    deny: [{ target: "10.0.0.1", os_detection: true }],
    by: "raw_sockets",
    code: "tool_unavailable",
    message: /^Cannot run os_detection: raw packets cannot be sent/,
  },
  {
    rule: "timeout",
    allow: [{ target: "10.0.0.1", timeout_seconds: 1800 }],
    deny: [{ target: "10.0.0.1", timeout_seconds: 1801 }],
    by: "timeout",
    code: "invalid_arguments",
    message:
      /the limit is 1800 s; leave timeout_seconds out or use 1800 or less/,
  },
  {
    rule: "extra_args length",
    context: { guardrails: { ...GUARDRAILS, extraArgsLengthMax: 6 } },
    allow: [{ target: "10.0.0.1", extra_args: "--open" }],
    deny: [{ target: "10.0.0.1", extra_args: "--open " }],
    by: "parse",
    code: "invalid_arguments",
    message: /extra_args has 7 characters, at most 6 are taken here/,
  },
  {
    rule: "contradictions",
    allow: [
      { target: "10.0.0.1", ports: "T:80,U:53", scan_type: "syn" },
      {
        target: "10.0.0.1",
        service_detection: true,
        extra_args: "--version-all",
      },
    ],
    deny: [
      { target: "10.0.0.1", ports: "80", top_ports: 10 },
      { target: "10.0.0.1", ports: "80", extra_args: "-F" },
      { target: "10.0.0.1", ports: "80", extra_args: "-p 81" },
      { target: "10.0.0.1", scan_type: "syn", extra_args: "-sT" },
      { target: "10.0.0.1", scan_type: "ping", ports: "80" },
      { target: "10.0.0.1", scan_type: "ping", service_detection: true },
      { target: "10.0.0.1", scan_type: "ping", extra_args: "-Pn" },
      { target: "10.0.0.1", scan_type: "udp", ports: "T:80" },
      { target: "10.0.0.1", scan_type: "syn", ports: "U:53" },
      { target: "10.0.0.1", extra_args: "-Pn -PE" },
      { target: "10.0.0.1", extra_args: "--min-rate 9 --max-rate 8" },
      { target: "10.0.0.1", pace: "balanced", extra_args: "--min-rate 9" },
      { target: "10.0.0.1", extra_args: "--version-light" },
      { target: "10.0.0.1", extra_args: "-sV --version-light --version-all" },
    ],
    by: "parse",
    code: "invalid_arguments",
    message: /^Cannot use /,
  },
];

for (const row of TABLE) {
  Deno.test(`nmap.plan() allows and refuses by the rule: ${row.rule}`, () => {
    for (const request of row.allow) {
      const ending = endingOf(nmap, request, row.context);
      assert.equal(ending.kind, "runs", JSON.stringify([request, ending]));
    }
    for (const request of row.deny) {
      const ending = endingOf(nmap, request, row.context);
      const shown = JSON.stringify([request, ending]);
      assert.ok(ending.kind === "refused", shown);
      assert.deepEqual([ending.by, ending.code], [row.by, row.code], shown);
      assert.match(ending.message, row.message);
    }
  });
}

Deno.test("nmap.plan() names every guardrail, after a refusal too", () => {
  const names = [
    "scope",
    "network_size",
    "address_family",
    "ports",
    "pace",
    "scripts",
    "intrusive",
    "raw_sockets",
    "timeout",
  ];
  const requests = [{ target: "10.0.0.1" }, { target: "0.0.0.0/0" }, {
    target: "10.0.0.1",
    timing: 5,
    pace: "fast",
    scripts: ["vuln"],
    timeout_seconds: 9_999,
  }];
  for (const request of requests) {
    const { verdicts } = planOf(nmap, request);
    assert.deepEqual(verdicts.map((verdict) => verdict.guardrail), names);
    for (const { allowed, reason, error } of verdicts) {
      assert.equal(allowed, error === undefined);
      assert.ok(reason.length > 0 && reason.length < 1_200, reason);
    }
  }
});
