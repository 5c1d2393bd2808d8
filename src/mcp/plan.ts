/**
 * The answer to `plan: true`: what a scan would do, and what every guardrail says of it.
 *
 * @module
 */
import { errorText } from "@/error/mcp_result.ts";
import type { PlanBody } from "@/isolate/protocol.ts";
import type { ToolName } from "@/tools/tool.ts";
import { foldAddresses } from "./addresses.ts";
import { jsonTokensOf, shorten, takeWhole } from "./budget.ts";
import type { Answer } from "./result.ts";

/** Longest command-line token that is shown whole. */
const TOKEN_LENGTH_MAX = 400;

/**
 * Answers with a plan.
 *
 * @param tool The tool.
 * @param plan The plan.
 * @param tokensMax Most tokens; the targets are cut first.
 * @returns The answer. A plan that is refused is an answer, not an error.
 */
export function planAnswer(
  tool: ToolName,
  plan: PlanBody,
  tokensMax: number,
): Answer {
  const refused = plan.verdicts.filter(({ allowed }) => !allowed);
  const folded = foldAddresses(plan.targets).map(({ text }) => text);
  const targets =
    takeWhole(folded, 0, tokensMax / 4, (one) => jsonTokensOf(one) + 1).items;
  const left = folded.length - targets.length;
  const argv = plan.argv.map((line) =>
    line.map((token) => shorten(token, TOKEN_LENGTH_MAX))
  );
  const body = {
    allowed: refused.length === 0,
    verdicts: plan.verdicts,
    argv,
    targets: left === 0 ? targets : [...targets, `… ${left} more`],
    address_count: plan.addressCount,
    probes: plan.probes,
    seconds: plan.seconds,
    scan_type: plan.scanType,
    permissions: plan.permissions,
    timeout_seconds: plan.timeoutMs / 1000,
    notes: plan.notes,
  };
  const verdicts = plan.verdicts.map(({ guardrail, allowed, reason }) =>
    `${allowed ? "allowed" : "REFUSED"} by ${guardrail}: ${reason}`
  );
  const [first] = refused;
  const text = [
    first === undefined
      ? `Plan for ${tool}: allowed. ${
        plan.addressCount === 1 ? "1 address" : `${plan.addressCount} addresses`
      }, about ${plan.probes} probes, about ${
        Math.ceil(plan.seconds)
      } s. Nothing was sent.`
      : `Plan for ${tool}: refused. Nothing was sent.`,
    ...argv.map((line) => line.join(" ")),
    ...verdicts,
    ...(first?.error === undefined ? [] : [errorText(first.error)]),
    ...plan.notes,
  ].join("\n");
  return { structuredContent: { tool, plan: body }, text, isError: false };
}
