/**
 * The hostile corpus: requests that no configuration may let through, for each text field of each
 * tool. The command `selftest` runs it against the configuration of whoever uses it, the golden
 * tests against a fixed one.
 *
 * A case counts as refused only with one of its codes: a request that is turned down for another
 * reason has not met the guard that it is aimed at. Every case plans only; targets are loopback, so
 * that a guard that failed would still harm nobody.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";
import type { ToolName } from "@/tools/tool.ts";

/** A request that must be refused. */
export interface HostileCase {
  readonly tool: ToolName;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The codes that count. */
  readonly codes: readonly ErrorCode[];
  /** What it tries. */
  readonly why: string;
  /**
   * What the configuration must be like for this to be hostile: without the intrusive right, or
   * without public addresses in the scope. Left out, it is hostile always.
   */
  readonly assumes?: "not_intrusive" | "private_scope";
}

const TARGET: readonly ErrorCode[] = ["invalid_target", "target_not_allowed"];
const ARGUMENTS: readonly ErrorCode[] = ["invalid_arguments"];
const EXTRA: readonly ErrorCode[] = [
  "invalid_arguments",
  "intrusive_not_allowed",
  "target_not_allowed",
];

/** Texts that are hostile in any field. */
const TEXTS: readonly (readonly [string, string])[] = [
  ["10.0.0.1; rm -rf /", "a second command behind a semicolon"],
  ["10.0.0.1$(whoami)", "a command substitution"],
  ["10.0.0.1`id`", "a command substitution in backticks"],
  ["10.0.0.1 && curl x", "a second command behind &&"],
  ["10.0.0.1 | nc 127.0.0.1 9", "a pipe"],
  ["10.0.0.1 > /tmp/x", "a redirection"],
  ["10.0.0.1\n-iL /etc/passwd", "a flag behind a newline"],
  ["10.0.0.1\r\n-oN /x", "a flag behind a carriage return"],
  ["10.0.0.1\t-oN\t/x", "a flag behind a tab"],
  ["10.0.0.1\u0000.lab.internal", "a NUL that ends a C string early"],
  ["\u201010.0.0.1", "a Unicode hyphen for a dash"],
  ["\u2212iL", "a Unicode minus for a dash"],
  ["\uff11\uff10.0.0.1", "full-width digits"],
  ["\u0661\u0660.0.0.1", "Arabic digits"],
  ["10.0.0.1\u202e1.0.0.01", "a bidirectional override"],
  ["10.0.0.1\u200b", "a zero-width space"],
  ["10\u30020\u30020\u30021", "ideographic full stops"],
  ["\ud800", "half a surrogate pair"],
  ["-iL /etc/passwd", "a flag with a file as value"],
  ["-iL/etc/passwd", "a flag with a file glued on"],
  ["--script=/tmp/x.nse", "foreign Lua code"],
  ["--script", "a flag that would take the next token"],
  ["-oN /x", "an output file"],
  ["-oX-", "an output flag"],
  ["--", "the end of flags"],
  ["-", "standard input as a file"],
  ["-sVC", "bundled options"],
  ["'", "an open quote"],
  ['"10.0.0.1', "an open double quote"],
  ["\\", "a lone backslash"],
  ["%0a-oN%20/x", "percent encoding"],
  ["../../../etc/passwd", "a way out of a folder"],
  ["/etc/passwd", "an absolute path"],
  ["@/etc/passwd", "a file reference"],
  ["10.0.0.1".repeat(20_000), "overlong input"],
  [" ", "a space"],
  ["", "nothing"],
];

/** Values that are no text at all. */
const SHAPES: readonly (readonly [unknown, string])[] = [
  [null, "null"],
  [true, "a boolean"],
  [{ toString: "x" }, "an object"],
  [[["10.0.0.1"]], "a list in a list"],
  [[], "an empty list"],
  [Array.from({ length: 5_000 }, () => "10.0.0.1"), "a list of 5000 items"],
];

/** Targets that mean an address which is not allowed, or mean two things at once. */
const TARGETS: readonly (readonly [string, string])[] = [
  ["0x7f.1", "hexadecimal short form"],
  ["0x7f000001", "hexadecimal address"],
  ["2130706433", "an address as one number"],
  ["127.1", "short form"],
  ["10.0.1", "short form of three parts"],
  ["010.0.0.1", "a leading zero, octal for some"],
  ["10.0.0.01", "a leading zero in the last part"],
  ["10.0.0.256", "a part above 255"],
  ["10.0.0.1.", "a trailing dot"],
  ["::ffff:8.8.8.8", "a public address in IPv6 clothes"],
  ["::ffff:808:808", "the same in hexadecimal"],
  ["::ffff:10.0.0.1", "a private address in IPv6 clothes"],
  ["::8.8.8.8", "an IPv4-compatible address"],
  ["64:ff9b::808:808", "a NAT64 address"],
  ["2002:808:808::1", "a 6to4 address"],
  ["0.0.0.0", "the unspecified address, loopback for some"],
  ["0.0.0.0/0", "every address"],
  ["::/0", "every IPv6 address"],
  ["::", "the unspecified IPv6 address"],
  ["169.254.169.254", "the metadata service of clouds"],
  ["fd00:ec2::254", "the same over IPv6"],
  ["fe80::1", "link-local"],
  ["fe80::1%eth0", "a zone id"],
  ["224.0.0.1", "multicast"],
  ["ff02::1", "IPv6 multicast"],
  ["255.255.255.255", "broadcast"],
  ["10.0.0.1,8.8.8.8", "two targets in one text"],
  ["10.0.0.1 8.8.8.8", "two targets behind a space"],
  ["10.0-255.0.1", "a range in the middle"],
  ["10.0.0.*", "a wildcard"],
  ["10.0.0.20-10", "a range backwards"],
  ["10.0.0.1-8.8.8.8", "a range across networks"],
  ["10.0.0.0/033", "a prefix with a leading zero"],
  ["10.0.0.0/33", "a prefix that is too long"],
  ["10.0.0.0/255.0.0.0", "a netmask"],
  ["a..lab.internal", "an empty label"],
  ["-x.lab.internal", "a label that begins with a dash"],
  ["x_y.lab.internal", "a label with an underscore"],
  [`${"a".repeat(64)}.lab.internal`, "a label of 64 characters"],
  ["lab.internal.attacker.test", "a suffix in the middle"],
  ["evil-lab.internal.attacker.test", "a suffix look-alike"],
];

const PUBLIC_TARGETS: readonly (readonly [string, string])[] = [
  ["8.8.8.8", "a public address"],
  ["2001:4860:4860::8888", "a public IPv6 address"],
  ["9.255.255.255-255", "the last address before a private range"],
  ["172.32.0.1", "just behind a private range"],
  ["192.167.255.255", "just before a private range"],
  ["100.64.0.1", "carrier-grade NAT"],
];

/** Flags that read, write, load, hide, redirect, or are not ours. */
const NMAP_EXTRA: readonly string[] = [
  "-iL /etc/passwd",
  "-iR 100",
  "-oN /x",
  "-oX /x",
  "-oX -",
  "-oA /x",
  "-oG=/x",
  "--script=/tmp/x.nse",
  "--script /tmp/x.nse",
  "--script=http-*",
  "--script=default,/tmp/x.nse",
  "--script='default and not safe'",
  "--script=all",
  "--script=+http-title",
  "--script-args=newtargets",
  "--script-args-file=/etc/passwd",
  "--script-updatedb",
  "--script-trace",
  "--datadir /tmp",
  "--servicedb /tmp/x",
  "--resume /x",
  "--stylesheet http://127.0.0.1/x",
  "--excludefile /etc/passwd",
  "--exclude 10.0.0.1",
  "-D 10.0.0.9",
  "-S 10.0.0.9",
  "-e eth0",
  "-g 53",
  "-b ftp@10.0.0.9",
  "-f",
  "-sI 10.0.0.9",
  "--proxies http://10.0.0.9:8080",
  "--spoof-mac 0",
  "--data-string x",
  "--ip-options S",
  "--scanflags SYN",
  "--dns-servers 10.0.0.9",
  "--privileged",
  "-6",
  "-sVC",
  "-sSU",
  "-Pn80",
  "-T",
  "-T9",
  "-T4x",
  "-p",
  "-p -iL",
  "-p 0",
  "-p 65536",
  "-p 1-",
  "-p80 -p443",
  "-p=80",
  "-p http*",
  "--top-ports=0",
  "--top-ports=1e3",
  "--top-ports 0x10",
  "--top-port=10",
  "--min-rate=100000",
  "--max-retries=99",
  "--host-timeout=5y",
  "-sS -sT",
  "10.0.0.2",
  "-sV 10.0.0.2",
  "-- 10.0.0.2",
  "-sV -- -oN /x",
  '"-sV 10.0.0.2"',
  "-s'V' x",
  "''",
  "-sV \u2212O",
];

const MASSCAN_EXTRA: readonly string[] = [
  "-iL /etc/passwd",
  "--includefile /etc/passwd",
  "--excludefile /etc/passwd",
  "-c /etc/passwd",
  "--conf /etc/passwd",
  "--resume paused.conf",
  "-oJ /x",
  "-oX /x",
  "-oB /x",
  "-oL -",
  "--output-filename /x",
  "--readscan /etc/passwd",
  "--pcap /x",
  "--pcap-payloads /x",
  "--nmap-payloads /x",
  "--adapter eth0",
  "-e eth0",
  "--adapter-ip 10.0.0.9",
  "--source-ip 10.0.0.9",
  "--adapter-mac 00-11-22-33-44-55",
  "--router-mac 00-11-22-33-44-55",
  "--spoof-mac 00-11-22-33-44-55",
  "--infinite",
  "--offline",
  "--rate=1e9",
  "--rate 100000000",
  "--range 8.8.8.8",
  "--http-user-agent x",
  "--packet-trace",
  "--echo",
  "10.0.0.2",
  "-- 10.0.0.2",
  "-p",
  "-p -iL",
];

const GOBUSTER_EXTRA: readonly string[] = [
  "-o /x",
  "--output=/x",
  "-w /etc/passwd",
  "--wordlist=/etc/passwd",
  "-w -",
  "-u http://127.0.0.2/",
  "--url=http://127.0.0.2/",
  "-d attacker.test",
  "-p /etc/passwd",
  "--pattern=/etc/passwd",
  "--proxy http://127.0.0.2:8080",
  "-r",
  "--follow-redirect",
  "--client-cert-pem /etc/passwd",
  "--client-cert-p12 /etc/passwd",
  "-P secret",
  "--debug",
  "-t 100000",
  "--threads=100000",
  "-tq",
  "s3",
  "fuzz",
  "http://127.0.0.2/",
  "-- http://127.0.0.2/",
];

const GOBUSTER_URLS: readonly (readonly [string, string])[] = [
  ["file:///etc/passwd", "a file"],
  ["gopher://127.0.0.1/", "another scheme"],
  ["javascript:alert(1)", "a script"],
  ["http://0x7f.1/", "hexadecimal short form"],
  ["http://010.0.0.1/", "a leading zero"],
  ["http://2130706433/", "an address as one number"],
  ["http://127.1/", "short form"],
  ["http://0.0.0.0/", "the unspecified address"],
  ["http://[::ffff:8.8.8.8]/", "a public address in IPv6 clothes"],
  ["http://[::ffff:7f00:1]/", "loopback in IPv6 clothes"],
  ["http://[fe80::1%25eth0]/", "a zone id"],
  ["http://169.254.169.254/latest/", "the metadata service of clouds"],
  ["http://127.0.0.1@169.254.169.254/", "an address in front of the host"],
  ["http://a:b@127.0.0.1/", "credentials in a URL"],
  ["http://127.0.0.1\\@169.254.169.254/", "a backslash in the host"],
  ["http://127.0.0.1:99999/", "a port above 65535"],
  ["http://\uff11\uff12\uff17.0.0.1/", "full-width digits"],
  ["http://127.0.0.1/\n-o /x", "a flag behind a newline"],
  ["http://lab.internal.attacker.test/", "a suffix in the middle"],
  ["http://", "no host"],
  ["//127.0.0.1/", "no scheme"],
];

/** Every case, for all three tools. */
export const HOSTILE_CASES: readonly HostileCase[] = [
  ...addressTool("nmap", { target: "127.0.0.1" }),
  ...["ports", "scan_type", "scripts", "pace", "extra_args"].flatMap((field) =>
    fieldCases("nmap", { target: "127.0.0.1" }, field)
  ),
  ...extraCases("nmap", { target: "127.0.0.1" }, NMAP_EXTRA),
  ...intrusiveCases(),
  ...addressTool("masscan", { target: "127.0.0.1", ports: "80" }),
  ...["ports", "extra_args"].flatMap((field) =>
    fieldCases("masscan", { target: "127.0.0.1", ports: "80" }, field)
  ),
  ...extraCases(
    "masscan",
    { target: "127.0.0.1", ports: "80" },
    MASSCAN_EXTRA,
  ),
  ...gobusterCases(),
  ...(["nmap", "masscan", "gobuster"] as const).flatMap(requestCases),
];

function addressTool(
  tool: ToolName,
  base: Readonly<Record<string, unknown>>,
): HostileCase[] {
  return [
    ...fieldCases(tool, base, "target", [...TARGET, "invalid_arguments"]),
    ...TARGETS.flatMap(([target, why]) => [
      { tool, arguments: { ...base, target }, codes: TARGET, why },
      {
        tool,
        arguments: { ...base, target: ["127.0.0.1", target] },
        codes: TARGET,
        why: `${why}, behind a good target`,
      },
    ]),
    ...PUBLIC_TARGETS.map(([target, why]) => ({
      tool,
      arguments: { ...base, target },
      codes: ["target_not_allowed"] as const,
      why,
      assumes: "private_scope" as const,
    })),
  ];
}

function fieldCases(
  tool: ToolName,
  base: Readonly<Record<string, unknown>>,
  field: string,
  codes: readonly ErrorCode[] = field === "extra_args" ? EXTRA : ARGUMENTS,
): HostileCase[] {
  const values = [...TEXTS, ...SHAPES].flatMap(([value, why]) =>
    field === "scripts" && typeof value === "string"
      ? [[value, why] as const, [[value], `${why}, in a list`] as const]
      : [[value, why] as const]
  );
  return values
    // Nothing but spaces is no token at all, which is nothing hostile.
    .filter(([value]) => !(field === "extra_args" && value === " "))
    .map(([value, why]) => ({
      tool,
      arguments: { ...base, [field]: value },
      codes,
      why: `${field}: ${why}`,
    }));
}

function extraCases(
  tool: ToolName,
  base: Readonly<Record<string, unknown>>,
  flags: readonly string[],
): HostileCase[] {
  return flags.map((extra_args) => ({
    tool,
    arguments: { ...base, extra_args },
    codes: EXTRA,
    why: `extra_args: ${extra_args}`,
  }));
}

function intrusiveCases(): HostileCase[] {
  const requests: readonly Record<string, unknown>[] = [
    { extra_args: "-A" },
    { extra_args: "-O" },
    { extra_args: "-T5" },
    { os_detection: true },
    { timing: 5 },
    { scripts: ["vuln"] },
    { scripts: ["exploit"] },
    { scripts: ["brute"] },
    { scripts: ["http-git"] },
    { scripts: ["safe", "ssh-brute"] },
    { scripts: ["broadcast"] },
    { scripts: ["whois-ip"] },
  ];
  return requests.map((request) => ({
    tool: "nmap",
    arguments: { target: "127.0.0.1", ...request },
    codes: ["intrusive_not_allowed"],
    why: `intrusive: ${JSON.stringify(request)}`,
    assumes: "not_intrusive",
  }));
}

function gobusterCases(): HostileCase[] {
  const tool = "gobuster";
  const base = { mode: "dir", target: "http://127.0.0.1/" };
  return [
    ...fieldCases(tool, base, "mode"),
    ...fieldCases(tool, base, "target", [...TARGET, "invalid_arguments"]),
    ...fieldCases(tool, { ...base, mode: "dns" }, "target", [
      ...TARGET,
      "invalid_arguments",
    ]),
    ...["wordlist", "extensions", "status_codes", "extra_args"].flatMap(
      (field) => fieldCases(tool, base, field),
    ),
    ...fieldCases(
      tool,
      { mode: "dns", target: "lab.internal" },
      "resolver",
      [...TARGET, "invalid_arguments"],
    ),
    ...extraCases(tool, base, GOBUSTER_EXTRA),
    ...GOBUSTER_URLS.map(([target, why]) => ({
      tool,
      arguments: { ...base, target },
      codes: TARGET,
      why,
    } as const)),
    {
      tool,
      arguments: { ...base, target: "http://8.8.8.8/" },
      codes: ["target_not_allowed"],
      why: "a public address",
      assumes: "private_scope",
    },
  ];
}

/** Hostile in the request as a whole. */
function requestCases(tool: ToolName): HostileCase[] {
  const bases: Record<ToolName, Record<string, unknown>> = {
    nmap: { target: "127.0.0.1" },
    masscan: { target: "127.0.0.1", ports: "80" },
    gobuster: { mode: "dir", target: "http://127.0.0.1/" },
  };
  const base = bases[tool];
  return [
    [{ ...base, argv: ["-oN", "/x"] }, "an argument that does not exist"],
    [{ ...base, Target: "8.8.8.8" }, "an argument in the wrong case"],
    [{ ...base, constructor: {} }, "a key of every object"],
    [
      Object.fromEntries([...Object.entries(base), ["__proto__", { x: 1 }]]),
      "a prototype as a key",
    ],
    [{ ...base, timeout_seconds: 1e12 }, "a deadline without end"],
    [{ ...base, timeout_seconds: -1 }, "a negative deadline"],
    [{ ...base, timeout_seconds: "60" }, "a number as a text"],
    [{}, "no arguments"],
  ].map(([request, why]) => ({
    tool,
    arguments: request as Readonly<Record<string, unknown>>,
    codes: ARGUMENTS,
    why: why as string,
  }));
}
