/**
 * What a command that works with the history has at hand: the configuration, the store, and the audit
 * log. None of these commands scans, so none of them has isolates, and none may start a process.
 *
 * @module
 */
import type { AuditLog } from "@/audit/audit_log.ts";
import type { Operation } from "@/audit/entry.ts";
import { fingerprint } from "@/audit/fingerprint.ts";
import { openAudit } from "@/audit/open.ts";
import { readConfig } from "@/config/boot.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import type { Config } from "@/config/schema.ts";
import { CallRecord } from "@/dispatch/record.ts";
import { type Rules, rulesOf } from "@/dispatch/rules.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import type { PolicyEngine } from "@/policy/request.ts";
import { headOfStored } from "@/scans/load.ts";
import type { Scan } from "@/scans/scan.ts";
import {
  openStore,
  type OpenStoreOptions,
  openStoreToLook,
} from "@/store/open.ts";
import type { StoredScan } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import { newTraceId } from "@/dispatch/trace_id.ts";
import { LOCAL } from "@/identity/principal.ts";
import { HOUSE_TENANT } from "@/store/tenant.ts";
import { shown } from "@/tools/field.ts";
import { AT_TERMINAL, fillRandom, type World } from "./world.ts";

/** The history of one tenant. */
export interface TenantHistory {
  readonly store: Store;
  /** Whose: a scan of anybody else is none that there is. */
  readonly tenant: string;
}

/** The history, opened for one command. */
export class HistoryAccess implements AsyncDisposable, TenantHistory {
  readonly config: Config;
  readonly store: Store;
  readonly tenant: string;
  readonly #world: World;
  readonly #rules: Rules;
  #audit: Promise<AuditLog> | null = null;

  private constructor(
    world: World,
    config: Config,
    parts: TenantHistory & { readonly rules: Rules },
  ) {
    this.config = config;
    this.store = parts.store;
    this.tenant = parts.tenant;
    this.#world = world;
    this.#rules = parts.rules;
  }

  /**
   * Opens the history to change it; the database is made or brought up to date if need be.
   *
   * @param world The process.
   * @param tenant Whose.
   * @returns The history.
   * @throws {AppError} If the configuration is refused or the store cannot be opened.
   */
  static async open(
    world: World,
    tenant: string = HOUSE_TENANT,
  ): Promise<HistoryAccess> {
    return await HistoryAccess.#with(world, tenant, openStore);
  }

  /**
   * Opens the history for a look: no database is made, and none is changed.
   *
   * @param world The process.
   * @param tenant Whose.
   * @returns The history; empty where there is none yet.
   * @throws {AppError} As {@linkcode HistoryAccess.open}; `conflict` if the database is of an older
   * version.
   */
  static async look(
    world: World,
    tenant: string = HOUSE_TENANT,
  ): Promise<HistoryAccess> {
    return await HistoryAccess.#with(world, tenant, openStoreToLook);
  }

  static async #with(
    world: World,
    tenant: string,
    open: typeof openStore,
  ): Promise<HistoryAccess> {
    const config = await readHistoryConfig(world);
    const rules = await recordRules(config);
    const store = await open(config.database.url, storeOptions(config, world));
    return new HistoryAccess(world, config, { rules, store, tenant });
  }

  /**
   * Records that somebody asks for something.
   *
   * @param operation What for.
   * @param command The command, as the log names it.
   * @param args What was asked.
   * @param traceId 32 hex digits that what comes of it carries.
   * @returns The record, which still wants the decision.
   * @throws {AppError} If it cannot be recorded: then it must not happen.
   */
  async begin(
    operation: Operation,
    command: string,
    args: Readonly<Record<string, unknown>>,
    traceId: string = newTraceId(fillRandom),
  ): Promise<CallRecord> {
    this.#audit ??= this.#openAudit();
    const who = {
      ...AT_TERMINAL,
      tenant: this.tenant,
      subject: LOCAL.subject,
    };
    const call = { who, operation, tool: command, traceId };
    return await CallRecord.begin(await this.#audit, call, args, this.#rules);
  }

  /**
   * Records that somebody looks at what is kept. A look changes nothing, so what cannot be recorded is
   * shown all the same, and the person is told.
   *
   * @param command The command, as the log names it.
   * @param args What was asked.
   */
  async looked(
    command: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    try {
      const record = await this.begin("read", command, args);
      await record.allowed({ rule: "read", target: null, scanId: null });
    } catch (thrown) {
      const { message } = toAppError(thrown);
      this.#world.printError(`note: this look is not recorded: ${message}\n`);
    }
  }

  /** Lets go of the store and seals the log. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    const audit = await this.#audit?.catch(() => null);
    await audit?.[Symbol.asyncDispose]();
  }

  #openAudit(): Promise<AuditLog> {
    return openAudit(this.config, {
      wallNow: Date.now,
      now: () => performance.now(),
      // The server's log has the checkpoints; a fault is told by the entry that it rejects.
      onCheckpoint: () => {},
      onWarning: () => {},
    });
  }
}

/**
 * Reads the configuration and makes the state folder.
 *
 * @param world The process.
 * @returns The configuration; its warnings are printed.
 * @throws {AppError} If it is refused.
 */
export async function readHistoryConfig(world: World): Promise<Config> {
  const { config, warnings } = await readConfig(world.env);
  for (const warning of warnings) world.printError(`warning: ${warning}\n`);
  try {
    await Deno.mkdir(config.state.folder, { recursive: true, mode: 0o700 });
  } catch {
    // Whoever needs it says what is wrong with it.
  }
  return config;
}

/**
 * Says how the store is opened.
 *
 * @param config The configuration.
 * @param world The process.
 * @returns The options of `openStore`.
 */
export function storeOptions(config: Config, world: World): OpenStoreOptions {
  return {
    folder: config.state.folder,
    program: world.version,
    now: Date.now,
  };
}

/** No policies at all, named by the digest of nothing; they would permit nothing. */
const NO_POLICIES: PolicyEngine = {
  hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  decide: () => Promise.resolve({ kind: "deny", policies: [] }),
};

/** A record names the rules by the configuration's hash; nothing is judged by them here. */
async function recordRules(config: Config): Promise<Rules> {
  return rulesOf({
    guardrails: guardrailsOf(config, []),
    enabled: [],
    resultTokensMax: config.mcp.max_result_tokens,
    cacheTtlMs: 0,
    configHash: await fingerprint(config),
    policy: NO_POLICIES,
  });
}

/**
 * Finds a scan.
 *
 * @param history Where, and whose it has to be.
 * @param id Its id, as a person wrote it.
 * @returns The scan as it is kept.
 * @throws {AppError} `not_found`, in the words of a command.
 */
export async function findScan(
  { store, tenant }: TenantHistory,
  id: string,
): Promise<StoredScan> {
  const scan = await store.getScan(id).catch((thrown) => {
    if (thrown instanceof AppError && thrown.code === "not_found") return null;
    throw thrown;
  });
  if (scan?.tenant === tenant) return scan;
  throw new AppError(
    "not_found",
    `Cannot find the scan ${
      shown(id)
    }: none of that id is kept; deno task history list names those that are`,
  );
}

/**
 * Reads a scan with what it found, and without what its tool printed.
 *
 * @param history Where, and whose it has to be.
 * @param id Its id.
 * @returns The scan.
 * @throws {AppError} `not_found`.
 */
export async function readScan(
  history: TenantHistory,
  id: string,
): Promise<Scan> {
  const stored = await findScan(history, id);
  const { summary: _summary, ...fields } = headOfStored(stored);
  const report = await history.store.getReport(id);
  return { ...fields, report, raw: null };
}
