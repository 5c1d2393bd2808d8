/**
 * How long a client waits for the first answer, and what the server holds when nothing happens.
 *
 * @module
 */
import { memoryOf } from "../support/processes.ts";
import { type Server, startCommand, startServer } from "../support/server.ts";
import { standIn } from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";
import { pair, type Result, single, time } from "./harness.ts";
import { type BenchOptions, scan, startSubject } from "./subject.ts";

async function untilInitialized(start: () => Server): Promise<number> {
  let server: Server | undefined;
  const ms = await time(async () => {
    server = start();
    await server.initialize();
  });
  await server?.[Symbol.asyncDispose]();
  return ms;
}

/** The server that does nothing, started through a shell as the other one is. */
function startBare(): Server {
  return startCommand("sh", [
    "-c",
    'exec "$@"',
    "sh",
    "deno",
    "run",
    "--no-prompt",
    `${ROOT}tests/bench/bare_server.ts`,
  ]);
}

/**
 * Measures the cold start against a server that does nothing.
 *
 * @param options How much to measure.
 * @returns The cold start.
 */
export async function coldStart(options: BenchOptions): Promise<Result[]> {
  return [
    await pair({
      name: "cold start to initialize answered",
      unit: "ms",
      rounds: Math.max(5, Math.ceil(options.rounds / 10)),
      warmups: 2,
      goal: { atMost: 1.5 },
      note: "against an SDK server that does nothing",
      subject: () =>
        untilInitialized(() => startServer({ path: [standIn("canned")] })),
      baseline: () => untilInitialized(startBare),
    }),
  ];
}

/**
 * Measures the resident memory of a server that has answered one call and waits.
 *
 * @returns The memory.
 */
export async function idleMemory(): Promise<Result[]> {
  await using server = await startSubject(standIn("canned"));
  await server.request("tools/list");
  await scan(server, 0);
  const { resident } = await memoryOf(server.pid);
  await using bare = startBare();
  await bare.initialize();
  const { resident: bareResident } = await memoryOf(bare.pid);
  return [single({
    name: "resident memory, idle",
    unit: "MB",
    subject: resident / 1e6,
    goal: { atMost: 120 },
    rounds: 1,
    note: `an SDK server that does nothing: ${
      Math.round(bareResident / 1e6)
    } MB`,
  })];
}
