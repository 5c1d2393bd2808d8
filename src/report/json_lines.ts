/**
 * Reports as JSON Lines: an object a line, for programs and for what is too large for a page.
 *
 * @module
 */
import type { ReportInput } from "./input.ts";
import { recordsOf } from "./rows.ts";

/**
 * Writes records.
 *
 * @param input What to report.
 * @returns Lines, each with its end.
 */
export async function* jsonLines(input: ReportInput): AsyncGenerator<string> {
  for await (const record of recordsOf(input)) {
    // The two line ends that JSON leaves as they are would break a line for some readers.
    yield `${
      JSON.stringify(record).replaceAll("\u2028", "\\u2028")
        .replaceAll("\u2029", "\\u2029")
    }\n`;
  }
}
