/**
 * The audit log as the rest of the program has it: `append` an entry, and go on only when the promise
 * resolves. Then the entry is on the disk.
 *
 * Many calls at once share one write and one sync. While one block is written the next one gathers,
 * so the log gets faster per entry the more there is to do, and entries stand in the order of their
 * calls.
 *
 * It fails closed. What cannot be written is rejected, and so is all that comes behind it, until a
 * retry succeeds: a full disk means that nothing is scanned, and not that something is scanned
 * without a record.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { canonicalMembers } from "./canonical.ts";
import { Digest } from "./digest.ts";
import { type Audit, type AuditEntry, fieldsOf } from "./entry.ts";
import type { Hash } from "./text.ts";
import {
  type Anchor,
  type AuditLimits,
  AuditWriter,
  type AuditWriterOptions,
  type BlockNotes,
  type Draft,
} from "./writer.ts";

/** Most entries that wait for the disk. */
export const QUEUE_ENTRIES_MAX = 4_096;

/** Most bytes that wait for the disk. */
export const QUEUE_BYTES_MAX = 16_777_216;

/** Most entries and bytes of one block. */
const BLOCK_ENTRIES_MAX = 512;
const BLOCK_BYTES_MAX = 4_194_304;

/** Milliseconds after a failure in which nothing is tried. */
export const RETRY_MS = 1_000;

/** Milliseconds after which a write that has not ended counts as a failure to new entries. */
export const STALL_MS = 15_000;

/** What an {@linkcode AuditLog} is made of. */
export interface AuditLogOptions extends AuditWriterOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** How the log is. */
export interface AuditStatus {
  /** False: nothing can be recorded, so nothing may be scanned. */
  readonly healthy: boolean;
  /** Why not, without paths; null if it is healthy. */
  readonly reason: string | null;
  /** When it began, ISO 8601. */
  readonly since: string | null;
  /** The last line's number; null if the log could not be opened yet. */
  readonly seq: number | null;
  /** Entries that wait for the disk. */
  readonly waiting: number;
  /** Entries that were rejected since it stopped being healthy. */
  readonly rejected: number;
}

interface Waiting {
  /** Null for a trial without an entry. */
  readonly draft: Draft | null;
  readonly resolve: () => void;
  readonly reject: (error: AppError) => void;
}

interface Fault {
  readonly reason: string;
  readonly since: string;
  readonly triedAt: number;
}

/** The audit log. */
export class AuditLog implements Audit, AsyncDisposable {
  readonly #options: AuditLogOptions;
  readonly #hash: Hash;
  #limits: AuditLimits;
  #writer: AuditWriter | null = null;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #writing: Promise<void> | null = null;
  #blockStartedAt = 0;
  #fault: Fault | null = null;
  #rejected = 0;
  #rejectedSince: string | null = null;
  #closed = false;

  private constructor(options: AuditLogOptions, digest: Digest) {
    this.#options = options;
    this.#hash = (text) => digest.hash(text);
    this.#limits = options.limits;
  }

  /**
   * Opens the log. A disk that does not take it leaves a log that is not healthy and tries again.
   *
   * @param options Folder, key, limits and clocks.
   * @returns The log.
   * @throws {AppError} If the key is unfit, or the log was cut or changed.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const log = new AuditLog(options, await Digest.load(null));
    try {
      log.#writer = await AuditWriter.open(options);
    } catch (thrown) {
      if (thrown instanceof AppError) throw thrown;
      log.#failed(thrown);
      return log;
    }
    // The first line, or what was recovered, and the proof that it can be written.
    await log.probe();
    return log;
  }

  append(entry: AuditEntry): Promise<void> {
    const members = canonicalMembers(fieldsOf(entry, this.#hash));
    const draft = { time: this.#time(), kind: entry.kind, members };
    const refusal = this.#refusal(members.length);
    if (refusal !== null) {
      this.#countRejected(draft.time);
      return Promise.reject(refusal);
    }
    return this.#enqueue(draft);
  }

  /**
   * Finds out whether the log can be written, by writing its head anew.
   *
   * @returns How it is; it never rejects.
   */
  async probe(): Promise<AuditStatus> {
    try {
      if (!this.#closed && !this.#stalled()) await this.#enqueue(null);
    } catch {
      // The status says it.
    }
    return this.status;
  }

  /** How the log is, as far as it was seen. */
  get status(): AuditStatus {
    const stalled = this.#stalled();
    const reason = this.#fault?.reason ??
      (stalled ? "the disk does not answer" : null);
    return {
      healthy: reason === null,
      reason,
      since: this.#fault?.since ?? null,
      seq: this.#writer?.last.seq ?? null,
      waiting: this.#queue.length,
      rejected: this.#rejected,
    };
  }

  /** The last line that is on the disk; null if the log could not be opened yet. */
  get last(): Anchor | null {
    return this.#writer?.last ?? null;
  }

  /**
   * Takes new limits, after a reload.
   *
   * @param limits The limits.
   */
  reconfigure(limits: AuditLimits): void {
    this.#limits = limits;
    this.#writer?.reconfigure(limits);
  }

  /** Takes no more entries, writes those that wait and a last checkpoint. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#writing;
    const writer = this.#writer;
    if (writer === null || this.#fault !== null) return;
    if (writer.sinceCheckpoint === 0) return;
    try {
      await writer.commit([], this.#notes(true));
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  #enqueue(draft: Draft | null): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ draft, resolve, reject });
      this.#queuedBytes += draft?.members.length ?? 0;
      if (this.#writing !== null) return;
      this.#blockStartedAt = this.#options.now();
      this.#writing = this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // What is called in the same turn goes into the same block.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const block = this.#takeBlock();
      try {
        this.#blockStartedAt = this.#options.now();
        await this.#commit(block);
        for (const { resolve } of block) resolve();
      } catch (thrown) {
        const error = this.#failed(thrown);
        // What waits behind it would overtake it, or fail likewise.
        for (const one of [...block, ...this.#queue]) this.#reject(one, error);
        this.#queue = [];
        this.#queuedBytes = 0;
      }
    }
    this.#writing = null;
  }

  #takeBlock(): readonly Waiting[] {
    let [count, bytes] = [0, 0];
    for (const { draft } of this.#queue) {
      const length = draft?.members.length ?? 0;
      if (count >= BLOCK_ENTRIES_MAX) break;
      if (count > 0 && bytes + length > BLOCK_BYTES_MAX) break;
      count += 1;
      bytes += length;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  async #commit(block: readonly Waiting[]): Promise<void> {
    this.#writer ??= await AuditWriter.open({
      ...this.#options,
      limits: this.#limits,
    });
    const drafts = block.flatMap(({ draft }) => draft ?? []);
    const notes = this.#notes(false);
    await this.#writer.commit(drafts, notes);
    this.#fault = null;
    this.#rejected -= notes.rejected;
    if (this.#rejected === 0) this.#rejectedSince = null;
  }

  #notes(closing: boolean): BlockNotes {
    const [rejected, since] = [this.#rejected, this.#rejectedSince];
    return { rejected, since, closing };
  }

  #reject({ draft, reject }: Waiting, error: AppError): void {
    if (draft !== null) this.#countRejected(draft.time);
    reject(error);
  }

  #countRejected(time: string): void {
    this.#rejected += 1;
    this.#rejectedSince ??= time;
  }

  #failed(thrown: unknown): AppError {
    const reason = reasonOf(thrown);
    const detail = thrown instanceof AppError
      ? thrown.detail ?? thrown.message
      : String(thrown);
    if (this.#fault?.reason !== reason) {
      this.#options.onWarning("the audit log cannot be written", detail);
    }
    this.#fault = {
      reason,
      since: this.#fault?.since ?? this.#time(),
      triedAt: this.#options.now(),
    };
    return cannotRecord(reason, detail);
  }

  /** Why an entry is refused without a try, or null. */
  #refusal(bytes: number): AppError | null {
    if (this.#closed) return cannotRecord("the server is stopping");
    if (this.#stalled()) return cannotRecord("the disk does not answer");
    const fault = this.#fault;
    if (
      fault !== null && this.#options.now() - fault.triedAt < RETRY_MS
    ) return cannotRecord(fault.reason);
    if (
      this.#queue.length < QUEUE_ENTRIES_MAX &&
      this.#queuedBytes + bytes <= QUEUE_BYTES_MAX
    ) return null;
    return new AppError(
      "queue_full",
      "Cannot record the request in the audit log: too many requests wait for the disk; call again " +
        "in a moment",
      { retryAfter: 1 },
    );
  }

  #stalled(): boolean {
    return this.#writing !== null &&
      this.#options.now() - this.#blockStartedAt > STALL_MS;
  }

  #time(): string {
    return new Date(this.#options.wallNow()).toISOString();
  }
}

function cannotRecord(reason: string, detail?: string): AppError {
  return new AppError(
    "tool_unavailable",
    `Cannot record the request in the audit log: ${reason}; no scan starts until it can be ` +
      "written again",
    { retryAfter: 5, ...(detail === undefined ? {} : { detail }) },
  );
}

/** The disk's complaints in words without a path. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "the disk quota is used up"],
  ["EROFS", "the disk is read-only"],
  ["EIO", "the disk has a fault"],
  ["EMFILE", "too many files are open"],
  ["ENFILE", "too many files are open"],
  ["EFBIG", "the file is larger than it may be"],
  ["EACCES", "the server's user may not write it"],
  ["EPERM", "the server's user may not write it"],
  ["ENOENT", "its folder is gone"],
  ["ENOTDIR", "its folder is no folder"],
]);

function reasonOf(thrown: unknown): string {
  if (thrown instanceof AppError) {
    return thrown.message.replace(/^Cannot [^:]*: /, "");
  }
  if (thrown instanceof Deno.errors.NotCapable) {
    return "this program may not write it";
  }
  const { code } = thrown as { code?: unknown };
  return (typeof code === "string" ? REASONS.get(code) : undefined) ??
    "the disk does not take it";
}
