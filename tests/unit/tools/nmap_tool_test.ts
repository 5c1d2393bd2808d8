/**
 * nmap as a tool: what it looks up, what it says of a plan, and that no text finds a way into its
 * command line.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import type { Target } from "@/scope/scope.ts";
import { Argv, SafeText } from "@/spawn/argv.ts";
import { fieldsSchema } from "@/tools/field.ts";
import {
  NMAP_GRAMMAR,
  type NmapSettings,
  scanArgv,
} from "@/tools/nmap/argv.ts";
import { FLAG_TABLE } from "@/tools/nmap/flags.ts";
import { parseResolveXml, resolveArgv } from "@/tools/nmap/resolve.ts";
import { nmap } from "@/tools/nmap/tool.ts";
import { GUARDRAILS, LOOSE, planOf } from "./nmap_fixture.ts";
import { verifies } from "../../requirements.ts";

verifies("argv.no_leading_dash", "argv.forgery_refused");

Deno.test("nmap.names() gives only names that may be looked up", () => {
  const target = ["web.lab.internal", "secret.attacker.test", "10.0.0.1"];
  const request = nmap.parse({ target }, GUARDRAILS);
  assert.deepEqual(nmap.names(request), ["web.lab.internal"]);
});

Deno.test("nmap.plan() says what it chose and what it left out", () => {
  const one = planOf(nmap, { target: "10.0.0.1" });
  assert.equal(one.scanType, "syn");
  assert.deepEqual(one.permissions, [
    "run nmap",
    "raw sockets",
    "network: 10.0.0.1",
  ]);
  assert.match(one.notes.join("\n"), /scan_type syn was chosen/);
  const weak = planOf(nmap, { target: "10.0.0.0/24" }, { rawSockets: false });
  assert.equal(weak.scanType, "connect");
  assert.deepEqual(weak.permissions, ["run nmap", "network: 10.0.0.0/24"]);
  assert.match(
    weak.notes.join("\n"),
    /raw packets cannot be sent on this host/,
  );
  assert.match(weak.notes.join("\n"), /found only by its TCP ports 80 and 443/);
  const dual = planOf(nmap, { target: "dual.lab.internal" });
  assert.deepEqual(dual.targets, ["10.77.2.21"]);
  assert.equal(dual.addressCount, 1);
  assert.match(
    dual.notes.join("\n"),
    /fd00::21 of dual\.lab\.internal is left out/,
  );
  const both = planOf(nmap, { target: "10.0.0.1", ports: "T:80,U:53" });
  assert.equal(both.scanType, "syn+udp");
});

Deno.test("nmap.plan() estimates within the measured order of magnitude", () => {
  const cases:
    readonly (readonly [Record<string, unknown>, number, number, number])[] = [
      // One filtered host: 21 s with the cap of 10, 5 s without.
      [{ target: "10.0.0.1" }, 1_000, 15, 30],
      [{ target: "10.0.0.1", pace: "balanced" }, 1_000, 4, 8],
      // 30 hosts, all ports, service detection: 509 s.
      [
        {
          target: "10.77.2.10-39",
          host_discovery: false,
          ports: "1-65535",
          service_detection: true,
          pace: "balanced",
        },
        1_966_050,
        300,
        1_600,
      ],
      // A dead /25: 52 s.
      [{ target: "10.0.0.0/25", scan_type: "ping" }, 512, 30, 70],
    ];
  for (const [request, probes, low, high] of cases) {
    const plan = planOf(nmap, request);
    assert.equal(plan.probes, probes);
    assert.ok(plan.seconds >= low && plan.seconds <= high, `${plan.seconds} s`);
  }
  const late = planOf(nmap, { target: "10.0.0.1", ports: "1-65535" });
  assert.match(late.notes.join("\n"), /exceeds the deadline of 300 s/);
});

Deno.test("nmap.plan() gives numbers that cross as JSON whatever is asked for", () => {
  for (const target of ["::/0", "0.0.0.0/0", "fd00::/8"]) {
    const { addressCount, probes, seconds } = planOf(nmap, { target });
    for (const count of [addressCount, probes, seconds]) {
      assert.ok(Number.isSafeInteger(count), `${count}`);
    }
  }
});

Deno.test("nmap's schema is short and its descriptions too", () => {
  const text = JSON.stringify(fieldsSchema(nmap.fields));
  assert.ok(text.length < 2_048, `${text.length}`);
  for (const [name, { schema }] of Object.entries(nmap.fields)) {
    const { description } = schema;
    assert.ok(
      typeof description === "string" && description.length <= 110,
      name,
    );
  }
});

Deno.test("nmap's command line holds nothing but its grammar and parsed values", () => {
  const good = fc.constantFrom(
    ...["-sV", "-p 80", "-p-", "-F", "--top-ports=5", "-T3", "-T5", "--open"],
    ...["-Pn", "-PS22,80", "-PE", "-sU", "-sT", "-O", "-A", "--reason", "-sC"],
    ...["--script=vuln,banner", "--min-rate 50", "--scan-delay 5ms"],
    ...["--host-timeout=2m", "--max-retries 0", "--traceroute", "-n"],
  );
  const bad = fc.oneof(
    fc.constantFrom(
      ...FLAG_TABLE.allowed.flatMap((rule) => rule.names),
      ...FLAG_TABLE.refused.flatMap((entry) => entry.names),
      ...["80", "1-100", "=5", "default", "10.0.0.9", "/etc/passwd"],
    ),
    fc.string({
      unit: fc.constantFrom(..."-=spTOnA0123 '\",./"),
      maxLength: 8,
    }),
  );
  const words = fc.oneof({ weight: 4, arbitrary: good }, {
    weight: 1,
    arbitrary: bad,
  });
  const requests = fc.record({
    target: fc.constantFrom(
      "10.0.0.1",
      "10.0.0.0/28",
      "::1",
      "web.lab.internal",
    ),
    extra_args: fc.array(words, { minLength: 1, maxLength: 6 }).map((list) =>
      list.join(" ")
    ),
    ports: fc.option(fc.constantFrom("22", "U:53", "T:1-9,U:7"), {
      nil: undefined,
    }),
    pace: fc.option(fc.constantFrom("balanced", "fast"), { nil: undefined }),
  });
  let runs = 0;
  fc.assert(
    fc.property(requests, (request) => {
      let plan;
      try {
        plan = planOf(nmap, request, { guardrails: LOOSE });
      } catch (error) {
        return error instanceof AppError &&
          ["invalid_arguments", "intrusive_not_allowed"].includes(error.code);
      }
      for (const argv of plan.passes) {
        runs++;
        checkTokens(Argv.tokensOf(argv));
      }
      return true;
    }),
    { numRuns: 3_000 },
  );
  assert.ok(runs > 300, `only ${runs} command lines were looked at`);
});

Deno.test("resolveArgv() looks up names below an allowed suffix only", () => {
  assert.deepEqual(
    resolveArgv(["Web.lab.internal", "a.b.lab.internal"], GUARDRAILS, 4)
      .toJSON(),
    "nmap -sL -n --noninteractive --unprivileged --resolve-all -oX - web.lab.internal a.b.lab.internal"
      .split(" "),
  );
  const six = resolveArgv(["web.lab.internal"], GUARDRAILS, 6).toJSON();
  assert.ok(six.includes("-6"), six.join(" "));
  const wrong = [
    "secret.attacker.test",
    "10.0.0.1",
    "10.0.0.0/8",
    "-iL",
    "a b.lab.internal",
    "",
  ];
  for (const name of wrong) {
    assert.throws(
      () => resolveArgv([name], GUARDRAILS, 4),
      (error) =>
        error instanceof AppError &&
        ["target_not_allowed", "invalid_target"].includes(error.code),
      name,
    );
  }
  assert.throws(() => resolveArgv([], GUARDRAILS, 6), AppError);
  const many = Array.from({ length: 129 }, (_, i) => `h${i}.lab.internal`);
  assert.throws(() => resolveArgv(many, GUARDRAILS, 4), AppError);
});

Deno.test("parseResolveXml() reads every address of every name", () => {
  const host = (address: string, name: string, type = "user") =>
    `<host><status state="unknown"/><address addr="${address}" addrtype="ipv4"/>` +
    `<hostnames><hostname name="${name}" type="${type}"/></hostnames></host>`;
  const xml = `<?xml version="1.0"?><!DOCTYPE nmaprun><nmaprun>${
    host("10.0.0.1", "Web.lab.internal")
  }${host("10.0.0.2", "web.lab.internal")}${
    host("10.0.0.2", "web.lab.internal")
  }${host("10.0.0.3", "reverse.test", "PTR")}${
    host("999.0.0.1", "bad.lab.internal")
  }<runstats/></nmaprun>`;
  const expected = [["web.lab.internal", ["10.0.0.1", "10.0.0.2"]]];
  assert.deepEqual([...parseResolveXml(xml)], expected);
  assert.deepEqual([...parseResolveXml(xml.slice(0, -40))], expected);
  const late = `<nmaprun></x>${host("10.0.0.1", "a.lab.internal")}`;
  assert.deepEqual([...parseResolveXml(late)], []);
  const flood = `<nmaprun>${
    Array.from({ length: 60 }, (_, i) => host(`10.0.0.${i}`, "a.lab.internal"))
      .join("")
  }`;
  assert.equal(parseResolveXml(flood).get("a.lab.internal")?.length, 17);
});

Deno.test("parseResolveXml() throws nothing, whatever arrives", () => {
  const pieces = fc.constantFrom(
    "<nmaprun>",
    "<host>",
    "</host>",
    '<address addr="10.0.0.1"/>',
    '<hostname name="a.lab.internal" type="user"/>',
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&b;",
    "&#0;",
    "<",
    "]]>",
    "\u0000",
    "\ud800",
    "<?xml version='1.0'?>",
  );
  fc.assert(fc.property(fc.array(pieces, { maxLength: 30 }), (list) => {
    for (const [, addresses] of parseResolveXml(list.join(""))) {
      assert.deepEqual(addresses, ["10.0.0.1"]);
    }
  }));
});

Deno.test("parseResolveXml() ends at half a surrogate pair", () => {
  const declaration = "<!DOCTYPE a [<!ENTITY b 'c'>]>";
  assert.deepEqual([...parseResolveXml(`<${declaration}\ud800\ud800`)], []);
});

Deno.test("scanArgv() takes no target that the scope did not make", () => {
  const request = nmap.parse({ target: "10.0.0.1" }, GUARDRAILS);
  const settings: NmapSettings = {
    family: 4,
    privileged: false,
    techniques: ["-sT"],
    hostDiscovery: false,
    ports: null,
    topPorts: 1,
    serviceDetection: false,
    osDetection: false,
    traceroute: false,
    scripts: [],
    timing: 4,
    maxParallelism: null,
    minRate: null,
  };
  const fake = { argv: SafeText.match("8.8.8.8", /[0-9.]+/), family: 4 };
  assert.throws(
    () => scanArgv(settings, request, [fake as unknown as Target]),
    /a target that Scope did not make/,
  );
});

Deno.test("SafeText and Argv cannot be forged for nmap", () => {
  const argv = planOf(nmap, { target: "10.0.0.1" }).passes[0];
  assert.ok(argv instanceof Argv);
  const fakes = [
    Object.create(Argv.prototype),
    Object.create(argv),
    structuredClone(argv),
    { toJSON: () => ["nmap", "-iL", "/etc/passwd"] },
  ];
  for (const fake of fakes) {
    assert.throws(() => Argv.tokensOf(fake as Argv), TypeError);
  }
  const text = { toString: () => "-oN" } as unknown as SafeText;
  assert.throws(() => Argv.build(NMAP_GRAMMAR, [{ operand: text }]), TypeError);
  assert.throws(
    () => Argv.build(NMAP_GRAMMAR, [{ flag: "-PS", value: text }]),
    TypeError,
  );
  assert.throws(() => Argv.build(NMAP_GRAMMAR, [{ flag: "-iL" }]), RangeError);
  assert.throws(() => Argv.build(NMAP_GRAMMAR, [{ flag: "-PS" }]), RangeError);
});

/** A reading of the command line that shares nothing with what built it. */
function checkTokens(tokens: readonly string[]): void {
  const output = tokens.indexOf("-oX");
  assert.deepEqual(tokens.slice(output, output + 2), ["-oX", "-"]);
  const flags = tokens.slice(0, output);
  const operands = tokens.slice(output + 2);
  assert.ok(operands.length > 0);
  for (const operand of operands) {
    assert.match(operand, /^(10\.0\.0\.[0-9/]+|::1|10\.77\.2\.20)$/);
  }
  const line = flags.join(" ");
  assert.match(
    line,
    new RegExp(
      "^(-6 )?-n --(un)?privileged( -s[TSUn]){1,2}( -Pn)?" +
        "( -PE)?( -PS[0-9,-]+)?( -PA[0-9,-]+)?( -p [0-9TU:,-]+| --top-ports=[0-9]+)?" +
        "( -sV)?( --version-intensity=[0-9])?( -O)?( --script=[a-z0-9.(),-]+)?" +
        "( --traceroute)?( -T[0-5])( --max-parallelism=[0-9]+)?( --min-rate=[0-9]+)?" +
        "( --max-rate=[0-9]+)?( --max-retries=[0-9]+)?( --host-timeout=[0-9]+s)?" +
        "( --scan-delay=[0-9]+ms)?( --defeat-rst-ratelimit)?( --open)?( --reason)?" +
        " --stats-every=1s$",
    ),
  );
}
