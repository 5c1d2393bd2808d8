/**
 * Requests that wait for a second person: asking, deciding, and using what was granted, once.
 *
 * The second person is another subject of the same tenant with the role approver. Two credentials of
 * one person are two subjects, and nothing that this server knows tells them apart, with one exception:
 * whoever made a key knows its secret, so the maker of a key and the key count as one. That two keys
 * were made by the same admin says nothing, for in many teams one admin makes everybody's.
 *
 * What is granted is one request: the digest names its tool, arguments and labels, and only its
 * requester can use it, in time, for one scan.
 *
 * @module
 */
import type { AuditEntry } from "@/audit/entry.ts";
import { AppError } from "@/error/app_error.ts";
import type { Teller } from "@/events/event.ts";
import { require as authorize } from "@/identity/authorize.ts";
import { clientText } from "@/identity/client_text.ts";
import type { Principal } from "@/identity/principal.ts";
import { newScanId } from "@/scans/id.ts";
import { isoTime } from "@/scans/times.ts";
import type { Page, PageOptions } from "@/store/scan_record.ts";
import type { ToolName } from "@/tools/tool.ts";
import { cleanText } from "@/tools/untrusted.ts";
import type { Approval, ApprovalStatus } from "./approval.ts";

/** Most requests of one tenant that wait. */
export const PENDING_MAX = 100;

/** Most of them that one requester may make: the others of the tenant have to be heard as well. */
export const SUBJECT_PENDING_MAX = 25;

/** Most UTF-16 code units of a note. */
export const NOTE_LENGTH_MAX = 500;

/** Most UTF-16 code units of a request's arguments as JSON. */
export const ARGUMENTS_LENGTH_MAX = 65_536;

/** Milliseconds for which a request that was granted at the last moment can still be used. */
export const USE_GRACE_MS = 60_000;

/** Most questions of one tenant that are looked at one after the other. */
const ASKING_MAX = 1_000;

/** Most makers of makers of keys that are looked at. */
const MAKERS_MAX = 8;

/** Granted requests that are looked at: of one request, by one subject. */
const GRANTED_LOOK_MAX = 20;

const TARGET_SHOWN_MAX = 500;
const NAME_LENGTH_MAX = 200;
const ID = /^apr_[0-9a-z]{26}$/;

/** What a request for approval is made of. */
export interface ApprovalQuestion {
  readonly principal: Principal;
  readonly tool: ToolName;
  /** The target as the request named it. */
  readonly target: string;
  /** The call's arguments as the client sent them. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** Equal for equal requests. */
  readonly digest: string;
  /** The policies that demand it. */
  readonly policies: readonly string[];
  /** The same, each as it is worded now. */
  readonly demands: readonly string[];
  readonly byClientUser: boolean;
}

/** Which requests of a tenant. What is left out does not narrow. */
export interface ApprovalsFilter {
  readonly tenant: string;
  readonly status?: ApprovalStatus;
  /** Asked for by this subject. */
  readonly subject?: string;
  readonly digest?: string;
}

/** Where requests are kept. */
export interface ApprovalRows {
  createApproval(approval: Approval): Promise<void>;
  /** @throws {AppError} `not_found`. */
  getApproval(id: string): Promise<Approval>;
  /** Newest first. */
  listApprovals(
    filter: ApprovalsFilter,
    page: PageOptions,
  ): Promise<Page<Approval>>;
  /**
   * Decides one that is pending and has not expired; in one step, whoever else does.
   *
   * @throws {AppError} `not_found`; `conflict`.
   */
  decideApproval(id: string, decision: {
    readonly status: "granted" | "denied";
    readonly decidedAt: number;
    readonly decidedBy: string;
    readonly note: string | null;
  }): Promise<Approval>;
  /**
   * Notes the scan of one that is granted and has none; in one step, whoever else does.
   *
   * @throws {AppError} `not_found`; `conflict`.
   */
  setApprovalScan(id: string, scanId: string): Promise<Approval>;
  /** @returns Those that expired by this call: each is given to one caller only. */
  expireApprovals(now: number): Promise<readonly Approval[]>;
}

/** What {@linkcode Approvals} works with. */
export interface ApprovalsOptions {
  /** The store, once it is open. */
  readonly rows: () => ApprovalRows | Promise<ApprovalRows>;
  readonly live: Teller;
  /** Writes into the audit log what nobody asked for. Must not reject. */
  readonly record: (entry: AuditEntry) => Promise<void>;
  /** Seconds in which a request has to be decided: `policy.approval_expires_seconds`. */
  readonly expiresSeconds: () => number;
  /**
   * Who made a subject's credentials, as a subject, or null if nobody here did (a token, the local
   * caller).
   */
  readonly makerOf: (subject: string) => Promise<string | null>;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
}

/** Questions of one tenant that are looked at one after the other. */
interface Asking {
  last: Promise<unknown>;
  waiting: number;
}

/** The requests of all tenants. */
export class Approvals {
  readonly #options: ApprovalsOptions;
  readonly #asking = new Map<string, Asking>();

  /** @param options What it works with. */
  constructor(options: ApprovalsOptions) {
    this.#options = options;
  }

  /**
   * Asks for approval. The same question of the same subject is the same request as long as it waits.
   *
   * @param question What is asked.
   * @returns The request that waits.
   * @throws {AppError} `policy_denied` if this very request was denied and its time is not over;
   * `quota_exceeded` if too many wait; `payload_too_large`; `queue_full`.
   */
  ask(question: ApprovalQuestion): Promise<Approval> {
    const { arguments: given, principal: { tenant } } = question;
    if (JSON.stringify(given).length > ARGUMENTS_LENGTH_MAX) {
      return Promise.reject(
        new AppError(
          "payload_too_large",
          `Cannot ask for approval: the arguments are longer than ${ARGUMENTS_LENGTH_MAX} characters; ask for less at once`,
        ),
      );
    }
    // One after the other, so that two equal questions are one request and the bound holds.
    return this.#inTurn(tenant, () => this.#ask(question));
  }

  /**
   * Finds what lets a request through.
   *
   * @param asked Whose request, and which.
   * @returns The newest granted request that can still be used, or that led to a scan and is not
   * expired; null if there is none.
   */
  async granted(
    { tenant, subject, digest }: {
      readonly tenant: string;
      readonly subject: string;
      readonly digest: string;
    },
  ): Promise<Approval | null> {
    const rows = await this.#options.rows();
    const { items } = await rows.listApprovals(
      { tenant, subject, digest, status: "granted" },
      { limit: GRANTED_LOOK_MAX },
    );
    const now = this.#options.wallNow();
    const good = items.filter((approval) =>
      // Again, whatever the rows were asked for: this is the one look that lets a scan through.
      approval.tenant === tenant && approval.requester.subject === subject &&
      approval.digest === digest && approval.status === "granted" &&
      now < usableUntil(approval)
    );
    return good.find(({ scanId }) => scanId === null) ?? good[0] ?? null;
  }

  /**
   * Uses up a granted request: it must be called before the scan starts, and its failure must keep the
   * scan from starting.
   *
   * @param id The request.
   * @param scanId The scan that it becomes.
   * @throws {AppError} `not_found`; `conflict` if it led to another scan, or is expired or not granted.
   */
  async started(id: string, scanId: string): Promise<void> {
    const rows = await this.#options.rows();
    const approval = await rows.getApproval(known(id));
    if (approval.scanId === scanId) return;
    if (
      approval.status === "granted" &&
      this.#options.wallNow() >= usableUntil(approval)
    ) {
      throw new AppError(
        "conflict",
        `Cannot use the approval "${id}": it has expired; make the call again to ask for another one`,
      );
    }
    await rows.setApprovalScan(id, scanId);
  }

  /**
   * Decides as a second person.
   *
   * @param id The request.
   * @param by Who decides.
   * @param decision What.
   * @param note Why, or null.
   * @returns The request as decided.
   * @throws {AppError} `forbidden` without the role or the scope, and to the requester; `not_found`,
   * also for a request of another tenant; `conflict` if it is decided or expired; `invalid_arguments`.
   */
  async decide(
    id: string,
    by: Principal,
    decision: "grant" | "deny",
    note: string | null,
  ): Promise<Approval> {
    authorize(by, "approve");
    const { requester } = await this.get(id, by.tenant);
    if (await this.#areOne(requester.subject, by.subject)) {
      throw new AppError(
        "forbidden",
        "Cannot decide this request: it is your own, or one of you made the other's key; another approver has to",
      );
    }
    return await this.#decide(id, decision, nameOf(by), note);
  }

  /**
   * Decides as the user of the client that asks, where policy lets that user be the second person. The
   * client vouches that it asked its user.
   *
   * @param id The request.
   * @param by Whose session the client holds: the requester's own.
   * @param decision What.
   * @returns The request as decided.
   * @throws {AppError} `not_found`; `forbidden` if it is not theirs or policy wants somebody else;
   * `conflict` if it is decided or expired.
   */
  async decideByClientUser(
    id: string,
    by: Principal,
    decision: "grant" | "deny" = "grant",
  ): Promise<Approval> {
    const { requester, byClientUser } = await this.get(id, by.tenant);
    const isOwn = requester.subject === by.subject &&
      requester.kind === by.kind;
    if (!byClientUser || !isOwn) {
      throw new AppError(
        "forbidden",
        "Cannot decide this request: policy wants a second person; an approver has to decide it over HTTP",
      );
    }
    return await this.#decide(id, decision, `user of ${nameOf(by)}`, null);
  }

  /**
   * Gives a request of a tenant.
   *
   * @throws {AppError} `not_found`, also for a request of another tenant.
   */
  async get(id: string, tenant: string): Promise<Approval> {
    const rows = await this.#options.rows();
    const approval = await rows.getApproval(known(id));
    if (approval.tenant !== tenant) throw missing();
    const now = this.#asOfNow(approval);
    // Whoever sees that it is expired can read so in the log as well.
    if (now.status !== approval.status) await this.expire();
    return now;
  }

  /** Lists the requests of a tenant, newest first. */
  async list(
    filter: ApprovalsFilter,
    page: PageOptions,
  ): Promise<Page<Approval>> {
    await this.expire();
    const rows = await this.#options.rows();
    const { items, next } = await rows.listApprovals(filter, page);
    return { items: items.map((one) => this.#asOfNow(one)), next };
  }

  /**
   * Ends the wait of what nobody decided in time, tells of it and records it. To be called now and
   * then. Of several servers on one store one ends the wait of a request, and that one records it.
   *
   * @returns How many ended by this call.
   */
  async expire(): Promise<number> {
    const rows = await this.#options.rows();
    const expired = await rows.expireApprovals(this.#options.wallNow());
    for (const approval of expired) this.#tell("approval.decided", approval);
    const { record } = this.#options;
    await Promise.all(expired.map((one) => record(expiryOf(one))));
    return expired.length;
  }

  async #ask(question: ApprovalQuestion): Promise<Approval> {
    const { principal: { tenant, subject }, digest } = question;
    const rows = await this.#options.rows();
    const now = this.#options.wallNow();
    await this.expire();
    const { items } = await rows.listApprovals(
      { tenant, status: "pending" },
      { limit: PENDING_MAX },
    );
    const waiting = items.filter(({ expiresAt }) => now < expiresAt);
    const own = waiting.filter(({ requester }) =>
      requester.subject === subject
    );
    const same = own.find((one) =>
      one.digest === digest && fits(one, question)
    );
    if (same !== undefined) return same;
    await this.#refuseDenied(question, now);
    if (waiting.length >= PENDING_MAX || own.length >= SUBJECT_PENDING_MAX) {
      throw new AppError(
        "quota_exceeded",
        `Cannot ask for approval: ${
          own.length >= SUBJECT_PENDING_MAX
            ? `${own.length} of your requests`
            : `${waiting.length} requests`
        } wait for it already; let an approver decide them first`,
      );
    }
    const approval = this.#newApproval(question, now);
    await rows.createApproval(approval);
    this.#tell("approval.requested", approval);
    return approval;
  }

  /**
   * A denial holds for as long as the request would have waited: otherwise whoever asks often enough
   * finds an approver who does not know that another one has said no.
   */
  async #refuseDenied(
    { principal: { tenant, subject }, digest }: ApprovalQuestion,
    now: number,
  ): Promise<void> {
    const rows = await this.#options.rows();
    const { items } = await rows.listApprovals(
      { tenant, subject, digest, status: "denied" },
      { limit: 1 },
    );
    const [denied] = items;
    if (denied === undefined || now >= denied.expiresAt) return;
    const { id, note, expiresAt } = denied;
    const why = note === null
      ? ""
      : `, who said: ${clientText(note, NOTE_LENGTH_MAX)}`;
    throw new AppError(
      "policy_denied",
      `Cannot scan: this request was denied by a second person (${id})${why}; ` +
        `ask them for a way, or make the call again after ${
          isoTime(expiresAt)
        }`,
    );
  }

  #newApproval(question: ApprovalQuestion, now: number): Approval {
    const { principal, tool, target, digest, policies, demands } = question;
    const { kind, subject, client, tenant, roles } = principal;
    return {
      id: `apr_${newScanId(now, this.#options.random)}`,
      tenant,
      status: "pending",
      requester: { kind, subject, client, roles: [...roles] },
      tool,
      target,
      arguments: question.arguments,
      digest,
      policies: [...policies],
      demands: [...demands],
      byClientUser: question.byClientUser,
      requestedAt: now,
      expiresAt: now + 1_000 * this.#options.expiresSeconds(),
      decidedAt: null,
      decidedBy: null,
      note: null,
      scanId: null,
    };
  }

  async #decide(
    id: string,
    decision: "grant" | "deny",
    decidedBy: string,
    note: string | null,
  ): Promise<Approval> {
    const cleaned = cleanNote(note);
    const rows = await this.#options.rows();
    const decided = await rows.decideApproval(id, {
      status: decision === "grant" ? "granted" : "denied",
      decidedAt: this.#options.wallNow(),
      decidedBy,
      note: cleaned,
    });
    this.#tell("approval.decided", decided);
    return decided;
  }

  /** Whether two subjects are one person as far as can be known. Unclear means that they are. */
  async #areOne(requester: string, decider: string): Promise<boolean> {
    return requester === decider ||
      await this.#isMadeBy(requester, decider) ||
      await this.#isMadeBy(decider, requester);
  }

  async #isMadeBy(subject: string, maker: string): Promise<boolean> {
    let made: string | null = subject;
    for (let step = 0; step < MAKERS_MAX; step++) {
      made = await this.#options.makerOf(made);
      if (made === null) return false;
      if (made === maker) return true;
    }
    return true;
  }

  /** What nobody decided in time is expired, also before its row says so. */
  #asOfNow(approval: Approval): Approval {
    const isLate = approval.status === "pending" &&
      this.#options.wallNow() >= approval.expiresAt;
    return isLate ? { ...approval, status: "expired" } : approval;
  }

  async #inTurn<T>(tenant: string, run: () => Promise<T>): Promise<T> {
    const asking = this.#asking.get(tenant) ??
      { last: Promise.resolve(), waiting: 0 };
    if (asking.waiting >= ASKING_MAX) {
      throw new AppError(
        "queue_full",
        "Cannot ask for approval: too many requests ask at once; try again in a moment",
        { retryAfter: 5 },
      );
    }
    this.#asking.set(tenant, asking);
    asking.waiting++;
    const turn = asking.last.then(run);
    asking.last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      if (--asking.waiting === 0) this.#asking.delete(tenant);
    }
  }

  #tell(
    kind: "approval.requested" | "approval.decided",
    approval: Approval,
  ): void {
    const { id, tenant, status, tool, target, requester, scanId } = approval;
    const { policies, byClientUser, expiresAt, decidedBy } = approval;
    this.#options.live.tell({
      kind,
      tenant,
      scanId,
      data: {
        approval_id: id,
        status,
        tool,
        target: clientText(target, TARGET_SHOWN_MAX),
        requester: clientText(requester.client, NAME_LENGTH_MAX),
        policies: policies.slice(0, 20),
        by_client_user: byClientUser,
        expires_at: isoTime(expiresAt),
        decided_by: decidedBy,
      },
    });
  }
}

/**
 * Equal digests are equal requests; still, what a person decides is what they were shown, so a request
 * that looks otherwise in any way is another one.
 */
function fits(approval: Approval, question: ApprovalQuestion): boolean {
  const { tool, target, demands, byClientUser } = question;
  return approval.tool === tool && approval.target === target &&
    approval.byClientUser === byClientUser &&
    JSON.stringify(approval.demands) === JSON.stringify(demands);
}

function usableUntil({ expiresAt, decidedAt }: Approval): number {
  return decidedAt === null
    ? expiresAt
    : Math.max(expiresAt, decidedAt + USE_GRACE_MS);
}

function expiryOf(
  { id, tenant, requester, tool, target, policies }: Approval,
): AuditEntry {
  const { subject } = requester;
  const request = { subject, tool, target, policies };
  return { kind: "approval_expired", tenant, approvalId: id, ...request };
}

function nameOf({ subject, client }: Principal): string {
  const name = clientText(client, NAME_LENGTH_MAX);
  return name === "" || name === subject ? subject : `${subject} (${name})`;
}

function cleanNote(note: string | null): string | null {
  if (note === null) return null;
  if (note.length > NOTE_LENGTH_MAX) {
    throw new AppError(
      "invalid_arguments",
      `Cannot take the note: it is longer than ${NOTE_LENGTH_MAX} characters`,
    );
  }
  const cleaned = cleanText(note, {
    lengthMax: NOTE_LENGTH_MAX,
    keepLines: true,
  }).trim();
  return cleaned === "" ? null : cleaned;
}

function known(id: string): string {
  if (ID.test(id)) return id;
  throw missing();
}

/** The same for what is not there and for what is another tenant's: nobody can tell the two apart. */
function missing(): AppError {
  return new AppError(
    "not_found",
    "Cannot find the request for approval: none of that id is kept",
  );
}
