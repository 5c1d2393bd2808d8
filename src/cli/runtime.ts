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
import { openAudit, type OpenOptions } from "@/audit/open.ts";
import { auditSettings } from "@/audit/settings.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { BREAKER_FILES, BreakerFile } from "@/breaker/breaker_file.ts";
import { Breakers } from "@/breaker/breakers.ts";
import { readConfig } from "@/config/boot.ts";
import type { LoadedConfig } from "@/config/resolve.ts";
import { type Config } from "@/config/schema.ts";
import { Approvals } from "@/approvals/approvals.ts";
import type { ProvedCall } from "@/dispatch/call.ts";
import type { ReloadAnswer } from "@/dispatch/administration.ts";
import { Dispatcher } from "@/dispatch/dispatch.ts";
import type {
  CallAnswer,
  Capabilities,
  Engine,
  Inventory,
  ProvedReading,
} from "@/dispatch/engine.ts";
import { type Core, Session } from "@/dispatch/session.ts";
import { Records } from "@/administration/records.ts";
import { switchFile, ToolSwitch } from "@/administration/tool_switch.ts";
import { EventLog } from "@/events/event_log.ts";
import { keyIdOf, LOCAL, type Principal } from "@/identity/principal.ts";
import { Quotas } from "@/identity/quotas.ts";
import { tenantsOf } from "@/identity/tenants.ts";
import { Policies } from "@/policy/policies.ts";
import { Host } from "@/dispatch/host.ts";
import { type Rules } from "@/dispatch/rules.ts";
import { newTraceId } from "@/dispatch/trace_id.ts";
import { readCounters } from "@/egress/counters.ts";
import { after } from "@/health/after.ts";
import { type HealthJson, healthJson } from "@/health/health_json.ts";
import { Isolates } from "@/isolate/isolates.ts";
import { queryPermission } from "@/isolate/grant.ts";
import { ownGrantRules, refuseTooWide } from "@/isolate/own_grant.ts";
import { configureLog, flushLog, log } from "@/log/log.ts";
import { LoopLag } from "@/metrics/loop_lag.ts";
import { Metrics } from "@/metrics/metrics.ts";
import { Permits } from "@/permits/permits.ts";
import type { Scan, ScanFilter, ScanHead } from "@/scans/scan.ts";
import { StoredScans } from "@/scans/stored.ts";
import { type Sandbox } from "@/spawn/launcher.ts";
import type { Store } from "@/store/store.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import { SCRIPTS } from "@/tools/nmap/scripts.ts";
import {
  breakerOptions,
  logLevel,
  permitOptions,
  readable,
  scanBounds,
} from "./runtime_settings.ts";
import { defined, logDispatch, logIsolate, logSandbox } from "./runtime_log.ts";
import type { Dependency } from "./health_watch.ts";
import { type Caged, findCaged } from "./caged.ts";
import { HealthKeeper } from "./health_keeper.ts";
import { HistoryKeeper } from "./history_keeper.ts";
import { InForce, readRules } from "./in_force.ts";
import { recover } from "./recovery.ts";
import { fillRandom, type World } from "./world.ts";

const main = log("main");
const auditLog = log("audit");
const storeLog = log("store");

/** Options of {@linkcode Runtime.start}. */
export interface RuntimeOptions {
  /** Whether the configuration is watched and health is monitored: a server, not a single scan. */
  readonly server: boolean;
  /**
   * How a server is reached, for the audit log.
   *
   * @default {"stdio"}
   */
  readonly transport?: "stdio" | "http";
  /**
   * Whether calls go into the audit log. Those of the self-test are nobody's, and only plans.
   *
   * @default {true}
   */
  readonly recorded?: boolean;
}

/** What a {@linkcode Runtime} is made of, as far as a server around it needs it. */
export interface RuntimeParts {
  readonly events: EventLog;
  readonly approvals: Approvals;
  readonly policies: Policies;
  readonly switches: ToolSwitch;
  readonly breakers: Breakers<ToolName>;
  readonly permits: Permits<ToolName>;
  readonly quotas: Quotas;
  readonly metrics: Metrics;
  readonly records: Records;
  readonly store: () => Promise<Store>;
}

/** The composed engine. */
export class Runtime implements Core, AsyncDisposable {
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
  readonly #events: EventLog;
  readonly #approvals: Approvals;
  readonly #quotas: Quotas;
  readonly #switches: ToolSwitch;
  readonly #records: Records;
  readonly #policies: Policies;
  readonly #transport: "stdio" | "http";
  /** Whether the audit log says that a server began. */
  #beginRecorded = false;
  readonly #force: InForce;
  readonly #health: HealthKeeper;
  #monitoring: (() => void) | null = null;
  #expiring: (() => void) | null = null;
  #dependencies: (config: Config) => Readonly<Record<string, Dependency>> =
    () => ({});

  private constructor(
    world: World,
    loaded: LoadedConfig,
    rules: Rules,
    { programs, sandbox }: Caged,
    { audit, policies }: {
      readonly audit: AuditLog;
      readonly policies: Policies;
    },
    { server, recorded = true, transport = "stdio" }: RuntimeOptions,
  ) {
    const { config } = loaded;
    this.#world = world;
    this.#sandbox = sandbox;
    this.#audit = audit;
    this.#policies = policies;
    this.#transport = transport;
    this.#force = new InForce(loaded, rules, {
      world,
      policies,
      transport,
      take: (config) => this.#take(config),
      record: (entry) => this.#record(entry),
      tell: (data) => this.#tell("config.changed", data),
    });
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
    this.#breakers = breakersOf(
      config,
      this.#breakerFile,
      (tool, state) => this.#tell("breaker.changed", { tool, state }),
    );
    this.#permits = new Permits(permitOptions(config));
    this.#events = new EventLog({
      keep: config.events.keep,
      wallNow: Date.now,
      random: fillRandom,
    });
    this.#quotas = new Quotas({
      limits: config.limits,
      tenants: [...tenantsOf(config.identity)],
      running: (tenant) => this.#permits.statsBy(tenant).held,
      now: () => performance.now(),
    });
    this.#switches = new ToolSwitch(
      switchFile(`${config.state.folder}/tools.json`),
    );
    this.#records = new Records({ audit, rules: () => this.#force.rules });
    this.#history = this.#historyOf(server);
    this.#scans = this.#scansOf(config);
    this.#approvals = this.#approvalsOf();
    this.#dispatcher = this.#dispatcherOf(recorded ? audit : UNRECORDED);
    this.#health = this.#healthKeeper();
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
    const [policies, audit] = await Promise.all([
      Policies.open(config.policy.folder),
      openAudit(config, AUDIT_OPTIONS),
    ]);
    const rules = await readRules(config, policies);
    const runtime = new Runtime(
      world,
      loaded,
      rules,
      caged,
      { audit, policies },
      options,
    );
    try {
      await Promise.all([
        runtime.#isolates.ready(),
        runtime.#breakers.load(),
        runtime.#switches.load(),
      ]);
    } catch (thrown) {
      await runtime[Symbol.asyncDispose]();
      throw thrown;
    }
    if (options.server) {
      await runtime.#recordStart();
      runtime.#beginRecorded = true;
      await runtime.#watch();
    }
    return runtime;
  }

  /**
   * Binds the engine to a caller.
   *
   * @param principal A caller whose credentials were proved; whoever started the process has none to
   * prove.
   * @returns The engine as that caller sees it.
   */
  as(principal: Principal = LOCAL): Session {
    return new Session(this, principal);
  }

  call(call: ProvedCall): Promise<CallAnswer> {
    return this.#dispatcher.call(call);
  }

  recordReading(reading: ProvedReading): Promise<void> {
    return this.#dispatcher.recordReading(reading);
  }

  scan(id: string): Promise<Scan> {
    return this.#scans.get(id);
  }

  scans(
    filter: ScanFilter,
  ): Promise<readonly ScanHead[]> {
    return this.#scans.list(filter);
  }

  inventoryOf(tenant: string): Inventory {
    return this.#history.inventoryOf(tenant);
  }

  cancel(id: string, who: Who, principal: Principal): Promise<Scan> {
    return this.#dispatcher.cancel(id, who, principal);
  }

  approveByUser(id: string, who: Who, principal: Principal): Promise<void> {
    return this.#records.run(
      {
        who,
        operation: "approve",
        what: "approvals/by_client_user",
        arguments: { id },
        traceId: newTraceId(fillRandom),
      },
      () => {},
      async () => {
        await this.#approvals.decideByClientUser(id, principal);
      },
    );
  }

  /**
   * Refuses what is asked for in the name of a key that was revoked since, or is over.
   *
   * @param subject Whose name it is.
   * @throws {AppError} `unauthenticated`.
   */
  async refuseRevoked(subject: string): Promise<void> {
    if (keyIdOf(subject) === null) return;
    const row = await this.#keyOf(subject);
    const holds = row !== null && row.revokedAt === null &&
      (row.expiresAt ?? Infinity) > Date.now();
    if (holds) return;
    throw new AppError(
      "unauthenticated",
      "Cannot scan in the requester's name: their API key is revoked or expired",
    );
  }

  /** Who made the key that a subject is, as a subject. */
  async #makerOf(subject: string): Promise<string | null> {
    return (await this.#keyOf(subject))?.createdBy ?? null;
  }

  async #keyOf(subject: string): ReturnType<Store["findKey"]> {
    const id = keyIdOf(subject);
    return id === null ? null : await (await this.#history.store()).findKey(id);
  }

  async capabilities(): Promise<Capabilities> {
    const probes = await this.#host.probeAll();
    const nmap = probes.get("nmap");
    return {
      guardrails: this.#force.rules.guardrails,
      sandbox: this.#sandbox,
      rawSockets: nmap?.kind === "present" ? nmap.rawSockets : null,
      tools: TOOL_NAMES.map((name) => {
        const probe = probes.get(name);
        return {
          name,
          enabled: this.#force.rules.enabled.has(name) &&
            !this.#switches.isOff(name),
          version: probe?.kind === "present" ? probe.version : null,
          absence: probe?.kind === "absent" ? probe.reason : null,
          breaker: this.#breakers.get(name).state,
        };
      }),
    };
  }

  async health(): Promise<HealthJson> {
    const report = await this.#health.look();
    return healthJson(report, this.#metrics.statistics());
  }

  metrics(form: "prometheus" | "openmetrics" = "prometheus"): Promise<string> {
    return this.#metrics.render(form);
  }

  get vocabulary(): Engine["vocabulary"] {
    const { wordlists } = this.#force.rules.guardrails.gobuster;
    return {
      scripts: [...SCRIPTS.keys()],
      wordlists: wordlists.map(({ name }) => name),
    };
  }

  get resultTokensMax(): number {
    return this.#force.rules.resultTokensMax;
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

  /** The rules of the moment. */
  get rules(): Rules {
    return this.#force.rules;
  }

  /** What else runs in it, for whoever composes a server around it. */
  get parts(): RuntimeParts {
    return {
      events: this.#events,
      approvals: this.#approvals,
      policies: this.#policies,
      switches: this.#switches,
      breakers: this.#breakers,
      permits: this.#permits,
      quotas: this.#quotas,
      metrics: this.#metrics,
      records: this.#records,
      store: () => this.#history.store(),
    };
  }

  /**
   * Has health watch what a server around it asks.
   *
   * @param dependencies Gives them by name, for a configuration.
   */
  watch(
    dependencies: (config: Config) => Readonly<Record<string, Dependency>>,
  ): void {
    this.#dependencies = dependencies;
  }

  /**
   * Reads the configuration and the policies again, because somebody asked.
   *
   * @param reason Who, for the log.
   * @returns Whether both can be used, what is wrong with what is not, and what waits for a start.
   */
  reload(reason: string): Promise<ReloadAnswer> {
    return this.#force.reload(reason);
  }

  /** Calls with every configuration that comes into force. */
  onReconfigured(listener: (config: Config) => void | Promise<void>): void {
    this.#force.onReconfigured(listener);
  }

  /** The configuration in force and where its values came from. */
  get loaded(): LoadedConfig {
    return this.#force.loaded;
  }

  /**
   * Takes no more calls and gives the scans under way `server.shutdown_grace_seconds` to end by
   * themselves.
   */
  drained(): Promise<void> {
    return this.#dispatcher.drain(
      this.#force.config.server.shutdown_grace_seconds * 1000,
    );
  }

  /** Ends every scan, waits until all children are gone, and stops the isolates. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#force[Symbol.asyncDispose]();
    this.#monitoring?.();
    this.#expiring?.();
    this.#expiring = null;
    this.#events.close();
    await this.#dispatcher.cancelAll();
    await this.#scans[Symbol.asyncDispose]();
    await this.#history[Symbol.asyncDispose]();
    if (this.#beginRecorded) {
      await this.#record({ kind: "server_stopped", reason: "told to stop" });
    }
    await this.#audit[Symbol.asyncDispose]();
    await this.#health[Symbol.asyncDispose]();
    this.#lag[Symbol.dispose]();
    await this.#isolates[Symbol.asyncDispose]();
    await this.#breakerFile[Symbol.asyncDispose]();
    await flushLog();
  }

  #historyOf(server: boolean): HistoryKeeper {
    return new HistoryKeeper({
      config: () => this.#force.config,
      configHash: () => this.#force.rules.configHash,
      audit: this.#audit,
      onRecovered: server
        ? (recovered, store) =>
          recover(recovered, {
            store,
            dispatcher: this.#dispatcher,
            places: this.#force.config.security.max_concurrent_scans,
            record: (entry) => this.#record(entry),
            log: storeLog,
          })
        : null,
      onRemoved: (ids) => this.#scans.forget(ids),
      after,
      wallNow: Date.now,
      version: this.#world.version,
      log: storeLog,
    });
  }

  #scansOf(config: Config): StoredScans {
    return new StoredScans({
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
  }

  #approvalsOf(): Approvals {
    return new Approvals({
      rows: () => this.#history.store(),
      live: this.#events,
      record: (entry) => this.#record(entry),
      expiresSeconds: () => this.#force.config.policy.approval_expires_seconds,
      makerOf: (subject) => this.#makerOf(subject),
      wallNow: Date.now,
      random: fillRandom,
    });
  }

  #dispatcherOf(audit: Audit): Dispatcher {
    return new Dispatcher({
      rules: () => this.#force.rules,
      isolates: this.#isolates,
      host: this.#host,
      breakers: this.#breakers,
      permits: this.#permits,
      scans: this.#scans,
      metrics: this.#metrics,
      audit,
      live: this.#events,
      quotas: this.#quotas,
      approvals: this.#approvals,
      refuseRevoked: (subject) => this.refuseRevoked(subject),
      switchedOff: (tool) => this.#switches.isOff(tool),
      onEvent: logDispatch,
      wallNow: Date.now,
      random: fillRandom,
    });
  }

  #recordStart(): Promise<void> {
    return this.#record({
      kind: "server_started",
      version: this.#world.version,
      transport: this.#transport,
      sandbox: this.#sandbox.mode,
      configHash: this.#force.rules.configHash,
      policyHash: this.#force.rules.policy.hash,
    });
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

  /** Watches over what may change, and what goes on by itself: for a server. */
  async #watch(): Promise<void> {
    await this.#force.watch();
    this.#force.onReconfigured(() => this.#renewHealth());
    this.#monitoring = after(
      HEALTH_START_MS,
      () => void this.#health.start(),
    );
    this.#expireApprovals();
  }

  /** Nobody waits for it: a look that is under way takes its time. */
  #renewHealth(): void {
    this.#health.renew().catch((thrown) => {
      const { message } = toAppError(thrown);
      main.error("health is not watched any more", { message });
    });
  }

  /** Has the parts take a new configuration. What can fail comes first. */
  async #take(config: Config): Promise<void> {
    await this.#isolates.renew();
    this.#permits.resize(permitOptions(config));
    this.#breakers.reconfigure(breakerOptions(config));
    this.#scans.reconfigure(scanBounds(config));
    this.#audit.reconfigure(auditSettings(config).limits);
    this.#quotas.reconfigure(config.limits, [...tenantsOf(config.identity)]);
    configureLog({ level: logLevel(config) });
  }

  /** What nobody decided in time is told so when it happens, and not when somebody looks. */
  #expireApprovals(): void {
    this.#expiring = after(APPROVALS_LOOK_MS, () => {
      void this.#approvals.expire().catch((thrown) => {
        const { message } = toAppError(thrown);
        main.warn("approvals were not looked at", { message });
      }).finally(() => {
        if (this.#expiring !== null) this.#expireApprovals();
      });
    });
  }

  /** Tells everybody of what the server itself does. */
  #tell(
    kind: "config.changed" | "health.changed" | "breaker.changed",
    data: Readonly<Record<string, unknown>>,
  ): void {
    this.#events.tell({ kind, tenant: null, scanId: null, data });
  }

  #healthKeeper(): HealthKeeper {
    return new HealthKeeper(() => ({
      config: this.#force.config,
      isolates: this.#isolates,
      host: this.#host,
      breakers: this.#breakers,
      sandbox: this.#sandbox,
      audit: this.#audit,
      store: () => this.#history.store(),
      untaken: () => this.#scans.untaken,
      loopLagMs: () => this.#lag.worstMs,
      log: log("health"),
      dependencies: () => this.#dependencies(this.#force.config),
      onStatus: (status) => this.#tell("health.changed", { status }),
    }));
  }

  #connectMetrics(): void {
    this.#metrics.connect({
      breakers: () => this.#breakers.statistics(),
      permits: () => this.#permits.byTool(),
      isolates: () => this.#isolates.states(),
      memory: () => Deno.memoryUsage(),
      loopLagMs: () => this.#lag.worstMs,
      tenants: () =>
        Object.fromEntries(this.#quotas.tenants.map((tenant) => [tenant, {
          ...this.#permits.statsBy(tenant),
          quotas: this.#quotas.use(tenant),
        }])),
      evictions: () => this.#permits.evictions,
      egress: () => readCounters(this.#force.config.state.folder, Date.now()),
    });
  }
}

/** Milliseconds between two looks at what waits for approval. */
const APPROVALS_LOOK_MS = 30_000;

/** Health monitoring begins after the start, which it must not slow down. */
const HEALTH_START_MS = 2_000;

function breakerFileOf({ state }: Config): BreakerFile {
  return new BreakerFile({
    path: `${state.folder}/breakers.json`,
    files: BREAKER_FILES,
    after,
    onError: (error) =>
      main.warn("breaker state cannot be kept", { error: String(error) }),
  });
}

function breakersOf(
  config: Config,
  store: BreakerFile,
  onState: (tool: ToolName, state: string) => void,
): Breakers<ToolName> {
  return new Breakers<ToolName>({
    tools: breakerOptions(config),
    now: () => performance.now(),
    wallNow: Date.now,
    random: Math.random,
    store,
    onState,
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

/** A host that forbids it loses what outlives the process and nothing else. */
async function makeStateFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    main.warn("the state folder cannot be made", { error: String(error) });
  }
}
