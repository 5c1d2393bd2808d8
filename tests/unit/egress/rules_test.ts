import assert from "node:assert/strict";
import fc from "fast-check";
import { load } from "js-yaml";
import { resolveConfig } from "@/config/resolve.ts";
import { joined, without } from "@/egress/blocks.ts";
import { containerRuleSet } from "@/egress/follow.ts";
import {
  CONTAINER_LINK,
  GUARD_LINK,
  INNER_DEVICE,
  NAMESPACE,
  OUTER_DEVICE,
} from "@/egress/link.ts";
import {
  containerRules,
  hostRules,
  namespaceRules,
  openBlocks,
  timeoutRules,
} from "@/egress/rules.ts";
import {
  addressText,
  blockText,
  contains,
  overlaps,
  parseAddress,
  parseNetwork,
} from "@/scope/block.ts";
import { Scope } from "@/scope/scope.ts";

function scopeOf(
  allowedSubnets: readonly string[],
  deniedSubnets: readonly string[] = [],
): Scope {
  return Scope.of({
    allowedSubnets,
    deniedSubnets,
    allowedHostSuffixes: [],
    bounds: [],
    engagementRequired: false,
    within: [],
    maxNetworkSize: 1,
  });
}

function open(scope: Scope): readonly string[] {
  return openBlocks(scope, GUARD_LINK).map(blockText);
}

Deno.test("openBlocks() opens the private ranges, and neither loopback nor metadata services", () => {
  assert.deepEqual(open(scopeOf([])), [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::-fd00:ec2::253",
    "fd00:ec2::255-fd20:ce::253",
    "fd20:ce::255-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
  ]);
});

Deno.test("openBlocks() adds what is allowed and takes out what is denied", () => {
  const scope = scopeOf(["203.0.113.0/24", "10.0.0.0/8"], [
    "10.1.2.3/32",
    "172.16.0.0/12",
    "fc00::/7",
    "203.0.113.128/25",
  ]);
  assert.deepEqual(open(scope), [
    "10.0.0.0-10.1.2.2",
    "10.1.2.4-10.255.255.255",
    "192.168.0.0/16",
    "203.0.113.0/25",
  ]);
});

Deno.test("openBlocks() keeps the link closed, even where its range is allowed", () => {
  const blocks = openBlocks(
    scopeOf(["169.254.0.0/16", "64:ff9b:1::/48", "0.0.0.0/0"]),
    GUARD_LINK,
  );
  const { own, router } = GUARD_LINK;
  for (const text of [own.ipv4, own.ipv6, router.ipv4, router.ipv6]) {
    const address = parseAddress(text ?? "");
    assert.ok(address !== null);
    assert.equal(
      blocks.some((block) => overlaps(block, address)),
      false,
      text ?? "",
    );
  }
  for (const text of ["169.254.212.255", "169.254.213.4"]) {
    const address = parseAddress(text);
    assert.ok(
      address !== null && blocks.some((block) => contains(block, address)),
      text,
    );
  }
});

Deno.test("openBlocks() opens an address if and only if the scope lets it be scanned", () => {
  const networks = [
    "10.0.0.0/8",
    "10.128.0.0/9",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "0.0.0.0/0",
    "127.0.0.0/8",
    "169.254.169.254/32",
    "169.254.0.0/16",
    "224.0.0.0/8",
    "100.64.0.0/10",
    "::/0",
    "fc00::/7",
    "fd00:ec2::/32",
    "fd00:ec2::254/128",
    "fe80::/64",
    "2001::/16",
    "2001:db8::/32",
    "::ffff:0:0/96",
  ];
  const edges = networks.flatMap((text) => {
    const block = parseNetwork(text);
    assert.ok(block !== null, text);
    const { family, first, last } = block;
    const max = family === 4 ? 0xffffffffn : (1n << 128n) - 1n;
    return [first - 1n, first, last, last + 1n].filter((value) =>
      value >= 0n && value <= max
    ).map((value) => addressText(family, value));
  });
  const ranges = fc.uniqueArray(fc.constantFrom(...networks), { maxLength: 4 });
  const address = fc.oneof(
    fc.constantFrom(...edges),
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes(".")),
  );
  fc.assert(
    fc.property(ranges, ranges, address, (allowed, denied, text) => {
      const block = parseAddress(text);
      if (block === null) return;
      const scope = scopeOf(allowed, denied);
      const judged = scope.judge([{ kind: "address", text, block }], new Map());
      const opened = openBlocks(scope, GUARD_LINK).some((one) =>
        contains(one, block)
      );
      const ours = [
        ...GUARD_LINK.networks,
        ...["127.0.0.0/8", "::1/128"].map((one) => parseNetwork(one)),
      ].some((one) => one !== null && overlaps(one, block));
      assert.equal(
        opened,
        judged.targets.length === 1 && !ours,
        `${text} with ${allowed} without ${denied}`,
      );
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("the rules of both ends say the same of a frame", () => {
  const opening = {
    scope: scopeOf(["203.0.113.0/24"]),
    resolvers: ["10.0.0.53"],
  };
  const inner = namespaceRules(opening);
  const outer = hostRules(opening).split("add table inet")[0];
  assert.equal(
    outer,
    inner.replaceAll("netdev security_mcp", "netdev security_mcp_guard")
      .replace('egress device "scan0"', 'ingress device "mcp-guard"'),
  );
});

Deno.test("every way into an allowed set asks for sender, type and form first", () => {
  const text = namespaceRules({ scope: scopeOf([]), resolvers: [] });
  assert.match(text, /hook egress device "scan0" .*policy drop;/);
  const ways = text.split("\n").filter((line) => /goto judge_ipv/.test(line));
  assert.deepEqual(ways.map((line) => line.trim()), [
    "@ll,0,48 0x026d63700001 @ll,48,48 0x026d63700002 @ll,96,16 0x0800 meta protocol ip " +
    "ip version 4 ip hdrlength 5 ip frag-off & 0x3fff == 0 ip saddr 169.254.213.2 goto judge_ipv4",
    "@ll,0,48 0x026d63700001 @ll,48,48 0x026d63700002 @ll,96,16 0x86dd meta protocol ip6 " +
    "ip6 version 6 ip6 saddr 64:ff9b:1:6d63::2 goto judge_ipv6",
  ]);
});

Deno.test("a rule set replaces its sets and leaves an empty one empty", () => {
  const scope = scopeOf([], [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
  ]);
  const text = namespaceRules({ scope, resolvers: [] });
  assert.doesNotMatch(text, /add element/);
  for (const name of ["allowed4", "allowed6", "resolvers4", "resolvers6"]) {
    assert.ok(text.includes(`flush set netdev security_mcp ${name}\n`));
  }
});

Deno.test("name servers get port 53 and nothing else", () => {
  const text = namespaceRules({
    scope: scopeOf([]),
    resolvers: [
      "203.0.113.53",
      "2001:db8::53",
      "127.0.0.53",
      GUARD_LINK.router.ipv4,
    ],
  });
  assert.match(text, /resolvers4 \{\n {2}203\.0\.113\.53\n\}/);
  assert.match(text, /resolvers6 \{\n {2}2001:db8::53\n\}/);
  const uses = text.split("\n").filter((line) => line.includes("@resolvers"));
  assert.equal(uses.length, 2);
  for (const use of uses) {
    assert.match(use, /\{ tcp, udp \} .* th dport 53 goto pass$/);
  }
  assert.throws(
    () => namespaceRules({ scope: scopeOf([]), resolvers: ["ns.lab"] }),
    /Cannot open the way to the name server "ns\.lab"/,
  );
});

Deno.test("a container's rules know no hardware addresses and no IPv6", () => {
  const text = containerRules({ scope: scopeOf([]), resolvers: [] });
  assert.match(text, /hook egress device "eth0"/);
  assert.match(text, /ip saddr 198\.18\.213\.2 goto judge_ipv4/);
  assert.doesNotMatch(text, /@ll,0,48|@ll,48,48|judge_ipv6|judge_neighbour/);
});

Deno.test("unanswered probes are forgotten after ten seconds", () => {
  assert.match(timeoutRules(), /l3proto ip; policy = \{ syn_sent : 10 \}/);
  assert.match(timeoutRules(), /l3proto ip6; policy = \{ unreplied : 10 \}/);
});

Deno.test("egress_guard.sh makes the very link that the rules are about", async () => {
  const script = await Deno.readTextFile("deploy/egress_guard.sh");
  const value = (name: string) =>
    new RegExp(`^${name}=(.*)$`, "m").exec(script)?.[1];
  const { own, router } = GUARD_LINK;
  assert.deepEqual({
    namespace: value("namespace"),
    inner: value("inner"),
    outer: value("outer"),
    own: [value("inner_mac"), value("inner_ipv4"), value("inner_ipv6")],
    router: [value("outer_mac"), value("outer_ipv4"), value("outer_ipv6")],
  }, {
    namespace: NAMESPACE,
    inner: INNER_DEVICE,
    outer: OUTER_DEVICE,
    own: [own.mac, own.ipv4, own.ipv6],
    router: [router.mac, router.ipv4, router.ipv6],
  });
});

/** A configuration without a file, as the examples in deploy/ are made from. */
const DEFAULTS = resolveConfig({ file: null, env: {} }).config;

Deno.test("deploy/compose/egress.nft is what egress-rules --container prints", async () => {
  assert.equal(
    await Deno.readTextFile("deploy/compose/egress.nft"),
    containerRuleSet(DEFAULTS),
  );
});

Deno.test("the NetworkPolicy opens what the scope opens by default", async () => {
  interface Policy {
    readonly spec: {
      readonly policyTypes: readonly string[];
      readonly ingress: readonly unknown[];
      readonly egress: readonly {
        readonly to: readonly {
          readonly ipBlock: {
            readonly cidr: string;
            readonly except?: readonly string[];
          };
        }[];
      }[];
    };
  }
  const text = await Deno.readTextFile("deploy/kubernetes/network_policy.yaml");
  const { spec } = load(text) as Policy;
  assert.deepEqual(spec.policyTypes, ["Ingress", "Egress"]);
  assert.deepEqual(spec.ingress, []);
  const network = (text: string) => {
    const block = parseNetwork(text);
    assert.ok(block !== null, text);
    return block;
  };
  const blocks = spec.egress.flatMap(({ to }) => to).flatMap(({ ipBlock }) =>
    without([network(ipBlock.cidr)], (ipBlock.except ?? []).map(network))
  );
  assert.deepEqual(
    joined(blocks),
    openBlocks(scopeOf([]), CONTAINER_LINK),
  );
});

Deno.test("the compose file gives the container the addresses of its rules", async () => {
  const text = await Deno.readTextFile("deploy/compose/egress_guard.yaml");
  assert.ok(text.includes(`ipv4_address: ${CONTAINER_LINK.own.ipv4}`));
  assert.ok(text.includes(`gateway: ${CONTAINER_LINK.router.ipv4}`));
  const [network] = CONTAINER_LINK.networks;
  assert.ok(
    network !== undefined && text.includes(`subnet: ${blockText(network)}`),
  );
});
