/**
 * A circuit breaker: it stops calling a tool that keeps failing, and finds out with one call at a
 * time whether the tool works again.
 *
 * Its state is a tagged union, and the state object itself is the generation: a call remembers the
 * object that it started under, and its result counts only while that object is still the state. So
 * a call that hangs through an opening and ends late cannot close a circuit that it knows nothing
 * of. What counts as a failure is the caller's to decide (see `failure.ts`).
 *
 * Why not a library: the ones tried let half-open callers wait instead of refusing them, closed the
 * circuit on a cancelled probe, or never released a restored forced-open.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import {
  type BreakerOptions,
  checkedOptions,
  openDelayMs,
} from "./breaker_options.ts";
import {
  type BreakerSnapshot,
  parseBreakerSnapshot,
} from "./breaker_snapshot.ts";

/** What the breaker is to the world. */
export type BreakerState = "closed" | "open" | "half_open" | "forced_open";

/** `openings` counts openings since the circuit was last closed: it is the backoff's exponent. */
type State =
  | { readonly kind: "closed"; failures: number }
  | { readonly kind: "open"; readonly openings: number; until: number }
  | {
    readonly kind: "half_open";
    readonly openings: number;
    successes: number;
    probing: boolean;
  }
  | { readonly kind: "forced_open" };

/** What the breaker takes from the world. */
export interface BreakerWorld {
  /** Monotonic milliseconds: a wall clock may jump. */
  readonly now: () => number;
  /** Milliseconds since the epoch, for what must survive a restart. */
  readonly wallNow: () => number;
  /** From 0 up to 1, for the jitter. */
  readonly random: () => number;
  /** Hears that something changed that a snapshot would show. Its errors are its own affair. */
  readonly onChange?: () => void;
}

/** A call that the breaker let through. It hears one outcome; every further one is ignored. */
export interface Admission extends Disposable {
  /** The tool worked. */
  succeeded(): void;
  /** The tool failed. */
  failed(): void;
  /** The call says nothing of the tool (cancelled, refused later on). A probe's place is freed. */
  ignored(): void;
}

/** What the breaker has seen since it was made. */
export interface BreakerStatistics {
  readonly state: BreakerState;
  readonly successes: number;
  readonly failures: number;
  readonly ignored: number;
  /** Results that came after the state had moved on. */
  readonly stale: number;
  readonly refused: number;
  /** How often the circuit opened. */
  readonly openings: number;
  readonly consecutiveFailures: number;
  /** Seconds until a call may be let through, or null if one may now or only by an operator. */
  readonly retryAfter: number | null;
}

/** A circuit breaker for one tool. */
export class Breaker {
  readonly #name: string;
  readonly #world: BreakerWorld;
  #options: BreakerOptions;
  #state: State = { kind: "closed", failures: 0 };
  #counts = { successes: 0, failures: 0, ignored: 0, stale: 0, refused: 0 };
  #openings = 0;

  /**
   * @param name Whose calls it guards, for messages.
   * @param options Thresholds and times.
   * @param world Clocks and randomness.
   * @throws {RangeError} If an option is out of range.
   */
  constructor(name: string, options: BreakerOptions, world: BreakerWorld) {
    this.#name = name;
    this.#options = checkedOptions(options);
    this.#world = world;
  }

  /** @returns The state; an open circuit whose time has passed reads as half-open. */
  get state(): BreakerState {
    const { kind } = this.#state;
    return kind === "open" && this.#remainingMs() === 0 ? "half_open" : kind;
  }

  /** @returns What it has seen. */
  get statistics(): BreakerStatistics {
    const state = this.#state;
    const remainingMs = this.#remainingMs();
    return {
      ...this.#counts,
      state: this.state,
      openings: this.#openings,
      consecutiveFailures: state.kind === "closed" ? state.failures : 0,
      retryAfter: remainingMs === 0 ? null : seconds(remainingMs),
    };
  }

  /**
   * Refuses if a call would be refused now. Changes nothing, so that a call can be refused before
   * it is parsed and queued; {@linkcode admit} decides later.
   *
   * @throws {AppError} `circuit_open`.
   */
  check(): void {
    const refusal = this.#refusal();
    if (refusal !== null) throw refusal;
  }

  /**
   * Lets a call through or refuses it.
   *
   * @returns Where the call's outcome must be told; disposing of it unheard ignores the call.
   * @throws {AppError} `circuit_open`.
   */
  admit(): Admission {
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.#counts.refused += 1;
      throw refusal;
    }
    if (this.#state.kind === "open") {
      this.#become({
        kind: "half_open",
        openings: this.#state.openings,
        successes: 0,
        probing: false,
      });
    }
    const state = this.#state;
    if (state.kind === "half_open") state.probing = true;
    return this.#admission(state);
  }

  /** Refuses every call until {@linkcode forceClose}. */
  forceOpen(): void {
    this.#become({ kind: "forced_open" });
  }

  /** Closes the circuit, whatever its state, and forgets its failures. */
  forceClose(): void {
    this.#become({ kind: "closed", failures: 0 });
  }

  /**
   * Changes thresholds and times and keeps the state. An open circuit waits no longer than the new
   * longest time.
   *
   * @param options The new options.
   * @throws {RangeError} If one is out of range; the old ones stay.
   */
  reconfigure(options: BreakerOptions): void {
    this.#options = checkedOptions(options);
    if (this.#state.kind !== "open") return;
    const latest = this.#world.now() + this.#options.recoveryTimeoutMsMax;
    this.#state.until = Math.min(this.#state.until, latest);
  }

  /** @returns The state as plain JSON, with its times as instants that survive a restart. */
  snapshot(): BreakerSnapshot {
    const state = this.#state;
    switch (state.kind) {
      case "closed":
        return { state: "closed", failures: state.failures };
      case "open":
        return {
          state: "open",
          openings: state.openings,
          retry_at: Math.round(this.#world.wallNow() + this.#remainingMs()),
        };
      case "half_open":
        return {
          state: "half_open",
          openings: state.openings,
          successes: state.successes,
        };
      case "forced_open":
        return { state: "forced_open" };
    }
  }

  /**
   * Takes up a state that was kept. The time left is measured on the wall clock and never exceeds
   * the longest recovery time, whatever the snapshot or the clock says.
   *
   * @param snapshot What was kept; not trusted.
   * @returns Whether it was sound. If not, the circuit starts closed.
   */
  restore(snapshot: unknown): boolean {
    const parsed = parseBreakerSnapshot(snapshot);
    this.#become(
      parsed === null ? { kind: "closed", failures: 0 } : this.#revive(parsed),
    );
    return parsed !== null;
  }

  #revive(snapshot: BreakerSnapshot): State {
    switch (snapshot.state) {
      case "closed":
        return { kind: "closed", failures: snapshot.failures };
      case "forced_open":
        return { kind: "forced_open" };
      case "half_open":
        // The probe of the former process ended with it.
        return {
          kind: "half_open",
          openings: snapshot.openings,
          successes: snapshot.successes,
          probing: false,
        };
      case "open": {
        const left = snapshot.retry_at - this.#world.wallNow();
        const most = this.#options.recoveryTimeoutMsMax;
        return {
          kind: "open",
          openings: snapshot.openings,
          until: this.#world.now() + Math.min(left, most),
        };
      }
    }
  }

  #admission(state: State): Admission {
    let told = false;
    const tell = (
      count: "successes" | "failures" | "ignored",
      act: () => void,
    ) => {
      if (told) return;
      told = true;
      this.#counts[count] += 1;
      if (this.#state !== state) {
        this.#counts.stale += 1;
        return;
      }
      if (state.kind === "half_open") state.probing = false;
      act();
    };
    const ignored = () => tell("ignored", () => {});
    return {
      succeeded: () => tell("successes", () => this.#succeed(state)),
      failed: () => tell("failures", () => this.#fail(state)),
      ignored,
      [Symbol.dispose]: ignored,
    };
  }

  #succeed(state: State): void {
    if (state.kind === "closed") {
      if (state.failures === 0) return;
      state.failures = 0;
      this.#changed();
    } else if (state.kind === "half_open") {
      state.successes += 1;
      if (state.successes >= this.#options.successThreshold) this.forceClose();
      else this.#changed();
    }
  }

  #fail(state: State): void {
    if (state.kind === "half_open") this.#open(state.openings + 1);
    else if (state.kind === "closed") {
      state.failures += 1;
      if (state.failures >= this.#options.failureThreshold) this.#open(1);
      else this.#changed();
    }
  }

  #open(openings: number): void {
    this.#openings += 1;
    const delay = openDelayMs(this.#options, openings, this.#world.random());
    this.#become({ kind: "open", openings, until: this.#world.now() + delay });
  }

  #become(state: State): void {
    this.#state = state;
    this.#changed();
  }

  #changed(): void {
    try {
      this.#world.onChange?.();
    } catch {
      // A listener's fault must not decide whether a tool may run.
    }
  }

  #remainingMs(): number {
    if (this.#state.kind !== "open") return 0;
    return Math.max(0, this.#state.until - this.#world.now());
  }

  #refusal(): AppError | null {
    const state = this.#state;
    if (state.kind === "forced_open") {
      return new AppError(
        "circuit_open",
        `Cannot run "${this.#name}": an operator has stopped it; ask the operator to release it, ` +
          "or use another tool",
      );
    }
    const remainingMs = this.#remainingMs();
    if (remainingMs > 0) {
      return this.#circuitOpen(
        remainingMs,
        "it failed repeatedly and is resting",
      );
    }
    if (state.kind === "half_open" && state.probing) {
      const waitMs = this.#options.recoveryTimeoutMs;
      return this.#circuitOpen(
        waitMs,
        "it failed and one trial call is running",
      );
    }
    return null;
  }

  #circuitOpen(waitMs: number, why: string): AppError {
    const retryAfter = seconds(waitMs);
    return new AppError(
      "circuit_open",
      `Cannot run "${this.#name}": ${why}; retry after ${retryAfter} s or use another tool`,
      { retryAfter },
    );
  }
}

/** Rounded up, and never 0: a caller that is told 0 would hammer. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000));
}
