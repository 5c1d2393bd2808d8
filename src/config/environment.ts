/**
 * Reads the value of an environment variable as the kind of its key. A variable is text; what kind
 * it stands for is said by the key, never guessed from the text.
 *
 * @module
 */
import { shown } from "@/tools/field.ts";
import { ENVIRONMENT_NAMES, KEYS, SECTIONS } from "./schema.ts";
import type { Key } from "./key.ts";
import { nearest } from "./suggest.ts";

/** Longest value, in UTF-16 code units. */
export const VARIABLE_LENGTH_MAX = 65_536;

/** What a variable's text says. */
export type Reading =
  | { readonly kind: "value"; readonly value: unknown }
  /** Set and empty: nothing is said. */
  | { readonly kind: "empty" }
  | { readonly kind: "refused"; readonly message: string };

/**
 * Reads a variable.
 *
 * An empty one says nothing: container files write `NAME=${UNSET:-}` without meaning to empty a deny
 * list. An empty list is written `[]`.
 *
 * @param spec The key.
 * @param text The variable's value.
 * @returns What it says; the key's own check is still to come.
 */
export function readVariable(spec: Key<unknown>, text: string): Reading {
  if (text.length > VARIABLE_LENGTH_MAX) {
    return refused(
      `it has ${text.length} characters, at most ${VARIABLE_LENGTH_MAX} are taken`,
    );
  }
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "empty" };
  if (spec.nullable && trimmed === "null") return read(null);
  switch (spec.kind) {
    case "integer":
    case "number":
      return /^-?[0-9]{1,20}(?:\.[0-9]{1,20})?$/.test(trimmed)
        ? read(Number(trimmed))
        : refused(
          `expected ${
            spec.kind === "integer" ? "a whole number" : "a number"
          }, got ${shown(text)}`,
        );
    case "flag": {
      const word = trimmed.toLowerCase();
      if (word === "true" || word === "1") return read(true);
      if (word === "false" || word === "0") return read(false);
      return refused(`expected true or false, got ${shown(text)}`);
    }
    case "list":
      return trimmed === "[]"
        ? read([])
        : read(trimmed.split(",").map((item) => item.trim()));
    case "choice":
    case "text":
      return read(trimmed);
  }
}

/**
 * Finds variables that look like keys and are none.
 *
 * They are warned of and not refused: other programs use the prefix too, and what the server may not
 * read it does not see.
 *
 * @param env The environment.
 * @returns A warning for each.
 */
export function strayVariables(
  env: Readonly<Record<string, string>>,
): readonly string[] {
  const known = KEYS.map(({ variable }) => variable);
  const prefixes = Object.keys(SECTIONS).map((section) =>
    `MCP_${section.toUpperCase()}_`
  );
  return Object.keys(env).flatMap((name) => {
    if (ENVIRONMENT_NAMES.includes(name)) return [];
    if (!prefixes.some((prefix) => name.startsWith(prefix))) return [];
    const guess = nearest(
      name.toLowerCase(),
      known.map((one) => one.toLowerCase()),
    );
    const advice = guess === null
      ? ""
      : `; did you mean ${guess.toUpperCase()}`;
    return [
      `${shown(name)} is no key of the configuration and is ignored${advice}`,
    ];
  });
}

function read(value: unknown): Reading {
  return { kind: "value", value };
}

function refused(message: string): Reading {
  return { kind: "refused", message };
}
