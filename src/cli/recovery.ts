/**
 * What a dead server left behind: scans that ran are ended, scans that waited go on.
 *
 * @module
 */
import type { AuditEntry } from "@/audit/entry.ts";
import type { Dispatcher } from "@/dispatch/dispatch.ts";
import { toAppError } from "@/error/app_error.ts";
import type { Log } from "@/log/log.ts";
import { Semaphore } from "@/permits/semaphore.ts";
import { loadScan } from "@/scans/load.ts";
import type { Scan } from "@/scans/scan.ts";
import type { Recovered } from "@/store/recover.ts";
import type { Store } from "@/store/store.ts";

/** What {@linkcode recover} works with. */
export interface RecoveryOptions {
  readonly store: Store;
  readonly dispatcher: Pick<Dispatcher, "resume">;
  /** How many of the scans may go on at once: places that there are, so that none finds the queue full. */
  readonly places: number;
  /** Writes into the audit log. Must not reject. */
  readonly record: (entry: AuditEntry) => Promise<void>;
  readonly log: Log;
}

/**
 * Records what was interrupted, and lets go on what waited.
 *
 * @param recovered What the store found of dead servers.
 * @param options What it works with.
 */
export async function recover(
  { interrupted, requeued, queued }: Recovered,
  { store, dispatcher, places, record, log }: RecoveryOptions,
): Promise<void> {
  for (const id of interrupted) {
    const { tool, tenant, traceId } = await store.getScan(id);
    await record({
      kind: "scan_ended",
      tenant,
      scanId: id,
      traceId,
      tool,
      status: "interrupted",
      code: "interrupted",
    });
  }
  if (interrupted.length + queued.length > 0) {
    log.warn("scans of a server that died", {
      interrupted: interrupted.length,
      requeued: requeued.length,
      queued: queued.length,
    });
  }
  const turns = new Semaphore({ permits: places, queueMax: queued.length });
  for (const { id } of queued) {
    try {
      resume(dispatcher, await loadScan(store, id), turns);
    } catch (thrown) {
      const { message } = toAppError(thrown);
      log.error("not resumed", { scan_id: id, message });
    }
  }
}

/** Lets a scan go on as soon as it has a place. Until then it is known, and can be cancelled. */
function resume(
  dispatcher: Pick<Dispatcher, "resume">,
  scan: Scan,
  turns: Semaphore,
): void {
  let turn: Disposable | null = null;
  void dispatcher.resume(scan, async (signal) => {
    turn = await turns.acquire(signal, { tenant: scan.tenant });
  }).finally(() => turn?.[Symbol.dispose]());
}
