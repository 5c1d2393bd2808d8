/**
 * Frames that a scanner in hostile hands could send, as hex. Each carries something that the denied machine
 * would get if the guard let it through, by one trick each.
 *
 * @module
 */

/** A frame and how it is sent. */
export interface Attempt {
  readonly name: string;
  /** What the kernel is told that it is. */
  readonly protocol: string;
  readonly way: "queue" | "bypass" | "xdp";
  readonly frame: string;
  /** Whether it arrives at the denied machine where there is no guard. */
  readonly arrives: boolean;
}

const OWN_MAC = "026d63700002";
const ROUTER_MAC = "026d63700001";
const OWN = "a9fed502"; // 169.254.213.2
const ROUTER = "a9fed501";
const GOOD = "0a630102"; // 10.99.1.2
const BAD = "0a630202"; // 10.99.2.2
const OWN6 = "0064ff9b00016d630000000000000002";
const BAD6 = "fd990002000000000000000000000002";
const GOOD6 = "fd990001000000000000000000000002";

const UDP = 17;
const DATAGRAM = "9c40270f000c0000" + "67756172";

/** A frame to the router. */
function frame(
  payload: string,
  { type = "0800", from = OWN_MAC, to = ROUTER_MAC } = {},
): string {
  return to + from + type + payload;
}

function ipv4(
  to: string,
  { from = OWN, protocol = UDP, options = "", fragment = 0, body = DATAGRAM } =
    {},
): string {
  const words = 5 + options.length / 8;
  const length = words * 4 + body.length / 2;
  const before = `4${words.toString(16)}00${hex(length, 4)}0001${
    hex(fragment, 4)
  }40${hex(protocol, 2)}`;
  const sum = checksum(`${before}0000${from}${to}${options}`);
  return `${before}${hex(sum, 4)}${from}${to}${options}${body}`;
}

function ipv6(
  to: string,
  { from = OWN6, next = UDP, body = DATAGRAM } = {},
): string {
  return `60000000${hex(body.length / 2, 4)}${
    hex(next, 2)
  }40${from}${to}${body}`;
}

function checksum(header: string): number {
  let sum = 0;
  for (const [word] of header.matchAll(/.{4}/g)) {
    sum += Number.parseInt(word, 16);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}

function attempt(
  name: string,
  frame: string,
  { protocol = "0003", way = "queue", arrives = false }: Partial<Attempt> = {},
): Attempt {
  return { name, frame, protocol, way, arrives };
}

const plain = frame(ipv4(BAD));
const plain6 = frame(ipv6(BAD6), { type: "86dd" });

/** Loose source route by way of the allowed machine. */
const route = `8307040a63020200`;

/** A routing header of type 0 and one hop-by-hop header in front of the datagram. */
const routing = `11020001` + `00000000` + BAD6 + DATAGRAM;
const hopByHop = `1100010400000000` + DATAGRAM;

/** What must not leave, whoever asks. */
export const ATTEMPTS: readonly Attempt[] = [
  attempt("an IPv4 frame", plain, { arrives: true }),
  attempt("an IPv6 frame", plain6, { arrives: true }),
  attempt("a frame past the queue", plain, { way: "bypass", arrives: true }),
  attempt("a typed frame past the queue", plain, {
    way: "bypass",
    protocol: "0800",
    arrives: true,
  }),
  attempt("a frame called IPv6", plain, { protocol: "86dd", arrives: true }),
  attempt("a frame called a VLAN's", plain, {
    protocol: "8100",
    arrives: true,
  }),
  attempt("a frame called ARP", plain, { protocol: "0806", arrives: true }),
  attempt("an IPv6 frame called IPv4", plain6, {
    protocol: "0800",
    arrives: true,
  }),
  attempt("a forged IPv4 sender", frame(ipv4(BAD, { from: "0a630177" })), {
    arrives: true,
  }),
  attempt(
    "a forged IPv6 sender",
    frame(ipv6(BAD6, { from: GOOD6.slice(0, -1) + "7" }), { type: "86dd" }),
    { arrives: true },
  ),
  attempt(
    "a forged hardware address",
    frame(ipv4(BAD), { from: "02aaaaaaaaaa" }),
    {
      arrives: true,
    },
  ),
  attempt(
    "a forged sender to the allowed machine",
    frame(ipv4(GOOD, { from: "0a630177" })),
  ),
  attempt(
    "a broadcast frame",
    frame(ipv4(BAD), { to: "ffffffffffff" }),
  ),
  attempt(
    "a frame tagged for a VLAN",
    frame(`00050800${ipv4(BAD)}`, { type: "8100" }),
  ),
  attempt(
    "a frame tagged for VLAN 0",
    frame(`00000800${ipv4(BAD)}`, { type: "8100" }),
    { arrives: true },
  ),
  attempt(
    "a frame tagged for VLAN 0 to the allowed machine",
    frame(`00000800${ipv4(GOOD)}`, { type: "8100" }),
  ),
  attempt(
    "a frame tagged twice",
    frame(`0005810000060800${ipv4(BAD)}`, { type: "88a8" }),
  ),
  attempt(
    "a source route by way of the allowed machine",
    frame(ipv4(GOOD, { options: route })),
  ),
  attempt(
    "a routing header by way of the allowed machine",
    frame(ipv6(GOOD6, { next: 43, body: routing }), { type: "86dd" }),
  ),
  attempt(
    "a hop-by-hop header",
    frame(ipv6(GOOD6, { next: 0, body: hopByHop }), { type: "86dd" }),
  ),
  attempt("a first fragment", frame(ipv4(GOOD, { fragment: 0x2000 }))),
  attempt("a later fragment", frame(ipv4(GOOD, { fragment: 0x0002 }))),
  attempt(
    "a tunnel to the allowed machine",
    frame(ipv4(GOOD, { protocol: 4, body: ipv4(BAD) })),
  ),
  attempt(
    "IPv6 in IPv4 to the allowed machine",
    frame(ipv4(GOOD, { protocol: 41, body: ipv6(BAD6) })),
  ),
  attempt("multicast", frame(ipv4("e00000fb"), { to: "01005e0000fb" })),
  attempt("the host's end of the link", frame(ipv4(ROUTER))),
  attempt("loopback of the host", frame(ipv4("7f000001"))),
  attempt(
    "an ARP answer in another's name",
    [
      ...["ffffffffffff", OWN_MAC, "0806", "0001080006040002"],
      ...[OWN_MAC, "0a630177", ROUTER_MAC, ROUTER],
    ].join(""),
  ),
  attempt(
    "a frame of an unknown type",
    frame("00".repeat(46), { type: "88cc" }),
  ),
  attempt(
    "a frame with a length for a type",
    frame("aaaa03" + "00".repeat(43), {
      type: "002e",
    }),
  ),
  attempt("a short frame", frame("45", {})),
];

/** What passes the egress hook unseen. */
export const PAST_THE_HOOK: Attempt = attempt("a frame by AF_XDP", plain, {
  way: "xdp",
  arrives: true,
});

/** What the guard lets through: the harness can see a frame arrive. */
export const ALLOWED: readonly Attempt[] = [
  attempt("an IPv4 frame", frame(ipv4(GOOD))),
  attempt("an IPv6 frame", frame(ipv6(GOOD6), { type: "86dd" })),
  attempt("a frame past the queue", frame(ipv4(GOOD)), { way: "bypass" }),
];
