/**
 * Requests that wait for a second person, as rows. A request is decided once: whoever comes second, and
 * whoever comes after it has expired, is told so, on both databases and from any number of servers.
 *
 * @module
 */
import type { Selectable } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { ToolName } from "@/tools/tool.ts";
import type { StoredCaller } from "./asked_by.ts";
import { limitOf, pageOf, readCursor, writeCursor } from "./cursor.ts";
import type { Link } from "./link.ts";
import { parseLabel, storable } from "./plain_text.ts";
import type { Page, PageOptions } from "./scan_record.ts";
import type { ApprovalTable } from "./tables.ts";
import { type OfTenant, parseTenant } from "./tenant.ts";

/** Most requests of one tenant that wait at the same time. */
export const PENDING_MAX = 1_000;

/** Most requests that expire in one go. */
export const EXPIRED_BATCH = 500;

const SUBJECT_LENGTH_MAX = 1_024;
const TARGET_LENGTH_MAX = 65_536;
const NOTE_LENGTH_MAX = 2_000;

const ID = /^[0-9A-Za-z_-]{1,64}$/;

/** Where a request is in its life. */
export type StoredApprovalStatus =
  | "pending"
  | "granted"
  | "denied"
  | "expired";

/** A request as it is kept. */
export interface StoredApproval extends OfTenant {
  /** `apr_` and 26 characters that sort by time. */
  readonly id: string;
  readonly status: StoredApprovalStatus;
  /** Who asked: enough to make the call again in their name. */
  readonly requester: StoredCaller & { readonly client: string };
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
  /** Who decided: a subject. */
  readonly decidedBy: string | null;
  readonly note: string | null;
  /** The scan that came of it. */
  readonly scanId: string | null;
}

/** Which requests of a tenant to list. What is left out does not narrow. */
export interface ApprovalFilter extends OfTenant {
  readonly status?: StoredApprovalStatus;
  /** Asked for by this subject. */
  readonly subject?: string;
  readonly digest?: string;
}

/** A decision. */
export interface ApprovalDecision {
  readonly status: "granted" | "denied";
  readonly decidedAt: number;
  readonly decidedBy: string;
  readonly note: string | null;
}

/**
 * Keeps a new request.
 *
 * @param link The database.
 * @param approval The request.
 * @throws {AppError} `conflict` if its id is taken; `quota_exceeded` if too many of its tenant wait.
 */
export async function createApproval(
  link: Link,
  approval: StoredApproval,
): Promise<void> {
  const row = rowOfApproval(approval);
  await link.write(async (write) => {
    const waiting = await write.selectFrom("approvals").select("id")
      .where("tenant", "=", row.tenant).where("status", "=", "pending")
      .where("expires_at", ">", row.requested_at)
      .limit(PENDING_MAX).execute();
    if (waiting.length >= PENDING_MAX) {
      throw new AppError(
        "quota_exceeded",
        `Cannot ask for approval: ${PENDING_MAX} requests wait for it already; let an approver decide them first`,
      );
    }
    const made = await write.insertInto("approvals").values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returning("id").executeTakeFirst();
    if (made !== undefined) return;
    throw new AppError(
      "conflict",
      `Cannot keep the request for approval "${row.id}": it exists`,
    );
  });
}

/**
 * Gives one request, of whichever tenant.
 *
 * @throws {AppError} `not_found`.
 */
export async function getApproval(
  link: Link,
  id: string,
): Promise<StoredApproval> {
  const row = await link.read((db) =>
    db.selectFrom("approvals").selectAll().where("id", "=", storable(id, 65))
      .executeTakeFirst()
  );
  if (row === undefined) throw missing();
  return approvalOf(row);
}

/**
 * Lists the requests of a tenant, newest first.
 *
 * @param link The database.
 * @param filter Which.
 * @param page Which part.
 * @returns The page.
 * @throws {AppError} `invalid_arguments`.
 */
export async function listApprovals(
  link: Link,
  filter: ApprovalFilter,
  page: PageOptions,
): Promise<Page<StoredApproval>> {
  const limit = limitOf(page);
  const tenant = parseTenant(filter.tenant);
  const [before] = readCursor("approvals", [""], page.cursor) ?? [];
  const { status, subject, digest } = filter;
  const rows = await link.read((db) => {
    let query = db.selectFrom("approvals").selectAll()
      .where("tenant", "=", tenant).orderBy("id", "desc").limit(limit + 1);
    if (status !== undefined) query = query.where("status", "=", status);
    if (subject !== undefined) {
      query = query.where("requester_subject", "=", storable(subject, 65_536));
    }
    if (digest !== undefined) {
      query = query.where("digest", "=", storable(digest, 65_536));
    }
    if (before !== undefined) query = query.where("id", "<", before);
    return query.execute();
  });
  return pageOf(
    rows,
    limit,
    approvalOf,
    ({ id }) => writeCursor("approvals", [id]),
  );
}

/**
 * Decides a request, if nobody has and it has not expired.
 *
 * @param link The database.
 * @param id Which.
 * @param decision The decision.
 * @returns The request as it is now.
 * @throws {AppError} `not_found`; `conflict` if it is decided or has expired.
 */
export async function decideApproval(
  link: Link,
  id: string,
  { status, decidedAt, decidedBy, note }: ApprovalDecision,
): Promise<StoredApproval> {
  const at = Math.round(decidedAt);
  const by = parseLabel(decidedBy, "approver", SUBJECT_LENGTH_MAX);
  const row = await link.write((write) =>
    write.updateTable("approvals").set({
      status,
      decided_at: at,
      decided_by: by,
      note: note === null ? null : storable(note, NOTE_LENGTH_MAX),
    }).where("id", "=", storable(id, 65)).where("status", "=", "pending")
      .where("expires_at", ">", at).returningAll().executeTakeFirst()
  );
  if (row !== undefined) return approvalOf(row);
  const now = await getApproval(link, id);
  throw new AppError(
    "conflict",
    `Cannot decide the request for approval "${now.id}": it ${
      now.status === "pending" || now.status === "expired"
        ? "has expired; whoever made it can ask again"
        : `was ${now.status} already`
    }`,
  );
}

/**
 * Notes the scan that came of a granted request, once.
 *
 * @param link The database.
 * @param id Which.
 * @param scanId The scan's id.
 * @returns The request as it is now.
 * @throws {AppError} `not_found`; `conflict` if it is not granted or has led to a scan.
 */
export async function setApprovalScan(
  link: Link,
  id: string,
  scanId: string,
): Promise<StoredApproval> {
  const row = await link.write((write) =>
    write.updateTable("approvals").set({ scan_id: idOf(scanId) })
      .where("id", "=", storable(id, 65)).where("status", "=", "granted")
      .where("scan_id", "is", null).returningAll().executeTakeFirst()
  );
  if (row !== undefined) return approvalOf(row);
  const now = await getApproval(link, id);
  throw new AppError(
    "conflict",
    `Cannot use the approval "${now.id}": it ${
      now.scanId === null ? `is ${now.status}` : "has led to a scan already"
    }`,
  );
}

/**
 * Ends the wait of requests that nobody decided in time.
 *
 * @param link The database.
 * @param now Milliseconds since the epoch.
 * @returns Those that ended by this call, each told to one caller only; at most
 * {@linkcode EXPIRED_BATCH}, so that there may be more if there are so many.
 */
export async function expireApprovals(
  link: Link,
  now: number,
): Promise<readonly StoredApproval[]> {
  const rows = await link.write((write) =>
    write.updateTable("approvals").set({ status: "expired" })
      .where("status", "=", "pending")
      .where(
        "id",
        "in",
        ({ selectFrom }) =>
          selectFrom("approvals").select("id").where("status", "=", "pending")
            .where("expires_at", "<=", Math.round(now))
            .orderBy("expires_at").orderBy("id").limit(EXPIRED_BATCH),
      )
      .returningAll().execute()
  );
  return rows.map(approvalOf).sort((a, b) => a.id < b.id ? -1 : 1);
}

function missing(): AppError {
  return new AppError(
    "not_found",
    "Cannot find the request for approval: none of that id is kept",
  );
}

function idOf(id: string): string {
  if (ID.test(id)) return id;
  throw new TypeError(`Cannot keep "${id}": that is no id`);
}

function rowOfApproval(approval: StoredApproval): ApprovalTable {
  const { requester, decidedAt, decidedBy, note, scanId } = approval;
  const subject = (text: string, what: string) =>
    parseLabel(text, what, SUBJECT_LENGTH_MAX);
  return {
    id: idOf(approval.id),
    tenant: parseTenant(approval.tenant),
    status: approval.status,
    requester_kind: requester.kind,
    requester_subject: subject(requester.subject, "requester"),
    requester_client: subject(requester.client, "client"),
    requester_roles: JSON.stringify(requester.roles),
    tool: approval.tool,
    target: storable(approval.target, TARGET_LENGTH_MAX),
    arguments: JSON.stringify(approval.arguments),
    digest: parseLabel(approval.digest, "request digest"),
    policies: JSON.stringify(approval.policies),
    demands: JSON.stringify(approval.demands),
    by_client_user: Number(approval.byClientUser),
    requested_at: Math.round(approval.requestedAt),
    expires_at: Math.round(approval.expiresAt),
    decided_at: decidedAt === null ? null : Math.round(decidedAt),
    decided_by: decidedBy === null ? null : subject(decidedBy, "approver"),
    note: note === null ? null : storable(note, NOTE_LENGTH_MAX),
    scan_id: scanId === null ? null : idOf(scanId),
  };
}

function approvalOf(row: Selectable<ApprovalTable>): StoredApproval {
  return {
    id: row.id,
    tenant: row.tenant,
    status: row.status as StoredApprovalStatus,
    requester: {
      kind: row.requester_kind as StoredApproval["requester"]["kind"],
      subject: row.requester_subject,
      client: row.requester_client,
      roles: JSON.parse(row.requester_roles),
    },
    tool: row.tool as ToolName,
    target: row.target,
    arguments: JSON.parse(row.arguments),
    digest: row.digest,
    policies: JSON.parse(row.policies),
    demands: JSON.parse(row.demands),
    byClientUser: row.by_client_user === 1,
    requestedAt: row.requested_at,
    expiresAt: row.expires_at,
    decidedAt: row.decided_at,
    decidedBy: row.decided_by,
    note: row.note,
    scanId: row.scan_id,
  };
}
