/**
 * The end of a scan, judged: how its process ended and what its reader says make its status.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type { Exit } from "@/spawn/exit.ts";
import type { LimitName, Limits } from "@/spawn/limits.ts";
import type { Ended } from "@/spawn/spawn.ts";
import type { Reader, ToolName } from "@/tools/tool.ts";
import type { Output } from "./output.ts";
import type { Outcome } from "./protocol.ts";

/**
 * Makes the outcome of a scan.
 *
 * @param ended How its last process ended, and what all of them cost.
 * @param reader What read its output.
 * @param output What it printed.
 * @param made What was planned.
 * @returns The outcome, as it crosses to main.
 */
export function outcomeOf(
  { exit, cpuSeconds }: Ended,
  reader: Reader,
  output: Output,
  made: Pick<Outcome, "argv" | "targets" | "scanType"> & {
    tool: ToolName;
    limits: Limits;
    planNotes: readonly string[];
  },
): Outcome {
  const { report, failure, notes, blames = "tool" } = reader.finish();
  const { tool, limits, planNotes, ...facts } = made;
  return {
    ...facts,
    ...verdictOf(exit, {
      failure: forbiddenCall(exit, tool) ?? failure,
      partial: report.partial,
      limit: (name) => limitError(tool, name, limits),
    }),
    // A limit says that the request was too large for it, and nothing of the tool.
    blames: exit.kind === "limit" ? "target" : blames,
    report,
    notes: [...planNotes, ...notes],
    raw: output.raw(),
    rawTruncated: exit.kind === "output_limit",
    cpuSeconds,
    stderrTail: output.stderrTail(),
  };
}

/** What each limit is called, and the key of the configuration that raises it. */
const LIMITS: Readonly<Record<LimitName, readonly [string, string]>> = {
  cpuSeconds: ["seconds of processor time", "limit_cpu_seconds"],
  addressSpaceBytes: ["bytes of memory", "limit_address_space_bytes"],
  fileBytes: ["bytes of a file", "limit_file_bytes"],
  processes: ["processes and threads", "limit_processes"],
  openFiles: ["open files", "limit_open_files"],
};

function limitError(
  tool: ToolName,
  name: LimitName,
  limits: Limits,
): ErrorBody {
  const [what, key] = LIMITS[name];
  return {
    code: "tool_failed",
    message:
      `Cannot finish the scan: ${tool} reached its limit of ${limits[name]} ` +
      `${what} (${tool}.${key}); what was found so far is reported; scan fewer ` +
      "ports or hosts",
  };
}

/** The kernel ends with SIGSYS what makes a system call that no scan needs. */
function forbiddenCall(exit: Exit, tool: ToolName): ErrorBody | null {
  if (exit.kind !== "exited" || exit.signal !== "SIGSYS") return null;
  return {
    code: "tool_failed",
    message:
      `Cannot finish the scan: the sandbox ended ${tool}, which made a system call that no ` +
      "scan needs; tell the operator",
  };
}

/** What besides its end makes the verdict on a scan. */
interface Findings {
  readonly failure: ErrorBody | null;
  readonly partial: boolean;
  readonly limit: (name: LimitName) => ErrorBody;
}

function verdictOf(
  exit: Exit,
  { failure, partial, limit }: Findings,
): Pick<Outcome, "status" | "error"> {
  switch (exit.kind) {
    case "limit":
      return { status: "partial", error: limit(exit.limit) };
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
            "Cannot read all of the output: it is over security.max_output_bytes or the tool's " +
            "limit_output_bytes; what was found so far is reported; scan fewer ports or hosts",
        },
      };
    case "exited":
    case "settled":
      if (failure !== null) return { status: "failed", error: failure };
      return { status: partial ? "partial" : "succeeded", error: null };
  }
}
