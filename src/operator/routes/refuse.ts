/**
 * What is said of a request that does not fit its route: which parameter or field, what is wrong with
 * it and what would be right.
 *
 * @module
 */
import type { Context } from "hono";
import type { z } from "@hono/zod-openapi";
import { nearest } from "@/config/suggest.ts";
import { AppError } from "@/error/app_error.ts";
import { shown } from "@/tools/field.ts";

/** Most bytes of a path to a field that a message repeats. */
const PATH_LENGTH_MAX = 80;

/** What a validator found. */
interface Validated {
  readonly success: boolean;
  readonly target: string;
  readonly error?: { readonly issues: readonly z.core.$ZodIssue[] };
}

/** The parts of a route that hold parameters. */
interface Asking {
  readonly request?: {
    readonly query?: unknown;
    readonly body?: { readonly content: object };
  };
}

/** Refuses what a validator found wrong. */
export type Refusal = (result: Validated, context: Context) => undefined;

/**
 * Makes what refuses the requests that do not fit a route.
 *
 * @param route The route.
 * @returns The hook for `app.openapi`.
 */
export function refusal(route: Asking): Refusal {
  return (result, context) => {
    if (result.success) return undefined;
    const issues = result.error?.issues ?? [];
    // A name that is mistyped is missing as well; the mistake says more.
    const issue = issues.find(({ code }) => code === "unrecognized_keys") ??
      issues[0];
    throw refuse(result.target, issue, route, context);
  };
}

/** What a part of a request is called. */
const NOUNS: Readonly<Record<string, string>> = {
  query: "query parameter",
  param: "path parameter",
  header: "header",
  json: "field",
};

function refuse(
  target: string,
  issue: z.core.$ZodIssue | undefined,
  route: Asking,
  context: Context,
): AppError {
  const noun = NOUNS[target] ?? "parameter";
  if (issue === undefined) {
    return new AppError("invalid_arguments", "Cannot read the request");
  }
  if (issue.code === "unrecognized_keys") {
    const name = issue.keys[0] ?? "";
    const known = issue.path.length > 0 ? [] : namesOf(route, target);
    return new AppError(
      "invalid_arguments",
      `Cannot use the ${noun} ${shown(name)}: there is no such ${noun}${
        hint(name, known, noun)
      }`,
    );
  }
  const path = issue.path.map(String).join(".").slice(0, PATH_LENGTH_MAX);
  if (path === "") {
    return new AppError(
      "invalid_arguments",
      "Cannot read the body: expected an object",
    );
  }
  const times = target === "query" ? context.req.queries(path)?.length ?? 1 : 1;
  const why = times > 1 && issue.code !== "too_big" &&
      issue.code !== "too_small"
    ? `it is given ${times} times`
    : reasonOf(issue);
  return new AppError(
    "invalid_arguments",
    `Cannot use the ${noun} ${shown(path)}: ${why}`,
  );
}

function hint(
  name: string,
  known: readonly string[],
  noun: string,
): string {
  const meant = nearest(name, known);
  if (meant !== null) return `; did you mean "${meant}"?`;
  if (known.length > 0) return `; there are ${known.join(", ")}`;
  return `; leave the ${noun} out`;
}

function reasonOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined && / undefined$/.test(issue.message)
        ? "it is required and missing"
        : `expected ${
          issue.expected === "int"
            ? "an integer"
            : /^[aeio]/.test(issue.expected)
            ? `an ${issue.expected}`
            : `a ${issue.expected}`
        }`;
    case "too_small":
      return smallReason(issue.origin, Number(issue.minimum));
    case "too_big":
      return `at most ${issue.maximum}${unitOf(issue.origin)} ${
        unitOf(issue.origin) === "" ? "is" : "are"
      } taken`;
    case "invalid_value":
      return `expected one of ${issue.values.map(String).join(", ")}`;
    case "invalid_format":
    case "custom":
      return issue.message;
    default:
      return "it has another form than the document says";
  }
}

function smallReason(origin: string, minimum: number): string {
  const unit = unitOf(origin);
  if (unit === "") return `at least ${minimum} is taken`;
  if (minimum > 1) return `at least ${minimum}${unit} are needed`;
  return origin === "array" ? "the list is empty" : "it is empty";
}

function unitOf(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " items" : "";
}

/** The names that a query or a body may hold. */
function namesOf({ request }: Asking, target: string): readonly string[] {
  const schema = target === "query"
    ? request?.query
    : target === "json"
    ? schemaOf(request?.body?.content)
    : undefined;
  if (typeof schema !== "object" || schema === null) return [];
  const shape: unknown = "shape" in schema ? schema.shape : undefined;
  return typeof shape === "object" && shape !== null ? Object.keys(shape) : [];
}

function schemaOf(content: object | undefined): unknown {
  const json = content === undefined
    ? undefined
    : Object.entries(content).find(([type]) => type === "application/json");
  const media: unknown = json?.[1];
  return typeof media === "object" && media !== null && "schema" in media
    ? media.schema
    : undefined;
}
