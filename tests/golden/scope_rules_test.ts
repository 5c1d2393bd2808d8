/**
 * One allow and one deny for each rule of the scope.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Scope } from "@/scope/scope.ts";
import { parseTarget } from "@/scope/target.ts";
import { type Labels, rulesUnder, type ScopeRules } from "@/scope/rules.ts";
import { verifies } from "../requirements.ts";

verifies(
  "scope.default_private",
  "scope.allowed_and_denied_subnets",
  "scope.network_size",
  "rules.allow_and_deny",
);

const RULES: ScopeRules = {
  allowedSubnets: [],
  deniedSubnets: [],
  allowedHostSuffixes: [".lab.internal"],
  bounds: [],
  engagementRequired: false,
  within: [],
  maxNetworkSize: 1024,
};

const BOUNDS: ScopeRules["bounds"] = [
  {
    kind: "engagement",
    name: "spring",
    subnets: ["10.1.0.0/16", "fd00:1::/64"],
  },
  { kind: "engagement", name: "outside", subnets: ["8.8.8.0/24"] },
  { kind: "tag", name: "web", subnets: ["10.1.2.0/24"] },
];

interface Row {
  readonly rule: string;
  readonly rules?: Partial<ScopeRules>;
  readonly resolved?: Readonly<Record<string, readonly string[]>>;
  /** What the request is kept under. */
  readonly under?: Labels;
  readonly allow: readonly (string | readonly string[])[];
  readonly deny: readonly (string | readonly string[])[];
  readonly code?: string;
  readonly message?: RegExp;
}

const TABLE: readonly Row[] = [
  {
    rule: "loopback",
    allow: ["127.0.0.1", "127.255.255.255", "127.0.0.0/24", "::1"],
    deny: ["128.0.0.0", "126.255.255.255", "::2"],
  },
  {
    rule: "10.0.0.0/8",
    allow: ["10.0.0.0", "10.255.255.255", "10.1.2.0-255"],
    deny: ["9.255.255.255", "11.0.0.0", "8.0.0.0/22"],
  },
  {
    rule: "172.16.0.0/12",
    allow: ["172.16.0.0", "172.31.255.255"],
    deny: ["172.15.255.255", "172.32.0.0"],
  },
  {
    rule: "192.168.0.0/16",
    allow: ["192.168.0.0", "192.168.255.255", "192.168.4.0/22"],
    deny: ["192.167.255.255", "192.169.0.0"],
  },
  {
    rule: "fc00::/7",
    allow: ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::/118"],
    deny: ["fbff::1", "fe00::1", "2001:db8::1"],
  },
  {
    rule: "a whole network must lie inside",
    rules: { maxNetworkSize: 4_294_967_295 },
    allow: ["10.0.0.0/8", "192.168.0.0/16"],
    deny: ["10.0.0.0/7", "192.168.0.0/15"],
    message: /does not lie within one allowed range/,
  },
  {
    rule: "allowed_subnets",
    rules: { allowedSubnets: ["203.0.113.0/24", "2001:db8::/32"] },
    allow: ["203.0.113.255", "203.0.113.0/24", "2001:db8::1"],
    deny: ["203.0.114.0", "203.0.112.0/23", "2001:db9::1"],
  },
  {
    rule: "two adjoining allowed ranges are two",
    rules: { allowedSubnets: ["203.0.112.0/24", "203.0.113.0/24"] },
    allow: [["203.0.112.0/24", "203.0.113.0/24"]],
    deny: ["203.0.112.0/23"],
  },
  {
    rule: "denied_subnets win",
    rules: {
      deniedSubnets: ["10.66.0.0/16", "127.0.0.53/32"],
      allowedSubnets: ["10.66.1.0/24"],
    },
    allow: ["10.65.255.255", "10.67.0.0", "127.0.0.52"],
    deny: ["10.66.0.0", "10.66.1.1", "127.0.0.53"],
    message: /is denied here/,
  },
  {
    rule: "denied_subnets refuse a network that overlaps in part",
    rules: { deniedSubnets: ["10.0.0.200/32"] },
    allow: ["10.0.0.0/25", "10.0.0.201-255"],
    deny: ["10.0.0.0/24", "10.0.0.190-200"],
  },
  {
    rule: "this network and unspecified",
    rules: { allowedSubnets: ["0.0.0.0/0", "::/0"] },
    allow: ["1.0.0.0", "::1"],
    deny: ["0.0.0.0", "0.1.2.3", "::"],
    message: /holds unspecified/,
  },
  {
    rule: "link-local is refused unless named",
    rules: { allowedSubnets: ["0.0.0.0/0", "169.254.7.0/24", "fe80::7/128"] },
    allow: ["169.254.7.1", "fe80::7"],
    deny: ["169.254.169.254", "169.254.6.255", "fe80::8"],
    message: /holds link-local/,
  },
  {
    rule: "multicast is refused unless named",
    rules: { allowedSubnets: ["0.0.0.0/0", "::/0", "239.1.0.0/16"] },
    allow: ["239.1.0.1", "223.255.255.255"],
    deny: ["224.0.0.1", "239.2.0.1", "ff02::1"],
    message: /holds multicast/,
  },
  {
    rule: "broadcast and reserved are refused unless named",
    rules: { allowedSubnets: ["0.0.0.0/0", "240.1.0.0/16"] },
    allow: ["240.1.0.1"],
    deny: ["255.255.255.255", "240.2.0.1"],
    message: /holds reserved or broadcast/,
  },
  {
    rule: "addresses that carry an address are refused unless named",
    rules: { allowedSubnets: ["::/0", "64:ff9b::a00:0/104"] },
    allow: ["64:ff9b::a00:1", "2600::1"],
    deny: [
      "64:ff9b::808:808",
      "64:ff9b:1::1",
      "2002:a00:1::1",
      "2001::1",
      "::808:808",
      "::ffff:0:808:808",
    ],
    message: /holds (NAT64|6to4|Teredo|IPv4-compatible|IPv4-translated)/,
  },
  {
    rule: "the metadata service is refused unless named",
    rules: { allowedSubnets: ["fd20:ce::254/128"] },
    allow: ["fd20:ce::254", "fd00:ec2::253"],
    deny: ["fd00:ec2::254", "fd00:ec2::200/120"],
    message: /holds cloud metadata/,
  },
  {
    rule: "allowed_host_suffixes",
    resolved: {
      "a.lab.internal": ["10.0.0.1"],
      "a.b.lab.internal": ["10.0.0.1"],
      "evil-lab.internal": ["10.0.0.1"],
      "lab.internal": ["10.0.0.1"],
      "a.lab.internal.test": ["10.0.0.1"],
      "localhost": ["127.0.0.1"],
    },
    allow: ["a.lab.internal", "A.B.LAB.internal"],
    deny: [
      "evil-lab.internal",
      "lab.internal",
      "a.lab.internal.test",
      "localhost",
    ],
    message: /only below these suffixes: \.lab\.internal/,
  },
  {
    rule: "every resolved address must be allowed",
    resolved: {
      "good.lab.internal": ["10.0.0.1", "fd00::1"],
      "one.lab.internal": ["10.0.0.1", "8.8.8.8"],
      "six.lab.internal": ["10.0.0.1", "2001:4860::1"],
      "mapped.lab.internal": ["::ffff:808:808"],
      "meta.lab.internal": ["169.254.169.254"],
    },
    allow: ["good.lab.internal"],
    deny: [
      "one.lab.internal",
      "six.lab.internal",
      "mapped.lab.internal",
      "meta.lab.internal",
    ],
    message: /it resolves to/,
  },
  {
    rule: "a name must resolve",
    resolved: {
      "a.lab.internal": ["10.0.0.1"],
      "empty.lab.internal": [],
      "odd.lab.internal": ["010.0.0.1"],
      "zone.lab.internal": ["fd00::1%eth0"],
      "many.lab.internal": Array.from({ length: 17 }, (_, i) => `10.0.0.${i}`),
    },
    allow: ["a.lab.internal"],
    deny: [
      "empty.lab.internal",
      "unknown.lab.internal",
      "odd.lab.internal",
      "zone.lab.internal",
      "many.lab.internal",
    ],
    code: "invalid_target",
  },
  {
    rule: "max_network_size",
    allow: [
      "10.0.0.0/22",
      "fd00::/118",
      ["10.0.0.0/23", "10.0.2.0/23"],
      ["10.0.0.0/22", "10.0.0.0/22", "10.0.1.7", "10.0.3.0-9"],
    ],
    deny: [
      "10.0.0.0/21",
      "10.0.0.0/8",
      "fd00::/64",
      ["10.0.0.0/22", "10.0.4.0"],
      ["10.0.0.0/22", "::1"],
    ],
    code: "network_too_large",
    message:
      /use \/(22|118) or smaller, e\.g\. \S+, for at most 1024 addresses$/,
  },
  {
    rule: "an engagement that is bound to subnets",
    rules: { bounds: BOUNDS },
    under: { engagement: "spring", tags: ["other"] },
    allow: ["10.1.0.1", "10.1.2.0/24", ["10.1.0.1", "fd00:1::1"]],
    deny: [
      "10.2.0.1",
      "10.0.0.0/8",
      "127.0.0.1",
      ["10.1.0.1", "10.2.0.1"],
      "fd00:2::1",
    ],
    message:
      /: the engagement "spring" is bound to 10\.1\.0\.0\/16, fd00:1::\/64; name a target there$/,
  },
  {
    rule: "an engagement and a tag that are bound to subnets: both hold",
    rules: { bounds: BOUNDS },
    under: { engagement: "spring", tags: ["web"] },
    allow: ["10.1.2.3"],
    deny: ["10.1.3.1"],
    message:
      /: the tag "web" is bound to 10\.1\.2\.0\/24; name a target there$/,
  },
  {
    rule: "a binding opens nothing that is refused without it",
    rules: { bounds: BOUNDS },
    under: { engagement: "outside", tags: [] },
    allow: [],
    deny: ["8.8.8.8"],
    message: /: it does not lie within one allowed range/,
  },
  {
    rule: "a name's addresses are bound as well",
    rules: { bounds: BOUNDS },
    under: { engagement: "spring", tags: [] },
    resolved: {
      "in.lab.internal": ["10.1.0.1"],
      "out.lab.internal": ["10.1.0.1", "10.2.0.1"],
    },
    allow: ["in.lab.internal"],
    deny: ["out.lab.internal"],
  },
  {
    rule: "an engagement that is bound to nothing, and none",
    rules: { bounds: BOUNDS },
    under: { engagement: "another", tags: [] },
    allow: ["10.2.0.1", "127.0.0.1"],
    deny: ["8.8.8.8"],
  },
  {
    rule: "an engagement must be named, and is not",
    rules: { bounds: BOUNDS, engagementRequired: true },
    under: { engagement: null, tags: ["web"] },
    allow: [],
    deny: ["10.1.2.3"],
    message:
      /: scans need an engagement here; name one of spring, outside as engagement$/,
  },
  {
    rule: "an engagement must be named, and an unknown one is",
    rules: { bounds: BOUNDS, engagementRequired: true },
    under: { engagement: "constructor", tags: [] },
    allow: [],
    deny: ["10.1.2.3", "127.0.0.1"],
  },
  {
    rule: "an engagement must be named, and is",
    rules: { bounds: BOUNDS, engagementRequired: true },
    under: { engagement: "spring", tags: [] },
    allow: ["10.1.2.3"],
    deny: ["10.2.0.1"],
  },
  {
    rule: "an engagement must be named, and there is none",
    rules: { engagementRequired: true },
    under: { engagement: "spring", tags: [] },
    allow: [],
    deny: ["127.0.0.1"],
    message: /set security\.engagement_subnets$/,
  },
];

for (const row of TABLE) {
  Deno.test(`Scope.judge() allows and refuses by the rule: ${row.rule}`, () => {
    for (const target of row.allow) {
      const { targets, verdicts } = judge(row, target);
      assert.ok(targets.length > 0, `${target}: ${verdicts[0]?.reason}`);
      assert.ok(verdicts.every((verdict) => verdict.allowed), `${target}`);
    }
    for (const target of row.deny) {
      const { targets, verdicts } = judge(row, target);
      assert.deepEqual(targets, [], `${target} is allowed`);
      const refusing = verdicts.find((verdict) => !verdict.allowed);
      assert.equal(
        refusing?.error?.code,
        row.code ?? "target_not_allowed",
        `${target}: ${refusing?.reason}`,
      );
      assert.match(refusing?.error?.message ?? "", row.message ?? /^Cannot /);
    }
  });
}

Deno.test("Scope.judge() names the fix for an oversized network, word by word", () => {
  const cases: readonly (readonly [string, number, string])[] = [
    [
      "10.0.0.0/8",
      1024,
      "use /22 or smaller, e.g. 10.0.0.0/22, for at most 1024 addresses",
    ],
    [
      "192.168.200.0/21",
      1000,
      "use /23 or smaller, e.g. 192.168.200.0/23, for at most 1000 addresses",
    ],
    [
      "10.1.2.3-9",
      4,
      "use /30 or smaller, e.g. 10.1.2.0/30, for at most 4 addresses",
    ],
    [
      "10.1.2.0/31",
      1,
      "use /32 or smaller, e.g. 10.1.2.0, for at most 1 address",
    ],
    [
      "fd00:1::/64",
      1024,
      "use /118 or smaller, e.g. fd00:1::/118, for at most 1024 addresses",
    ],
  ];
  for (const [target, maxNetworkSize, fix] of cases) {
    const { verdicts } = judge(
      { rule: "", rules: { maxNetworkSize }, allow: [], deny: [] },
      target,
    );
    const message = verdicts[1]?.error?.message ?? "";
    assert.ok(message.endsWith(`; ${fix}`), message);
  }
});

function judge(row: Row, target: string | readonly string[]) {
  const rules = { ...RULES, ...row.rules };
  const scope = Scope.of(
    row.under === undefined
      ? rules
      : rulesUnder(rules, { ...row.under, tenant: "default" }),
  );
  const texts = [target].flat().map((text) => parseTarget(text));
  return scope.judge(texts, new Map(Object.entries(row.resolved ?? {})));
}
