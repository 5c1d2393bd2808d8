/**
 * The end of a scan, judged: how its process ended and what its reader says make its status.
 *
 * @module
 */
import type { Exit } from "@/spawn/exit.ts";
import type { Reader } from "@/tools/tool.ts";
import type { Output } from "./output.ts";
import type { Outcome } from "./protocol.ts";

/**
 * Makes the outcome of a scan.
 *
 * @param exit How its last process ended.
 * @param reader What read its output.
 * @param output What it printed.
 * @param made What was planned.
 * @returns The outcome, as it crosses to main.
 */
export function outcomeOf(
  exit: Exit,
  reader: Reader,
  output: Output,
  made: Pick<Outcome, "argv" | "targets" | "scanType"> & {
    planNotes: readonly string[];
  },
): Outcome {
  const { report, failure, notes, blames = "tool" } = reader.finish();
  const { planNotes, ...facts } = made;
  return {
    ...facts,
    ...verdictOf(exit, failure, report.partial),
    blames,
    report,
    notes: [...planNotes, ...notes],
    raw: output.raw(),
    rawTruncated: exit.kind === "output_limit",
    stderrTail: output.stderrTail(),
  };
}

function verdictOf(
  exit: Exit,
  failure: Outcome["error"],
  partial: boolean,
): Pick<Outcome, "status" | "error"> {
  switch (exit.kind) {
    case "timed_out":
      return {
        status: "timed_out",
        error: {
          code: "timeout",
          message:
            "Cannot finish the scan: its time ran out; what was found so far is reported; " +
            "scan fewer ports or hosts, or raise timeout_seconds",
        },
      };
    case "cancelled":
      return {
        status: "cancelled",
        error: {
          code: "cancelled",
          message: "The scan was cancelled; what was found is reported",
        },
      };
    case "output_limit":
      return {
        status: "partial",
        error: {
          code: "output_limit",
          message:
            "Cannot read all of the output: it is over security.max_output_bytes; what was " +
            "found so far is reported; scan fewer ports or hosts",
        },
      };
    case "exited":
    case "settled":
      if (failure !== null) return { status: "failed", error: failure };
      return { status: partial ? "partial" : "succeeded", error: null };
  }
}
