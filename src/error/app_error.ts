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
}

/** Options of {@linkcode AppError}. */
export interface AppErrorOptions {
  /** For the log only: never shown to a caller. */
  readonly detail?: string;
  /** What led to it. */
  readonly cause?: unknown;
  /** Seconds after which a retry makes sense. */
  readonly retryAfter?: number;
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

  /**
   * @param code One of the closed codes.
   * @param message What was wrong and what to do next.
   * @param options Log detail, cause and retry time.
   */
  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.detail = options.detail;
    this.retryAfter = options.retryAfter;
  }

  /**
   * Gives the part that may leave the process.
   *
   * @returns Code, message and, where known, the retry time.
   */
  toBody(): ErrorBody {
    const body = { code: this.code, message: this.message };
    return this.retryAfter === undefined
      ? body
      : { ...body, retry_after: this.retryAfter };
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

/**
 * Reads an error body that crossed a boundary.
 *
 * @param value What arrived.
 * @returns The error it describes, or an `internal` one if it describes none.
 */
export function parseErrorBody(value: unknown): AppError {
  if (typeof value === "object" && value !== null) {
    const { code, message, retry_after } = value as Record<string, unknown>;
    if (
      isErrorCode(code) && typeof message === "string" && message.length <= 4096
    ) {
      return new AppError(
        code,
        message,
        typeof retry_after === "number" ? { retryAfter: retry_after } : {},
      );
    }
  }
  return toAppError(new TypeError("malformed error body"));
}
