/**
 * The resources: scans as a whole, in pages and as reports, the rules in force, health and metrics.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Engine } from "@/dispatch/engine.ts";
import {
  type AuthorizedOperation,
  may,
  require,
} from "@/identity/authorize.ts";
import type { Scan } from "@/scans/scan.ts";
import { type Fields, parseFields } from "@/tools/field.ts";
import { cleanText } from "@/tools/untrusted.ts";
import { guardrailsView } from "./guardrails_view.ts";
import {
  parseExtension,
  REPORT_EXTENSIONS,
  type ReportExtension,
  type ReportInfo,
  reportOf,
} from "./report_resource.ts";
import { type NextCall, scanAnswer } from "./result.ts";
import { argumentsOf, FILTER_FIELDS, queryOf } from "./scan_tools.ts";
import { UNTRUSTED_NOTE } from "./text.ts";

/** Most tokens of a scan as a whole; the rest is read in pages. */
export const WHOLE_TOKENS_MAX = 50_000;

/** Bytes of one page of raw output. */
export const RAW_PAGE_BYTES = 65_536;

/** Recent scans in the list of resources. */
const RECENT_MAX = 20;

/** Most characters of a resource's address. */
const URI_LENGTH_MAX = 2_048;

const JSON_TYPE = "application/json";

/** A resource as it is listed. */
export interface ResourceEntry {
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly mimeType: string;
}

/** A template as it is listed. */
export interface TemplateEntry {
  readonly uriTemplate: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Left out where it hangs on the address. */
  readonly mimeType?: string;
}

/** A part of what was read. */
export interface Content {
  readonly uri: string;
  readonly mimeType: string;
  readonly text: string;
}

const HOSTS_TEMPLATE = `scan://{id}/hosts{?${
  Object.keys(FILTER_FIELDS).join(",")
}}`;

/** The templates, as listed. */
export const TEMPLATES: readonly TemplateEntry[] = [
  {
    uriTemplate: "scan://{id}",
    name: "scan",
    title: "A scan",
    description: "A scan with its findings, as its tool answered it.",
    mimeType: JSON_TYPE,
  },
  {
    uriTemplate: HOSTS_TEMPLATE,
    name: "scan_hosts",
    title: "Findings of a scan",
    description:
      "The findings in pages, with the filters of scan_results; paths and names too.",
    mimeType: JSON_TYPE,
  },
  {
    uriTemplate: "scan://{id}/raw{?offset}",
    name: "scan_raw",
    title: "Raw output of a scan",
    description:
      `What the tool printed, ${RAW_PAGE_BYTES} bytes a page from byte offset. Untrusted.`,
    mimeType: "text/plain",
  },
  {
    uriTemplate: "scan://{id}/report.{ext}",
    name: "scan_report",
    title: "Report of a scan",
    description: `A report to keep: ${
      REPORT_EXTENSIONS.join(", ")
    } (nmap's own, as it came).`,
  },
];

const FIXED: readonly (ResourceEntry & {
  /** What its reader has to be allowed. */
  readonly needs?: AuthorizedOperation;
  readonly read: (engine: Engine) => Promise<string>;
})[] = [
  {
    uri: "policy://guardrails",
    name: "guardrails",
    title: "What is allowed here",
    description:
      "The rules in force and what this host can do. Read it before the first scan.",
    mimeType: JSON_TYPE,
    needs: "tools",
    read: async (engine) =>
      JSON.stringify(guardrailsView(await engine.capabilities())),
  },
  {
    uri: "server://health",
    name: "health",
    title: "Health",
    description: "The health of the server, its tools and its isolates.",
    mimeType: JSON_TYPE,
    read: async (engine) => JSON.stringify(await engine.health()),
  },
  {
    uri: "server://metrics",
    name: "metrics",
    title: "Metrics",
    description: "Metrics in the Prometheus text format.",
    mimeType: "text/plain; version=0.0.4",
    needs: "metrics",
    read: (engine) => engine.metrics(),
  },
];

/**
 * Lists the resources: the fixed ones and the recent scans.
 *
 * @param engine The engine.
 * @returns The entries.
 */
export async function listResources(
  engine: Engine,
): Promise<readonly ResourceEntry[]> {
  const recent = await engine.scans({ limit: RECENT_MAX });
  return [
    ...FIXED
      .filter(({ needs }) =>
        needs === undefined || may(engine.principal, needs)
      )
      .map(({ read: _, needs: __, ...entry }) => entry),
    ...recent.map((scan) => ({
      uri: `scan://${scan.id}`,
      name: scan.id,
      title: `${scan.tool} ${cleanText(scan.target, { lengthMax: 60 })}`,
      description: scan.summary,
      mimeType: JSON_TYPE,
    })),
  ];
}

/**
 * Reads a resource.
 *
 * @param engine The engine.
 * @param uri Its address: untrusted text.
 * @param info Version and clock, for reports.
 * @returns What it holds.
 * @throws {AppError} `not_found`, or `invalid_arguments` when the query is wrong.
 */
export async function readResource(
  engine: Engine,
  uri: string,
  info: ReportInfo,
): Promise<readonly Content[]> {
  const fixed = FIXED.find((entry) => entry.uri === uri);
  if (fixed !== undefined) {
    if (fixed.needs !== undefined) require(engine.principal, fixed.needs);
    const text = await fixed.read(engine);
    return [{ uri, mimeType: fixed.mimeType, text }];
  }
  const { id, part, query } = parseScanUri(uri);
  const scan = await engine.scan(id);
  switch (part.kind) {
    case "whole":
      assertNoQuery(query);
      return [wholeContent(scan, uri)];
    case "hosts":
      return [pageContent(scan, uri, query, engine.resultTokensMax)];
    case "raw":
      return rawContents(scan, uri, query);
    case "report":
      assertNoQuery(query);
      return [{ uri, ...await reportOf(scan, part.extension, info) }];
  }
}

type Part =
  | { readonly kind: "whole" | "hosts" | "raw" }
  | { readonly kind: "report"; readonly extension: ReportExtension };

interface ScanUri {
  readonly id: string;
  readonly part: Part;
  readonly query: ReadonlyMap<string, string>;
}

function parseScanUri(uri: string): ScanUri {
  const match = uri.length > URI_LENGTH_MAX
    ? null
    : /^scan:\/\/([A-Za-z0-9_-]{1,64})(?:\/(hosts|raw|report\.[A-Za-z0-9]{1,16}))?(?:\?([^#]*))?$/
      .exec(uri);
  if (match === null) {
    throw new AppError(
      "not_found",
      "Cannot read the resource: no such resource; list the resources and their templates",
    );
  }
  const [, id = "", part = "", search = ""] = match;
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(search)) {
    if (query.has(name)) throw refuse(`"${name.slice(0, 20)}" is given twice`);
    query.set(name, value);
  }
  return { id, part: partOf(part), query };
}

function partOf(text: string): Part {
  if (text === "hosts" || text === "raw") return { kind: text };
  if (text === "") return { kind: "whole" };
  const extension = parseExtension(text.replace("report.", ""));
  return { kind: "report", extension };
}

function wholeContent(scan: Scan, uri: string): Content {
  const { structuredContent } = scanAnswer(scan, {
    tokensMax: WHOLE_TOKENS_MAX,
    next: nextUriOf(scan.id),
    form: "call",
  });
  return content(uri, structuredContent);
}

function pageContent(
  scan: Scan,
  uri: string,
  query: ReadonlyMap<string, string>,
  tokensMax: number,
): Content {
  const parsed = parseFields(FILTER_FIELDS, typed(FILTER_FIELDS, query));
  const { structuredContent } = scanAnswer(scan, {
    tokensMax: parsed.max_tokens ?? tokensMax,
    query: queryOf(parsed),
    next: nextUriOf(scan.id),
    form: "results",
  });
  return content(uri, structuredContent);
}

/** The text and, where there is more, a second part that says where. */
function rawContents(
  scan: Scan,
  uri: string,
  query: ReadonlyMap<string, string>,
): readonly Content[] {
  const { offset: given = "0", ...others } = Object.fromEntries(query);
  const raw = scan.raw ?? new Uint8Array();
  const offset = /^\d{1,9}$/.test(given) ? Number(given) : NaN;
  if (Object.keys(others).length > 0) throw refuse("it takes offset only");
  if (!(offset === 0 || offset < raw.length)) {
    throw refuse(`offset must be 0 to ${Math.max(0, raw.length - 1)}`);
  }
  const end = pageEnd(raw, offset);
  const text = new TextDecoder().decode(raw.subarray(offset, end));
  return [
    {
      uri,
      mimeType: "text/plain",
      // NFC can lengthen a text, so the cap of the cleaner is no cut here.
      text: cleanText(text, { lengthMax: 4 * RAW_PAGE_BYTES, keepLines: true }),
    },
    content(uri, {
      offset,
      bytes: end - offset,
      total_bytes: raw.length,
      cut_at_limit: scan.rawTruncated,
      next: end < raw.length ? `scan://${scan.id}/raw?offset=${end}` : null,
      note: UNTRUSTED_NOTE,
    }),
  ];
}

/** A page ends where a character ends. */
function pageEnd(raw: Uint8Array, offset: number): number {
  let end = Math.min(raw.length, offset + RAW_PAGE_BYTES);
  if (end === raw.length) return end;
  for (let back = 0; back < 3 && ((raw[end] ?? 0) & 0xc0) === 0x80; back++) {
    end--;
  }
  return end;
}

function nextUriOf(id: string): NextCall {
  return (cursor, query) => {
    const search = new URLSearchParams(
      Object.entries(argumentsOf(query, cursor))
        .map(([name, value]) => [name, String(value)]),
    );
    return `scan://${id}/hosts?${search}`;
  };
}

/** A query holds texts; the fields want numbers and truths. */
function typed(
  fields: Fields,
  query: ReadonlyMap<string, string>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    [...query].map(([name, value]) => {
      const kind = Object.hasOwn(fields, name)
        ? fields[name]?.schema["type"]
        : undefined;
      if (kind === "integer" && /^\d{1,9}$/.test(value)) {
        return [name, Number(value)];
      }
      if (kind === "boolean" && /^(?:true|false)$/.test(value)) {
        return [name, value === "true"];
      }
      return [name, value];
    }),
  );
}

function assertNoQuery(query: ReadonlyMap<string, string>): void {
  if (query.size > 0) throw refuse("it takes no query; use /hosts for filters");
}

function content(uri: string, value: unknown): Content {
  return { uri, mimeType: JSON_TYPE, text: JSON.stringify(value) };
}

function refuse(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot read the resource: ${why}`,
  );
}
