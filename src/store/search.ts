/**
 * Full-text search over what services said, in every scan of a tenant that is kept: newest sightings
 * first.
 *
 * @module
 */
import { type RawBuilder, sql, type SqlBool } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { PortReport } from "@/tools/report.ts";
import { blockTokens, subnetRange } from "./address_key.ts";
import { limitOf, pageOf, readCursor, writeCursor } from "./cursor.ts";
import {
  ALIEN_LABEL,
  blockLabel,
  portLabel,
  portOf,
  scopeLabel,
  toolLabel,
} from "./host_rows.ts";
import type { Link, Read } from "./link.ts";
import { foldedKey, parseWhole, storable } from "./plain_text.ts";
import type { Page, PageOptions, StoredStatus } from "./scan_record.ts";
import { scopeId, scopesOfFilter } from "./scan_rows.ts";
import { ROWS_PER_SCAN, SCANS_MAX } from "./tables.ts";
import { HOUSE_TENANT, type OfTenant, parseTenant } from "./tenant.ts";
import { type IdRange, keyOf, type Query, sourcesOf } from "./texts.ts";
import { parseSearch, type Term, termOf } from "./words.ts";

/** Ports that are looked up one by one. */
const FEW = 500;

/** Scans that are looked through one by one, and runs of them. */
const SCANS_FEW = 64;
const RUNS_MAX = 16;

/** Blocks that a network is made up of for the index: those of an odd one are up to 128. */
const BLOCKS_MAX = 128;

/** A clock may have been set while a scan ran, so that what it saw lies before or behind it. */
const CLOCK_SLACK_MS = 3_600_000;

/** Which sightings of a tenant. What is left out does not narrow. */
export interface SearchFilter extends OfTenant {
  /** An address or a CIDR network. */
  readonly subnet?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly state?: string;
  readonly service?: string;
  /** The whole name, whatever its case. */
  readonly product?: string;
  readonly engagement?: string;
  readonly tags?: readonly string[];
  readonly tool?: string;
  readonly status?: StoredStatus;
  readonly client?: string;
  /** Seen at this time or later. */
  readonly since?: number;
  /** Seen before this time. */
  readonly until?: number;
}

/** A port as one scan saw it. */
export interface Found {
  readonly scanId: string;
  readonly tool: string;
  readonly engagement: string | null;
  readonly address: string;
  readonly seenAt: number;
  readonly port: PortReport;
}

/**
 * Searches.
 *
 * @param link The database.
 * @param text Words that all have to be there, `"words in order"`, beginnings like `apach*`.
 * @param filter Which sightings.
 * @param page Which part.
 * @returns The page.
 * @throws {AppError} `invalid_arguments`.
 */
export async function search(
  link: Link,
  text: string,
  filter: SearchFilter,
  page: PageOptions,
): Promise<Page<Found>> {
  const limit = limitOf(page);
  parseTenant(filter.tenant);
  const terms = [...parseSearch(text), ...termsOf(filter)];
  const after = readCursor("search", ["", 0], page.cursor);
  const rows = await link.read(async (db) => {
    const before = after === null ? null : await placeOf(db, filter, after);
    const scopes = await scopesOfSearch(db, filter);
    if (scopes === null) return [];
    const query: Query = {
      terms,
      labels: [...labelsOfFilter(filter), ...scopes.map(scopeLabel)],
      anyLabel: blocksOfFilter(filter),
      notLabel: filter.tenant === HOUSE_TENANT ? ALIEN_LABEL : null,
    };
    const rows: Row[] = [];
    for (const range of await rangesOf(db, link, filter, before)) {
      const wanted = limit + 1 - rows.length;
      rows.push(
        ...await rowsWithin(db, link, { query, range, filter, wanted }),
      );
      if (rows.length > limit) break;
    }
    return rows;
  });
  return pageOf(
    rows,
    limit,
    (row) => ({
      scanId: row.scan_id,
      tool: row.tool,
      engagement: row.engagement,
      address: row.address,
      seenAt: row.seen_at,
      port: portOf(row),
    }),
    (row) => writeCursor("search", [row.scan_id, row.id % ROWS_PER_SCAN]),
  );
}

/**
 * Finds out where a page ended. A cursor names the scan by its id: its number would tell how many scans
 * all tenants together have made.
 *
 * @throws {AppError} `invalid_arguments` if this tenant has no such scan any more.
 */
async function placeOf(
  db: Read,
  { tenant }: SearchFilter,
  [id, no]: readonly [string, number],
): Promise<number> {
  const row = await db.selectFrom("scans").select("seq")
    .where("id", "=", storable(id, 64)).where("tenant", "=", tenant)
    .executeTakeFirst();
  if (row !== undefined && no >= 0 && no < ROWS_PER_SCAN) {
    return row.seq * ROWS_PER_SCAN + no;
  }
  throw new AppError(
    "invalid_arguments",
    "Cannot go on from that cursor: the scan that the page ended with is not kept; leave it out to begin at the start",
  );
}

/** What the index cuts by; null if nothing can be found. */
async function scopesOfSearch(
  db: Read,
  filter: SearchFilter,
): Promise<readonly number[] | null> {
  const scopes = await scopesOfFilter(db, filter);
  if (scopes === null || filter.tenant === HOUSE_TENANT) return scopes;
  const all = await scopeId(db, filter.tenant, "all", "");
  return all === null ? null : [all, ...scopes];
}

/**
 * Each document's port, host and scan. SQLite would begin with the ports of a few scans and ask the
 * index for each of them: a cross join is one that it does not turn round. PostgreSQL takes a rare word
 * for one of five thousand documents and would read whole tables to join them; so it is told to look
 * them up one by one, as SQLite does.
 */
function withRows(link: Link, key: RawBuilder<number>) {
  return link.kind === "sqlite"
    ? sql`cross join scan_ports on scan_ports.id = ${key}
      cross join scan_hosts on scan_hosts.id = scan_ports.host_id
      cross join scans on scans.seq = scan_hosts.scan_seq`
    : sql`join lateral (select * from scan_ports
        where scan_ports.id = ${key} offset 0) as scan_ports on true
      join lateral (select * from scan_hosts
        where scan_hosts.id = scan_ports.host_id offset 0) as scan_hosts on true
      join scans on scans.seq = scan_hosts.scan_seq`;
}

interface Row {
  readonly id: number;
  readonly port: number;
  readonly protocol: string;
  readonly state: string;
  readonly detail: string | null;
  readonly seen_at: number;
  readonly address: string;
  readonly scan_id: string;
  readonly tool: string;
  readonly engagement: string | null;
}

/** What is asked of a range of documents. */
interface Wanted {
  readonly query: Query;
  readonly range: IdRange;
  readonly filter: SearchFilter;
  /** Most rows. */
  readonly wanted: number;
}

async function rowsWithin(
  db: Read,
  link: Link,
  { query, range, filter, wanted }: Wanted,
): Promise<readonly Row[]> {
  const key = keyOf(link);
  let found: readonly Row[] = [];
  for (const { from, where } of sourcesOf(link, query, range)) {
    const parts = [where, ...rest(filter)];
    const { rows } = await sql<Row>`
      select scan_ports.id, scan_ports.port, scan_ports.protocol,
        scan_ports.state, scan_ports.detail, scan_ports.seen_at,
        scan_hosts.address, scans.id as scan_id, scans.tool, scans.engagement
      from ${from}
      ${withRows(link, key)}
      where ${sql.join(parts, sql` and `)}
      order by ${key} desc limit ${wanted}`.execute(db);
    found = rows;
    if (rows.length === wanted) break;
  }
  return found;
}

/**
 * The documents that may be meant, newest first. What is known of a scan as a whole, and what next to
 * no port is, stands in no index of words: a frequent word would be read to its end for it.
 */
async function rangesOf(
  db: Read,
  link: Link,
  filter: SearchFilter,
  before: number | null,
): Promise<readonly IdRange[]> {
  const few = await fewOf(db, link, filter);
  if (few === NONE) return [];
  const end = before ?? Number.MAX_SAFE_INTEGER;
  return (await scansOf(db, link, filter)).flatMap(({ first, last }) => {
    const from = first * ROWS_PER_SCAN;
    const to = Math.min(end, (last + 1) * ROWS_PER_SCAN);
    return from < to ? [{ from, to, few }] : [];
  });
}

/** Scans whose numbers follow one another. */
interface Run {
  readonly first: number;
  readonly last: number;
}

const EVERY_SCAN: Run = { first: 0, last: SCANS_MAX };

/** The scans that may be meant: one by one where they are few, or all between the first and the last. */
async function scansOf(
  db: Read,
  link: Link,
  filter: SearchFilter,
): Promise<readonly Run[]> {
  const { tenant, status, client, since, until } = filter;
  if ([status, client, since, until].every((one) => one === undefined)) {
    return [EVERY_SCAN];
  }
  let query = db.selectFrom("scans").select("seq")
    .where("tenant", "=", tenant)
    .where("removing", "=", 0).where("rows_used", ">", 0);
  if (status !== undefined) query = query.where("status", "=", status);
  if (client !== undefined) {
    query = query.where("client", "=", storable(client, 65_536));
  }
  if (since !== undefined) {
    const from = parseWhole(since, "since") - CLOCK_SLACK_MS;
    query = query.where(
      sql<SqlBool>`(finished_at is null or finished_at >= ${from})`,
    );
  }
  if (until !== undefined) {
    const to = parseWhole(until, "until") + CLOCK_SLACK_MS;
    query = query.where(
      sql<SqlBool>`(queued_at < ${to} or finished_at < ${to})`,
    );
  }
  // The sign keeps SQLite from the order of the whole where an index leads to those that are meant.
  const led = link.kind === "sqlite" && (status ?? client) !== undefined;
  const seq = led ? sql<number>`+seq` : sql<number>`seq`;
  const newest = await query.orderBy(seq, "desc").limit(SCANS_FEW + 1)
    .execute();
  const runs = runsOf(newest.map(({ seq }) => seq));
  if (newest.length <= SCANS_FEW && runs.length <= RUNS_MAX) return runs;
  const oldest = await query.orderBy(seq).limit(1).executeTakeFirst();
  return [{ first: oldest?.seq ?? 0, last: runs[0]?.last ?? SCANS_MAX }];
}

/** @param numbers Falling. */
function runsOf(numbers: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  for (const no of numbers) {
    const last = runs.at(-1);
    if (last?.first === no + 1) runs[runs.length - 1] = { ...last, first: no };
    else runs.push({ first: no, last: no });
  }
  return runs;
}

const NONE = Symbol("none");

/** The ids of ports in a seldom state or of a seldom protocol, where they are few; null where not. */
async function fewOf(
  db: Read,
  link: Link,
  { state, protocol }: SearchFilter,
): Promise<RawBuilder<unknown> | typeof NONE | null> {
  const seldom = [
    ["state", "open", state],
    ["protocol", "tcp", protocol],
  ] as const;
  for (const [column, common, value] of seldom) {
    if (value === undefined || value === common) continue;
    const index = sql.id(`scan_ports_${column}`);
    const by = link.kind === "sqlite" ? sql`indexed by ${index}` : sql``;
    // As the index has it, or SQLite could not tell that it has all that are meant.
    const ids = sql`select id from scan_ports ${by}
      where indexed = 1 and ${sql.id(column)} <> ${sql.lit(common)}
      and ${sql.id(column)} = ${storable(value, 65_536)}`;
    const { rows } = await sql<{ count: number }>`
      select count(*) as count
      from (${ids} limit ${FEW + 1}) as few`.execute(db);
    const count = rows[0]?.count ?? 0;
    if (count === 0) return NONE;
    if (count <= FEW) return ids;
  }
  return null;
}

/** A product's words are in the index as well, and cut a search where a column could only sieve. */
function termsOf({ product, service }: SearchFilter): Term[] {
  return [product, service].flatMap((text) => {
    const term = text === undefined ? null : termOf(text.slice(0, 200));
    return term === null ? [] : [{ ...term, prefix: true }];
  });
}

/** What the index itself can cut by. */
function labelsOfFilter({ port, tool }: SearchFilter): string[] {
  const labels: string[] = [];
  if (port !== undefined) labels.push(portLabel(parseWhole(port, "port")));
  if (tool !== undefined) labels.push(toolLabel(tool));
  return labels;
}

/**
 * The labels of the blocks that make a network up: a /23 lies in two blocks of its own, and in one
 * that is a hundred times as large.
 */
function blocksOfFilter({ subnet }: SearchFilter): string[] {
  if (subnet === undefined) return [];
  const { first, last } = subnetRange(subnet);
  const ends = blockTokens(last);
  const ranges = blockTokens(first).map((token, at) =>
    tokensBetween(token, ends[at] ?? "")
  );
  return (ranges.findLast((tokens) => tokens !== null) ?? []).map(blockLabel);
}

/** Every token from one to another of its length, or null if they are too many. */
function tokensBetween(from: string, to: string): string[] | null {
  const [family, ...digits] = from;
  const start = BigInt(`0x${digits.join("")}`);
  const count = Number(BigInt(`0x${to.slice(1)}`) - start) + 1;
  return count > BLOCKS_MAX ? null : Array.from({ length: count }, (_, at) => {
    const block = (start + BigInt(at)).toString(16);
    return `${family}${block.padStart(digits.length, "0")}`;
  });
}

/** What is left to the rows. */
function rest(filter: SearchFilter) {
  const text = (value: string) => storable(value, 65_536);
  const { subnet, protocol, state, service, product } = filter;
  const { status, client, since, until, tool } = filter;
  const parts = [
    sql<SqlBool>`scans.removing = 0`,
    sql<SqlBool>`scans.tenant = ${filter.tenant}`,
  ];
  if (subnet !== undefined) {
    const { first, last } = subnetRange(subnet);
    parts.push(
      sql`scan_hosts.address_key >= ${first}`,
      sql`scan_hosts.address_key <= ${last}`,
    );
  }
  const equal = [
    [sql`scan_ports.protocol`, protocol],
    [sql`scan_ports.state`, state],
    [sql`scan_ports.service`, service],
    [
      sql`scan_ports.product_key`,
      product === undefined ? undefined : foldedKey(product),
    ],
    [sql`scans.status`, status],
    [sql`scans.client`, client],
    [sql`scans.tool`, tool],
  ] as const;
  for (const [column, value] of equal) {
    if (value !== undefined) parts.push(sql`${column} = ${text(value)}`);
  }
  if (since !== undefined) {
    parts.push(sql`scan_ports.seen_at >= ${parseWhole(since, "since")}`);
  }
  if (until !== undefined) {
    parts.push(sql`scan_ports.seen_at < ${parseWhole(until, "until")}`);
  }
  return parts;
}
