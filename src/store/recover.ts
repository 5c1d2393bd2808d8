/**
 * After a crash: what the dead left behind is ended or queued again, what the living have is left
 * alone, and no scan is lost or doubled.
 *
 * @module
 */
import { sql } from "kysely";
import { AppError } from "@/error/app_error.ts";
import type { Link } from "./link.ts";
import { strikeOff, type Watch } from "./runners.ts";
import { type OwnScan, refuseOther, rowOf, scanOf } from "./scan_rows.ts";
import type { StoredScan } from "./scan_record.ts";

/** Scans that are looked at in one go. */
const BATCH = 500;

/** What {@linkcode recover} needs to know. */
export interface RecoverOptions {
  /** Whether a scan that was running is queued again instead of being interrupted. */
  readonly requeue: boolean;
  /** How often a scan is queued again at most: one that kills the server must not do so for ever. */
  readonly requeueMax: number;
  readonly now: number;
}

/** What was left behind. */
export interface Recovered {
  /** Ids of the scans that are now `interrupted`. */
  readonly interrupted: readonly string[];
  /** Ids of the scans that were running and are queued again. */
  readonly requeued: readonly string[];
  /** Everything that is queued for this process, oldest first. */
  readonly queued: readonly StoredScan[];
}

/**
 * Takes over what dead processes left.
 *
 * @param link The database.
 * @param watch Tells who is dead.
 * @param runner This process, which takes the queued scans over.
 * @param options Clock, and what to do with running ones.
 * @returns What was done.
 */
export async function recover(
  link: Link,
  watch: Watch,
  runner: number,
  options: RecoverOptions,
): Promise<Recovered> {
  const interrupted: string[] = [];
  const requeued: string[] = [];
  for (const dead of await others(link, runner)) {
    const release = dead === null ? noLock : await watch.take(dead);
    if (release === null) continue;
    try {
      // First: should it live after all, it makes no scan behind our back.
      if (dead !== null) await strikeOff(link, dead);
      for (let more = true; more;) {
        const done = await takeOver(link, dead, runner, options);
        interrupted.push(...done.interrupted);
        requeued.push(...done.requeued);
        more = done.more;
      }
    } finally {
      await release();
    }
  }
  return { interrupted, requeued, queued: await queuedFor(link, runner) };
}

/**
 * Takes over one scan of a dead process; one of this process is left as it is.
 *
 * @param link The database.
 * @param watch Tells who is dead.
 * @param own The scan, and this process.
 * @throws {AppError} `not_found`; `conflict` if the scan is over or its process is alive.
 */
export async function adopt(
  link: Link,
  watch: Watch,
  own: OwnScan,
): Promise<void> {
  const row = await link.read((db) => rowOf(db, own.id));
  refuseOther(row, { id: own.id, runner: row.runner ?? own.runner });
  if (row.runner === own.runner) return;
  const release = row.runner === null ? noLock : await watch.take(row.runner);
  if (release === null) throw isAlive(own.id);
  try {
    const changed = await link.write((write) =>
      write.updateTable("scans").set({ runner: own.runner })
        .where("id", "=", own.id).where("status", "in", ["queued", "running"])
        .where("runner", row.runner === null ? "is" : "=", row.runner)
        .returning("id").executeTakeFirst()
    );
    // Somebody else was faster.
    if (changed === undefined) throw isAlive(own.id);
  } finally {
    await release();
  }
}

function isAlive(id: string): AppError {
  return new AppError(
    "conflict",
    `Cannot take over the scan "${id}": another process is at work on it; wait until it has ended`,
  );
}

function noLock(): Promise<void> {
  return Promise.resolve();
}

/** Everybody else who has scans at work or waiting; null for scans that nobody was to run. */
async function others(link: Link, runner: number): Promise<(number | null)[]> {
  const rows = await link.read((db) =>
    db.selectFrom("scans").select("runner").distinct()
      .where("status", "in", ["queued", "running"]).execute()
  );
  return rows.map((row) => row.runner).filter((no) => no !== runner);
}

async function takeOver(
  link: Link,
  dead: number | null,
  runner: number,
  { requeue, requeueMax, now }: RecoverOptions,
): Promise<{ interrupted: string[]; requeued: string[]; more: boolean }> {
  return await link.write(async (write) => {
    const rows = await write.selectFrom("scans")
      .select(["id", "status", "requeued"])
      .where("status", "in", ["queued", "running"])
      .where("runner", dead === null ? "is" : "=", dead)
      .orderBy("id").limit(BATCH).execute();
    const running = rows.filter(({ status }) => status === "running");
    const again = running.filter((row) => requeue && row.requeued < requeueMax);
    const idsOf = (some: readonly { id: string }[]) => some.map(({ id }) => id);
    const requeued = idsOf(again);
    const interrupted = idsOf(running.filter((row) => !again.includes(row)));
    const queued = idsOf(rows.filter(({ status }) => status === "queued"));
    if (interrupted.length > 0) {
      await write.updateTable("scans").where("id", "in", interrupted)
        .set({ status: "interrupted", finished_at: now, progress: null })
        .execute();
    }
    if (requeued.length > 0) {
      await write.updateTable("scans").where("id", "in", requeued)
        .set({
          status: "queued",
          started_at: null,
          progress: null,
          runner,
          requeued: sql<number>`requeued + 1`,
        }).execute();
    }
    if (queued.length > 0) {
      await write.updateTable("scans").where("id", "in", queued)
        .set({ runner }).execute();
    }
    return { interrupted, requeued, more: rows.length === BATCH };
  });
}

async function queuedFor(link: Link, runner: number): Promise<StoredScan[]> {
  const rows = await link.read((db) =>
    db.selectFrom("scans").selectAll().where("status", "=", "queued")
      .where("runner", "=", runner).orderBy("id").execute()
  );
  return rows.map(scanOf);
}
