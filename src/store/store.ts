/**
 * The store: everything that the program knows of its scans, for as long as retention lets it.
 *
 * The class is the list of what can be asked; each answer is in a file of its own. It knows nothing of
 * who asks: what a client may see is decided above. Lists are of one tenant, which is named each time;
 * what is asked for by its id says whose it is, and who asks compares.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { HostReport, Report } from "@/tools/report.ts";
import {
  type ApprovalDecision,
  type ApprovalFilter,
  createApproval,
  decideApproval,
  expireApprovals,
  getApproval,
  listApprovals,
  setApprovalScan,
  type StoredApproval,
} from "./approval_rows.ts";
import { checkStore, type StoreProblem } from "./check.ts";
import { appendFindings } from "./findings.ts";
import { finishScan } from "./finish.ts";
import {
  type InventoryFilter,
  type InventoryHost,
  inventoryHosts,
  type InventoryService,
  inventoryServices,
  type ServiceFilter,
} from "./inventory.ts";
import {
  countKeys,
  createKey,
  findKey,
  type KeyChange,
  listKeys,
  type StoredKey,
  updateKey,
} from "./key_rows.ts";
import type { Link } from "./link.ts";
import type { DatabaseKind } from "./migrations.ts";
import { appendRaw, getRaw, type RawPart } from "./raw_output.ts";
import {
  adopt,
  recover,
  type Recovered,
  type RecoverOptions,
} from "./recover.ts";
import {
  getReport,
  type ReportFilter,
  reportHosts,
  type ReportOptions,
  reportPaths,
} from "./report_rows.ts";
import {
  finishRemovals,
  planRetention,
  type Retention,
  type RetentionPlan,
  type RetentionRules,
  runRetention,
} from "./retention.ts";
import {
  becomeRunner,
  isListed,
  leave,
  proveWritable,
  type Runner,
  type Watch,
} from "./runners.ts";
import type {
  NewScan,
  Page,
  PageOptions,
  ScanChange,
  ScanEnd,
  StoredScan,
  StoredScanFilter,
} from "./scan_record.ts";
import {
  countAlive,
  type Created,
  createScan,
  getScan,
  listScans,
  type OwnScan,
  updateScan,
} from "./scan_rows.ts";
import { type Found, search, type SearchFilter } from "./search.ts";
import { type StoreStats, storeStats } from "./stats.ts";

/** A report's bounds where the caller names none. */
const WHOLE: ReportOptions = { itemsMax: 65_536, portsMax: 262_144 };

/** What a {@linkcode Store} is made of. */
export interface StoreParts {
  readonly link: Link;
  readonly watch: Watch;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Closes the connections. */
  readonly close: () => Promise<void>;
}

/** The durable store. Every method may reject with an `AppError`. */
export class Store implements AsyncDisposable {
  readonly #parts: StoreParts;
  #runner: Promise<Runner> | null = null;
  #closed: Promise<void> | null = null;

  /** @param parts The open database. */
  constructor(parts: StoreParts) {
    this.#parts = parts;
  }

  /** Which database. */
  get kind(): DatabaseKind {
    return this.#parts.link.kind;
  }

  /** Which database, for messages: without a password. */
  get shown(): string {
    return this.#parts.link.shown;
  }

  /**
   * Records a scan before it starts: when this resolves, the record outlives a loss of power.
   *
   * @returns The scan, or the one that the same idempotency key and request made before.
   * @throws {AppError} `conflict` if the key made another request.
   */
  async createScan(scan: NewScan): Promise<Created> {
    return await createScan(this.#link, scan, await this.#becomeRunner());
  }

  /**
   * Changes a scan that is alive.
   *
   * @throws {AppError} `not_found`; `conflict` if it is over, as an ended scan never changes, or
   * belongs to another process: so it is with every write.
   */
  async updateScan(id: string, change: ScanChange): Promise<StoredScan> {
    return await updateScan(this.#link, await this.#own(id), change);
  }

  /** Keeps what was found so far: everything again, or what is new. */
  async appendFindings(
    id: string,
    report: Report,
    seenAt: number = this.#parts.now(),
  ): Promise<void> {
    const own = await this.#own(id);
    await appendFindings(this.#link, own, report, Math.round(seenAt));
  }

  /** Keeps output of the tool behind what is kept already. */
  async appendRaw(id: string, bytes: Uint8Array): Promise<void> {
    await appendRaw(this.#link, await this.#own(id), bytes);
  }

  /** Keeps the whole result and ends the scan. */
  async finishScan(id: string, end: ScanEnd): Promise<StoredScan> {
    return await finishScan(this.#link, await this.#own(id), {
      ...end,
      finishedAt: Math.round(end.finishedAt),
    });
  }

  /** Of whichever tenant: the scan says whose it is. @throws {AppError} `not_found`. */
  async getScan(id: string): Promise<StoredScan> {
    return await getScan(this.#link, id);
  }

  /** A tenant's scans, newest first. */
  async listScans(
    filter: StoredScanFilter,
    page: PageOptions,
  ): Promise<Page<StoredScan>> {
    return await listScans(this.#link, filter, page);
  }

  /** How many scans are queued or running, of all processes. */
  async countAlive(): Promise<number> {
    return await countAlive(this.#link);
  }

  /** Finds out whether a scan could be recorded, by writing. */
  async probe(): Promise<void> {
    await proveWritable(this.#link, this.#parts.now());
  }

  /** The report whole, within bounds; null if the scan has none. */
  async getReport(
    id: string,
    options: ReportOptions = WHOLE,
  ): Promise<Report | null> {
    return await getReport(this.#link, id, options);
  }

  /** A report's hosts with their ports, by address. */
  async reportHosts(
    id: string,
    filter: ReportFilter,
    page: PageOptions,
  ): Promise<Page<HostReport>> {
    return await reportHosts(this.#link, id, filter, page);
  }

  /** A report's paths or names, as they were found. */
  async reportPaths(
    id: string,
    page: PageOptions,
  ): ReturnType<typeof reportPaths> {
    return await reportPaths(this.#link, id, page);
  }

  /** A part of what the tool printed. */
  async getRaw(id: string, offset: number, length: number): Promise<RawPart> {
    return await getRaw(this.#link, id, offset, length);
  }

  /** Hosts over all scans of a tenant. */
  async inventoryHosts(
    filter: InventoryFilter,
    page: PageOptions,
  ): Promise<Page<InventoryHost>> {
    return await inventoryHosts(this.#link, filter, page);
  }

  /** Services over all scans of a tenant. */
  async inventoryServices(
    filter: ServiceFilter,
    page: PageOptions,
  ): Promise<Page<InventoryService>> {
    return await inventoryServices(this.#link, filter, page);
  }

  /** Full-text search over what services said to a tenant's scans, newest sightings first. */
  async search(
    text: string,
    filter: SearchFilter,
    page: PageOptions,
  ): Promise<Page<Found>> {
    return await search(this.#link, text, filter, page);
  }

  /** Takes over what dead processes left: before the first scan of this one. */
  async recover(
    options: Omit<RecoverOptions, "now">,
  ): Promise<Recovered> {
    const { link, watch, now } = this.#parts;
    const runner = await this.#becomeRunner();
    return await recover(link, watch, runner, { ...options, now: now() });
  }

  /**
   * Takes over one scan that a dead process left.
   *
   * @throws {AppError} `not_found`; `conflict` if it is over or its process is alive.
   */
  async adopt(id: string): Promise<void> {
    const runner = await this.#becomeRunner();
    await adopt(this.#link, this.#parts.watch, { id, runner });
  }

  /** Ends removals that a killed process began. */
  async finishRemovals(): Promise<number> {
    return await finishRemovals(this.#link);
  }

  /** Keeps a new API key. @throws {AppError} `conflict`, `quota_exceeded`. */
  async createKey(key: StoredKey): Promise<void> {
    await createKey(this.#link, key);
  }

  /** Of whichever tenant; null if there is none of that id. */
  async findKey(id: string): Promise<StoredKey | null> {
    return await findKey(this.#link, id);
  }

  /** The keys of a tenant; null for those of every tenant. */
  async listKeys(tenant: string | null): Promise<readonly StoredKey[]> {
    return await listKeys(this.#link, tenant);
  }

  /** @throws {AppError} `not_found`, `conflict`. */
  async updateKey(id: string, change: KeyChange): Promise<StoredKey> {
    return await updateKey(this.#link, id, change);
  }

  /** How many keys are neither revoked nor expired, of every tenant. */
  async countKeys(): Promise<number> {
    return await countKeys(this.#link, this.#parts.now());
  }

  /** Keeps a request for approval. @throws {AppError} `conflict`, `quota_exceeded`. */
  async createApproval(approval: StoredApproval): Promise<void> {
    await createApproval(this.#link, approval);
  }

  /** Of whichever tenant: it says whose it is. @throws {AppError} `not_found`. */
  async getApproval(id: string): Promise<StoredApproval> {
    return await getApproval(this.#link, id);
  }

  /** A tenant's requests for approval, newest first. */
  async listApprovals(
    filter: ApprovalFilter,
    page: PageOptions,
  ): Promise<Page<StoredApproval>> {
    return await listApprovals(this.#link, filter, page);
  }

  /** Decides once. @throws {AppError} `not_found`; `conflict` if it is decided or has expired. */
  async decideApproval(
    id: string,
    decision: ApprovalDecision,
  ): Promise<StoredApproval> {
    return await decideApproval(this.#link, id, decision);
  }

  /** Notes the scan of a granted request, once. @throws {AppError} `not_found`, `conflict`. */
  async setApprovalScan(id: string, scanId: string): Promise<StoredApproval> {
    return await setApprovalScan(this.#link, id, scanId);
  }

  /** Ends the wait of requests that nobody decided in time, and gives those that ended by this call. */
  async expireApprovals(
    now: number = this.#parts.now(),
  ): Promise<readonly StoredApproval[]> {
    return await expireApprovals(this.#link, now);
  }

  /** What retention would remove. */
  async planRetention(rules: RetentionRules): Promise<RetentionPlan> {
    return await planRetention(this.#link, rules);
  }

  /** Removes what a plan names, where nothing keeps it by now, and gives the room back. */
  async runRetention(plan: RetentionPlan): Promise<Retention> {
    return await runRetention(this.#link, plan);
  }

  /** What is wrong with the store; empty if nothing is. */
  async check(): Promise<StoreProblem[]> {
    return await checkStore(this.#link);
  }

  /** Figures for metrics: of every tenant, or of one. */
  async stats(tenant: string | null = null): Promise<StoreStats> {
    return await storeStats(this.#link, tenant);
  }

  /** Lets go of the database. Scans that this process has alive are for the next one to recover. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #link(): Link {
    if (this.#closed === null) return this.#parts.link;
    throw new AppError(
      "interrupted",
      "Cannot use the store: the server is stopping; try again when it has started",
    );
  }

  /** A scan, as one that this process writes to. Being a runner is enough: the row says whose it is. */
  async #own(id: string): Promise<OwnScan> {
    const { no } = await this.#runnerOnce();
    return { id, runner: no };
  }

  /**
   * Makes sure that this process is a runner and taken for alive: before it takes scans on. One that
   * was struck off while it had lost the database begins anew; what it had at work is another's.
   */
  async #becomeRunner(): Promise<number> {
    const { watch } = this.#parts;
    const known = this.#runnerOnce();
    const runner = await known;
    try {
      await watch.hold();
    } catch (thrown) {
      throw this.#link.error(thrown);
    }
    if (await isListed(this.#link, runner.no)) return runner.no;
    if (this.#runner === known) this.#runner = null;
    const next = await this.#runnerOnce();
    await runner.release();
    return next.no;
  }

  /** Once, and only where scans are written: a command that only reads is no runner. */
  #runnerOnce(): Promise<Runner> {
    const { watch, now } = this.#parts;
    const link = this.#link;
    this.#runner ??= becomeRunner(link, watch, now()).catch((thrown) => {
      this.#runner = null;
      throw link.error(thrown);
    });
    return this.#runner;
  }

  async #close(): Promise<void> {
    const { link, watch, close } = this.#parts;
    const runner = await this.#runner?.catch(() => null) ?? null;
    try {
      if (runner !== null) await leave(link, runner.no);
    } catch {
      // A database that is gone or damaged keeps nobody from stopping.
    }
    await watch[Symbol.asyncDispose]();
    await close();
  }
}
