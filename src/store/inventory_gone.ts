/**
 * Services that a scan proves to be open no longer although it does not list them: nmap says "not
 * shown: 998 closed" and names none of them.
 *
 * @module
 */
import { sql } from "kysely";
import { parseNetwork } from "@/scope/block.ts";
import { addressKey, type KeyRange, subnetRange } from "./address_key.ts";
import { scopesOf } from "./findings.ts";
import type { Link } from "./link.ts";
import type { Gone } from "./scan_record.ts";
import { lockOwn, makeAllScope, type OwnScan, rowOf } from "./scan_rows.ts";

/** Services that are looked at, and changed, in one go. */
const BATCH = 500;

interface Known {
  readonly address_key: string;
  readonly address: string;
  readonly protocol: string;
  readonly port: number;
}

/** A scan that ends, as far as it is needed here. */
export interface Ending {
  /** Addresses and networks that it looked at. */
  readonly targets: readonly string[];
  readonly finishedAt: number;
  readonly gone: Gone;
}

/** With the scopes that know of it: that of everything first, which has what the others have. */
interface Closing extends Ending {
  readonly scopes: readonly [all: number, ...number[]];
}

/**
 * Changes the state of what a scan proves to be open no longer. When it was seen last stays.
 *
 * @param link The database.
 * @param own The scan, and who writes.
 * @param ending What it looked at, when, and what it tells.
 * @throws {AppError} `conflict` if the scan is over or somebody else's.
 */
export async function closeServices(
  link: Link,
  own: OwnScan,
  ending: Ending,
): Promise<void> {
  const closing = { ...ending, scopes: await scopesToClose(link, own) };
  for (const range of ending.targets.flatMap(rangeOf)) {
    let after: Known | null = null;
    do {
      const known: Known[] = await openIn(link, range, after, closing);
      await change(link, own, known, closing);
      after = known.length < BATCH ? null : known.at(-1) ?? null;
      await link.turn();
    } while (after !== null);
  }
}

async function scopesToClose(
  link: Link,
  own: OwnScan,
): Promise<readonly [number, ...number[]]> {
  return await link.write(async (write) => {
    const { tenant } = await rowOf(write, own.id);
    const all = await makeAllScope(write, tenant);
    return [all, ...await scopesOf(write, own.id)];
  });
}

/** What was seen by this scan itself was checked at its end. */
async function openIn(
  link: Link,
  { first, last }: KeyRange,
  after: Known | null,
  { finishedAt, scopes: [all] }: Closing,
): Promise<Known[]> {
  return await link.read((db) => {
    let query = db.selectFrom("inventory_services")
      .select(["address_key", "address", "protocol", "port"])
      .where("scope_id", "=", all)
      .where("address_key", ">=", after?.address_key ?? first)
      .where("address_key", "<=", last)
      .where("state", "=", "open").where("checked_at", "<", finishedAt);
    if (after !== null) {
      const { address_key, protocol, port } = after;
      query = query.where(
        sql<
          boolean
        >`(address_key, protocol, port) > (${address_key}, ${protocol}, ${port})`,
      );
    }
    return query.orderBy("address_key").orderBy("protocol").orderBy("port")
      .limit(BATCH).execute();
  });
}

async function change(
  link: Link,
  own: OwnScan,
  known: readonly Known[],
  { finishedAt, gone, scopes }: Closing,
): Promise<void> {
  const changes = known.flatMap((one) => {
    const state = gone(one.address, one.protocol, one.port);
    return state === null ? [] : [{ ...one, state }];
  });
  if (changes.length === 0) return;
  await link.write(async (write) => {
    await lockOwn(link, write, own);
    // In the order in which every writer goes: two that go crosswise would end each other.
    for (const scope of scopes) {
      for (const { address_key, protocol, port, state } of changes) {
        await write.updateTable("inventory_services")
          .set({ state, checked_at: finishedAt })
          .where("scope_id", "=", scope).where("address_key", "=", address_key)
          .where("protocol", "=", protocol).where("port", "=", port)
          .where("state", "=", "open").where("checked_at", "<", finishedAt)
          .execute();
      }
    }
  });
}

/** Addresses, networks, and `10.0.0.1-9`. Names and URLs have no range. */
function rangeOf(target: string): KeyRange[] {
  const [from = "", end] = target.split("-");
  if (end !== undefined) {
    const to = `${from.slice(0, from.lastIndexOf(".") + 1)}${end}`;
    const [first, last] = [from, end.includes(".") ? end : to].map(addressKey);
    return first?.startsWith("4") && last?.startsWith("4")
      ? [{ first, last, token: null }]
      : [];
  }
  const isPlain = parseNetwork(target) !== null ||
    /^[46]/.test(addressKey(target));
  return isPlain ? [subnetRange(target)] : [];
}
