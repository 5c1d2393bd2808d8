/**
 * One call, from top to bottom. Every adapter comes through here, so what is written here is what
 * the server does: nothing is checked, counted or recorded anywhere else.
 *
 * @module
 */
import { AppError, parseErrorBody, toAppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import { type Breakers } from "@/breaker/breakers.ts";
import { countsAsFailure } from "@/breaker/failure.ts";
import type { Request } from "@/isolate/isolate.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import type { Outcome, PlanBody } from "@/isolate/protocol.ts";
import type { Metrics } from "@/metrics/metrics.ts";
import type { Permits } from "@/permits/permits.ts";
import { Semaphore } from "@/permits/semaphore.ts";
import { newScanId } from "@/scans/id.ts";
import { isOver, type Scan, type Scans } from "@/scans/scan.ts";
import { toolNamed } from "@/tools/registry.ts";
import type { Tool, ToolName, Verdict } from "@/tools/tool.ts";
import { type Call, parseCallArguments } from "./call.ts";
import type { CallAnswer } from "./engine.ts";
import type { Host } from "./host.ts";
import type { Rules } from "./rules.ts";
import { Run } from "./run.ts";

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
  /** Hears of what the log should hold; never of untrusted text in a template. */
  readonly onEvent: (event: DispatchEvent) => void;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
}

/** What happened to a call, for the log. */
export interface DispatchEvent {
  readonly kind: "refused" | "started" | "ended";
  readonly tool: string;
  readonly traceId: string;
  readonly scan?: Scan;
  readonly error?: AppError;
  readonly detail?: string;
}

/**
 * Look-ups of host names at a time, and how many calls may wait for one. Each is a process, and no
 * permit of a scan bounds them: a call has none before its names are known.
 */
const LOOKUPS = { permits: 4, queueMax: 256 };

/** A call that passed every check and may become a scan. */
interface Admitted {
  readonly tool: ToolName;
  readonly request: Request;
  readonly target: string;
  readonly traceId: string;
  readonly rules: Rules;
  /** Whether its plan says that its deadline is too short for it. */
  readonly overlong: boolean;
}

/** Runs calls. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** Every run whose child may still live, by its scan's id. */
  readonly #running = new Map<string, Run>();
  /** The runs that an identical call may join, by what they ask for. */
  readonly #joinable = new Map<string, Run>();
  readonly #lookups = new Semaphore(LOOKUPS);
  #draining = false;

  /** @param options What it works with. */
  constructor(options: DispatcherOptions) {
    this.#options = options;
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
    let answer: CallAnswer;
    try {
      answer = await this.#dispatch(call, traceId);
    } catch (thrown) {
      const error = toAppError(thrown);
      this.#refused(call.tool, traceId, error);
      throw error;
    }
    // A scan that never started (no place, the circuit open) is a refusal to whoever waited for it.
    if (
      answer.kind === "scan" && answer.scan.startedAt === null &&
      answer.scan.error !== null
    ) {
      throw parseErrorBody(answer.scan.error);
    }
    return answer;
  }

  /**
   * Ends a scan and waits until its child is gone.
   *
   * @param id The scan's id.
   * @returns The scan as it ended.
   * @throws {AppError} `not_found`.
   */
  async cancel(id: string): Promise<Scan> {
    const scan = this.#options.scans.get(id);
    if (isOver(scan)) return scan;
    const run = this.#running.get(id);
    run?.cancel();
    return run === undefined ? scan : await run.done;
  }

  /**
   * Takes no more calls and waits for the scans under way, but no longer than a given time.
   *
   * @param graceMs Most milliseconds.
   */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    const runs = [...this.#running.values()];
    await Promise.race([Promise.all(runs.map((run) => run.done)), promise]);
    clearTimeout(timer);
  }

  /** Ends every scan and waits until all children are gone. */
  async cancelAll(): Promise<void> {
    const runs = [...this.#running.values()];
    for (const run of runs) run.cancel();
    await Promise.all(runs.map((run) => run.done));
  }

  async #dispatch(call: Call, traceId: string): Promise<CallAnswer> {
    this.#refuseWhileDraining();
    const rules = this.#options.rules();
    const tool = toolNamed(call.tool);
    if (!rules.enabled.has(tool.name)) {
      throw new AppError(
        "tool_disabled",
        `Cannot use "${tool.name}": it is switched off in the configuration (${tool.name}.enabled)`,
      );
    }
    const options = parseCallArguments(call.arguments);
    if (!options.plan) this.#options.breakers.get(tool.name).check();
    const parsed = tool.parse(options.request, rules.guardrails);
    const request: Request = {
      arguments: options.request,
      rawSockets: await this.#options.host.rawSockets(call.signal),
      resolved: await this.#lookUp(tool.names(parsed), rules, call.signal),
    };
    if (options.plan) {
      const plan = await this.#plan(tool.name, request, call.signal);
      return { kind: "plan", tool: tool.name, plan };
    }
    const overlong = this.#judge(tool, parsed, request, rules);
    // The look-up took its time: nobody may want the scan any more.
    this.#refuseWhileDraining();
    if (call.signal.aborted) {
      throw new AppError("cancelled", "The request was cancelled");
    }
    const target = targetText(options.request);
    const run = this.#accept({
      tool: tool.name,
      request,
      target,
      traceId,
      rules,
      overlong,
    });
    if (options.background) {
      run.keep();
      return { kind: "accepted", scan: this.#options.scans.get(run.id) };
    }
    const scan = await run.follow(call.signal, call.onProgress);
    return { kind: "scan", scan, maxTokens: options.maxTokens };
  }

  #refuseWhileDraining(): void {
    if (!this.#draining) return;
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
  #judge<R>(tool: Tool<R>, parsed: R, request: Request, rules: Rules): boolean {
    const plan = tool.plan(parsed, {
      guardrails: rules.guardrails,
      powers: { rawSockets: request.rawSockets },
      resolved: request.resolved,
    });
    const refusal = plan.verdicts.find((verdict: Verdict) => !verdict.allowed);
    if (refusal === undefined) return plan.seconds * 1000 > plan.timeoutMs;
    const { code, message } = refusal.error ??
      {
        code: "internal" as const,
        message: "Cannot scan: a guardrail refused without a reason",
      };
    throw new AppError(code, message);
  }

  /** Joins an identical scan under way, or records and starts a new one. */
  #accept(admitted: Admitted): Run {
    const key = runKey(admitted);
    const joined = this.#joinable.get(key);
    if (joined !== undefined && !joined.signal.aborted) return joined;
    const scan = this.#newScan(admitted);
    this.#options.scans.create(scan);
    const run = new Run(scan.id, async (run) => {
      try {
        return await this.#perform(run, admitted);
      } finally {
        this.#running.delete(run.id);
        // An identical call may have come since this one was cancelled.
        if (this.#joinable.get(key) === run) this.#joinable.delete(key);
      }
    });
    this.#running.set(run.id, run);
    this.#joinable.set(key, run);
    return run;
  }

  async #perform(run: Run, admitted: Admitted): Promise<Scan> {
    // The caller gets hold of the run before its first step, so that nothing is missed.
    await Promise.resolve();
    const { permits, breakers } = this.#options;
    try {
      using _permit = await permits.acquire(admitted.tool, run.signal);
      using admission = breakers.get(admitted.tool).admit();
      const { scan, blames } = await this.#scan(run, admitted);
      if (scan.error === null) admission.succeeded();
      else if (
        blames === "tool" && speaksAgainstTool(scan.error.code, admitted)
      ) {
        admission.failed();
      } else admission.ignored();
      return scan;
    } catch (thrown) {
      const error = toAppError(thrown);
      this.#refused(admitted.tool, admitted.traceId, error);
      return this.#ended(run, admitted, { error });
    }
  }

  async #scan(
    run: Run,
    admitted: Admitted,
  ): Promise<{ scan: Scan; blames: Outcome["blames"] }> {
    const { metrics, scans, wallNow } = this.#options;
    const execution = metrics.begin(admitted.tool);
    let scan = scans.update(run.id, {
      status: "running",
      startedAt: wallNow(),
    });
    this.#options.onEvent({
      kind: "started",
      tool: admitted.tool,
      traceId: scan.traceId,
      scan,
    });
    let blames: Outcome["blames"] = "tool";
    try {
      const isolate = await this.#options.isolates.of(admitted.tool);
      const outcome = await isolate.scan(admitted.request, {
        onStarted: ({ argv, targets, scanType }) => {
          scans.update(run.id, { argv, targets, scanType });
        },
        onProgress: (progress) => {
          scans.update(run.id, { progress });
          run.tell(progress);
        },
      }, run.signal);
      blames = outcome.blames;
      scan = this.#ended(run, admitted, { outcome });
    } catch (thrown) {
      scan = this.#ended(run, admitted, { error: toAppError(thrown) });
    }
    execution.end({
      status: scan.status === "queued" || scan.status === "running"
        ? "failed"
        : scan.status,
      errorType: scan.error?.code,
      seconds: ((scan.finishedAt ?? 0) - (scan.startedAt ?? 0)) / 1000,
      traceId: scan.traceId,
    });
    return { scan, blames };
  }

  #ended(
    run: Run,
    admitted: Admitted,
    end: { outcome: Outcome } | { error: AppError },
  ): Scan {
    const finishedAt = this.#options.wallNow();
    const change = "outcome" in end
      ? fromOutcome(end.outcome)
      : fromError(end.error);
    const scan = this.#options.scans.update(run.id, {
      ...change,
      finishedAt,
      progress: null,
    });
    const event = {
      kind: "ended",
      tool: admitted.tool,
      traceId: scan.traceId,
      scan,
    } as const;
    if ("error" in end) this.#options.onEvent({ ...event, error: end.error });
    else this.#options.onEvent({ ...event, detail: end.outcome.stderrTail });
    return scan;
  }

  #refused(tool: string, traceId: string, error: AppError): void {
    this.#options.metrics.refused(tool, error.code, traceId);
    this.#options.onEvent({ kind: "refused", tool, traceId, error });
  }

  #newScan(admitted: Admitted): Scan {
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

/**
 * Tells whether an end speaks against the tool. A deadline that the caller made shorter than the
 * default does not, nor one that was too short for what was asked: otherwise one client could close
 * the tool to all others by asking for too little time or too much work.
 */
function speaksAgainstTool(
  code: ErrorCode,
  { request, rules, overlong }: Admitted,
): boolean {
  const seconds = request.arguments["timeout_seconds"];
  const short = typeof seconds === "number" &&
    seconds < rules.guardrails.timeoutSecondsDefault;
  return countsAsFailure(code) && !(code === "timeout" && (short || overlong));
}

/** Two calls with the same key ask for the same packets. */
function runKey({ tool, request }: Admitted): string {
  const sorted = Object.entries(request.arguments).sort(([a], [b]) =>
    a < b ? -1 : 1
  );
  return JSON.stringify([tool, sorted, [...request.resolved]]);
}

function targetText(request: Readonly<Record<string, unknown>>): string {
  const target = request["target"];
  return Array.isArray(target) ? target.join(" ") : String(target);
}

/** Picked by name: an isolate must not write any other field of the record. */
function fromOutcome(outcome: Outcome): Partial<Scan> {
  const {
    status,
    error,
    report,
    argv,
    targets,
    scanType,
    notes,
    raw,
    rawTruncated,
  } = outcome;
  return {
    status,
    error,
    report,
    argv,
    targets,
    scanType,
    notes,
    raw,
    rawTruncated,
  };
}

function fromError(error: AppError): Partial<Scan> {
  return {
    status: error.code === "cancelled" ? "cancelled" : "failed",
    error: error.toBody(),
  };
}
