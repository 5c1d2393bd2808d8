/**
 * The only ways in which text gets into an HTML report. Everything is escaped; what a scanned host
 * chose is marked besides, and kept apart from the direction of the text around it.
 *
 * @module
 */
import { BLOCK_LENGTH_MAX, visible, type VisibleOptions } from "./visible.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Escapes a text of ours, or of a request.
 *
 * @param text The text.
 * @param options How long it may be.
 * @returns HTML that shows it, in an element or in a quoted attribute.
 */
export function esc(text: string, options: VisibleOptions = {}): string {
  return visible(text, options).replace(
    /[&<>"']/g,
    (letter) => ENTITIES[letter] ?? "",
  );
}

/**
 * Shows a text that a scanned host chose, within a line.
 *
 * @param text The text.
 * @param suspicious Whether it reads like an instruction.
 * @returns HTML, or nothing for an empty text.
 */
export function untrusted(
  text: string | undefined,
  suspicious: boolean = false,
): string {
  if (text === undefined || text === "") return "";
  const flag = suspicious
    ? ' <span class="warn" title="reads like an instruction to a model">suspicious</span>'
    : "";
  return `<bdi class="u${suspicious ? " sus" : ""}">${esc(text)}</bdi>${flag}`;
}

/**
 * Shows a longer text that a scanned host chose, with its lines.
 *
 * @param label What it is, in our words.
 * @param text The text.
 * @param suspicious Whether it reads like an instruction.
 * @returns HTML.
 */
export function untrustedBlock(
  label: string,
  text: string,
  suspicious: boolean = false,
): string {
  const flag = suspicious ? ' <span class="warn">suspicious</span>' : "";
  const shown = esc(text, { lengthMax: BLOCK_LENGTH_MAX, keepLines: true });
  return `<div class="said"><div class="said-label">${
    esc(label)
  }${flag}</div><pre class="u${
    suspicious ? " sus" : ""
  }" dir="auto">${shown}</pre></div>`;
}
