/**
 * The deadline of one scan as a guardrail. A request above the limit is refused with the number
 * rather than cut: a scan that ends early without a word looks complete.
 *
 * @module
 */
import { integer } from "./field.ts";
import { type Guardrails, timeoutSecondsMax } from "./guardrails.ts";
import type { ToolName, Verdict } from "./tool.ts";
import { allowed, refused } from "./verdict.ts";

/** The field `timeout_seconds` of every tool. */
export const TIMEOUT_FIELD = integer(
  "Deadline in seconds; the server has a default and a limit.",
  1,
  86_400,
);

/**
 * Judges the deadline of a request.
 *
 * @param tool The tool.
 * @param seconds What the request asks for, if anything.
 * @param guardrails Default and limit.
 * @returns The verdict `timeout`, and the deadline to use.
 */
export function judgeTimeout(
  tool: ToolName,
  seconds: number | undefined,
  guardrails: Guardrails,
): { verdict: Verdict; timeoutMs: number } {
  const most = timeoutSecondsMax(tool, guardrails);
  const asked = seconds ?? Math.min(guardrails.timeoutSecondsDefault, most);
  if (asked <= most) {
    return {
      verdict: allowed("timeout", `${asked} s, at most ${most} s`),
      timeoutMs: asked * 1000,
    };
  }
  const message =
    `Cannot run for ${asked} s: the limit is ${most} s; leave timeout_seconds out or use ${most} or less`;
  return {
    verdict: refused("timeout", "invalid_arguments", message),
    timeoutMs: most * 1000,
  };
}
