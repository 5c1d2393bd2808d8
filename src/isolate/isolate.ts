/**
 * The near side of the boundary: one tool isolate as the main isolate sees it.
 *
 * Every question has an id and one answer. An isolate that dies answers all that is under way with
 * `tool_unavailable`; one that does not answer a cancellation in time is given up as if it had died.
 *
 * @module
 */
import { AppError, type ErrorBody, parseErrorBody } from "@/error/app_error.ts";
import type { Binding } from "@/scope/rules.ts";
import type { Report } from "@/tools/report.ts";
import type { Progress, ToolName } from "@/tools/tool.ts";
import { parseAddress } from "@/scope/block.ts";
import { type Asked, askedOf } from "./asked.ts";
import { isSound } from "./grant.ts";
import { parseAnswer } from "./parse.ts";
import {
  type Answer,
  type Ask,
  type Outcome,
  type PlanBody,
  type Printed,
  REQUEST_LENGTH_MAX,
  TELL_INTERVAL_MS,
} from "./protocol.ts";
import { isSoundAnswer } from "./sound.ts";

/** How long a cancelled question may go on: SIGTERM, SIGKILL and the report lie within it. */
const CANCEL_TIMEOUT_MS = 10_000;

/** How many messages of findings or of output may come ahead of their time: timers are not exact. */
const AHEAD_MAX = 16;

/** A request as it crosses. */
export interface Request {
  /** The tool's own arguments, as the client sent them. */
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly rawSockets: boolean;
  readonly resolved: ReadonlyMap<string, readonly string[]>;
  /** What the scan is kept under. */
  readonly labels: Binding;
}

/** What main hears of a scan while it runs. */
export interface ScanEvents {
  readonly onStarted?: (started: Answer & { kind: "started" }) => void;
  readonly onProgress?: (progress: Progress) => void;
  /** Findings as they come; the end of the scan brings all of them once more. */
  readonly onFound?: (report: Report) => void;
  /** Lines that the tool printed, while they are watched. */
  readonly onOutput?: (printed: Printed) => void;
  /** Whether somebody watches what it prints: asked again and again. */
  readonly isWatched?: () => boolean;
}

/** Whoever waits for the end of a scan. */
interface Listening {
  readonly events: ScanEvents;
  /** What its findings may be of; null for what is no scan. */
  readonly asked: Asked | null;
}

interface Pending extends Listening {
  readonly settle: (answer: Answer) => void;
  readonly fail: (error: AppError) => void;
  readonly startedAt: number;
  /** Messages of findings so far. */
  found: number;
  /** Messages of output so far. */
  output: number;
  /** Whether the isolate was told that somebody watches. */
  watched: boolean;
}

const NO_SCAN: Listening = { events: {}, asked: null };

/** One tool isolate. */
export class Isolate {
  /** The tool that lives in it. */
  readonly tool: ToolName;
  /** Resolves when it is up and its grant is exactly what was written; rejects otherwise. */
  readonly ready: Promise<void>;
  readonly #program: string;
  readonly #port: MessagePort;
  readonly #pending = new Map<number, Pending>();
  readonly #up = Promise.withResolvers<void>();
  readonly #idle: (() => void)[] = [];
  readonly #onHung: () => void;
  #nextId = 1;
  #isUp = false;
  #dead: AppError | null = null;

  /**
   * @param tool The tool.
   * @param program The one program that it must be able to run.
   * @param port Our end of its channel.
   * @param onHung Called when it does not answer in time and has to be ended.
   */
  constructor(
    tool: ToolName,
    program: string,
    port: MessagePort,
    onHung: () => void,
  ) {
    this.tool = tool;
    this.ready = this.#up.promise;
    // Whoever needs it awaits it; nobody else should be ended by its rejection.
    this.ready.catch(() => {});
    this.#program = program;
    this.#port = port;
    this.#onHung = onHung;
    port.onmessage = (event: MessageEvent) => this.#take(event.data);
  }

  /** Whether it came up and has not died. */
  get up(): boolean {
    return this.#isUp && this.#dead === null;
  }

  /**
   * Runs a scan.
   *
   * @throws {AppError} What the isolate refused, or `tool_unavailable` if it died.
   */
  async scan(
    request: Request,
    events: ScanEvents,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const asked = askedOf(this.tool, request);
    const answer = await this.#ask(
      requestAsk("scan", request),
      { events, asked },
      signal,
    );
    if (answer.kind !== "done") throw unexpected(answer);
    return answer.outcome;
  }

  /** Asks what a scan would do; nothing is spawned. */
  async plan(request: Request, signal: AbortSignal): Promise<PlanBody> {
    const answer = await this.#ask(
      requestAsk("plan", request),
      NO_SCAN,
      signal,
    );
    if (answer.kind !== "planned") throw unexpected(answer);
    return answer.plan;
  }

  /** Looks host names up. */
  async resolve(
    names: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly string[]>> {
    const answer = await this.#ask(
      (id) => ({ kind: "resolve", id, names }),
      NO_SCAN,
      signal,
    );
    if (answer.kind !== "resolved") throw unexpected(answer);
    const found = new Map(Object.entries(answer.addresses));
    if (!isLookUpOf(found, names)) throw unsound(answer);
    return found;
  }

  /** Asks for the program's version and what it can do here. */
  async probe(
    signal: AbortSignal,
  ): Promise<{ version: string; rawSockets: boolean | null }> {
    const answer = await this.#ask(
      (id) => ({ kind: "probe", id }),
      NO_SCAN,
      signal,
    );
    if (answer.kind !== "probed") throw unexpected(answer);
    return { version: answer.version, rawSockets: answer.rawSockets };
  }

  /** Asks for a sign of life. */
  async ping(signal: AbortSignal): Promise<void> {
    await this.#ask((id) => ({ kind: "ping", id }), NO_SCAN, signal);
  }

  /** Resolves when nothing is under way any more. */
  async drained(): Promise<void> {
    if (this.#pending.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * Hears that the isolate is gone: every question under way is answered.
   *
   * @param detail For the log.
   */
  died(detail: string): void {
    if (this.#dead !== null) return;
    this.#dead = new AppError(
      "tool_unavailable",
      `Cannot finish the request: the "${this.tool}" isolate stopped; it is being replaced, ` +
        "try again in a few seconds",
      { detail, retryAfter: 3 },
    );
    this.#up.reject(this.#dead);
    for (const pending of [...this.#pending.values()]) pending.fail(this.#dead);
    this.#port.close();
  }

  #take(data: unknown): void {
    const answer = parseAnswer(data);
    if (answer === null) return;
    if (answer.kind === "ready") return this.#judge(answer);
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    if (!isSoundAnswer(answer, pending.asked) || !isInTime(answer, pending)) {
      // What it goes on to do would be nobody's: its place is given to the next scan.
      this.#port.postMessage({ kind: "cancel", id: answer.id } satisfies Ask);
      return pending.fail(unsound(answer));
    }
    if (answer.kind === "started") {
      pending.events.onStarted?.(answer);
      this.#watch(answer.id, pending);
    } else if (answer.kind === "progress") {
      pending.events.onProgress?.(answer.progress);
      this.#watch(answer.id, pending);
    } else if (answer.kind === "found") {
      pending.events.onFound?.(answer.report);
    } else if (answer.kind === "output") {
      pending.events.onOutput?.(answer.printed);
    } else if (answer.kind === "refused") {
      pending.fail(parseErrorBody(answer.error));
    } else pending.settle(answer);
  }

  /** Lines that nobody reads are not made: the isolate hears whether somebody does. */
  #watch(id: number, pending: Pending): void {
    const on = pending.events.isWatched?.() ?? false;
    if (on === pending.watched) return;
    pending.watched = on;
    this.#port.postMessage({ kind: "watch", id, on } satisfies Ask);
  }

  #judge(answer: Answer & { kind: "ready" }): void {
    if (answer.tool === this.tool && isSound(answer.grants, this.#program)) {
      this.#isUp = true;
      this.#up.resolve();
      return;
    }
    const granted = JSON.stringify(answer.grants);
    this.#up.reject(
      new AppError(
        "internal",
        `Cannot start: the "${this.tool}" isolate may do more than run it`,
        {
          detail:
            `expected run=[${this.#program}] and nothing else, found ${granted}`,
        },
      ),
    );
  }

  #ask(
    ask: (id: number) => Ask,
    listening: Listening,
    signal: AbortSignal,
  ): Promise<Answer> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    if (signal.aborted) return Promise.reject(cancelled());
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    let overdue: ReturnType<typeof setTimeout> | undefined;
    const cancel = () => {
      this.#port.postMessage({ kind: "cancel", id } satisfies Ask);
      overdue = setTimeout(() => this.#onHung(), CANCEL_TIMEOUT_MS);
    };
    const end = () => {
      clearTimeout(overdue);
      signal.removeEventListener("abort", cancel);
      this.#pending.delete(id);
      if (this.#pending.size === 0) {
        for (const idle of this.#idle.splice(0)) idle();
      }
    };
    this.#pending.set(id, {
      ...listening,
      startedAt: performance.now(),
      found: 0,
      output: 0,
      watched: false,
      settle: (answer) => (end(), resolve(answer)),
      fail: (error) => (end(), reject(error)),
    });
    signal.addEventListener("abort", cancel, { once: true });
    this.#port.postMessage(ask(id));
    return promise;
  }
}

function requestAsk(
  kind: "scan" | "plan",
  request: Request,
): (id: number) => Ask {
  const text = JSON.stringify(request.arguments);
  if (text.length > REQUEST_LENGTH_MAX) {
    throw new AppError(
      "payload_too_large",
      `Cannot take the arguments: they have ${text.length} characters of JSON, at most ` +
        `${REQUEST_LENGTH_MAX} are taken; name fewer targets`,
    );
  }
  const resolved = Object.fromEntries(request.resolved);
  return (id) => ({
    kind,
    id,
    request: text,
    rawSockets: request.rawSockets,
    resolved,
    labels: request.labels,
  });
}

/**
 * Findings come once an interval, and so does output. A flood of them would keep main and the store from
 * everything else; that main was busy and reads them late makes none of them early.
 */
function isInTime({ kind }: Answer, pending: Pending): boolean {
  if (kind !== "found" && kind !== "output") return true;
  const elapsedMs = performance.now() - pending.startedAt;
  return ++pending[kind] <= AHEAD_MAX + elapsedMs / TELL_INTERVAL_MS;
}

/** Only what was asked is answered, and with addresses: they become the targets of a scan. */
function isLookUpOf(
  found: ReadonlyMap<string, readonly string[]>,
  names: readonly string[],
): boolean {
  const asked = new Set(names.map((name) => name.toLowerCase()));
  return [...found].every(([name, addresses]) =>
    asked.has(name) && addresses.every((one) => parseAddress(one) !== null)
  );
}

function cancelled(): AppError {
  const body: ErrorBody = {
    code: "cancelled",
    message: "The request was cancelled",
  };
  return new AppError(body.code, body.message);
}

function unsound(answer: Answer): AppError {
  return new AppError(
    "internal",
    "Cannot read the isolate's answer; see the server log",
    { detail: `malformed answer "${answer.kind}"` },
  );
}

function unexpected(answer: Answer): AppError {
  return new AppError(
    "internal",
    "Cannot read the isolate's answer; see the server log",
    {
      detail: `unexpected answer "${answer.kind}"`,
    },
  );
}
