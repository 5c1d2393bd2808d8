/**
 * `plan`: what a scan would do, before a packet is sent.
 *
 * @module
 */
import { toAppError } from "@/error/app_error.ts";
import type { PlanBody } from "@/isolate/protocol.ts";
import type { ToolName } from "@/tools/tool.ts";
import { parseScanArguments } from "./arguments.ts";
import { duration } from "./progress_bar.ts";
import { Runtime } from "./runtime.ts";
import { report } from "./scan.ts";
import { type Style, styleOf } from "./style.ts";
import { table } from "./table.ts";
import { AT_TERMINAL, EXIT, type World } from "./world.ts";

/** Most targets that are listed one by one. */
const TARGETS_SHOWN = 16;

/**
 * Prints the plan of a scan; nothing is scanned.
 *
 * @param world The process.
 * @returns 0 if the scan would run, 2 if a guardrail refuses it.
 */
export async function plan(world: World): Promise<number> {
  const json = world.args.includes("--json");
  try {
    const asked = parseScanArguments(world.args);
    await using runtime = await Runtime.start(world, { server: false });
    const answer = await runtime.as().call({
      who: AT_TERMINAL,
      tool: asked.tool,
      arguments: { ...asked.request, plan: true },
      signal: world.stop,
    });
    if (answer.kind !== "plan") {
      throw new TypeError(`unexpected answer "${answer.kind}"`);
    }
    const { stdout, colour, columns } = world.terminal;
    world.print(
      json
        ? JSON.stringify(planJson(answer.tool, answer.plan), null, 2) + "\n"
        : planText(
          answer.tool,
          answer.plan,
          stdout ? columns : Number.POSITIVE_INFINITY,
          styleOf(stdout && colour),
        ),
    );
    return answer.plan.verdicts.every(({ allowed }) => allowed)
      ? EXIT.ok
      : EXIT.refused;
  } catch (thrown) {
    return report(world, toAppError(thrown), json);
  }
}

function planJson(
  tool: ToolName,
  plan: PlanBody,
): Readonly<Record<string, unknown>> {
  return {
    tool,
    allowed: plan.verdicts.every(({ allowed }) => allowed),
    scan_type: plan.scanType,
    argv: plan.argv,
    targets: plan.targets,
    address_count: plan.addressCount,
    probes: plan.probes,
    seconds: plan.seconds,
    timeout_seconds: plan.timeoutMs / 1000,
    permissions: plan.permissions,
    guardrails: plan.verdicts,
    notes: plan.notes,
  };
}

function planText(
  tool: ToolName,
  plan: PlanBody,
  columns: number,
  style: Style,
): string {
  const verdicts = plan.verdicts.map((
    { guardrail, allowed, reason, error },
  ) => [
    allowed ? style.green("allows ") : style.red("refuses"),
    guardrail,
    error?.message ?? reason,
  ]);
  const more = plan.targets.length - TARGETS_SHOWN;
  const targets = plan.targets.slice(0, TARGETS_SHOWN).join(" ") +
    (more > 0 ? ` +${more}` : "");
  const count = plan.addressCount === 1
    ? "1 address"
    : `${plan.addressCount} addresses`;
  const lines = [
    style.bold(`plan of ${tool}: nothing is scanned`),
    ...table([
      ["scan type", plan.scanType],
      [
        "targets",
        targets === "" ? `none of ${count}` : `${targets} (${count})`,
      ],
      ["probes", `about ${plan.probes}`],
      [
        "time",
        `about ${duration(plan.seconds)}, at most ${
          duration(plan.timeoutMs / 1000)
        }`,
      ],
      ["uses", plan.permissions.join(", ")],
    ], columns),
    "",
    style.bold("command lines"),
    ...plan.argv.map((argv) => `  ${argv.join(" ")}`),
    ...(plan.argv.length === 0 ? ["  none: a guardrail refuses"] : []),
    "",
    style.bold("guardrails"),
    ...table(verdicts, Number.POSITIVE_INFINITY).map((line) => `  ${line}`),
    ...(plan.notes.length > 0 ? [""] : []),
    ...plan.notes.map((note) => style.dim(`note: ${note}`)),
  ];
  return lines.join("\n") + "\n";
}
