/**
 * Composes the engine: configuration, isolates, breakers, permits, scans, metrics and health, wired
 * to one another here and nowhere else. Every command that scans or plans starts one of these.
 *
 * The order matters. The isolates are started and main's right to spawn is given up before anything
 * a client sent is read; what a first answer does not need is loaded later.
 *
 * @module
 */
import type { AuditLog } from "@/audit/audit_log.ts";
import type { Audit, AuditEntry, Who } from "@/audit/entry.ts";
import { fingerprint } from "@/audit/fingerprint.ts";
import { openAudit, type OpenOptions } from "@/audit/open.ts";
import { auditSettings } from "@/audit/settings.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { BREAKER_FILES, BreakerFile } from "@/breaker/breaker_file.ts";
import type { BreakerOptions } from "@/breaker/breaker_options.ts";
import { Breakers } from "@/breaker/breakers.ts";
import { configFileOf, readConfig } from "@/config/boot.ts";
import { readCatalogue } from "@/config/catalogue.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import type { ConfigWatcher } from "@/config/reload.ts";
import type { LoadedConfig } from "@/config/resolve.ts";
import { type Config, KEYS, SANDBOX_TRIAL_VARIABLE } from "@/config/schema.ts";
import type { Call } from "@/dispatch/call.ts";
import { Dispatcher } from "@/dispatch/dispatch.ts";
import type { DispatchEvent } from "@/dispatch/telling.ts";
import type {
  CallAnswer,
  Capabilities,
  Engine,
  Inventory,
  Reading,
} from "@/dispatch/engine.ts";
import { Host } from "@/dispatch/host.ts";
import { type Rules, rulesOf } from "@/dispatch/rules.ts";
import { readCounters } from "@/egress/counters.ts";
import { after } from "@/health/after.ts";
import type { Health } from "@/health/health.ts";
import { healthJson } from "@/health/health_json.ts";
import { type IsolateEvent, Isolates } from "@/isolate/isolates.ts";
import { queryPermission } from "@/isolate/grant.ts";
import { ownGrantRules, refuseTooWide } from "@/isolate/own_grant.ts";
import type { Programs } from "@/isolate/protocol.ts";
import { configureLog, flushLog, log, type LogLevel } from "@/log/log.ts";
import { LoopLag } from "@/metrics/loop_lag.ts";
import { Metrics } from "@/metrics/metrics.ts";
import { Semaphore } from "@/permits/semaphore.ts";
import { Permits, type PermitsOptions } from "@/permits/permits.ts";
import { loadScan } from "@/scans/load.ts";
import type { Scan, ScanFilter, ScanHead } from "@/scans/scan.ts";
import { StoredScans } from "@/scans/stored.ts";
import { type Sandbox, sandboxOf } from "@/spawn/launcher.ts";
import type { Recovered } from "@/store/recover.ts";
import type { Store } from "@/store/store.ts";
import { findPrograms } from "@/spawn/program.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import { SCRIPTS } from "@/tools/nmap/scripts.ts";
import { HistoryKeeper } from "./history_keeper.ts";
import type { World } from "./world.ts";

const main = log("main");
const auditLog = log("audit");
const storeLog = log("store");
const isolateLog = log("isolate");
const dispatchLog = log("dispatch");

/** Options of {@linkcode Runtime.start}. */
export interface RuntimeOptions {
  /** Whether the configuration is watched and health is monitored: a server, not a single scan. */
  readonly server: boolean;
  /**
   * Whether calls go into the audit log. Those of the self-test are nobody's, and only plans.
   *
   * @default {true}
   */
  readonly recorded?: boolean;
}

/** The composed engine. */
export class Runtime implements Engine, AsyncDisposable {
  readonly #world: World;
  readonly #sandbox: Sandbox;
  readonly #audit: AuditLog;
  readonly #isolates: Isolates;
  readonly #host: Host;
  readonly #breakers: Breakers<ToolName>;
  readonly #breakerFile: BreakerFile;
  readonly #permits: Permits<ToolName>;
  readonly #history: HistoryKeeper;
  readonly #scans: StoredScans;
  readonly #metrics = new Metrics({ tools: TOOL_NAMES, wallNow: Date.now });
  readonly #lag = new LoopLag({ now: () => performance.now(), after });
  readonly #dispatcher: Dispatcher;
  #loaded: LoadedConfig;
  #rules: Rules;
  #watcher: ConfigWatcher | null = null;
  #health: Promise<Health> | null = null;

  private constructor(
    world: World,
    loaded: LoadedConfig,
    rules: Rules,
    { programs, sandbox }: Caged,
    audit: AuditLog,
    { server, recorded = true }: RuntimeOptions,
  ) {
    const { config } = loaded;
    this.#world = world;
    this.#sandbox = sandbox;
    this.#audit = audit;
    this.#loaded = loaded;
    this.#rules = rules;
    this.#isolates = Isolates.start({
      programs,
      guardrails: rules.guardrails,
      env: world.env,
      terminal: world.terminal.controlling,
      readable: readable(world, config),
      onEvent: logIsolate,
    });
    this.#host = new Host(this.#isolates);
    this.#breakerFile = breakerFileOf(config);
    this.#breakers = breakersOf(config, this.#breakerFile);
    this.#permits = new Permits(permitOptions(config));
    this.#history = new HistoryKeeper({
      config: () => this.#loaded.config,
      configHash: () => this.#rules.configHash,
      audit,
      onRecovered: server
        ? (recovered, store) => this.#recovered(recovered, store)
        : null,
      onRemoved: (ids) => this.#scans.forget(ids),
      after,
      wallNow: Date.now,
      version: world.version,
      log: storeLog,
    });
    this.#scans = new StoredScans({
      store: () => this.#history.store(),
      memory: scanBounds(config),
      onLost: (scanId) => this.#dispatcher.abandon(scanId),
      onError: (what, scanId, { message, detail }) =>
        storeLog.error(
          "not kept",
          defined({ what, scan_id: scanId, message, detail }),
        ),
      after,
    });
    this.#dispatcher = new Dispatcher({
      rules: () => this.#rules,
      isolates: this.#isolates,
      host: this.#host,
      breakers: this.#breakers,
      permits: this.#permits,
      scans: this.#scans,
      metrics: this.#metrics,
      audit: recorded ? audit : UNRECORDED,
      onEvent: logDispatch,
      wallNow: Date.now,
      random: (bytes) => crypto.getRandomValues(bytes),
    });
    this.#connectMetrics();
  }

  /**
   * Starts the engine.
   *
   * @param world The process.
   * @param options What the command needs.
   * @returns The engine; its isolates are up and main can no longer spawn.
   * @throws {AppError} If the configuration is refused or a right is wider than it should be.
   */
  static async start(world: World, options: RuntimeOptions): Promise<Runtime> {
    const loaded = await readConfig(world.env);
    const { config } = loaded;
    configureLog({ level: options.server ? logLevel(config) : "error" });
    refuseTooWide(ownGrantRules(world.root), queryPermission);
    for (const warning of loaded.warnings) {
      if (options.server) main.warn("configuration", { warning });
      else world.printError(`warning: ${warning}\n`);
    }
    const caged = findCaged(world, config);
    if (options.server) logSandbox(caged.sandbox);
    await makeStateFolder(config.state.folder);
    const [rules, audit] = await Promise.all([
      readRules(config),
      openAudit(config, AUDIT_OPTIONS),
    ]);
    const runtime = new Runtime(world, loaded, rules, caged, audit, options);
    try {
      await Promise.all([
        runtime.#isolates.ready(),
        runtime.#breakers.load(),
      ]);
    } catch (thrown) {
      await runtime[Symbol.asyncDispose]();
      throw thrown;
    }
    if (options.server) {
      await runtime.#recordStart();
      await runtime.#watch();
    }
    return runtime;
  }

  call(call: Call): Promise<CallAnswer> {
    return this.#dispatcher.call(call);
  }

  recordReading(reading: Reading): Promise<void> {
    return this.#dispatcher.recordReading(reading);
  }

  scan(id: string): Promise<Scan> {
    return this.#scans.get(id);
  }

  scans(filter: ScanFilter): Promise<readonly ScanHead[]> {
    return this.#scans.list(filter);
  }

  get inventory(): Inventory {
    return this.#history.inventory;
  }

  cancel(id: string, who: Who): Promise<Scan> {
    return this.#dispatcher.cancel(id, who);
  }

  async capabilities(): Promise<Capabilities> {
    const probes = await this.#host.probeAll();
    const nmap = probes.get("nmap");
    return {
      guardrails: this.#rules.guardrails,
      sandbox: this.#sandbox,
      rawSockets: nmap?.kind === "present" ? nmap.rawSockets : null,
      tools: TOOL_NAMES.map((name) => {
        const probe = probes.get(name);
        return {
          name,
          enabled: this.#rules.enabled.has(name),
          version: probe?.kind === "present" ? probe.version : null,
          absence: probe?.kind === "absent" ? probe.reason : null,
          breaker: this.#breakers.get(name).state,
        };
      }),
    };
  }

  async health(): Promise<Readonly<Record<string, unknown>>> {
    const report = await (await this.#healthWatch()).look();
    return healthJson(report, this.#metrics.statistics());
  }

  metrics(): Promise<string> {
    return this.#metrics.render("prometheus");
  }

  get vocabulary(): Engine["vocabulary"] {
    const { wordlists } = this.#rules.guardrails.gobuster;
    return {
      scripts: [...SCRIPTS.keys()],
      wordlists: wordlists.map(({ name }) => name),
    };
  }

  get resultTokensMax(): number {
    return this.#rules.resultTokensMax;
  }

  /**
   * Opens the store of scans, which the start does not wait for: a client may list the tools meanwhile,
   * and its scans wait.
   *
   * @throws {AppError} With the way out: a server without its store must not serve.
   */
  async openHistory(): Promise<void> {
    await this.#history.store();
    this.#history.keepInOrder();
  }

  /** The configuration in force and where its values came from. */
  get loaded(): LoadedConfig {
    return this.#loaded;
  }

  /**
   * Takes no more calls and gives the scans under way `server.shutdown_grace_seconds` to end by
   * themselves.
   */
  drained(): Promise<void> {
    return this.#dispatcher.drain(
      this.#loaded.config.server.shutdown_grace_seconds * 1000,
    );
  }

  /** Ends every scan, waits until all children are gone, and stops the isolates. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watcher?.[Symbol.asyncDispose]();
    await this.#dispatcher.cancelAll();
    await this.#scans[Symbol.asyncDispose]();
    await this.#history[Symbol.asyncDispose]();
    if (this.#watcher !== null) {
      await this.#record({ kind: "server_stopped", reason: "told to stop" });
    }
    await this.#audit[Symbol.asyncDispose]();
    await (await this.#health)?.[Symbol.asyncDispose]();
    this.#lag[Symbol.dispose]();
    await this.#isolates[Symbol.asyncDispose]();
    await this.#breakerFile[Symbol.asyncDispose]();
    await flushLog();
  }

  #recordStart(): Promise<void> {
    return this.#record({
      kind: "server_started",
      version: this.#world.version,
      transport: "stdio",
      sandbox: this.#sandbox.mode,
      configHash: this.#rules.configHash,
      policyHash: null,
    });
  }

  /** What a dead server left behind: ended, or run now. */
  async #recovered(
    { interrupted, requeued, queued }: Recovered,
    store: Store,
  ): Promise<void> {
    for (const id of interrupted) {
      const { tool, traceId } = await store.getScan(id);
      await this.#record({
        kind: "scan_ended",
        scanId: id,
        traceId,
        tool,
        status: "interrupted",
        code: "interrupted",
      });
    }
    if (interrupted.length + queued.length > 0) {
      storeLog.warn("scans of a server that died", {
        interrupted: interrupted.length,
        requeued: requeued.length,
        queued: queued.length,
      });
    }
    const { max_concurrent_scans } = this.#loaded.config.security;
    // No more at once than there are places, so that none finds the queue full.
    const places = new Semaphore({
      permits: max_concurrent_scans,
      queueMax: queued.length,
    });
    for (const { id } of queued) {
      try {
        this.#resume(await loadScan(store, id), places);
      } catch (thrown) {
        const { message } = toAppError(thrown);
        storeLog.error("not resumed", { scan_id: id, message });
      }
    }
  }

  /** Lets a scan go on as soon as it has a place. Until then it is known, and can be cancelled. */
  #resume(scan: Scan, places: Semaphore): void {
    let place: Disposable | null = null;
    void this.#dispatcher.resume(scan, async (signal) => {
      place = await places.acquire(signal);
    }).finally(() => place?.[Symbol.dispose]());
  }

  /** What happens to the server itself happens, recorded or not; a scan would not. */
  async #record(entry: AuditEntry): Promise<void> {
    try {
      await this.#audit.append(entry);
    } catch (thrown) {
      const { message } = toAppError(thrown);
      auditLog.error("not recorded", { kind: entry.kind, message });
    }
  }

  async #watch(): Promise<void> {
    const [{ ConfigWatcher }, { pollFile }] = await Promise.all([
      import("@/config/reload.ts"),
      import("@/config/changes.ts"),
    ]);
    const file = configFileOf(this.#world.env);
    this.#watcher = new ConfigWatcher({
      initial: this.#loaded,
      load: () => readConfig(this.#world.env),
      onLoaded: (loaded) => this.#apply(loaded),
      onWarning: (message, detail) =>
        main.warn("configuration", { message, detail }),
      watch: file === null ? null : () => pollFile(file),
    });
    const watcher = this.#watcher;
    this.#world.onReload(() => void watcher.reload("SIGHUP"));
    after(
      HEALTH_START_MS,
      () => void this.#monitor(),
    );
  }

  /** Takes a new configuration as a whole: what cannot be applied leaves everything as it was. */
  async #apply(loaded: LoadedConfig): Promise<void> {
    const { config } = loaded;
    const rules = await readRules(config);
    await this.#isolates.renew();
    this.#permits.resize(permitOptions(config));
    this.#breakers.reconfigure(breakerOptions(config));
    this.#scans.reconfigure(scanBounds(config));
    configureLog({ level: logLevel(config) });
    const before = this.#loaded.config;
    this.#rules = rules;
    this.#loaded = loaded;
    this.#audit.reconfigure(auditSettings(config).limits);
    await this.#record({
      kind: "config_changed",
      source: "reload",
      outcome: "applied",
      keys: changedKeys(before, config),
      configHash: rules.configHash,
      policyHash: null,
    });
    await this.#renewHealth();
    main.info("configuration reloaded", { warnings: loaded.warnings });
  }

  /** The checks carry limits of the configuration, so they are made anew with it. */
  async #renewHealth(): Promise<void> {
    const old = await this.#health;
    const wasMonitoring = old?.monitoring ?? false;
    this.#health = null;
    await old?.[Symbol.asyncDispose]();
    if (wasMonitoring) await this.#monitor();
  }

  async #monitor(): Promise<void> {
    (await this.#healthWatch()).start();
  }

  #healthWatch(): Promise<Health> {
    this.#health ??= import("./health_watch.ts").then(({ healthWatch }) =>
      healthWatch({
        config: this.#loaded.config,
        isolates: this.#isolates,
        host: this.#host,
        breakers: this.#breakers,
        sandbox: this.#sandbox,
        audit: this.#audit,
        store: () => this.#history.store(),
        untaken: () => this.#scans.untaken,
        loopLagMs: () => this.#lag.worstMs,
        log: log("health"),
      })
    );
    return this.#health;
  }

  #connectMetrics(): void {
    this.#metrics.connect({
      breakers: () => this.#breakers.statistics(),
      permits: () => this.#permits.byTool(),
      isolates: () => this.#isolates.states(),
      memory: () => Deno.memoryUsage(),
      loopLagMs: () => this.#lag.worstMs,
      egress: () => readCounters(this.#loaded.config.state.folder, Date.now()),
    });
  }
}

/** Health monitoring begins after the start, which it must not slow down. */
const HEALTH_START_MS = 2_000;

/** The permitted programs, and the sandbox that they are launchers of. */
interface Caged {
  readonly programs: Programs;
  readonly sandbox: Sandbox;
}

function findCaged(world: World, config: Config): Caged {
  const query = (command: string) => queryPermission({ name: "run", command });
  const programs: Partial<Record<ToolName, string>> = {};
  for (const name of TOOL_NAMES) {
    const [program, ...others] = findPrograms(name, world.path, query);
    if (others.length > 0) {
      throw new AppError(
        "internal",
        `Cannot start: the process may run ${name} from more than one place; ` +
          "start it with the flags of its task in deno.json",
      );
    }
    if (program !== undefined) programs[name] = program;
  }
  const { mode, required } = config.sandbox;
  const trial = world.env[SANDBOX_TRIAL_VARIABLE] ?? "";
  const sandbox = sandboxOf(
    Object.values(programs),
    { mode, required },
    trial.replace(/[^\x20-\x7e]/g, "").slice(0, 500),
  );
  return { programs, sandbox };
}

function breakerFileOf({ state }: Config): BreakerFile {
  return new BreakerFile({
    path: `${state.folder}/breakers.json`,
    files: BREAKER_FILES,
    after,
    onError: (error) =>
      main.warn("breaker state cannot be kept", { error: String(error) }),
  });
}

function breakersOf(config: Config, store: BreakerFile): Breakers<ToolName> {
  return new Breakers<ToolName>({
    tools: breakerOptions(config),
    now: () => performance.now(),
    wallNow: Date.now,
    random: Math.random,
    store,
    onError: (error) =>
      main.warn("breaker state is unsound", { error: String(error) }),
  });
}

/** For calls that are nobody's. */
const UNRECORDED: Audit = { append: () => Promise.resolve() };

const AUDIT_OPTIONS: OpenOptions = {
  wallNow: Date.now,
  now: () => performance.now(),
  onCheckpoint: (anchor) => auditLog.info("checkpoint", { ...anchor }),
  onWarning: (message, detail) =>
    auditLog.warn("audit log", defined({ message, detail })),
};

/** The names of the keys that differ; never their values. */
function changedKeys(before: Config, after: Config): string[] {
  return KEYS.filter(({ section, key }) =>
    valueOf(before, section, key) !== valueOf(after, section, key)
  ).map(({ name }) => name);
}

function valueOf(config: Config, section: string, key: string): string {
  const sections = config as unknown as Record<string, Record<string, unknown>>;
  return JSON.stringify(sections[section]?.[key]);
}

function logSandbox({ mode, reason }: Sandbox): void {
  const level = mode === "none" || mode === "bare" ? "warn" : "info";
  main[level]("sandbox", { mode, reason });
}

/** A host that forbids it loses what outlives the process and nothing else. */
async function makeStateFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    main.warn("the state folder cannot be made", { error: String(error) });
  }
}

async function readRules(config: Config): Promise<Rules> {
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
  });
}

/** What the warden may read: the code, and where the configuration and the wordlists lie. */
function readable(world: World, config: Config): readonly string[] {
  const file = configFileOf(world.env);
  const folders = [
    `${world.root}/src`,
    `${world.root}/config`,
    ...config.gobuster.wordlist_folders,
  ];
  if (file !== null) folders.push(file);
  return folders.filter((path) =>
    queryPermission({ name: "read", path }) === "granted"
  );
}

function breakerOptions(
  config: Config,
): Readonly<Record<ToolName, BreakerOptions>> {
  const { breaker } = config;
  const options: BreakerOptions = {
    failureThreshold: breaker.failure_threshold,
    successThreshold: breaker.success_threshold,
    recoveryTimeoutMs: breaker.recovery_timeout_seconds * 1000,
    backoffMultiplier: breaker.backoff_multiplier,
    recoveryTimeoutMsMax: breaker.max_recovery_timeout_seconds * 1000,
    jitter: breaker.jitter,
  };
  return { nmap: options, masscan: options, gobuster: options };
}

function permitOptions(config: Config): PermitsOptions<ToolName> {
  const { max_concurrent_scans, max_queued_scans } = config.security;
  const queueMax = max_queued_scans;
  return {
    permits: max_concurrent_scans,
    queueMax,
    tools: {
      nmap: { permits: config.nmap.concurrency, queueMax },
      masscan: { permits: config.masscan.concurrency, queueMax },
      gobuster: { permits: config.gobuster.concurrency, queueMax },
    },
  };
}

function scanBounds(config: Config): { keep: number; keepBytes: number } {
  return { keep: config.scans.keep, keepBytes: config.scans.keep_bytes };
}

function logLevel(config: Config): LogLevel {
  return config.log.level === "warning" ? "warn" : config.log.level;
}

function logIsolate(event: IsolateEvent): void {
  const { kind, tool, detail } = event;
  if (kind === "up") isolateLog.info("isolate replaced", { tool });
  else {isolateLog.error(kind === "died" ? "isolate died" : "warden died", {
      tool,
      detail,
    });}
}

function logDispatch(event: DispatchEvent): void {
  const { kind, tool, traceId, scan, error, detail } = event;
  const properties = defined({
    tool,
    trace_id: traceId,
    scan_id: scan?.id,
    status: scan?.status,
    code: error?.code ?? scan?.error?.code,
    detail: error?.detail ?? detail,
    why: kind === "refused" ? error?.message : undefined,
  });
  if (kind === "unrecorded") {
    dispatchLog.error("not recorded", { ...properties, why: error?.message });
  } else if (kind === "refused") {
    dispatchLog.info("call refused", properties);
  } else if (kind === "started") dispatchLog.debug("scan started", properties);
  else if (scan?.error) dispatchLog.warn("scan ended", properties);
  else dispatchLog.info("scan ended", properties);
}

function defined(
  properties: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(properties).filter(([, value]) =>
      value !== undefined && value !== ""
    ),
  );
}
