/**
 * What a scan finds, kept as it is found: rows of the scan, the index and the inventory change in one
 * transaction, so that nobody ever sees one without the others.
 *
 * A host that is seen again is written again and its ports are added to those that it had: the tools
 * report a host anew with more of it, never with less, and what was found once is not lost because a
 * later line does not repeat it.
 *
 * @module
 */
import type { Selectable } from "kysely";
import { AppError } from "@/error/app_error.ts";
import {
  isOpen,
  type NamesReport,
  type PathsReport,
  type Report,
} from "@/tools/report.ts";
import {
  ALIEN_LABEL,
  type HostRow,
  hostRow,
  labelsOf,
  type PortRow,
  scopeLabel,
} from "./host_rows.ts";
import { type Sighting, updateInventory } from "./inventory_rows.ts";
import type { Link, Write } from "./link.ts";
import type { ReportHead } from "./scan_record.ts";
import { lockOwn, makeAllScope, type OwnScan } from "./scan_rows.ts";
import { ROWS_PER_SCAN, type ScanTable } from "./tables.ts";
import { HOUSE_TENANT } from "./tenant.ts";
import { textKey } from "./text_key.ts";
import { addTexts, type Document, removeTexts } from "./texts.ts";

/** Hosts, and ports, of one transaction: it holds the write lock, and SQLite stands still in it. */
const HOSTS_BATCH = 250;
const PORTS_BATCH = 1_000;
const PATHS_BATCH = 500;

/** Rows of one statement: both databases cap its parameters. */
const ROWS_BATCH = 200;

type Row = Selectable<ScanTable>;

/**
 * Keeps what was found. Large reports take several transactions; each leaves a sound store.
 *
 * @param link The database.
 * @param own The scan, and who writes.
 * @param report What was found: everything, or what is new.
 * @param seenAt When, in milliseconds since the epoch.
 * @throws {AppError} `not_found`; `conflict` if the scan is over or somebody else's.
 */
export async function appendFindings(
  link: Link,
  own: OwnScan,
  report: Report,
  seenAt: number,
): Promise<void> {
  const { head, batches } = partsOf(link, report, seenAt);
  for (const batch of batches) {
    await link.write(async (write) => {
      // Its numbers are given out one batch after the other.
      const row = await lockOwn(link, write, own);
      const change = await batch(write, row);
      await write.updateTable("scans").set({
        report: JSON.stringify(headSoFar(row, change, head)),
        rows_used: row.rows_used + change.rows,
        host_count: row.host_count + change.hosts,
        service_count: row.service_count + change.services,
        path_count: row.path_count + change.paths,
        bytes: row.bytes + change.bytes,
      }).where("seq", "=", row.seq).execute();
    });
    await link.pause();
  }
}

/** What a batch added to a scan. */
interface Change {
  rows: number;
  hosts: number;
  services: number;
  paths: number;
  bytes: number;
}

type Batch = (write: Write, row: Row) => Promise<Change>;

function partsOf(
  link: Link,
  report: Report,
  seenAt: number,
): { head: ReportHead; batches: Batch[] } {
  switch (report.kind) {
    case "hosts": {
      const { hosts, ...head } = report;
      const batches = hostBatches(hosts.map(hostRow)).map(
        (some): Batch => (write, row) =>
          appendHosts(link, write, row, some, seenAt),
      );
      return { head, batches: batches.length > 0 ? batches : [nothing] };
    }
    case "paths": {
      const { paths, ...head } = report;
      const found = paths.map((one) => ({
        key: `${one.status} ${one.untrusted.path}`,
        one,
      }));
      return { head, batches: pathBatches(found) };
    }
    case "names": {
      const { names, ...head } = report;
      const found = names.map((one) => ({ key: one.name, one }));
      return { head, batches: pathBatches(found) };
    }
  }
}

function nothing(): Promise<Change> {
  return Promise.resolve(unchanged());
}

function unchanged(): Change {
  return { rows: 0, hosts: 0, services: 0, paths: 0, bytes: 0 };
}

/** The totals of what is new are not those of the scan. Its end brings a head that is kept as it is. */
function headSoFar(row: Row, change: Change, head: ReportHead): ReportHead {
  if (head.kind !== "hosts") return head;
  const up = row.host_count + change.hosts;
  return { ...head, totals: { ...head.totals, up } };
}

/** Cuts hosts into batches; a host of sixty thousand ports is a batch of its own. */
function hostBatches(hosts: readonly HostRow[]): HostRow[][] {
  const batches: HostRow[][] = [];
  let ports = 0;
  for (const host of lastOfEach(hosts)) {
    const last = batches.at(-1);
    const full = last === undefined || last.length >= HOSTS_BATCH ||
      ports + host.ports.length > PORTS_BATCH;
    if (full) batches.push([host]);
    else last.push(host);
    ports = (full ? 0 : ports) + host.ports.length;
  }
  return batches;
}

/** One statement may not write one row twice. */
function lastOfEach(hosts: readonly HostRow[]): Iterable<HostRow> {
  const unique = new Map<string, HostRow>();
  for (const host of hosts) {
    const before = unique.get(host.row.address_key);
    unique.set(
      host.row.address_key,
      before === undefined ? host : {
        ...host,
        ports: [
          ...new Map([...before.ports, ...host.ports].map((port) => [
            `${port.row.port}/${port.row.protocol}`,
            port,
          ])).values(),
        ],
      },
    );
  }
  return unique.values();
}

async function appendHosts(
  link: Link,
  write: Write,
  row: Row,
  hosts: readonly HostRow[],
  seenAt: number,
): Promise<Change> {
  const change = unchanged();
  const ids = numbers(row, change);
  const hostIds = await putHosts(write, row, hosts, ids, change);
  const all = await makeAllScope(write, row.tenant);
  const scopes = await scopesOf(write, row.id);
  const cuts = row.tenant === HOUSE_TENANT
    ? []
    : [ALIEN_LABEL, scopeLabel(all)];
  const known = await knownPorts(write, [...hostIds.known.values()]);
  const documents: Document[] = [];
  const stale: number[] = [];
  const rows = hosts.flatMap((host) => {
    const key = host.row.address_key;
    const hostId = hostIds.all.get(key) ?? 0;
    return host.ports.map((port) => {
      const before = known.get(
        `${hostId} ${port.row.port}/${port.row.protocol}`,
      );
      const id = before?.id ?? ids();
      if (before?.indexed === 1) stale.push(id);
      if (port.words.length > 0) {
        const labels = labelsOf(row.tool, scopes, key, port.row.port);
        documents.push({ id, words: port.words, labels: [...cuts, ...labels] });
      }
      countPort(change, port, before);
      return { ...port.row, id, host_id: hostId, seen_at: seenAt };
    });
  });
  for (let at = 0; at < rows.length; at += ROWS_BATCH) {
    await write.insertInto("scan_ports").values(rows.slice(at, at + ROWS_BATCH))
      .onConflict((conflict) =>
        conflict.column("id").doUpdateSet(({ ref }) => ({
          state: ref("excluded.state"),
          service: ref("excluded.service"),
          product_key: ref("excluded.product_key"),
          detail: ref("excluded.detail"),
          seen_at: ref("excluded.seen_at"),
          indexed: ref("excluded.indexed"),
        }))
      ).execute();
  }
  await removeTexts(link, write, stale);
  await addTexts(link, write, documents);
  const sighting: Sighting = { scan: row.id, scopes: [all, ...scopes], seenAt };
  await updateInventory(write, sighting, hosts);
  return change;
}

/** Gives out the numbers of a scan's rows. */
function numbers(row: Row, change: Change): () => number {
  return () => {
    change.rows++;
    const no = row.rows_used + change.rows;
    if (no < ROWS_PER_SCAN) return row.seq * ROWS_PER_SCAN + no;
    throw new AppError(
      "output_limit",
      `Cannot keep more of the scan "${row.id}": it has ${ROWS_PER_SCAN} rows; scan fewer hosts or ports in one call`,
    );
  };
}

interface KnownPort {
  readonly id: number;
  readonly state: string;
  readonly indexed: number;
}

function countPort(
  change: Change,
  port: PortRow,
  before: KnownPort | undefined,
): void {
  const wasOpen = before?.state === "open";
  change.services += Number(isOpen(port.report)) - Number(wasOpen);
  // What a port takes in all tables and indexes beside its own text, and each word about twice.
  if (before === undefined) change.bytes += 300;
  change.bytes += (port.row.detail?.length ?? 0) + 2 * port.words.length;
}

async function putHosts(
  write: Write,
  row: Row,
  hosts: readonly HostRow[],
  ids: () => number,
  change: Change,
): Promise<{ all: Map<string, number>; known: Map<string, number> }> {
  const known = new Map<string, number>();
  const keys = hosts.map((host) => host.row.address_key);
  const found = await write.selectFrom("scan_hosts")
    .select(["id", "address_key"]).where("scan_seq", "=", row.seq)
    .where("address_key", "in", keys).execute();
  for (const { id, address_key } of found) known.set(address_key, id);
  const rows = hosts.map((host) => ({
    ...host.row,
    id: known.get(host.row.address_key) ?? ids(),
    scan_seq: row.seq,
  }));
  await write.insertInto("scan_hosts").values(rows).onConflict((conflict) =>
    conflict.column("id").doUpdateSet(({ ref }) => ({
      status: ref("excluded.status"),
      detail: ref("excluded.detail"),
    }))
  ).execute();
  change.hosts += hosts.length - known.size;
  for (const one of rows) change.bytes += 300 + (one.detail?.length ?? 0);
  const all = new Map(rows.map(({ address_key, id }) => [address_key, id]));
  return { all, known };
}

async function knownPorts(
  write: Write,
  hostIds: readonly number[],
): Promise<Map<string, KnownPort>> {
  const known = new Map<string, KnownPort>();
  if (hostIds.length === 0) return known;
  const rows = await write.selectFrom("scan_ports")
    .select(["id", "host_id", "port", "protocol", "state", "indexed"])
    .where("host_id", "in", hostIds).execute();
  for (const one of rows) {
    known.set(`${one.host_id} ${one.port}/${one.protocol}`, one);
  }
  return known;
}

/** The engagement and the tags of a scan, as numbers. */
export async function scopesOf(
  write: Write,
  id: string,
): Promise<readonly number[]> {
  const rows = await write.selectFrom("scan_scopes").select("scope_id")
    .where("scan_id", "=", id).orderBy("scope_id").execute();
  return rows.map(({ scope_id }) => scope_id);
}

interface FoundPath {
  readonly key: string;
  readonly one: PathsReport["paths"][number] | NamesReport["names"][number];
}

function pathBatches(found: readonly FoundPath[]): Batch[] {
  const unique = [...new Map(found.map((one) => [one.key, one])).values()];
  const batches: Batch[] = [];
  for (let at = 0; at < unique.length; at += PATHS_BATCH) {
    const some = unique.slice(at, at + PATHS_BATCH);
    batches.push((write, row) => appendPaths(write, row, some));
  }
  return batches.length > 0 ? batches : [nothing];
}

async function appendPaths(
  write: Write,
  row: Row,
  found: readonly FoundPath[],
): Promise<Change> {
  const change = unchanged();
  const ids = numbers(row, change);
  const digested = found.map(({ key, one }) => ({
    digest: textKey(key),
    detail: JSON.stringify(one),
  }));
  const rows = await write.selectFrom("scan_paths").select(["id", "digest"])
    .where("scan_seq", "=", row.seq)
    .where("digest", "in", digested.map(({ digest }) => digest)).execute();
  const known = new Map(rows.map(({ id, digest }) => [digest, id]));
  for (let at = 0; at < digested.length; at += ROWS_BATCH) {
    const values = digested.slice(at, at + ROWS_BATCH).map((one) => ({
      ...one,
      id: known.get(one.digest) ?? ids(),
      scan_seq: row.seq,
    }));
    await write.insertInto("scan_paths").values(values)
      .onConflict((conflict) =>
        conflict.column("id").doUpdateSet(({ ref }) => ({
          detail: ref("excluded.detail"),
        }))
      ).execute();
  }
  change.paths = digested.length - known.size;
  for (const { detail } of digested) change.bytes += 150 + detail.length;
  return change;
}

/**
 * Gives a report without its rows.
 *
 * @param report The report.
 * @returns What stands above the rows.
 */
export function reportHeadOf(report: Report): ReportHead {
  switch (report.kind) {
    case "hosts": {
      const { hosts: _, ...head } = report;
      return head;
    }
    case "paths": {
      const { paths: _, ...head } = report;
      return head;
    }
    case "names": {
      const { names: _, ...head } = report;
      return head;
    }
  }
}
