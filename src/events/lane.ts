/**
 * The events of one tenant, or of the server, that are kept for who comes back.
 *
 * @module
 */
import type { Happening } from "./event.ts";
import { Line, type Place } from "./line.ts";

/** An event as it is kept. */
export interface Kept extends Happening {
  /** Rises over all lanes: two lanes are merged by it. It never leaves the server. */
  readonly order: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** About what it takes in memory. */
  readonly bytes: number;
}

/** Events, numbered from one. */
export class Lane {
  /** The first part of the ids of its events. */
  readonly epoch: string;
  readonly #line = new Line<Kept>();
  /** The last progress of each scan: no other is worth keeping. */
  readonly #progress = new Map<string, Place<Kept>>();
  #count = 0;
  #lost = 0;

  /** @param epoch The first part of the ids of its events. */
  constructor(epoch: string) {
    this.epoch = epoch;
  }

  /** How many events there ever were. */
  get count(): number {
    return this.#count;
  }

  /** How many are kept. */
  get size(): number {
    return this.#line.size;
  }

  /** Every event up to this number is gone. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Takes an event. A scan's progress takes the place of the one before it.
   *
   * @param kept The event.
   * @returns What it took the place of, or null.
   */
  add(kept: Kept): Kept | null {
    const place = this.#line.push(++this.#count, kept);
    if (kept.scanId === null) return null;
    const before = this.#progress.get(kept.scanId);
    if (kept.kind === "scan.ended") this.#progress.delete(kept.scanId);
    if (kept.kind !== "scan.progress") return null;
    this.#progress.set(kept.scanId, place);
    const item = before?.item ?? null;
    if (before !== undefined) this.#line.remove(before);
    return item;
  }

  /**
   * Forgets the oldest event.
   *
   * @returns It, or null if none is kept.
   */
  evict(): Kept | null {
    const first = this.#line.shift();
    if (first === null) return null;
    this.#lost = first.number;
    const { kind, scanId } = first.item;
    if (
      kind === "scan.progress" && scanId !== null &&
      this.#progress.get(scanId)?.number === first.number
    ) {
      this.#progress.delete(scanId);
    }
    return first.item;
  }

  /** Finds the first event behind a number, or null. */
  after(
    number: number,
  ): { readonly number: number; readonly item: Kept } | null {
    const place = this.#line.after(number);
    return place === null || place.item === null
      ? null
      : { number: place.number, item: place.item };
  }
}
