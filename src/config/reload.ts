/**
 * Takes a changed configuration over while the server runs: all of it or nothing.
 *
 * A reload reads, checks, and only then hands the new configuration to whoever applies it. If any of
 * that fails the old one stays in force and a warning says why. Reloads run one after the other; those
 * asked for while one runs are answered by one further run, so a burst of requests queues nothing.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import type { Changes } from "./changes.ts";
import { type Config, KEYS, START_ONLY } from "./schema.ts";
import type { LoadedConfig } from "./resolve.ts";

/** What came of a reload. */
export type Reload =
  | {
    readonly kind: "applied";
    readonly loaded: LoadedConfig;
    /** Names of the keys whose values are new. */
    readonly changed: readonly string[];
    /** Names of the keys whose new values wait for the next start. */
    readonly waiting: readonly string[];
  }
  /** The file says what it said before, and nobody asked. */
  | { readonly kind: "unchanged" }
  /** The old configuration stays. */
  | { readonly kind: "kept"; readonly error: AppError };

/** What a watcher needs. */
export interface WatcherOptions {
  /** What is in force. */
  readonly initial: LoadedConfig;
  /** Reads and checks the configuration anew. */
  readonly load: () => Promise<LoadedConfig>;
  /** Applies a new configuration; if it throws, the old one stays and it must have changed nothing. */
  readonly onLoaded: (
    loaded: LoadedConfig,
    reason: string,
  ) => void | Promise<void>;
  /** Hears of what was kept, ignored or lost, and why. */
  readonly onWarning: (message: string, detail?: string) => void;
  /** Starts to watch; null for reloads on request only. */
  readonly watch: (() => Changes) | null;
  /** Waits; ends early and quietly when the signal aborts. @default a timer */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Quiet time after a hint before the file is read, in milliseconds. @default 200 */
  readonly quietMs?: number;
  /** Most milliseconds that further hints can put the reading off. @default 2000 */
  readonly quietMsMax?: number;
}

/** A reload that waits for the one that runs. */
interface Pending {
  reason: string;
  /** Whether somebody asked, or the file merely may have changed. */
  asked: boolean;
  readonly end: PromiseWithResolvers<Reload>;
}

/** Keeps the configuration that is in force. */
export class ConfigWatcher implements AsyncDisposable {
  readonly #options: WatcherOptions;
  readonly #closing = new AbortController();
  readonly #boot: Config;
  #current: LoadedConfig;
  #pending: Pending | null = null;
  #draining: Promise<void> | null = null;
  #changes: Changes | null = null;
  #watching: Promise<void> | null = null;
  #settling: Promise<void> | null = null;
  #hints = 0;
  /** What was warned of last, so that a file that stays bad is not reported at each hint. */
  #lastRefusal: string | null = null;
  /** The keys that wait for the next start. */
  #waiting = "";

  /** @param options What it needs. It watches from now on. */
  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#current = options.initial;
    this.#boot = options.initial.config;
    if (options.watch === null) return;
    try {
      this.#changes = options.watch();
      this.#watching = this.#watch(this.#changes);
    } catch (thrown) {
      this.#warnOfBlindness(thrown);
    }
  }

  /** What is in force. */
  get current(): LoadedConfig {
    return this.#current;
  }

  /**
   * Reads the configuration again, because somebody asked.
   *
   * @param reason Who, for the log: `SIGHUP`.
   * @returns What came of it; never rejects.
   */
  reload(reason: string): Promise<Reload> {
    return this.#request(reason, true);
  }

  /** Stops watching, and waits for a reload that runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#changes?.[Symbol.dispose]();
    await this.#watching;
    await this.#settling;
    await this.#draining;
  }

  #request(reason: string, asked: boolean): Promise<Reload> {
    if (this.#closing.signal.aborted) {
      return Promise.resolve({ kind: "kept", error: stopped() });
    }
    if (this.#pending === null) {
      this.#pending = { reason, asked, end: Promise.withResolvers() };
    } else if (asked && !this.#pending.asked) {
      this.#pending.asked = true;
      this.#pending.reason = reason;
    }
    const { promise } = this.#pending.end;
    this.#draining ??= this.#drain();
    return promise;
  }

  /** Runs what is asked for, one after the other; what is asked for meanwhile shares one run. */
  async #drain(): Promise<void> {
    while (this.#pending !== null) {
      const { reason, asked, end } = this.#pending;
      this.#pending = null;
      end.resolve(await this.#run(reason, asked));
    }
    this.#draining = null;
  }

  async #run(reason: string, asked: boolean): Promise<Reload> {
    try {
      return await this.#tryRun(reason, asked);
    } catch (thrown) {
      const error = toAppError(thrown);
      const refusal =
        `The configuration stays as it is (${reason}): ${error.message}`;
      if (asked || refusal !== this.#lastRefusal) {
        this.#options.onWarning(refusal, error.detail);
      }
      this.#lastRefusal = refusal;
      return { kind: "kept", error };
    }
  }

  async #tryRun(reason: string, asked: boolean): Promise<Reload> {
    const read = await this.#options.load();
    const { config, waiting } = pinStartOnly(this.#boot, read.config);
    const changed = changedKeys(this.#current.config, config);
    this.#warnOfWaiting(waiting);
    if (!asked && changed.length === 0) {
      this.#lastRefusal = null;
      return { kind: "unchanged" };
    }
    const loaded = Object.freeze({ ...read, config });
    await this.#options.onLoaded(loaded, reason);
    this.#current = loaded;
    this.#lastRefusal = null;
    return { kind: "applied", loaded, changed, waiting };
  }

  async #watch(changes: Changes): Promise<void> {
    try {
      for await (const _hint of changes.hints()) {
        this.#hints += 1;
        this.#settling ??= this.#settle();
      }
      if (!this.#closing.signal.aborted) this.#warnOfBlindness(undefined);
    } catch (thrown) {
      this.#warnOfBlindness(thrown);
    }
  }

  /** Waits until the hints pause: an editor saves in several steps. Then reads. */
  async #settle(): Promise<void> {
    const { wait = delay, quietMs = 200, quietMsMax = 2_000 } = this.#options;
    const { signal } = this.#closing;
    let seen: number;
    let waitedMs = 0;
    do {
      seen = this.#hints;
      await wait(quietMs, signal);
      waitedMs += quietMs;
    } while (
      seen !== this.#hints && waitedMs < quietMsMax && !signal.aborted
    );
    // A hint that comes while the file is read starts the next round.
    this.#settling = null;
    if (!signal.aborted) await this.#request("the file changed", false);
  }

  #warnOfWaiting(waiting: readonly string[]): void {
    const names = waiting.join(", ");
    if (names !== this.#waiting && names !== "") {
      this.#options.onWarning(
        `A new value takes effect at the next start only: ${names}`,
      );
    }
    this.#waiting = names;
  }

  #warnOfBlindness(thrown: unknown): void {
    this.#options.onWarning(
      "The configuration file is not watched; send SIGHUP to reload it",
      thrown instanceof Error ? thrown.message : undefined,
    );
  }
}

/**
 * Names the keys whose values differ.
 *
 * @param before One configuration.
 * @param after Another.
 * @returns Their names.
 */
export function changedKeys(before: Config, after: Config): readonly string[] {
  return KEYS.filter(({ name }) => textOf(before, name) !== textOf(after, name))
    .map(({ name }) => name);
}

/** Keeps the values of start-only keys as they were at start, and names those that wait. */
function pinStartOnly(
  boot: Config,
  next: Config,
): { config: Config; waiting: readonly string[] } {
  const waiting = changedKeys(boot, next).filter((name) =>
    (START_ONLY as readonly string[]).includes(name)
  );
  const old = new Map<string, object>(Object.entries(boot));
  const sections = Object.entries(next).map(([section, keys]) => {
    const was = new Map(Object.entries(old.get(section) ?? {}));
    const pinned = Object.entries(keys).map(([key, value]) => {
      const startOnly = (START_ONLY as readonly string[]).includes(
        `${section}.${key}`,
      );
      return [key, startOnly ? was.get(key) : value];
    });
    return [section, Object.freeze(Object.fromEntries(pinned))];
  });
  // The same keys in the same sections: only values were put back.
  const config = Object.freeze(Object.fromEntries(sections)) as Config;
  return { config, waiting };
}

/** The text of a value: enough to compare what is made of scalars and lists of scalars. */
function textOf(config: Config, name: string): string {
  const [section = "", key = ""] = name.split(".");
  const sections = new Map<string, object>(Object.entries(config));
  const keys = new Map(Object.entries(sections.get(section) ?? {}));
  return JSON.stringify(keys.get(key));
}

async function delay(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  const end = () => over.resolve();
  signal.addEventListener("abort", end);
  await over.promise;
  signal.removeEventListener("abort", end);
  clearTimeout(timer);
}

function stopped(): AppError {
  return new AppError(
    "cancelled",
    "Cannot reload the configuration: the server is stopping",
  );
}
