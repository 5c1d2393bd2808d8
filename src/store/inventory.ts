/**
 * What is known over all scans of a tenant: hosts and services, when they were first and last seen and by which
 * scan. The upkeep is in `inventory_rows.ts`.
 *
 * @module
 */
import { type RawBuilder, type Selectable, sql, type SqlBool } from "kysely";
import type { HostReport } from "@/tools/report.ts";
import { subnetRange } from "./address_key.ts";
import { limitOf, pageOf, readCursor, writeCursor } from "./cursor.ts";
import type { Link, Read } from "./link.ts";
import { foldedKey, parseWhole, storable } from "./plain_text.ts";
import type { Page, PageOptions } from "./scan_record.ts";
import { scopeId, scopesOfFilter } from "./scan_rows.ts";
import type { InventoryHostTable, InventoryServiceTable } from "./tables.ts";
import { type OfTenant, parseTenant } from "./tenant.ts";

/** Services that are looked up one by one and sorted. */
const FEW = 2_000;

/** Length of the shortest token of a network that has few services: a /24. */
const SMALL_TOKEN_LENGTH = 7;

/** What an index leads to, the seldom first. */
const INDEXES: readonly {
  readonly name: string;
  readonly columns: readonly Equal[0][];
}[] = [
  { name: "inventory_services_state", columns: ["state"] },
  { name: "inventory_services_protocol", columns: ["protocol"] },
  { name: "inventory_services_port_service", columns: ["port", "service"] },
  { name: "inventory_services_product", columns: ["product_key"] },
  { name: "inventory_services_port", columns: ["port"] },
  { name: "inventory_services_service", columns: ["service"] },
];

/** What almost every service is: no index has it. */
const COMMON: Readonly<Partial<Record<Equal[0], string>>> = {
  state: "open",
  protocol: "tcp",
};

/** A column and the value that it has to have. */
type Equal = readonly [
  name: "port" | "protocol" | "state" | "service" | "product_key",
  value: string | number,
];

/** Which hosts or services of a tenant. What is left out does not narrow. */
export interface InventoryFilter extends OfTenant {
  /** An address or a CIDR network. */
  readonly subnet?: string;
  /** Seen in this engagement; first and last sighting are those in it. */
  readonly engagement?: string;
  /** Seen under each of these tags. */
  readonly tags?: readonly string[];
  /** Last seen at this time or later. */
  readonly since?: number;
  /** Last seen before this time. */
  readonly until?: number;
  /** First seen at this time or later: what is new. */
  readonly newSince?: number;
  /** By address, or what was seen last at the top. @default {"address"} */
  readonly order?: "address" | "recent";
}

/** Which services. */
export interface ServiceFilter extends InventoryFilter {
  readonly port?: number;
  readonly protocol?: string;
  readonly state?: string;
  readonly service?: string;
  /** The whole name, whatever its case. Parts of it are what `search` is for. */
  readonly product?: string;
}

/** When something was seen, and by which scan. */
export interface Seen {
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** When a scan last looked, whatever it found. */
  readonly checkedAt: number;
  /** Ids of scans; retention may have removed them since. */
  readonly firstScan: string;
  readonly lastScan: string;
}

/** A host over all scans. */
export interface InventoryHost extends Seen {
  readonly address: string;
  readonly status: string;
  /** What else the last scan that found it up said of it. */
  readonly detail: Omit<HostReport, "address" | "status" | "ports">;
}

/** A service over all scans. */
export interface InventoryService extends Seen {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly state: string;
  readonly service: string | null;
  /** Chosen by the host, cleaned. */
  readonly untrusted: {
    readonly product: string | null;
    readonly version: string | null;
  };
}

/**
 * Lists hosts.
 *
 * @throws {AppError} `invalid_arguments`.
 */
export async function inventoryHosts(
  link: Link,
  filter: InventoryFilter,
  page: PageOptions,
): Promise<Page<InventoryHost>> {
  const limit = limitOf(page);
  parseTenant(filter.tenant);
  const recent = filter.order === "recent";
  const list = recent ? "recent hosts" : "known hosts";
  const after = readCursor(list, [0, ""], page.cursor);
  const rows = await link.read(async (db) => {
    const scopes = await scopesToRead(db, filter);
    if (scopes === null) return [];
    let query = db.selectFrom("inventory_hosts as known").selectAll("known")
      .where(common(scopes[0], filter)).limit(limit + 1);
    for (const scope of scopes.slice(1)) {
      query = query.where(sql<SqlBool>`exists (select 1
        from inventory_hosts as other where other.scope_id = ${scope}
        and other.address_key = known.address_key)`);
    }
    query = recent
      ? query.orderBy("last_seen", "desc").orderBy("address_key", "desc")
      : query.orderBy("address_key");
    if (after !== null && recent) {
      query = query.where(
        sql<SqlBool>`(last_seen, address_key) < (${after[0]}, ${after[1]})`,
      );
    } else if (after !== null) {
      query = query.where("address_key", ">", after[1]);
    }
    return await query.execute();
  });
  return pageOf(
    rows,
    limit,
    hostOf,
    (row) => writeCursor(list, [row.last_seen, row.address_key]),
  );
}

/**
 * Lists services.
 *
 * @throws {AppError} `invalid_arguments`.
 */
export async function inventoryServices(
  link: Link,
  filter: ServiceFilter,
  page: PageOptions,
): Promise<Page<InventoryService>> {
  const limit = limitOf(page);
  parseTenant(filter.tenant);
  const recent = filter.order === "recent";
  const list = recent ? "recent services" : "known services";
  const after = readCursor(list, [0, "", 0, ""], page.cursor);
  const rows = await link.read(async (db) => {
    const scopes = await scopesToRead(db, filter);
    if (scopes === null) return [];
    let query = db.selectFrom("inventory_services as known").selectAll("known")
      .where(common(scopes[0], filter)).limit(limit + 1);
    const equals = equalsOf(filter);
    for (const equal of equals) query = query.where(equalTo(equal));
    const few = await fewOf(link, db, scopes[0], filter);
    if (few !== null) query = query.where(few);
    for (const scope of scopes.slice(1)) {
      query = query.where(sql<SqlBool>`exists (select 1
        from inventory_services as other where other.scope_id = ${scope}
        and other.address_key = known.address_key
        and other.port = known.port and other.protocol = known.protocol)`);
    }
    if (recent) {
      // The sign keeps SQLite from the order of the whole where a few are looked up.
      const seen = few === null ? sql`last_seen` : sql`+last_seen`;
      query = query.orderBy(seen, "desc").orderBy("address_key", "desc")
        .orderBy("port", "desc").orderBy("protocol", "desc");
    } else {
      query = query.orderBy("address_key").orderBy("port").orderBy("protocol");
    }
    if (after !== null) query = query.where(behind(after, recent));
    return await query.execute();
  });
  return pageOf(
    rows,
    limit,
    serviceOf,
    (row) =>
      writeCursor(list, [
        row.last_seen,
        row.address_key,
        row.port,
        row.protocol,
      ]),
  );
}

/**
 * The scope that is read, and those that have to know the same; null if one is unknown. Each of them is
 * the tenant's own, so that nothing further has to be cut.
 */
async function scopesToRead(
  db: Read,
  filter: InventoryFilter,
): Promise<readonly [number, ...number[]] | null> {
  const scopes = await scopesOfFilter(db, filter);
  if (scopes === null) return null;
  const [first = await scopeId(db, filter.tenant, "all", ""), ...rest] = scopes;
  return first === null ? null : [first, ...rest];
}

/** What hosts and services are cut by alike. */
function common(scope: number, filter: InventoryFilter) {
  const parts = [sql<SqlBool>`known.scope_id = ${scope}`];
  if (filter.subnet !== undefined) {
    const { first, last } = subnetRange(filter.subnet);
    parts.push(
      sql`known.address_key >= ${first}`,
      sql`known.address_key <= ${last}`,
    );
  }
  if (filter.since !== undefined) {
    parts.push(sql`known.last_seen >= ${parseWhole(filter.since, "since")}`);
  }
  if (filter.until !== undefined) {
    parts.push(sql`known.last_seen < ${parseWhole(filter.until, "until")}`);
  }
  if (filter.newSince !== undefined) {
    parts.push(
      sql`known.first_seen >= ${parseWhole(filter.newSince, "new_since")}`,
    );
  }
  return sql<SqlBool>`(${sql.join(parts, sql` and `)})`;
}

/**
 * The services that are all meant, where they are few. Neither database can tell: SQLite has no
 * figures of its tables, and PostgreSQL's know nothing of two columns together. Both would rather read
 * all services in order, until there are enough, than look up the few and sort them.
 *
 * @returns A condition that leads through an index, or null where they are many.
 */
async function fewOf(
  link: Link,
  db: Read,
  scope: number,
  filter: ServiceFilter,
): Promise<RawBuilder<SqlBool> | null> {
  if (isSmall(filter.subnet)) return null;
  for (const { name, where } of waysOf(filter)) {
    const by = link.kind === "sqlite" ? sql`indexed by ${sql.id(name)}` : sql``;
    const meant = sql`from inventory_services ${by}
      where scope_id = ${scope} and ${where}`;
    const { rows } = await sql<{ count: number }>`select count(*) as count
      from (select 1 ${meant} limit ${FEW + 1}) as few`.execute(db);
    if ((rows[0]?.count ?? 0) > FEW) continue;
    // The offset keeps PostgreSQL from making one question of this and the one around it.
    const apart = link.kind === "sqlite" ? sql`` : sql`offset 0`;
    return sql`(known.address_key, known.port, known.protocol)
      in (select address_key, port, protocol ${meant} ${apart})`;
  }
  return null;
}

/** Whether a network is so small that its services are few whatever else is asked. */
function isSmall(subnet: string | undefined): boolean {
  if (subnet === undefined) return false;
  const { token } = subnetRange(subnet);
  return token !== null && token.length >= SMALL_TOKEN_LENGTH;
}

/** The indexes that lead to what is asked for, and what each of them is asked. */
function waysOf(filter: ServiceFilter) {
  const equals = new Map(equalsOf(filter).map((equal) => [equal[0], equal]));
  const ways = INDEXES.flatMap(({ name, columns }) => {
    const used = columns.flatMap((column) => {
      const equal = equals.get(column);
      return equal === undefined ? [] : [equal];
    });
    const leads = used.length === columns.length &&
      used.every(([column, value]) => COMMON[column] !== value);
    return leads
      ? [{ name, where: sql.join(used.map(equalTo), sql` and `) }]
      : [];
  });
  const { since, until, newSince } = filter;
  // What was seen for the first time after something was seen for the last time after it, too.
  const from = Math.max(since ?? -Infinity, newSince ?? -Infinity);
  const times = [
    ...from === -Infinity ? [] : [sql`last_seen >= ${from}`],
    ...until === undefined ? [] : [sql`last_seen < ${until}`],
  ];
  return times.length === 0 ? ways : [
    ...ways,
    { name: "inventory_services_seen", where: sql.join(times, sql` and `) },
  ];
}

/** The comparison, in words that let an index be used which has only what is not common. */
function equalTo([name, value]: Equal): RawBuilder<SqlBool> {
  const common = COMMON[name];
  const equal = sql<SqlBool>`${sql.id(name)} = ${value}`;
  return common === undefined || common === value
    ? equal
    : sql`${equal} and ${sql.id(name)} <> ${sql.lit(common)}`;
}

function equalsOf(
  { port, protocol, state, service, product }: ServiceFilter,
): Equal[] {
  const text = (value: string | undefined) =>
    value === undefined ? undefined : storable(value, 65_536);
  const all = [
    ["port", port === undefined ? undefined : parseWhole(port, "port")],
    ["protocol", text(protocol)],
    ["state", text(state)],
    ["service", text(service)],
    ["product_key", product === undefined ? undefined : foldedKey(product)],
  ] as const;
  return all.flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  );
}

function behind(
  [at, key, port, protocol]: readonly [number, string, number, string],
  recent: boolean,
) {
  return recent
    ? sql<
      SqlBool
    >`(known.last_seen, known.address_key, known.port, known.protocol) < (${at}, ${key}, ${port}, ${protocol})`
    : sql<
      SqlBool
    >`(known.address_key, known.port, known.protocol) > (${key}, ${port}, ${protocol})`;
}

function seenOf(
  row: Selectable<InventoryHostTable | InventoryServiceTable>,
): Seen {
  return {
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    checkedAt: row.checked_at,
    firstScan: row.first_scan,
    lastScan: row.last_scan,
  };
}

function hostOf(row: Selectable<InventoryHostTable>): InventoryHost {
  return {
    address: row.address,
    status: row.status,
    detail: row.detail === null ? {} : JSON.parse(row.detail),
    ...seenOf(row),
  };
}

function serviceOf(row: Selectable<InventoryServiceTable>): InventoryService {
  return {
    address: row.address,
    port: row.port,
    protocol: row.protocol,
    state: row.state,
    service: row.service,
    untrusted: { product: row.product, version: row.version },
    ...seenOf(row),
  };
}
