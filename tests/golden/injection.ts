/**
 * Runs the hostile corpus against a tool.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HOSTILE_CASES } from "@/cli/selftest_corpus.ts";
import type { Tool } from "@/tools/tool.ts";
import { endingOf } from "../unit/tools/nmap_fixture.ts";

/**
 * Checks that every case of a tool is refused with one of its codes, and with a message fit for a
 * model: bounded, in plain printable text.
 *
 * @param tool The tool.
 * @param casesMin How many cases there are at least, so that a corpus gone empty is noticed.
 */
export function checkCorpus<Request>(
  tool: Tool<Request>,
  casesMin: number,
): void {
  const cases = HOSTILE_CASES.filter((entry) => entry.tool === tool.name);
  assert.ok(cases.length >= casesMin, `${cases.length} cases`);
  const failures: string[] = [];
  for (const { arguments: input, codes, why } of cases) {
    const ending = endingOf(tool, input);
    const shown = `${why}: ${JSON.stringify(input).slice(0, 160)}`;
    if (ending.kind === "runs") {
      failures.push(`${shown} runs as ${ending.argv}`);
      continue;
    }
    if (!(codes as readonly string[]).includes(ending.code)) {
      failures.push(`${shown} gives ${ending.code} (${ending.message})`);
    }
    if (
      ending.message.length > 1_200 ||
      !/^[\x20-\x7e\ufffd…]+$/.test(ending.message)
    ) {
      failures.push(`${shown} has an unfit message: ${ending.message}`);
    }
  }
  assert.deepEqual(failures, []);
}
