/**
 * The HTTP status of every error code, for the adapters that speak HTTP. A fault of the server never
 * gets a client's status, so that an operator's alarms on 5xx hear of every one.
 *
 * @module
 */
import type { ErrorCode } from "./code.ts";

/** The status of each code. A `Record`, so that a new code without one does not compile. */
const STATUS: Readonly<Record<ErrorCode, number>> = {
  tool_not_found: 404,
  tool_disabled: 403,
  circuit_open: 503,
  invalid_arguments: 400,
  invalid_target: 400,
  target_not_allowed: 403,
  network_too_large: 422,
  intrusive_not_allowed: 403,
  policy_denied: 403,
  approval_required: 403,
  rate_limited: 429,
  quota_exceeded: 429,
  queue_full: 503,
  timeout: 504,
  output_limit: 502,
  tool_failed: 502,
  tool_unavailable: 503,
  cancelled: 409,
  interrupted: 503,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  payload_too_large: 413,
  internal: 500,
};

/**
 * Gives the HTTP status of a code.
 *
 * @param code The code.
 * @returns Its status.
 */
export function httpStatus(code: ErrorCode): number {
  return STATUS[code];
}
