/**
 * What each sandbox costs a call: a real scan of one port of loopback through its launcher, against the
 * same scan by nmap itself.
 *
 * @module
 */
import { limitEnvironment } from "@/spawn/limits.ts";
import { LIMITS } from "../support/limits.ts";
import { ROOT } from "../support/task.ts";
import { type Goal, median, type Result, single } from "./harness.ts";
import type { BenchOptions } from "./subject.ts";

const SCAN = ["-n", "-Pn", "-sT", "--unprivileged", "-p9", "127.0.0.1"];

/** The modes and how many milliseconds each may cost. */
const MODES: readonly (readonly [mode: string, goal: Goal | null])[] = [
  ["none", null],
  ["bwrap", { atMost: 10 }],
  ["gvisor", null],
];

async function scanMs(program: string): Promise<number> {
  const start = performance.now();
  const { code, stderr } = await new Deno.Command(program, {
    args: SCAN,
    clearEnv: true,
    env: limitEnvironment(LIMITS, false, Deno.pid),
    stdin: "null",
  }).output();
  if (code !== 0) {
    throw new Error(
      `Cannot measure "${program}": ${new TextDecoder().decode(stderr)}`,
    );
  }
  return performance.now() - start;
}

/**
 * Measures the cost of each sandbox, in pairs.
 *
 * @param options How much to measure.
 * @returns A line for each mode: the median of what a call through it took longer.
 */
export async function sandboxes(options: BenchOptions): Promise<Result[]> {
  const rounds = Math.max(10, Math.ceil(options.rounds / 4));
  const results: Result[] = [];
  for (const [mode, goal] of MODES) {
    const launcher = `${ROOT}sandbox/${mode}/nmap`;
    const bare: number[] = [];
    const more: number[] = [];
    await scanMs(launcher);
    for (let round = 0; round < rounds; round++) {
      const without = await scanMs("/usr/bin/nmap");
      bare.push(without);
      more.push(await scanMs(launcher) - without);
    }
    results.push(single({
      name: `cost of a call in ${mode}, at p50`,
      unit: "ms",
      subject: median(more),
      goal,
      rounds,
      note: `beside ${median(bare).toFixed(1)} ms of the bare tool`,
    }));
  }
  return results;
}
