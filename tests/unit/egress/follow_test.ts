import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { loadConfig } from "@/config/load.ts";
import { follow, ruleSet } from "@/egress/follow.ts";
import { verifies } from "../../requirements.ts";

verifies("egress.follows_config");

function configured(denied: readonly string[], more = "") {
  const text = `security: { denied_subnets: ${JSON.stringify(denied)} ${more}}`;
  return loadConfig({ file: { name: "x.yaml", text }, env: {} });
}

const FIRST = configured([]);
const OTHER = configured(["10.0.0.0/8"]);

/** Follows a list of what the file says at each hint; null for a broken file. */
async function followed(
  steps: readonly (ReturnType<typeof configured> | null)[],
): Promise<{ sets: readonly string[]; warnings: readonly string[] }> {
  const stop = new AbortController();
  const printed: string[] = [];
  const warnings: string[] = [];
  const left = [...steps];
  const idle = Promise.withResolvers<void>();
  const disposed = Promise.withResolvers<void>();
  const load = () => {
    const next = left.shift();
    if (left.length === 0) idle.resolve();
    return next === null || next === undefined
      ? Promise.reject(new AppError("invalid_arguments", "Cannot read it"))
      : Promise.resolve(next);
  };
  await follow({
    initial: FIRST,
    load,
    file: "x.yaml",
    print: (text) => printed.push(text),
    onWarning: (message) => warnings.push(message),
    stop: stop.signal,
    watch: () => ({
      async *hints() {
        for (const _ of steps) {
          yield;
          // The watcher reads when hints have paused.
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        await idle.promise;
        stop.abort();
        await disposed.promise;
      },
      [Symbol.dispose]: () => disposed.resolve(),
    }),
  });
  return {
    sets: printed.filter((text) => text !== "# tick\n"),
    warnings,
  };
}

Deno.test("follow() prints the rules at once and after each change of them", async () => {
  const { sets, warnings } = await followed([OTHER, FIRST]);
  assert.deepEqual(
    sets,
    [FIRST, OTHER, FIRST].map(({ config }) => ruleSet(config)),
  );
  assert.deepEqual(warnings, []);
});

Deno.test("follow() prints nothing for a change of other keys or a broken file", async () => {
  const other = configured([], ", max_network_size: 7 ");
  const { sets, warnings } = await followed([other, null]);
  assert.deepEqual(sets, [ruleSet(FIRST.config)]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /^The configuration stays as it is/);
});

Deno.test("follow() ends when nobody reads any more", async () => {
  let ticks = 0;
  const print = (text: string) => {
    if (text === "# tick\n") ticks += 1;
    if (ticks === 3) throw new Deno.errors.BrokenPipe();
  };
  await assert.rejects(
    follow({
      initial: FIRST,
      load: () => Promise.resolve(FIRST),
      file: null,
      print,
      onWarning: () => {},
      stop: new AbortController().signal,
      wait: () => Promise.resolve(),
    }),
    Deno.errors.BrokenPipe,
  );
  assert.equal(ticks, 3);
});

Deno.test("a rule set can be taken apart line by line", () => {
  const lines = ruleSet(FIRST.config).split("\n");
  assert.deepEqual(
    lines.filter((line) => /^# (counters|part|end)/.test(line)),
    [
      "# counters: state/egress_guard.json",
      "# part: namespace",
      "# part: host",
      "# part: timeouts",
      "# end",
    ],
  );
  assert.equal(lines.at(-2), "# end");
});
