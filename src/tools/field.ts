/**
 * The few kinds of field that a tool's request is made of. One table of fields parses a request and
 * describes it as JSON Schema, so that what a client is told and what is checked cannot drift apart.
 *
 * It is our own and small because it runs inside the tool isolates, where no npm code but the
 * address and XML parsers may live.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** A field: how it is parsed and how it is described. */
export interface Field<T> {
  /** Whether a request without it is refused. */
  readonly required: boolean;
  /** @returns Its JSON Schema. */
  readonly schema: Readonly<Record<string, unknown>>;
  /**
   * Parses a value.
   *
   * @param value What the request holds, never `undefined`.
   * @param name The field's name, for the message.
   * @throws {AppError} `invalid_arguments`.
   */
  readonly parse: (value: unknown, name: string) => T;
}

/** The fields of a request by their names. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What {@linkcode parseFields} makes of a table of fields. */
export type Parsed<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends
    Field<infer T> & { readonly required: true } ? T
    : F[K] extends Field<infer T> ? T | undefined
    : never;
};

/** The same field, but a request without it is refused. */
export function required<T>(
  field: Field<T>,
): Field<T> & { readonly required: true } {
  return { ...field, required: true };
}

/**
 * A text.
 *
 * @param description For a model and a person.
 * @param lengthMax Most UTF-16 code units.
 */
export function text(description: string, lengthMax: number): Field<string> {
  return {
    required: false,
    schema: { type: "string", minLength: 1, maxLength: lengthMax, description },
    parse: (value, name) => parseText(value, name, lengthMax),
  };
}

/** An integer within bounds. `description` is for a model and a person. */
export function integer(
  description: string,
  minimum: number,
  maximum: number,
): Field<number> {
  return {
    required: false,
    schema: { type: "integer", minimum, maximum, description },
    parse: (value, name) => {
      if (typeof value !== "number" || !Number.isSafeInteger(value)) {
        throw refuse(name, `expected an integer, got ${kindOf(value)}`);
      }
      if (value < minimum || value > maximum) {
        throw refuse(name, `${value} is not within ${minimum} to ${maximum}`);
      }
      return value;
    },
  };
}

/** `true` or `false`. */
export function flag(description: string): Field<boolean> {
  return {
    required: false,
    schema: { type: "boolean", description },
    parse: (value, name) => {
      if (typeof value !== "boolean") {
        throw refuse(name, `expected true or false, got ${kindOf(value)}`);
      }
      return value;
    },
  };
}

/** One of a few words. */
export function choice<const T extends string>(
  description: string,
  words: readonly T[],
): Field<T> {
  return {
    required: false,
    schema: { type: "string", enum: words, description },
    parse: (value, name) => {
      if (
        typeof value !== "string" ||
        !(words as readonly string[]).includes(value)
      ) {
        throw refuse(
          name,
          `expected one of ${words.join(", ")}, got ${shown(value)}`,
        );
      }
      return value as T;
    },
  };
}

/** Bounds of a list. */
export interface ListBounds {
  /** Most UTF-16 code units of an item. */
  readonly lengthMax: number;
  /** Most items. */
  readonly itemsMax: number;
}

/** A list of texts, at least one. */
export function texts(
  description: string,
  bounds: ListBounds,
): Field<readonly string[]> {
  return {
    required: false,
    schema: {
      type: "array",
      items: { type: "string", minLength: 1, maxLength: bounds.lengthMax },
      minItems: 1,
      maxItems: bounds.itemsMax,
      description,
    },
    parse: (value, name) => parseTexts(value, name, bounds),
  };
}

/** A text, or a list of texts; always parsed to a list. */
export function textOrTexts(
  description: string,
  bounds: ListBounds,
): Field<readonly string[]> {
  const item = { type: "string", minLength: 1, maxLength: bounds.lengthMax };
  return {
    required: false,
    schema: {
      anyOf: [item, {
        type: "array",
        items: item,
        minItems: 1,
        maxItems: bounds.itemsMax,
      }],
      description,
    },
    parse: (value, name) =>
      Array.isArray(value)
        ? parseTexts(value, name, bounds)
        : [parseText(value, name, bounds.lengthMax)],
  };
}

/**
 * Parses an untrusted request. It is read once into plain data; a key that is no field is refused.
 *
 * @param fields The table.
 * @param input Untrusted JSON.
 * @returns The values; a field that was left out is `undefined`.
 * @throws {AppError} `invalid_arguments`, naming the field and what was expected.
 */
export function parseFields<F extends Fields>(
  fields: F,
  input: unknown,
): Parsed<F> {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    throw new AppError(
      "invalid_arguments",
      `Cannot read the arguments: expected an object, got ${kindOf(input)}`,
    );
  }
  const given = new Map<string, unknown>(Object.entries(input));
  for (const key of given.keys()) {
    if (!Object.hasOwn(fields, key)) {
      throw new AppError(
        "invalid_arguments",
        `Cannot use the argument ${
          shown(key)
        }: no such argument; the arguments are ${
          Object.keys(fields).join(", ")
        }`,
      );
    }
  }
  const parsed: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(fields)) {
    const value = given.get(name);
    if (value === undefined) {
      if (field.required) throw refuse(name, "it is required and missing");
      continue;
    }
    parsed[name] = field.parse(value, name);
  }
  return parsed as Parsed<F>;
}

/**
 * Describes a table of fields.
 *
 * @param fields The table.
 * @returns A JSON Schema (2020-12) of the request.
 */
export function fieldsSchema(fields: Fields): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  const requiredNames: string[] = [];
  for (const [name, field] of Object.entries(fields)) {
    properties[name] = field.schema;
    if (field.required) requiredNames.push(name);
  }
  return {
    type: "object",
    properties,
    required: requiredNames,
    additionalProperties: false,
  };
}

/** Quotes an untrusted value for a message: short, and with nothing unprintable. */
export function shown(value: unknown): string {
  if (typeof value !== "string") return kindOf(value);
  const short = value.length > 60 ? `${value.slice(0, 60)}…` : value;
  return `"${short.replace(/[^\x20-\x7e…]/g, "\ufffd")}"`;
}

function parseText(value: unknown, name: string, lengthMax: number): string {
  if (typeof value !== "string") {
    throw refuse(name, `expected a text, got ${kindOf(value)}`);
  }
  if (value.length === 0) throw refuse(name, "it is empty");
  if (value.length > lengthMax) {
    throw refuse(
      name,
      `it has ${value.length} characters, at most ${lengthMax} are taken`,
    );
  }
  return value;
}

function parseTexts(
  value: unknown,
  name: string,
  bounds: ListBounds,
): readonly string[] {
  if (!Array.isArray(value)) {
    throw refuse(name, `expected a list, got ${kindOf(value)}`);
  }
  if (value.length === 0) throw refuse(name, "the list is empty");
  if (value.length > bounds.itemsMax) {
    throw refuse(
      name,
      `it has ${value.length} items, at most ${bounds.itemsMax} are taken`,
    );
  }
  return value.map((item) => parseText(item, name, bounds.lengthMax));
}

function refuse(name: string, why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use the argument "${name}": ${why}`,
  );
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return `a ${typeof value}`;
}
