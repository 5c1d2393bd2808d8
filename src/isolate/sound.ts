/**
 * Holds an answer of a tool isolate against its type, part by part, before main acts on it.
 *
 * The tool isolate is the one that reads what scanned hosts send, so it is the first that would fall
 * to one. A progress that is no number must not end main in the middle of its message loop, a state
 * that is none must not leave a scan that never ends, and a report that is none must not make every
 * later list of scans fail.
 *
 * @module
 */
import { isErrorCode } from "@/error/code.ts";
import type { Answer, Outcome } from "./protocol.ts";

/** Longest text, and most items of a list, that is no report. */
const TEXT_LENGTH_MAX = 32_768;
const ITEMS_MAX = 8_192;

/** Longest phase of a progress: the server's own words. */
const PHASE_LENGTH_MAX = 200;

const STATUSES: ReadonlySet<unknown> = new Set(
  ["succeeded", "partial", "failed", "timed_out", "cancelled"] satisfies (
    Outcome["status"]
  )[],
);

type Fields = Readonly<Record<string, unknown>>;

/**
 * Tells whether the parts of an answer are what its type says.
 *
 * @param answer The answer, its kind and id read already.
 * @returns Whether main may act on it.
 */
export function isSoundAnswer(answer: Answer): boolean {
  switch (answer.kind) {
    case "started":
      return isMade(answer as unknown as Fields);
    case "progress":
      return isProgress(answer.progress as unknown as Fields);
    case "done":
      return isOutcome(answer.outcome as unknown as Fields);
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

function isProgress(progress: Fields): boolean {
  const { percent, remainingSeconds, found, phase } = progress;
  return isNumberOrNull(percent) && isNumberOrNull(remainingSeconds) &&
    isNumber(found) && isText(phase) && phase.length <= PHASE_LENGTH_MAX;
}

function isOutcome(outcome: Fields): boolean {
  const { status, error, blames, report, notes, stderrTail } = outcome;
  return STATUSES.has(status) && isMade(outcome) && isTexts(notes) &&
    (error === null || isError(error)) && isReport(report) &&
    (blames === undefined || blames === "tool" || blames === "target") &&
    (stderrTail === undefined || isText(stderrTail));
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

/** As deep as main looks into it: whatever is deeper is shown and not read. */
function isReport(report: unknown): boolean {
  const { kind, partial, totals, hosts, paths, names } = fieldsOf(report);
  if (typeof partial !== "boolean") return false;
  if (!Object.values(fieldsOf(totals)).every(isNumberOrNull)) return false;
  switch (kind) {
    case "hosts":
      return isListOf(hosts, isHost) && isNumber(fieldsOf(totals)["up"]);
    case "paths":
      return isListOf(
        paths,
        ({ status, untrusted }) =>
          isNumber(status) && typeof fieldsOf(untrusted)["path"] === "string",
      );
    case "names":
      return isListOf(
        names,
        ({ name, addresses }) =>
          isText(name) && (addresses === undefined || isTexts(addresses)),
      );
    default:
      return false;
  }
}

function isHost({ address, status, ports, names }: Fields): boolean {
  return isText(address) && isText(status) &&
    (names === undefined || isTexts(names)) &&
    isListOf(
      ports,
      ({ port, protocol, state, service }) =>
        isNumber(port) && isText(protocol) && isText(state) &&
        (service === undefined || isText(service)),
    );
}

function isError(error: unknown): boolean {
  const { code, message } = fieldsOf(error);
  return isErrorCode(code) && isText(message);
}

/** The items of a report have no maximum here: its reader capped them. */
function isListOf(value: unknown, test: (item: Fields) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => test(fieldsOf(item)));
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

function isNumberOrNull(value: unknown): boolean {
  return value === null || isNumber(value);
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}
