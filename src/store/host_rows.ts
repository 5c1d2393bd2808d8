/**
 * Hosts and ports of a report as rows, and back. What is filtered by has a column; everything else
 * stays the JSON that it was, without what the columns say already.
 *
 * Rows and not the report as one JSON: a report of a hundred thousand ports is asked for by pages,
 * grows while the scan runs, and would stand in the store twice.
 *
 * @module
 */
import type { Insertable, Selectable } from "kysely";
import type { HostReport, PortReport } from "@/tools/report.ts";
import { addressKey, blockTokens } from "./address_key.ts";
import { foldedKey, storable } from "./plain_text.ts";
import type { ScanHostTable, ScanPortTable } from "./tables.ts";
import { INDEXED_LENGTH_MAX, wordsOf } from "./words.ts";

const NAME_LENGTH_MAX = 200;

/** A host and its ports before they have ids. */
export interface HostRow {
  readonly report: HostReport;
  readonly row: Omit<Insertable<ScanHostTable>, "id" | "scan_seq">;
  readonly ports: readonly PortRow[];
}

/** A port before it has an id. */
export interface PortRow {
  readonly report: PortReport;
  readonly row: Omit<Insertable<ScanPortTable>, "id" | "host_id" | "seen_at">;
  readonly words: readonly string[];
}

/**
 * Makes rows of a host.
 *
 * @param report The host.
 * @returns Its row and those of its ports, each port once.
 */
export function hostRow(report: HostReport): HostRow {
  const { address, status, ports, ...rest } = report;
  const unique = new Map<string, PortReport>();
  for (const port of ports) unique.set(`${port.port}/${port.protocol}`, port);
  return {
    report,
    row: {
      address_key: addressKey(address),
      address: storable(address, NAME_LENGTH_MAX),
      status: storable(status, NAME_LENGTH_MAX),
      detail: jsonOf(rest),
    },
    ports: [...unique.values()].map(portRow),
  };
}

function portRow(report: PortReport): PortRow {
  const { port, protocol, state, ...rest } = report;
  const words = searchable(report);
  const product = report.untrusted?.product;
  return {
    report,
    words,
    row: {
      port,
      protocol: storable(protocol, 16),
      state: storable(state, NAME_LENGTH_MAX),
      service: report.service === undefined
        ? null
        : storable(report.service, NAME_LENGTH_MAX),
      product_key: product === undefined ? null : foldedKey(product),
      detail: jsonOf(rest),
      indexed: Number(words.length > 0),
    },
  };
}

function jsonOf(rest: object): string | null {
  return Object.keys(rest).length === 0 ? null : JSON.stringify(rest);
}

/** What a port is found by: what it is and what it said, script output included. */
function searchable(port: PortReport): readonly string[] {
  const { untrusted = {}, scripts = [] } = port;
  const { banners = [] } = untrusted;
  const texts = [
    port.service,
    untrusted.product,
    untrusted.version,
    untrusted.extra_info,
    untrusted.hostname,
    untrusted.os_type,
    untrusted.device_type,
    ...banners.map(({ text }) => text),
    ...scripts.map(({ untrusted: { output } }) => output),
  ].filter((text) => text !== undefined && text !== "");
  // A service's name alone is a column of its own and would fill the index with every port.
  if (texts.length === 1 && port.service !== undefined) return [];
  return wordsOf(texts.join(" \n ").slice(0, INDEXED_LENGTH_MAX));
}

/**
 * Gives the labels that a port is indexed under.
 *
 * @param tool The scan's tool.
 * @param scopes Its engagement and tags.
 * @param addressKey The key of its address.
 * @param port The port.
 * @returns The labels.
 */
export function labelsOf(
  tool: string,
  scopes: readonly number[],
  addressKey: string,
  port: number,
): string[] {
  return [
    toolLabel(tool),
    portLabel(port),
    ...scopes.map(scopeLabel),
    ...blockTokens(addressKey).map(blockLabel),
  ];
}

/**
 * The label of what is not the house's. A tenant's documents have it and the label of their tenant's
 * scope of everything; the house's have neither, as those that were there before the tenants: so none
 * had to be indexed anew.
 */
export const ALIEN_LABEL = "_o";

/** The label of a tool. */
export function toolLabel(tool: string): string {
  return `_t${wordsOf(tool).join("")}`;
}

/** The label of a port's number. */
export function portLabel(port: number): string {
  return `_p${Math.trunc(port)}`;
}

/** The label of an engagement, a tag, or everything of a tenant. */
export function scopeLabel(scope: number): string {
  return `_s${scope}`;
}

/** The label of a network. */
export function blockLabel(token: string): string {
  return `_a${token}`;
}

/** Makes the host again. */
export function hostOf(
  row: Pick<Selectable<ScanHostTable>, "address" | "status" | "detail">,
  ports: readonly PortReport[],
): HostReport {
  const rest = row.detail === null ? {} : JSON.parse(row.detail);
  return {
    address: row.address,
    status: row.status as HostReport["status"],
    ports: [...ports],
    ...rest,
  };
}

/** Makes the port again. */
export function portOf(
  row: Pick<
    Selectable<ScanPortTable>,
    "port" | "protocol" | "state" | "detail"
  >,
): PortReport {
  const rest = row.detail === null ? {} : JSON.parse(row.detail);
  return {
    port: row.port,
    protocol: row.protocol as PortReport["protocol"],
    state: row.state,
    ...rest,
  };
}
