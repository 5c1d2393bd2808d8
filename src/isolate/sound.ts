/**
 * Holds an answer of a tool isolate against its type, part by part, before main acts on it.
 *
 * The tool isolate is the one that reads what scanned hosts send, so it is the first that would fall
 * to one. A progress that is no number must not end main in the middle of its message loop, a state
 * that is none must not leave a scan that never ends, a report that is none must not make every later
 * list of scans fail, and one of hosts that nobody asked for must not enter the inventory.
 *
 * @module
 */
import { isErrorCode } from "@/error/code.ts";
import type { Report } from "@/tools/report.ts";
import type { Asked } from "./asked.ts";
import {
  type Answer,
  CPU_SECONDS_MAX,
  FOUND_MAX,
  FOUND_SIZE_MAX,
  type Outcome,
  OUTPUT_LINES_MAX,
  OUTPUT_TEXT_MAX,
  RAW_BYTES_MAX,
} from "./protocol.ts";
import {
  amount,
  integer,
  listOf,
  oneOf,
  orNull,
  shape,
  text,
} from "./shape.ts";
import { findingsOf, isSoundReport, REPORT_SIZE_MAX } from "./sound_report.ts";

/** Longest text, and most items of a list, that is no report. */
const TEXT_LENGTH_MAX = 32_768;
const ITEMS_MAX = 8_192;

const PROGRESS = shape({
  percent: orNull(amount()),
  remainingSeconds: orNull(amount()),
  found: amount(),
  // The server's own words.
  phase: text(200),
});

const PRINTED = shape({
  lines: listOf(
    shape({
      stream: oneOf("stdout", "stderr"),
      text: text(OUTPUT_TEXT_MAX),
    }),
    2 * OUTPUT_LINES_MAX,
  ),
  skipped: integer(0, Number.MAX_SAFE_INTEGER),
});

const CPU_SECONDS = amount(CPU_SECONDS_MAX);

const ERROR = shape({
  code: text(64),
  message: text(TEXT_LENGTH_MAX),
}, { retry_after: amount() });

const STATUSES: ReadonlySet<unknown> = new Set(
  ["succeeded", "partial", "failed", "timed_out", "cancelled"] satisfies (
    Outcome["status"]
  )[],
);

type Fields = Readonly<Record<string, unknown>>;

/**
 * Tells whether the parts of an answer are what its type says, and its findings what was asked for.
 *
 * @param answer The answer, its kind and id read already.
 * @param asked What the scan was asked to look at, or null if it answers no scan.
 * @returns Whether main may act on it.
 */
export function isSoundAnswer(answer: Answer, asked: Asked | null): boolean {
  switch (answer.kind) {
    case "started":
      return isMade(answer as unknown as Fields);
    case "progress":
      return PROGRESS(answer.progress);
    case "found":
      return isReport(answer.report, FOUND_SIZE_MAX, asked) &&
        findingsOf(answer.report) <= FOUND_MAX;
    case "output":
      return asked !== null && PRINTED(answer.printed);
    case "done":
      return isOutcome(answer.outcome as unknown as Fields, asked);
    case "planned":
      return isPlan(answer.plan as unknown as Fields);
    case "resolved":
      return Object.values(answer.addresses).every(isTexts);
    case "probed":
      return answer.rawSockets === null ||
        typeof answer.rawSockets === "boolean";
    case "ready":
    case "refused":
    case "pong":
      return true;
  }
}

function isMade({ argv, targets, scanType }: Fields): boolean {
  return isList(argv, isTexts) && isTexts(targets) && isText(scanType);
}

function isOutcome(outcome: Fields, asked: Asked | null): boolean {
  const { status, error, blames, report, notes } = outcome;
  const { raw, rawTruncated, cpuSeconds, stderrTail } = outcome;
  return STATUSES.has(status) && isMade(outcome) && isTexts(notes) &&
    (error === null || isError(error)) &&
    isReport(report, REPORT_SIZE_MAX, asked) &&
    (blames === "tool" || blames === "target") &&
    raw instanceof Uint8Array && raw.byteLength <= RAW_BYTES_MAX &&
    typeof rawTruncated === "boolean" && CPU_SECONDS(cpuSeconds) &&
    isText(stderrTail);
}

/** Findings answer a scan and nothing else. */
function isReport(
  report: unknown,
  sizeMax: number,
  asked: Asked | null,
): boolean {
  return asked !== null && isSoundReport(report, sizeMax) &&
    asked(report as Report);
}

function isPlan(plan: Fields): boolean {
  const { verdicts, permissions, notes } = plan;
  const numbers = ["addressCount", "probes", "seconds", "timeoutMs"];
  return isMade(plan) && isTexts(permissions) && isTexts(notes) &&
    numbers.every((name) => isNumber(plan[name])) &&
    isList(verdicts, (verdict) => {
      const { guardrail, allowed, reason, error } = fieldsOf(verdict);
      return isText(guardrail) && typeof allowed === "boolean" &&
        isText(reason) && (error === undefined || isError(error));
    });
}

function isError(error: unknown): boolean {
  return ERROR(error) && isErrorCode(fieldsOf(error)["code"]);
}

function isList(value: unknown, test: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= ITEMS_MAX && value.every(test);
}

function isTexts(value: unknown): boolean {
  return isList(value, isText);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= TEXT_LENGTH_MAX;
}

function isNumber(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value);
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}
