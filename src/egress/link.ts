/**
 * The link between the scanners' network namespace and the host, in fixed names and addresses, so that
 * rules can name both of its ends. `deploy/egress_guard.sh` makes it; a test keeps the two the same.
 *
 * The addresses are of ranges in which the scope finds no target by itself (IPv4 link-local, local NAT64),
 * so that the link hides nobody's network. Where an operator names such a range as allowed, the link's few
 * addresses stay closed.
 *
 * @module
 */
import { type Block, parseNetwork } from "@/scope/block.ts";

/** An end of the link. */
export interface LinkEnd {
  /** The hardware address, or null where it is not ours to fix. */
  readonly mac: string | null;
  readonly ipv4: string;
  /** Null for a link without IPv6. */
  readonly ipv6: string | null;
}

/** What rules have to know of a link. */
export interface Link {
  /** The scanners' end: nothing leaves it in another's name. */
  readonly own: LinkEnd;
  /** The other end, the scanners' way out. It is no target. */
  readonly router: LinkEnd;
  /** The link's networks. */
  readonly networks: readonly Block[];
}

/** The name of the scanners' network namespace. */
export const NAMESPACE = "security-mcp";

/** The device in the scanners' namespace. */
export const INNER_DEVICE = "scan0";

/** The device of the host. */
export const OUTER_DEVICE = "mcp-guard";

/** The link that `deploy/egress_guard.sh` makes. */
export const GUARD_LINK: Link = {
  own: {
    mac: "02:6d:63:70:00:02",
    ipv4: "169.254.213.2",
    ipv6: "64:ff9b:1:6d63::2",
  },
  router: {
    mac: "02:6d:63:70:00:01",
    ipv4: "169.254.213.1",
    ipv6: "64:ff9b:1:6d63::1",
  },
  networks: [network("169.254.213.0/30"), network("64:ff9b:1:6d63::/64")],
};

/** The device of a container. */
export const CONTAINER_DEVICE = "eth0";

/** The link of a container, as `deploy/compose/egress_guard.yaml` sets it up. */
export const CONTAINER_LINK: Link = {
  own: { mac: null, ipv4: "198.18.213.2", ipv6: null },
  router: { mac: null, ipv4: "198.18.213.1", ipv6: null },
  networks: [network("198.18.213.0/29")],
};

function network(text: string): Block {
  const block = parseNetwork(text);
  if (block === null) throw new TypeError(`Cannot read the network "${text}"`);
  return block;
}
