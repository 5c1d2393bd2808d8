/**
 * What is wrong with a configuration, all of it at once: whoever mends one line should not meet the
 * next mistake at the next start.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { redactText } from "@/log/redact.ts";

/** Most problems that are named; the rest is counted. */
export const PROBLEMS_SHOWN_MAX = 50;

/** One thing that is wrong. */
export interface Problem {
  /** `name:line:column`, or the environment variable. */
  readonly place: string;
  /** What is wrong and how to mend it. */
  readonly message: string;
}

/** What of a configuration is wrong, as it is thrown. */
export interface ProblemsOptions {
  /** The file as its reader names it, for the log. */
  readonly file: string | null;
  /** What was thrown while reading, if anything was. */
  readonly cause: unknown;
}

/**
 * Makes the error that refuses a configuration.
 *
 * @param problems What is wrong, at least one.
 * @param options For the log.
 * @returns The error, its message one line for the whole and one for each problem.
 */
export function problemsError(
  problems: readonly Problem[],
  options: ProblemsOptions,
): AppError {
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX);
  // What was written repeats itself in what is wrong with it, and a password may stand at any key.
  const lines = shown.map(({ place, message }) =>
    `  ${place}: ${redactText(message)}`
  );
  if (problems.length > shown.length) {
    lines.push(`  and ${problems.length - shown.length} more`);
  }
  const count = problems.length === 1
    ? "1 problem; correct it"
    : `${problems.length} problems; correct them`;
  return new AppError(
    "invalid_arguments",
    `Cannot use the configuration: ${count} and try again\n${lines.join("\n")}`,
    {
      ...(options.file === null ? {} : { detail: `file: ${options.file}` }),
      ...(options.cause === undefined ? {} : { cause: options.cause }),
    },
  );
}
