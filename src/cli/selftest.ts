/**
 * `selftest`: the hostile corpus against the configuration of whoever runs it. Every case must be
 * refused with a code that was meant for it. Nothing is scanned: each case only plans.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import { Runtime } from "./runtime.ts";
import { report } from "./scan.ts";
import { HOSTILE_CASES, type HostileCase } from "./selftest_corpus.ts";
import { styleOf } from "./style.ts";
import { table } from "./table.ts";
import { AT_TERMINAL, EXIT, type World } from "./world.ts";

/** What came of a case. */
interface Result {
  readonly tool: string;
  readonly why: string;
  readonly expected: readonly string[];
  /** A code, `allowed`, or `does not apply` where the configuration allows it on purpose. */
  readonly seen: string;
  readonly verdict: "held" | "BROKEN" | "skipped";
}

/**
 * Runs the corpus and prints every case, expected and seen.
 *
 * @param world The process.
 * @returns 0 if every guard held, 3 if one did not.
 */
export async function selftest(world: World): Promise<number> {
  const json = world.args.includes("--json");
  try {
    await using runtime = await Runtime.start(world, {
      server: false,
      recorded: false,
    });
    const { guardrails } = await runtime.capabilities();
    const results: Result[] = [];
    for (const hostile of HOSTILE_CASES) {
      if (world.stop.aborted) return EXIT.interrupted;
      results.push(await judge(runtime, guardrails, hostile));
    }
    show(world, results, json);
    return results.some(({ verdict }) => verdict === "BROKEN")
      ? EXIT.failed
      : EXIT.ok;
  } catch (thrown) {
    return report(world, toAppError(thrown), json);
  }
}

async function judge(
  runtime: Runtime,
  guardrails: Guardrails,
  hostile: HostileCase,
): Promise<Result> {
  const { tool, why, codes } = hostile;
  const about = { tool, why, expected: codes };
  if (!applies(hostile, guardrails)) {
    return {
      ...about,
      seen: "does not apply: the configuration allows it",
      verdict: "skipped",
    };
  }
  const seen = await refusalOf(runtime, hostile);
  const held = (codes as readonly string[]).includes(seen);
  return { ...about, seen, verdict: held ? "held" : "BROKEN" };
}

/** The code with which a case is refused, or `allowed`. */
async function refusalOf(
  runtime: Runtime,
  hostile: HostileCase,
): Promise<string> {
  try {
    const answer = await runtime.as().call({
      who: AT_TERMINAL,
      tool: hostile.tool,
      // Own keys only, so that a hostile `__proto__` reaches the parser as the key it is.
      arguments: Object.fromEntries([...Object.entries(hostile.arguments), [
        "plan",
        true,
      ]]),
      signal: new AbortController().signal,
    });
    if (answer.kind !== "plan") return "allowed";
    const refusal = answer.plan.verdicts.find(({ allowed }) => !allowed);
    return refusal?.error?.code ??
      (refusal === undefined ? "allowed" : "refused without a code");
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.code;
    throw thrown;
  }
}

function applies({ assumes }: HostileCase, guardrails: Guardrails): boolean {
  if (assumes === "not_intrusive") return !guardrails.allowIntrusive;
  if (assumes === "private_scope") {
    return guardrails.scope.allowedSubnets.length === 0;
  }
  return true;
}

function show(world: World, results: readonly Result[], json: boolean): void {
  const broken = results.filter(({ verdict }) => verdict === "BROKEN").length;
  const skipped = results.filter(({ verdict }) => verdict === "skipped").length;
  const held = results.length - broken - skipped;
  if (json) {
    const body = { ok: broken === 0, held, broken, skipped, cases: results };
    return world.print(JSON.stringify(body, null, 2) + "\n");
  }
  const { stdout, colour, columns } = world.terminal;
  const style = styleOf(stdout && colour);
  const rows = results.map(({ verdict, tool, seen, why, expected }) => [
    verdict,
    tool,
    `${seen} (expected ${expected.join(" or ")})`,
    why.replace(/[^\x20-\x7e]/g, "\ufffd"),
  ]);
  const [heading = "", ...lines] = table([
    ["GUARD", "TOOL", "SEEN", "CASE"],
    ...rows,
  ], columns);
  world.print([style.bold(heading), ...lines, ""].join("\n"));
  const sum = `${held} held, ${broken} broken, ${skipped} do not apply here`;
  world.print(`\n${broken === 0 ? style.green(sum) : style.red(sum)}\n`);
}
