/**
 * Says what was done to a log at the place where its chain breaks.
 *
 * With the key every line proves by its own seal that it is genuine, so what remains is whether it
 * stands in its place. Without the key a line is known only by what the next one says of it; two
 * lines behind the break are enough to tell a changed line from an inserted, a removed and a moved
 * one.
 *
 * @module
 */
import type { Digest } from "./digest.ts";
import { isSealed, type Line, parseLine, withPrev } from "./line.ts";
import type { RawLine } from "./raw_lines.ts";

/** What can be wrong with a log. */
export type Problem =
  | "changed"
  | "removed"
  | "inserted"
  | "duplicated"
  | "reordered"
  | "truncated"
  | "missing_file"
  | "bad_checkpoint"
  | "bad_head"
  | "wrong_key"
  | "not_expected";

/** A line and what was found out about it. */
export interface Examined {
  readonly raw: RawLine;
  /** Null if these bytes are no line of ours. */
  readonly line: Line | null;
  readonly hash: string;
  /** False if the key at hand did not seal it; true without a key. */
  readonly sealed: boolean;
}

/** What the chain expects of the next line. */
export interface Expected {
  readonly seq: number;
  readonly prev: string;
}

/** The break and what stands around it. */
export interface Break {
  readonly expected: Expected;
  /** The line before, if there is one. */
  readonly before: Examined | null;
  readonly current: Examined;
  readonly next: Examined | null;
  readonly afterNext: Examined | null;
  /** The hash that the head names for the current line, if it names one. */
  readonly pinned: string | null;
  readonly digest: Digest;
}

/** What was done, to which line. */
export interface Fault {
  readonly problem: Problem;
  readonly at: RawLine;
  /** The number of the bad or missing entry, where it is known. */
  readonly seq: number | null;
  readonly message: string;
}

/**
 * Examines a line by itself.
 *
 * @param raw The line.
 * @param digest With or without the key.
 * @returns What there is to know of it.
 */
export function examine(raw: RawLine, digest: Digest): Examined {
  const line = raw.bytes === null || !raw.whole ? null : parseLine(raw.bytes);
  return {
    raw,
    line,
    hash: line === null ? "" : digest.hash(line.text),
    sealed: line !== null && (!digest.keyed || isSealed(line, digest)),
  };
}

/** Tells whether a line stands where the chain expects it. */
export function fits(
  { line }: Examined,
  { seq, prev }: Expected,
): boolean {
  return line !== null && line.seq === seq && line.prev === prev;
}

/**
 * Tells what was done.
 *
 * @param found The first line that is not as it has to be, and what stands around it.
 * @returns The first bad line.
 */
export function diagnose(found: Break): Fault {
  const { expected, current, next } = found;
  const { line, sealed, raw } = current;
  const { seq } = expected;
  // What follows goes on as if this line were not there.
  const extra = next !== null && next.sealed && fits(next, expected);
  if (line === null || !sealed) {
    return extra
      ? fault("inserted", raw, line?.seq ?? null, "no entry of this log")
      : fault(
        line?.kind === "checkpoint" ? "bad_checkpoint" : "changed",
        raw,
        seq,
        line === null ? "no line of this log" : "its seal does not fit it",
      );
  }
  if (line.prev === expected.prev) {
    return fault("changed", raw, seq, `its number is ${line.seq}`);
  }
  if (extra) return extraLine(found, line);
  if (line.seq > seq) return laterLine(found, line);
  return line.seq < seq ? earlierLine(found, line) : brokenLink(found, line);
}

/** A line too many, in front of the one that belongs here. */
function extraLine({ expected, current, afterNext }: Break, line: Line): Fault {
  const { seq } = expected;
  const { raw } = current;
  if (line.seq === seq + 1 && afterNext?.line?.seq !== seq + 1) {
    return fault("reordered", raw, line.seq, `entry ${seq} stands behind it`);
  }
  if (line.seq < seq) {
    return fault("duplicated", raw, line.seq, "this entry stood here before");
  }
  return fault("inserted", raw, line.seq, "no entry belongs here");
}

/** An entry that comes too early. */
function laterLine({ expected, current, next }: Break, line: Line): Fault {
  const { seq } = expected;
  const goesOn = next?.line === null || next?.line === undefined ||
    next.line.prev === current.hash;
  if (!goesOn) {
    return fault(
      "reordered",
      current.raw,
      line.seq,
      `entry ${seq} belongs here`,
    );
  }
  const missing = line.seq - 1 === seq
    ? `entry ${seq} is missing`
    : `entries ${seq} to ${line.seq - 1} are missing`;
  return fault("removed", current.raw, seq, missing);
}

/** An entry that stood here before. */
function earlierLine(found: Break, line: Line): Fault {
  const { before, current, next, pinned } = found;
  const goesOn = (next?.line?.prev ?? pinned) === current.hash;
  const twin = before?.line;
  // Two lines claim one place: the chain goes on from the genuine one.
  if (
    before !== null && twin?.seq === line.seq && twin.prev === line.prev &&
    before.hash !== current.hash && goesOn
  ) {
    return fault("inserted", before.raw, twin.seq, "no entry belongs here");
  }
  return fault(
    "duplicated",
    current.raw,
    line.seq,
    "this entry stood here before",
  );
}

/** The right number, but it does not follow the line before: one of the two was changed. */
function brokenLink(found: Break, line: Line): Fault {
  const { expected, before, current, next, pinned, digest } = found;
  const { seq } = expected;
  if (digest.keyed) {
    return fault(
      "changed",
      current.raw,
      seq,
      "it is sealed but follows another line: two histories were mixed",
    );
  }
  const said = next?.line?.prev ?? pinned;
  if (
    before === null ||
    (said !== null && digest.hash(withPrev(line, expected.prev)) === said)
  ) {
    return fault(
      "changed",
      current.raw,
      seq,
      "it names another line before it",
    );
  }
  const certain = said === current.hash;
  return fault(
    "changed",
    before.raw,
    seq - 1,
    certain
      ? "the next line names another hash for it"
      : "it or the next line: the one does not follow the other",
  );
}

function fault(
  problem: Problem,
  at: RawLine,
  seq: number | null,
  message: string,
): Fault {
  return { problem, at, seq, message };
}
