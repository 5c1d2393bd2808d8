/**
 * `tools/call`: hands a call to the engine and puts its answer into words. It decides nothing: which
 * tools exist, which arguments are sound and what may be scanned is the engine's to say.
 *
 * @module
 */
import { durationOf, isoTime } from "@/scans/times.ts";
import type { From } from "@/audit/entry.ts";
import { toAppError } from "@/error/app_error.ts";
import type { CallAnswer, Engine } from "@/dispatch/engine.ts";
import { isOver, type Scan, type ScanHead } from "@/scans/scan.ts";
import { headOf, many } from "@/scans/summary.ts";
import { parseFields } from "@/tools/field.ts";
import type { Progress } from "@/tools/tool.ts";
import { jsonTokensOf, takeWhole, tokensOf } from "./budget.ts";
import { diffAnswer } from "./diff_answer.ts";
import { inventoryAnswer } from "./inventory_answer.ts";
import { planAnswer } from "./plan.ts";
import {
  type Answer,
  errorAnswer,
  labelsOf,
  leanHead,
  scanAnswer,
} from "./result.ts";
import {
  argumentsOf,
  DIFF_FIELDS,
  ID_FIELDS,
  LIST_FIELDS,
  listLimitDefault,
  queryOf,
  RESULTS_FIELDS,
  SCAN_TOOL_NAMES,
  type ScanToolName,
  withoutUndefined,
} from "./scan_tools.ts";
import type { PageQuery } from "./page.ts";

/** Tokens of a list's answer besides its scans. */
const LIST_HEAD_TOKENS = 100;

/** A call as it left the protocol. */
export interface ToolCall {
  readonly who: From;
  readonly name: string;
  /** Untrusted JSON. */
  readonly arguments: unknown;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly traceId?: string;
}

/** Runs a scanner's call; gives a question instead of its answer where somebody has to be asked. */
export type Approved<Question> = (
  run: () => Promise<CallAnswer>,
) => Promise<CallAnswer | Question>;

/**
 * Answers a call.
 *
 * @param engine The engine.
 * @param call The call.
 * @param approved Runs the call of a scanner. Nobody is asked if it is left out.
 * @returns The answer, or the question; a refusal is an answer with `isError`.
 * @throws {AppError} `tool_not_found`, which the protocol wants as an error of its own.
 */
export async function callTool<Question extends object = never>(
  engine: Engine,
  call: ToolCall,
  approved: Approved<Question> = (run) => run(),
): Promise<Answer | Question> {
  try {
    const { name } = call;
    if (!isScanTool(name)) {
      const given = await approved(() => engine.call(engineCall(call)));
      return "kind" in given ? callAnswer(given, engine) : given;
    }
    // The engine records scans and their ends itself.
    if (name !== "scan_cancel") await recordReading(engine, call);
    return await SCAN_TOOLS[name](engine, call.arguments, call.who);
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
  Record<
    ScanToolName,
    (engine: Engine, input: unknown, who: From) => Promise<Answer>
  >
> = {
  scan_status: async (engine, input) => {
    const { scan_id } = parseFields(ID_FIELDS, input);
    return statusAnswer(await engine.scan(scan_id));
  },
  scan_cancel: async (engine, input, who) => {
    const { scan_id } = parseFields(ID_FIELDS, input);
    // Whoever names a scan that is not there is refused, and recorded, by the engine.
    const before = await engine.scan(scan_id).catch(() => null);
    const wasOver = before !== null && isOver(before);
    const answer = statusAnswer(await engine.cancel(scan_id, who));
    return wasOver
      ? { ...answer, text: `It was over; nothing to cancel.\n${answer.text}` }
      : answer;
  },
  scan_results: async (engine, input) => {
    const { scan_id, ...filters } = parseFields(RESULTS_FIELDS, input);
    const query = queryOf(filters);
    return scanAnswer(await engine.scan(scan_id), {
      tokensMax: filters.max_tokens ?? engine.resultTokensMax,
      query,
      next: nextCallOf(scan_id),
      form: "results",
    });
  },
  scan_diff: async (engine, input) => {
    const { scan_id, since, cursor, max_tokens } = parseFields(
      DIFF_FIELDS,
      input,
    );
    const tokensMax = max_tokens ?? engine.resultTokensMax;
    return await diffAnswer(engine, {
      scanId: scan_id,
      since,
      cursor,
      tokensMax,
    });
  },
  scan_list: listAnswer,
  inventory: inventoryAnswer,
};

function recordReading(engine: Engine, call: ToolCall): Promise<void> {
  const { who, name, traceId } = call;
  return engine.recordReading({
    who,
    tool: name,
    arguments: call.arguments,
    ...(traceId === undefined ? {} : { traceId }),
  });
}

function engineCall(call: ToolCall): Parameters<Engine["call"]>[0] {
  const { name, arguments: given, who, signal, onProgress, traceId } = call;
  return {
    who,
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
        cachedSeconds: answer.cachedSeconds,
      });
    case "accepted": {
      const head = leanHead(headOf(answer.scan));
      return {
        structuredContent: {
          ...head,
          ...labelsOf(answer.scan),
          trace_id: answer.scan.traceId,
        },
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
  const head = leanHead(headOf(scan));
  const { progress, error } = scan;
  const over = scan.finishedAt !== null;
  return {
    structuredContent: {
      ...head,
      ...labelsOf(scan),
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

async function listAnswer(engine: Engine, input: unknown): Promise<Answer> {
  const { limit, cursor, ...cut } = parseFields(LIST_FIELDS, input);
  const filter = withoutUndefined(cut);
  const wanted = limit ?? listLimitDefault;
  const scans = await engine.scans({
    ...filter,
    ...(cursor === undefined ? {} : { before: cursor }),
    // One more than is shown tells whether there are more.
    limit: wanted + 1,
  });
  const nextAfter = (id: string) =>
    `scan_list ${JSON.stringify({ ...filter, limit: wanted, cursor: id })}`;
  // Each is shown twice, in JSON and in the text, and so is the call that goes on.
  const room = engine.resultTokensMax - LIST_HEAD_TOKENS -
    2 * tokensOf(nextAfter(scans[0]?.id ?? ""));
  const page = scans.slice(0, wanted);
  const fit =
    takeWhole(page, 0, room, (scan) => 2 * jsonTokensOf(entryOf(scan)))
      .items;
  // A page has at least one scan, or a small budget would never come to an end.
  const shown = fit.length > 0 ? fit : page.slice(0, 1);
  const last = shown.at(-1);
  const next = scans.length > shown.length && last !== undefined
    ? nextAfter(last.id)
    : null;
  return {
    structuredContent: {
      scans: shown.map(entryOf),
      ...(next === null ? {} : { truncated: { next } }),
    },
    text: [
      shown.length === 0
        ? "No scans."
        : `${many(shown.length, "scan")}, newest first:`,
      ...shown.map(entryLine),
      ...(next === null ? [] : [`More: ${next}`]),
    ].join("\n"),
    isError: false,
  };
}

/** A scan in a list. */
function entryOf(scan: ScanHead): Readonly<Record<string, unknown>> {
  return {
    ...leanHead(scan),
    ...labelsOf(scan),
    queued_at: isoTime(scan.queuedAt),
  };
}

function entryLine(scan: ScanHead): string {
  const { scan_id, target, summary } = leanHead(scan);
  const { engagement, tags = [] } = labelsOf(scan);
  const labels = [...(engagement === undefined ? [] : [engagement]), ...tags];
  const kept = labels.length === 0 ? "" : ` [${labels.join(", ")}]`;
  return `${scan_id} ${scan.tool} ${target}${kept}: ${summary}`;
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
