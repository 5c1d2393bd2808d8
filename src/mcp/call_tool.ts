/**
 * `tools/call`: hands a call to the engine and puts its answer into words. It decides nothing: which
 * tools exist, which arguments are sound and what may be scanned is the engine's to say.
 *
 * @module
 */
import { durationOf, isoTime } from "@/scans/times.ts";
import { toAppError } from "@/error/app_error.ts";
import type { CallAnswer, Engine } from "@/dispatch/engine.ts";
import { isOver, type Scan } from "@/scans/scan.ts";
import { many } from "@/scans/summary.ts";
import { parseFields } from "@/tools/field.ts";
import type { Progress } from "@/tools/tool.ts";
import { jsonTokensOf, takeWhole } from "./budget.ts";
import { planAnswer } from "./plan.ts";
import { type Answer, errorAnswer, leanHead, scanAnswer } from "./result.ts";
import {
  argumentsOf,
  ID_FIELDS,
  LIST_FIELDS,
  listLimitDefault,
  queryOf,
  RESULTS_FIELDS,
  SCAN_TOOL_NAMES,
  type ScanToolName,
} from "./scan_tools.ts";
import type { PageQuery } from "./page.ts";

/** Tokens of a list's answer besides its scans. */
const LIST_HEAD_TOKENS = 100;

/** A call as it left the protocol. */
export interface ToolCall {
  readonly name: string;
  /** Untrusted JSON. */
  readonly arguments: unknown;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly traceId?: string;
}

/**
 * Answers a call.
 *
 * @param engine The engine.
 * @param call The call.
 * @returns The answer; a refusal is an answer with `isError`.
 * @throws {AppError} `tool_not_found`, which the protocol wants as an error of its own.
 */
export async function callTool(
  engine: Engine,
  call: ToolCall,
): Promise<Answer> {
  try {
    return isScanTool(call.name)
      ? await SCAN_TOOLS[call.name](engine, call.arguments)
      : callAnswer(await engine.call(engineCall(call)), engine);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code === "tool_not_found") throw error;
    return errorAnswer(error.toBody());
  }
}

/**
 * Says the call that gets the next page.
 *
 * @param id The scan's id.
 * @returns A function of cursor and query.
 */
export function nextCallOf(
  id: string,
): (cursor: string, query: PageQuery) => string {
  return (cursor, query) =>
    `scan_results ${
      JSON.stringify({ scan_id: id, ...argumentsOf(query, cursor) })
    }`;
}

const SCAN_TOOLS: Readonly<
  Record<ScanToolName, (engine: Engine, input: unknown) => Promise<Answer>>
> = {
  scan_status: (engine, input) => {
    const { scan_id } = parseFields(ID_FIELDS, input);
    return Promise.resolve(statusAnswer(engine.scan(scan_id)));
  },
  scan_cancel: async (engine, input) => {
    const { scan_id } = parseFields(ID_FIELDS, input);
    const wasOver = isOver(engine.scan(scan_id));
    const answer = statusAnswer(await engine.cancel(scan_id));
    return wasOver
      ? { ...answer, text: `It was over; nothing to cancel.\n${answer.text}` }
      : answer;
  },
  scan_results: (engine, input) => {
    const { scan_id, ...filters } = parseFields(RESULTS_FIELDS, input);
    const query = queryOf(filters);
    return Promise.resolve(
      scanAnswer(engine.scan(scan_id), {
        tokensMax: filters.max_tokens ?? engine.resultTokensMax,
        query,
        next: nextCallOf(scan_id),
        form: "results",
      }),
    );
  },
  scan_list: (engine, input) => Promise.resolve(listAnswer(engine, input)),
};

function engineCall(call: ToolCall): Parameters<Engine["call"]>[0] {
  const { name, arguments: given, signal, onProgress, traceId } = call;
  return {
    tool: name,
    arguments: given,
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(traceId === undefined ? {} : { traceId }),
  };
}

function callAnswer(answer: CallAnswer, engine: Engine): Answer {
  switch (answer.kind) {
    case "scan":
      return scanAnswer(answer.scan, {
        tokensMax: answer.maxTokens ?? engine.resultTokensMax,
        next: nextCallOf(answer.scan.id),
        form: "call",
      });
    case "accepted": {
      const head = leanHead(answer.scan);
      return {
        structuredContent: { ...head, trace_id: answer.scan.traceId },
        text:
          `Scan ${head.scan_id} (${answer.scan.tool}) was accepted. ${head.summary} Ask scan_status for its state, then scan_results for its findings.`,
        isError: false,
      };
    }
    case "plan":
      return planAnswer(answer.tool, answer.plan, engine.resultTokensMax);
  }
}

function statusAnswer(scan: Scan): Answer {
  const head = leanHead(scan);
  const { progress, error } = scan;
  const over = scan.finishedAt !== null;
  return {
    structuredContent: {
      ...head,
      ...(progress === null || over ? {} : {
        progress: {
          percent: progress.percent,
          remaining_seconds: progress.remainingSeconds,
          found: progress.found,
          phase: progress.phase,
        },
      }),
      queued_at: isoTime(scan.queuedAt),
      started_at: isoTime(scan.startedAt),
      finished_at: isoTime(scan.finishedAt),
      duration_seconds: durationOf(scan),
      ...(error === null ? {} : { error }),
    },
    text: [
      `Scan ${head.scan_id} (${scan.tool} ${head.target}): ${head.status}. ${head.summary}`,
      ...(error === null ? [] : [`Error: ${error.code}. ${error.message}`]),
      ...(over ? ["Read it with scan_results."] : []),
    ].join("\n"),
    isError: false,
  };
}

function listAnswer(engine: Engine, input: unknown): Answer {
  const { status, tool, limit, cursor } = parseFields(LIST_FIELDS, input);
  const wanted = limit ?? listLimitDefault;
  const scans = engine.scans({
    ...(status === undefined ? {} : { status }),
    ...(tool === undefined ? {} : { tool }),
    ...(cursor === undefined ? {} : { before: cursor }),
    // One more than is shown tells whether there are more.
    limit: wanted + 1,
  });
  // Each is shown twice, in JSON and in the text.
  const shown = takeWhole(
    scans.slice(0, wanted),
    0,
    engine.resultTokensMax - LIST_HEAD_TOKENS,
    (scan) => 2 * jsonTokensOf(leanHead(scan)),
  ).items;
  const last = shown.at(-1);
  const next = scans.length > shown.length && last !== undefined
    ? `scan_list ${
      JSON.stringify({
        ...(status === undefined ? {} : { status }),
        ...(tool === undefined ? {} : { tool }),
        limit: wanted,
        cursor: last.id,
      })
    }`
    : null;
  return {
    structuredContent: {
      scans: shown.map((scan) => ({
        ...leanHead(scan),
        queued_at: isoTime(scan.queuedAt),
      })),
      ...(next === null ? {} : { truncated: { next } }),
    },
    text: [
      shown.length === 0
        ? "No scans."
        : `${many(shown.length, "scan")}, newest first:`,
      ...shown.map((scan) => {
        const { scan_id, target, summary } = leanHead(scan);
        return `${scan_id} ${scan.tool} ${target}: ${summary}`;
      }),
      ...(next === null ? [] : [`More: ${next}`]),
    ].join("\n"),
    isError: false,
  };
}

function isScanTool(name: string): name is ScanToolName {
  return (SCAN_TOOL_NAMES as readonly string[]).includes(name);
}

/**
 * Reads the trace that a client sent with its request.
 *
 * @param meta The request's `_meta`.
 * @returns 32 hex digits, or undefined.
 */
export function traceIdOf(meta: unknown): string | undefined {
  if (typeof meta !== "object" || meta === null) return undefined;
  const parent: unknown = Object.entries(meta)
    .find(([key]) => key === "traceparent")?.[1];
  if (typeof parent !== "string" || parent.length > 128) return undefined;
  const id = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(
    parent,
  )?.[1];
  return id === undefined || /^0+$/.test(id) ? undefined : id;
}
