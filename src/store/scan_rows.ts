/**
 * Scans as rows: making, changing, listing them.
 *
 * @module
 */
import { noScan } from "./no_scan.ts";
import { type Selectable, sql, type Updateable } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { ToolName } from "@/tools/tool.ts";
import { parseAskedBy } from "./asked_by.ts";
import { limitOf, pageOf, readCursor, writeCursor } from "./cursor.ts";
import type { Link, Read, Write } from "./link.ts";
import { parseLabel, parseTags, parseWhole, storable } from "./plain_text.ts";
import {
  isEnd,
  type NewScan,
  type Page,
  type PageOptions,
  type ReportHead,
  type ScanChange,
  type StoredScan,
  type StoredScanFilter,
  type StoredStatus,
} from "./scan_record.ts";
import { SCANS_MAX, type ScanTable } from "./tables.ts";
import { type OfTenant, parseTenant } from "./tenant.ts";
import { textKey } from "./text_key.ts";

/** Longest text of a target that is shown. */
const TARGET_LENGTH_MAX = 65_536;

const ID = /^[0-9A-Za-z_-]{1,64}$/;

/**
 * A scan and the process that writes to it. A scan belongs to one runner: whoever was taken for dead
 * and lives on must not write over what the next one makes of it, so every write compares the two in
 * its own transaction.
 */
export interface OwnScan {
  readonly id: string;
  /** The process that writes. */
  readonly runner: number;
}

/** What came of {@linkcode createScan}. */
export interface Created {
  readonly scan: StoredScan;
  /** False if the key and the request were known: the scan is the one that they made. */
  readonly created: boolean;
}

/**
 * Records a scan before it starts.
 *
 * @param link The database.
 * @param scan The scan.
 * @param runner The process that is going to run it.
 * @returns It, or the scan that the same key and request made before.
 * @throws {AppError} `conflict` if the key made another request, or the id is taken.
 */
export async function createScan(
  link: Link,
  scan: NewScan,
  runner: number,
): Promise<Created> {
  const row = newRow(scan, runner);
  const tags = parseTags(scan.tags ?? []);
  return await link.write(async (write) => {
    await refuseStruckOff(link, write, runner);
    const made = await write.insertInto("scans").values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returningAll().executeTakeFirst();
    if (made === undefined) return await existing(write, row);
    if (made.seq > SCANS_MAX) {
      throw new RangeError(
        `Cannot keep scan number ${made.seq}: it is too great`,
      );
    }
    for (const [kind, name] of scopesOf(scan.engagement ?? null, tags)) {
      const scope_id = await makeScope(write, scan.tenant, kind, name);
      await write.insertInto("scan_scopes")
        .values({ scope_id, scan_id: scan.id }).execute();
    }
    return { scan: scanOf(made), created: true };
  });
}

type NewRow = Omit<ScanTable, "seq">;

/** A scan of a runner that was taken for dead meanwhile would be nobody's. */
async function refuseStruckOff(
  link: Link,
  write: Write,
  runner: number,
): Promise<void> {
  const query = write.selectFrom("runners").select("no")
    .where("no", "=", runner);
  // Whoever strikes it off waits until the scan is there to be taken over.
  const row = await (link.kind === "postgres" ? query.forKeyShare() : query)
    .executeTakeFirst();
  if (row !== undefined) return;
  throw new AppError(
    "tool_unavailable",
    "Cannot record the scan: another server took this one for dead while it had lost the database; try again",
  );
}

function newRow(scan: NewScan, runner: number): NewRow {
  if (!ID.test(scan.id)) {
    throw new TypeError(`Cannot keep the scan "${scan.id}": that is no id`);
  }
  const label = (text: string | null | undefined, what: string) =>
    text === null || text === undefined ? null : parseLabel(text, what);
  const key = label(scan.idempotencyKey, "idempotency key");
  const digest = label(scan.requestDigest, "request digest");
  if (key !== null && digest === null) {
    throw new TypeError("Cannot keep an idempotency key without a digest");
  }
  return {
    id: scan.id,
    tenant: parseTenant(scan.tenant),
    tool: scan.tool,
    status: "queued",
    request: JSON.stringify(scan.request),
    target: storable(scan.target, TARGET_LENGTH_MAX),
    target_key: textKey(scan.target),
    targets: JSON.stringify(scan.targets ?? []),
    argv: "[]",
    scan_type: "",
    progress: null,
    error: null,
    notes: "[]",
    summary: null,
    trace_id: storable(scan.traceId, 64),
    engagement: label(scan.engagement, "engagement"),
    tags: JSON.stringify(parseTags(scan.tags ?? [])),
    client: label(scan.client, "client") ?? "",
    asked_by: scan.askedBy === null || scan.askedBy === undefined
      ? null
      : JSON.stringify(scan.askedBy),
    idempotency_key: key,
    request_digest: digest,
    queued_at: Math.round(scan.queuedAt),
    started_at: null,
    finished_at: null,
    report: null,
    raw_bytes: 0,
    raw_truncated: 0,
    host_count: 0,
    service_count: 0,
    path_count: 0,
    rows_used: 0,
    bytes: 0,
    requeued: 0,
    runner,
    removing: 0,
  };
}

/** Answers a repeated request, and refuses a key or an id that is taken. */
async function existing(write: Write, row: NewRow): Promise<Created> {
  const { tenant, client, idempotency_key: key } = row;
  const same = key === null ? undefined : await write.selectFrom("scans")
    .selectAll().where("tenant", "=", tenant).where("client", "=", client)
    .where("idempotency_key", "=", key).executeTakeFirst();
  if (same === undefined) {
    throw new AppError(
      "conflict",
      `Cannot record the scan "${row.id}": it exists`,
    );
  }
  if (same.request_digest === row.request_digest) {
    return { scan: scanOf(same), created: false };
  }
  throw new AppError(
    "conflict",
    `Cannot use that idempotency key: it made the scan "${same.id}" with another request; use a new key for a new request`,
  );
}

function scopesOf(
  engagement: string | null,
  tags: readonly string[],
): [kind: ScopeKind, name: string][] {
  const scopes = tags.map((tag): [ScopeKind, string] => ["tag", tag]);
  if (engagement !== null) scopes.push(["engagement", engagement]);
  return scopes;
}

/** What an inventory is of. `all` has no name. */
export type ScopeKind = "all" | "engagement" | "tag";

/** Finds a scope, or makes it when it is needed for the first time. */
async function makeScope(
  write: Write,
  tenant: string,
  kind: ScopeKind,
  name: string,
): Promise<number> {
  const known = await scopeId(write, tenant, kind, name);
  if (known !== null) return known;
  await write.insertInto("scopes").values({ tenant, kind, name })
    .onConflict((conflict) => conflict.doNothing()).execute();
  const { id } = await write.selectFrom("scopes").select("id")
    .where("tenant", "=", tenant).where("kind", "=", kind)
    .where("name", "=", name).executeTakeFirstOrThrow();
  return id;
}

/**
 * Gives the scope of everything that a tenant's scans saw.
 *
 * @param write The transaction.
 * @param tenant Whose.
 * @returns Its number.
 */
export async function makeAllScope(
  write: Write,
  tenant: string,
): Promise<number> {
  return await makeScope(write, tenant, "all", "");
}

/**
 * Finds a scope.
 *
 * @param db The database.
 * @param tenant Whose.
 * @param kind What it is of.
 * @param name The engagement's or the tag's name.
 * @returns Its number, or null if no scan of this tenant ever had it.
 */
export async function scopeId(
  db: Read,
  tenant: string,
  kind: ScopeKind,
  name: string,
): Promise<number | null> {
  const row = await db.selectFrom("scopes").select("id")
    .where("tenant", "=", tenant).where("kind", "=", kind)
    .where("name", "=", storable(name, 65_536)).executeTakeFirst();
  return row?.id ?? null;
}

/**
 * Changes a scan that is alive.
 *
 * @param link The database.
 * @param own Which, and who writes.
 * @param change What changes. `queued` is no change that a running scan takes.
 * @returns The scan as it is now.
 * @throws {AppError} `not_found`; `conflict` if it is over or somebody else's.
 */
export async function updateScan(
  link: Link,
  own: OwnScan,
  change: ScanChange,
): Promise<StoredScan> {
  return await link.write((write) => changeRow(write, own, change, {}));
}

/**
 * Changes a scan that is alive, within a transaction.
 *
 * @param write The transaction.
 * @param own Which, and who writes.
 * @param change What changes.
 * @param columns Further columns.
 * @returns The scan as it is now.
 */
export async function changeRow(
  write: Write,
  own: OwnScan,
  change: ScanChange,
  columns: Updateable<ScanTable>,
): Promise<StoredScan> {
  const from: readonly StoredStatus[] = change.status === "queued"
    ? ["queued"]
    : ["queued", "running"];
  const values = { ...columnsOf(change), ...columns };
  if (Object.keys(values).length === 0) {
    const row = await rowOf(write, own.id);
    refuseOther(row, own);
    return scanOf(row);
  }
  const changed = await write.updateTable("scans").set(values)
    .where("id", "=", storable(own.id, 64)).where("status", "in", from)
    .where("runner", "=", own.runner)
    .where("removing", "=", 0).returningAll().executeTakeFirst();
  if (changed !== undefined) return scanOf(changed);
  const row = await rowOf(write, own.id);
  refuseOther(row, own);
  throw new AppError(
    "conflict",
    `Cannot queue the scan "${own.id}": it is running`,
  );
}

/**
 * Locks a scan for the rest of a transaction.
 *
 * @param link The database.
 * @param write The transaction.
 * @param own Which, and who writes.
 * @returns Its row.
 * @throws {AppError} `not_found`; `conflict` if it is over or somebody else's.
 */
export async function lockOwn(
  link: Link,
  write: Write,
  own: OwnScan,
): Promise<Selectable<ScanTable>> {
  if (link.kind === "postgres") {
    await write.selectFrom("scans").select("seq")
      .where("id", "=", storable(own.id, 64)).forUpdate().execute();
  }
  const row = await rowOf(write, own.id);
  refuseOther(row, own);
  return row;
}

/** @throws {AppError} `conflict` if a scan is over, or not of the process that writes. */
export function refuseOther(
  row: { id: string; status: string; runner: number | null },
  { runner }: OwnScan,
): void {
  if (isEnd(row.status as StoredStatus)) {
    throw new AppError(
      "conflict",
      `Cannot change the scan "${row.id}": it ended as ${row.status}`,
    );
  }
  if (row.runner === runner) return;
  throw new AppError(
    "conflict",
    `Cannot change the scan "${row.id}": another server took this scan over while this one had lost the database`,
  );
}

/** Clocks that count fractions of a millisecond are rounded: a column holds whole numbers. */
function whole(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}

function columnsOf(change: ScanChange): Updateable<ScanTable> {
  const json = (value: unknown) =>
    value === null ? null : JSON.stringify(value);
  const columns: Updateable<ScanTable> = {};
  if (change.status !== undefined) columns.status = change.status;
  if (change.startedAt !== undefined) {
    columns.started_at = whole(change.startedAt);
  }
  if (change.finishedAt !== undefined) {
    columns.finished_at = whole(change.finishedAt);
  }
  if (change.argv !== undefined) columns.argv = JSON.stringify(change.argv);
  if (change.targets !== undefined) {
    columns.targets = JSON.stringify(change.targets);
  }
  if (change.scanType !== undefined) {
    columns.scan_type = storable(change.scanType, 64);
  }
  if (change.progress !== undefined) columns.progress = json(change.progress);
  if (change.error !== undefined) columns.error = json(change.error);
  if (change.notes !== undefined) columns.notes = JSON.stringify(change.notes);
  if (change.summary !== undefined) {
    columns.summary = change.summary === null
      ? null
      : storable(change.summary, 4_096);
  }
  if (change.rawTruncated !== undefined) {
    columns.raw_truncated = Number(change.rawTruncated);
  }
  return columns;
}

/** @throws {AppError} `not_found`. */
export async function rowOf(
  db: Read,
  id: string,
): Promise<Selectable<ScanTable>> {
  const row = await db.selectFrom("scans").selectAll()
    .where("id", "=", storable(id, 64)).where("removing", "=", 0)
    .executeTakeFirst();
  if (row !== undefined) return row;
  throw noScan();
}

/**
 * Gives one scan.
 *
 * @throws {AppError} `not_found`.
 */
export async function getScan(link: Link, id: string): Promise<StoredScan> {
  return scanOf(await link.read((db) => rowOf(db, id)));
}

/**
 * Lists scans, newest first.
 *
 * @param link The database.
 * @param filter Which.
 * @param page Which part.
 * @returns The page.
 */
export async function listScans(
  link: Link,
  filter: StoredScanFilter,
  page: PageOptions,
): Promise<Page<StoredScan>> {
  const limit = limitOf(page);
  const tenant = parseTenant(filter.tenant);
  const [before] = readCursor("scans", [""], page.cursor) ?? [];
  const target_key = filter.target === undefined
    ? null
    : textKey(filter.target);
  const rows = await link.read(async (db) => {
    const scopes = await scopesOfFilter(db, filter);
    if (scopes === null) return [];
    let query = db.selectFrom("scans").selectAll("scans")
      .where("scans.tenant", "=", tenant).where("scans.removing", "=", 0)
      .orderBy("scans.id", "desc").limit(limit + 1);
    for (const [name, value] of textsOf(filter)) {
      query = query.where(name, "=", storable(value, 65_536));
    }
    if (target_key !== null) query = query.where("target_key", "=", target_key);
    if (filter.since !== undefined) {
      query = query.where(
        "queued_at",
        ">=",
        parseWhole(filter.since, "since"),
      );
    }
    if (filter.until !== undefined) {
      query = query.where(
        "queued_at",
        "<",
        parseWhole(filter.until, "until"),
      );
    }
    if (before !== undefined) query = query.where("scans.id", "<", before);
    for (const scope_id of scopes) {
      query = query.where(({ exists, selectFrom }) =>
        exists(
          selectFrom("scan_scopes").select(sql`1`.as("one"))
            .where("scan_scopes.scope_id", "=", scope_id)
            .whereRef("scan_scopes.scan_id", "=", "scans.id"),
        )
      );
    }
    return await query.execute();
  });
  return pageOf(rows, limit, scanOf, ({ id }) => writeCursor("scans", [id]));
}

function textsOf(
  { status, tool, client, requestDigest }: StoredScanFilter,
): ["status" | "tool" | "client" | "request_digest", string][] {
  const all = [
    ["status", status],
    ["tool", tool],
    ["client", client],
    ["request_digest", requestDigest],
  ] as const;
  return all.flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]]
  );
}

/**
 * Finds the scopes that a filter names, among those of its tenant.
 *
 * @returns Their numbers, or null if one of them is unknown and nothing can be found.
 */
export async function scopesOfFilter(
  db: Read,
  { tenant, engagement, tags = [] }: OfTenant & {
    readonly engagement?: string;
    readonly tags?: readonly string[];
  },
): Promise<readonly number[] | null> {
  const found: number[] = [];
  const named = [
    ...engagement === undefined ? [] : [["engagement", engagement] as const],
    ...parseTags(tags).map((tag) => ["tag", tag] as const),
  ];
  for (const [kind, name] of named) {
    const id = await scopeId(db, tenant, kind, name);
    if (id === null) return null;
    found.push(id);
  }
  return found;
}

/** How many scans are queued or running. */
export async function countAlive(link: Link): Promise<number> {
  const { count } = await link.read((db) =>
    db.selectFrom("scans").select(({ fn }) => fn.countAll<number>().as("count"))
      .where("status", "in", ["queued", "running"]).executeTakeFirstOrThrow()
  );
  return count;
}

/** Reads a row. */
export function scanOf(row: Selectable<ScanTable>): StoredScan {
  const json = (text: string | null) => text === null ? null : JSON.parse(text);
  return {
    id: row.id,
    tenant: row.tenant,
    tool: row.tool as ToolName,
    request: JSON.parse(row.request),
    target: row.target,
    status: row.status as StoredStatus,
    queuedAt: row.queued_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    argv: JSON.parse(row.argv),
    targets: JSON.parse(row.targets),
    scanType: row.scan_type,
    progress: json(row.progress),
    error: json(row.error),
    notes: JSON.parse(row.notes),
    summary: row.summary,
    traceId: row.trace_id,
    engagement: row.engagement,
    tags: JSON.parse(row.tags),
    client: row.client === "" ? null : row.client,
    askedBy: row.asked_by === null ? null : parseAskedBy(row.asked_by),
    idempotencyKey: row.idempotency_key,
    requestDigest: row.request_digest,
    rawBytes: row.raw_bytes,
    rawTruncated: row.raw_truncated === 1,
    report: json(row.report) as ReportHead | null,
    hostCount: row.host_count,
    serviceCount: row.service_count,
    pathCount: row.path_count,
    requeued: row.requeued,
  };
}
