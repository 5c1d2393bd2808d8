/**
 * One circuit breaker a tool, and their memory: what they know is handed to a store at every change
 * and taken from it at start, so that a restart does not send calls into a tool that was found
 * broken, and does not release one that an operator has stopped.
 *
 * @module
 */
import {
  Breaker,
  type BreakerState,
  type BreakerStatistics,
} from "./breaker.ts";
import { type BreakerOptions, checkedOptions } from "./breaker_options.ts";
import type { BreakerSnapshot } from "./breaker_snapshot.ts";

/** Keeps the state of all breakers. */
export interface BreakerStore {
  /** @returns What was kept, not trusted; undefined if nothing was. */
  load(): Promise<unknown>;
  /** Takes a snapshot to keep. It need not be written when the promise resolves. */
  save(snapshot: BreakersSnapshot): Promise<void>;
}

/** The state of all breakers as plain JSON. */
export interface BreakersSnapshot {
  readonly version: 1;
  readonly breakers: Readonly<Record<string, BreakerSnapshot>>;
}

/** What {@linkcode Breakers} is made of. */
export interface BreakersOptions<Name extends string> {
  /** Thresholds and times of each tool. */
  readonly tools: Readonly<Record<Name, BreakerOptions>>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Without one the state lives in memory only. */
  readonly store?: BreakerStore;
  /** Hears that a breaker is in another state than before. */
  readonly onState?: (name: Name, state: BreakerState) => void;
  /** Hears of a store that fails or holds something unsound; nothing is thrown for it. */
  readonly onError?: (error: unknown) => void;
}

/** The circuit breakers of all tools. */
export class Breakers<Name extends string> {
  readonly #breakers: ReadonlyMap<Name, Breaker>;
  readonly #store: BreakerStore | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #onState: (name: Name, state: BreakerState) => void;
  /** What was told last. A breaker begins closed. */
  readonly #told = new Map<Name, BreakerState>();
  /** While restoring, changes come from the store and need not go back to it. */
  #restoring = false;

  /**
   * @param options Thresholds, times, clocks and the store.
   * @throws {RangeError} If a threshold or time is out of range.
   */
  constructor(options: BreakersOptions<Name>) {
    const { now, wallNow, random, tools } = options;
    const names = Object.keys(tools) as Name[];
    this.#onState = options.onState ?? (() => {});
    this.#breakers = new Map(
      names.map((name) => {
        const onChange = () => this.#changed(name);
        const world = { now, wallNow, random, onChange };
        return [name, new Breaker(name, tools[name], world)];
      }),
    );
    this.#store = options.store;
    this.#onError = options.onError ?? (() => {});
  }

  /**
   * Gives a tool's breaker.
   *
   * @param name The tool.
   * @returns Its breaker.
   * @throws {RangeError} If there is none.
   */
  get(name: Name): Breaker {
    const breaker = this.#breakers.get(name);
    if (breaker === undefined) {
      throw new RangeError(`Cannot guard "${name}": it has no breaker`);
    }
    return breaker;
  }

  /**
   * Takes up what the store kept. Whatever is missing or unsound starts closed, and `onError` hears
   * of it.
   */
  async load(): Promise<void> {
    try {
      const kept = await this.#store?.load();
      if (kept !== undefined) this.#restore(kept);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** @returns The state of all breakers. */
  snapshot(): BreakersSnapshot {
    const breakers = [...this.#breakers].map((
      [name, breaker],
    ) => [name, breaker.snapshot()] as const);
    return { version: 1, breakers: Object.fromEntries(breakers) };
  }

  /** @returns What each breaker has seen. */
  statistics(): Record<Name, BreakerStatistics> {
    const entries = [...this.#breakers].map((
      [name, breaker],
    ) => [name, breaker.statistics] as const);
    return Object.fromEntries(entries) as Record<Name, BreakerStatistics>;
  }

  /**
   * Changes thresholds and times and keeps every state.
   *
   * @param tools The new options.
   * @throws {RangeError} If one is out of range; then all the old ones stay.
   */
  reconfigure(tools: Readonly<Record<Name, BreakerOptions>>): void {
    for (const name of this.#breakers.keys()) checkedOptions(tools[name]);
    for (const [name, breaker] of this.#breakers) {
      breaker.reconfigure(tools[name]);
    }
  }

  #restore(kept: unknown): void {
    const parsed = parseSnapshots(kept);
    if (parsed === null) throw new TypeError("malformed breaker state");
    this.#restoring = true;
    try {
      for (const [name, breaker] of this.#breakers) {
        if (!parsed.has(name) || breaker.restore(parsed.get(name))) continue;
        this.#onError(new TypeError(`malformed breaker state of "${name}"`));
      }
    } finally {
      this.#restoring = false;
    }
  }

  #changed(name: Name): void {
    const { state } = this.get(name);
    if ((this.#told.get(name) ?? "closed") !== state) {
      this.#told.set(name, state);
      this.#onState(name, state);
    }
    this.#save();
  }

  #save(): void {
    if (this.#restoring || this.#store === undefined) return;
    this.#store.save(this.snapshot()).catch(this.#onError);
  }
}

function parseSnapshots(kept: unknown): ReadonlyMap<string, unknown> | null {
  if (typeof kept !== "object" || kept === null) return null;
  const own = new Map<string, unknown>(Object.entries(kept));
  const breakers = own.get("breakers");
  if (own.get("version") !== 1) return null;
  if (typeof breakers !== "object" || breakers === null) return null;
  return new Map<string, unknown>(Object.entries(breakers));
}
