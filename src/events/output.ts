/**
 * What is told live of a scan's output: the lines as the tool printed them. A scanned host wrote part of
 * them, so all of them stand below `untrusted`.
 *
 * @module
 */
import {
  OUTPUT_TEXT_MAX,
  type OutputLine,
  type Printed,
} from "@/isolate/protocol.ts";
import { cleanText } from "@/tools/untrusted.ts";

/** Most UTF-16 code units of the lines of one event as JSON: below that of an event's data. */
const LINES_JSON_MAX = 15_000;

type Data = Readonly<Record<string, unknown>>;

interface OutputData {
  readonly untrusted: { readonly lines: readonly OutputLine[] };
  readonly skipped: number;
}

/**
 * Makes the data of `scan.output`.
 *
 * @param printed What was printed, as the tool's isolate hands it to main. The isolate cleaned it and kept
 * it small; main does so again, for it trusts no isolate.
 * @returns The newest lines, and how many were left out.
 */
export function outputData(
  { lines, skipped }: Printed,
): Data & OutputData {
  const kept: OutputLine[] = [];
  let size = 0;
  for (const { stream, text } of lines.toReversed()) {
    const line = {
      stream,
      text: cleanText(text, { lengthMax: OUTPUT_TEXT_MAX }),
    };
    size += JSON.stringify(line).length + 1;
    if (size > LINES_JSON_MAX) break;
    kept.push(line);
  }
  return {
    untrusted: { lines: kept.reverse() },
    skipped: skipped + lines.length - kept.length,
  };
}

/** Says how many lines are lost with an event of output: its own, and those that it says were left out. */
export function linesOf(data: Data): number {
  const { untrusted, skipped = 0 } = data as Partial<OutputData>;
  return (untrusted?.lines.length ?? 0) + skipped;
}

/** Says of an event of output that more lines before it were left out. */
export function addSkipped(data: Data, more: number): Data {
  const { skipped = 0 } = data as Partial<OutputData>;
  return { ...data, skipped: skipped + more };
}
