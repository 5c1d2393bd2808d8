/**
 * One scan under way and the callers that wait for it.
 *
 * An identical call that arrives while the scan still runs joins it. A caller that goes away leaves
 * the others alone; when the last one has gone and nobody asked for a background scan, the scan ends.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Scan } from "@/scans/scan.ts";
import type { Progress } from "@/tools/tool.ts";

/** A scan under way. */
export class Run {
  /** The scan's id. */
  readonly id: string;
  /** Resolves with the scan as it was recorded, or as it failed to be; never rejects. */
  readonly accepted: Promise<Scan>;
  /** Resolves with the scan as it ended; never rejects. */
  readonly done: Promise<Scan>;
  readonly #accepted = Promise.withResolvers<Scan>();
  readonly #controller = new AbortController();
  readonly #listeners = new Set<(progress: Progress) => void>();
  #followers = 0;
  #kept = false;

  /**
   * @param id The scan's id.
   * @param perform Does the work; must not reject.
   */
  constructor(id: string, perform: (run: Run) => Promise<Scan>) {
    this.id = id;
    this.accepted = this.#accepted.promise;
    this.done = perform(this);
  }

  /** Aborts when the scan has to end. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Says what became of recording it. */
  accept(scan: Scan): void {
    this.#accepted.resolve(scan);
  }

  /** Lets the scan live although nobody waits for it: a background scan. */
  keep(): void {
    this.#kept = true;
  }

  /** Ends the scan, whoever waits for it. */
  cancel(): void {
    this.#controller.abort();
  }

  /** Tells everybody who waits how far the scan is. */
  tell(progress: Progress): void {
    for (const listener of this.#listeners) listener(progress);
  }

  /**
   * Waits for the end of the scan.
   *
   * @param signal The caller's own; its abort ends the scan if nobody else waits.
   * @param onProgress Hears of progress.
   * @returns The scan as it ended.
   * @throws {AppError} `cancelled` if the caller went and the scan goes on for others.
   */
  async follow(
    signal: AbortSignal,
    onProgress?: (progress: Progress) => void,
  ): Promise<Scan> {
    const left = Promise.withResolvers<never>();
    const leave = () => {
      this.#followers--;
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
      if (this.#followers === 0 && !this.#kept) this.cancel();
      else {left.reject(
          new AppError(
            "cancelled",
            "The call ended; the scan goes on for others",
          ),
        );}
    };
    this.#followers++;
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([this.done, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      if (!signal.aborted) {
        this.#followers--;
        if (onProgress !== undefined) this.#listeners.delete(onProgress);
      }
    }
  }
}
