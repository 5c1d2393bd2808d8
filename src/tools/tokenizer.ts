/**
 * Reads `extra_args`: one text that looks like a piece of a command line.
 *
 * There is no shell, here or later: quotes group characters and nothing else has a meaning. Each
 * token must be a flag of the tool's table, or the value of one. A flag is not passed on: it is
 * folded into the request's field that it stands for and is checked there like a typed field. So
 * this text can say nothing that a typed request could not say.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import { shown } from "./field.ts";

/** Longest text, in UTF-16 code units, whatever the configuration says. */
export const EXTRA_ARGS_LENGTH_MAX = 8_192;

/** Most tokens. */
export const TOKENS_MAX = 64;

/**
 * How a flag takes its value: as the next token (`-p 80`), glued (`-p80`), or behind `=`
 * (`--top-ports=10`).
 */
export type ValueForm = "next" | "glued" | "equals";

/** One flag of a tool's allowlist. */
export interface FlagRule {
  /** How it may be written, with its dashes: `-t`, `--threads`. The first one is shown. */
  readonly names: readonly string[];
  /** The forms its value may take; none if the flag has no value. */
  readonly forms?: readonly ValueForm[];
  /** The request's field that it stands for. */
  readonly field: string;
  /**
   * What the field is set to.
   *
   * @param value The value's text, empty for a flag without one.
   * @returns JSON for the field's own parser; it judges it, and nothing may be trusted here.
   */
  readonly value: (value: string) => unknown;
}

/** A flag that is known and refused, with the reason. */
export interface FlagRefusal {
  readonly names: readonly string[];
  readonly code: ErrorCode;
  /** What to do instead. */
  readonly why: string;
}

/** What a tool takes and what it refuses by name. */
export interface FlagTable {
  readonly allowed: readonly FlagRule[];
  readonly refused: readonly FlagRefusal[];
}

/**
 * Splits a text into tokens at spaces. Single and double quotes group; a backslash is a character
 * like any other.
 *
 * @param extraArgs Untrusted text.
 * @returns The tokens.
 * @throws {AppError} `invalid_arguments` for a character that is not printable ASCII, an open
 * quote, an empty token, or too much of it.
 */
export function tokenize(extraArgs: string): string[] {
  if (extraArgs.length > EXTRA_ARGS_LENGTH_MAX) {
    throw refuse(
      `it has ${extraArgs.length} characters, at most ${EXTRA_ARGS_LENGTH_MAX} are taken`,
    );
  }
  if (!/^[\x20-\x7e]*$/.test(extraArgs)) {
    throw refuse("it holds a character that is not printable ASCII");
  }
  const tokens: string[] = [];
  let token: string | null = null;
  let quote: string | null = null;
  for (const character of extraArgs) {
    if (quote !== null) {
      if (character === quote) quote = null;
      else token = (token ?? "") + character;
    } else if (character === "'" || character === '"') {
      quote = character;
      token ??= "";
    } else if (character !== " ") token = (token ?? "") + character;
    else if (token !== null) {
      tokens.push(token);
      token = null;
    }
  }
  if (quote !== null) throw refuse(`a ${quote} is not closed`);
  if (token !== null) tokens.push(token);
  if (tokens.includes("")) throw refuse("it holds an empty token");
  if (tokens.length > TOKENS_MAX) {
    throw refuse(
      `it has ${tokens.length} tokens, at most ${TOKENS_MAX} are taken`,
    );
  }
  return tokens;
}

/**
 * Folds tokens into fields.
 *
 * @param tokens What {@linkcode tokenize} made.
 * @param table The tool's flags.
 * @returns JSON for the fields, for the tool's own field parsers.
 * @throws {AppError} `invalid_arguments` for a token that is neither an allowed flag nor the value
 * of one, for a missing or surplus value, and for a field that is set twice; the code of its
 * refusal for a flag that is refused by name.
 */
export function foldFlags(
  tokens: readonly string[],
  table: FlagTable,
): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index] ?? "";
    const found = findFlag(token, table.allowed);
    if (found === null) throw unknownFlag(token, table);
    let { value } = found;
    if (value === null && needsNext(found.rule)) {
      value = tokens[++index] ?? null;
      // A value never begins with a dash, so that `-p -iL` is no way to hide a flag.
      if (value === null || (value.startsWith("-") && value !== "-")) {
        throw refuse(`${found.name} needs a value`);
      }
    }
    if (fields.has(found.rule.field)) {
      throw refuse(
        `${found.name} sets "${found.rule.field}", which another flag sets already`,
      );
    }
    fields.set(found.rule.field, found.rule.value(value ?? ""));
  }
  return fields;
}

/**
 * Joins folded flags with the typed fields of a request.
 *
 * @param typed The request's own fields.
 * @param folded What {@linkcode foldFlags} made.
 * @returns Both.
 * @throws {AppError} `invalid_arguments` if a field is set by both.
 */
export function joinFolded(
  typed: Readonly<Record<string, unknown>>,
  folded: ReadonlyMap<string, unknown>,
): Record<string, unknown> {
  const joined: Record<string, unknown> = { ...typed };
  for (const [field, value] of folded) {
    if (Object.hasOwn(joined, field) && joined[field] !== undefined) {
      throw refuse(
        `it sets "${field}", which the argument of that name sets already; keep one of the two`,
      );
    }
    joined[field] = value;
  }
  return joined;
}

/**
 * Reads a flag's value as a whole number, for {@linkcode FlagRule.value}.
 *
 * @param value The value's text.
 * @returns The number, or the text as it is if it holds anything but digits: the field refuses it.
 */
export function wholeNumber(value: string): unknown {
  return /^(0|[1-9][0-9]{0,8})$/.test(value) ? Number(value) : value;
}

/**
 * Says yes, for the {@linkcode FlagRule.value} of a flag without a value.
 *
 * @returns `true`.
 */
export function yes(): true {
  return true;
}

interface Found {
  readonly rule: FlagRule;
  readonly name: string;
  /** Null if the value is not in the token itself. */
  readonly value: string | null;
}

function findFlag(token: string, rules: readonly FlagRule[]): Found | null {
  for (const rule of rules) {
    const exact = rule.names.find((name) => name === token);
    if (exact !== undefined) return { rule, name: exact, value: null };
  }
  for (const rule of rules) {
    for (const name of rule.names) {
      if (!token.startsWith(name)) continue;
      const rest = token.slice(name.length);
      if (rule.forms?.includes("equals") && rest.startsWith("=")) {
        return { rule, name, value: rest.slice(1) };
      }
      if (rule.forms?.includes("glued") && !rest.startsWith("=")) {
        return { rule, name, value: rest };
      }
    }
  }
  return null;
}

function needsNext(rule: FlagRule): boolean {
  if (rule.forms === undefined || rule.forms.length === 0) return false;
  return rule.forms.includes("next");
}

function unknownFlag(token: string, table: FlagTable): AppError {
  const refusal = table.refused.find((entry) =>
    entry.names.some((name) => namesFlag(token, name))
  );
  if (refusal !== undefined) {
    return new AppError(
      refusal.code,
      `Cannot use the flag ${shown(token)} in extra_args: ${refusal.why}`,
    );
  }
  const names = table.allowed.map((rule) => rule.names[0]).join(" ");
  return refuse(`${shown(token)} is not allowed; the flags are ${names}`);
}

/** A long flag may carry `=value`; a short one may have its value glued on. */
function namesFlag(token: string, name: string): boolean {
  return token === name || token.startsWith(`${name}=`) ||
    (!name.startsWith("--") && name.length >= 2 && token.startsWith(name));
}

function refuse(why: string): AppError {
  return new AppError("invalid_arguments", `Cannot use extra_args: ${why}`);
}
