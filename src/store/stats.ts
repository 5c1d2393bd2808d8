/**
 * Figures of the store for metrics: cheap enough to be asked for with every scrape.
 *
 * @module
 */
import { sql } from "kysely";
import type { Link } from "./link.ts";
import { STORED_STATUSES, type StoredStatus } from "./scan_record.ts";
import { bytesInUse, bytesOnDisk } from "./space.ts";
import { parseTenant } from "./tenant.ts";

/** Figures of the store. */
export interface StoreStats {
  readonly scans: Readonly<Record<StoredStatus, number>>;
  /** Hosts over all scans, each as often as a scan saw it. */
  readonly hosts: number;
  /** Open ports over all scans, each as often as a scan saw it. */
  readonly services: number;
  readonly bytesOnDisk: number;
  readonly bytesInUse: number;
}

/**
 * Counts.
 *
 * @param link The database.
 * @param tenant Whose scans; null for those of every tenant. Bytes are always those of the whole store.
 * @returns The figures.
 */
export async function storeStats(
  link: Link,
  tenant: string | null,
): Promise<StoreStats> {
  const whose = tenant === null ? null : parseTenant(tenant);
  const rows = await link.read((db) => {
    const query = db.selectFrom("scans").select(({ fn }) => [
      "status",
      fn.countAll<number>().as("count"),
      sql<number>`cast(sum(host_count) as bigint)`.as("hosts"),
      sql<number>`cast(sum(service_count) as bigint)`.as("services"),
    ]).where("removing", "=", 0).groupBy("status");
    return (whose === null ? query : query.where("tenant", "=", whose))
      .execute();
  });
  const scans = Object.fromEntries(
    STORED_STATUSES.map((status) => [status, 0]),
  ) as Record<StoredStatus, number>;
  let [hosts, services] = [0, 0];
  for (const row of rows) {
    scans[row.status as StoredStatus] = row.count;
    hosts += row.hosts;
    services += row.services;
  }
  return {
    scans,
    hosts,
    services,
    bytesOnDisk: await bytesOnDisk(link),
    bytesInUse: await bytesInUse(link),
  };
}
