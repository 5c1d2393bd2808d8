/**
 * The server's health: runs the checks side by side, each within its time and all within an overall
 * time, keeps the last reports, and does so by itself at an interval if asked.
 *
 * A check is not trusted to work. One that throws or hangs is a failing check; one that still hangs
 * when its next turn comes is not started again, so a stuck disk does not gather stuck checks.
 *
 * @module
 */
import type { After } from "./after.ts";
import {
  type Check,
  type CheckResult,
  type Finding,
  HEALTH_STATUSES,
  type HealthStatus,
  overallStatus,
} from "./check.ts";

/** Reports that are kept, unless configured. */
export const HISTORY_MAX = 100;

/** Longest message of a finding that is kept, in UTF-16 code units. */
export const MESSAGE_LENGTH_MAX = 500;

/** One look at everything. */
export interface HealthReport {
  readonly status: HealthStatus;
  /** Milliseconds since the epoch at its start. */
  readonly at: number;
  readonly durationMs: number;
  readonly checks: readonly CheckResult[];
}

/** What {@linkcode Health} is made of. */
export interface HealthOptions {
  readonly checks: readonly Check[];
  /** Most milliseconds of one look; what has not answered then is unhealthy. */
  readonly overallTimeoutMs: number;
  /** Most milliseconds of one check, for those that allow themselves more. */
  readonly checkTimeoutMs?: number;
  /** Milliseconds from the end of one look to the next, for {@linkcode Health.start}. */
  readonly intervalMs: number;
  /** @default {100} */
  readonly historyMax?: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  readonly after: After;
  /** Hears why a check threw: the report does not say, as the text may name a path. */
  readonly onError?: (check: string, error: unknown) => void;
  /** Hears of every report, for logs. */
  readonly onReport?: (report: HealthReport) => void;
}

/** The server's health. */
export class Health implements AsyncDisposable {
  readonly #options: HealthOptions;
  readonly #history: HealthReport[] = [];
  /** Checks that have not come to an end, by name. */
  readonly #running = new Set<string>();
  #looking: Promise<HealthReport> | undefined;
  #monitoring = false;
  #callOff: (() => void) | undefined;
  #intervalMs: number;

  /**
   * @param options Checks, times and clocks.
   * @throws {RangeError} If two checks have one name or a time is not positive.
   */
  constructor(options: HealthOptions) {
    const names = new Set(options.checks.map(({ name }) => name));
    if (names.size !== options.checks.length) {
      throw new RangeError("Cannot watch health: two checks have one name");
    }
    const { checks, overallTimeoutMs, intervalMs } = options;
    const times = [
      overallTimeoutMs,
      options.checkTimeoutMs ?? overallTimeoutMs,
      intervalMs,
      ...checks.map(({ timeoutMs }) => timeoutMs),
    ];
    for (const ms of times) positive(ms);
    this.#options = options;
    this.#intervalMs = intervalMs;
  }

  /** @returns The last report, or null before the first. */
  get latest(): HealthReport | null {
    return this.#history.at(-1) ?? null;
  }

  /** @returns The reports that are kept, oldest first. */
  get history(): readonly HealthReport[] {
    return [...this.#history];
  }

  /** @returns Whether it looks by itself. */
  get monitoring(): boolean {
    return this.#monitoring;
  }

  /**
   * Runs all checks. Whoever asks during a look gets the same one.
   *
   * @returns What was found. It never rejects.
   */
  look(): Promise<HealthReport> {
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  /** Starts looking by itself, now and at every interval. */
  start(): void {
    if (this.#monitoring) return;
    this.#monitoring = true;
    void this.#turn();
  }

  /** Stops looking by itself. A look that is under way comes to its end. */
  stop(): void {
    this.#monitoring = false;
    this.#callOff?.();
    this.#callOff = undefined;
  }

  /**
   * Changes the interval from the next turn on.
   *
   * @param intervalMs Milliseconds.
   * @throws {RangeError} If it is not positive.
   */
  setInterval(intervalMs: number): void {
    positive(intervalMs);
    this.#intervalMs = intervalMs;
  }

  /** Stops looking, and waits for a look that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#looking;
  }

  async #turn(): Promise<void> {
    await this.look();
    // A stop and a start during the look leave this turn and a new one: only one may go on.
    if (!this.#monitoring || this.#callOff !== undefined) return;
    this.#callOff = this.#options.after(this.#intervalMs, () => {
      this.#callOff = undefined;
      void this.#turn();
    });
  }

  async #look(): Promise<HealthReport> {
    const { checks, now, wallNow, after, overallTimeoutMs } = this.#options;
    const at = wallNow();
    const startedAt = now();
    const overall = new AbortController();
    const callOff = after(overallTimeoutMs, () => overall.abort());
    const results = await Promise.all(
      checks.map((check) => this.#run(check, overall.signal)),
    );
    callOff();
    const report = {
      status: overallStatus(results),
      at,
      durationMs: now() - startedAt,
      checks: results,
    };
    this.#keep(report);
    return report;
  }

  #keep(report: HealthReport): void {
    const { historyMax = HISTORY_MAX, onReport } = this.#options;
    this.#history.push(report);
    if (this.#history.length > historyMax) this.#history.shift();
    try {
      onReport?.(report);
    } catch {
      // A listener's fault is not a fault of the server's health.
    }
  }

  async #run(check: Check, overall: AbortSignal): Promise<CheckResult> {
    const { now } = this.#options;
    const { name, priority } = check;
    const startedAt = now();
    const finding = this.#running.has(name)
      ? failing("Cannot run the check: its last run still hangs")
      : await this.#within(check, overall);
    return {
      name,
      priority,
      ...finding,
      durationMs: now() - startedAt,
    };
  }

  #within(check: Check, overall: AbortSignal): Promise<Finding> {
    const { after, checkTimeoutMs = Infinity } = this.#options;
    const timeoutMs = Math.min(check.timeoutMs, checkTimeoutMs);
    return new Promise((resolve) => {
      const own = new AbortController();
      const end = (finding: Finding) => {
        callOff();
        overall.removeEventListener("abort", late);
        resolve(finding);
      };
      const late = () => {
        own.abort();
        end(failing("Cannot finish the check: its time ran out"));
      };
      const callOff = after(timeoutMs, late);
      overall.addEventListener("abort", late, { once: true });
      this.#running.add(check.name);
      this.#settle(check, own.signal).then(end);
    });
  }

  /** Never rejects. Leaves the check marked as running for as long as it hangs. */
  async #settle(check: Check, signal: AbortSignal): Promise<Finding> {
    try {
      return soundFinding(await check.run(signal));
    } catch (error) {
      this.#report(check.name, error);
      const name = error instanceof Error ? error.name : "a value";
      return failing(`Cannot run the check: it threw ${name}; see the log`);
    } finally {
      this.#running.delete(check.name);
    }
  }

  #report(check: string, error: unknown): void {
    try {
      this.#options.onError?.(check, error);
    } catch {
      // As above.
    }
  }
}

function failing(message: string): Finding {
  return { status: "unhealthy", message, detail: {} };
}

/** A check may answer anything; a report holds nothing but findings. */
function soundFinding({ status, message, detail }: Finding): Finding {
  if (!HEALTH_STATUSES.includes(status) || typeof message !== "string") {
    throw new TypeError("a finding without status or message");
  }
  return { status, message: message.slice(0, MESSAGE_LENGTH_MAX), detail };
}

function positive(ms: number): void {
  if (!(ms > 0)) {
    throw new RangeError(`Cannot use "${ms}" ms: it must be positive`);
  }
}
