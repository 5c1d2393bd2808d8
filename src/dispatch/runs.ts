/**
 * The scans under way: each is recorded before it starts, starts when it has a place and its record
 * says so, and ends once.
 *
 * @module
 */
import { type AppError, toAppError } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import type { Breakers } from "@/breaker/breakers.ts";
import { hasFindings } from "@/events/found.ts";
import { countsAsFailure } from "@/breaker/failure.ts";
import type { Request } from "@/isolate/isolate.ts";
import type { Isolates } from "@/isolate/isolates.ts";
import type { Outcome } from "@/isolate/protocol.ts";
import type { Metrics } from "@/metrics/metrics.ts";
import type { Permits } from "@/permits/permits.ts";
import type { Quotas, Reservation, Takes } from "@/identity/quotas.ts";
import { isOver, type Scan, type Scans } from "@/scans/scan.ts";
import type { ToolName } from "@/tools/tool.ts";
import type { CallRecord } from "./record.ts";
import type { Rules } from "./rules.ts";
import { Run } from "./run.ts";
import type { Telling } from "./telling.ts";

/** A request that passed every check and may become a scan. */
export interface Admitted {
  readonly tool: ToolName;
  readonly request: Request;
  readonly target: string;
  readonly tenant: string;
  readonly traceId: string;
  readonly rules: Rules;
  readonly record: CallRecord;
  /** Whether its plan says that its deadline is too short for it. */
  readonly overlong: boolean;
  /** What it takes of its tenant's quotas. */
  readonly takes: Takes;
}

/** An admitted request whose turn is still to come. */
export interface Due extends Admitted {
  /**
   * Judges it once more when its turn comes late: a freeze may have begun since, a policy or a switch
   * changed.
   *
   * @throws {AppError} What refuses it now.
   */
  readonly atItsTurn: () => Promise<void>;
}

/** Milliseconds of waiting for which what was decided still holds. */
const DECISION_MS = 1_000;

/** What {@linkcode Runs} works with. */
export interface RunsOptions {
  readonly isolates: Pick<Isolates, "of">;
  readonly breakers: Breakers<ToolName>;
  readonly permits: Permits<ToolName>;
  readonly scans: Scans;
  readonly metrics: Metrics;
  readonly telling: Telling;
  readonly quotas: Quotas;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
}

/** How a run begins. */
export interface Beginning {
  /**
   * Records the scan and that it is allowed.
   *
   * @returns The scan as it is kept: another one if the same request came before. Without `admitted`
   * it is left as it is. What is reserved for it is used up once it starts, and given back if it does
   * not: whoever finds the queue full may ask again.
   */
  readonly record: (
    run: Run,
  ) => Promise<{
    readonly scan: Scan;
    readonly admitted: Due | null;
    readonly reserved?: Reservation | null;
  }>;
  /** Ends what could not be recorded. Must not reject. */
  readonly failed: (error: AppError) => Promise<Scan>;
}

/** Every run whose child may still live. */
export class Runs {
  readonly #options: RunsOptions;
  /** By its scan's id. */
  readonly #running = new Map<string, Run>();
  /** The runs that an identical call may join, by what they ask for. */
  readonly #joinable = new Map<string, Run>();
  #draining = false;

  /** @param options What it works with. */
  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** Whether nothing more may start. */
  get draining(): boolean {
    return this.#draining;
  }

  /** The run of a scan, or null if it is not under way here. */
  of(scanId: string): Run | null {
    return this.#running.get(scanId) ?? null;
  }

  /** The run that a call with this key may join, or null. */
  joinable(key: string): Run | null {
    const run = this.#joinable.get(key);
    return run === undefined || run.signal.aborted ? null : run;
  }

  /**
   * Starts a run.
   *
   * @param id The scan's id.
   * @param key What it asks for.
   * @param beginning How it begins.
   * @returns The run; its first step comes later.
   */
  start(id: string, key: string, beginning: Beginning): Run {
    const run = new Run(id, async (run) => {
      try {
        // The caller gets hold of the run before its first step, so that nothing is missed.
        await Promise.resolve();
        const { scan, admitted, reserved = null } = await begin(run, beginning);
        using _given = reserved;
        run.accept(scan);
        if (isOver(scan) || admitted === null) return scan;
        return scan.id === run.id
          ? await this.#perform(run, admitted, reserved)
          : await this.of(scan.id)?.done ?? scan;
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

  /**
   * Starts nothing more and waits for the scans under way, but no longer than a given time.
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

  /** Starts nothing more, ends every scan and waits until all children are gone. */
  async cancelAll(): Promise<void> {
    this.#draining = true;
    const runs = [...this.#running.values()];
    for (const run of runs) run.cancel();
    await Promise.all(runs.map((run) => run.done));
  }

  async #perform(
    run: Run,
    admitted: Due,
    reserved: Reservation | null,
  ): Promise<Scan> {
    const { permits, breakers, telling, wallNow } = this.#options;
    const { tool, traceId, tenant, record } = admitted;
    const since = wallNow();
    try {
      using _permit = await permits.acquire(tool, run.signal, tenant);
      // A clock that was set back says nothing of how long it was.
      const waited = wallNow() - since;
      if (waited < 0 || waited >= DECISION_MS) await admitted.atItsTurn();
      using admission = breakers.get(tool).admit();
      const { scan, blames } = await this.#scan(run, admitted, reserved);
      if (scan.error === null) admission.succeeded();
      else if (
        blames === "tool" && speaksAgainstTool(scan.error.code, admitted)
      ) {
        admission.failed();
      } else admission.ignored();
      return scan;
    } catch (thrown) {
      const error = toAppError(thrown);
      telling.refused({ tool, traceId, tenant, scanId: run.id }, error);
      await telling.recorded(record.refused(error, run.id), tool, traceId);
      return await this.#ended(run, { error }, 0);
    }
  }

  async #scan(
    run: Run,
    { tool, request }: Admitted,
    reserved: Reservation | null,
  ): Promise<{ scan: Scan; blames: Outcome["blames"] }> {
    const { isolates, metrics, scans, telling, wallNow } = this.#options;
    // In the store before anything is started: after a crash nobody takes it for one that waits.
    let scan = await scans.start(run.id, wallNow());
    reserved?.commit();
    const execution = metrics.begin(tool);
    telling.started(scan);
    let blames: Outcome["blames"] = "tool";
    let told = false;
    let cpuSeconds: number | null = null;
    try {
      const isolate = await isolates.of(tool);
      const outcome = await isolate.scan(request, {
        onStarted: (made) => {
          const { argv, targets, scanType } = made;
          const { traceId, tenant } = scans.update(run.id, {
            argv,
            targets,
            scanType,
          });
          void telling.append({
            kind: "scan_started",
            tenant,
            scanId: run.id,
            traceId,
            tool,
            targets,
            argv,
          }, { tool, traceId });
        },
        onFound: (report) => {
          told = true;
          scans.found(run.id, report);
          telling.found(scan, report);
        },
        onOutput: (printed) => telling.printed(scan, printed),
        isWatched: () => telling.isWatched(scan),
        onProgress: (progress) => {
          telling.progressed(scans.update(run.id, { progress }), progress);
          run.tell(progress);
        },
      }, run.signal);
      blames = outcome.blames;
      // Before anybody can see the end: whoever asks again at once is judged by it.
      cpuSeconds = this.#charge(scan, outcome.cpuSeconds);
      // A scan of one host has nothing to tell before its end.
      if (!told && hasFindings(outcome.report)) {
        telling.found(scan, outcome.report);
      }
      scan = await this.#ended(run, { outcome }, cpuSeconds);
    } catch (thrown) {
      cpuSeconds ??= this.#charge(scan, livedSeconds(scan, wallNow()));
      const error = toAppError(thrown);
      scan = await this.#ended(run, { error }, cpuSeconds);
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

  #charge({ tenant, tool }: Scan, cpuSeconds: number): number {
    this.#options.quotas.charge(tenant, cpuSeconds);
    this.#options.metrics.tookCpu(tool, cpuSeconds);
    return cpuSeconds;
  }

  async #ended(
    run: Run,
    end: { outcome: Outcome } | { error: AppError },
    cpuSeconds: number,
  ): Promise<Scan> {
    const { scans, telling, wallNow } = this.#options;
    const change = "outcome" in end
      ? fromOutcome(end.outcome)
      : fromError(end.error);
    const scan = await scans.end(run.id, {
      ...change,
      finishedAt: wallNow(),
      progress: null,
    });
    telling.ended(
      scan,
      "error" in end ? end : { detail: end.outcome.stderrTail },
      cpuSeconds,
    );
    return scan;
  }
}

async function begin(
  run: Run,
  { record, failed }: Beginning,
): ReturnType<Beginning["record"]> {
  try {
    return await record(run);
  } catch (thrown) {
    return { scan: await failed(toAppError(thrown)), admitted: null };
  }
}

/** What counts as processor time where nobody told it: the isolate died, say. */
function livedSeconds({ startedAt }: Scan, now: number): number {
  // A clock that was set back says nothing of how long it was.
  return startedAt === null ? 0 : Math.max(0, now - startedAt) / 1000;
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

/** Picked by name: an isolate must not write any other field of the record. */
function fromOutcome(outcome: Outcome): Partial<Scan> {
  const { status, error, report, argv, targets, scanType, notes } = outcome;
  const { raw, rawTruncated } = outcome;
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

/**
 * Makes the end of a scan that an error ended.
 *
 * @param error The error.
 * @returns What changes of the scan.
 */
export function fromError(error: AppError): Pick<Scan, "status" | "error"> {
  return {
    status: error.code === "cancelled" ? "cancelled" : "failed",
    error: error.toBody(),
  };
}
