/**
 * How long after a client's cancellation the last child is gone.
 *
 * @module
 */
import { copyStandIn, type StandIn } from "../support/stand_ins.ts";
import { median, type Result, single } from "./harness.ts";
import { type BenchOptions, request, startSubject } from "./subject.ts";

async function cancelling(name: StandIn, rounds: number): Promise<Result> {
  await using copy = await copyStandIn(name);
  await using server = await startSubject(copy.path);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const { id } = server.send("tools/call", {
      name: "nmap",
      arguments: request(round),
    });
    while (await copy.alive() === 0) {
      /* ps is asked again until it is there. */
    }
    const start = performance.now();
    server.notify("notifications/cancelled", { requestId: id });
    while (await copy.alive() > 0) {
      /* ps is asked again until it is gone. */
    }
    times.push(performance.now() - start);
  }
  return single({
    name: `cancel to last child gone, ${name}`,
    unit: "ms",
    subject: median(times),
    goal: { atMost: 1_000 },
    rounds,
    note: "as ps sees it; asking takes some ms",
  });
}

/**
 * Measures cancellation of a child that obeys and of one that ignores SIGTERM.
 *
 * @param options How much to measure.
 * @returns A line for each.
 */
export async function cancellation(options: BenchOptions): Promise<Result[]> {
  const rounds = Math.max(3, Math.ceil(options.rounds / 20));
  return [
    await cancelling("hangs", rounds),
    await cancelling("stubborn", rounds),
  ];
}
