/**
 * The fields of the tools that look after scans, in the same small kinds as a scanner's, so that one
 * table parses them and describes them.
 *
 * @module
 */
import { CALL_FIELDS } from "@/dispatch/call.ts";
import { SCAN_STATUSES } from "@/scans/scan.ts";
import {
  choice,
  type Fields,
  flag,
  integer,
  type Parsed,
  required,
  text,
  texts,
} from "@/tools/field.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import type { PageQuery } from "./page.ts";
import { parseCursor } from "./page.ts";
import { DETAILS } from "./rows.ts";

/** The tools beside the scanners. */
export const SCAN_TOOL_NAMES = [
  "scan_status",
  "scan_results",
  "scan_list",
  "scan_diff",
  "inventory",
  "scan_cancel",
] as const;

/** One of {@linkcode SCAN_TOOL_NAMES}. */
export type ScanToolName = typeof SCAN_TOOL_NAMES[number];

/** Most characters of a scan's id that is looked up. */
const ID_LENGTH_MAX = 64;

/** Scans that `scan_list` names at once. */
const LIST_DEFAULT = 10;
const LIST_MAX = 50;

/** Rows that `inventory` gives at once. */
const ROWS_DEFAULT = 20;
const ROWS_MAX = 100;

const scanId = required(text("The scan's id.", ID_LENGTH_MAX));
const onePort = integer("This port only.", 1, 65_535);
const oneService = text("This service only, for example http.", 64);

/** What cuts a list by what its scans were kept under. */
const LABEL_FIELDS = {
  engagement: text("Of this engagement only.", 200),
  tags: texts("Of all these tags only.", { lengthMax: 200, itemsMax: 16 }),
};

/** `scan_status` and `scan_cancel`. */
export const ID_FIELDS = { scan_id: scanId } satisfies Fields;

/** Filters of `scan_results`, and the query of `scan://{id}/hosts`. */
export const FILTER_FIELDS = {
  open_only: flag("Open ports only."),
  port: onePort,
  service: oneService,
  host: text("This address or name only.", 253),
  host_status: choice("Hosts in this state only.", ["up", "down", "unknown"]),
  status_code: integer(
    "Paths and virtual hosts with this HTTP status only.",
    100,
    599,
  ),
  fields: choice(
    "full: all that is known. brief: no banners, no scripts. addresses: a list of addresses, the cheapest form and the default with open_only and port together.",
    DETAILS,
  ),
  cursor: text("From truncated.next.", 16),
  max_tokens: CALL_FIELDS.max_tokens,
} satisfies Fields;

/** `scan_results`. */
export const RESULTS_FIELDS = {
  scan_id: scanId,
  ...FILTER_FIELDS,
} satisfies Fields;

/** `scan_diff`. */
export const DIFF_FIELDS = {
  scan_id: scanId,
  since: text(
    "The earlier scan's id; left out, the last that compares.",
    ID_LENGTH_MAX,
  ),
  cursor: text("From truncated.next.", 16),
  max_tokens: CALL_FIELDS.max_tokens,
} satisfies Fields;

/** `scan_list`. */
export const LIST_FIELDS = {
  status: choice("Scans in this state only.", SCAN_STATUSES),
  tool: choice("Scans of this tool only.", TOOL_NAMES),
  ...LABEL_FIELDS,
  limit: integer(`Most scans, ${LIST_DEFAULT} if left out.`, 1, LIST_MAX),
  cursor: text("From truncated.next.", ID_LENGTH_MAX),
} satisfies Fields;

/** Scans that `scan_list` names where the call does not say. */
export const listLimitDefault = LIST_DEFAULT;

/** States by which `inventory` cuts; `any` does not. */
const PORT_STATES = [
  "open",
  "closed",
  "filtered",
  "open|filtered",
  "any",
] as const;

/** `inventory`. */
export const INVENTORY_FIELDS = {
  query: text(
    'Search: words that a service said, "in order", or begin*. Newest sightings first.',
    512,
  ),
  kind: choice("services if left out.", ["services", "hosts"]),
  subnet: text("This address or CIDR network only.", 64),
  port: onePort,
  service: oneService,
  product: text("This product only, its whole name.", 200),
  state: choice("State of the port; open if left out.", PORT_STATES),
  ...LABEL_FIELDS,
  since: text("Seen at this ISO 8601 time or later.", 40),
  until: text("Last seen before this time.", 40),
  limit: integer(`Most rows, ${ROWS_DEFAULT} if left out.`, 1, ROWS_MAX),
  cursor: text("From truncated.next.", 2_048),
} satisfies Fields;

/** Rows that `inventory` gives where the call does not say. */
export const rowsLimitDefault = ROWS_DEFAULT;

/**
 * Makes a page's query of the filters of a call.
 *
 * @param parsed The filters.
 * @returns The query.
 * @throws {AppError} `invalid_arguments` when the cursor is none.
 */
export function queryOf(parsed: Parsed<typeof FILTER_FIELDS>): PageQuery {
  const { open_only, port, fields, cursor } = parsed;
  const terse = open_only === true && port !== undefined;
  return {
    filter: {
      openOnly: open_only,
      port,
      service: parsed.service,
      host: parsed.host,
      hostStatus: parsed.host_status,
      statusCode: parsed.status_code,
    },
    detail: fields ?? (terse ? "addresses" : "full"),
    start: parseCursor(cursor),
  };
}

/**
 * Says a query in the arguments that make it, so that the next page is asked for with the same.
 *
 * @param query The query.
 * @param cursor The next page's cursor.
 * @returns The arguments that were given.
 */
export function argumentsOf(
  query: PageQuery,
  cursor: string,
): Readonly<Record<string, string | number | boolean>> {
  const { filter, detail } = query;
  const all = {
    open_only: filter.openOnly,
    port: filter.port,
    service: filter.service,
    host: filter.host,
    host_status: filter.hostStatus,
    status_code: filter.statusCode,
    fields: detail === "full" ? undefined : detail,
    cursor,
  };
  const given: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) given[name] = value;
  }
  return given;
}

/**
 * Gives what was set of a parsed request, to filter by and to ask for the next page with.
 *
 * @param parsed Values by name.
 * @returns Those that are not `undefined`.
 */
export function withoutUndefined<T extends object>(
  parsed: T,
): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(parsed).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
