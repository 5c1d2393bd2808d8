/**
 * One call, from top to bottom. Every adapter comes through here, so what is written here is what
 * the server does: nothing is checked, counted or recorded anywhere else.
 *
 * @module
 */
import type { Audit, Who } from "@/audit/entry.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { type Breakers } from "@/breaker/breakers.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import type { Metrics } from "@/metrics/metrics.ts";
import type { Permits } from "@/permits/permits.ts";
import { newScanId } from "@/scans/id.ts";
import { isOver, type Scan, type Scans } from "@/scans/scan.ts";
import { noScan } from "@/store/no_scan.ts";
import { toolNamed } from "@/tools/registry.ts";
import type { ToolName } from "@/tools/tool.ts";
import {
  type AuthorizedOperation,
  require as authorize,
} from "@/identity/authorize.ts";
import type { Principal } from "@/identity/principal.ts";
import type { Quotas } from "@/identity/quotas.ts";
import type { OutputTeller } from "@/events/event.ts";
import {
  type CallArguments,
  parseCallArguments,
  type ProvedCall,
} from "./call.ts";
import { type ApprovalDesk, Gate, type Judged } from "./gate.ts";
import type { CallAnswer, ProvedReading } from "./engine.ts";
import type { Host } from "./host.ts";
import {
  type Approved,
  isAnswer,
  newScan,
  throwIfNeverStarted,
} from "./new_scan.ts";
import { admit, type Context, Preparation, type Ready } from "./prepare.ts";
import { CallRecord } from "./record.ts";
import { askerOf, resumerOf } from "./resumed.ts";
import type { Rules } from "./rules.ts";
import type { Run } from "./run.ts";
import { type Admitted, type Beginning, fromError, Runs } from "./runs.ts";
import { approvalDigestOf, type Asked, digestOf, joinKeyOf } from "./same.ts";
import { type DispatchEvent, Telling } from "./telling.ts";
import { newTraceId } from "./trace_id.ts";

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
  /** Tells whoever listens. */
  readonly live: OutputTeller;
  readonly quotas: Quotas;
  readonly approvals: ApprovalDesk;
  /**
   * Refuses what waits in the name of credentials that were taken back.
   *
   * @throws {AppError} `unauthenticated`.
   */
  readonly refuseRevoked: (subject: string) => Promise<void>;
  /** Whether an operator switched a tool off. */
  readonly switchedOff: (tool: ToolName) => boolean;
  /** Hears of what the log should hold; never of untrusted text in a template. */
  readonly onEvent: (event: DispatchEvent) => void;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
}

/** Runs calls. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #telling: Telling;
  readonly #preparation: Preparation;
  readonly #runs: Runs;
  readonly #gate: Gate;

  /** @param options What it works with. */
  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#telling = new Telling(options);
    this.#preparation = new Preparation(options);
    this.#runs = new Runs({ ...options, telling: this.#telling });
    this.#gate = new Gate({
      ...options,
      policy: () => options.rules().policy,
      answers: async (scanId) => isAnswer(await options.scans.get(scanId)),
    });
  }

  /**
   * Runs a call through every check and, if all allow it, through a scan.
   *
   * @param call The call.
   * @returns The scan as it ended, the accepted background scan, or the plan.
   * @throws {AppError} If the call is refused; nothing was spawned for it then.
   */
  async call(call: ProvedCall): Promise<CallAnswer> {
    const traceId = call.traceId ?? newTraceId(this.#options.random);
    const rules = this.#options.rules();
    const record = new CallRecord(
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
      const { tenant } = call.principal;
      const refused = record.refused(error);
      await this.#telling.recorded(refused, call.tool, traceId);
      this.#telling.refused({ tool: call.tool, traceId, tenant }, error);
      await record.requested();
      throw error;
    }
    // Without a record nothing is answered: that it is missing comes before whatever else was decided.
    await record.requested();
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
    const { id, tool, tenant, traceId, request: given } = scan;
    this.#options.scans.adopt(scan);
    let record: CallRecord | null = null;
    const run = this.#runs.start(id, `resumed ${id}`, {
      record: async (run) => {
        await turn(run.signal);
        if (this.#runs.draining) return { scan, admitted: null };
        const rules = this.#options.rules();
        const who = resumerOf(scan);
        const called = { who, operation: "scan", tool, traceId } as const;
        const { audit } = this.#options;
        record = await CallRecord.begin(audit, called, given, rules);
        record.under(scan);
        const { principal, answered, approval } = askerOf(scan);
        await this.#options.refuseRevoked(principal.subject);
        const context = { traceId, rules, record };
        const { signal } = run;
        const ready = await this.#preparation.prepare(tool, given, {
          rules,
          binding: scan,
          record,
          signal,
        });
        const { target } = scan;
        const [admitted, plan] = admit(tool, ready, {
          ...context,
          target,
        });
        const judged = { ...ready, who, principal, tool, plan };
        await this.#gate.readmit(judged, answered, record);
        if (this.#runs.draining) return { scan, admitted: null };
        // Its server may have died before it could.
        await this.#useUp(approval, id, record);
        await record.allowed({ rule: "guardrails", target, scanId: id });
        const atItsTurn = this.#judgeAgain(judged, answered, record);
        return { scan, admitted: { ...admitted, atItsTurn } };
      },
      failed: async (error) => {
        if (this.#runs.draining) return scan;
        const scanId = id;
        this.#telling.refused({ tool, traceId, tenant, scanId }, error);
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
   * @param who Where the call came from.
   * @param principal Whose call it is.
   * @returns The scan as it ended.
   * @throws {AppError} `not_found`; `conflict` if another server runs it; `forbidden`.
   */
  async cancel(id: string, who: Who, principal: Principal): Promise<Scan> {
    const traceId = newTraceId(this.#options.random);
    const { audit, rules, scans } = this.#options;
    const call = { who, operation: "cancel", tool: null, traceId } as const;
    // What cannot be recorded does not happen, but for this: it ends what sends packets.
    const begun = CallRecord.begin(audit, call, { id }, rules());
    await this.#telling.recorded(begun, "cancel", traceId);
    const record = await begun.catch(() => null);
    const run = this.#runs.of(id);
    try {
      authorize(principal, "cancel");
      const scan = await scans.get(id);
      if (scan.tenant !== principal.tenant) throw noScan();
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
  async recordReading(reading: ProvedReading): Promise<void> {
    const { who, tool, principal, traceId = newTraceId(this.#options.random) } =
      reading;
    const { audit, rules } = this.#options;
    const call = { who, operation: "read", tool, traceId } as const;
    const asked = reading.arguments;
    const refusal = mayNot(principal, "read");
    const record = new CallRecord(audit, call, asked, rules());
    const known = { rule: call.operation, target: null, scanId: null };
    const recorded = refusal === null
      ? record.allowed(known)
      : record.refused(refusal);
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

  async #dispatch(call: ProvedCall, context: Context): Promise<CallAnswer> {
    this.#refuseWhileDraining();
    const { record } = context;
    const { principal } = call;
    const { name: tool } = toolNamed(call.tool);
    authorize(
      principal,
      asksForPlan(call.arguments) ? `plan:${tool}` : `scan:${tool}`,
    );
    this.#preparation.enabled(tool, context.rules);
    const options = parseCallArguments(call.arguments);
    record.under(options);
    const ready = await this.#preparation.prepare(tool, options.request, {
      rules: context.rules,
      binding: { ...options, tenant: principal.tenant },
      record,
      signal: call.signal,
      plan: options.plan,
    });
    const target = targetText(options.request);
    if (options.plan) {
      await record.allowed({ rule: "plan", target, scanId: null });
      return await this.#plan(call, tool, ready);
    }
    const [admitted, plan] = admit(tool, ready, { ...context, target });
    const judged = { ...ready, ...call, tool, plan };
    const approval = await this.#gate.admit(
      judged,
      {
        target,
        arguments: call.arguments as Readonly<Record<string, unknown>>,
        digest: await approvalDigestOf(
          askedOf(admitted, options),
          ready.request.resolved,
        ),
      },
      record,
    );
    const { maxTokens } = options;
    const earlier = await this.#earlier(admitted, options);
    if (earlier !== null) return { kind: "scan", maxTokens, ...earlier };
    // All that took its time: nobody may want the scan any more.
    this.#refuseWhileDraining();
    if (call.signal.aborted) {
      throw new AppError("cancelled", "The request was cancelled");
    }
    const answered = approval?.demands ?? [];
    const atItsTurn = this.#judgeAgain(judged, answered, record);
    const scan = approval?.scanId
      ? await this.#follow(call, approval.scanId, options, record)
      : await this.#take(call, { ...admitted, approval, atItsTurn }, options);
    return options.background
      ? { kind: "accepted", scan }
      : { kind: "scan", scan, maxTokens, cachedSeconds: null };
  }

  /** What a request that waited for its place has to pass: the rules of then, not those of its call. */
  #judgeAgain(
    judged: Judged,
    answered: readonly string[],
    record: CallRecord,
  ): () => Promise<void> {
    return async () => {
      this.#preparation.enabled(judged.tool, this.#options.rules());
      await this.#gate.readmit(judged, answered, record);
    };
  }

  /** Finds an earlier scan that may answer this request. A client with a key wants a scan of its own. */
  async #earlier(
    { tool, tenant, request, target, rules, record }: Admitted,
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
      tenant,
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

  /** What a scan would do, by the isolate's plan, and what policy would say of it. */
  async #plan(
    { who, principal, signal }: ProvedCall,
    tool: ToolName,
    ready: Ready,
  ): Promise<CallAnswer> {
    const isolate = await this.#options.isolates.of(tool);
    const planned = await isolate.plan(ready.request, signal);
    const plan = ready.plan();
    const refused = plan.verdicts.some((verdict) => !verdict.allowed);
    const verdicts = refused ? planned.verdicts : [
      ...planned.verdicts,
      await this.#gate.verdict({ ...ready, who, principal, tool, plan }),
    ];
    return { kind: "plan", tool, plan: { ...planned, verdicts } };
  }

  /** Waits for the scan that an approval became, or answers with it. */
  async #follow(
    call: ProvedCall,
    scanId: string,
    { background, request }: CallArguments,
    record: CallRecord,
  ): Promise<Scan> {
    const target = targetText(request);
    await record.allowed({ rule: "approval", target, scanId });
    const run = background ? null : this.#runs.of(scanId);
    return await run?.follow(call.signal, call.onProgress) ??
      await this.#options.scans.get(scanId);
  }

  /**
   * Takes part in an identical scan under way, or records and starts a new one.
   *
   * @returns The scan as it ended; as it was accepted where it goes on in the background.
   */
  async #take(
    call: ProvedCall,
    admitted: Approved,
    options: CallArguments,
  ): Promise<Scan> {
    const { who } = call;
    const asked = askedOf(admitted, options);
    const key = joinKeyOf(asked, admitted.request.resolved, [
      admitted.tenant,
      options.idempotencyKey,
      options.idempotencyKey === null ? null : who.client,
    ]);
    const joined = this.#runs.joinable(key);
    const run = joined ?? this.#start(key, call, admitted, options);
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
      const { target, record, approval } = admitted;
      try {
        const scanId = accepted.id;
        await record.allowed({ rule: "joined", target, scanId });
        await this.#useUp(approval?.id ?? null, scanId, record);
      } catch (thrown) {
        left.abort();
        throw thrown;
      }
    }
    return await ended ?? accepted;
  }

  #start(
    key: string,
    call: ProvedCall,
    admitted: Approved,
    options: CallArguments,
  ): Run {
    const queuedAt = this.#options.wallNow();
    const fresh = newScan(call, admitted, {
      id: newScanId(queuedAt, this.#options.random),
      queuedAt,
      ...options,
    });
    const { tool, tenant, traceId, target, record, approval } = admitted;
    const { quotas, scans } = this.#options;
    const beginning: Beginning = {
      record: async () => {
        using held = new DisposableStack();
        const reserve = () => held.use(quotas.reserve(tenant, admitted.takes));
        const { idempotencyKey } = options;
        // A key may name a scan that is there already, which takes nothing again.
        const early = idempotencyKey === null ? reserve() : null;
        await record.requested();
        const digest = await digestOf(askedOf(admitted, options));
        const keys = { idempotencyKey, digest };
        const { scan, created } = await scans.create(fresh, keys);
        const reserved = created ? early ?? reserve() : null;
        const rule = created ? "guardrails" : "idempotency_key";
        await record.allowed({ rule, target, scanId: scan.id });
        await this.#useUp(approval?.id ?? null, scan.id, record);
        if (created) this.#telling.queued(scan);
        // It is the run's now, which gives it back if the scan never starts.
        if (reserved !== null) held.move();
        return { scan, admitted, reserved };
      },
      failed: async (error) => {
        const refused = record.refused(error, fresh.id);
        await this.#telling.recorded(refused, tool, traceId);
        this.#telling.refused({ tool, traceId, tenant }, error);
        return await this.#unstarted(fresh, error);
      },
    };
    return this.#runs.start(fresh.id, key, beginning);
  }

  /** Notes that a scan is what was approved, if it had to be: the approval is good for no second one. */
  async #useUp(
    approval: string | null,
    scanId: string,
    record: CallRecord,
  ): Promise<void> {
    if (approval === null) return;
    try {
      await this.#options.approvals.started(approval, scanId);
    } catch (thrown) {
      record.refusedBy("approval");
      throw thrown;
    }
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
}

/** For the record, before the arguments are parsed. */
function asksForPlan(args: unknown): boolean {
  return typeof args === "object" && args !== null &&
    Object.hasOwn(args, "plan") && (args as { plan?: unknown }).plan === true;
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

/** Why somebody may not do something, or null. */
function mayNot(
  principal: Principal,
  operation: AuthorizedOperation,
): AppError | null {
  try {
    authorize(principal, operation);
    return null;
  } catch (thrown) {
    return toAppError(thrown);
  }
}

function runsElsewhere({ id, status }: Scan): AppError {
  return new AppError(
    "conflict",
    `Cannot cancel the scan "${id}": it is ${status} in another server on the same database; cancel it there`,
  );
}
