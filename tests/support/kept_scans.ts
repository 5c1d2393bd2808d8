/**
 * Scans in memory for tests of what stands above the store.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { MemoryScans } from "@/scans/memory.ts";
import {
  isOver,
  type Recorded,
  type RequestKeys,
  type Scan,
  type ScanFilter,
  type ScanHead,
  type Scans,
} from "@/scans/scan.ts";
import { noScan } from "@/store/no_scan.ts";
import { headOf } from "@/scans/summary.ts";
import type { Report } from "@/tools/report.ts";

/** Scans that are lost with the process. */
export class KeptScans implements Scans {
  readonly #memory = new MemoryScans({ keep: 10_000, keepBytes: 1_000_000 });
  readonly #ids: string[] = [];
  readonly #keys = new Map<string, RequestKeys & { readonly id: string }>();
  /** What was found while a scan ran, in order. */
  readonly findings: { readonly id: string; readonly report: Report }[] = [];
  /** Set where nothing can be recorded. */
  fault: AppError | null = null;

  /** Set where it cannot be recorded that a scan runs. */
  startFault: AppError | null = null;

  /** How many scans are alive. */
  get alive(): number {
    return this.#ids.filter((id) => !isOver(this.now(id))).length;
  }

  /** A scan as it is now. */
  now(id: string): Scan {
    const scan = this.#memory.find(id);
    if (scan === null) throw noScan();
    return scan;
  }

  /** All scans, newest first. */
  newest(): readonly Scan[] {
    return [...this.#ids].sort().reverse().map((id) => this.now(id));
  }

  create(scan: Scan, keys: RequestKeys): Promise<Recorded> {
    if (this.fault !== null) return Promise.reject(this.fault);
    const { idempotencyKey: key, digest } = keys;
    const own = `${scan.tenant} ${key ?? scan.id}`;
    const known = key === null ? undefined : this.#keys.get(own);
    if (known !== undefined) {
      return known.digest === digest
        ? Promise.resolve({ scan: this.now(known.id), created: false })
        : Promise.reject(new AppError("conflict", "Cannot use that key"));
    }
    this.adopt(scan);
    this.#keys.set(own, { ...keys, id: scan.id });
    return Promise.resolve({ scan, created: true });
  }

  adopt(scan: Scan): void {
    this.#memory.create(scan);
    this.#ids.push(scan.id);
  }

  start(id: string, startedAt: number): Promise<Scan> {
    if (this.startFault !== null) return Promise.reject(this.startFault);
    return Promise.resolve(this.update(id, { status: "running", startedAt }));
  }

  update(id: string, change: Partial<Omit<Scan, "id">>): Scan {
    return this.#memory.update(id, change);
  }

  found(id: string, report: Report): void {
    this.findings.push({ id, report });
  }

  end(id: string, change: Partial<Omit<Scan, "id">>): Promise<Scan> {
    return Promise.resolve().then(() => this.#memory.update(id, change));
  }

  get(id: string): Promise<Scan> {
    return Promise.resolve().then(() => this.now(id));
  }

  list({ tenant, limit }: ScanFilter): Promise<readonly ScanHead[]> {
    const own = this.newest().filter((scan) => scan.tenant === tenant);
    return Promise.resolve(own.slice(0, limit).map(headOf));
  }

  answerTo(
    digest: string,
    since: number,
    tenant: string,
  ): Promise<Scan | null> {
    const found = [...this.#keys.values()]
      .filter((known) => known.digest === digest)
      .map(({ id }) => this.now(id))
      .filter((scan) => scan.tenant === tenant)
      .findLast(({ status, finishedAt }) =>
        status === "succeeded" && (finishedAt ?? 0) >= since
      );
    return Promise.resolve(found ?? null);
  }
}
