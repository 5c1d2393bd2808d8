/**
 * The closed vocabulary of failures that a caller can see. Every refusal and every fault that
 * leaves this program carries one of these codes; the two tables beside this file give each its MCP
 * result and its HTTP status.
 *
 * @module
 */

/** Every code, in the order of the road of a call. */
export const ERROR_CODES = [
  "tool_not_found",
  "tool_disabled",
  "circuit_open",
  "invalid_arguments",
  "invalid_target",
  "target_not_allowed",
  "network_too_large",
  "intrusive_not_allowed",
  "policy_denied",
  "approval_required",
  "rate_limited",
  "quota_exceeded",
  "queue_full",
  "timeout",
  "output_limit",
  "tool_failed",
  "tool_unavailable",
  "cancelled",
  "interrupted",
  "unauthenticated",
  "forbidden",
  "not_found",
  "conflict",
  "payload_too_large",
  "internal",
] as const;

/** One of {@linkcode ERROR_CODES}. */
export type ErrorCode = typeof ERROR_CODES[number];

/**
 * Tells whether a text is one of the codes.
 *
 * @param text The text to look up.
 * @returns Whether it is a code.
 */
export function isErrorCode(text: unknown): text is ErrorCode {
  return (ERROR_CODES as readonly unknown[]).includes(text);
}
