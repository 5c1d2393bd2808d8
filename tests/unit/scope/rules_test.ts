import assert from "node:assert/strict";
import {
  boundsWithin,
  rulesUnder,
  type ScopeBound,
  type ScopeRules,
} from "@/scope/rules.ts";
import { verifies } from "../../requirements.ts";

const BLUE: ScopeBound = {
  kind: "tenant",
  name: "blue",
  subnets: ["10.1.0.0/16", "fd00:1::/64"],
};

const GREEN: ScopeBound = {
  kind: "tenant",
  name: "green",
  subnets: ["10.2.0.0/16"],
};

/** What an engagement is bound to, and what of it is left to the tenant blue. */
const CUTS: readonly (readonly [
  subnets: readonly string[],
  left: readonly string[],
])[] = [
  [["10.1.0.0/16"], ["10.1.0.0/16"]],
  [["10.1.2.0/24"], ["10.1.2.0/24"]],
  [["10.0.0.0/8"], ["10.1.0.0/16"]],
  [["10.1.2.3"], ["10.1.2.3"]],
  [["10.2.0.0/16"], []],
  [["10.1.2.0/24", "10.2.0.0/16"], ["10.1.2.0/24"]],
  [["::/0", "0.0.0.0/0"], ["fd00:1::/64", "10.1.0.0/16"]],
  [["10.0.0.0/8", "10.1.0.0/16"], ["10.1.0.0/16"]],
  [[], []],
];

for (const [subnets, left] of CUTS) {
  Deno.test(`boundsWithin() leaves a tenant [${left}] of [${subnets}]`, () => {
    verifies("dispatch.capabilities");
    const spring: ScopeBound = { kind: "engagement", name: "spring", subnets };
    assert.deepEqual(boundsWithin([spring, BLUE, GREEN], "blue"), [
      { ...spring, subnets: left },
      BLUE,
    ]);
    assert.deepEqual(boundsWithin([spring, BLUE, GREEN], "grey"), [spring]);
  });
}

const RULES: ScopeRules = {
  allowedSubnets: [],
  deniedSubnets: [],
  allowedHostSuffixes: [],
  maxNetworkSize: 1024,
  bounds: [
    { kind: "engagement", name: "ours", subnets: ["10.1.2.0/24"] },
    { kind: "engagement", name: "theirs", subnets: ["10.2.9.0/24"] },
    BLUE,
    GREEN,
  ],
  engagementRequired: true,
  within: [],
};

/** What a scan of the tenant blue is under, and what a refusal may say. */
const REFUSALS: readonly (readonly [
  engagement: string | null,
  why: readonly string[],
])[] = [
  ["ours", [
    'the engagement "ours" is bound to 10.1.2.0/24; name a target there',
    'the tenant "blue" is bound to 10.1.0.0/16, fd00:1::/64; name a target there',
  ]],
  ["theirs", [
    'the engagement "theirs" is bound to nothing that your tenant may scan; leave it out',
    'the tenant "blue" is bound to 10.1.0.0/16, fd00:1::/64; name a target there',
  ]],
  [null, [
    'the tenant "blue" is bound to 10.1.0.0/16, fd00:1::/64; name a target there',
    "scans need an engagement here; name one of ours as engagement",
  ]],
];

for (const [engagement, why] of REFUSALS) {
  Deno.test(`rulesUnder() names no network and no engagement of another tenant: ${engagement}`, () => {
    verifies("dispatch.capabilities");
    const labels = { engagement, tags: [], tenant: "blue" };
    const { within } = rulesUnder(RULES, labels);
    assert.deepEqual(within.map((one) => one.why), why);
  });
}
