/**
 * What `extra_args` of nmap may hold, and the fields that only it can set.
 *
 * The table is short on purpose: every flag here is folded into a field and judged there. nmap has
 * many more; those that read or write files, hide or redirect the scan, or load foreign code are
 * refused by name, so that the answer says what to do instead. All others are refused as unknown.
 *
 * @module
 */
import { type Fields, flag, integer, text } from "../field.ts";
import { PORTS_LENGTH_MAX } from "../ports.ts";
import {
  type FlagRefusal,
  type FlagRule,
  type FlagTable,
  wholeNumber,
  yes,
} from "../tokenizer.ts";

/** Most packets a second that `--min-rate` may ask for. */
export const MIN_RATE_MAX = 1_000;

/** Fields that no typed argument has. */
export const FLAG_FIELDS = {
  aggressive: flag("-A: OS and service detection, default scripts, traceroute"),
  version_intensity: integer("--version-intensity", 0, 9),
  traceroute: flag("--traceroute"),
  open_only: flag("--open"),
  show_reason: flag("--reason"),
  no_names: flag("-n; always set"),
  echo_ping: flag("-PE"),
  syn_ping: text("-PS with its ports", PORTS_LENGTH_MAX),
  ack_ping: text("-PA with its ports", PORTS_LENGTH_MAX),
  min_rate: integer("--min-rate", 1, MIN_RATE_MAX),
  max_rate: integer("--max-rate", 1, 1_000_000),
  max_retries: integer("--max-retries", 0, 10),
  host_timeout_seconds: integer("--host-timeout", 1, 86_400),
  scan_delay_ms: integer("--scan-delay", 0, 60_000),
  defeat_rst_ratelimit: flag("--defeat-rst-ratelimit"),
} satisfies Fields;

const GLUED = ["glued", "next"] as const;
const LONG = ["equals", "next"] as const;

const ALLOWED: readonly FlagRule[] = [
  { names: ["-sT"], field: "scan_type", value: () => "connect" },
  { names: ["-sS"], field: "scan_type", value: () => "syn" },
  { names: ["-sU"], field: "scan_type", value: () => "udp" },
  { names: ["-sn"], field: "scan_type", value: () => "ping" },
  { names: ["-sV"], field: "service_detection", value: yes },
  {
    names: ["--version-intensity"],
    forms: LONG,
    field: "version_intensity",
    value: wholeNumber,
  },
  { names: ["--version-light"], field: "version_intensity", value: () => 2 },
  { names: ["--version-all"], field: "version_intensity", value: () => 9 },
  { names: ["-sC"], field: "scripts", value: () => ["default"] },
  {
    names: ["--script"],
    forms: LONG,
    field: "scripts",
    value: (value) => value.split(","),
  },
  { names: ["-O"], field: "os_detection", value: yes },
  { names: ["-A"], field: "aggressive", value: yes },
  {
    names: ["-p"],
    forms: GLUED,
    field: "ports",
    value: (value) => value === "-" ? "1-65535" : value,
  },
  { names: ["-F"], field: "top_ports", value: () => 100 },
  {
    names: ["--top-ports"],
    forms: LONG,
    field: "top_ports",
    value: wholeNumber,
  },
  { names: ["-T"], forms: GLUED, field: "timing", value: wholeNumber },
  { names: ["-Pn"], field: "host_discovery", value: () => false },
  { names: ["-PE"], field: "echo_ping", value: yes },
  {
    names: ["-PS"],
    forms: ["glued"],
    field: "syn_ping",
    value: (value) => value === "" ? "80" : value,
  },
  {
    names: ["-PA"],
    forms: ["glued"],
    field: "ack_ping",
    value: (value) => value === "" ? "80" : value,
  },
  { names: ["-n"], field: "no_names", value: yes },
  { names: ["--open"], field: "open_only", value: yes },
  { names: ["--reason"], field: "show_reason", value: yes },
  { names: ["--traceroute"], field: "traceroute", value: yes },
  {
    names: ["--min-rate"],
    forms: LONG,
    field: "min_rate",
    value: wholeNumber,
  },
  {
    names: ["--max-rate"],
    forms: LONG,
    field: "max_rate",
    value: wholeNumber,
  },
  {
    names: ["--max-retries"],
    forms: LONG,
    field: "max_retries",
    value: wholeNumber,
  },
  {
    names: ["--host-timeout"],
    forms: LONG,
    field: "host_timeout_seconds",
    value: (value) => duration(value, 1_000),
  },
  {
    names: ["--scan-delay"],
    forms: LONG,
    field: "scan_delay_ms",
    value: (value) => duration(value, 1),
  },
  {
    names: ["--defeat-rst-ratelimit"],
    field: "defeat_rst_ratelimit",
    value: yes,
  },
];

const REFUSED: readonly FlagRefusal[] = [
  {
    names: ["--script-args", "--script-args-file"],
    code: "intrusive_not_allowed",
    why:
      "script arguments can name files and further targets, so no right allows them; leave them out",
  },
  {
    names: ["-iL", "-iR", "--exclude", "--excludefile"],
    code: "invalid_arguments",
    why: "targets come from the argument target alone",
  },
  {
    names: [
      "-oN",
      "-oX",
      "-oS",
      "-oG",
      "-oA",
      "-oH",
      "-oM",
      "--resume",
      "--append-output",
      "--stylesheet",
      "--webxml",
    ],
    code: "invalid_arguments",
    why: "the server reads the output itself and writes no file; leave it out",
  },
  {
    names: ["--datadir", "--servicedb", "--versiondb", "--script-updatedb"],
    code: "invalid_arguments",
    why: "nmap's data files are fixed here; leave it out",
  },
  {
    names: [
      "-D",
      "-S",
      "-e",
      "-g",
      "-b",
      "-f",
      "-sI",
      "--source-port",
      "--proxies",
      "--proxy",
      "--spoof-mac",
      "--mtu",
      "--data",
      "--data-string",
      "--data-length",
      "--ip-options",
      "--ttl",
      "--badsum",
      "--scanflags",
      "--send-eth",
      "--send-ip",
    ],
    code: "intrusive_not_allowed",
    why:
      "it hides, forges or redirects the scan, so no right allows it; leave it out",
  },
  {
    names: ["-6"],
    code: "invalid_arguments",
    why: "the family follows from the target; leave it out",
  },
  {
    names: ["-R", "--dns-servers", "--system-dns"],
    code: "invalid_arguments",
    why: "the server looks names up itself before the scan; leave it out",
  },
  {
    names: ["--privileged", "--unprivileged"],
    code: "invalid_arguments",
    why: "choose a scan_type instead; the server knows what this host can do",
  },
];

/** The flags of nmap's `extra_args`. */
export const FLAG_TABLE: FlagTable = { allowed: ALLOWED, refused: REFUSED };

/**
 * Reads nmap's way of writing a time: a number of seconds, or one with `ms`, `s`, `m` or `h`.
 *
 * @param value The text.
 * @param unitMs The unit of the field in milliseconds.
 * @returns A whole number of units, or the text as it is: the field refuses it.
 */
function duration(value: string, unitMs: number): unknown {
  const match = /^([1-9][0-9]{0,7}|0)(ms|s|m|h)?$/.exec(value);
  if (match === null) return value;
  const factors = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const unit = (match[2] ?? "s") as keyof typeof factors;
  const units = Number(match[1]) * factors[unit] / unitMs;
  return Number.isInteger(units) ? units : value;
}
