/**
 * What goes when it is old or too much: scans that are over, the oldest first, with everything that
 * they found; then what the inventory knew from them alone; then the room itself goes back to the
 * system. A kept tag keeps its scans and what they found from both. All of it is of every tenant, or of
 * one.
 *
 * A scan is marked before its rows go in batches. From the mark on nobody sees it, and whoever runs
 * retention next ends what a killed process began. Everything is walked over in short stretches:
 * SQLite stands still in each of them.
 *
 * @module
 */
import { type RawBuilder, type Selectable, sql, type SqlBool } from "kysely";
import type { Link, Read, Write } from "./link.ts";
import { parseTags } from "./plain_text.ts";
import { removePorts, removeRaw, removeRows } from "./removal.ts";
import { bytesInUse, bytesOnDisk, renewFigures, returnSpace } from "./space.ts";
import type { ScanTable, ScopeTable } from "./tables.ts";
import { parseTenant } from "./tenant.ts";

/** Most scans that one entry of the audit log names: a longer list would be cut there. */
const NAMED_MAX = 64;

/** Entries of the inventory that are looked at in one go: an answer of PostgreSQL blocks nobody. */
const STRETCH = { sqlite: 150, postgres: 5_000 } as const;

/** Scans that are looked at in one go. */
const SCANS_BATCH = 200;

/**
 * From when on a scan ages: from its end, and one that was imported from its import, as nobody imports
 * a file to lose it at once. The words are those of an index.
 */
const AGED = sql<number>`(case when finished_at > queued_at
  then finished_at else queued_at end)`;

/** Scans whose bytes are counted in one go. */
const BYTES_BATCH = 1_000;

/** Most that a byte that was counted is taken for. */
const BYTES_PER_BYTE_MAX = 4;

const ENDED = [
  "succeeded",
  "partial",
  "failed",
  "timed_out",
  "cancelled",
  "interrupted",
] as const;

/** What may stay. */
export interface RetentionRules {
  /** Whose scans and inventory it is about; null for those of every tenant. */
  readonly tenant: string | null;
  /** Scans that ended, or were imported, before this time go, and what was last seen before it; null keeps all. */
  readonly endedBefore: number | null;
  /**
   * Most bytes of the store or, of one tenant's scans alone, about so many that they take; null for no
   * bound.
   */
  readonly bytesMax: number | null;
  /** Scans with one of these tags stay, a tag of that name in whichever tenant. */
  readonly keepTags: readonly string[];
}

/** A scan that goes. */
export interface Removal {
  readonly id: string;
  readonly target: string;
  readonly finishedAt: number;
  /** From when on it aged: its end, or its import if that was later. */
  readonly agedAt: number;
  /** About how much room it takes. */
  readonly bytes: number;
  readonly why: "age" | "size";
}

/** What went. */
export interface Retention {
  readonly scans: readonly Removal[];
  readonly inventoryHosts: number;
  readonly inventoryServices: number;
  readonly bytesBefore: number;
  /** In a plan: an estimate. After a run: what it is. */
  readonly bytesAfter: number;
}

/** What would go: it can be recorded before it does, and nothing else goes then. */
export interface RetentionPlan extends Retention {
  /** What may stay. */
  readonly rules: RetentionRules;
  /** Up to where everything goes that nothing keeps. */
  readonly boundary: Boundary | null;
}

/**
 * Says what would go.
 *
 * @param link The database.
 * @param rules What may stay.
 * @returns What would go, oldest first.
 */
export async function planRetention(
  link: Link,
  rules: RetentionRules,
): Promise<RetentionPlan> {
  if (rules.tenant !== null) parseTenant(rules.tenant);
  if (rules.bytesMax !== null) await renewFigures(link);
  const scans = await removals(link, rules);
  const boundary = boundaryOf(scans, rules);
  const kept = await keptScopes(link, rules);
  const going = goingScans(kept, boundary);
  const count = (inventory: Inventory) =>
    overStretches(
      link,
      inventory,
      { boundary, rules },
      (...old) => link.read((db) => countStale(db, inventory, old, going)),
    );
  const inventoryHosts = await count(HOSTS);
  const inventoryServices = await count(SERVICES);
  const bytesBefore = await bytesOnDisk(link);
  const freed = scans.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    scans,
    inventoryHosts,
    inventoryServices,
    bytesBefore,
    bytesAfter: Math.max(0, bytesBefore - freed),
    rules,
    boundary,
  };
}

/**
 * Removes what a plan names and gives the room back. A scan that is gone by now, or that a kept tag
 * keeps, is left out; what became too old or too much since is left to the next plan.
 *
 * @param link The database.
 * @param plan What goes.
 * @returns What went.
 */
export async function runRetention(
  link: Link,
  plan: RetentionPlan,
): Promise<Retention> {
  const bytesBefore = await bytesOnDisk(link);
  const kept = await keptScopes(link, plan.rules);
  const scans: Removal[] = [];
  for (const removal of plan.scans) {
    if (await mark(link, removal, kept)) scans.push(removal);
    await link.pause();
  }
  const gone = await removeMarked(link);
  // Those that had to go are gone: whatever is there now stays, one that was imported since included.
  const remove = (inventory: Inventory) =>
    overStretches(
      link,
      inventory,
      plan,
      (...old) => link.write((write) => removeStale(write, inventory, old)),
    );
  const inventoryHosts = await remove(HOSTS);
  const inventoryServices = await remove(SERVICES);
  if (gone + inventoryHosts + inventoryServices > 0) await returnSpace(link);
  return {
    scans,
    inventoryHosts,
    inventoryServices,
    bytesBefore,
    bytesAfter: await bytesOnDisk(link),
  };
}

/**
 * Cuts a plan's scans into lists that the audit log takes whole.
 *
 * @param plan What goes.
 * @returns The ids; one empty list where nothing but entries of the inventory goes.
 */
export function namesOf({ scans }: RetentionPlan): (readonly string[])[] {
  const ids = scans.map(({ id }) => id);
  const lists: (readonly string[])[] = [];
  for (let at = 0; at < ids.length; at += NAMED_MAX) {
    lists.push(ids.slice(at, at + NAMED_MAX));
  }
  return lists.length > 0 ? lists : [[]];
}

/** Walks over the scans that are over, oldest first, and stops where all that stays may stay. */
async function removals(
  link: Link,
  rules: RetentionRules,
): Promise<Removal[]> {
  const kept = await keptScopes(link, rules);
  const { endedBefore, bytesMax } = rules;
  const perByte = await bytesPerByte(link);
  let size = await bytesHeld(link, rules, perByte);
  const found: Removal[] = [];
  let after: Pick<Row, "aged" | "id"> | null = null;
  for (;;) {
    const rows: Row[] = await link.read((db) =>
      endedRows(db, rules, kept, after)
    );
    for (const row of rows) {
      const { id, target, aged } = row;
      const finishedAt = row.finished_at ?? 0;
      const old = endedBefore !== null && aged < endedBefore;
      const tooMuch = bytesMax !== null && size > bytesMax;
      if (!old && !tooMuch) return found;
      const bytes = Math.round(row.bytes * perByte);
      size -= bytes;
      const why = old ? "age" : "size";
      found.push({ id, target, finishedAt, agedAt: aged, bytes, why });
    }
    if (rows.length < SCANS_BATCH) return found;
    after = rows.at(-1) ?? null;
    await link.turn();
  }
}

/** What another process is about to remove goes already, and nothing goes in its place. */
async function bytesHeld(
  link: Link,
  { tenant }: RetentionRules,
  perByte: number,
): Promise<number> {
  return tenant === null
    ? await bytesInUse(link) - perByte * await bytesCounted(link, { marked: 1 })
    : perByte * await bytesCounted(link, { marked: 0, tenant });
}

async function bytesCounted(
  link: Link,
  { marked, tenant }: { readonly marked: 0 | 1; readonly tenant?: string },
): Promise<number> {
  const { bytes } = await link.read((db) => {
    const query = db.selectFrom("scans")
      .select(({ fn }) => fn.sum<number | string | null>("bytes").as("bytes"))
      .where("removing", "=", marked);
    return (tenant === undefined ? query : query.where("tenant", "=", tenant))
      .executeTakeFirstOrThrow();
  });
  return Number(bytes ?? 0);
}

type Row =
  & Pick<
    Selectable<ScanTable>,
    "id" | "target" | "finished_at" | "bytes"
  >
  & { readonly aged: number };

function endedRows(
  db: Read,
  { tenant }: RetentionRules,
  kept: readonly number[],
  after: Pick<Row, "aged" | "id"> | null,
): Promise<Row[]> {
  let query = db.selectFrom("scans")
    .select(["id", "target", "finished_at", "bytes", AGED.as("aged")])
    .where("removing", "=", 0)
    // Said the other way round it would be found by status, and sorted anew for every batch.
    .where("status", "not in", ["queued", "running"])
    .where("finished_at", "is not", null)
    .orderBy(AGED).orderBy("id").limit(SCANS_BATCH);
  if (tenant !== null) query = query.where("tenant", "=", tenant);
  if (kept.length > 0) query = query.where(notKept(kept));
  if (after !== null) {
    query = query.where(
      sql<SqlBool>`(${AGED}, id) > (${after.aged}, ${after.id})`,
    );
  }
  return query.execute();
}

function notKept(kept: readonly number[]) {
  return sql<SqlBool>`not exists (select 1 from scan_scopes
    where scan_scopes.scan_id = scans.id
    and scan_scopes.scope_id in (${sql.join(kept)}))`;
}

async function keptScopes(
  link: Link,
  { keepTags, tenant }: RetentionRules,
): Promise<readonly number[]> {
  const tags = parseTags(keepTags);
  if (tags.length === 0) return [];
  const scopes = await scopesOf(link, tenant);
  return scopes.filter(({ kind, name }) =>
    kind === "tag" && tags.includes(name)
  )
    .map(({ id }) => id);
}

type Scope = Selectable<ScopeTable>;

async function scopesOf(
  link: Link,
  tenant: string | null,
): Promise<readonly Scope[]> {
  return await link.read((db) => {
    const query = db.selectFrom("scopes").selectAll().orderBy("id");
    return (tenant === null ? query : query.where("tenant", "=", tenant))
      .execute();
  });
}

/** How much room a byte that was counted for a scan really takes: indexes and tables have their own. */
async function bytesPerByte(link: Link): Promise<number> {
  let counted = 0;
  for (let after: number | null = 0; after !== null;) {
    const rows: Pick<Selectable<ScanTable>, "seq" | "bytes">[] = await link
      .read((db) => bytesRows(db, after ?? 0));
    counted += rows.reduce((sum, { bytes }) => sum + bytes, 0);
    after = rows.length < BYTES_BATCH ? null : rows.at(-1)?.seq ?? null;
    await link.turn();
  }
  if (counted === 0) return 1;
  // An almost empty store is all overhead, which does not go with any scan.
  return Math.min(BYTES_PER_BYTE_MAX, await bytesInUse(link) / counted);
}

function bytesRows(
  db: Read,
  after: number,
): Promise<Pick<Selectable<ScanTable>, "seq" | "bytes">[]> {
  return db.selectFrom("scans").select(["seq", "bytes"])
    .where("seq", ">", after).orderBy("seq").limit(BYTES_BATCH).execute();
}

/** @returns Whether the scan is still there and nothing keeps it. */
async function mark(
  link: Link,
  { id, agedAt }: Removal,
  kept: readonly number[],
): Promise<boolean> {
  const marked = await link.write((write) => {
    // Its key is free at once: nobody should be answered with a scan that is out of sight.
    const query = write.updateTable("scans")
      .set({ removing: 1, idempotency_key: null })
      .where("id", "=", id).where("removing", "=", 0)
      .where("status", "in", ENDED)
      // Another one may have its id by now.
      .where(AGED, "=", agedAt);
    return (kept.length > 0 ? query.where(notKept(kept)) : query)
      .returning("id").executeTakeFirst();
  });
  return marked !== undefined;
}

/**
 * Ends what a killed process began to remove, and gives the room back. It was recorded then.
 *
 * @param link The database.
 * @returns How many scans went.
 */
export async function finishRemovals(link: Link): Promise<number> {
  const gone = await removeMarked(link);
  if (gone > 0) await returnSpace(link);
  return gone;
}

/** @returns How many scans that are marked went. */
async function removeMarked(link: Link): Promise<number> {
  for (let gone = 0;; gone++) {
    const row = await link.read((db) =>
      db.selectFrom("scans").select(["seq", "id"]).where("removing", "=", 1)
        .orderBy("seq").limit(1).executeTakeFirst()
    );
    if (row === undefined) return gone;
    await removePorts(link, row.seq);
    await removeRows(link, "scan_hosts", row.seq);
    await removeRows(link, "scan_paths", row.seq);
    await removeRaw(link, row.seq);
    await link.write(async (write) => {
      await write.deleteFrom("scan_scopes").where("scan_id", "=", row.id)
        .execute();
      await write.deleteFrom("scans").where("seq", "=", row.seq).execute();
    });
  }
}

/** Up to where everything goes that nothing keeps, in the order in which scans age. */
export interface Boundary {
  readonly agedAt: number;
  readonly id: string;
  /** What was last seen before this time may go with them. */
  readonly seenBefore: number;
}

/** Scans go oldest first, so that the last one that goes is the bound of all; or the age is. */
function boundaryOf(
  scans: readonly Removal[],
  { endedBefore }: RetentionRules,
): Boundary | null {
  const last = scans.at(-1);
  if (
    last !== undefined &&
    (endedBefore === null || last.agedAt >= endedBefore)
  ) {
    const { agedAt, id } = last;
    return { agedAt, id, seenBefore: agedAt + 1 };
  }
  // No id sorts before the empty one: what ended at that very moment stays.
  return endedBefore === null
    ? null
    : { agedAt: endedBefore, id: "", seenBefore: endedBefore };
}

/** One of the two tables of the inventory. */
interface Inventory {
  readonly table: "inventory_hosts" | "inventory_services";
  /** The columns of its index by time, behind the scope. */
  readonly order: string;
  /** What a row of a scan has to be besides that of the same address. */
  readonly same: string;
}

const HOSTS: Inventory = {
  table: "inventory_hosts",
  order: "last_seen, address_key",
  same: "true",
};

const SERVICES: Inventory = {
  table: "inventory_services",
  order: "last_seen, address_key, port, protocol",
  same: `exists (select 1 from scan_ports where scan_ports.host_id = h.id
    and scan_ports.port = known.port and scan_ports.protocol = known.protocol)`,
};

/** Some entries of a scope that were last seen long ago, one behind the other. */
type Stretch = RawBuilder<SqlBool>;

/** Old entries, and the scope that they are of. */
type Old = readonly [stretch: Stretch, scope: Scope];

/**
 * Walks over what was last seen long ago, in the order of an index, a stretch at a time.
 *
 * @param work What is done with each; it gives a number.
 * @returns The sum of those numbers.
 */
async function overStretches(
  link: Link,
  inventory: Inventory,
  { boundary, rules }: Pick<RetentionPlan, "boundary" | "rules">,
  work: (...old: Old) => Promise<number>,
): Promise<number> {
  if (boundary === null) return 0;
  const order = sql.raw(inventory.order);
  let total = 0;
  for (const one of await scopesOf(link, rules.tenant)) {
    const scope = sql<SqlBool>`known.scope_id = ${one.id}`;
    const old = sql<SqlBool>`known.last_seen < ${boundary.seenBefore}`;
    let after = sql<SqlBool>`true`;
    for (let more = true; more;) {
      const rest = sql<SqlBool>`${scope} and ${after} and ${old}`;
      const last = await endOf(link, inventory, rest);
      if (last === null) {
        total += await work(rest, one);
        more = false;
      } else {
        const end = sql.join(last);
        // One bound on each side: SQLite would take the wider one and read on to there.
        total += await work(
          sql`${scope} and ${after} and (${order}) <= (${end})`,
          one,
        );
        after = sql`(${order}) > (${end})`;
      }
      await link.pause();
    }
  }
  return total;
}

/** Where the next stretch ends; null if what is left is shorter than one. */
async function endOf(
  link: Link,
  inventory: Inventory,
  from: Stretch,
): Promise<unknown[] | null> {
  const order = sql.raw(inventory.order);
  const { rows } = await link.read((db) =>
    sql<Record<string, unknown>>`
      select ${order} from ${sql.table(inventory.table)} as known
      where ${from} order by ${order}
      limit 1 offset ${STRETCH[link.kind] - 1}`.execute(db)
  );
  const [row] = rows;
  return row === undefined
    ? null
    : inventory.order.split(", ").map((name) => row[name]);
}

/** Which scans count as gone although they are there: before a run, those that it would remove. */
function goingScans(
  kept: readonly number[],
  boundary: Boundary | null,
): RawBuilder<SqlBool> {
  if (boundary === null) return sql`false`;
  const { agedAt, id } = boundary;
  return sql`(scans.status in (${sql.join(ENDED)})
    and (${AGED}, scans.id) <= (${agedAt}, ${id})
    ${kept.length > 0 ? sql`and ${notKept(kept)}` : sql``})`;
}

/** Of no scan of its scope that stays. */
function stale(
  { same }: Inventory,
  { id, tenant, kind }: Scope,
  going: RawBuilder<SqlBool>,
): RawBuilder<SqlBool> {
  const within = kind === "all"
    ? sql`scans.tenant = ${tenant}`
    : sql`exists (select 1 from scan_scopes
      where scan_scopes.scope_id = ${id} and scan_scopes.scan_id = scans.id)`;
  return sql`not exists (
    select 1 from scans where scans.id = known.last_scan
    and scans.removing = 0 and not ${going}
  ) and not exists (
    select 1 from scan_hosts as h join scans on scans.seq = h.scan_seq
    where h.address_key = known.address_key
    and scans.removing = 0 and not ${going}
    and ${within}
    and ${sql.raw(same)}
  )`;
}

async function countStale(
  db: Read,
  inventory: Inventory,
  [stretch, scope]: Old,
  going: RawBuilder<SqlBool>,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count
    from ${sql.table(inventory.table)} as known
    where ${stretch} and ${stale(inventory, scope, going)}`.execute(db);
  return rows[0]?.count ?? 0;
}

async function removeStale(
  write: Write,
  inventory: Inventory,
  [stretch, scope]: Old,
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from ${sql.table(inventory.table)} as known
    where ${stretch} and ${stale(inventory, scope, sql`false`)}`.execute(write);
  return Number(numAffectedRows ?? 0n);
}
