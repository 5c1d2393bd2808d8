/**
 * Makes verdicts of guardrails. A refusal says the same in its reason and in the error that it turns
 * into.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";
import type { Verdict } from "./tool.ts";

/**
 * Says that a guardrail lets a request through.
 *
 * @param guardrail Its name.
 * @param reason What was looked at.
 * @returns The verdict.
 */
export function allowed(guardrail: string, reason: string): Verdict {
  return { guardrail, allowed: true, reason };
}

/**
 * Says that a guardrail refuses a request.
 *
 * @param guardrail Its name.
 * @param code The error's code.
 * @param message What was wrong and the way out.
 * @returns The verdict.
 */
export function refused(
  guardrail: string,
  code: ErrorCode,
  message: string,
): Verdict {
  return {
    guardrail,
    allowed: false,
    reason: message,
    error: { code, message },
  };
}
