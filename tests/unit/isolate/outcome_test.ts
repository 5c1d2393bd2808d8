/**
 * What the end of a process makes of a scan.
 *
 * @module
 */
import assert from "node:assert/strict";
import { outcomeOf } from "@/isolate/outcome.ts";
import { Output } from "@/isolate/output.ts";
import type { Exit } from "@/spawn/exit.ts";
import type { LimitName } from "@/spawn/limits.ts";
import type { Reader } from "@/tools/tool.ts";
import { verifies } from "../../requirements.ts";
import { LIMITS } from "../../support/limits.ts";

const READER: Reader = {
  stdout() {},
  stderr() {},
  passEnded() {},
  progress: () => ({
    percent: null,
    remainingSeconds: null,
    found: 0,
    phase: "",
  }),
  found: () => null,
  settled: () => false,
  finish: () => ({
    report: {
      kind: "hosts",
      tool_version: null,
      partial: false,
      hosts: [],
      totals: { up: 0, down: 0, total: 0 },
    },
    failure: { code: "tool_failed", message: "a signal ended it" },
    notes: [],
  }),
};

function outcome(exit: Exit) {
  return outcomeOf(
    { exit, cpuSeconds: 1.5 },
    READER,
    new Output(READER, 1_024),
    {
      tool: "nmap",
      limits: LIMITS,
      argv: [["nmap"]],
      targets: ["127.0.0.1"],
      scanType: "connect",
      planNotes: [],
    },
  );
}

const WORDS: readonly (readonly [limit: LimitName, words: string])[] = [
  ["cpuSeconds", "600 seconds of processor time (nmap.limit_cpu_seconds)"],
  [
    "addressSpaceBytes",
    "4294967296 bytes of memory (nmap.limit_address_space_bytes)",
  ],
  ["fileBytes", "1048576 bytes of a file (nmap.limit_file_bytes)"],
  ["processes", "256 processes and threads (nmap.limit_processes)"],
  ["openFiles", "1024 open files (nmap.limit_open_files)"],
];

for (const [limit, words] of WORDS) {
  Deno.test(`outcomeOf() names the limit ${limit} and its key, and blames no tool`, () => {
    verifies("sandbox.limit_is_told");
    const { status, error, blames, cpuSeconds } = outcome({
      kind: "limit",
      limit,
    });
    assert.equal(cpuSeconds, 1.5);
    assert.equal(status, "partial");
    assert.equal(blames, "target");
    assert.deepEqual(error, {
      code: "tool_failed",
      message:
        `Cannot finish the scan: nmap reached its limit of ${words}; what was found so far is ` +
        "reported; scan fewer ports or hosts",
    });
  });
}

Deno.test("outcomeOf() says when the sandbox ended a tool for a system call", () => {
  const { status, error, blames } = outcome({
    kind: "exited",
    code: 159,
    signal: "SIGSYS",
  });
  assert.equal(status, "failed");
  assert.equal(blames, "tool");
  assert.match(
    error?.message ?? "",
    /the sandbox ended nmap, which made a system call that no scan needs/,
  );
});
