/**
 * What the server holds: while a child prints 64 MB, and after ten thousand calls.
 *
 * @module
 */
import { memoryOf } from "../support/processes.ts";
import { standIn } from "../support/stand_ins.ts";
import { type Result, single, time } from "./harness.ts";
import {
  atOnce,
  type BenchOptions,
  PLACES,
  request,
  scan,
  startSubject,
} from "./subject.ts";

/** Calls before the first look: more than the server keeps scans, so that its store is full. */
const FILL = 1_000;

/** Most bytes that the configuration lets a child print. */
const OUTPUT_BYTES_MAX = 100 * 1024 * 1024;

/** Reads all that a child prints and keeps nothing of it. */
async function drained(): Promise<number> {
  const child = new Deno.Command(`${standIn("big")}/nmap`, {
    args: ["-oX", "-"],
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += chunk.byteLength;
  await child.status;
  return bytes;
}

async function bigChildUnder(
  label: string,
  env: Readonly<Record<string, string>>,
  judged: boolean,
): Promise<Result[]> {
  await using server = await startSubject(standIn("big"), env);
  // One look-up first, so that what is loaded at the first call is not counted.
  await server.call("nmap", { ...request(1), plan: true });
  const before = await memoryOf(server.pid);
  let answer = "";
  const ms = await time(async () => {
    answer = JSON.stringify(await server.call("nmap", request(2)));
  });
  const after = await memoryOf(server.pid);
  const own = await time(drained);
  return [
    single({
      name: `64 MB child, ${label}: memory`,
      unit: "MB",
      subject: (after.peak - before.resident) / 1e6,
      goal: judged ? { atMost: 40 } : null,
      rounds: 1,
      note: `peak over what was resident before`,
    }),
    single({
      name: `64 MB child, ${label}: answer`,
      unit: "kB",
      subject: answer.length / 1e3,
      goal: { atMost: 64 },
      rounds: 1,
    }),
    {
      name: `64 MB child, ${label}: time`,
      unit: "ms",
      subject: ms,
      baseline: own,
      ratio: ms / own,
      goal: null,
      met: null,
      rounds: 1,
      note: "against reading the child from Deno",
    },
  ];
}

/**
 * Measures a child that prints 64 MB: under the cap of the defaults, which ends it early, and under
 * one that lets it finish.
 *
 * @returns Memory, size of the answer, time.
 */
export async function bigChild(): Promise<Result[]> {
  return [
    ...await bigChildUnder("default cap", {}, true),
    ...await bigChildUnder("whole", {
      MCP_SECURITY_MAX_OUTPUT_BYTES: String(OUTPUT_BYTES_MAX),
    }, false),
  ];
}

/**
 * Measures memory over many calls.
 *
 * @param options How many calls.
 * @returns Memory after them over memory before them.
 */
export async function manyCalls(options: BenchOptions): Promise<Result[]> {
  await using server = await startSubject(standIn("canned"));
  await atOnce(FILL, PLACES, (n) => scan(server, n));
  const before = await memoryOf(server.pid);
  await atOnce(options.calls, PLACES, (n) => scan(server, FILL + n));
  const after = await memoryOf(server.pid);
  return [{
    name: `memory after ${options.calls} calls`,
    unit: "MB",
    subject: after.resident / 1e6,
    baseline: before.resident / 1e6,
    ratio: after.resident / before.resident,
    goal: { atMost: 1.2 },
    met: after.resident / before.resident <= 1.2,
    rounds: 1,
    note: `against after ${FILL} calls`,
  }];
}
