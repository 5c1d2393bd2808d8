/**
 * A failure as HTTP clients get it: problem details (RFC 9457) with our codes.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";
import { ERROR_CODES } from "@/error/code.ts";

/** Problem details. */
export const ProblemSchema = z.object({
  type: z.string().openapi({
    description: "The address of the kind of problem; one for each code.",
  }),
  title: z.string().openapi({ description: "The kind of problem in words." }),
  status: z.int(),
  detail: z.string().openapi({
    description: "What was wrong and what to do next.",
  }),
  code: z.enum(ERROR_CODES),
  instance: z.string().openapi({
    description: "The id of the request, as in X-Request-Id.",
  }),
  trace_id: z.string(),
  retry_after: z.number().optional().openapi({
    description: "Seconds after which a retry makes sense, where it is known.",
  }),
  approval_id: z.string().optional().openapi({
    description: "With approval_required: what waits for a second person.",
  }),
  guardrail: z.string().optional().openapi({
    description: "The guardrail that refused, as a plan's verdicts name it.",
  }),
}).openapi("Problem", {
  description: "Problem details (RFC 9457).",
  example: {
    type: "/problems/not_found",
    title: "Not found",
    status: 404,
    detail: 'Cannot find the scan "01jgz": no such id; list the scans',
    code: "not_found",
    instance: "0af7651916cd43dd8448eb211c80319c",
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
  },
});

/** What stands behind each status that is no success. */
const MEANINGS = {
  400: "The request cannot be read, or an argument is wrong.",
  401: "There are no credentials, or they are not good.",
  403: "These credentials, a guardrail or a policy do not allow it.",
  404: "There is no such thing, or it is another tenant's.",
  409: "It stands against the present state.",
  413: "The body is too large.",
  415: "The body is no JSON, is packed, or is not in UTF-8.",
  416: "The part that is asked for is not there.",
  426: "The request is no WebSocket handshake.",
  422: "The network is larger than one scan may be.",
  429: "Too many requests, or a quota is used up.",
  500: "A fault of the server; its log says more.",
  502: "The tool failed, or it printed too much.",
  503: "The server cannot do it now.",
  504: "The time of the scan was over.",
} as const;

/** A status that is no success. */
export type ProblemStatus = keyof typeof MEANINGS;

/** What any route may answer to anybody who has to prove who it is. */
type Common = 400 | 401 | 403 | 429 | 500 | 503;

const COMMON: readonly Common[] = [400, 401, 403, 429, 500, 503];

/** Statuses after which a client is told when to come again. */
const WITH_RETRY: ReadonlySet<ProblemStatus> = new Set([429, 503]);

/** A response with problem details. An alias, as an interface would not fit the types of a route. */
type ProblemResponse = {
  readonly description: string;
  readonly headers?: {
    readonly "Retry-After": {
      readonly description: string;
      readonly schema: { type: "integer" };
    };
  };
  readonly content: {
    readonly "application/problem+json": {
      readonly schema: typeof ProblemSchema;
    };
  };
};

/**
 * Lists the problems of a route that wants credentials.
 *
 * @param statuses What it may answer besides what every such route may.
 * @returns The responses by status.
 */
export function problems<S extends ProblemStatus = never>(
  ...statuses: readonly S[]
): Record<S | Common, ProblemResponse> {
  return problemsOnly<S | Common>(...COMMON, ...statuses);
}

/**
 * Lists the problems of a route that is open to anybody.
 *
 * @param statuses What it may answer.
 * @returns The responses by status.
 */
export function problemsOnly<S extends ProblemStatus>(
  ...statuses: readonly S[]
): Record<S, ProblemResponse> {
  return Object.fromEntries(
    statuses.map((status) => [status, problemResponse(status)]),
  ) as Record<S, ProblemResponse>;
}

function problemResponse(status: ProblemStatus): ProblemResponse {
  return {
    description: MEANINGS[status],
    ...(WITH_RETRY.has(status)
      ? {
        headers: {
          "Retry-After": {
            description: "Seconds after which a retry makes sense.",
            schema: { type: "integer" },
          },
        },
      }
      : {}),
    content: { "application/problem+json": { schema: ProblemSchema } },
  };
}
