/**
 * The kinds of key that the configuration is made of. A key carries everything that is known of it:
 * its default, its check, its range and what it means. The documented default file, the environment
 * names, the clamps and the refusals all come from it, so they cannot drift apart.
 *
 * A check never clamps: a number outside its range is a number, and `resolve.ts` moves it and says
 * so. What a check refuses is a wrong type, or a text that does not say what it should.
 *
 * @module
 */
import { z } from "zod";
import { shown } from "@/tools/field.ts";

/** Longest text of the configuration, in UTF-16 code units. */
export const TEXT_LENGTH_MAX = 1_024;

/** Most items of a list. */
export const LIST_ITEMS_MAX = 512;

/** The least and the most a number may be. */
export interface Range {
  readonly minimum: number;
  readonly maximum: number;
}

/** One key of the configuration. */
export interface Key<T> {
  readonly kind: "integer" | "number" | "flag" | "choice" | "text" | "list";
  readonly default: T;
  /**
   * Makes the check that refuses a wrong type or form; it does not know of the range. It is made when
   * a value is given: a start with the defaults needs none of them.
   */
  readonly check: () => z.ZodType<T>;
  /** Set for numbers: a value outside is moved to the nearer end. */
  readonly range: Range | null;
  /** What it may be, for a person: `1 to 65535`, `stdio or http`. */
  readonly values: string;
  /** What it is for, in short sentences. */
  readonly description: string;
  /** Whether it may be `null`. */
  readonly nullable: boolean;
}

/** A section: its keys by their names. */
export type Section = Readonly<Record<string, Key<unknown>>>;

/** A predicate on a text: what is wrong with it, or null. */
export type Complaint = (text: string) => string | null;

/**
 * A whole number.
 *
 * @param initial The default.
 * @param minimum The least.
 * @param maximum The most.
 * @param description What it is for.
 * @returns The key.
 */
export function integer(
  initial: number,
  minimum: number,
  maximum: number,
  description: string,
): Key<number> {
  return {
    kind: "integer",
    default: initial,
    check: () =>
      z.number({ error: wrongType("a whole number") }).refine(
        Number.isInteger,
        { error: (issue) => `expected a whole number, got ${issue.input}` },
      ),
    range: { minimum, maximum },
    values: `${minimum} to ${maximum}`,
    description,
    nullable: false,
  };
}

/**
 * A number that need not be whole.
 *
 * @param initial The default.
 * @param minimum The least.
 * @param maximum The most.
 * @param description What it is for.
 * @returns The key.
 */
export function number(
  initial: number,
  minimum: number,
  maximum: number,
  description: string,
): Key<number> {
  return {
    kind: "number",
    default: initial,
    check: () => z.number({ error: wrongType("a number") }),
    range: { minimum, maximum },
    values: `${minimum} to ${maximum}`,
    description,
    nullable: false,
  };
}

/**
 * `true` or `false`.
 *
 * @param initial The default.
 * @param description What it is for.
 * @returns The key.
 */
export function flag(initial: boolean, description: string): Key<boolean> {
  return {
    kind: "flag",
    default: initial,
    check: () => z.boolean({ error: wrongType("true or false") }),
    range: null,
    values: "true or false",
    description,
    nullable: false,
  };
}

/**
 * One of a few words.
 *
 * @param initial The default.
 * @param words What it may be.
 * @param description What it is for.
 * @returns The key.
 */
export function choice<const T extends string>(
  initial: NoInfer<T>,
  words: readonly T[],
  description: string,
): Key<T> {
  return {
    kind: "choice",
    default: initial,
    check: () => z.enum(words, { error: wrongWord(words) }),
    range: null,
    values: orList(words),
    description,
    nullable: false,
  };
}

/**
 * A text.
 *
 * @param initial The default.
 * @param values What it may be, for a person.
 * @param complaint What is wrong with a text, if anything is.
 * @param description What it is for.
 * @returns The key.
 */
export function text(
  initial: string,
  values: string,
  complaint: Complaint,
  description: string,
): Key<string> {
  return {
    kind: "text",
    default: initial,
    check: () => textCheck(complaint),
    range: null,
    values,
    description,
    nullable: false,
  };
}

/**
 * A text, or `null` for none.
 *
 * @param values What it may be, for a person.
 * @param complaint What is wrong with a text, if anything is.
 * @param description What it is for.
 * @returns The key; its default is `null`.
 */
export function textOrNull(
  values: string,
  complaint: Complaint,
  description: string,
): Key<string | null> {
  return {
    kind: "text",
    default: null,
    check: () => textCheck(complaint).nullable(),
    range: null,
    values: `${values}, or null`,
    description,
    nullable: true,
  };
}

/** What a list holds. */
export interface ListOptions {
  /** What an item may be, for a person. */
  readonly values: string;
  /** What is wrong with an item, if anything is. */
  readonly complaint: Complaint;
  /** Least number of items. */
  readonly itemsMin?: number;
  /** What the list is for. */
  readonly description: string;
}

/**
 * A list of texts, none of them twice.
 *
 * @param initial The default.
 * @param options What it holds.
 * @returns The key.
 */
export function texts(
  initial: readonly string[],
  options: ListOptions,
): Key<readonly string[]> {
  return listOf(initial, () => textCheck(options.complaint), options);
}

/**
 * A list of words out of a few, none of them twice.
 *
 * @param initial The default.
 * @param words What an item may be.
 * @param options The rest.
 * @returns The key.
 */
export function words<const T extends string>(
  initial: readonly NoInfer<T>[],
  words: readonly T[],
  options: Pick<ListOptions, "itemsMin" | "description">,
): Key<readonly T[]> {
  const check = () => z.enum(words, { error: wrongWord(words) });
  const values = `of ${words.join(", ")}`;
  return listOf(initial, check, { ...options, values });
}

/** Names the kind of a value for a message. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return "a text";
  if (typeof value === "boolean") return String(value);
  return Number.isFinite(value) ? "a number" : String(value);
}

function listOf<T extends string>(
  initial: readonly T[],
  item: () => z.ZodType<T>,
  options: Pick<ListOptions, "values" | "itemsMin" | "description">,
): Key<readonly T[]> {
  const itemsMin = options.itemsMin ?? 0;
  const check = () =>
    z.array(item(), { error: wrongType("a list") })
      .min(itemsMin, { error: `expected at least ${itemsMin} item` })
      .max(LIST_ITEMS_MAX, {
        error: `expected at most ${LIST_ITEMS_MAX} items`,
      })
      .check((context) => {
        context.value.forEach((one, index) => {
          if (context.value.indexOf(one) === index) return;
          context.issues.push({
            code: "custom",
            input: one,
            path: [index],
            message: `${shown(one)} stands in the list twice`,
          });
        });
      });
  return {
    kind: "list",
    default: initial,
    check,
    range: null,
    values: `a list ${options.values}`,
    description: options.description,
    nullable: false,
  };
}

function textCheck(complaint: Complaint): z.ZodType<string> {
  return z.string({ error: wrongType("a text") }).check((context) => {
    const message = badText(context.value) ?? complaint(context.value);
    if (message === null) return;
    context.issues.push({ code: "custom", input: context.value, message });
  });
}

/** What no text of the configuration may be. */
function badText(value: string): string | null {
  if (value.length === 0) return "it is empty";
  if (value.length > TEXT_LENGTH_MAX) {
    return `it has ${value.length} characters, at most ${TEXT_LENGTH_MAX} are taken`;
  }
  // Control, format, surrogate and unassigned characters can hide what a text says.
  return /\p{C}/u.test(value) ? "it holds an unprintable character" : null;
}

function wrongType(expected: string): (issue: { input?: unknown }) => string {
  return ({ input }) => `expected ${expected}, got ${seen(input)}`;
}

function wrongWord(
  words: readonly string[],
): (issue: { input?: unknown }) => string {
  return ({ input }) => `expected ${orList(words)}, got ${seen(input)}`;
}

/** Shows what was given: a text by itself, since `"8080"` and `yes` look like what was expected. */
function seen(input: unknown): string {
  return typeof input === "string" ? `the text ${shown(input)}` : kindOf(input);
}

function orList(words: readonly string[]): string {
  return words.length < 2
    ? words.join("")
    : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}
