/**
 * The rows of approvals in memory, with the promises that the store's rows make, and a point at which
 * every call lets others go first.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Approval } from "@/approvals/approval.ts";
import type { ApprovalRows, ApprovalsFilter } from "@/approvals/approvals.ts";
import type { Page, PageOptions } from "@/store/scan_record.ts";

/** Rows in memory. */
export class MemoryRows implements ApprovalRows {
  readonly rows = new Map<string, Approval>();

  async createApproval(approval: Approval): Promise<void> {
    await Promise.resolve();
    this.rows.set(approval.id, approval);
  }

  async getApproval(id: string): Promise<Approval> {
    await Promise.resolve();
    return this.#row(id);
  }

  async listApprovals(
    filter: ApprovalsFilter,
    { limit }: PageOptions,
  ): Promise<Page<Approval>> {
    await Promise.resolve();
    const items = [...this.rows.values()].filter((row) =>
      row.tenant === filter.tenant &&
      (filter.status === undefined || row.status === filter.status) &&
      (filter.subject === undefined ||
        row.requester.subject === filter.subject) &&
      (filter.digest === undefined || row.digest === filter.digest)
    ).reverse();
    return { items: items.slice(0, limit), next: null };
  }

  async decideApproval(
    id: string,
    decision: Parameters<ApprovalRows["decideApproval"]>[1],
  ): Promise<Approval> {
    await Promise.resolve();
    const row = this.#row(id);
    if (row.status !== "pending" || row.expiresAt <= decision.decidedAt) {
      throw new AppError("conflict", "Cannot decide it: it is decided");
    }
    const decided = { ...row, ...decision };
    this.rows.set(id, decided);
    return decided;
  }

  async setApprovalScan(id: string, scanId: string): Promise<Approval> {
    await Promise.resolve();
    const row = this.#row(id);
    if (row.status !== "granted" || row.scanId !== null) {
      throw new AppError("conflict", "Cannot use it");
    }
    const used = { ...row, scanId };
    this.rows.set(id, used);
    return used;
  }

  async expireApprovals(now: number): Promise<readonly Approval[]> {
    await Promise.resolve();
    const expired = [...this.rows.values()].filter((row) =>
      row.status === "pending" && row.expiresAt <= now
    ).map((row) => ({ ...row, status: "expired" as const }));
    for (const row of expired) this.rows.set(row.id, row);
    return expired;
  }

  #row(id: string): Approval {
    const row = this.rows.get(id);
    if (row === undefined) throw new AppError("not_found", "Cannot find it");
    return row;
  }
}
