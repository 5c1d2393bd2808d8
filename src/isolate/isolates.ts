/**
 * All tool isolates of the process and their replacement.
 *
 * The first ones are started by main, before any client is served, which takes a tenth of a second;
 * right after that main gives up its right to spawn for good. From then on only the warden can start
 * one, which takes a second, so nothing on the path of a client's first answer waits for it.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import { isToolName, type ToolName } from "@/tools/tool.ts";
import { toolGrant, wardenGrant } from "./grant.ts";
import { Isolate } from "./isolate.ts";
import type { Birth, Programs } from "./protocol.ts";
import { toolWorker } from "./tool_worker.ts";
import type {
  WardenAnswer,
  WardenAsk,
  WardenBirth,
} from "./warden_protocol.ts";

/** First wait before a crashed isolate is replaced; it doubles with each crash up to the maximum. */
const RESTART_DELAY_MS = 100;
const RESTART_DELAY_MAX_MS = 30_000;

/** An isolate that lived this long has earned a quick replacement again. */
const SETTLED_AFTER_MS = 60_000;

/** How long a replacement may take to come up. */
const START_TIMEOUT_MS = 15_000;

/** How often an isolate is asked for a sign of life, and how long it may take to answer. */
const PING_INTERVAL_MS = 5_000;
const PING_TIMEOUT_MS = 20_000;

/** What the isolates are started with. */
export interface IsolatesOptions {
  readonly programs: Programs;
  readonly guardrails: Guardrails;
  /** The variables of the start, for the warden's own reading of the configuration. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether the server has a terminal from which its children must be kept away. */
  readonly terminal: boolean;
  /** Absolute paths that the warden may read. */
  readonly readable: readonly string[];
  /** Hears of crashes and replacements, for the log and the metrics. */
  readonly onEvent: (event: IsolateEvent) => void;
}

/** Something that happened to an isolate. */
export interface IsolateEvent {
  readonly kind: "up" | "died" | "warden_died";
  readonly tool: ToolName | null;
  /** For the log. */
  readonly detail: string;
}

/** One tool's place: the isolate that serves now, and how it is ended. */
interface Place {
  isolate: Isolate;
  end: () => void;
  bornAt: number;
  crashes: number;
}

/** The tool isolates of this process. */
export class Isolates implements AsyncDisposable {
  readonly #options: IsolatesOptions;
  readonly #places = new Map<ToolName, Place>();
  readonly #warden: Worker;
  readonly #wardenBorn = new Map<number, Isolate>();
  readonly #retired = new Set<() => void>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #nextKey = 1;
  #stopped = false;
  #wardenAlive = true;

  private constructor(options: IsolatesOptions) {
    this.#options = options;
    this.#warden = new Worker(new URL("./warden.ts", import.meta.url), {
      type: "module",
      name: "warden",
      deno: { permissions: wardenGrant(options.programs, options.readable) },
    });
  }

  /**
   * Starts an isolate for each installed tool and the warden, and gives up main's right to spawn.
   * It returns at once; {@linkcode Isolates.ready} tells when they are up.
   *
   * @param options Programs, rules and where events go.
   * @returns The isolates.
   */
  static start(options: IsolatesOptions): Isolates {
    const isolates = new Isolates(options);
    for (const [tool, program] of Object.entries(options.programs)) {
      if (isToolName(tool)) isolates.#startFirst(tool, program);
    }
    // The workers hold their own grants by now. Main never gets this right back.
    Deno.permissions.revokeSync({ name: "run" });
    isolates.#bearWarden();
    const pings = setInterval(() => isolates.#pingAll(), PING_INTERVAL_MS);
    pings.unref();
    isolates.#timers.add(pings);
    return isolates;
  }

  /**
   * Waits until every first isolate is up.
   *
   * @throws {AppError} `internal` if one may do more than it should: the program must end then.
   */
  async ready(): Promise<void> {
    await Promise.all(
      [...this.#places.values()].map((place) => place.isolate.ready),
    );
  }

  /** Each isolate by the name of its tool, and the warden: whether it is up, and its crashes. */
  states(): Readonly<
    Record<string, { readonly up: boolean; readonly restarts: number }>
  > {
    const tools = [...this.#places].map(([tool, { isolate, crashes }]) => [
      tool,
      { up: isolate.up, restarts: crashes },
    ]);
    const warden = { up: this.#wardenAlive, restarts: 0 };
    return { ...Object.fromEntries(tools), warden };
  }

  /**
   * Gives the isolate of a tool, waiting for a replacement that is on its way.
   *
   * @param tool The tool.
   * @returns An isolate that is up.
   * @throws {AppError} `tool_unavailable` if the tool is not installed or does not come up.
   */
  async of(tool: ToolName): Promise<Isolate> {
    const place = this.#places.get(tool);
    if (place === undefined) {
      throw new AppError(
        "tool_unavailable",
        `Cannot use "${tool}": it is not installed; run scripts/setup.sh and start the server again`,
      );
    }
    await place.isolate.ready;
    return place.isolate;
  }

  /**
   * Replaces every isolate by one that lives by the configuration as it is now, or none if one of
   * the new ones does not come up. Scans under way end in the old ones, by the rules they started
   * under.
   *
   * @throws {AppError} If one does not come up; then all stays as it was.
   */
  async renew(): Promise<void> {
    const births = [...this.#places].map(([tool, place]) => ({
      place,
      fresh: this.#startThroughWarden(tool),
    }));
    try {
      await Promise.all(births.map(({ fresh }) => fresh.isolate.ready));
    } catch (thrown) {
      for (const { fresh } of births) fresh.end();
      throw thrown;
    }
    for (const { place, fresh } of births) {
      const old = { isolate: place.isolate, end: place.end };
      Object.assign(place, fresh, { bornAt: performance.now() });
      this.#retire(old);
    }
  }

  /** Ends all isolates at once; children that still run die with them. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const end of this.#retired) end();
    for (const place of this.#places.values()) {
      place.isolate.died("the server stops");
      place.end();
    }
    this.#warden.terminate();
    return Promise.resolve();
  }

  #startFirst(tool: ToolName, program: string): void {
    const { port1, port2 } = new MessageChannel();
    const worker = toolWorker(tool, toolGrant(program));
    const isolate = new Isolate(
      tool,
      program,
      port1,
      () => this.#lost(tool, isolate, "hung"),
    );
    worker.onerror = (event) => {
      event.preventDefault();
      this.#lost(tool, isolate, event.message);
    };
    const { programs, guardrails, terminal } = this.#options;
    worker.postMessage(
      { kind: "birth", tool, programs, guardrails, terminal } satisfies Birth,
      [port2],
    );
    const end = () => worker.terminate();
    this.#places.set(tool, {
      isolate,
      end,
      bornAt: performance.now(),
      crashes: 0,
    });
  }

  #bearWarden(): void {
    const { env, programs, guardrails, terminal } = this.#options;
    this.#warden.onerror = (event) => {
      event.preventDefault();
      this.#wardenAlive = false;
      this.#options.onEvent({
        kind: "warden_died",
        tool: null,
        detail: event.message,
      });
    };
    this.#warden.onmessage = (event: MessageEvent<WardenAnswer>) => {
      const isolate = this.#wardenBorn.get(event.data.key);
      if (isolate !== undefined) {
        this.#lost(isolate.tool, isolate, event.data.detail);
      }
    };
    const birth: WardenBirth = {
      kind: "birth",
      env,
      programs,
      guardrails,
      terminal,
    };
    this.#warden.postMessage(birth);
  }

  #startThroughWarden(tool: ToolName): Pick<Place, "isolate" | "end"> {
    const { port1, port2 } = new MessageChannel();
    const key = this.#nextKey++;
    const program = this.#options.programs[tool] ?? "";
    const isolate = new Isolate(
      tool,
      program,
      port1,
      () => this.#lost(tool, isolate, "hung"),
    );
    this.#wardenBorn.set(key, isolate);
    if (!this.#wardenAlive) {
      isolate.died("the warden is dead: restart the server");
    }
    this.#warden.postMessage({ kind: "start", key, tool } satisfies WardenAsk, [
      port2,
    ]);
    const overdue = setTimeout(
      () => this.#lost(tool, isolate, "it did not come up"),
      START_TIMEOUT_MS,
    );
    isolate.ready.finally(() => clearTimeout(overdue)).catch(() => {});
    const end = () => {
      clearTimeout(overdue);
      this.#wardenBorn.delete(key);
      this.#warden.postMessage({ kind: "end", key } satisfies WardenAsk);
    };
    return { isolate, end };
  }

  /** An isolate died or hangs: everything under way is answered and a new one is asked for. */
  #lost(tool: ToolName, isolate: Isolate, detail: string): void {
    isolate.died(detail);
    const place = this.#places.get(tool);
    if (place?.isolate !== isolate || this.#stopped) return;
    this.#options.onEvent({ kind: "died", tool, detail });
    place.end();
    const age = performance.now() - place.bornAt;
    const recent = age > SETTLED_AFTER_MS ? 0 : place.crashes;
    const delayMs = Math.min(
      RESTART_DELAY_MS * 2 ** recent,
      RESTART_DELAY_MAX_MS,
    );
    place.crashes = recent + 1;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      // A renewal came first: the place is taken by an isolate that lives.
      if (place.isolate !== isolate) return;
      Object.assign(place, this.#startThroughWarden(tool), {
        bornAt: performance.now(),
      });
      place.isolate.ready.then(
        () => this.#options.onEvent({ kind: "up", tool, detail: "replaced" }),
        () => {/* #lost has heard of it by itself. */},
      );
    }, delayMs);
    timer.unref();
    this.#timers.add(timer);
  }

  #retire(old: Pick<Place, "isolate" | "end">): void {
    this.#retired.add(old.end);
    old.isolate.drained().then(() => {
      this.#retired.delete(old.end);
      old.isolate.died("it was replaced");
      old.end();
    });
  }

  #pingAll(): void {
    for (const [tool, { isolate }] of this.#places) {
      const timeout = setTimeout(
        () => this.#lost(tool, isolate, "no sign of life"),
        PING_TIMEOUT_MS,
      );
      timeout.unref();
      isolate.ready.then(() => isolate.ping(new AbortController().signal)).then(
        () => clearTimeout(timeout),
        () => clearTimeout(timeout),
      );
    }
  }
}
