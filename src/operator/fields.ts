/**
 * The header fields that every answer has: those that keep a browser from doing more with it than
 * showing it, and those by which it is found again in logs and traces.
 *
 * @module
 */
import { allowOrigin } from "./origin_rule.ts";
import { addRateFields, type RateStand } from "./rate_fields.ts";

/** No answer is a page but the documentation, which brings a policy of its own. */
const POLICY = "default-src 'none'; frame-ancestors 'none'";

/** Answers hold what is nobody else's business; those with a tag may be kept by who got them. */
const UNKEPT = "no-store";
const KEPT = "private, no-cache";

/** What of a request its answer repeats or depends on. */
export interface Marks {
  readonly requestId: string;
  /** Null where it was not asked for: on health, which is asked for all the time. */
  readonly traceparent: string | null;
  /** The other origin that may read the answer, or null. */
  readonly page: string | null;
  /** How the client stands, or null where nothing counts. */
  readonly stand: RateStand | null;
  readonly strictTransport: boolean;
}

/**
 * Adds the fields. What a route set itself stays where a route may know better. They are few and short
 * with a reason: the runtime checks every letter of every one of them, and they are half of the time
 * that a short answer takes.
 *
 * @param headers The answer's headers.
 * @param marks What of the request goes in.
 */
export function addFields(headers: Headers, marks: Marks): void {
  headers.set("x-request-id", marks.requestId);
  if (marks.traceparent !== null) headers.set("traceparent", marks.traceparent);
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-resource-policy", "same-origin");
  headers.append("vary", "Origin, Accept-Encoding");
  if (!headers.has("content-security-policy")) {
    headers.set("content-security-policy", POLICY);
  }
  if (!headers.has("cache-control")) {
    headers.set("cache-control", headers.has("etag") ? KEPT : UNKEPT);
  }
  if (marks.stand !== null) addRateFields(headers, marks.stand);
  if (marks.page !== null) allowOrigin(headers, marks.page);
  if (marks.strictTransport) {
    headers.set("strict-transport-security", "max-age=31536000");
  }
}
