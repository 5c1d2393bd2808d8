/**
 * Which errors speak against a tool. Only faults of the tool or of the machinery around it count: a
 * caller must not be able to close a tool to everybody by sending requests that are refused.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";

/** Every code stands here, so that a new one does not compile until somebody decides. */
const COUNTS: Readonly<Record<ErrorCode, boolean>> = {
  timeout: true,
  tool_failed: true,
  tool_unavailable: true,
  internal: true,
  // The tool did its work and printed much. The caller chose how much to scan, and a hostile target
  // chooses how much it answers; neither may close the tool to the others.
  output_limit: false,
  cancelled: false,
  interrupted: false,
  tool_not_found: false,
  tool_disabled: false,
  circuit_open: false,
  invalid_arguments: false,
  invalid_target: false,
  target_not_allowed: false,
  network_too_large: false,
  intrusive_not_allowed: false,
  policy_denied: false,
  approval_required: false,
  rate_limited: false,
  quota_exceeded: false,
  queue_full: false,
  unauthenticated: false,
  forbidden: false,
  not_found: false,
  conflict: false,
  payload_too_large: false,
};

/**
 * Tells whether an error speaks against the tool.
 *
 * @param code How the call ended.
 * @returns Whether the breaker should hear of a failure. Otherwise it hears that the call is to be
 * ignored, which is not the same as a success.
 */
export function countsAsFailure(code: ErrorCode): boolean {
  return COUNTS[code];
}
