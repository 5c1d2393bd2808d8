/**
 * `deno task bench [--json] [--rounds N] [--calls N] [name …]`: measures, prints ratios and goals. A
 * goal that is missed is printed and does not fail the run, as a shared machine would fail it at will;
 * but for the store, whose figures are promised and have room for that.
 *
 * @module
 */
import { type Result, table } from "./harness.ts";
import type { BenchOptions } from "./subject.ts";

type Benchmark = (options: BenchOptions) => Promise<Result[]> | Result[];

/** Loaded one by one: what one benchmark loads is not in the memory that another measures. */
const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  refusals: async () => (await import("./refusals.ts")).refusals,
  xml: async () => (await import("./xml.ts")).xml,
  start: async () => (await import("./start.ts")).coldStart,
  idle: async () => (await import("./start.ts")).idleMemory,
  calls: async () => (await import("./calls.ts")).calls,
  cancel: async () => (await import("./cancel.ts")).cancellation,
  sandboxes: async () => (await import("./sandbox.ts")).sandboxes,
  big: async () => (await import("./memory.ts")).bigChild,
  memory: async () => (await import("./memory.ts")).manyCalls,
  store: async () => (await import("./store.ts")).store,
  http: async () => (await import("./http.ts")).http,
};

/** Benchmarks of which a goal that is missed fails the run. */
const PROMISED: ReadonlySet<string> = new Set(["store"]);

/** Arguments of the command, taken apart. */
interface Arguments extends BenchOptions {
  readonly json: boolean;
  readonly names: readonly string[];
}

function parse(args: readonly string[]): Arguments {
  let json = false;
  const numbers = { rounds: 200, calls: 10_000 };
  const names: string[] = [];
  const rest = [...args];
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    if (next === "--json") json = true;
    else if (next === "--rounds" || next === "--calls") {
      const count = Number(rest.shift());
      if (!Number.isSafeInteger(count) || count < 1) {
        throw new RangeError(`Cannot use "${next}": give it a whole number`);
      }
      numbers[next === "--rounds" ? "rounds" : "calls"] = count;
    } else if (Object.hasOwn(BENCHMARKS, next)) names.push(next);
    else {
      throw new RangeError(
        `Cannot measure "${next}": choose among ${
          Object.keys(BENCHMARKS).join(", ")
        }, --json, --rounds N and --calls N`,
      );
    }
  }
  const chosen = names.length > 0 ? names : Object.keys(BENCHMARKS);
  return { json, names: chosen, ...numbers };
}

function print(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  stream.writeSync(new TextEncoder().encode(text));
}

async function main(): Promise<number> {
  const options = parse(Deno.args);
  const results: Result[] = [];
  let failed = false;
  for (const name of options.names) {
    // Said on standard error, so that a reader of standard output sees results only.
    print(Deno.stderr, `measuring ${name}\n`);
    try {
      const benchmark = await BENCHMARKS[name]?.();
      const found = await benchmark?.(options) ?? [];
      results.push(...found);
      failed ||= PROMISED.has(name) && found.some(({ met }) => met === false);
    } catch (thrown) {
      // A benchmark that cannot run keeps nobody from the results of the others.
      print(
        Deno.stderr,
        `${thrown instanceof Error ? thrown.stack : thrown}\n`,
      );
      failed = true;
    }
  }
  const text = options.json ? JSON.stringify(results, null, 2) : table(results);
  print(Deno.stdout, `${text.trimEnd()}\n`);
  return failed ? 1 : 0;
}

Deno.exit(await main());
