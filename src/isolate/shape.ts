/**
 * Holds data of unknown make against a shape: which fields there are and no other, and for each of them
 * what it may be and how large. It reads plain data only, which is all that a message may carry.
 *
 * @module
 */

/** Tells whether a value is what it should be. */
export type Check = (value: unknown) => boolean;

/** Deepest nesting of what is measured. */
const DEPTH_MAX = 16;

/**
 * Measures data: one for each value, and a text by its UTF-16 code units.
 *
 * @param value Anything.
 * @param max Where the measuring stops, so that neither a cycle nor a part that occurs a thousand times
 * makes it long.
 * @returns The size, or `max + 1` if it is over `max` or too deep to be told.
 */
export function sizeWithin(value: unknown, max: number): number {
  const size = measure(value, max, DEPTH_MAX);
  return size > max ? max + 1 : size;
}

function measure(value: unknown, max: number, depth: number): number {
  if (typeof value === "string") return 1 + value.length;
  if (typeof value !== "object" || value === null) return 1;
  if (depth === 0) return max + 1;
  let size = 1;
  for (const member of Array.isArray(value) ? value : Object.values(value)) {
    size += measure(member, max - size, depth - 1);
    if (size > max) break;
  }
  return size;
}

/**
 * @param required The fields that have to be there.
 * @param optional The fields that may be left out.
 * @returns A check for an object of these fields and no other.
 */
export function shape(
  required: Readonly<Record<string, Check>>,
  optional: Readonly<Record<string, Check>> = {},
): Check {
  const names = Object.keys(required);
  const checks = new Map(Object.entries({ ...required, ...optional }));
  return (value) => {
    if (!isPlainObject(value)) return false;
    if (!names.every((name) => Object.hasOwn(value, name))) return false;
    return Object.entries(value).every(([name, member]) =>
      checks.get(name)?.(member) === true
    );
  };
}

/**
 * @param check What each item has to be.
 * @param max Most items.
 * @returns A check for a list without gaps.
 */
export function listOf(check: Check, max: number): Check {
  return (value) => {
    if (!Array.isArray(value) || value.length > max) return false;
    // `every` passes over gaps, and what reads the list later may not.
    for (let at = 0; at < value.length; at++) {
      if (!check(value[at])) return false;
    }
    return true;
  };
}

/**
 * @param max Most UTF-16 code units.
 * @param pattern What it has to match, where that is known.
 * @returns A check for a text.
 */
export function text(max: number, pattern?: RegExp): Check {
  return (value) =>
    typeof value === "string" && value.length <= max &&
    (pattern === undefined || pattern.test(value));
}

/** @returns A check for an integer within bounds, both included. */
export function integer(min: number, max: number): Check {
  return (value) =>
    Number.isSafeInteger(value) && min <= Number(value) && Number(value) <= max;
}

/**
 * @param max The largest.
 * @returns A check for a finite number that is not negative.
 */
export function amount(max = Number.MAX_VALUE): Check {
  return (value) =>
    typeof value === "number" && Number.isFinite(value) && value >= 0 &&
    value <= max;
}

/** @returns A check for one of a few values. */
export function oneOf(...values: readonly unknown[]): Check {
  const known = new Set(values);
  return (value) => known.has(value);
}

/** @returns A check that takes null as well. */
export function orNull(check: Check): Check {
  return (value) => value === null || check(value);
}

/** What a message carries is plain; a map or a date has fields of its own that nobody looks at. */
function isPlainObject(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
}
