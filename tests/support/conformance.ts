/**
 * Runs the protocol's official conformance suite, from the package that the lock file names, without a
 * network but loopback.
 *
 * @module
 */
import { ROOT } from "./task.ts";

/** What came of one scenario. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

/** What came of the suite. */
export interface Conformance {
  readonly code: number;
  /** By scenario, in the suite's order. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** What it printed. */
  readonly text: string;
}

/**
 * Runs scenarios against a server. Needs `--allow-run` for Deno itself.
 *
 * @param url The server's endpoint; it must ask for no credentials.
 * @param scenario One scenario; all of them if it is left out.
 * @returns What came of them.
 */
export async function runConformance(
  url: string,
  scenario?: string,
): Promise<Conformance> {
  const { host } = new URL(url);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--cached-only",
      "--ignore-env",
      `--allow-net=${host}`,
      `--allow-read=${ROOT}`,
      "npm:@modelcontextprotocol/conformance@0.1.16",
      "server",
      "--url",
      url,
      ...(scenario === undefined
        ? ["--suite", "all"]
        : ["--scenario", scenario]),
    ],
    cwd: ROOT,
    stdin: "null",
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(120_000),
  }).output();
  const decoder = new TextDecoder();
  const text = decoder.decode(stdout) + decoder.decode(stderr);
  const lines = /^\S+ ([\w-]+): (\d+) passed, (\d+) failed/gm;
  const outcomes = [...text.matchAll(lines)].map((
    [, name = "", passed, failed],
  ): [string, Outcome] => [
    name,
    { passed: Number(passed), failed: Number(failed) },
  ]);
  return { code, outcomes: Object.fromEntries(outcomes), text };
}
