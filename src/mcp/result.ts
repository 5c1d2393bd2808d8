/**
 * The answer about a scan: `structuredContent` for programs and for the models whose client shows
 * it, and a text for all others, together within a budget of tokens.
 *
 * The specification advises to repeat the JSON in the text for old clients. Here the text says the
 * same findings in a form about half as long, because a client that shows both would otherwise pay
 * twice for every finding; both parts count against the budget, and both show the same page.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import { errorText } from "@/error/mcp_result.ts";
import {
  type Scan,
  type ScanHead,
  type ScanStatus,
  scanTypeOf,
} from "@/scans/scan.ts";
import { jsonTokensOf, shorten, tokensOf } from "./budget.ts";
import { EVERYTHING, type Page, pageOf, type PageQuery } from "./page.ts";
import { headOf, summarize } from "@/scans/summary.ts";
import { durationOf, isoTime } from "@/scans/times.ts";
import { provenanceOf, SUSPICIOUS_NOTE, UNTRUSTED_NOTE } from "./text.ts";

/** Longest target that an answer repeats. */
const TARGET_LENGTH_MAX = 200;

/** Longest engagement, most tags and longest tag that an answer repeats. */
const ENGAGEMENT_LENGTH_MAX = 64;
const TAGS_SHOWN_MAX = 8;
const TAG_LENGTH_MAX = 32;

/** Share of the budget above which a command line is shortened. */
const ARGV_SHARE = 0.15;

/** Tokens of a shortened command line that stay. */
const ARGV_KEPT = 16;

/** Below this many tokens an answer holds no more than what a model needs to go on. */
const LEAN_BELOW = 1_200;

/** Below this many it leaves out what the caller said itself. */
const TIGHT_BELOW = 900;

/** Most UTF-16 code units of an error's message for each token of the whole answer. */
const MESSAGE_LENGTH_PER_TOKEN = 0.5;

/** Kinds of finding that its summary counts. */
const TIGHT_KINDS_MAX = 2;

/** Longest error message that it repeats. */
const TIGHT_MESSAGE_LENGTH = 160;

/** What a tool answers: JSON for programs, text for a model. */
export interface Answer {
  readonly structuredContent: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly isError: boolean;
}

/** The fields that stand for a scan; the first five wherever there is room. */
export interface Head {
  readonly scan_id: string;
  readonly status: ScanStatus;
  readonly summary: string;
  readonly tool?: string;
  readonly target?: string;
  readonly engagement?: string;
  readonly tags?: readonly string[];
  readonly scan_type?: string | null;
  readonly started_at?: string | null;
  readonly finished_at?: string | null;
  readonly duration_seconds?: number | null;
  readonly argv?: readonly (readonly string[])[];
  readonly notes?: readonly string[];
  readonly trace_id?: string;
}

/** How the rest of a cut answer is asked for, given the next cursor. */
export type NextCall = (cursor: string, query: PageQuery) => string;

/** Options of {@linkcode scanAnswer}. */
export interface AnswerOptions {
  /** Most tokens of JSON and text together. */
  readonly tokensMax: number;
  /**
   * Which findings.
   *
   * @default {EVERYTHING}
   */
  readonly query?: PageQuery;
  /** How the rest is asked for. */
  readonly next: NextCall;
  /**
   * `call` answers with every field of a scan and counts a failed scan as an error; `results` is
   * asked for findings and repeats no more of the scan than its id and state.
   */
  readonly form: "call" | "results";
  /**
   * Seconds since the scan ended, if it was an earlier one that answered.
   *
   * @default {null}
   */
  readonly cachedSeconds?: number | null;
}

/**
 * Answers with a scan and its findings.
 *
 * @param scan The scan, over or not.
 * @param options Budget, query and form.
 * @returns The answer, within the budget.
 */
export function scanAnswer(scan: Scan, options: AnswerOptions): Answer {
  const lean = options.form === "results" || options.tokensMax < LEAN_BELOW;
  const head = options.tokensMax < TIGHT_BELOW
    ? tightHead(scan)
    : lean
    ? leanHead(headOf(scan))
    : fullHead(scan, options.tokensMax);
  if (scan.report === null) return compose(scan, head, null, options);
  const query = options.query ?? EVERYTHING;
  let budget = options.tokensMax - priceOf(compose(scan, head, null, options));
  let page = pageOf(scan.report, query, budget);
  let answer = compose(scan, head, page, options);
  // The parts were priced one by one; what the whole costs more is taken off and tried again.
  for (let tries = 0; tries < 8; tries++) {
    const over = priceOf(answer) - options.tokensMax;
    if (over <= 0 || page.shortened) break;
    // Rows are priced on the high side, so a small step may change nothing.
    budget -= over * 2 ** tries;
    page = pageOf(scan.report, query, budget);
    answer = compose(scan, head, page, options);
  }
  return answer;
}

/**
 * Prices an answer.
 *
 * @param answer The answer.
 * @returns Estimated tokens of its JSON and text together.
 */
export function priceOf(answer: Answer): number {
  return jsonTokensOf(answer.structuredContent) + tokensOf(answer.text);
}

/**
 * Gives the fields that stand for a scan wherever it is named.
 *
 * @param scan The head of the scan.
 * @returns Id, tool, target, state and summary.
 */
export function leanHead(scan: ScanHead): Head & { readonly target: string } {
  return {
    scan_id: scan.id,
    tool: scan.tool,
    target: shorten(scan.target, 60),
    status: scan.status,
    summary: scan.summary,
  };
}

/**
 * Gives what a scan is kept under, bounded.
 *
 * @param scan The scan or its head.
 * @returns Engagement and tags, each where it is set.
 */
export function labelsOf(
  { engagement, tags }: Pick<Scan, "engagement" | "tags">,
): Pick<Head, "engagement" | "tags"> {
  const shown = tags.slice(0, TAGS_SHOWN_MAX)
    .map((tag) => shorten(tag, TAG_LENGTH_MAX));
  const left = tags.length - shown.length;
  return {
    ...(engagement === null
      ? {}
      : { engagement: shorten(engagement, ENGAGEMENT_LENGTH_MAX) }),
    ...(tags.length === 0
      ? {}
      : { tags: left === 0 ? shown : [...shown, `… ${left} more`] }),
  };
}

function tightHead(scan: Scan): Head {
  const summary = summarize(scan, TIGHT_KINDS_MAX);
  return { scan_id: scan.id, status: scan.status, summary };
}

function fullHead(scan: Scan, tokensMax: number): Head {
  return {
    scan_id: scan.id,
    tool: scan.tool,
    target: shorten(scan.target, TARGET_LENGTH_MAX),
    status: scan.status,
    ...labelsOf(scan),
    scan_type: scanTypeOf(scan),
    started_at: isoTime(scan.startedAt),
    finished_at: isoTime(scan.finishedAt),
    duration_seconds: durationOf(scan),
    argv: argvOf(scan, tokensMax * ARGV_SHARE),
    summary: summarize(scan),
    notes: notesOf(scan.notes, tokensMax * ARGV_SHARE),
    trace_id: scan.traceId,
  };
}

function argvOf(
  { argv, id }: Scan,
  tokensMax: number,
): readonly (readonly string[])[] {
  if (jsonTokensOf(argv) <= tokensMax) return argv;
  return argv.slice(0, 1).map((line) => {
    const kept = line.slice(0, ARGV_KEPT).map((token) => shorten(token, 40));
    const left = argv.length - 1;
    const lines = left === 0 ? "" : ` and ${left} more command lines`;
    return [
      ...kept,
      `… ${line.length - kept.length} more words${lines} in scan://${id}`,
    ];
  });
}

function notesOf(
  notes: readonly string[],
  tokensMax: number,
): readonly string[] {
  let left = tokensMax;
  return notes.filter((note) => (left -= jsonTokensOf(note)) >= 0);
}

function compose(
  scan: Scan,
  head: Head,
  page: Page | null,
  options: AnswerOptions,
): Answer {
  const error = errorOf(scan, options.tokensMax);
  const query = options.query ?? EVERYTHING;
  const truncated = truncatedOf(page, query, options.next);
  const age = options.cachedSeconds ?? null;
  const structuredContent = {
    ...head,
    ...(age === null ? {} : { cached: true, age_seconds: age }),
    ...(error === null ? {} : { error }),
    ...(page === null
      ? {}
      : page.hosts === null
      ? { report: page.report }
      : { hosts: page.hosts }),
    ...(page !== null && options.form === "results"
      ? { matched: page.total }
      : {}),
    ...(truncated === null ? {} : { truncated }),
  };
  const lines = [
    `Scan ${scan.id} (${scan.tool}). ${head.summary}`,
    ...(age === null ? [] : [
      `Nothing was scanned now: this answer is ${age} s old; no_cache: true scans again.`,
    ]),
    ...(error === null ? [] : [errorText(error)]),
    ...(head.notes ?? []),
    ...pageLines(page),
    ...(truncated === null ? [] : [truncatedText(truncated)]),
  ];
  // Asking for the findings of a failed scan is no failure.
  const isError = error !== null && options.form === "call";
  return { structuredContent, text: lines.join("\n"), isError };
}

function errorOf({ error }: Scan, tokensMax: number): ErrorBody | null {
  if (error === null) return null;
  // The message is told twice, in JSON and in text: a finding must still fit beside it.
  const lengthMax = tokensMax < TIGHT_BELOW
    ? TIGHT_MESSAGE_LENGTH
    : tokensMax * MESSAGE_LENGTH_PER_TOKEN;
  return { ...error, message: shorten(error.message, lengthMax) };
}

function pageLines(page: Page | null): string[] {
  if (page === null) return [];
  const { untrusted, suspicious } = provenanceOf(page.report);
  return [
    ...(untrusted ? [UNTRUSTED_NOTE] : []),
    ...(suspicious ? [SUSPICIOUS_NOTE] : []),
    ...page.lines,
  ];
}

/** What is left out and how to get it. */
interface Truncated {
  readonly shown: number;
  readonly total: number;
  readonly next: string;
  readonly details?: string;
}

function truncatedOf(
  page: Page | null,
  query: PageQuery,
  next: NextCall,
): Truncated | null {
  if (page === null || (page.next === null && !page.shortened)) return null;
  return {
    shown: page.shown,
    total: page.total,
    next: page.next === null ? "" : next(String(page.next), query),
    ...(page.shortened ? { details: "too large" } : {}),
  };
}

function truncatedText(truncated: Truncated): string {
  const rest = truncated.next === "" ? "" : ` The rest: ${truncated.next}`;
  return `Shown ${truncated.shown} of ${truncated.total} findings${
    truncated.details === undefined ? "" : ", without details: raise max_tokens"
  }.${rest}`;
}

/**
 * Answers with an error alone.
 *
 * @param error The error.
 * @returns The answer.
 */
export function errorAnswer(error: ErrorBody): Answer {
  return {
    structuredContent: { error },
    text: errorText(error),
    isError: true,
  };
}
