/**
 * The small kinds of value that requests and answers are made of.
 *
 * A query holds texts; each kind here reads exactly one way of writing a value, and the document says
 * what it stands for.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";

/** Credentials, as every route but the open ones wants them. */
export const SECURED = [{ bearer: [] }];

/** No credentials. */
export const OPEN: Record<string, string[]>[] = [];

/** An id of ours. */
export const idText = z.string().regex(
  /^[A-Za-z0-9_-]{1,64}$/,
  "an id has 1 to 64 letters, digits, - or _",
);

/** A route's own thing. */
export const IdParams = z.strictObject({
  id: idText.openapi({
    description: "The id.",
    example: "01jgz7m5e8p4k2q9s6t3v0w1xy",
  }),
});

/** No query at all. */
export const NoQuery = z.strictObject({});

/**
 * A number in a query.
 *
 * @param description What it is.
 * @param minimum The least that is taken.
 * @param maximum The most that is taken.
 */
export function queryInteger(
  description: string,
  minimum: number,
  maximum: number,
): z.ZodType<number, string> {
  return z.string()
    .regex(/^\d{1,9}$/, `expected an integer from ${minimum} to ${maximum}`)
    .transform(Number)
    .pipe(z.int().min(minimum).max(maximum))
    .openapi({ type: "integer", minimum, maximum, description });
}

/**
 * `true` or `false` in a query.
 *
 * @param description What it is.
 */
export function queryFlag(description: string): z.ZodType<boolean, string> {
  return z.enum(["true", "false"]).transform((text) => text === "true")
    .openapi({ type: "boolean", description });
}

/**
 * A text in a query or a body.
 *
 * @param description What it is.
 * @param lengthMax Most UTF-16 code units.
 */
export function boundedText(
  description: string,
  lengthMax: number,
): z.ZodString {
  return z.string().min(1).max(lengthMax).openapi({ description });
}

/**
 * A text that may stand several times in a query.
 *
 * @param description What it is.
 * @param lengthMax Most UTF-16 code units of one.
 * @param itemsMax How often it may stand there.
 */
export function queryTexts(
  description: string,
  lengthMax: number,
  itemsMax: number,
): z.ZodType<string[], string | string[]> {
  const one = z.string().min(1).max(lengthMax);
  return z.union([one.transform((text) => [text]), z.array(one).max(itemsMax)])
    .openapi({
      type: "array",
      items: { type: "string", minLength: 1, maxLength: lengthMax },
      maxItems: itemsMax,
      description,
    });
}

/**
 * A time in a query: a day, or a time with its zone.
 *
 * @param description What it is.
 */
export function queryTime(description: string): z.ZodString {
  return z.string().max(40).openapi({
    description,
    example: "2026-01-31T08:00:00Z",
  });
}

/** Most items of a page of a list. */
export const PAGE_MAX = 200;

/** Items of a page where the request does not say. */
export const PAGE_DEFAULT = 50;

/** Which part of a list. */
export const pageQuery = {
  limit: queryInteger(
    `Most items, ${PAGE_DEFAULT} if left out.`,
    1,
    PAGE_MAX,
  ).optional(),
  cursor: boundedText(
    "The next_cursor of the page before.",
    2_048,
  ).optional(),
};

/** Where the next page of a list begins. */
export const nextCursor = z.string().nullable().openapi({
  description: "Goes into cursor for the next page; null on the last one.",
});

/** A time in an answer. */
export const time = z.string().openapi({ format: "date-time" });

/** A time that may not have come, or may never come. */
export const timeOrNull = z.string().nullable().openapi({
  format: "date-time",
});

/** Plain data whose members are told elsewhere. */
export const anyObject = z.record(z.string(), z.unknown());

/** Content of JSON. An alias, as an interface would not fit the types of a route. */
export type JsonContent<S extends z.ZodType> = {
  readonly "application/json": {
    readonly schema: S;
    readonly example: z.input<S>;
  };
};

/** An answer of JSON. */
export type JsonAnswer<S extends z.ZodType> = {
  readonly description: string;
  readonly content: JsonContent<S>;
};

/** A body of JSON. */
export type JsonBody<S extends z.ZodType> = {
  readonly required: true;
  readonly content: JsonContent<S>;
};

/**
 * Describes an answer of JSON.
 *
 * @param schema Its shape.
 * @param description What it is.
 * @param example One of them.
 * @returns The response.
 */
export function jsonAnswer<S extends z.ZodType>(
  schema: S,
  description: string,
  example: z.input<S>,
): JsonAnswer<S> {
  return {
    description,
    content: { "application/json": { schema, example } },
  };
}

/**
 * Describes a body of JSON.
 *
 * @param schema Its shape.
 * @param example One of them.
 * @returns The body.
 */
export function jsonBody<S extends z.ZodType>(
  schema: S,
  example: z.input<S>,
): JsonBody<S> {
  return {
    required: true,
    content: { "application/json": { schema, example } },
  };
}

/** The header of a page that is not the last one. */
export const LINK_HEADER = {
  Link: {
    description: 'The next page, as rel="next" (RFC 8288).',
    schema: { type: "string" as const },
  },
};
