/**
 * Scans at hand in memory, within a number of scans and a number of bytes. The oldest finished
 * scans go first; one that is alive is never dropped.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Report } from "@/tools/report.ts";
import { isOver, type Scan } from "./scan.ts";

/** Bounds of {@linkcode MemoryScans}. */
export interface MemoryScansOptions {
  /** Most scans. */
  readonly keep: number;
  /** Most bytes of raw output and, about, of reports over all scans. */
  readonly keepBytes: number;
}

/** Scans in memory. */
export class MemoryScans {
  readonly #scans = new Map<string, Scan>();
  #options: MemoryScansOptions;
  #bytes = 0;

  /** @param options The bounds. */
  constructor(options: MemoryScansOptions) {
    this.#options = options;
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

  /**
   * Takes a scan.
   *
   * @throws {AppError} `conflict` if it is here.
   */
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

  /**
   * Replaces some of a scan's fields.
   *
   * @throws {AppError} `not_found`.
   */
  update(id: string, change: Partial<Omit<Scan, "id" | "tenant">>): Scan {
    const before = this.find(id);
    if (before === null) {
      throw new AppError("not_found", `Cannot find the scan "${id}"`);
    }
    const after = { ...before, ...change };
    this.#count(before, -1);
    this.#count(after, 1);
    this.#scans.set(id, after);
    this.#evict();
    return after;
  }

  /** Gives a scan, or null if it is not here. */
  find(id: string): Scan | null {
    return this.#scans.get(id) ?? null;
  }

  /** Lets go of a scan that is over. */
  remove(id: string): void {
    const scan = this.find(id);
    if (scan === null || !isOver(scan)) return;
    this.#scans.delete(id);
    this.#count(scan, -1);
  }

  #count(scan: Scan, sign: 1 | -1): void {
    this.#bytes += sign * bytesOf(scan);
  }

  #evict(): void {
    const { keep, keepBytes } = this.#options;
    if (this.#scans.size <= keep && this.#bytes <= keepBytes) return;
    for (const scan of this.#scans.values()) {
      if (this.#scans.size <= keep && this.#bytes <= keepBytes) return;
      if (!isOver(scan)) continue;
      this.#scans.delete(scan.id);
      this.#count(scan, -1);
    }
  }
}

/** About what a host, a port, a path or a name takes in memory. */
const BYTES_PER_FINDING = 400;

function bytesOf({ raw, report }: Scan): number {
  return (raw?.byteLength ?? 0) + BYTES_PER_FINDING * findingsOf(report);
}

function findingsOf(report: Report | null): number {
  switch (report?.kind) {
    case undefined:
      return 0;
    case "hosts":
      return report.hosts.reduce((sum, { ports }) => sum + 1 + ports.length, 0);
    case "paths":
      return report.paths.length;
    case "names":
      return report.names.length;
  }
}
