/**
 * Fills a database with a million services through the store's own methods, asks it, and prints the
 * figures as JSON: `store_subject.ts sqlite|postgres ROUNDS`. The database is gone afterwards.
 *
 * @module
 */
import { openStore, type OpenStoreOptions } from "@/store/open.ts";
import type { Store } from "@/store/store.ts";
import { startPostgres } from "../support/postgres.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { fill } from "./store_data.ts";
import { percentile, Stillness } from "./store_figures.ts";
import { type Question, QUESTIONS } from "./store_questions.ts";

/** Services that there have to be: fewer would prove nothing. */
const SERVICES = 1_000_000;

/** Fewest times that a question is asked: one of twenty may be slow. */
const ROUNDS_MIN = 20;

/** Times that a question is asked before it counts: statements and code are made ready then. */
const WARMUPS = 5;

/** The figures of one question, in milliseconds. */
export interface Asked {
  readonly name: string;
  readonly p50: number;
  readonly p95: number;
  readonly slowest: number;
  /** The longest that the event loop stood still while it was answered. */
  readonly still: number;
  readonly rounds: number;
  /** How much was found, on average. */
  readonly found: number;
  /** Why the goal is not meant for it, or null. */
  readonly beyond: string | null;
}

/** Signals that end the measuring: what was made is removed first. */
const STOPS = ["SIGINT", "SIGTERM"] as const;

/** What one database came to. */
export interface Measured {
  readonly services: number;
  readonly fillSeconds: number;
  readonly bytesOnDisk: number;
  readonly asked: readonly Asked[];
}

/**
 * Asks a question many times.
 *
 * @param store A full store.
 * @param question What to ask.
 * @param rounds How often.
 * @returns How long it took.
 */
export async function ask(
  store: Store,
  { name, ask, every = 1, beyond }: Question,
  rounds: number,
): Promise<Asked> {
  const times: number[] = [];
  let found = 0;
  let still = 0;
  const count = Math.max(ROUNDS_MIN, Math.ceil(rounds / every));
  for (let n = -WARMUPS; n < count; n++) {
    using watch = new Stillness();
    const start = performance.now();
    const some = await ask(store, n + WARMUPS);
    const took = performance.now() - start;
    watch.look();
    if (n < 0) continue;
    times.push(took);
    found += some;
    still = Math.max(still, watch.longest);
  }
  const [p50, p95, slowest] = [0.5, 0.95, 1].map((share) =>
    percentile(times, share)
  ) as [number, number, number];
  return {
    name,
    p50,
    p95,
    slowest,
    still,
    rounds: count,
    found: found / count,
    beyond: beyond ?? null,
  };
}

async function measure(store: Store, rounds: number): Promise<Measured> {
  const start = performance.now();
  await fill(store);
  const fillSeconds = (performance.now() - start) / 1_000;
  const problems = await store.check();
  const { services, bytesOnDisk } = await store.stats();
  if (problems.length > 0 || services < SERVICES) {
    throw new Error(
      `Cannot measure the store: it has ${services} services and these problems: ${
        JSON.stringify(problems)
      }`,
    );
  }
  const asked: Asked[] = [];
  for (const question of QUESTIONS) {
    asked.push(await ask(store, question, rounds));
  }
  return { services, fillSeconds, bytesOnDisk, asked };
}

async function onPostgres(
  options: OpenStoreOptions,
  rounds: number,
  stopped: Promise<never>,
): Promise<Measured> {
  await using server = await startPostgres({ autovacuum: true });
  await using store = await openStore(await server.fresh(), options);
  return await Promise.race([measure(store, rounds), stopped]);
}

async function onSqlite(
  options: OpenStoreOptions,
  rounds: number,
  stopped: Promise<never>,
): Promise<Measured> {
  await using store = await openStore("sqlite:bench.db", options);
  return await Promise.race([measure(store, rounds), stopped]);
}

/** Rejects when the process is told to end. */
function stop(): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  for (const signal of STOPS) {
    Deno.addSignalListener(
      signal,
      () => reject(new Error(`Cannot measure on: ${signal} came`)),
    );
  }
  // It may come before or after somebody waits for it.
  promise.catch(() => {});
  return promise;
}

async function main(): Promise<void> {
  const [kind = "sqlite", rounds = "200"] = Deno.args;
  const stopped = stop();
  await using folder = await withTempDir();
  const options = { folder: folder.path, program: "bench", now: Date.now };
  const measured = kind === "sqlite"
    ? await onSqlite(options, Number(rounds), stopped)
    : await onPostgres(options, Number(rounds), stopped);
  await Deno.stdout.write(new TextEncoder().encode(JSON.stringify(measured)));
}

if (import.meta.main) await main();
