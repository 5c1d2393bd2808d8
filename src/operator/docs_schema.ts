/**
 * Shapes of JSON as a person reads them: a type in words, and the members of an object below it.
 *
 * @module
 */
import { esc } from "@/report/html_escape.ts";

/** A schema of the document, as far as it is shown. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly additionalProperties?: Schema | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
}

/** Follows references. */
export type ReadSchema = (schema: Schema | undefined) => Schema | undefined;

/** Most references that lead to one schema. */
const HOPS_MAX = 8;

/**
 * Makes what follows references into the document's schemas.
 *
 * @param schemas The schemas by name.
 * @returns A function that gives the schema itself.
 */
export function schemaReader(
  schemas: Readonly<Record<string, unknown>>,
): ReadSchema {
  return (schema) => {
    let found = schema;
    for (let hop = 0; hop < HOPS_MAX && found?.$ref !== undefined; hop++) {
      const name = found.$ref.replace(/^#\/components\/schemas\//, "");
      found = Object.hasOwn(schemas, name)
        ? schemas[name] as Schema
        : undefined;
    }
    return found;
  };
}

/**
 * Shows a schema.
 *
 * @param schema The schema itself.
 * @param read Follows references.
 * @param depth Most levels below it that are shown.
 * @returns HTML.
 */
export function schemaHtml(
  schema: Schema | undefined,
  read: ReadSchema,
  depth: number,
): string {
  if (schema === undefined) return '<span class="type">any</span>';
  const head = `<span class="type">${
    esc(typeText(schema, read), { lengthMax: 600 })
  }</span>`;
  const inner = read(schema.items) ?? schema;
  const members = Object.entries(inner.properties ?? {});
  if (members.length === 0 || depth <= 0) return head;
  const needed = new Set(inner.required ?? []);
  const items = members.map(([name, member]) => {
    const known = read(member);
    const need = needed.has(name) ? ' <span class="need">required</span>' : "";
    const text = member.description ?? known?.description;
    return `<li><code>${esc(name)}</code>${need} ${
      schemaHtml(known, read, depth - 1)
    }${
      text === undefined
        ? ""
        : ` <span class="small">${esc(text, { lengthMax: 600 })}</span>`
    }</li>`;
  }).join("\n");
  return `${head}<ul class="shape">${items}</ul>`;
}

function typeText(schema: Schema, read: ReadSchema): string {
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices !== undefined) {
    const texts = choices.map((one) => {
      const known = read(one);
      return known === undefined ? "any" : typeText(known, read);
    });
    return [...new Set(texts)].join(schema.allOf ? " and " : " or ");
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(String).join(" | ");
  const types = typeof schema.type === "string" ? [schema.type] : schema.type;
  const text = types?.join(" or ") ?? "any";
  const item = read(schema.items);
  const whole = item === undefined
    ? text
    : `${text} of ${typeText(item, read)}`;
  return [whole, ...boundsOf(schema)].join(", ");
}

function boundsOf(schema: Schema): string[] {
  const { minimum, maximum, maxLength, maxItems, format } = schema;
  const bounds: string[] = [];
  if (format !== undefined) bounds.push(format);
  if (minimum !== undefined && maximum !== undefined) {
    bounds.push(`${minimum} to ${maximum}`);
  } else if (minimum !== undefined) bounds.push(`at least ${minimum}`);
  else if (maximum !== undefined) bounds.push(`at most ${maximum}`);
  if (maxLength !== undefined) bounds.push(`at most ${maxLength} characters`);
  if (maxItems !== undefined) bounds.push(`at most ${maxItems} items`);
  return bounds;
}
