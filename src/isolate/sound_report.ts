/**
 * Holds the report of a tool isolate against its type, field by field and bound by bound. The bounds are
 * those of the readers (`tools/nmap/report_hosts.ts`, `tools/masscan/report.ts`,
 * `tools/gobuster/report.ts`), written down a second time: the isolate that should have kept them is the
 * one that may have fallen.
 *
 * @module
 */
import ipaddr from "ipaddr.js";
import {
  type Check,
  integer,
  listOf,
  oneOf,
  orNull,
  shape,
  sizeWithin,
  text,
} from "./shape.ts";

/** Most characters and values of a whole report: more than can come of the most that a tool may print. */
export const REPORT_SIZE_MAX = 134_217_728;

const HOSTS_MAX = 65_536;
const HOST_PORTS_MAX = 131_072;
const PORTS_MAX = 1_000_000;
const FINDINGS_MAX = 50_000;
const SCRIPTS_MAX = 128;
const LIST_MAX = 64;

/** Most addresses that a total may name. */
const TOTAL_MAX = Number.MAX_SAFE_INTEGER;

/** Words of a scanner's own choice. */
const WORD = text(64, /^[A-Za-z0-9._|-]+$/);
const FIELD = text(256);
const BOOLEAN = oneOf(true, false);
const COUNT = orNull(integer(0, TOTAL_MAX));
const ADDRESS: Check = (value) => isText(value) && isAddress(value);
const SUSPICIOUS = listOf(WORD, LIST_MAX);
const CPES = listOf(text(128, /^cpe:\/[\x21-\x7e]*$/), LIST_MAX);

/** As nmap's `statenum2str` has them. */
const STATE = oneOf(
  "open",
  "closed",
  "filtered",
  "unfiltered",
  "open|filtered",
  "closed|filtered",
  "unknown",
);

const SCRIPTS = listOf(
  shape(
    { id: WORD, untrusted: shape({ output: text(16_384) }) },
    { suspicious: SUSPICIOUS },
  ),
  SCRIPTS_MAX,
);

const PORT = shape({
  port: integer(0, 65_535),
  protocol: oneOf("tcp", "udp", "sctp", "ip"),
  state: STATE,
}, {
  reason: WORD,
  ttl: integer(0, 255),
  service: WORD,
  tunnel: WORD,
  method: oneOf("table", "probed"),
  confidence: integer(0, 10),
  cpe: CPES,
  scripts: SCRIPTS,
  untrusted: shape({}, {
    product: FIELD,
    version: FIELD,
    extra_info: FIELD,
    hostname: FIELD,
    os_type: FIELD,
    device_type: FIELD,
    fingerprint: text(2_048),
    banners: listOf(shape({ kind: WORD, text: text(1_024) }), 8),
  }),
  suspicious: SUSPICIOUS,
});

const OTHER_ADDRESS: Check = (value) =>
  shape(
    { address: text(45), type: oneOf("ipv4", "ipv6", "mac") },
    { untrusted_vendor: FIELD },
  )(value) && isOtherAddress(value as { address: string; type: string });

const HOST = shape({
  address: ADDRESS,
  status: oneOf("up", "down", "unknown"),
  ports: listOf(PORT, HOST_PORTS_MAX),
}, {
  other_addresses: listOf(OTHER_ADDRESS, LIST_MAX),
  names: listOf(text(253, /^[A-Za-z0-9._-]+$/), LIST_MAX),
  reason: WORD,
  other_ports: listOf(
    shape({ state: STATE, count: integer(0, 262_144) }, { reason: WORD }),
    LIST_MAX,
  ),
  os: listOf(
    shape({
      untrusted: shape({ name: FIELD }),
      accuracy: integer(0, 100),
    }, { cpe: CPES }),
    LIST_MAX,
  ),
  scripts: SCRIPTS,
  traceroute: listOf(
    shape({
      ttl: integer(0, 255),
      address: ADDRESS,
      rtt_ms: orNull((value) => Number.isFinite(value) && Number(value) >= 0),
    }),
    LIST_MAX,
  ),
  distance: integer(0, 255),
  uptime_seconds: integer(0, 2 ** 40),
  untrusted: shape({}, { reverse_names: listOf(FIELD, LIST_MAX) }),
  suspicious: SUSPICIOUS,
});

const CUT = { truncated: text(1_024) };
const SIZE = orNull(integer(0, 999_999_999_999_999));
const STATUS = integer(0, 999);
const TRIES = shape({ tried: COUNT, words: COUNT });

const HOSTS_REPORT = shape({
  kind: oneOf("hosts"),
  partial: BOOLEAN,
  hosts: listOf(HOST, HOSTS_MAX),
  totals: shape({ up: integer(0, TOTAL_MAX), down: COUNT, total: COUNT }),
  tool_version: orNull(text(64, /^[\x20-\x7e]*$/)),
}, CUT);

const PATHS_REPORT = shape({
  kind: oneOf("paths"),
  partial: BOOLEAN,
  url: text(2_048, /^https?:\/\/[!-~]+$/),
  paths: listOf(
    shape({
      status: STATUS,
      size: SIZE,
      untrusted: shape({ path: text(1_024) }, { redirect: text(1_024) }),
    }, { suspicious: SUSPICIOUS }),
    FINDINGS_MAX,
  ),
  totals: TRIES,
}, CUT);

const NAMES_REPORT = shape({
  kind: oneOf("names"),
  partial: BOOLEAN,
  mode: oneOf("dns", "vhost"),
  domain: text(253, /^[a-z0-9.-]+$/),
  names: listOf(
    shape({ name: text(253, /^[a-z0-9_*-][a-z0-9_*.-]*$/) }, {
      addresses: listOf(ADDRESS, LIST_MAX),
      status: STATUS,
      size: SIZE,
      untrusted: shape({}, { redirect: text(1_024) }),
      suspicious: SUSPICIOUS,
    }),
    FINDINGS_MAX,
  ),
  totals: TRIES,
}, CUT);

/**
 * Tells whether a report is one of the three, with all of its bounds kept and nothing else in it.
 *
 * @param report What arrived.
 * @param sizeMax Most characters and values of it.
 * @returns Whether main may act on it.
 */
export function isSoundReport(report: unknown, sizeMax: number): boolean {
  // First of all: what comes after goes over all of it, however often a part occurs.
  if (sizeWithin(report, sizeMax) > sizeMax) return false;
  if (HOSTS_REPORT(report)) return portsOf(report) <= PORTS_MAX;
  return PATHS_REPORT(report) || NAMES_REPORT(report);
}

/**
 * Counts what a sound report tells of: hosts, and ports where there is more than one a host.
 *
 * @param report A sound report.
 * @returns How many hosts, paths or names it has.
 */
export function findingsOf(report: unknown): number {
  const { hosts, paths, names } = report as Record<string, unknown[]>;
  return (hosts ?? paths ?? names ?? []).length;
}

function portsOf(report: unknown): number {
  const { hosts } = report as { hosts: { ports: unknown[] }[] };
  return hosts.reduce((sum, { ports }) => sum + ports.length, 0);
}

function isOtherAddress({ address, type }: { address: string; type: string }) {
  if (type === "mac") {
    return /^(?:[0-9A-Fa-f]{2}:){5,19}[0-9A-Fa-f]{2}$/.test(address);
  }
  return isAddress(address) && address.includes(":") === (type === "ipv6");
}

/** An address as scanners write it: glibc writes some of IPv6 with a dotted end. */
function isAddress(given: string): boolean {
  if (given.length > 45 || !/^[0-9A-Fa-f:.]+$/.test(given)) return false;
  return given.includes(":")
    ? ipaddr.IPv6.isValid(given)
    : ipaddr.IPv4.isValidFourPartDecimal(given);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
