/**
 * The one way in which a value is written: members sorted, no white space, printable ASCII only. Two
 * writers of the same value write the same bytes, no text can end a line or draw on a terminal, and
 * whoever reads a line and writes it again can tell whether it was ours.
 *
 * @module
 */
import type { Plain } from "@/log/redact.ts";

/**
 * Writes a value.
 *
 * @param value Plain data.
 * @returns JSON of printable ASCII, one line.
 */
export function canonicalJson(value: Plain): string {
  if (typeof value === "string") return ascii(JSON.stringify(value));
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  return `{${canonicalMembers(value)}}`;
}

/**
 * Writes the members of an object without the braces around them.
 *
 * @param value The object.
 * @returns `"a":1,"b":2`, sorted by name; empty for an object without members.
 */
export function canonicalMembers(
  value: Readonly<Record<string, Plain>>,
): string {
  return Object.keys(value).sort().map((name) =>
    `${ascii(JSON.stringify(name))}:${canonicalJson(value[name] ?? null)}`
  ).join(",");
}

function ascii(json: string): string {
  return json.replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
