/**
 * Keeps scans in memory, within a number of scans and a number of raw bytes. The oldest finished
 * scans go first; one that is alive is never dropped.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { isOver, type Scan, type ScanFilter, type Scans } from "./scan.ts";

/** Bounds of {@linkcode MemoryScans}. */
export interface MemoryScansOptions {
  /** Most scans. */
  readonly keep: number;
  /** Most bytes of raw output over all scans. */
  readonly keepBytes: number;
}

/** Scans in memory, lost with the process. */
export class MemoryScans implements Scans {
  readonly #scans = new Map<string, Scan>();
  #options: MemoryScansOptions;
  #rawBytes = 0;
  #alive = 0;

  /** @param options The bounds. */
  constructor(options: MemoryScansOptions) {
    this.#options = options;
  }

  /** How many scans are alive. */
  get alive(): number {
    return this.#alive;
  }

  /**
   * Takes new bounds, after a reload.
   *
   * @param options The bounds.
   */
  reconfigure(options: MemoryScansOptions): void {
    this.#options = options;
    this.#evict();
  }

  /** Records a scan before it starts. */
  create(scan: Scan): void {
    if (this.#scans.has(scan.id)) {
      throw new AppError(
        "conflict",
        `Cannot record the scan "${scan.id}": it exists`,
      );
    }
    this.#scans.set(scan.id, scan);
    this.#count(scan, 1);
    this.#evict();
  }

  /** Replaces some of a scan's fields. */
  update(id: string, change: Partial<Omit<Scan, "id">>): Scan {
    const before = this.get(id);
    const after = { ...before, ...change };
    this.#count(before, -1);
    this.#count(after, 1);
    this.#scans.set(id, after);
    this.#evict();
    return after;
  }

  /** @throws {AppError} `not_found`. */
  get(id: string): Scan {
    const scan = this.#scans.get(id);
    if (scan === undefined) {
      throw new AppError(
        "not_found",
        "Cannot find the scan: no scan with that scan_id is kept; scan_list names those that are",
      );
    }
    return scan;
  }

  /** Newest first. */
  list(filter: ScanFilter): readonly Scan[] {
    const found: Scan[] = [];
    // By id and not by arrival: the cursor of the next page is an id, and two scans of the same
    // millisecond (or of a clock that was set back) arrive in another order than their ids sort.
    const sorted = [...this.#scans.values()].sort((a, b) =>
      a.id < b.id ? 1 : -1
    );
    for (const scan of sorted) {
      if (found.length >= filter.limit) break;
      if (filter.status !== undefined && scan.status !== filter.status) {
        continue;
      }
      if (filter.tool !== undefined && scan.tool !== filter.tool) continue;
      if (filter.before !== undefined && scan.id >= filter.before) continue;
      found.push(scan);
    }
    return found;
  }

  #count(scan: Scan, sign: 1 | -1): void {
    this.#rawBytes += sign * (scan.raw?.byteLength ?? 0);
    if (!isOver(scan)) this.#alive += sign;
  }

  #evict(): void {
    const { keep, keepBytes } = this.#options;
    if (this.#scans.size <= keep && this.#rawBytes <= keepBytes) return;
    for (const scan of this.#scans.values()) {
      if (this.#scans.size <= keep && this.#rawBytes <= keepBytes) return;
      if (!isOver(scan)) continue;
      this.#scans.delete(scan.id);
      this.#count(scan, -1);
    }
  }
}
