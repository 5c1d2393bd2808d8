/**
 * `spawn` against programs that do their worst. Each test proves how the child ended and that nothing
 * of it was left.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { Argv, type Grammar } from "@/spawn/argv.ts";
import type { Exit } from "@/spawn/exit.ts";
import { spawn } from "@/spawn/spawn.ts";
import { verifies } from "../requirements.ts";
import { copyStandIn, type StandIn } from "../support/stand_ins.ts";
import { CAGE } from "../support/limits.ts";

const GRAMMAR: Grammar = {
  program: "nmap",
  flags: new Map([["-oX", "none"], ["-", "none"]]),
};
const ARGV = Argv.build(GRAMMAR, [{ flag: "-oX" }, { flag: "-" }]);
const MIB = 1_048_576;

interface Run {
  readonly exit: Exit;
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
}

interface Limits {
  readonly timeoutMs?: number;
  readonly outputBytesMax?: number;
  readonly signal?: AbortSignal;
  readonly settled?: () => boolean;
  readonly onStdout?: () => void;
}

async function run(name: StandIn, limits: Limits = {}): Promise<Run> {
  await using copy = await copyStandIn(name);
  let stdoutBytes = 0;
  let stderrBytes = 0;
  const { exit } = await spawn({
    program: `${copy.path}/nmap`,
    argv: ARGV,
    ...CAGE,
    timeoutMs: limits.timeoutMs ?? 20_000,
    outputBytesMax: limits.outputBytesMax ?? MIB,
    signal: limits.signal ?? new AbortController().signal,
    stdout: (bytes) => {
      stdoutBytes += bytes.byteLength;
      limits.onStdout?.();
    },
    stderr: (bytes) => stderrBytes += bytes.byteLength,
    ...(limits.settled === undefined ? {} : { settled: limits.settled }),
  });
  return { exit, stdoutBytes, stderrBytes };
}

Deno.test("spawn() reports the code of a child that ends by itself", async () => {
  const { exit, stdoutBytes } = await run("canned");
  assert.deepEqual(exit, { kind: "exited", code: 0, signal: null });
  assert.ok(stdoutBytes > 100);
});

Deno.test("spawn() reports the signal of a child that crashes", async () => {
  const { exit } = await run("dies_halfway");
  assert.equal(exit.kind, "exited");
  assert.equal(exit.kind === "exited" && exit.signal, "SIGSEGV");
});

Deno.test("spawn() ends a child that floods stdout at the cap, to the byte", async () => {
  verifies("spawn.output_limit");
  const { exit, stdoutBytes } = await run("flood", { outputBytesMax: 3 * MIB });
  assert.deepEqual(exit, { kind: "output_limit" });
  assert.equal(stdoutBytes, 3 * MIB);
});

Deno.test("spawn() ends a child that floods stderr at the cap, to the byte", async () => {
  verifies("spawn.output_limit.stderr");
  const { exit, stderrBytes } = await run("flood_stderr", {
    outputBytesMax: MIB,
  });
  assert.deepEqual(exit, { kind: "output_limit" });
  assert.equal(stderrBytes, MIB);
});

Deno.test("spawn() keeps its memory while a child floods 64 MiB", async () => {
  verifies("spawn.flood_bounded_memory");
  const before = Deno.memoryUsage().rss;
  const { exit } = await run("flood", { outputBytesMax: 64 * MIB });
  assert.deepEqual(exit, { kind: "output_limit" });
  assert.ok(Deno.memoryUsage().rss - before < 48 * MIB);
});

Deno.test("spawn() ends a child at its deadline", async () => {
  verifies("spawn.deadline");
  const { exit } = await run("hangs", { timeoutMs: 200 });
  assert.deepEqual(exit, { kind: "timed_out" });
});

Deno.test("spawn() kills a child that ignores SIGTERM, and says so only when it is gone", async () => {
  verifies("spawn.stubborn_child_killed", "spawn.no_zombie");
  await using copy = await copyStandIn("stubborn");
  const controller = new AbortController();
  const { exit } = await spawn({
    program: `${copy.path}/nmap`,
    argv: ARGV,
    ...CAGE,
    timeoutMs: 20_000,
    outputBytesMax: MIB,
    signal: controller.signal,
    stdout: () => controller.abort(),
    stderr: () => {},
  });
  assert.deepEqual(exit, { kind: "cancelled" });
  assert.equal(await copy.alive(), 0);
});

Deno.test("spawn() ends a child whose reader says that nothing more will come", async () => {
  const { exit } = await run("hangs", { settled: () => true });
  assert.deepEqual(exit, { kind: "settled" });
});

Deno.test("spawn() returns although a grandchild holds the pipe open", async () => {
  verifies("spawn.held_pipe");
  const controller = new AbortController();
  const { exit } = await run("forks", {
    signal: controller.signal,
    onStdout: () => controller.abort(),
  });
  assert.deepEqual(exit, { kind: "cancelled" });
});

Deno.test("spawn() starts nothing for a caller who has gone", async () => {
  await using copy = await copyStandIn("canned");
  const { exit } = await spawn({
    program: `${copy.path}/nmap`,
    argv: ARGV,
    ...CAGE,
    timeoutMs: 1_000,
    outputBytesMax: MIB,
    signal: AbortSignal.abort(),
    stdout: () => {},
    stderr: () => {},
  });
  assert.deepEqual(exit, { kind: "cancelled" });
  assert.deepEqual(await copy.starts(), []);
});

Deno.test("spawn() says that a missing program is unavailable, without its path", async () => {
  const failing = spawn({
    program: "/nowhere/nmap",
    argv: ARGV,
    ...CAGE,
    timeoutMs: 1_000,
    outputBytesMax: MIB,
    signal: new AbortController().signal,
    stdout: () => {},
    stderr: () => {},
  });
  await assert.rejects(failing, (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "tool_unavailable");
    assert.doesNotMatch(error.message, /nowhere/);
    return true;
  });
});

Deno.test("spawn() takes no command line that Argv did not build", async () => {
  verifies("argv.forgery_refused");
  const forged = [
    { toJSON: () => ["nmap", "--script=/x.nse"] },
    Object.create(Argv.prototype),
    structuredClone(ARGV),
  ];
  for (const argv of forged) {
    await assert.rejects(
      spawn({
        program: "/nowhere/nmap",
        argv: argv as Argv,
        ...CAGE,
        timeoutMs: 1_000,
        outputBytesMax: MIB,
        signal: new AbortController().signal,
        stdout: () => {},
        stderr: () => {},
      }),
      TypeError,
    );
  }
});

Deno.test("spawn() gives a child no environment and no place to write", async () => {
  verifies("spawn.clean_environment");
  await using copy = await copyStandIn("leaves_file");
  let output = "";
  const { exit } = await spawn({
    program: `${copy.path}/nmap`,
    argv: ARGV,
    ...CAGE,
    timeoutMs: 10_000,
    outputBytesMax: MIB,
    signal: new AbortController().signal,
    stdout: (bytes) => output += new TextDecoder().decode(bytes),
    stderr: () => {},
  });
  assert.equal(exit.kind, "exited");
  assert.doesNotMatch(output, /HOME=/);
  const left = await new Deno.Command("ls", { args: ["/proc/paused.conf"] })
    .output();
  assert.equal(left.success, false);
});
