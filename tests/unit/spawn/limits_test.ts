import assert from "node:assert/strict";
import { signalOf } from "@/spawn/exit.ts";
import {
  limitEnvironment,
  type LimitName,
  limitReached,
} from "@/spawn/limits.ts";
import { verifies } from "../../requirements.ts";
import { LIMITS } from "../../support/limits.ts";

Deno.test("limitEnvironment() writes plain numbers and nothing else", () => {
  verifies("sandbox.limits");
  const limits = {
    cpuSeconds: 1,
    addressSpaceBytes: 2_147_483_648,
    fileBytes: 3,
    processes: 4,
    openFiles: 5,
  };
  assert.deepEqual(limitEnvironment(limits, true, 42), {
    SANDBOX_SERVER: "42",
    SANDBOX_CPU_SECONDS: "1",
    SANDBOX_ADDRESS_SPACE_BYTES: "2147483648",
    SANDBOX_FILE_SIZE_BYTES: "3",
    SANDBOX_PROCESSES: "4",
    SANDBOX_OPEN_FILES: "5",
    SANDBOX_EGRESS_GUARD: "1",
  });
  const { SANDBOX_EGRESS_GUARD } = limitEnvironment(limits, false, 42);
  assert.equal(SANDBOX_EGRESS_GUARD, "0");
});

const ENDS: readonly (readonly [
  signal: string | null,
  stderr: string,
  livedMs: number,
  limit: LimitName | null,
])[] = [
  ["SIGXCPU", "", 1, "cpuSeconds"],
  ["SIGXFSZ", "", 1, "fileBytes"],
  // 600 s on two cores are used up after 300 s at the earliest.
  ["SIGKILL", "", 300_000, "cpuSeconds"],
  ["SIGKILL", "", 299_999, null],
  ["SIGSEGV", "", 900_000, null],
  [
    null,
    "runtime: failed to create new OS thread (have 9 already; errno=11)",
    1,
    "processes",
  ],
  [null, "fatal error: runtime: out of memory", 1, "addressSpaceBytes"],
  [
    null,
    "runtime: failed to reserve page summary memory",
    1,
    "addressSpaceBytes",
  ],
  [null, "Socket creation: Too many open files (24)", 1, "openFiles"],
  ["SIGABRT", "terminate called: std::bad_alloc", 1, "addressSpaceBytes"],
  [null, "write: No space left on device", 1, "fileBytes"],
  [null, "Error: unknown flag: --foo", 900_000, null],
];

for (const [signal, stderr, livedMs, limit] of ENDS) {
  const end = `${signal ?? "an exit"} after ${livedMs} ms with "${stderr}"`;
  Deno.test(`limitReached() sees ${limit ?? "no limit"} in ${end}`, () => {
    verifies("sandbox.limit_is_told");
    assert.equal(
      limitReached({ signal, stderr, livedMs, cores: 2 }, LIMITS),
      limit,
    );
  });
}

const CODES: readonly (readonly [
  code: number,
  signal: string | null,
  name: string | null,
])[] = [
  [0, null, null],
  [1, null, null],
  [128, null, null],
  [255, null, null],
  [137, null, "SIGKILL"],
  [152, null, "SIGXCPU"],
  [153, null, "SIGXFSZ"],
  [159, null, "SIGSYS"],
  [143, "SIGTERM", "SIGTERM"],
];

for (const [code, signal, name] of CODES) {
  Deno.test(`signalOf() reads ${code} and ${signal} as ${name}`, () => {
    assert.equal(signalOf(code, signal), name);
  });
}
