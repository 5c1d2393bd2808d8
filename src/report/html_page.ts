/**
 * The frame of an HTML report: head, title, contents, parts, foot. The page holds all that it shows;
 * its own policy forbids a browser to run a script or to fetch anything.
 *
 * @module
 */
import { esc } from "./html_escape.ts";
import { STYLE } from "./html_style.ts";
import { PRODUCT, type ReportContext } from "./input.ts";
import { timeText } from "./words.ts";

/** The policy of the page. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** One part of a report. */
export interface Part {
  /** Letters and dashes: the target of its link. */
  readonly id: string;
  readonly title: string;
  /** Trusted HTML, made by this layer. */
  readonly body: Iterable<string>;
}

/** What stands above the parts. */
export interface Heading {
  /** `Scan report`, `Comparison`. */
  readonly kind: string;
  readonly title: string;
  readonly subtitle: string;
  /** Trusted HTML behind the subtitle. */
  readonly badge: string;
}

/**
 * Writes a page.
 *
 * @param heading What stands above.
 * @param parts The parts, in order.
 * @param context What is said in the foot.
 * @returns The pieces of the page.
 */
export function* page(
  heading: Heading,
  parts: readonly Part[],
  context: ReportContext,
): Generator<string> {
  yield `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${
    esc(POLICY)
  }"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer"><meta name="robots" content="noindex, nofollow"><title>${
    esc(`${heading.kind}: ${heading.title}`, { lengthMax: 160 })
  }</title><style>${STYLE}</style></head>\n<body><a class="skip" href="#main">Skip to the report</a>\n`;
  yield header(heading, context);
  yield `<div class="layout">${contents(parts)}<main id="main">\n`;
  for (const { id, title, body } of parts) {
    yield `<section class="part" id="${id}" aria-labelledby="h-${id}"><h2 id="h-${id}">${
      esc(title)
    }</h2>\n`;
    yield* body;
    yield "</section>\n";
  }
  yield `<footer class="end"><p>Written by ${
    esc(`${PRODUCT} ${context.version}`)
  } at ${
    esc(timeText(context.generatedAtMs))
  }. All times are UTC. This file holds all that it shows: it runs no script and fetches nothing.</p></footer>\n</main></div>\n</body></html>\n`;
}

function header(heading: Heading, context: ReportContext): string {
  const { engagement, tags = [] } = context;
  const marks = [
    ...(engagement === undefined ? [] : [`Engagement: ${engagement}`]),
    ...(tags.length === 0 ? [] : [`Tags: ${tags.join(", ")}`]),
  ].join(" · ");
  return `<header class="top"><div class="in"><div class="kicker"><span>${
    esc(`${PRODUCT} · ${heading.kind}`)
  }</span><span>${esc(marks)}</span></div><h1>${
    esc(heading.title)
  }</h1><p class="sub">${
    esc(heading.subtitle)
  } ${heading.badge}</p></div></header>\n`;
}

function contents(parts: readonly Part[]): string {
  const links = parts.map(({ id, title }) =>
    `<li><a href="#${id}">${esc(title)}</a></li>`
  ).join("");
  return `<nav class="toc" aria-label="Contents"><h2>Contents</h2><ol>${links}</ol></nav>`;
}

/** A figure of the summary. */
export interface Figure {
  readonly label: string;
  readonly value: string;
  readonly tone?: "good" | "bad";
}

/**
 * Writes figures side by side.
 *
 * @param list The figures.
 * @returns HTML.
 */
export function figures(list: readonly Figure[]): string {
  return `<dl class="figures">${
    list.map(({ label, value, tone = "" }) =>
      `<div class="${tone}"><dt>${esc(label)}</dt><dd>${esc(value)}</dd></div>`
    ).join("")
  }</dl>\n`;
}

/**
 * Writes terms with what they stand for.
 *
 * @param entries Term and trusted HTML; an entry without HTML is left out.
 * @returns HTML.
 */
export function terms(
  entries: readonly (readonly [string, string])[],
): string {
  return `<dl class="meta">${
    entries.filter(([, html]) => html !== "").map(([term, html]) =>
      `<dt>${esc(term)}</dt><dd>${html}</dd>`
    ).join("")
  }</dl>\n`;
}

/**
 * Writes sentences as a list.
 *
 * @param sentences The sentences.
 * @returns HTML, or nothing for none.
 */
export function sentences(list: readonly string[]): string {
  if (list.length === 0) return "";
  return `<ul class="notes">${
    list.map((text) => `<li>${esc(text, { lengthMax: 2_000 })}</li>`).join("")
  }</ul>\n`;
}

/**
 * Writes something to mind.
 *
 * @param texts Paragraphs.
 * @param bad Whether it is grave.
 * @returns HTML, or nothing for none.
 */
export function box(texts: readonly string[], bad: boolean = false): string {
  if (texts.length === 0) return "";
  return `<div class="box${bad ? " bad" : ""}" role="note">${
    texts.map((text) => `<p>${esc(text, { lengthMax: 2_000 })}</p>`).join("")
  }</div>\n`;
}

/** A column: its heading and its class (`n` for numbers, `k` for what must not break). */
export type Column = readonly [string, string?];

/**
 * Writes the head of a table.
 *
 * @param caption What the table shows.
 * @param columns Its columns.
 * @param kind `quiet` keeps the caption for those who do not see the table.
 * @returns HTML up to the body.
 */
export function tableHead(
  caption: string,
  columns: readonly Column[],
  kind: "quiet" | "" = "",
): string {
  return `<div class="scroll ${kind}"><table><caption>${
    esc(caption)
  }</caption><thead><tr>${
    columns.map(([name, kind]) =>
      `<th scope="col"${kind === "n" ? ' class="n"' : ""}>${esc(name)}</th>`
    ).join("")
  }</tr></thead><tbody>\n`;
}

/** The end of a table. */
export const TABLE_END = "</tbody></table></div>\n";
