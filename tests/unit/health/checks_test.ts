import assert from "node:assert/strict";
import { after } from "@/health/after.ts";
import type { Check, HealthStatus } from "@/health/check.ts";
import {
  auditCheck,
  breakersCheck,
  dependencyCheck,
  diskCheck,
  isolatesCheck,
  loadCheck,
  loopLagCheck,
  sandboxCheck,
  systemMemoryCheck,
  toolCheck,
} from "@/health/checks.ts";
import { verifies } from "../../requirements.ts";

verifies("health.checks");

const never = new AbortController().signal;

const up = { up: true, restarts: 0 };
const down = { up: false, restarts: 2 };
const state = (state: string) => ({ state });
const memory = (available: number) =>
  systemMemoryCheck(() => ({ total: 100, available }));
const load = (five: number) => loadCheck(() => [0, five, 0], 2);
const MIB = 1_048_576;
const disk = (bavail: number) =>
  diskCheck(
    () => Promise.resolve({ bsize: MIB, blocks: 1000, bavail }),
    100 * MIB,
  );

const TABLE: [string, Check, HealthStatus, RegExp][] = [
  ["memory", memory(50), "healthy", /^50 % of the memory is available$/],
  ["memory low", memory(9), "degraded", /lower security\.max_concurrent_scans/],
  ["memory out", memory(2), "unhealthy", /^2 % of the memory/],
  ["memory unknown", memory(NaN), "unhealthy", /memory/],
  ["load", load(1), "healthy", /^the load is 1\.00 on 2 cores$/],
  ["load high", load(5), "degraded", /end other programs/],
  ["load very high", load(20), "unhealthy", /end other programs/],
  ["load unknown", loadCheck(() => [], 2), "unhealthy", /load/],
  [
    "disk",
    disk(100),
    "healthy",
    /^100 MiB of the state folder's disk are free$/,
  ],
  ["disk low", disk(99), "degraded", /free some space/],
  ["disk very low", disk(24), "unhealthy", /free some space/],
  ["disk unknown", disk(NaN), "unhealthy", /free some space/],
  ["disk full", disk(0), "unhealthy", /free some space/],
  ["lag", loopLagCheck(() => 3.4), "healthy", /at most 3 ms late$/],
  ["lag high", loopLagCheck(() => 900), "degraded", /a faster host/],
  ["lag very high", loopLagCheck(() => 5e3), "unhealthy", /a faster host/],
  [
    "tool",
    toolCheck("nmap", () => Promise.resolve({ version: "7.93" })),
    "healthy",
    /^nmap is there$/,
  ],
  [
    "tool without version",
    toolCheck("nmap", () => Promise.resolve({ version: "" })),
    "unhealthy",
    /install nmap; "deno task doctor"/,
  ],
  [
    "isolates",
    isolatesCheck(() => ({ nmap: up, warden: up })),
    "healthy",
    /^2 of 2 isolates are up$/,
  ],
  [
    "an isolate down",
    isolatesCheck(() => ({ nmap: down, warden: up })),
    "degraded",
    /^1 of 2 isolates are up; wait for the warden/,
  ],
  [
    "all isolates down",
    isolatesCheck(() => ({ nmap: down })),
    "unhealthy",
    /^0 of 1/,
  ],
  [
    "an audit log",
    auditCheck(() =>
      Promise.resolve({ healthy: true, reason: null, seq: 3, rejected: 0 })
    ),
    "healthy",
    /^the audit log can be written$/,
  ],
  [
    "an audit log on a full disk",
    auditCheck(() =>
      Promise.resolve({ healthy: false, reason: "full", seq: 3, rejected: 2 })
    ),
    "unhealthy",
    /^the audit log cannot be written: full; no scan starts/,
  ],
  [
    "a sandbox",
    sandboxCheck({ mode: "bwrap", reason: "as configured" }),
    "healthy",
    /^the scanners run in bwrap$/,
  ],
  [
    "no sandbox",
    sandboxCheck({ mode: "none", reason: "as configured" }),
    "degraded",
    /^the scanners run in no sandbox; see what the doctor says/,
  ],
  [
    "no launcher",
    sandboxCheck({ mode: "bare", reason: "" }),
    "degraded",
    /^the scanners run in no sandbox/,
  ],
  ["no isolates", isolatesCheck(() => ({})), "unhealthy", /^0 of 0/],
  [
    "breakers",
    breakersCheck(() => ({ nmap: state("closed") })),
    "healthy",
    /^1 of 1 tools may run$/,
  ],
  [
    "a breaker open",
    breakersCheck(() => ({ nmap: state("closed"), masscan: state("open") })),
    "degraded",
    /^1 of 2 tools may run; wait for the recovery time/,
  ],
  [
    "a breaker half-open",
    breakersCheck(() => ({ nmap: state("half_open") })),
    "degraded",
    /^1 of 1 tools may run; wait/,
  ],
  [
    "all breakers forced open",
    breakersCheck(() => ({ nmap: state("forced_open") })),
    "unhealthy",
    /^0 of 1/,
  ],
  [
    "dependency",
    dependencyCheck("database", () => Promise.resolve({ latency_ms: 3 })),
    "healthy",
    /^database answers$/,
  ],
];

for (const [name, check, status, message] of TABLE) {
  Deno.test(`a check finds: ${name} is ${status}`, async () => {
    const finding = await check.run(never);
    assert.equal(finding.status, status);
    assert.match(finding.message, message);
    assert.equal(typeof JSON.stringify(finding.detail), "string");
  });
}

Deno.test("a tool's or dependency's probe that rejects is left to Health", async () => {
  const gone = () => Promise.reject(new Error("gone"));
  await assert.rejects(toolCheck("nmap", gone).run(never));
  await assert.rejects(dependencyCheck("database", gone).run(never));
});

Deno.test("checks weigh as they should: without isolates nothing works", () => {
  const weights = TABLE.map(([, { name, priority }]) => [name, priority]);
  assert.deepEqual(Object.fromEntries(weights), {
    system_memory: "important",
    system_load: "informational",
    state_disk: "important",
    event_loop: "important",
    tool_nmap: "important",
    isolates: "critical",
    audit_log: "critical",
    sandbox: "important",
    circuit_breakers: "important",
    dependency_database: "important",
  });
});

Deno.test("after() runs once, later, and can be called off", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Something has to keep the loop alive: after() does not.
  const alive = setTimeout(() => {}, 5_000);
  let calledOff = true;
  after(0, () => calledOff = false)();
  after(5, resolve);
  await promise;
  clearTimeout(alive);
  assert.equal(calledOff, true);
});
