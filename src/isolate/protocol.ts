/**
 * The messages between the main isolate and a tool isolate. Each side parses what arrives: types are
 * not validation, and either side may be under somebody else's control.
 *
 * A tool isolate takes one birth message from whoever started it (main, or the warden after a crash
 * or a reload). From then on it listens to the port that came with it and to nothing else. No
 * message carries argv, a program or a rule: a request crosses as text and is parsed and judged on
 * the far side again.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type { Binding } from "@/scope/rules.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import type { Report } from "@/tools/report.ts";
import type { Progress, ToolName, Verdict } from "@/tools/tool.ts";

/** Most UTF-16 code units of a request's JSON. */
export const REQUEST_LENGTH_MAX = 65_536;

/** How often an isolate tells of a scan, at most: one message each of progress, findings and output. */
export const TELL_INTERVAL_MS = 250;

/** Most hosts, paths or names of one message of findings. */
export const FOUND_MAX = 512;

/** Most size of one message of findings, as `sizeWithin` measures it. */
export const FOUND_SIZE_MAX = 8_000_000;

/** Most lines of one stream in one message of output. */
export const OUTPUT_LINES_MAX = 100;

/** Most UTF-16 code units of a line of output. */
export const OUTPUT_TEXT_MAX = 1_000;

/** Most UTF-16 code units of one stream's lines as JSON, in one message of output. */
export const OUTPUT_JSON_MAX = 7_000;

/** Most bytes of a scan's output that cross, whatever is configured. */
export const RAW_BYTES_MAX = 104_857_600;

/** Most seconds of processor time of one scan: no machine has so much for the longest. */
export const CPU_SECONDS_MAX = 10_000_000;

/** Most scans one isolate runs or holds at once, whatever main says. */
export const SCANS_PER_ISOLATE_MAX = 256;

/** The programs of the tools by absolute path; a tool that is not installed is left out. */
export type Programs = Readonly<Partial<Record<ToolName, string>>>;

/** The first message of an isolate's life; a port comes with it. */
export interface Birth {
  readonly kind: "birth";
  readonly tool: ToolName;
  /** Absolute paths of all tools' programs; the isolate's grant names its own only. */
  readonly programs: Programs;
  readonly guardrails: Guardrails;
  /** Whether the server has a terminal from which its children must be kept away. */
  readonly terminal: boolean;
}

/** What main may ask of a tool isolate. */
export type Ask =
  | RequestAsk
  /** Looks names up with `nmap -sL`; the nmap isolate only. */
  | {
    readonly kind: "resolve";
    readonly id: number;
    readonly names: readonly string[];
  }
  /** Asks for the program's version and, of nmap, whether raw packets can be sent. */
  | { readonly kind: "probe"; readonly id: number }
  | { readonly kind: "cancel"; readonly id: number }
  /** Says whether somebody watches what a scan prints. */
  | { readonly kind: "watch"; readonly id: number; readonly on: boolean }
  | { readonly kind: "ping"; readonly id: number };

/** A request to scan, or only to plan. */
export interface RequestAsk {
  readonly kind: "scan" | "plan";
  readonly id: number;
  /** JSON text of the request, as the client sent it. */
  readonly request: string;
  readonly rawSockets: boolean;
  /** Looked-up addresses of each host name; checked against the scope again. */
  readonly resolved: Readonly<Record<string, readonly string[]>>;
  /** What the scan is kept under: each side knows by its own rules what that is bound to. */
  readonly labels: Binding;
}

/** A line that a tool printed, cleaned; a scanned host wrote part of it. */
export interface OutputLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** What a tool printed since the last time. */
export interface Printed {
  /** The newest lines, first those of stdout. */
  readonly lines: readonly OutputLine[];
  /** How many lines were left out. */
  readonly skipped: number;
}

/** The end of a scan as its isolate saw it. */
export interface Outcome {
  readonly status:
    | "succeeded"
    | "partial"
    | "failed"
    | "timed_out"
    | "cancelled";
  /** Set unless `status` is `succeeded`. */
  readonly error: ErrorBody | null;
  /** Whose fault `error` is. */
  readonly blames: "tool" | "target";
  readonly report: Report;
  readonly argv: readonly (readonly string[])[];
  readonly targets: readonly string[];
  readonly scanType: string;
  readonly notes: readonly string[];
  /** Stdout as the tool printed it, up to the cap; never interpreted. */
  readonly raw: Uint8Array;
  readonly rawTruncated: boolean;
  /** Seconds on a processor, of the scanner and its sandbox over all passes. */
  readonly cpuSeconds: number;
  /** Bytes of stderr's end, for the log only. */
  readonly stderrTail: string;
}

/** A plan as it crosses: its argv as text. */
export interface PlanBody {
  readonly verdicts: readonly Verdict[];
  readonly argv: readonly (readonly string[])[];
  readonly targets: readonly string[];
  readonly addressCount: number;
  readonly probes: number;
  readonly seconds: number;
  readonly scanType: string;
  readonly permissions: readonly string[];
  readonly timeoutMs: number;
  readonly notes: readonly string[];
}

/** What a tool isolate may answer. */
export type Answer =
  /** It is up; `grants` is what it may do, as Deno told it. */
  | { readonly kind: "ready"; readonly tool: ToolName; readonly grants: Grants }
  | {
    readonly kind: "started";
    readonly id: number;
    readonly argv: readonly (readonly string[])[];
    readonly targets: readonly string[];
    readonly scanType: string;
  }
  | {
    readonly kind: "progress";
    readonly id: number;
    readonly progress: Progress;
  }
  /**
   * What was found since the last of these: kept at once, in case no end comes. What is too large for
   * one message comes with the end alone.
   */
  | { readonly kind: "found"; readonly id: number; readonly report: Report }
  /** Lines that the tool printed since the last of these, while somebody watches. */
  | { readonly kind: "output"; readonly id: number; readonly printed: Printed }
  | { readonly kind: "done"; readonly id: number; readonly outcome: Outcome }
  | { readonly kind: "planned"; readonly id: number; readonly plan: PlanBody }
  | {
    readonly kind: "resolved";
    readonly id: number;
    readonly addresses: Readonly<Record<string, readonly string[]>>;
  }
  | {
    readonly kind: "probed";
    readonly id: number;
    readonly version: string;
    readonly rawSockets: boolean | null;
  }
  | { readonly kind: "refused"; readonly id: number; readonly error: ErrorBody }
  | { readonly kind: "pong"; readonly id: number };

/** Deno's own answers to what an isolate may do. */
export interface Grants {
  /** The programs among the three tools that it may run, by absolute path. */
  readonly run: readonly string[];
  /** Every other permission that is not refused; empty in a sound isolate. */
  readonly others: readonly string[];
}
