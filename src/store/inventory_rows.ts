/**
 * The inventory's upkeep: what is known of each host and service over all scans of a tenant, once for
 * everything and once for each engagement and tag. So an engagement's inventory says what was seen in that
 * engagement and when, tells nothing of another's, and is as quick to read as the whole.
 *
 * A service enters when it is seen open. Seen closed later it keeps its line and its last sighting,
 * and says `closed` and when that was checked.
 *
 * @module
 */
import { sql } from "kysely";
import { isOpen } from "@/tools/report.ts";
import type { HostRow, PortRow } from "./host_rows.ts";
import type { Write } from "./link.ts";
import { foldedKey, storable } from "./plain_text.ts";
import type { InventoryHostTable, InventoryServiceTable } from "./tables.ts";

/** Rows of one statement: both databases cap its parameters. */
const ROWS_BATCH = 200;

const TEXT_LENGTH_MAX = 1_000;

/** Which scan saw it, in which scopes (that of everything first), and when. */
export interface Sighting {
  readonly scan: string;
  readonly scopes: readonly number[];
  readonly seenAt: number;
}

/**
 * Enters what a scan saw.
 *
 * @param write The transaction of the rows themselves.
 * @param sighting The scan.
 * @param hosts What it saw.
 */
export async function updateInventory(
  write: Write,
  sighting: Sighting,
  hosts: readonly HostRow[],
): Promise<void> {
  // Always in the same order: two transactions that lock the same rows crosswise end each other.
  const sorted = hosts.toSorted((a, b) =>
    a.row.address_key < b.row.address_key ? -1 : 1
  );
  for (const scope of sighting.scopes) {
    await putHosts(write, scope, sighting, sorted);
    await putServices(write, scope, sighting, sorted);
  }
}

async function putHosts(
  write: Write,
  scope: number,
  { scan, seenAt }: Sighting,
  hosts: readonly HostRow[],
): Promise<void> {
  const down = hosts.filter(({ row }) => row.status !== "up");
  const known = await knownHosts(write, scope, down);
  const rows = hosts.filter(({ row }) =>
    row.status === "up" || known.has(row.address_key)
  ).map(({ row }) => ({
    ...row,
    scope_id: scope,
    first_seen: seenAt,
    last_seen: seenAt,
    checked_at: seenAt,
    first_scan: scan,
    last_scan: scan,
  }));
  for (let at = 0; at < rows.length; at += ROWS_BATCH) {
    await write.insertInto("inventory_hosts")
      .values(rows.slice(at, at + ROWS_BATCH))
      .onConflict((conflict) =>
        conflict.columns(["scope_id", "address_key"]).doUpdateSet(hostUpdate())
      ).execute();
  }
}

/** Newer facts win; an import of old scans moves the first sighting only. */
function hostUpdate(): Partial<Record<keyof InventoryHostTable, never>> {
  const table = "inventory_hosts";
  const up = "excluded.status = 'up'";
  return {
    status: newer(table, "status"),
    detail: newer(table, "detail", up),
    ...seen(table, up),
  } as Partial<Record<keyof InventoryHostTable, never>>;
}

function serviceUpdate(): Partial<Record<keyof InventoryServiceTable, never>> {
  const table = "inventory_services";
  const open = "excluded.state = 'open'";
  return {
    state: newer(table, "state"),
    service: newer(table, "service", open),
    product: newer(table, "product", open),
    product_key: newer(table, "product_key", open),
    version: newer(table, "version", open),
    ...seen(table, open),
  } as Partial<Record<keyof InventoryServiceTable, never>>;
}

/** The new value of a column, or the old one where what is known is newer. No caller's text is in it. */
function newer(table: string, column: string, when = "true"): unknown {
  return sql.raw(
    `case when ${when} and excluded.checked_at >= ${table}.checked_at then excluded.${column} else ${table}.${column} end`,
  );
}

function seen(table: string, when: string): Record<string, unknown> {
  const choose = (column: string, test: string) =>
    sql.raw(
      `case when ${test} then excluded.${column} else ${table}.${column} end`,
    );
  const earlier = `${when} and excluded.first_seen < ${table}.first_seen`;
  const later = `${when} and excluded.last_seen >= ${table}.last_seen`;
  return {
    first_seen: choose("first_seen", earlier),
    first_scan: choose("first_scan", earlier),
    last_seen: choose("last_seen", later),
    last_scan: choose("last_scan", later),
    checked_at: choose(
      "checked_at",
      `excluded.checked_at > ${table}.checked_at`,
    ),
  };
}

async function knownHosts(
  write: Write,
  scope: number,
  hosts: readonly HostRow[],
): Promise<Set<string>> {
  if (hosts.length === 0) return new Set();
  const rows = await write.selectFrom("inventory_hosts").select("address_key")
    .where("scope_id", "=", scope)
    .where("address_key", "in", hosts.map(({ row }) => row.address_key))
    .execute();
  return new Set(rows.map(({ address_key }) => address_key));
}

async function putServices(
  write: Write,
  scope: number,
  { scan, seenAt }: Sighting,
  hosts: readonly HostRow[],
): Promise<void> {
  const known = await knownServices(write, scope, hosts);
  const rows = hosts.flatMap(({ row, ports }) =>
    ports.filter((port) =>
      isOpen(port.report) ||
      known.has(`${row.address_key} ${port.row.port}/${port.row.protocol}`)
    ).toSorted((a, b) => order(a) < order(b) ? -1 : 1).map((port) => ({
      ...serviceOf(port),
      scope_id: scope,
      address_key: row.address_key,
      address: row.address,
      first_seen: seenAt,
      last_seen: seenAt,
      checked_at: seenAt,
      first_scan: scan,
      last_scan: scan,
    }))
  );
  for (let at = 0; at < rows.length; at += ROWS_BATCH) {
    await write.insertInto("inventory_services")
      .values(rows.slice(at, at + ROWS_BATCH))
      .onConflict((conflict) =>
        conflict.columns(["scope_id", "address_key", "port", "protocol"])
          .doUpdateSet(serviceUpdate())
      ).execute();
  }
}

function order({ row }: PortRow): string {
  return `${row.protocol} ${String(row.port).padStart(5, "0")}`;
}

function serviceOf({ row, report }: PortRow) {
  const { product, version } = report.untrusted ?? {};
  const text = (value: string | undefined) =>
    value === undefined ? null : storable(value, TEXT_LENGTH_MAX);
  return {
    port: row.port,
    protocol: row.protocol,
    state: row.state,
    service: row.service,
    product: text(product),
    product_key: product === undefined ? null : foldedKey(product),
    version: text(version),
  };
}

/** Which of the services of hosts that report a port as not open are known. */
async function knownServices(
  write: Write,
  scope: number,
  hosts: readonly HostRow[],
): Promise<Set<string>> {
  const keys = hosts.filter(({ ports }) =>
    ports.some(({ report }) => !isOpen(report))
  ).map(({ row }) => row.address_key);
  if (keys.length === 0) return new Set();
  const rows = await write.selectFrom("inventory_services")
    .select(["address_key", "port", "protocol"])
    .where("scope_id", "=", scope).where("address_key", "in", keys).execute();
  return new Set(
    rows.map((one) => `${one.address_key} ${one.port}/${one.protocol}`),
  );
}
