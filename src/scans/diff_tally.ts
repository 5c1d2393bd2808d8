/**
 * Gathers what a comparison comes to: changes up to a number, counts of all of them, and counts of
 * what could not be compared.
 *
 * @module
 */
import type {
  Change,
  ChangeCounts,
  ChangeKind,
  NotCompared,
  NotComparedReason,
} from "./diff.ts";

type Subject = NotCompared["subject"];
type SeenIn = NotCompared["seen_in"];

/** Every reason in words; `%` is the scan that keeps silent. */
const REASONS: Readonly<Record<NotComparedReason, string>> = {
  not_scanned: "the % scan was not to look at these addresses",
  port_not_scanned: "the % scan did not look at these ports for certain",
  partial: "the % scan ended early or its results are cut",
  unclear: "what the % scan looked at, or left out, cannot be told",
  host_incomplete: "the % scan does not account for every port of these hosts",
  detection_differs:
    "services were not probed in the same way by both scans, so names and versions do not compare",
  settings_differ:
    "the scans tried other words or took other answers for a find",
};

/** Counts of one subject. */
export class Tally {
  readonly #counts: Record<string, number>;

  /** @param kinds The changes that this subject knows; each is told, also where it is 0. */
  constructor(kinds: readonly (ChangeKind | "unchanged")[]) {
    this.#counts = Object.fromEntries(kinds.map((kind) => [kind, 0]));
  }

  /** Counts one. */
  add(kind: ChangeKind | "unchanged", count = 1): void {
    this.#counts[kind] = (this.#counts[kind] ?? 0) + count;
  }

  /** @returns The counts. */
  get counts(): ChangeCounts {
    return { ...this.#counts };
  }
}

/** Changes, of which so many are held. */
export class Changes {
  readonly list: Change[] = [];
  readonly #max: number;
  #all = 0;

  /** @param max Most that are held. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Adds one. */
  add(change: Change): void {
    this.#all++;
    if (this.list.length < this.#max) this.list.push(change);
  }

  /** @returns What was cut, as a part of a comparison. */
  get truncated(): { readonly truncated?: string } {
    const left = this.#all - this.list.length;
    return left === 0 ? {} : {
      truncated:
        `${this.list.length} of ${this.#all} changes are listed; totals count all; compare scans of fewer addresses or ports`,
    };
  }
}

/** What could not be compared, counted by reason. */
export class Uncompared {
  readonly #counts = new Map<string, number>();

  /**
   * Counts something.
   *
   * @param subject What it is.
   * @param seenIn Which scan saw it.
   * @param reason Why it was not compared.
   * @param count How many.
   */
  add(
    subject: Subject,
    seenIn: SeenIn,
    reason: NotComparedReason,
    count = 1,
  ): void {
    if (count === 0) return;
    const key = `${subject} ${seenIn} ${reason}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  /** @returns One entry a reason, in a fixed order. */
  get list(): readonly NotCompared[] {
    return [...this.#counts].sort(([a], [b]) => a < b ? -1 : 1).map(
      ([key, count]) => {
        const [subject, seenIn, reason] = key.split(" ") as [
          Subject,
          SeenIn,
          NotComparedReason,
        ];
        const silent = seenIn === "older" ? "newer" : "older";
        const text = REASONS[reason].replace("%", silent);
        return { subject, seen_in: seenIn, reason, count, text };
      },
    );
  }
}
