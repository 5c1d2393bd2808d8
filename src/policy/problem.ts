/**
 * What is wrong with policies, all of it at once: whoever mends one line should not meet the next
 * mistake at the next start.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** Most problems that are named; the rest is counted. */
const PROBLEMS_SHOWN_MAX = 50;

/** Longest text of one problem. */
const LENGTH_MAX = 500;

/** One thing that is wrong. */
export interface PolicyProblem {
  /** The file's name, or null for the folder. */
  readonly file: string | null;
  /** Counted from one, or null for the whole file. */
  readonly line: number | null;
  /** What is wrong and how to mend it. */
  readonly message: string;
}

/**
 * Says problems in lines, a policy's text in them made harmless.
 *
 * @param problems The problems.
 * @returns `file:line: message`, at most some of them.
 */
export function problemLines(
  problems: readonly PolicyProblem[],
): readonly string[] {
  const lines = problems.slice(0, PROBLEMS_SHOWN_MAX).map(
    ({ file, line, message }) => {
      const place = [file, line].filter((part) => part !== null).join(":");
      return plain(place === "" ? message : `${place}: ${message}`);
    },
  );
  const left = problems.length - lines.length;
  return left === 0 ? lines : [...lines, `and ${left} more`];
}

/**
 * Makes the error that refuses policies.
 *
 * @param problems What is wrong, at least one.
 * @returns The error, its message one line for the whole and one for each problem.
 */
export function problemsError(problems: readonly PolicyProblem[]): AppError {
  const count = problems.length === 1
    ? "1 problem; correct it"
    : `${problems.length} problems; correct them`;
  const lines = problemLines(problems).map((line) => `  ${line}`);
  return new AppError(
    "invalid_arguments",
    `Cannot use the policies: ${count} and try again\n${lines.join("\n")}`,
  );
}

/**
 * Finds the line of an offset.
 *
 * @param text The whole text.
 * @param bytes How many bytes of UTF-8 stand before it: what Cedar counts.
 * @returns The line, counted from one.
 */
export function lineOfByte(text: string, bytes: number): number {
  const head = new TextEncoder().encode(text).subarray(0, bytes);
  return head.reduce((lines, byte) => byte === 0x0a ? lines + 1 : lines, 1);
}

/**
 * Finds the line of an offset.
 *
 * @param text The whole text.
 * @param offset How many UTF-16 code units stand before it.
 * @returns The line, counted from one.
 */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function plain(text: string): string {
  const line = text.replace(/\s+/g, " ").replace(/[^\x20-\x7e]/gu, "?");
  return line.length > LENGTH_MAX ? `${line.slice(0, LENGTH_MAX)}...` : line;
}
