/**
 * Writes the egress guard's rules as text for `nft`. Pure: it runs nothing, and `deploy/egress_guard.sh`
 * hands the text over.
 *
 * The rules look at frames, because a scanner with the right to send raw ones passes every hook that
 * looks at packets of sockets. They stand in two places, and each alone holds:
 *
 * - where frames leave the scanners' namespace (netdev egress), so that what is refused never gets out;
 * - where frames arrive at the host's end of the link (netdev ingress), because not every way to send
 *   passes the egress hook (an AF_XDP socket does not), and what arrives there was read anew by the
 *   kernel: nothing that the sender claimed beside the frame counts any more.
 *
 * Every rule names what may pass, all the rest is dropped; so a frame that a rule cannot read is dropped.
 * A sender also chooses what the kernel takes a frame for (`sll_protocol`), and with it where the kernel
 * looks for the addresses. So the frame's own type and the kernel's opinion have to agree. They are
 * compared as raw bytes (`@ll`), as `ether type` would be left out or made to depend on a device type that
 * does not exist at egress.
 *
 * Neither IPv4 options nor IPv6 extension headers nor fragments pass, because with source routes an
 * allowed address would be the way to another one; and no protocol but TCP, UDP and ICMP, because tunnels
 * would be as well.
 *
 * Sets keep their names and counters their counts when rules are loaded again: one transaction replaces
 * the rules and the sets' elements.
 *
 * @module
 */
import {
  addressText,
  type Block,
  parseAddress,
  parseNetwork,
  prefixOf,
} from "@/scope/block.ts";
import type { Scope } from "@/scope/scope.ts";
import { joined, without } from "./blocks.ts";
import {
  CONTAINER_DEVICE,
  CONTAINER_LINK,
  GUARD_LINK,
  INNER_DEVICE,
  type Link,
  type LinkEnd,
  OUTER_DEVICE,
} from "./link.ts";

/** The table in the scanners' namespace, and in a container. */
const INNER_TABLE = "security_mcp";

/** The tables in the host's namespace: one for frames, one for packets. */
const HOST_TABLE = "security_mcp_guard";

/** The table in the host's namespace that a kernel without connection timeouts cannot have. */
const TIMEOUT_TABLE = "security_mcp_timeout";

/** Seconds after which the host forgets a probe that nobody answered; by itself it takes 120 and 30. */
const UNANSWERED_SECONDS = 10;

/** What may leave. */
export interface Opening {
  readonly scope: Scope;
  /** Name servers: addresses to which port 53 is open, allowed by the scope or not. */
  readonly resolvers: readonly string[];
}

/**
 * Works out the addresses that scanners may send to: what the scope allows, without loopback, which a
 * namespace has of its own, and without the link itself, whose other end is the host.
 *
 * @param scope What may be scanned.
 * @param link The link.
 * @returns The addresses, as few blocks as can be.
 */
export function openBlocks(scope: Scope, link: Link): readonly Block[] {
  const { allowed, refused } = scope.extent;
  const holes = refused.flatMap(({ range, except }) =>
    without([range], except)
  );
  return without(joined(allowed), [...holes, ...LOOPBACK, ...link.networks]);
}

/**
 * Writes the rules for the scanners' namespace.
 *
 * @param opening What may leave.
 * @returns The text of one transaction.
 */
export function namespaceRules(opening: Opening): string {
  return frameRules(opening, {
    link: GUARD_LINK,
    table: INNER_TABLE,
    hook: `egress device "${INNER_DEVICE}"`,
  });
}

/**
 * Writes the rules for the host's end of the link.
 *
 * @param opening What may leave.
 * @returns The text of one transaction.
 */
export function hostRules(opening: Opening): string {
  const frames = frameRules(opening, {
    link: GUARD_LINK,
    table: HOST_TABLE,
    hook: `ingress device "${OUTER_DEVICE}"`,
  });
  return `${frames}${packetRules()}`;
}

/**
 * Writes the rules that let the host forget unanswered probes soon. A fast scan would else fill the
 * host's table of connections, and the host's own connections would suffer. Not every kernel has these.
 *
 * @returns The text of one transaction.
 */
export function timeoutRules(): string {
  const objects = ["ip", "ip6"].flatMap((family) => [
    `  ct timeout tcp_${family} { protocol tcp; l3proto ${family}; policy = { syn_sent : ${UNANSWERED_SECONDS} }; }`,
    `  ct timeout udp_${family} { protocol udp; l3proto ${family}; policy = { unreplied : ${UNANSWERED_SECONDS} }; }`,
  ]);
  const from = `iifname "${OUTER_DEVICE}"`;
  return `add table inet ${TIMEOUT_TABLE}
flush table inet ${TIMEOUT_TABLE}
table inet ${TIMEOUT_TABLE} {
${objects.join("\n")}
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    ${from} meta nfproto ipv4 meta l4proto tcp ct timeout set "tcp_ip"
    ${from} meta nfproto ipv4 meta l4proto udp ct timeout set "udp_ip"
    ${from} meta nfproto ipv6 meta l4proto tcp ct timeout set "tcp_ip6"
    ${from} meta nfproto ipv6 meta l4proto udp ct timeout set "udp_ip6"
  }
}
`;
}

/**
 * Writes the rules for a container that has a network namespace of its own.
 *
 * @param opening What may leave.
 * @returns The text of one transaction.
 */
export function containerRules(opening: Opening): string {
  return frameRules(opening, {
    link: CONTAINER_LINK,
    table: INNER_TABLE,
    hook: `egress device "${CONTAINER_DEVICE}"`,
  });
}

/** Where rules for frames stand. */
interface Place {
  readonly link: Link;
  readonly table: string;
  readonly hook: string;
}

function frameRules(opening: Opening, place: Place): string {
  const { link, table, hook } = place;
  const blocks = openBlocks(opening.scope, link);
  const resolvers = resolverBlocks(opening.resolvers, link);
  const sets: readonly SetOfAddresses[] = ([4, 6] as const).flatMap((
    family,
  ) => [
    { name: `allowed${family}`, family, blocks: ofFamily(blocks, family) },
    { name: `resolvers${family}`, family, blocks: ofFamily(resolvers, family) },
  ]);
  return `add table netdev ${table}
flush table netdev ${table}
table netdev ${table} {
  counter accepted { }
  counter dropped { }
${sets.map(setText).join("\n")}
${chains(link)}
  chain frames {
    type filter hook ${hook} priority filter; policy drop;
    jump judge
    counter name "dropped" drop
  }
}
${sets.map((set) => elementsText(table, set)).join("")}`;
}

/**
 * The chains that judge a frame. Whoever comes back from them is dropped. A rule that cannot read what it
 * looks at does not match, so each asks for what is good and none for what is bad.
 */
function chains(link: Link): string {
  const { own, router } = link;
  const from = macIs(48, own);
  const toRouter = `${macIs(0, router)}${from}`;
  const plain = "ip version 4 ip hdrlength 5 ip frag-off & 0x3fff == 0";
  const arpFrom = own.mac === null ? "" : `arp saddr ether ${own.mac} `;
  const rules = [
    `${toRouter}${type("ip")} ${plain} ip saddr ${own.ipv4} goto judge_ipv4`,
    `${from}${type("arp")} arp htype 1 arp ptype ip arp hlen 6 arp plen 4 ` +
    `arp operation { request, reply } ${arpFrom}arp saddr ip ${own.ipv4} ` +
    `arp daddr ip ${router.ipv4} accept`,
  ];
  if (own.ipv6 !== null) {
    const six = `${type("ip6")} ip6 version 6`;
    rules.push(
      `${from}${six} ip6 saddr ${own.ipv6} jump judge_neighbour`,
      `${toRouter}${six} ip6 saddr ${own.ipv6} goto judge_ipv6`,
      // The kernel itself tells routers of its groups. It is dropped like the rest, and not counted.
      `${from}${six} ip6 daddr ff02::16 ip6 nexthdr hopopt drop`,
    );
  }
  return `  chain pass {
    counter name "accepted" accept
  }
  chain judge_ipv4 {
    ip protocol { icmp, tcp, udp } ip daddr @allowed4 goto pass
    ip protocol { tcp, udp } ip daddr @resolvers4 th dport 53 goto pass
  }
${ipv6Chains(link)}  chain judge {
    ${rules.join("\n    ")}
  }`;
}

/** Finding the router's hardware address is all that goes to more than one listener. */
function ipv6Chains({ router }: Link): string {
  if (router.ipv6 === null) return "";
  return `  chain judge_ipv6 {
    ip6 nexthdr { ipv6-icmp, tcp, udp } ip6 daddr @allowed6 goto pass
    ip6 nexthdr { tcp, udp } ip6 daddr @resolvers6 th dport 53 goto pass
  }
  chain judge_neighbour {
    ip6 daddr { ${router.ipv6}, ${
    solicitedNode(router.ipv6)
  } } ip6 nexthdr ipv6-icmp ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
`;
}

/**
 * The rules for packets at the host's end. What is scanned is another machine: the host's own addresses
 * are closed even where they lie in an allowed network, and so is a detour by which the host would turn
 * an allowed address into another one. What the host cannot follow would leave with the link's address,
 * so it stays. No one begins a connection to the scanners.
 */
function packetRules(): string {
  const from = `iifname "${OUTER_DEVICE}"`;
  const neighbours =
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept";
  return `add table inet ${HOST_TABLE}
flush table inet ${HOST_TABLE}
table inet ${HOST_TABLE} {
  counter refused { }
  chain prerouting {
    type filter hook prerouting priority raw; policy accept;
    ${from} ${neighbours}
    ${from} fib daddr type { local, broadcast, anycast, multicast } counter name "refused" drop
  }
  chain input {
    type filter hook input priority raw; policy accept;
    ${from} ${neighbours}
    ${from} counter name "refused" drop
  }
  chain forward {
    type filter hook forward priority raw; policy accept;
    ${from} ct status dnat counter name "refused" drop
    ${from} ct state invalid counter name "refused" drop
    ${from} accept
    oifname "${OUTER_DEVICE}" ct state established,related accept
    oifname "${OUTER_DEVICE}" drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${from} masquerade
  }
}
`;
}

/** A frame's type by its own word (bytes 12 and 13) and in the kernel's opinion. */
function type(protocol: keyof typeof FRAME_TYPES): string {
  return `@ll,96,16 ${FRAME_TYPES[protocol]} meta protocol ${protocol}`;
}

/** A hardware address at a bit of the frame: 0 is the destination, 48 the source. */
function macIs(bit: 0 | 48, { mac }: LinkEnd): string {
  return mac === null ? "" : `@ll,${bit},48 0x${mac.replaceAll(":", "")} `;
}

const FRAME_TYPES = { ip: "0x0800", ip6: "0x86dd", arp: "0x0806" } as const;

const LOOPBACK = ["127.0.0.0/8", "::1/128"].map((text) => {
  const block = parseNetwork(text);
  if (block === null) throw new TypeError(`Cannot read the network "${text}"`);
  return block;
});

/** The multicast group in which an address is asked for its hardware address. */
function solicitedNode(address: string): string {
  const value = parseAddress(address)?.first ?? 0n;
  return addressText(
    6,
    (0xff0200000000000000000001ffn << 24n) | value & 0xffffffn,
  );
}

interface SetOfAddresses {
  readonly name: string;
  readonly family: 4 | 6;
  readonly blocks: readonly Block[];
}

function ofFamily(blocks: readonly Block[], family: 4 | 6): readonly Block[] {
  return blocks.filter((block) => block.family === family);
}

function setText({ name, family }: SetOfAddresses): string {
  return `  set ${name} { type ipv${family}_addr; flags interval; }`;
}

function elementsText(table: string, { name, blocks }: SetOfAddresses): string {
  const flush = `flush set netdev ${table} ${name}\n`;
  if (blocks.length === 0) return flush;
  const elements = blocks.map(elementText).join(",\n  ");
  return `${flush}add element netdev ${table} ${name} {\n  ${elements}\n}\n`;
}

/** A block as `nft` reads it: an address, a network, or both ends. */
function elementText(block: Block): string {
  const { family, first, last } = block;
  const start = addressText(family, first);
  if (first === last) return start;
  const prefix = prefixOf(block);
  return prefix === null
    ? `${start}-${addressText(family, last)}`
    : `${start}/${prefix}`;
}

/** A name server on loopback is the namespace's own, and the link has none. */
function resolverBlocks(
  resolvers: readonly string[],
  link: Link,
): readonly Block[] {
  const blocks = resolvers.map((text) => {
    const block = parseAddress(text);
    if (block === null) {
      throw new RangeError(
        `Cannot open the way to the name server "${text}": it is no address`,
      );
    }
    return block;
  });
  return without(joined(blocks), [...LOOPBACK, ...link.networks]);
}
