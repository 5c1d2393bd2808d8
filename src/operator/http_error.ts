/**
 * Failures of HTTP itself, for which the closed codes have no status of their own: a method that a
 * route does not have, a body that is not JSON, one that does not arrive. They keep a code from the
 * list, so that a client needs one table only, and say their status beside it.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";

/** A failure with a status of its own. */
export class HttpError extends AppError {
  /** The HTTP status. */
  readonly status: number;
  /** Fields that the answer needs by the rules of its status. */
  readonly fields: Readonly<Record<string, string>>;

  /**
   * @param status The HTTP status.
   * @param code One of the closed codes.
   * @param message What was wrong and what to do next.
   * @param fields Fields that the answer needs.
   */
  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    fields: Readonly<Record<string, string>> = {},
  ) {
    super(code, message);
    this.status = status;
    this.fields = fields;
  }
}
