/**
 * Reports of real nmap 7.93 runs on loopback and in a network namespace whose addresses were
 * renamed to loopback ones, byte for byte. A change of what is reported shows here first.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Argv, type Part, SafeText } from "@/spawn/argv.ts";
import type { Exit } from "@/spawn/exit.ts";
import { nmapReader } from "@/tools/nmap/report.ts";
import type { Plan } from "@/tools/tool.ts";

const DONE: Exit = { kind: "exited", code: 0, signal: null };

interface Case {
  readonly name: string;
  readonly exit?: Exit;
  readonly stderr?: string;
  readonly scanType?: string;
}

const CASES: readonly Case[] = [
  { name: "connect" },
  { name: "service_and_scripts" },
  { name: "all_options", scanType: "syn" },
  { name: "ipv6" },
  { name: "udp", scanType: "udp" },
  { name: "ping", scanType: "ping" },
  { name: "verbose" },
  { name: "terminated", exit: { kind: "timed_out" } },
  { name: "terminated_midway", exit: { kind: "cancelled" } },
  { name: "traceroute_and_hints", scanType: "syn" },
  { name: "host_timeout" },
  { name: "hostile_title" },
  { name: "host_scripts" },
  { name: "unknown_service" },
  { name: "dead_hosts" },
  {
    name: "no_raw_sockets",
    exit: { kind: "exited", code: 1, signal: null },
    stderr: "Couldn't open a raw socket. Error: Operation not permitted (1)\n",
  },
  {
    name: "unresolved",
    stderr:
      'Failed to resolve "nope.lab.internal".\nWARNING: No targets were specified, so 0 hosts scanned.\n',
  },
  {
    name: "unknown_script",
    exit: { kind: "exited", code: 1, signal: null },
    stderr: "NSE: failed to initialize the script engine:\nQUITTING!\n",
  },
  {
    name: "bad_ports",
    exit: { kind: "exited", code: 1, signal: null },
    stderr:
      "Ports specified must be between 0 and 65535 inclusive\nQUITTING!\n",
  },
];

for (const { name, exit = DONE, stderr = "", scanType = "connect" } of CASES) {
  Deno.test(`nmapReader() reports ${name.replaceAll("_", " ")}`, () => {
    const reader = nmapReader(null, planOf(scanType), () => 0);
    reader.stdout(
      Deno.readFileSync(new URL(`${name}.xml.txt`, import.meta.url)),
    );
    reader.stderr(new TextEncoder().encode(stderr));
    reader.passEnded(exit);
    const expected: unknown = JSON.parse(
      Deno.readTextFileSync(new URL(`${name}.json`, import.meta.url)),
    );
    assert.deepEqual(JSON.parse(JSON.stringify(reader.finish())), expected);
  });
}

function planOf(scanType: string): Plan {
  const grammar = {
    program: "nmap",
    flags: new Map([["-n", "none"], ["-sT", "none"]] as const),
  };
  const parts: Part[] = [{ flag: "-n" }, { flag: "-sT" }, {
    operand: SafeText.match("127.0.0.1", /[0-9.]+/),
  }];
  return {
    tool: "nmap",
    verdicts: [],
    passes: [Argv.build(grammar, parts)],
    targets: ["127.0.0.1"],
    addressCount: 1,
    probes: 1,
    seconds: 1,
    scanType,
    permissions: [],
    timeoutMs: 1000,
    notes: [],
    facts: {
      networks: ["127.0.0.1"],
      names: [],
      ports: 1,
      rate: 0,
      intrusive: false,
    },
  };
}
