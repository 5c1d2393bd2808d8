/**
 * The one class of expected failures. A programmer's mistake is a `TypeError` or a `RangeError`;
 * everything a caller may meet (refused input included) is an {@linkcode AppError}.
 *
 * `message` is for the caller or the model and says the way out; it never holds a path, a tool's
 * stderr or the environment. `detail` is for the log only.
 *
 * @module
 */
import { type ErrorCode, isErrorCode } from "./code.ts";

/** What of an error may leave the process or cross an isolate's boundary. */
export interface ErrorBody {
  /** One of the closed codes. */
  readonly code: ErrorCode;
  /** What was wrong and what to do next. */
  readonly message: string;
  /** Seconds after which a retry makes sense, where that is known. */
  readonly retry_after?: number;
  /** The request for approval that waits for a decision: with `approval_required`. */
  readonly approval_id?: string;
  /** The guardrail that refused. */
  readonly guardrail?: string;
}

/** A request for approval that a call waits for. */
export interface ApprovalRef {
  /** Its id. */
  readonly id: string;
  /** Whether the user of the MCP client may decide it. */
  readonly byClientUser: boolean;
}

/** Options of {@linkcode AppError}. */
export interface AppErrorOptions {
  /** For the log only: never shown to a caller. */
  readonly detail?: string;
  /** What led to it. */
  readonly cause?: unknown;
  /** Seconds after which a retry makes sense. */
  readonly retryAfter?: number;
  /** What has to be approved first: with `approval_required`. */
  readonly approval?: ApprovalRef;
  /** The guardrail that refused, by its name. */
  readonly guardrail?: string;
}

/** An expected failure: a code from the closed list and a message with the way out. */
export class AppError extends Error {
  override readonly name = "AppError";
  /** One of the closed codes. */
  readonly code: ErrorCode;
  /** For the log only. */
  readonly detail: string | undefined;
  /** Seconds after which a retry makes sense. */
  readonly retryAfter: number | undefined;
  /** What has to be approved first. */
  readonly approval: ApprovalRef | undefined;
  /** The guardrail that refused. */
  readonly guardrail: string | undefined;

  /**
   * @param code One of the closed codes.
   * @param message What was wrong and what to do next.
   * @param options Log detail, cause, retry time, approval and guardrail.
   */
  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.detail = options.detail;
    this.retryAfter = options.retryAfter;
    this.approval = options.approval;
    this.guardrail = options.guardrail;
  }

  /**
   * Gives the part that may leave the process.
   *
   * @returns Code, message and, where known, the retry time, the approval and the guardrail.
   */
  toBody(): ErrorBody {
    const { code, message, retryAfter, approval, guardrail } = this;
    return {
      code,
      message,
      ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
      ...(approval === undefined ? {} : { approval_id: approval.id }),
      ...(guardrail === undefined ? {} : { guardrail }),
    };
  }
}

/**
 * Makes an {@linkcode AppError} of whatever was thrown. Anything unknown becomes `internal` with a
 * fixed message; its text goes to `detail` only.
 *
 * @param thrown What was caught.
 * @returns The same error, or an `internal` one around it.
 */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const detail = thrown instanceof Error
    ? `${thrown.name}: ${thrown.message}`
    : String(thrown);
  return new AppError(
    "internal",
    "Cannot complete the request: an internal fault occurred; see the server log",
    { detail, cause: thrown },
  );
}

/** Most characters of an approval's id that crossed a boundary. */
const APPROVAL_ID_LENGTH_MAX = 64;

/**
 * Reads an error body that crossed a boundary.
 *
 * @param value What arrived.
 * @returns The error it describes, or an `internal` one if it describes none.
 */
export function parseErrorBody(value: unknown): AppError {
  if (typeof value === "object" && value !== null) {
    const body = value as Record<string, unknown>;
    const { code, message, retry_after } = body;
    if (
      isErrorCode(code) && typeof message === "string" && message.length <= 4096
    ) {
      const approval = parseApproval(body);
      return new AppError(code, message, {
        ...(typeof retry_after === "number" ? { retryAfter: retry_after } : {}),
        ...(approval === null ? {} : { approval }),
      });
    }
  }
  return toAppError(new TypeError("malformed error body"));
}

/** Who may decide does not cross: whoever made the error knows it, and nobody else may claim it. */
function parseApproval(
  { approval_id: id }: Readonly<Record<string, unknown>>,
): ApprovalRef | null {
  if (typeof id !== "string" || id.length > APPROVAL_ID_LENGTH_MAX) return null;
  // The id goes into texts that people read: only what an id is made of.
  return /^[\w-]+$/.test(id) ? { id, byClientUser: false } : null;
}
