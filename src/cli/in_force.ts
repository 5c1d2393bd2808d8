/**
 * The configuration and the policies in force: read at the start, watched from then on, taken as a whole
 * or not at all, and every change recorded.
 *
 * @module
 */
import type { AuditEntry } from "@/audit/entry.ts";
import { fingerprint } from "@/audit/fingerprint.ts";
import { configFileOf, readConfig } from "@/config/boot.ts";
import { readCatalogue } from "@/config/catalogue.ts";
import type { Changes } from "@/config/changes.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import { hostsOf } from "@/config/hosts.ts";
import type { ConfigWatcher } from "@/config/reload.ts";
import type { LoadedConfig } from "@/config/resolve.ts";
import type { Config } from "@/config/schema.ts";
import type { ReloadAnswer } from "@/dispatch/administration.ts";
import { type Rules, rulesOf } from "@/dispatch/rules.ts";
import { type AppError, toAppError } from "@/error/app_error.ts";
import { after } from "@/health/after.ts";
import { queryPermission } from "@/isolate/grant.ts";
import { log } from "@/log/log.ts";
import type { Policies } from "@/policy/policies.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import { defined } from "./runtime_log.ts";
import { changedKeys } from "./runtime_settings.ts";
import type { World } from "./world.ts";

const main = log("main");

/** Policies are compiled after the start, which that must not slow down. */
const WARM_MS = 2_000;

/** What {@linkcode InForce} works with. */
export interface InForceOptions {
  readonly world: World;
  readonly policies: Policies;
  readonly transport: "stdio" | "http";
  /** Has the parts take a configuration. If it rejects, the old one stays in force. */
  readonly take: (config: Config) => Promise<void>;
  /** Writes into the audit log. Must not reject. */
  readonly record: (entry: AuditEntry) => Promise<void>;
  /** Tells those who watch live. */
  readonly tell: (data: Readonly<Record<string, unknown>>) => void;
}

/** The configuration and the policies in force. */
export class InForce implements AsyncDisposable {
  readonly #options: InForceOptions;
  readonly #listeners = new Set<(config: Config) => void | Promise<void>>();
  #loaded: LoadedConfig;
  #rules: Rules;
  #watcher: ConfigWatcher | null = null;
  #policyChanges: Changes | null = null;
  #warming: (() => void) | null = null;

  /**
   * Nothing is watched yet.
   *
   * @param loaded The configuration of the start.
   * @param rules What follows from it and from the policies.
   * @param options What it works with.
   */
  constructor(loaded: LoadedConfig, rules: Rules, options: InForceOptions) {
    this.#loaded = loaded;
    this.#rules = rules;
    this.#options = options;
  }

  /** The configuration and where its values came from. */
  get loaded(): LoadedConfig {
    return this.#loaded;
  }

  /** The configuration. */
  get config(): Config {
    return this.#loaded.config;
  }

  /** What calls are judged by. */
  get rules(): Rules {
    return this.#rules;
  }

  /** Calls with every configuration that comes into force. */
  onReconfigured(listener: (config: Config) => void | Promise<void>): void {
    this.#listeners.add(listener);
  }

  /** Watches the file of the configuration and the folder of the policies, and heeds SIGHUP. */
  async watch(): Promise<void> {
    const { world } = this.#options;
    const [{ ConfigWatcher }, { lookAtFolder, pollFile }] = await Promise.all([
      import("@/config/reload.ts"),
      import("@/config/changes.ts"),
    ]);
    const file = configFileOf(world.env);
    const { folder } = this.config.policy;
    this.#policyChanges = pollFile(folder, { look: lookAtFolder });
    void this.#watchPolicies(this.#policyChanges);
    this.#watcher = new ConfigWatcher({
      initial: this.#loaded,
      load: () => readConfig(world.env),
      onLoaded: (loaded) => this.#apply(loaded),
      onWarning: (message, detail) =>
        main.warn("configuration", defined({ message, detail })),
      watch: file === null ? null : () => pollFile(file),
    });
    world.onReload(() => void this.reload("SIGHUP"));
    this.#warming = after(WARM_MS, () => void this.#warmPolicies());
  }

  /**
   * Reads the configuration and the policies again, because somebody asked.
   *
   * @param reason Who, for the log.
   * @returns Whether both can be used, what is wrong with what is not, and what waits for a start.
   */
  async reload(reason: string): Promise<ReloadAnswer> {
    const problems: string[] = [];
    const policy = await this.#reloadPolicies(reason);
    if (policy !== null) problems.push(policy.message);
    const reload = await this.#watcher?.reload(reason);
    if (reload?.kind === "kept") problems.push(reload.error.message);
    const waiting = reload?.kind === "applied" ? reload.waiting : [];
    return {
      applied: problems.length === 0,
      problems,
      waiting: [...new Set([...waiting, ...this.#unreached()])],
    };
  }

  /** Watches nothing any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#warming?.();
    await this.#watcher?.[Symbol.asyncDispose]();
    this.#policyChanges?.[Symbol.dispose]();
  }

  /** Takes a new configuration as a whole: what cannot be applied leaves everything as it was. */
  async #apply(loaded: LoadedConfig): Promise<void> {
    const { policies, take, record } = this.#options;
    const { config } = loaded;
    const made = await readRules(config, policies);
    await take(config);
    // Other policies may have come into force meanwhile.
    const rules = { ...made, policy: policies.engine };
    const before = this.config;
    this.#rules = rules;
    this.#loaded = loaded;
    await this.#tellListeners(config);
    await record({
      kind: "config_changed",
      source: "reload",
      outcome: "applied",
      keys: changedKeys(before, config),
      configHash: rules.configHash,
      policyHash: rules.policy.hash,
    });
    this.#tellChange();
    for (const key of this.#unreached()) {
      main.warn("the process may not reach what the configuration names", {
        key,
        remedy: "restart the server",
      });
    }
    main.info("configuration reloaded", { warnings: loaded.warnings });
  }

  /** The new configuration is in force: what one listener cannot do keeps nobody else from it. */
  async #tellListeners(config: Config): Promise<void> {
    for (const listener of this.#listeners) {
      try {
        await listener(config);
      } catch (thrown) {
        const { message } = toAppError(thrown);
        main.error("a part did not take the new configuration", { message });
      }
    }
  }

  /**
   * Names what the process may not reach: its right to the network is that of its start, so an issuer
   * that a reload brought waits for the next one.
   */
  #unreached(): readonly string[] {
    if (this.#options.transport !== "http") return [];
    const { issuer, jwks_url } = this.config.identity;
    const closed = hostsOf(this.config).some((host) =>
      queryPermission({ name: "net", host }) !== "granted"
    );
    if (!closed) return [];
    return jwks_url !== null
      ? ["identity.jwks_url"]
      : issuer !== null
      ? ["identity.issuer"]
      : [];
  }

  /** A server whose policies are wrong allows nothing; its log says so before somebody asks. */
  async #warmPolicies(): Promise<void> {
    try {
      await this.#options.policies.ready();
    } catch (thrown) {
      const { message } = toAppError(thrown);
      main.error("nothing can be scanned: the policies are wrong", { message });
    }
  }

  async #watchPolicies(changes: Changes): Promise<void> {
    for await (const _hint of changes.hints()) {
      await this.#reloadPolicies("the policies changed");
    }
  }

  /** Takes other policies as a whole: where one is wrong the old ones stay. */
  async #reloadPolicies(reason: string): Promise<AppError | null> {
    const { policies, record } = this.#options;
    const { configHash } = this.#rules;
    const entry = {
      kind: "config_changed",
      source: reason,
      keys: [],
      configHash,
    } as const;
    try {
      const changed = await policies.reload();
      if (!changed) return null;
      const policy = policies.engine;
      this.#rules = { ...this.#rules, policy };
      const policyHash = policy.hash;
      await record({ ...entry, outcome: "applied", policyHash });
      this.#tellChange();
      main.info("policies reloaded", { policy_hash: policyHash });
      return null;
    } catch (thrown) {
      const error = toAppError(thrown);
      const policyHash = this.#rules.policy.hash;
      await record({ ...entry, outcome: "refused", policyHash });
      const { message, detail } = error;
      main.warn("policies", defined({ message, detail }));
      return error;
    }
  }

  #tellChange(): void {
    const { configHash, policy } = this.#rules;
    this.#options.tell({ config_hash: configHash, policy_hash: policy.hash });
  }
}

/**
 * Makes the rules that follow from a configuration and from policies.
 *
 * @param config The configuration.
 * @param policies The policies.
 * @returns The rules.
 */
export async function readRules(
  config: Config,
  policies: Policies,
): Promise<Rules> {
  const wordlists = await readCatalogue(config.gobuster.wordlist_folders, {
    warn: (warning) => main.warn("wordlist left out", { warning }),
  });
  const enabled = TOOL_NAMES.filter((name) => config[name].enabled);
  return rulesOf({
    guardrails: guardrailsOf(config, wordlists),
    enabled,
    resultTokensMax: config.mcp.max_result_tokens,
    cacheTtlMs: config.cache.ttl_seconds * 1000,
    configHash: await fingerprint(config),
    policy: policies.engine,
  });
}
