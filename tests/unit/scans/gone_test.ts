/**
 * What a scan proves of services that it does not list, and what it does not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { goneOf } from "@/scans/gone.ts";
import type { Scan } from "@/scans/scan.ts";
import { verifies } from "../../requirements.ts";
import {
  GOBUSTER,
  hostOf,
  hostsOf,
  openPort,
  scanOf,
} from "../report/fixture.ts";

const ARGV = ["nmap", "-n", "-sT", "-p", "1-10", "-oX", "-", "10.0.0.0/29"];

/** Two hosts of eight are up; of ten ports each has one open, and the others are counted. */
function scan(change: Partial<Scan> = {}): Scan {
  const others = { other_ports: [{ state: "closed", count: 9 }] };
  const hosts = ["10.0.0.1", "10.0.0.2"].map((address) =>
    hostOf(address, [openPort(1, "x")], others)
  );
  return scanOf({
    argv: [ARGV],
    targets: ["10.0.0.0/29"],
    report: hostsOf(hosts, { totals: { up: 2, down: 6, total: 8 } }),
    ...change,
  });
}

const CASES: readonly (readonly [
  what: string,
  change: Partial<Scan>,
  asked: readonly [string, string, number],
  state: string | null,
])[] = [
  ["a port that is counted", {}, ["10.0.0.1", "tcp", 5], "closed"],
  ["a port that was not looked at", {}, ["10.0.0.1", "tcp", 11], null],
  ["another protocol", {}, ["10.0.0.1", "udp", 5], null],
  ["no protocol", {}, ["10.0.0.1", "icmp", 5], null],
  ["a host that is down", {}, ["10.0.0.5", "tcp", 5], "down"],
  ["a host that was not looked at", {}, ["10.0.0.9", "tcp", 5], null],
  [
    "a scan that ended early",
    { status: "partial" },
    ["10.0.0.1", "tcp", 5],
    null,
  ],
  ["a scan that failed", { status: "failed" }, ["10.0.0.5", "tcp", 5], null],
  [
    "masscan, which misses some",
    {
      tool: "masscan",
      argv: [["masscan", "--range=10.0.0.0/29", "--ports=1-10"]],
    },
    ["10.0.0.1", "tcp", 5],
    null,
  ],
  [
    "only what is open is listed",
    { argv: [[...ARGV.slice(0, -1), "--open", "10.0.0.0/29"]] },
    ["10.0.0.5", "tcp", 5],
    "closed|filtered",
  ],
  ["no scan of hosts", GOBUSTER, ["10.0.0.1", "tcp", 5], null],
  ["no report", { report: null }, ["10.0.0.1", "tcp", 5], null],
];

for (const [what, change, asked, state] of CASES) {
  Deno.test(`goneOf() knows what a scan proves: ${what}`, () => {
    verifies("inventory.gone");
    assert.equal(goneOf(scan(change))(...asked), state);
  });
}
