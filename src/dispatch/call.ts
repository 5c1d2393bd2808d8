/**
 * A call as an adapter hands it to `dispatch`, and the options that every tool's call may carry
 * besides the tool's own request.
 *
 * @module
 */
import type { From, Who } from "@/audit/entry.ts";
import type { Principal } from "@/identity/principal.ts";
import { AppError } from "@/error/app_error.ts";
import {
  type Fields,
  flag,
  integer,
  parseFields,
  text,
  texts,
} from "@/tools/field.ts";
import type { Progress } from "@/tools/tool.ts";

/** Options of a call that are not part of the scan. They stand beside the tool's arguments. */
export const CALL_FIELDS = {
  background: flag("Return a scan_id at once and scan on."),
  plan: flag(
    "Only plan: exact argv, addresses, estimates and every guardrail's verdict; no scan.",
  ),
  max_tokens: integer(
    "Most tokens of the answer; the rest stays readable.",
    // Id, state, summary, an error and the way to the rest take that much.
    500,
    50_000,
  ),
  engagement: text("The engagement that the scan is kept under.", 64),
  tags: texts("Tags that it is kept under.", {
    lengthMax: 64,
    itemsMax: 16,
  }),
  idempotency_key: text(
    "The same key and request again give the same scan.",
    128,
  ),
  no_cache: flag("Scan even if an earlier answer is fresh enough."),
} satisfies Fields;

const { max_tokens: _, ...whole } = CALL_FIELDS;

/**
 * Those of them that mean something where an answer is whole, as over HTTP. How to hear of a scan in the
 * background is for each adapter to say: it has ways of its own.
 */
export const WHOLE_CALL_FIELDS = whole;

/** A call. */
export interface Call {
  /** Where it came from, for the audit log. */
  readonly who: From;
  /** The tool's name as the client sent it. */
  readonly tool: string;
  /** The arguments as the client sent them: untrusted JSON. */
  readonly arguments: unknown;
  /** Aborts when the client cancels or goes. A background scan outlives it. */
  readonly signal: AbortSignal;
  /** Hears of progress, at most a few times a second. */
  readonly onProgress?: (progress: Progress) => void;
  /** 32 hex digits when the client sent one. */
  readonly traceId?: string;
}

/** A call of somebody whose credentials were proved. */
export interface ProvedCall extends Call {
  readonly who: Who;
  readonly principal: Principal;
}

/** The arguments of a call, taken apart. */
export interface CallArguments {
  readonly background: boolean;
  readonly plan: boolean;
  readonly maxTokens: number | undefined;
  readonly engagement: string | null;
  readonly tags: readonly string[];
  readonly idempotencyKey: string | null;
  /** Whether an earlier answer is no answer. */
  readonly noCache: boolean;
  /** What is left for the tool. */
  readonly request: Readonly<Record<string, unknown>>;
}

/**
 * Takes the options of a call apart from the tool's request.
 *
 * @param input Untrusted JSON.
 * @returns The options, and a request that the tool has still to parse.
 * @throws {AppError} `invalid_arguments`.
 */
export function parseCallArguments(input: unknown): CallArguments {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new AppError(
      "invalid_arguments",
      "Cannot read the arguments: expected an object",
    );
  }
  const own: Record<string, unknown> = {};
  const request: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(input)) {
    (Object.hasOwn(CALL_FIELDS, key) ? own : request)[key] = value;
  }
  const parsed = parseFields(CALL_FIELDS, own);
  return {
    background: parsed.background ?? false,
    plan: parsed.plan ?? false,
    maxTokens: parsed.max_tokens,
    engagement: parsed.engagement ?? null,
    tags: [...new Set(parsed.tags)].sort(),
    idempotencyKey: parsed.idempotency_key ?? null,
    noCache: parsed.no_cache ?? false,
    request,
  };
}
