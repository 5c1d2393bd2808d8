/**
 * A request that waits for a second person.
 *
 * @module
 */
import type {
  StoredApproval,
  StoredApprovalStatus,
} from "@/store/approval_rows.ts";

/** Where a request for approval is in its life. */
export const APPROVAL_STATUSES = [
  "pending",
  "granted",
  "denied",
  "expired",
] as const satisfies readonly StoredApprovalStatus[];

/** One of {@linkcode APPROVAL_STATUSES}. */
export type ApprovalStatus = typeof APPROVAL_STATUSES[number];

/** One request for approval, as it is kept. */
export type Approval = StoredApproval;
