/**
 * .ci/run in a checkout of stand-ins: its closing line and exit code tell the truth about any run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";

verifies("ci.run");

const run = new URL("../../.ci/run", import.meta.url).pathname;

interface Case {
  name: string;
  /** How set-up ends, and what `deno task ok` prints and how it ends. */
  setup?: number;
  prints: string;
  code: number;
  /** The last line, and whether the run as a whole is good. */
  last: string;
  good: boolean;
}

const cases: readonly Case[] = [
  {
    name: "sums the summaries of several runs",
    prints:
      "ok | 120 passed (34 steps) | 0 failed (1s)\\n[test] ok | 3 passed | 0 failed | 2 ignored (5ms)",
    code: 0,
    last: "123 passed, 0 failed",
    good: true,
  },
  {
    name: "counts failed tests",
    prints: "FAILED | 10 passed (2 steps) | 2 failed (3 steps) (1s)",
    code: 1,
    last: "10 passed, 2 failed",
    good: false,
  },
  {
    name: "is not taken in by a task that swallows a failed test",
    prints: "FAILED | 10 passed | 2 failed (1s)",
    code: 0,
    last: "10 passed, 2 failed",
    good: false,
  },
  {
    name: "fails where a check fails and no test does",
    prints: "ok | 5 passed | 0 failed (1s)\\nerror: Found 1 problem",
    code: 1,
    last: "5 passed, 1 failed",
    good: false,
  },
  {
    name: "fails where nothing was tested",
    prints: "ok | 0 passed | 0 failed | 9 ignored (1s)",
    code: 0,
    last: "0 passed, 1 failed",
    good: false,
  },
  {
    name: "fails where set-up fails, and runs nothing then",
    setup: 1,
    prints: "ok | 5 passed | 0 failed (1s)",
    code: 0,
    last: "0 passed, 1 failed",
    good: false,
  },
];

/** Runs .ci/run in a checkout whose parts are stand-ins; gives what it printed. */
async function inCheckout(
  { setup = 0, prints, code }: Case,
): Promise<{ good: boolean; lines: string[]; calls: string[] }> {
  const folder = await Deno.makeTempDir({ prefix: "ci-" });
  const script = async (path: string, text: string) => {
    await Deno.mkdir(`${folder}/${path.replace(/\/[^/]+$/, "")}`, {
      recursive: true,
    });
    const log = `echo "\${0##*/} $*" >>"${folder}/calls"\n`;
    await Deno.writeTextFile(
      `${folder}/${path}`,
      `#!/bin/sh\n${log}${text}\n`,
      {
        mode: 0o755,
      },
    );
  };
  try {
    await script("scripts/setup.sh", `exit ${setup}`);
    await script("tests/lab/lab.sh", "exit 0");
    // A question on stdin must find its end at once.
    await script("bin/deno", `cat; printf '${prints}\\n'; exit ${code}`);
    await script(".ci/run", "");
    await Deno.copyFile(run, `${folder}/.ci/run`);
    const { success, stdout } = await new Deno.Command("bash", {
      args: ["-c", 'PATH="$1/bin:$PATH"; exec "$1/.ci/run"', "bash", folder],
      stderr: "null",
    }).output();
    const calls = await Deno.readTextFile(`${folder}/calls`);
    return {
      good: success,
      lines: new TextDecoder().decode(stdout).trimEnd().split("\n"),
      calls: calls.trimEnd().split("\n"),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const each of cases) {
  Deno.test(`.ci/run ${each.name}`, async () => {
    const { good, lines, calls } = await inCheckout(each);
    assert.deepEqual([lines.at(-1), good], [each.last, each.good]);
    assert.deepEqual(calls, [
      "setup.sh ",
      ...(each.setup ? [] : ["lab.sh check", "deno task ok"]),
      "lab.sh down --all",
    ]);
  });
}
