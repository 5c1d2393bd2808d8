/**
 * What a call costs: one after the other, and sixteen at once.
 *
 * @module
 */
import { standIn } from "../support/stand_ins.ts";
import { pair, type Result, time } from "./harness.ts";
import {
  argvOf,
  atOnce,
  type BenchOptions,
  direct,
  PLACES,
  scan,
  startSubject,
} from "./subject.ts";

/** Calls of one round of the throughput. */
const BATCH = 160;

/**
 * Measures a call over stdio against starting the stand-in directly.
 *
 * @param options How much to measure.
 * @returns Latency and throughput.
 */
export async function calls(options: BenchOptions): Promise<Result[]> {
  await using server = await startSubject(standIn("canned"));
  // The ports of the direct command line stay the same: the stand-in does not look at them.
  const args = argvOf(await scan(server, 0));
  let n = 1;
  const latency = await pair({
    name: "call over stdio (p50)",
    unit: "ms",
    rounds: options.rounds,
    warmups: 20,
    goal: { atMost: 1.5 },
    note: "against starting the stand-in from Deno",
    subject: () => time(() => scan(server, n++)),
    baseline: () => time(() => direct("canned", args)),
  });
  const rate = async (work: (n: number) => Promise<unknown>) => {
    const first = n;
    n += BATCH;
    const ms = await time(() =>
      atOnce(BATCH, PLACES, (offset) => work(first + offset))
    );
    return BATCH * 1_000 / ms;
  };
  const throughput = await pair({
    name: `calls a second, ${PLACES} in flight`,
    unit: "/s",
    rounds: Math.max(3, Math.ceil(options.rounds / 20)),
    warmups: 1,
    goal: { atLeast: 0.7 },
    note: "against starting the stand-in from Deno",
    subject: () => rate((n) => scan(server, n)),
    baseline: () => rate(() => direct("canned", args)),
  });
  return [latency, throughput];
}
