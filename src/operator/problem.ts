/**
 * Failures as HTTP says them: problem details (RFC 9457), the status of the code, and the fields that
 * a status asks for. Nothing of a thrown error but a code and a message that were written for callers
 * leaves the process; the rest goes to the log.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";
import { AppError, toAppError } from "@/error/app_error.ts";
import { httpStatus } from "@/error/http_status.ts";
import { shown } from "@/tools/field.ts";
import { HttpError } from "./http_error.ts";
import { PROBLEM_WORDS } from "./problem_words.ts";

/** The media type of problem details. */
export const PROBLEM_TYPE = "application/problem+json";

/** Most complaints about one request that are told at once. */
const ISSUES_MAX = 5;

/** Which request it was. */
export interface Occurrence {
  readonly requestId: string;
  readonly traceId: string;
}

/**
 * Gives the status of a failure.
 *
 * @param error The failure.
 * @returns The HTTP status.
 */
export function statusOf(error: AppError): number {
  return error instanceof HttpError ? error.status : httpStatus(error.code);
}

/** What a problem says besides its error. */
export interface ProblemOptions {
  /** @default the status of the error */
  readonly status?: number;
  /** Members besides those of every problem. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Writes a failure as an answer.
 *
 * @param error The failure.
 * @param occurrence Which request it was.
 * @param options What it says besides.
 * @returns The answer, without the fields that every answer has.
 */
export function problemAnswer(
  error: AppError,
  occurrence: Occurrence,
  options: ProblemOptions = {},
): Response {
  const { status = statusOf(error), members, headers: more } = options;
  const { code, message, retry_after, approval_id, guardrail } = error
    .toBody();
  const answer = new Response(
    JSON.stringify({
      ...members,
      type: `/problems/${code}`,
      title: PROBLEM_WORDS[code].title,
      status,
      detail: message,
      code,
      instance: occurrence.requestId,
      trace_id: occurrence.traceId,
      retry_after,
      approval_id,
      guardrail,
    }),
    { status },
  );
  const { headers } = answer;
  headers.set("content-type", PROBLEM_TYPE);
  if (retry_after !== undefined) {
    headers.set("retry-after", String(Math.max(1, Math.ceil(retry_after))));
  }
  if (error instanceof HttpError) setAll(headers, error.fields);
  if (more !== undefined) setAll(headers, more);
  return answer;
}

function setAll(
  headers: Headers,
  fields: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
}

/**
 * Makes a failure of whatever a route threw.
 *
 * @param thrown What was caught.
 * @returns The failure; anything unknown is `internal`.
 */
export function failureOf(thrown: unknown): AppError {
  return thrown instanceof HTTPException
    ? exceptionError(thrown)
    : toAppError(thrown);
}

/** What the framework itself refuses. Its words are not taken over. */
function exceptionError(thrown: HTTPException): AppError {
  switch (thrown.status) {
    case 400:
      return new AppError(
        "invalid_arguments",
        "Cannot read the request's body: it is not JSON; send JSON in UTF-8",
      );
    case 415:
      return new HttpError(
        415,
        "invalid_arguments",
        "Cannot read the request's body: its Content-Type is none that this route takes; send application/json",
        { accept: "application/json" },
      );
    default:
      return toAppError(thrown);
  }
}

/** Where a value of a request stands, by the framework's name for it. */
const PLACES: Readonly<Record<string, string>> = {
  json: "body",
  form: "body",
  param: "path",
  query: "query",
  header: "header",
  cookie: "cookie",
};

/** What a schema refused, as the framework tells it. */
export interface Refusal {
  readonly target: string;
  readonly error: z.core.$ZodError;
}

/**
 * Says in words what a schema refused. It names the fields and never repeats their values: one of them
 * may be a secret.
 *
 * @param refusal What was refused.
 * @returns `invalid_arguments`.
 */
export function validationError({ target, error }: Refusal): AppError {
  const place = PLACES[target] ?? "request";
  const told = error.issues.slice(0, ISSUES_MAX).map((issue) =>
    `${nameOf(place, issue.path)}: ${complaint(issue)}`
  );
  const more = error.issues.length - told.length;
  return new AppError(
    "invalid_arguments",
    `Cannot read the request: ${told.join("; ")}${
      more > 0 ? `; and ${more} more` : ""
    }`,
  );
}

function nameOf(place: string, path: readonly PropertyKey[]): string {
  const names = path.slice(0, 8).map((part) =>
    shown(String(part)).slice(1, -1)
  );
  return [place, ...names].join(".");
}

function complaint(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys") {
    const keys = issue.keys.slice(0, ISSUES_MAX).map(shown).join(", ");
    return `it has no ${keys}`;
  }
  const text = issue.message.slice(0, 200).replace(/^Invalid input: /, "");
  return text.charAt(0).toLowerCase() + text.slice(1);
}
