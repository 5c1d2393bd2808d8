/**
 * A million stored services on either database: how long lists, searches and comparisons take.
 *
 * The databases are filled and asked in a process of their own, with the rights that a driver of
 * PostgreSQL wants and nothing else here needs.
 *
 * @module
 */
import { ROOT } from "../support/task.ts";
import { type Result, single } from "./harness.ts";
import type { Asked, Measured } from "./store_subject.ts";
import type { BenchOptions } from "./subject.ts";

/** What an answer may take at the 95th percentile, in milliseconds. */
const GOAL_MS = 100;

/** Most milliseconds of one database, its filling included. */
const PATIENCE_MS = 600_000;

/** The rights of the process that fills and asks. */
const RIGHTS = [
  `--allow-read=${ROOT}src,${ROOT}tests,/tmp,/usr/lib/postgresql`,
  "--allow-write=/tmp",
  "--allow-run=chown,setpriv",
  "--allow-net=127.0.0.1",
  "--allow-sys=uid",
  "--allow-env=PATH",
  "--ignore-env",
];

async function measure(kind: string, rounds: number): Promise<Measured> {
  const child = new Deno.Command("deno", {
    args: [
      "run",
      "--no-prompt",
      "--no-remote",
      "--cached-only",
      ...RIGHTS,
      `${ROOT}tests/bench/store_subject.ts`,
      kind,
      String(rounds),
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const { success, stdout } = await child.output();
  if (success) return JSON.parse(new TextDecoder().decode(stdout));
  throw new Error(`Cannot measure the store on ${kind}: see above`);
}

function figure(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}

function lineOf(kind: string, one: Asked): Result {
  const { name, p50, p95, slowest, still, rounds, found, beyond } = one;
  return single({
    name: `${kind}: ${name}`,
    unit: "ms",
    subject: p95,
    goal: beyond === null ? { atMost: GOAL_MS } : null,
    rounds,
    note: `p95; p50 ${figure(p50)}, slowest ${
      figure(slowest)
    }, nothing else ran for ${figure(still)}; ${figure(found)} found${
      beyond === null ? "" : `; no goal: ${beyond}`
    }`,
  });
}

/**
 * Measures both databases.
 *
 * @param options How often each question is asked.
 * @returns How long filling took, and the 95th percentile of each question.
 */
export async function store({ rounds }: BenchOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const kind of ["sqlite", "postgres"]) {
    const { services, fillSeconds, bytesOnDisk, asked } = await measure(
      kind,
      rounds,
    );
    results.push(
      single({
        name: `${kind}: filling`,
        unit: "s",
        subject: fillSeconds,
        goal: null,
        rounds: 1,
        note: `${services} services, ${figure(bytesOnDisk / 1e6)} MB on disk`,
      }),
      ...asked.map((one) => lineOf(kind, one)),
    );
  }
  return results;
}
