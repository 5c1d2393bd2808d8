/**
 * One call, from top to bottom. Every adapter comes through here, so what is written here is what
 * the server does: nothing is checked, counted or recorded anywhere else.
 *
 * @module
 */
import type { Audit, Who } from "@/audit/entry.ts";
import { AppError, parseErrorBody, toAppError } from "@/error/app_error.ts";
import { type Breakers } from "@/breaker/breakers.ts";
import type { Request } from "@/isolate/isolate.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import type { PlanBody } from "@/isolate/protocol.ts";
import type { Metrics } from "@/metrics/metrics.ts";
import type { Permits } from "@/permits/permits.ts";
import { Semaphore } from "@/permits/semaphore.ts";
import { newScanId } from "@/scans/id.ts";
import { isOver, type Scan, type Scans } from "@/scans/scan.ts";
import type { Labels } from "@/scope/rules.ts";
import { type Guardrails, guardrailsUnder } from "@/tools/guardrails.ts";
import { toolNamed } from "@/tools/registry.ts";
import type { Tool, ToolName, Verdict } from "@/tools/tool.ts";
import { type Call, type CallArguments, parseCallArguments } from "./call.ts";
import type { CallAnswer, Reading } from "./engine.ts";
import type { Host } from "./host.ts";
import { CallRecord } from "./record.ts";
import type { Rules } from "./rules.ts";
import type { Run } from "./run.ts";
import { type Admitted, type Beginning, fromError, Runs } from "./runs.ts";
import { type Asked, digestOf, joinKeyOf } from "./same.ts";
import { type DispatchEvent, Telling } from "./telling.ts";

/** What {@linkcode Dispatcher} works with. */
export interface DispatcherOptions {
  /** Gives the rules of the moment. */
  readonly rules: () => Rules;
  readonly isolates: Pick<Isolates, "of">;
  readonly host: Pick<Host, "rawSockets">;
  readonly breakers: Breakers<ToolName>;
  readonly permits: Permits<ToolName>;
  readonly scans: Scans;
  readonly metrics: Metrics;
  readonly audit: Audit;
  /** Hears of what the log should hold; never of untrusted text in a template. */
  readonly onEvent: (event: DispatchEvent) => void;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
}

/**
 * Look-ups of host names at a time, and how many calls may wait for one. Each is a process, and no
 * permit of a scan bounds them: a call has none before its names are known.
 */
const LOOKUPS = { permits: 4, queueMax: 256 };

/** What belongs to a call from its beginning. */
interface Context {
  readonly traceId: string;
  readonly rules: Rules;
  readonly record: CallRecord;
}

/** A request that is read and whose names are looked up. */
interface Ready {
  readonly request: Request;
  /**
   * Judges it.
   *
   * @returns Whether the scan will not be done by its deadline, as planned.
   * @throws {AppError} If a guardrail refuses it.
   */
  readonly judge: () => boolean;
}

/** Runs calls. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #telling: Telling;
  readonly #runs: Runs;
  readonly #lookups = new Semaphore(LOOKUPS);

  /** @param options What it works with. */
  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#telling = new Telling(options);
    this.#runs = new Runs({ ...options, telling: this.#telling });
  }

  /**
   * Runs a call through every check and, if all allow it, through a scan.
   *
   * @param call The call.
   * @returns The scan as it ended, the accepted background scan, or the plan.
   * @throws {AppError} If the call is refused; nothing was spawned for it then.
   */
  async call(call: Call): Promise<CallAnswer> {
    const traceId = call.traceId ?? this.#newTraceId();
    const rules = this.#options.rules();
    const record = await CallRecord.begin(
      this.#options.audit,
      {
        who: call.who,
        operation: asksForPlan(call.arguments) ? "plan" : "scan",
        tool: call.tool,
        traceId,
      },
      call.arguments,
      rules,
    );
    let answer: CallAnswer;
    try {
      const context = { traceId, rules, record };
      answer = await this.#dispatch(call, context);
    } catch (thrown) {
      const error = toAppError(thrown);
      this.#telling.refused(call.tool, traceId, error);
      const refused = record.refused(error);
      await this.#telling.recorded(refused, call.tool, traceId);
      throw error;
    }
    // A scan that never started (no place, the circuit open) is a refusal to whoever waited for it.
    if (answer.kind !== "plan") throwIfNeverStarted(answer.scan);
    return answer;
  }

  /**
   * Runs a scan that was queued when its server died: through every check again, by the rules of
   * today. The record of it says how it ended.
   *
   * @param scan The scan as it is kept.
   * @param turn Resolves when it may go on; rejects if the signal aborts before.
   * @returns It as it ended; as it was if the server stops before its turn.
   */
  resume(
    scan: Scan,
    turn: (signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
  ): Promise<Scan> {
    const { id, tool, traceId, request: given } = scan;
    this.#options.scans.adopt(scan);
    let record: CallRecord | null = null;
    const run = this.#runs.start(id, `resumed ${id}`, {
      record: async (run) => {
        await turn(run.signal);
        if (this.#runs.draining) return { scan, admitted: null };
        const rules = this.#options.rules();
        const who = resumer(scan);
        const called = { who, operation: "scan", tool, traceId } as const;
        const { audit } = this.#options;
        record = await CallRecord.begin(audit, called, given, rules);
        record.under(scan);
        const context = { traceId, rules, record };
        const { signal } = run;
        const prepared = { context, labels: scan, signal };
        const ready = await this.#prepare(tool, given, prepared);
        const { target } = scan;
        const admitted = this.#admit(tool, ready, { ...context, target });
        if (this.#runs.draining) return { scan, admitted: null };
        await record.allowed({ rule: "guardrails", target, scanId: id });
        return { scan, admitted };
      },
      failed: async (error) => {
        if (this.#runs.draining) return scan;
        this.#telling.refused(tool, traceId, error);
        const refused = record?.refused(error, id) ?? Promise.resolve();
        await this.#telling.recorded(refused, tool, traceId);
        return await this.#unstarted(scan, error);
      },
    });
    run.keep();
    return run.done;
  }

  /**
   * Ends a scan and waits until its child is gone.
   *
   * @param id The scan's id.
   * @param who Whose call it is.
   * @returns The scan as it ended.
   * @throws {AppError} `not_found`; `conflict` if another server runs it.
   */
  async cancel(id: string, who: Who): Promise<Scan> {
    const traceId = this.#newTraceId();
    const { audit, rules, scans } = this.#options;
    const call = { who, operation: "cancel", tool: null, traceId } as const;
    // What cannot be recorded does not happen, but for this: it ends what sends packets.
    const begun = CallRecord.begin(audit, call, { id }, rules());
    await this.#telling.recorded(begun, "cancel", traceId);
    const record = await begun.catch(() => null);
    const run = this.#runs.of(id);
    try {
      const scan = await scans.get(id);
      if (run === null && !isOver(scan)) throw runsElsewhere(scan);
    } catch (thrown) {
      const error = toAppError(thrown);
      const refused = record?.refused(error) ?? Promise.resolve();
      await this.#telling.recorded(refused, "cancel", traceId);
      throw error;
    }
    const known = { rule: "scan_known", target: null, scanId: id };
    const allowed = record?.allowed(known) ?? Promise.resolve();
    await this.#telling.recorded(allowed, "cancel", traceId);
    run?.cancel();
    return await run?.done ?? await scans.get(id);
  }

  /**
   * Ends a scan that another server took over: its record is that one's now.
   *
   * @param id The scan's id.
   */
  abandon(id: string): void {
    this.#runs.of(id)?.cancel();
  }

  /**
   * Records that somebody looks at what is kept.
   *
   * @param reading Who, and at what.
   * @returns A promise that never rejects.
   */
  async recordReading(reading: Reading): Promise<void> {
    const { who, tool, traceId = this.#newTraceId() } = reading;
    const { audit, rules } = this.#options;
    const call = { who, operation: "read", tool, traceId } as const;
    const asked = reading.arguments;
    const recorded = CallRecord.allowed(audit, call, asked, rules());
    await this.#telling.recorded(recorded, tool, traceId);
  }

  /**
   * Takes no more calls and waits for the scans under way, but no longer than a given time.
   *
   * @param graceMs Most milliseconds.
   */
  drain(graceMs: number): Promise<void> {
    return this.#runs.drain(graceMs);
  }

  /** Takes no more calls, ends every scan and waits until all children are gone. */
  cancelAll(): Promise<void> {
    return this.#runs.cancelAll();
  }

  async #dispatch(call: Call, context: Context): Promise<CallAnswer> {
    this.#refuseWhileDraining();
    const { record } = context;
    const tool = this.#enabled(call.tool, context.rules);
    const options = parseCallArguments(call.arguments);
    record.under(options);
    const ready = await this.#prepare(tool.name, options.request, {
      context,
      labels: options,
      signal: call.signal,
      plan: options.plan,
    });
    const target = targetText(options.request);
    if (options.plan) {
      await record.allowed({ rule: "plan", target, scanId: null });
      const plan = await this.#plan(tool.name, ready.request, call.signal);
      return { kind: "plan", tool: tool.name, plan };
    }
    const admitted = this.#admit(tool.name, ready, { ...context, target });
    const { maxTokens } = options;
    const earlier = await this.#earlier(admitted, options);
    if (earlier !== null) return { kind: "scan", maxTokens, ...earlier };
    // All that took its time: nobody may want the scan any more.
    this.#refuseWhileDraining();
    if (call.signal.aborted) {
      throw new AppError("cancelled", "The request was cancelled");
    }
    const scan = await this.#take(call, admitted, options);
    return options.background
      ? { kind: "accepted", scan }
      : { kind: "scan", scan, maxTokens, cachedSeconds: null };
  }

  #enabled(name: string, rules: Rules): Tool<unknown> {
    const tool = toolNamed(name);
    if (rules.enabled.has(tool.name)) return tool;
    throw new AppError(
      "tool_disabled",
      `Cannot use "${tool.name}": it is switched off in the configuration (${tool.name}.enabled)`,
    );
  }

  /** Parses a tool's arguments and looks up what they name; `judge` then says whether all is allowed. */
  async #prepare(
    name: string,
    given: Readonly<Record<string, unknown>>,
    { context, labels, signal, plan = false }: {
      readonly context: Context;
      readonly labels: Labels;
      readonly signal: AbortSignal;
      readonly plan?: boolean;
    },
  ): Promise<Ready> {
    const { rules, record } = context;
    const tool = this.#enabled(name, rules);
    if (!plan) this.#options.breakers.get(tool.name).check();
    const guardrails = guardrailsUnder(rules.guardrails, labels);
    const parsed = tool.parse(given, guardrails);
    const request: Request = {
      arguments: given,
      rawSockets: await this.#options.host.rawSockets(signal),
      resolved: await this.#lookUp(tool.names(parsed), rules, signal),
      labels: { engagement: labels.engagement, tags: labels.tags },
    };
    return {
      request,
      judge: () => this.#judge(tool, parsed, request, { guardrails, record }),
    };
  }

  /** Main's judgement of what was prepared. */
  #admit(
    tool: ToolName,
    { request, judge }: Ready,
    context: Context & { readonly target: string },
  ): Admitted {
    return { tool, request, ...context, overlong: judge() };
  }

  /** Finds an earlier scan that may answer this request. A client with a key wants a scan of its own. */
  async #earlier(
    { tool, request, target, rules, record }: Admitted,
    options: CallArguments,
  ): Promise<{ scan: Scan; cachedSeconds: number } | null> {
    const { noCache, idempotencyKey } = options;
    if (rules.cacheTtlMs === 0 || noCache || idempotencyKey !== null) {
      return null;
    }
    const now = this.#options.wallNow();
    const digest = await digestOf(askedOf({ tool, request }, options));
    const scan = await this.#options.scans.answerTo(
      digest,
      now - rules.cacheTtlMs,
    );
    // A name may have moved to another address since.
    const addresses = [...request.resolved.values()].flat();
    if (
      scan === null || !addresses.every((one) => scan.targets.includes(one))
    ) return null;
    await record.allowed({ rule: "cache", target, scanId: scan.id });
    const ageMs = now - (scan.finishedAt ?? now);
    return { scan, cachedSeconds: Math.max(0, Math.floor(ageMs / 1000)) };
  }

  #refuseWhileDraining(): void {
    if (!this.#runs.draining) return;
    throw new AppError(
      "tool_unavailable",
      "Cannot take the call: the server is stopping",
    );
  }

  /** Looks up the host names that the rules allow to be looked up. */
  async #lookUp(
    names: readonly string[],
    rules: Rules,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const allowed = names.filter((name) => rules.scope.allowsName(name));
    // A name that is not allowed is left out here and refused by the guardrail `scope`.
    if (allowed.length === 0 || allowed.length < names.length) return new Map();
    using _place = await this.#lookups.acquire(signal);
    const isolate = await this.#options.isolates.of("nmap");
    return await isolate.resolve(allowed, signal);
  }

  async #plan(
    tool: ToolName,
    request: Request,
    signal: AbortSignal,
  ): Promise<PlanBody> {
    const isolate = await this.#options.isolates.of(tool);
    return await isolate.plan(request, signal);
  }

  /**
   * Main's own judgement. The isolate judges again, by its own rules.
   *
   * @returns Whether the scan will not be done by its deadline, as planned.
   */
  #judge<R>(
    tool: Tool<R>,
    parsed: R,
    request: Request,
    { guardrails, record }: {
      readonly guardrails: Guardrails;
      readonly record: CallRecord;
    },
  ): boolean {
    const plan = tool.plan(parsed, {
      guardrails,
      powers: { rawSockets: request.rawSockets },
      resolved: request.resolved,
    });
    const refusal = plan.verdicts.find((verdict: Verdict) => !verdict.allowed);
    if (refusal === undefined) return plan.seconds * 1000 > plan.timeoutMs;
    record.refusedBy(refusal.guardrail);
    const { code, message } = refusal.error ??
      {
        code: "internal" as const,
        message: "Cannot scan: a guardrail refused without a reason",
      };
    throw new AppError(code, message);
  }

  /**
   * Takes part in an identical scan under way, or records and starts a new one.
   *
   * @returns The scan as it ended; as it was accepted where it goes on in the background.
   */
  async #take(
    call: Call,
    admitted: Admitted,
    options: CallArguments,
  ): Promise<Scan> {
    const { who } = call;
    const asked = askedOf(admitted, options);
    const key = joinKeyOf(asked, admitted.request.resolved, [
      options.idempotencyKey,
      options.idempotencyKey === null ? null : who.client,
    ]);
    const joined = this.#runs.joinable(key);
    const run = joined ?? this.#start(key, who, admitted, options);
    // Held at once: whoever else waits for it may leave while this call is recorded.
    const left = new AbortController();
    const signal = AbortSignal.any([call.signal, left.signal]);
    if (options.background) run.keep();
    const ended = options.background
      ? null
      : run.follow(signal, call.onProgress);
    ended?.catch(() => {});
    const accepted = await run.accepted;
    if (joined !== null) {
      const { target, record } = admitted;
      try {
        const scanId = accepted.id;
        await record.allowed({ rule: "joined", target, scanId });
      } catch (thrown) {
        left.abort();
        throw thrown;
      }
    }
    return await ended ?? accepted;
  }

  #start(
    key: string,
    who: Who,
    admitted: Admitted,
    options: CallArguments,
  ): Run {
    const fresh = this.#newScan(who, admitted, options);
    const { tool, traceId, target, record } = admitted;
    const beginning: Beginning = {
      record: async () => {
        const digest = await digestOf(askedOf(admitted, options));
        const { idempotencyKey } = options;
        const keys = { idempotencyKey, digest };
        const { scan, created } = await this.#options.scans.create(fresh, keys);
        const rule = created ? "guardrails" : "idempotency_key";
        await record.allowed({ rule, target, scanId: scan.id });
        return { scan, admitted };
      },
      failed: async (error) => {
        this.#telling.refused(tool, traceId, error);
        const refused = record.refused(error, fresh.id);
        await this.#telling.recorded(refused, tool, traceId);
        return await this.#unstarted(fresh, error);
      },
    };
    return this.#runs.start(fresh.id, key, beginning);
  }

  /** Ends a scan that was not allowed to start, if it has a record at all. */
  async #unstarted(scan: Scan, error: AppError): Promise<Scan> {
    const { scans, wallNow } = this.#options;
    const change = { ...fromError(error), finishedAt: wallNow() };
    return await scans.end(scan.id, change).catch(() => ({
      ...scan,
      ...change,
    }));
  }

  #newScan(
    who: Who,
    admitted: Admitted,
    { engagement, tags }: CallArguments,
  ): Scan {
    const queuedAt = this.#options.wallNow();
    return {
      id: newScanId(queuedAt, this.#options.random),
      tool: admitted.tool,
      request: admitted.request.arguments,
      target: admitted.target,
      status: "queued",
      queuedAt,
      startedAt: null,
      finishedAt: null,
      argv: [],
      targets: [],
      scanType: "",
      progress: null,
      report: null,
      error: null,
      notes: [],
      traceId: admitted.traceId,
      engagement,
      tags,
      client: who.client,
      raw: null,
      rawTruncated: false,
    };
  }

  #newTraceId(): string {
    const bytes = new Uint8Array(16);
    this.#options.random(bytes);
    return bytes.toHex();
  }
}

/** For the record, before the arguments are parsed. */
function asksForPlan(args: unknown): boolean {
  return typeof args === "object" && args !== null &&
    Object.hasOwn(args, "plan") && (args as { plan?: unknown }).plan === true;
}

function throwIfNeverStarted({ startedAt, error, status }: Scan): void {
  if (startedAt === null && error !== null && status !== "queued") {
    throw parseErrorBody(error);
  }
}

function targetText(request: Readonly<Record<string, unknown>>): string {
  const target = request["target"];
  return Array.isArray(target) ? target.join(" ") : String(target);
}

/** Everything that has to be the same for two requests to share a scan. */
function askedOf(
  { tool, request }: Pick<Admitted, "tool" | "request">,
  { engagement, tags }: CallArguments,
): Asked {
  return { tool, arguments: request.arguments, engagement, tags };
}

function resumer({ client }: Scan): Who {
  return {
    client: `${client ?? "a client"} (queued before a restart)`,
    transport: "stdio",
    address: null,
  };
}

function runsElsewhere({ id, status }: Scan): AppError {
  return new AppError(
    "conflict",
    `Cannot cancel the scan "${id}": it is ${status} in another server on the same database; cancel it there`,
  );
}
