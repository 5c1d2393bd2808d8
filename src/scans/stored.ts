/**
 * Scans that last: those of this process at hand in memory, all of them in the store.
 *
 * A scan is in the store before it starts. What it finds follows as it is found, and its end before
 * anybody is told of it. A store that does not take an end (a full disk, a server that is away) loses
 * nothing: the end stays here and is offered again until it is taken.
 *
 * @module
 */
import { type AppError, toAppError } from "@/error/app_error.ts";
import type { ScanChange, ScanEnd } from "@/store/scan_record.ts";
import { isEnd } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import type { Report } from "@/tools/report.ts";
import { noCursor, writeCursor } from "@/store/cursor.ts";
import { goneOf } from "./gone.ts";
import { isScanId } from "./id.ts";
import { headOfStored, loadScan } from "./load.ts";
import { MemoryScans, type MemoryScansOptions } from "./memory.ts";
import {
  isOver,
  type Recorded,
  type RequestKeys,
  type Scan,
  type ScanFilter,
  type ScanHead,
  type Scans,
} from "./scan.ts";
import { headOf, summarize } from "./summary.ts";

/** Findings of one scan that wait for the store; more are left to the scan's end. */
const WAITING_MAX = 32;

/** Scans whose making was in doubt that are remembered. */
const DOUBTFUL_MAX = 1_000;

/** Milliseconds after which an end that was not taken is offered again. */
export const RETRY_MS = 5_000;

/** What of a store is used. */
export type ScanStore = Pick<
  Store,
  | "createScan"
  | "updateScan"
  | "appendFindings"
  | "finishScan"
  | "getScan"
  | "getReport"
  | "getRaw"
  | "listScans"
>;

/** What {@linkcode StoredScans} works with. */
export interface StoredScansOptions {
  /** Gives the store, opening it at the first call. */
  readonly store: () => Promise<ScanStore>;
  /** Bounds of what is at hand in memory. */
  readonly memory: MemoryScansOptions;
  /** Hears of a scan that another server took over, because it took this one for dead. */
  readonly onLost: (scanId: string) => void;
  /** Hears of what could not be kept. */
  readonly onError: (what: string, scanId: string, error: AppError) => void;
  /** Runs something later. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Scans in memory and in the store. */
export class StoredScans implements Scans, AsyncDisposable {
  readonly #options: StoredScansOptions;
  readonly #near: MemoryScans;
  /** Made once each: a summary reads the whole report. */
  readonly #heads = new WeakMap<Scan, ScanHead>();
  /** What is written for a scan that is alive here, one after the other. */
  readonly #writing = new Map<
    string,
    { last: Promise<void>; waiting: number }
  >();
  /** Scans whose end the store has not taken yet. */
  readonly #untaken = new Map<string, Scan>();
  /** Scans that the store may have taken although it said that it could not. */
  readonly #doubtful = new Map<string, Scan>();
  #retry: (() => void) | null = null;

  /** @param options Store and bounds. */
  constructor(options: StoredScansOptions) {
    this.#options = options;
    this.#near = new MemoryScans(options.memory);
  }

  /** How many ends wait for the store. */
  get untaken(): number {
    return this.#untaken.size;
  }

  /**
   * Takes new bounds, after a reload.
   *
   * @param memory The bounds.
   */
  reconfigure(memory: MemoryScansOptions): void {
    this.#near.reconfigure(memory);
  }

  async create(scan: Scan, keys: RequestKeys): Promise<Recorded> {
    const store = await this.#options.store();
    const { scan: stored, created } = await store.createScan({
      id: scan.id,
      tenant: scan.tenant,
      tool: scan.tool,
      request: scan.request,
      target: scan.target,
      queuedAt: scan.queuedAt,
      traceId: scan.traceId,
      engagement: scan.engagement,
      tags: scan.tags,
      client: scan.client,
      askedBy: scan.askedBy,
      idempotencyKey: keys.idempotencyKey,
      requestDigest: keys.digest,
    }).catch((thrown) => {
      const error = toAppError(thrown);
      this.#doubt(scan, error);
      throw error;
    });
    if (!created) return { scan: await this.get(stored.id), created };
    this.#near.create(scan);
    return { scan, created };
  }

  async start(id: string, startedAt: number): Promise<Scan> {
    const change = { status: "running", startedAt } as const;
    const store = await this.#options.store();
    await store.updateScan(id, change);
    return this.#near.update(id, change);
  }

  adopt(scan: Scan): void {
    this.#near.create(scan);
  }

  update(id: string, change: Partial<Omit<Scan, "id" | "tenant">>): Scan {
    const scan = this.#near.update(id, change);
    const kept = changeOf(change);
    if (kept !== null) {
      this.#write(
        id,
        "a change",
        (store) => store.updateScan(id, kept),
      );
    }
    return scan;
  }

  found(id: string, report: Report): void {
    if ((this.#writing.get(id)?.waiting ?? 0) >= WAITING_MAX) return;
    this.#write(
      id,
      "findings",
      (store) => store.appendFindings(id, report),
    );
  }

  async end(
    id: string,
    change: Partial<Omit<Scan, "id" | "tenant">>,
  ): Promise<Scan> {
    const scan = this.#near.update(id, change);
    const writing = this.#writing.get(id);
    // The end holds everything that still waits.
    this.#writing.delete(id);
    await writing?.last;
    if (!await this.#offer(scan)) this.#again();
    return scan;
  }

  async get(id: string): Promise<Scan> {
    const near = this.#untaken.get(id) ?? this.#near.find(id);
    if (near !== null) return near;
    const scan = await loadScan(await this.#options.store(), id);
    // One that is alive in another process changes there.
    if (isOver(scan) && this.#near.find(id) === null) this.#near.create(scan);
    return scan;
  }

  async list(filter: ScanFilter): Promise<readonly ScanHead[]> {
    const { before, limit, ...cut } = filter;
    const store = await this.#options.store();
    const { items } = await store.listScans(cut, {
      cursor: before === undefined ? null : cursorBehind(before),
      limit,
    });
    return items.map((stored) => {
      // What is at hand is never older than what is kept.
      const near = this.#untaken.get(stored.id) ?? this.#near.find(stored.id);
      return near === null ? headOfStored(stored) : this.#headOf(near);
    });
  }

  async answerTo(
    digest: string,
    since: number,
    tenant: string,
  ): Promise<Scan | null> {
    const store = await this.#options.store();
    const { items: [last] } = await store.listScans(
      { tenant, requestDigest: digest, status: "succeeded" },
      { limit: 1 },
    );
    if (last === undefined || (last.finishedAt ?? 0) < since) return null;
    return await this.get(last.id);
  }

  /**
   * Forgets scans that are in the store no longer.
   *
   * @param ids Their ids.
   */
  forget(ids: readonly string[]): void {
    for (const id of ids) this.#near.remove(id);
  }

  #headOf(scan: Scan): ScanHead {
    const known = this.#heads.get(scan);
    if (known !== undefined) return known;
    const head = headOf(scan);
    this.#heads.set(scan, head);
    return head;
  }

  /** Offers what was not taken a last time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#retry?.();
    this.#retry = null;
    await this.#offerAll();
  }

  /** Writes in order, one at a time for each scan, and never lets the scan fail for it. */
  #write(
    id: string,
    what: string,
    write: (store: ScanStore) => Promise<unknown>,
  ): void {
    const before = this.#writing.get(id) ??
      { last: Promise.resolve(), waiting: 0 };
    const last = before.last.then(async () => {
      const now = this.#writing.get(id);
      if (now === undefined) return;
      try {
        await write(await this.#options.store());
      } catch (thrown) {
        this.#failed(what, id, toAppError(thrown));
      }
      const after = this.#writing.get(id);
      if (after === undefined) return;
      this.#writing.set(id, { ...after, waiting: after.waiting - 1 });
    });
    this.#writing.set(id, { last, waiting: before.waiting + 1 });
  }

  #failed(what: string, id: string, error: AppError): void {
    this.#options.onError(what, id, error);
    if (error.code === "conflict") this.#options.onLost(id);
  }

  /** The store may have taken a scan although its answer was lost: it must not wait there for ever. */
  #doubt(scan: Scan, error: AppError): void {
    if (error.code === "conflict" || this.#doubtful.size >= DOUBTFUL_MAX) {
      return;
    }
    this.#doubtful.set(scan.id, {
      ...scan,
      status: "failed",
      finishedAt: scan.queuedAt,
      error: error.toBody(),
    });
    this.#again();
  }

  /** Offers everything again after a while. */
  #again(): void {
    this.#retry ??= this.#options.after(RETRY_MS, async () => {
      this.#retry = null;
      await this.#offerAll();
      if (this.#untaken.size + this.#doubtful.size > 0) this.#again();
    });
  }

  async #offerAll(): Promise<void> {
    for (const scan of [...this.#untaken.values()]) await this.#offer(scan);
    for (const scan of [...this.#doubtful.values()]) await this.#settle(scan);
  }

  /** @returns Whether the store has the end now. */
  async #offer(scan: Scan): Promise<boolean> {
    const error = await this.#finish(scan.id, endOf(scan));
    const bare = error === null || isPassing(error) || error.code === "conflict"
      ? error
      // Something in its findings does not fit: the scan is kept without them, and says so.
      : await this.#finish(scan.id, bareEndOf(scan));
    if (error !== null) this.#failed("the end", scan.id, error);
    // The record is another server's now.
    if (error?.code === "conflict") this.#near.remove(scan.id);
    if (bare === null || !isPassing(bare)) {
      this.#untaken.delete(scan.id);
      return true;
    }
    this.#untaken.set(scan.id, scan);
    return false;
  }

  async #settle(scan: Scan): Promise<void> {
    const error = await this.#finish(scan.id, endOf(scan));
    if (error === null || !isPassing(error)) this.#doubtful.delete(scan.id);
  }

  async #finish(id: string, end: ScanEnd): Promise<AppError | null> {
    try {
      const store = await this.#options.store();
      await store.finishScan(id, end);
      return null;
    } catch (thrown) {
      return toAppError(thrown);
    }
  }
}

/** A page ends with a scan's id, and what came back from a client may be anything. */
function cursorBehind(id: string): string {
  if (isScanId(id)) return writeCursor("scans", [id]);
  throw noCursor();
}

/** Whether the same may succeed later: a full disk, a server that is away. */
function isPassing({ code }: AppError): boolean {
  return code === "tool_unavailable" || code === "interrupted";
}

/** What of a change is worth a write of its own: progress is not, it comes several times a second. */
function changeOf(
  change: Partial<Omit<Scan, "id" | "tenant">>,
): ScanChange | null {
  const { status, startedAt, argv, targets, scanType } = change;
  const kept: ScanChange = {
    ...(status === undefined ? {} : { status }),
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(argv === undefined ? {} : { argv }),
    ...(targets === undefined ? {} : { targets }),
    ...(scanType === undefined ? {} : { scanType }),
  };
  return Object.keys(kept).length === 0 ? null : kept;
}

/** The end of a scan whose findings cannot be kept. */
function bareEndOf(scan: Scan): ScanEnd {
  const { report: _report, raw: _raw, gone: _gone, ...end } = endOf(scan);
  const note = "the database did not take what was found";
  return { ...end, notes: [...scan.notes, note] };
}

function endOf(scan: Scan): ScanEnd {
  if (!isEnd(scan.status)) {
    throw new TypeError(`Cannot end a scan as "${scan.status}"`);
  }
  return {
    status: scan.status,
    startedAt: scan.startedAt,
    finishedAt: scan.finishedAt ?? scan.queuedAt,
    argv: scan.argv,
    targets: scan.targets,
    scanType: scan.scanType,
    error: scan.error,
    notes: scan.notes,
    summary: summarize(scan),
    rawTruncated: scan.rawTruncated,
    report: scan.report,
    gone: goneOf(scan),
    raw: scan.raw,
    // What never started answers no later call: its refusal has passed by then.
    keepsKey: scan.startedAt !== null,
  };
}
