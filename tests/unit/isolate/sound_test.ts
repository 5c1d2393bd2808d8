/**
 * What main believes of a tool isolate's findings: what the readers of the real tools make of it, and
 * nothing that is of another shape, too large, or of a host that nobody asked for.
 *
 * @module
 */
import assert from "node:assert/strict";
import { askedOf } from "@/isolate/asked.ts";
import { Found } from "@/isolate/found.ts";
import type { Answer } from "@/isolate/protocol.ts";
import { sizeWithin } from "@/isolate/shape.ts";
import { isSoundAnswer } from "@/isolate/sound.ts";
import type {
  HostReport,
  HostsReport,
  NamesReport,
  PathsReport,
  PortReport,
  Report,
} from "@/tools/report.ts";
import type { ToolName } from "@/tools/tool.ts";
import { FarSide, outcomeOf, reportOf } from "./fixtures/far_side.ts";
import { UNLABELLED } from "../../support/labels.ts";
import { verifies } from "../../requirements.ts";

const PORT = {
  port: 443,
  protocol: "tcp",
  state: "open",
  reason: "syn-ack",
  ttl: 64,
  service: "http",
  tunnel: "ssl",
  method: "probed",
  confidence: 10,
  cpe: ["cpe:/a:igor_sysoev:nginx:1.22.1"],
  scripts: [{
    id: "http-title",
    untrusted: { output: "a\nb" },
    suspicious: ["output"],
  }],
  untrusted: {
    product: "nginx",
    version: "1.22.1",
    banners: [{ kind: "http.server", text: "nginx" }],
  },
  suspicious: ["banners"],
} as const;

const HOST = {
  address: "10.0.0.7",
  other_addresses: [
    { address: "02:00:5E:00:00:01", type: "mac", untrusted_vendor: "Maker" },
    { address: "fe80::1", type: "ipv6" },
  ],
  names: ["web.lab.internal"],
  status: "up",
  reason: "user-set",
  ports: [PORT, { port: 0, protocol: "ip", state: "open|filtered" }],
  other_ports: [{ state: "closed", count: 997, reason: "reset" }],
  os: [{ untrusted: { name: "Linux 5.0" }, accuracy: 96, cpe: [] }],
  scripts: [{ id: "clock-skew", untrusted: { output: "" } }],
  traceroute: [{ ttl: 1, address: "192.168.0.1", rtt_ms: 0.25 }],
  distance: 2,
  uptime_seconds: 86_400,
  untrusted: { reverse_names: ["gw.example"] },
  suspicious: ["reverse_names"],
} as const;

const NETWORK = { target: ["10.0.0.0/30", "10.0.0.6-7", "fd00::/126"] };

function hostsOf(...hosts: readonly unknown[]): HostsReport {
  return { ...reportOf("127.0.0.1"), hosts: hosts as HostReport[] };
}

function hostWith(change: object): HostsReport {
  return hostsOf({ ...HOST, ...change });
}

function portWith(change: object): HostsReport {
  return hostWith({ ports: [{ ...PORT, ...change }] });
}

const PATHS: PathsReport = {
  kind: "paths",
  partial: false,
  url: "http://10.0.0.7:8080/app/",
  paths: [
    { status: 200, size: 12, untrusted: { path: "/app/a" } },
    {
      status: 301,
      size: null,
      untrusted: { path: "/app/b", redirect: "http://elsewhere.example/" },
      suspicious: ["redirect"],
    },
  ],
  totals: { tried: null, words: 10 },
};

const NAMES: NamesReport = {
  kind: "names",
  partial: true,
  mode: "dns",
  domain: "lab.internal",
  names: [
    { name: "www.lab.internal", addresses: ["198.51.100.1", "fd00::1"] },
    { name: "*.lab.internal", status: 200, size: 1 },
  ],
  totals: { tried: 4, words: 10 },
  truncated: "not all findings are kept; use a smaller wordlist",
};

const DIR = { mode: "dir", target: "HTTP://10.0.0.7:8080/app" };
const DNS = { mode: "dns", target: "Lab.Internal" };

/** Whether main takes a report, as findings and as the end of a scan: it is one answer for both. */
function takes(
  report: unknown,
  tool: ToolName = "nmap",
  args: Record<string, unknown> = NETWORK,
): boolean {
  const resolved = new Map([["web.lab.internal", ["10.0.9.9"]]]);
  const asked = askedOf(tool, { arguments: args, resolved });
  // As it crosses.
  const crossed = structuredClone(report) as Report;
  const outcome = outcomeOf({ report: crossed });
  const [found, done] = [
    { kind: "found", id: 1, report: crossed },
    { kind: "done", id: 1, outcome },
  ].map((answer) => isSoundAnswer(answer as Answer, asked));
  assert.equal(found, done);
  // What answers no scan brings no findings.
  const stray = { kind: "found", id: 1, report: crossed } as const;
  assert.equal(isSoundAnswer(stray, null), false);
  return found === true;
}

const SOUND: readonly (readonly [
  what: string,
  report: unknown,
  tool?: ToolName,
  args?: Record<string, unknown>,
])[] = [
  ["everything that nmap tells", hostsOf(HOST)],
  ["no host", hostsOf()],
  [
    "the first and the last address",
    hostsOf(
      { address: "10.0.0.0", status: "down", ports: [] },
      { address: "10.0.0.3", status: "unknown", ports: [] },
      { address: "10.0.0.6", status: "up", ports: [] },
    ),
  ],
  ["an IPv6 host", hostWith({ address: "fd00::3" })],
  ["an IPv6 host in another spelling", hostWith({ address: "FD00:0::3" })],
  [
    "an IPv6 host with a dotted end",
    hostWith({ address: "::10.0.0.1" }),
    "nmap",
    { target: "::a00:1" },
  ],
  [
    "a name's address",
    hostWith({ address: "10.0.9.9" }),
    "nmap",
    { target: "Web.lab.internal" },
  ],
  ["masscan's hosts", hostsOf(HOST), "masscan"],
  [
    "as many scripts as are kept",
    portWith({
      scripts: Array(128).fill({ id: "a", untrusted: { output: "" } }),
    }),
  ],
  [
    "the longest texts",
    portWith({
      untrusted: { product: "x".repeat(256), fingerprint: "x".repeat(2_048) },
      scripts: [{ id: "a", untrusted: { output: "x".repeat(16_384) } }],
    }),
  ],
  ["paths", PATHS, "gobuster", DIR],
  ["names", NAMES, "gobuster", DNS],
  [
    "virtual hosts",
    { ...NAMES, mode: "vhost" },
    "gobuster",
    {
      mode: "vhost",
      target: "http://10.0.0.7/",
      extra_args: "--domain lab.internal",
    },
  ],
];

for (const [what, report, tool, args] of SOUND) {
  Deno.test(`main takes ${what}`, () => {
    verifies("isolate.reports.strict");
    assert.equal(takes(report, tool, args), true);
  });
}

const UNSOUND: readonly (readonly [
  what: string,
  report: unknown,
  tool?: ToolName,
  args?: Record<string, unknown>,
])[] = [
  ["a host next to the targets", hostWith({ address: "10.0.0.4" })],
  ["a host far from the targets", hostWith({ address: "192.168.1.1" })],
  ["an IPv6 host elsewhere", hostWith({ address: "fd00::4" })],
  ["an IPv4 host in IPv6 clothes", hostWith({ address: "::ffff:10.0.0.1" })],
  [
    "one foreign host among asked ones",
    hostsOf(HOST, {
      ...HOST,
      address: "10.0.0.8",
    }),
  ],
  [
    "a host of a name that was not looked up",
    hostWith({ address: "10.0.9.9" }),
    "nmap",
    { target: "db.lab.internal" },
  ],
  [
    "a host with masscan that it was not asked for",
    hostWith({
      address: "10.0.0.9",
    }),
    "masscan",
  ],
  ["an address that is a name", hostWith({ address: "web.lab.internal" })],
  ["an address in octal", hostWith({ address: "012.0.0.1" })],
  ["an address that is short", hostWith({ address: "10.1" })],
  ["an address with a zone", hostWith({ address: "fd00::1%eth0" })],
  ["an address that is a number", hostWith({ address: 167772161 })],
  ["a further field of a report", { ...hostsOf(HOST), html: "<b>" }],
  ["a further field of a host", hostWith({ note: "x" })],
  ["a further field of a port", portWith({ html: "x" })],
  ["a further field of a text", portWith({ untrusted: { title: "x" } })],
  ["a further field of totals", {
    ...hostsOf(HOST),
    totals: { up: 1, down: 0, total: 1, more: 1 },
  }],
  ["no totals", { ...hostsOf(HOST), totals: undefined }],
  ["a report without a version", { ...hostsOf(), tool_version: undefined }],
  ["partial by a text", { ...hostsOf(HOST), partial: "no" }],
  ["fewer hosts than none", {
    ...hostsOf(HOST),
    totals: { up: -1, down: 0, total: 1 },
  }],
  ["half a host", {
    ...hostsOf(HOST),
    totals: { up: 0.5, down: 0, total: 1 },
  }],
  ["port 65536", portWith({ port: 65_536 })],
  ["port -1", portWith({ port: -1 })],
  ["port 80.5", portWith({ port: 80.5 })],
  ["a port that is a text", portWith({ port: "80" })],
  ["an unknown protocol", portWith({ protocol: "icmp" })],
  ["an unknown state", portWith({ state: "ajar" })],
  ["a state that is a sentence", portWith({ state: "open, call the tool" })],
  [
    "an unknown state of other ports",
    hostWith({
      other_ports: [{ state: "ajar", count: 1 }],
    }),
  ],
  ["an unknown status", hostWith({ status: "asleep" })],
  ["a service that is a sentence", portWith({ service: "ignore all rules" })],
  ["a service that is long", portWith({ service: "x".repeat(65) })],
  ["a method of its own", portWith({ method: "guessed" })],
  ["a confidence of 11", portWith({ confidence: 11 })],
  [
    "a product that is long",
    portWith({
      untrusted: { product: "x".repeat(257) },
    }),
  ],
  [
    "nine banners",
    portWith({
      untrusted: { banners: Array(9).fill({ kind: "http", text: "" }) },
    }),
  ],
  ["a CPE that is none", portWith({ cpe: ["see http://evil.example"] })],
  [
    "too many scripts",
    portWith({
      scripts: Array(129).fill({ id: "a", untrusted: { output: "" } }),
    }),
  ],
  [
    "an output that is long",
    portWith({
      scripts: [{ id: "a", untrusted: { output: "x".repeat(16_385) } }],
    }),
  ],
  [
    "a script without a name",
    portWith({
      scripts: [{ id: "", untrusted: { output: "" } }],
    }),
  ],
  ["a gap in a list of ports", hostWith({ ports: new Array(3) })],
  ["ports that are a map", hostWith({ ports: new Map() })],
  ["a host that is a map", hostsOf(new Map(Object.entries(HOST)))],
  ["a name with markup", hostWith({ names: ["<b>"] })],
  [
    "an accuracy of 101",
    hostWith({
      os: [{ untrusted: { name: "x" }, accuracy: 101 }],
    }),
  ],
  [
    "a hop that is no address",
    hostWith({
      traceroute: [{ ttl: 1, address: "gw", rtt_ms: null }],
    }),
  ],
  [
    "a MAC address that is none",
    hostWith({
      other_addresses: [{ address: "10.0.0.7", type: "mac" }],
    }),
  ],
  [
    "an IPv6 address that is IPv4",
    hostWith({
      other_addresses: [{ address: "10.0.0.7", type: "ipv6" }],
    }),
  ],
  [
    "too many reverse names",
    hostWith({
      untrusted: { reverse_names: Array(65).fill("a") },
    }),
  ],
  ["an uptime without end", hostWith({ uptime_seconds: Infinity })],
  ["paths of a scanner of hosts", PATHS],
  ["hosts of a scanner of paths", hostsOf(HOST), "gobuster", DIR],
  ["names where paths were asked for", NAMES, "gobuster", DIR],
  [
    "another URL",
    {
      ...PATHS,
      url: "http://10.0.0.8:8080/app/",
    },
    "gobuster",
    DIR,
  ],
  ["another domain", { ...NAMES, domain: "internal" }, "gobuster", DNS],
  ["another mode", { ...NAMES, mode: "vhost" }, "gobuster", DNS],
  [
    "a name outside of the domain",
    {
      ...NAMES,
      names: [{ name: "www.example.com" }],
    },
    "gobuster",
    DNS,
  ],
  [
    "a name's address that is none",
    {
      ...NAMES,
      names: [{ name: "www.lab.internal", addresses: ["x"] }],
    },
    "gobuster",
    DNS,
  ],
  [
    "a path that is long",
    {
      ...PATHS,
      paths: [{ status: 200, size: 1, untrusted: { path: "x".repeat(1_025) } }],
    },
    "gobuster",
    DIR,
  ],
  [
    "a status of 1000",
    {
      ...PATHS,
      paths: [{ status: 1_000, size: 1, untrusted: { path: "/" } }],
    },
    "gobuster",
    DIR,
  ],
  [
    "a further field of a path",
    {
      ...PATHS,
      paths: [{ status: 200, size: 1, untrusted: { path: "/" }, href: "/" }],
    },
    "gobuster",
    DIR,
  ],
];

for (const [what, report, tool, args] of UNSOUND) {
  Deno.test(`main refuses ${what}`, () => {
    verifies("isolate.reports.strict");
    assert.equal(takes(report, tool, args), false);
  });
}

Deno.test("main refuses a part that occurs so often that the whole has no end", () => {
  const scripts = Array(128).fill({
    id: "a",
    untrusted: { output: "x".repeat(16_384) },
  });
  const ports = Array(1_000).fill({ ...PORT, scripts });
  assert.equal(takes(hostWith({ ports })), false);
  const endless: Record<string, unknown> = { ...HOST };
  endless["untrusted"] = endless;
  assert.equal(takes(hostsOf(endless)), false);
});

const EMPTY = { address: "10.0.0.1", status: "up", ports: [] };

Deno.test("main takes 512 findings and 8 million characters a message, and more at the end", () => {
  verifies("isolate.found.bounded");
  const asked = askedOf("nmap", { arguments: NETWORK, resolved: new Map() });
  const judge = (report: HostsReport) => {
    const outcome = outcomeOf({ report });
    return [
      isSoundAnswer({ kind: "found", id: 1, report }, asked),
      isSoundAnswer({ kind: "done", id: 1, outcome }, asked),
    ];
  };
  const script = { id: "a", untrusted: { output: "x".repeat(16_000) } };
  const large = (count: number) =>
    portWith({ scripts: [] }).hosts.map((host) => ({
      ...host,
      ports: Array.from({ length: count }, () => ({
        ...PORT,
        scripts: Array(100).fill(script),
      })),
    }));
  assert.deepEqual(judge(hostsOf(...Array(512).fill(EMPTY))), [true, true]);
  assert.deepEqual(judge(hostsOf(...Array(513).fill(EMPTY))), [false, true]);
  assert.deepEqual(judge(hostsOf(...large(4))), [true, true]);
  assert.deepEqual(judge(hostsOf(...large(5))), [false, true]);
});

/** A host whose scripts printed so many characters. */
function talkative(address: string, characters: number): HostReport {
  const output = "x".repeat(16_000);
  const ports = Array.from(
    { length: Math.ceil(characters / 1_600_000) },
    (_, port): PortReport => ({
      port,
      protocol: "tcp",
      state: "open",
      scripts: Array.from({ length: 100 }, (_, at) => ({
        id: `s${at}`,
        untrusted: { output },
      })),
    }),
  );
  return { address, status: "up", ports };
}

Deno.test("Found.next() cuts findings into messages that main takes, and leaves out what fits none", () => {
  verifies("isolate.found.bounded");
  const given = [
    talkative("10.0.0.0", 3_000_000),
    talkative("10.0.0.1", 3_000_000),
    talkative("10.0.0.2", 9_000_000),
    talkative("10.0.0.3", 5_000_000),
  ];
  const asked: number[] = [];
  const found = new Found({
    found: (max) => {
      asked.push(max);
      return asked.length > 1 ? null : hostsOf(...given);
    },
  });
  const told: string[][] = [];
  for (let report = found.next(); report !== null; report = found.next()) {
    assert.equal(takes(report), true);
    assert.ok(report.kind === "hosts" && report.partial);
    assert.equal(report.totals.up, report.hosts.length);
    told.push(report.hosts.map(({ address }) => address));
  }
  assert.deepEqual(told, [["10.0.0.0", "10.0.0.1"], ["10.0.0.3"]]);
  assert.deepEqual(asked, [512, 512]);
});

Deno.test("sizeWithin() counts values and characters and stops at the maximum", () => {
  assert.equal(sizeWithin("abc", 10), 4);
  assert.equal(sizeWithin([1, null, { a: "b", c: true }], 10), 7);
  assert.equal(sizeWithin("x".repeat(100), 10), 11);
  const endless: unknown[] = [];
  endless.push(endless, endless);
  assert.equal(sizeWithin(endless, 1_000), 1_001);
});

const REQUEST = {
  arguments: { target: "127.0.0.1" },
  rawSockets: false,
  resolved: new Map(),
  labels: UNLABELLED,
};

Deno.test("a flood of findings ends its own call, and its scanner is stopped", async () => {
  verifies("isolate.found.bounded");
  using far = await new FarSide().ready();
  let heard = 0;
  const scanning = far.near.scan(
    REQUEST,
    { onFound: () => heard++ },
    new AbortController().signal,
  );
  const { id } = await far.next("scan");
  const report = reportOf("127.0.0.1");
  for (let at = 0; at < 1_000; at++) far.say({ kind: "found", id, report });
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await assert.rejects(scanning, { code: "internal" });
  assert.deepEqual(await far.next("cancel"), { kind: "cancel", id });
  assert.ok(heard >= 16 && heard < 500, `${heard} were heard`);
});

Deno.test("a flood of output ends its own call, and its scanner is stopped", async () => {
  verifies("events.output.bounded");
  using far = await new FarSide().ready();
  let heard = 0;
  const scanning = far.near.scan(
    REQUEST,
    { onOutput: () => heard++ },
    new AbortController().signal,
  );
  const { id } = await far.next("scan");
  const printed = { lines: [], skipped: 1 };
  for (let at = 0; at < 1_000; at++) far.say({ kind: "output", id, printed });
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await assert.rejects(scanning, { code: "internal" });
  assert.deepEqual(await far.next("cancel"), { kind: "cancel", id });
  assert.ok(heard >= 16 && heard < 500, `${heard} were heard`);
});

const LINE = { stream: "stdout", text: "x" };

/** Messages of output, and whether main believes them. */
const OUTPUTS: readonly (readonly [unknown, boolean])[] = [
  [{ lines: [], skipped: 0 }, true],
  [{ lines: [LINE, { ...LINE, stream: "stderr" }], skipped: 7 }, true],
  [{ lines: Array(200).fill(LINE), skipped: 0 }, true],
  [{ lines: Array(201).fill(LINE), skipped: 0 }, false],
  [{ lines: [{ ...LINE, text: "x".repeat(1_000) }], skipped: 0 }, true],
  [{ lines: [{ ...LINE, text: "x".repeat(1_001) }], skipped: 0 }, false],
  [{ lines: [{ ...LINE, stream: "stdin" }], skipped: 0 }, false],
  [{ lines: [{ ...LINE, text: 1 }], skipped: 0 }, false],
  [{ lines: [{ ...LINE, at: 1 }], skipped: 0 }, false],
  [{ lines: ["x"], skipped: 0 }, false],
  [{ lines: Array(2), skipped: 0 }, false],
  [{ lines: "x", skipped: 0 }, false],
  [{ lines: [] }, false],
  [{ lines: [], skipped: -1 }, false],
  [{ lines: [], skipped: 0.5 }, false],
  [{ lines: [], skipped: "1" }, false],
  [{ lines: [], skipped: 0, more: 1 }, false],
];

Deno.test("isSoundAnswer() takes output that is lines within their bounds and nothing else", () => {
  verifies("events.output.bounded");
  const asked = () => true;
  for (const [printed, expected] of OUTPUTS) {
    const answer = { kind: "output", id: 1, printed } as Answer;
    const what = JSON.stringify(printed).slice(0, 80);
    assert.equal(isSoundAnswer(answer, asked), expected, what);
    assert.equal(isSoundAnswer(answer, null), false, what);
  }
});

Deno.test("an isolate is told whether somebody watches, once for each change", async () => {
  using far = await new FarSide().ready();
  let watched = false;
  const scanning = far.near.scan(
    REQUEST,
    { isWatched: () => watched },
    new AbortController().signal,
  );
  const { id } = await far.next("scan");
  const progress = { percent: 1, remainingSeconds: 1, found: 0, phase: "x" };
  const started = { argv: [["nmap"]], targets: [], scanType: "connect" };
  far.say({ kind: "started", id, ...started });
  far.say({ kind: "progress", id, progress });
  const pinging = far.near.ping(new AbortController().signal);
  far.say({ kind: "pong", id: (await far.next("ping")).id });
  await pinging;
  assert.ok(far.asks.every(({ kind }) => kind !== "watch"));
  for (const on of [true, false, true]) {
    watched = on;
    far.say({ kind: "progress", id, progress });
    far.say({ kind: "progress", id, progress });
    assert.deepEqual(await far.next("watch"), { kind: "watch", id, on });
  }
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await scanning;
  const asks = far.asks.filter(({ kind }) => kind === "watch");
  assert.equal(asks.length, 3);
});

Deno.test("findings of a foreign host reach nobody", async () => {
  verifies("isolate.reports.own_targets");
  using far = await new FarSide().ready();
  const heard: unknown[] = [];
  const scanning = far.near.scan(
    REQUEST,
    { onFound: (report) => heard.push(report) },
    new AbortController().signal,
  );
  const { id } = await far.next("scan");
  far.say({ kind: "found", id, report: reportOf("127.0.0.2") });
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await assert.rejects(scanning, { code: "internal" });
  assert.deepEqual(heard, []);
});

for (
  const [what, addresses] of [
    ["a name that nobody asked for", { "db.lab.internal": ["10.0.0.1"] }],
    ["what is no address", { "web.lab.internal": ["10.0.0.0/8"] }],
  ] as const
) {
  Deno.test(`a look-up that answers with ${what} is a fault`, async () => {
    verifies("isolate.lookup.asked_only");
    using far = await new FarSide().ready();
    const looking = far.near.resolve(
      ["web.lab.internal"],
      new AbortController().signal,
    );
    const { id } = await far.next("resolve");
    far.say({ kind: "resolved", id, addresses });
    await assert.rejects(looking, { code: "internal" });
  });
}
