/**
 * The store of this process: opened once, when it is first needed, and looked after while a server
 * runs. Loaded by the composition of the engine and by nothing else.
 *
 * @module
 */
import type { Audit, Who } from "@/audit/entry.ts";
import { toAppError } from "@/error/app_error.ts";
import type { Config } from "@/config/schema.ts";
import type { Inventory } from "@/dispatch/engine.ts";
import type { After } from "@/health/after.ts";
import type { Log } from "@/log/log.ts";
import {
  namesOf,
  type RetentionPlan,
  type RetentionRules,
} from "@/store/retention.ts";
import type { Recovered } from "@/store/recover.ts";
import type { Store } from "@/store/store.ts";
import { HOUSE_TENANT } from "@/store/tenant.ts";

/** How often a scan is queued again at most: one that kills the server must not do so for ever. */
const REQUEUE_MAX = 3;

/** Milliseconds between two looks at what has to go, and before the first. */
const RETENTION_INTERVAL_MS = 3_600_000;
const RETENTION_START_MS = 60_000;

/** Whoever removes what the configuration no longer keeps. */
const RETENTION: Who = {
  client: "retention",
  transport: "stdio",
  address: null,
  tenant: HOUSE_TENANT,
  subject: "retention",
};

/** What a {@linkcode HistoryKeeper} works with. */
export interface HistoryKeeperOptions {
  readonly config: () => Config;
  readonly configHash: () => string;
  readonly audit: Audit;
  /**
   * Hears of what dead servers left behind, before anything else uses the store. A command that scans
   * once has none: it takes nothing over.
   */
  readonly onRecovered:
    | ((recovered: Recovered, store: Store) => Promise<void>)
    | null;
  /** Hears of the ids of scans that were removed. */
  readonly onRemoved: (ids: readonly string[]) => void;
  readonly after: After;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  readonly version: string;
  readonly log: Log;
}

/** Opens the store and keeps it in order. */
export class HistoryKeeper implements AsyncDisposable {
  readonly #options: HistoryKeeperOptions;
  #store: Promise<Store> | null = null;
  #timer: (() => void) | null = null;
  #pruning: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param options What it works with. */
  constructor(options: HistoryKeeperOptions) {
    this.#options = options;
  }

  /**
   * Gives the store.
   *
   * @returns The store, opened at the first call; a server has taken over by then what dead ones left.
   * @throws {AppError} With the way out.
   */
  store(): Promise<Store> {
    this.#store ??= this.#open();
    return this.#store;
  }

  /**
   * Gives what is known over all scans of a tenant.
   *
   * @param tenant Whose. What a question names besides does not matter.
   * @returns The inventory.
   */
  inventoryOf(tenant: string): Inventory {
    return {
      inventoryHosts: async (filter, page) =>
        await (await this.store()).inventoryHosts({ ...filter, tenant }, page),
      inventoryServices: async (filter, page) =>
        await (await this.store())
          .inventoryServices({ ...filter, tenant }, page),
      search: async (text, filter, page) =>
        await (await this.store()).search(text, { ...filter, tenant }, page),
    };
  }

  /** Removes from now on what the configuration no longer keeps. */
  keepInOrder(): void {
    this.#later(RETENTION_START_MS);
  }

  /** Lets go of the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.();
    await this.#pruning;
    const store = await this.#store?.catch(() => null);
    await store?.close();
  }

  async #open(): Promise<Store> {
    const { openStore } = await import("@/store/open.ts");
    const { config, version, wallNow, log, onRecovered } = this.#options;
    const { database, state, scans } = config();
    const store = await openStore(database.url, {
      folder: state.folder,
      program: version,
      now: wallNow,
      lost: (detail) => log.warn("database connection lost", { detail }),
    });
    if (onRecovered === null) return store;
    try {
      const requeue = scans.resume === "requeue";
      const recovered = await store.recover({
        requeue,
        requeueMax: REQUEUE_MAX,
      });
      await onRecovered(recovered, store);
      return store;
    } catch (thrown) {
      await store.close();
      throw thrown;
    }
  }

  #later(ms: number): void {
    if (this.#closed) return;
    this.#timer = this.#options.after(ms, () => {
      this.#pruning = this.#prune().finally(() =>
        this.#later(RETENTION_INTERVAL_MS)
      );
    });
  }

  async #prune(): Promise<void> {
    const { config, wallNow, log, onRemoved } = this.#options;
    const rules = retentionRules(config(), wallNow());
    try {
      const store = await this.store();
      await store.finishRemovals();
      if (rules === null) return;
      const plan = await store.planRetention(rules);
      const { inventoryHosts, inventoryServices } = plan;
      if (plan.scans.length + inventoryHosts + inventoryServices > 0) {
        await this.#record(plan);
      }
      const { scans, bytesBefore, bytesAfter } = await store.runRetention(plan);
      if (scans.length === 0) return;
      onRemoved(scans.map(({ id }) => id));
      log.info("old scans removed", {
        scans: scans.length,
        bytes_before: bytesBefore,
        bytes_after: bytesAfter,
      });
    } catch (thrown) {
      const { message } = toAppError(thrown);
      log.error("old scans were not removed", { message });
    }
  }

  /** What cannot be recorded does not happen. */
  async #record(plan: RetentionPlan): Promise<void> {
    for (const ids of namesOf(plan)) {
      await this.#recordSome(ids, plan.scans.length);
    }
  }

  async #recordSome(ids: readonly string[], scans: number): Promise<void> {
    const { audit, configHash } = this.#options;
    const call = {
      who: RETENTION,
      operation: "delete",
      tool: null,
      traceId: "",
    } as const;
    await audit.append({
      kind: "request",
      ...call,
      arguments: { scans, ids },
    });
    await audit.append({
      kind: "decision",
      ...call,
      target: null,
      outcome: "allowed",
      rule: "retention",
      code: null,
      message: null,
      scanId: null,
      labels: null,
      configHash: configHash(),
      policyHash: null,
      policies: [],
    });
  }
}

/**
 * Says what may stay.
 *
 * @param config The configuration.
 * @param now Milliseconds since the epoch.
 * @returns The rules, which are of every tenant, or null if everything stays.
 */
export function retentionRules(
  { retention }: Config,
  now: number,
): RetentionRules | null {
  const { max_age_days, max_bytes, keep_tags } = retention;
  if (max_age_days === 0 && max_bytes === 0) return null;
  return {
    tenant: null,
    endedBefore: max_age_days === 0 ? null : now - max_age_days * 86_400_000,
    bytesMax: max_bytes === 0 ? null : max_bytes,
    keepTags: keep_tags,
  };
}
