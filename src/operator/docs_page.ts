/**
 * The API's document as a page for people: made here and not in the browser, so that it needs no
 * script, works without a network, prints, and stays what it is when somebody saves it. Everything of
 * the document is escaped, whoever wrote it.
 *
 * @module
 */
import { ERROR_CODES } from "@/error/code.ts";
import { httpStatus } from "@/error/http_status.ts";
import { esc } from "@/report/html_escape.ts";
import { STYLE } from "@/report/html_style.ts";
import { curlOf } from "./docs_curl.ts";
import { type Schema, schemaHtml, schemaReader } from "./docs_schema.ts";
import { type ApiDocument, OPERATION_METHODS } from "./document.ts";
import { PROBLEM_WORDS } from "./problem_words.ts";

/** What the reports' sheet lacks. */
const OWN_STYLE = `
article.op{border-top:1px solid var(--line);padding:20px 0 6px}
article.op:first-of-type{border-top:0;padding-top:0}
article.op h3{margin:0 0 6px;display:flex;flex-wrap:wrap;gap:4px 10px;align-items:baseline;font-size:16px}
article.op h3 code{font-size:15px;overflow-wrap:anywhere}
article.op h4{margin:14px 0 6px;font-size:13px;font-weight:600;color:var(--soft)}
.method{display:inline-block;min-width:62px;text-align:center;border-radius:4px;padding:1px 8px;font:700 12px/1.7 ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;background:var(--track);color:var(--ink)}
.method.get{background:var(--ok-ground);color:var(--ok)}.method.post,.method.put,.method.patch{background:var(--mid-ground);color:var(--mid)}.method.delete{background:var(--bad-ground);color:var(--bad)}
pre.code{margin:0 0 8px;padding:11px 14px;background:var(--faint);border:1px solid var(--line);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.5}
details{margin:6px 0}summary{cursor:pointer;color:var(--link)}
ul.shape{list-style:none;margin:0;padding:0 0 0 14px;border-left:2px solid var(--line)}
ul.shape li{margin:3px 0;overflow-wrap:anywhere}
.type{color:var(--soft);font-size:13px}.need{color:var(--bad);font-size:12px;font-weight:600}
@media screen and (min-width:961px){.layout{grid-template-columns:250px minmax(0,1fr)}}
nav.toc ol ol{border:0;padding-left:14px;font-size:13px}
nav.toc{max-height:calc(100vh - 48px);overflow:auto}
tr:target>*,article:target{background:var(--mid-ground)}
@media screen and (max-width:960px){nav.toc{max-height:none}table{font-size:13px}}
@media print{@page{@bottom-left{content:"HTTP API"}}nav.toc{max-height:none;overflow:visible}article.op{break-inside:auto}details>*{display:block}pre.code{break-inside:avoid}}`;

/**
 * Gives the page's one sheet.
 *
 * @returns The style.
 */
export function docsStyle(): string {
  return STYLE + OWN_STYLE;
}

/** An operation of the document, as far as it is shown. */
interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<
    Record<
      string,
      { readonly description?: string; readonly content?: Content }
    >
  >;
}

type Content = Readonly<
  Record<string, { readonly schema?: Schema; readonly example?: unknown }>
>;

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

/** An operation and where it is. */
interface Placed {
  readonly id: string;
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

/**
 * Writes the page.
 *
 * @param document The API's document.
 * @returns HTML.
 */
export function docsPage(document: ApiDocument): string {
  const groups = groupsOf(document);
  const read = schemaReader(document.components?.schemas ?? {});
  const sections = [...groups].map(([tag, operations]) =>
    section(
      idOf(tag),
      tag,
      operations.map((one) => operationHtml(one, read)).join(""),
    )
  );
  const { title, version, description = "" } = document.info;
  return [
    `<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><meta name="robots" content="noindex, nofollow"><title>${
      esc(title)
    }: HTTP API</title><style>${docsStyle()}</style></head>\n<body><a class="skip" href="#main">Skip to the routes</a>\n`,
    `<header class="top"><div class="in"><div class="kicker"><span>HTTP API</span><span>version ${
      esc(version)
    }</span></div><h1>${esc(title)}</h1><p class="sub">${
      esc(description, { lengthMax: 2_000 })
    }</p></div></header>\n<div class="layout">`,
    contents(groups),
    `<main id="main">\n`,
    section("begin", "Where to begin", BEGIN),
    ...sections,
    section("problems", "Problems", problemsTable()),
    `<footer class="end"><p>Made from the OpenAPI document at <a href="/openapi.json">/openapi.json</a>. This page runs no script and fetches nothing.</p></footer>\n</main></div>\n</body></html>\n`,
  ].join("");
}

/** Where a page says which server it is of: the same page answers under every name of the server. */
export const SERVER = "http://server.invalid";

const BEGIN =
  `<p>Every request carries credentials. Put the key into a file that only you can read, so that it is in no history and no list of processes:</p>
<pre class="code">umask 077
printf 'header = "Authorization: Bearer %s"\\n' "$KEY" &gt; ~/.scan.curlrc
export SERVER=${SERVER}
curl --silent --config ~/.scan.curlrc "$SERVER/tools"</pre>
<dl class="meta">
<dt>Failures</dt><dd>A problem document (RFC 9457) with <code>code</code>, <code>detail</code> and the request's id as <code>instance</code>. All codes are <a href="#problems">listed below</a>.</dd>
<dt>Rates</dt><dd><code>RateLimit</code> says how many requests are left and when the count begins anew; <code>Retry-After</code> when to come again.</dd>
<dt>Repeats</dt><dd>The same <code>Idempotency-Key</code> and request give the same scan, however often it is sent.</dd>
<dt>Reads</dt><dd>Answers of JSON have an <code>ETag</code>; sent back as <code>If-None-Match</code> it gives 304 where nothing changed.</dd>
<dt>Traces</dt><dd><code>traceparent</code> is taken and answered; <code>X-Request-Id</code> too. The audit log and the server's log name both.</dd>
</dl>
`;

function section(id: string, title: string, body: string): string {
  return `<section class="part" id="${id}" aria-labelledby="h-${id}"><h2 id="h-${id}">${
    esc(title)
  }</h2>\n${body}</section>\n`;
}

function groupsOf(
  { paths = {} }: ApiDocument,
): ReadonlyMap<string, readonly Placed[]> {
  const groups = new Map<string, Placed[]>();
  for (const [path, item] of Object.entries(paths)) {
    for (const method of OPERATION_METHODS) {
      const operation = (item as Record<string, unknown>)[method] as
        | Operation
        | undefined;
      if (operation === undefined) continue;
      const tag = operation.tags?.[0] ?? "Other";
      const id = idOf(`${method} ${path}`);
      const group = groups.get(tag) ?? [];
      group.push({ id, path, method, operation });
      groups.set(tag, group);
    }
  }
  return new Map([...groups].sort(([a], [b]) => a < b ? -1 : 1));
}

function contents(groups: ReadonlyMap<string, readonly Placed[]>): string {
  const links = [...groups].map(([tag, operations]) =>
    `<li><a href="#${idOf(tag)}">${esc(tag)}</a><ol>${
      operations.map(({ id, method, path }) =>
        `<li><a href="#${id}">${esc(method.toUpperCase())} ${
          esc(path)
        }</a></li>`
      ).join("")
    }</ol></li>`
  ).join("");
  return `<nav class="toc" aria-label="Contents"><h2>Contents</h2><ol><li><a href="#begin">Where to begin</a></li>${links}<li><a href="#problems">Problems</a></li></ol></nav>`;
}

function operationHtml(
  placed: Placed,
  read: (schema: Schema | undefined) => Schema | undefined,
): string {
  const { id, path, method, operation } = placed;
  const { summary, description, security, parameters = [] } = operation;
  const open = security?.length === 0
    ? ' <span class="badge ok">no credentials</span>'
    : "";
  return `<article class="op" id="${id}"><h3><span class="method ${method}">${method.toUpperCase()}</span><code>${
    esc(path)
  }</code>${open}</h3>\n${paragraph(summary)}${paragraph(description)}${
    parametersHtml(parameters, read)
  }${
    contentHtml("Body", operation.requestBody?.content, read)
  }<h4>Example</h4><pre class="code">${
    esc(curlOf(placed), { lengthMax: 4_000, keepLines: true })
  }</pre>\n${responsesHtml(operation, read)}</article>\n`;
}

function paragraph(text: string | undefined): string {
  return text === undefined || text === ""
    ? ""
    : `<p>${esc(text, { lengthMax: 2_000 })}</p>\n`;
}

function parametersHtml(
  parameters: readonly Parameter[],
  read: (schema: Schema | undefined) => Schema | undefined,
): string {
  if (parameters.length === 0) return "";
  const rows = parameters.map(({ name, schema, required, ...one }) => {
    const known = read(schema);
    return `<tr><th scope="row"><code>${esc(name)}</code>${
      required === true ? ' <span class="need">required</span>' : ""
    }</th><td class="k">${esc(one.in)}</td><td>${
      schemaHtml(known, read, 1)
    }</td><td>${
      esc(one.description ?? known?.description ?? "", { lengthMax: 1_000 })
    }</td></tr>`;
  }).join("\n");
  return `<h4>Parameters</h4><div class="scroll"><table><thead><tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Form</th><th scope="col">What it is</th></tr></thead><tbody>${rows}</tbody></table></div>\n`;
}

function contentHtml(
  title: string,
  content: Content | undefined,
  read: (schema: Schema | undefined) => Schema | undefined,
): string {
  return Object.entries(content ?? {}).map(([type, { schema }]) =>
    `<h4>${esc(title)} <code>${esc(type)}</code></h4>${
      schemaHtml(read(schema), read, 4)
    }\n`
  ).join("");
}

/** What a success is, in full; failures are the same everywhere and have a part of their own. */
function responsesHtml(
  { responses = {} }: Operation,
  read: (schema: Schema | undefined) => Schema | undefined,
): string {
  const failures: string[] = [];
  const rows = Object.entries(responses).flatMap(([status, response]) => {
    const shapes = contentHtml("Answer", response.content, read);
    const isProblem = Object.hasOwn(
      response.content ?? {},
      "application/problem+json",
    );
    if (isProblem && status !== "default") failures.push(status);
    if (isProblem) return [];
    const shape = shapes === ""
      ? ""
      : `<details><summary>Form</summary>${shapes}</details>`;
    const text = esc(response.description ?? "", { lengthMax: 1_000 });
    return [
      `<tr><th scope="row">${esc(status)}</th><td>${text}${shape}</td></tr>`,
    ];
  });
  const told = failures.length === 0 ? "" : `${esc(failures.join(", "))}: `;
  rows.push(
    `<tr><th scope="row">Failures</th><td>${told}<a href="#problems">problem details</a></td></tr>`,
  );
  return `<h4>Answers</h4><div class="scroll"><table><tbody>${
    rows.join("\n")
  }</tbody></table></div>\n`;
}

function problemsTable(): string {
  const rows = ERROR_CODES.map((code) => {
    const { title, next } = PROBLEM_WORDS[code];
    return `<tr id="problem-${code}"><th scope="row"><code>${code}</code></th><td class="k">${
      httpStatus(code)
    }</td><td>${esc(title)}</td><td>${esc(next)}</td></tr>`;
  }).join("\n");
  return `<div class="scroll"><table><caption>Every code that a failure can have. HTTP itself adds 405, 406, 408, 414 and 415, with the code that is nearest.</caption><thead><tr><th scope="col">Code</th><th scope="col">Status</th><th scope="col">What it is</th><th scope="col">What to do next</th></tr></thead><tbody>${rows}</tbody></table></div>\n`;
}

/** Letters, digits and dashes: the target of a link. */
function idOf(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
}
