/**
 * A request that waits for a second person, and the port through which such requests are kept.
 *
 * @module
 */
import type { Role } from "@/identity/principal.ts";
import type { ToolName } from "@/tools/tool.ts";

/** Where a request for approval is in its life. */
export const APPROVAL_STATUSES = [
  "pending",
  "granted",
  "denied",
  "expired",
] as const;

/** One of {@linkcode APPROVAL_STATUSES}. */
export type ApprovalStatus = typeof APPROVAL_STATUSES[number];

/** One request for approval. */
export interface Approval {
  /** `apr_` and 26 characters that sort by time. */
  readonly id: string;
  readonly tenant: string;
  readonly status: ApprovalStatus;
  /** Who asked: enough to make the call again in their name. */
  readonly requester: {
    readonly kind: "local" | "key" | "token";
    readonly subject: string;
    readonly client: string;
    readonly roles: readonly Role[];
  };
  readonly tool: ToolName;
  /** The target as the request named it. */
  readonly target: string;
  /** The call's arguments as the client sent them, parsed JSON. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Equal for equal requests. */
  readonly digest: string;
  /** The policies that demand it. */
  readonly policies: readonly string[];
  /** The same, each as it was worded then: only these are answered. */
  readonly demands: readonly string[];
  /** Whether the user of the MCP client may decide. */
  readonly byClientUser: boolean;
  /** Times in milliseconds since the epoch. */
  readonly requestedAt: number;
  readonly expiresAt: number;
  readonly decidedAt: number | null;
  /** Who decided: a subject, and what lists call it. */
  readonly decidedBy: string | null;
  readonly note: string | null;
  /** The scan that came of it. */
  readonly scanId: string | null;
}
