/**
 * One listener: what it missed, then what comes, in order, within a bound.
 *
 * What it missed is read from the log as the listener asks for it, so that coming back costs no memory.
 * What comes then waits in a queue of its own. A listener whose queue is full is dropped: nobody waits
 * for it, and its queue goes at once. It finds the way back by the id of the last event that it saw.
 *
 * What scans print has a small part of the queue, in which the newest push out the oldest: nobody is
 * dropped because of it.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { LiveEvent } from "./event.ts";
import { Line, type Place } from "./line.ts";
import { addSkipped, linesOf } from "./output.ts";

/** The part of a full queue from which on only the last progress of a scan waits. */
const COALESCE_FROM = 1 / 4;

/** Most events of output that wait, however long the queue. */
const OUTPUT_MAX = 16;

/** What is read from the log. */
export interface Missed {
  /** The next event behind the last one, or null if there is none. Throws if it is gone. */
  next(): LiveEvent | null;
  /** The id of a place behind everything so far. */
  position(): string;
}

/** What {@linkcode Listener} works with. */
export interface ListenerOptions {
  readonly missed: Missed;
  /** Whether it begins with what it missed. */
  readonly behind: boolean;
  /** What comes before everything else: the notice of a gap. */
  readonly first: LiveEvent | null;
  /** The id of the place where it begins. */
  readonly begin: string;
  /** Most events that wait. */
  readonly queueMax: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Hears once that it is over, and whether it was dropped for being too slow. */
  readonly onEnd: (listener: Listener, dropped: boolean) => void;
}

const END: IteratorResult<LiveEvent> = { done: true, value: undefined };

/** A listener. It can be iterated once. */
export class Listener implements AsyncIterableIterator<LiveEvent> {
  readonly #options: ListenerOptions;
  readonly #queue = new Line<LiveEvent>();
  readonly #progress = new Map<string, Place<LiveEvent>>();
  /** Where output waits in the queue, the oldest first. */
  readonly #output: Place<LiveEvent>[] = [];
  /** How many lines of output were pushed out since a scan's last ones were handed out. */
  readonly #skipped = new Map<string | null, number>();
  readonly #onAbort = (): void => this.#end(null);
  #number = 0;
  #behind: boolean;
  #first: LiveEvent | null;
  #last: string;
  /** The id of what was handed out and is not known to have been taken. */
  #handed: string | null = null;
  #over = false;
  #error: AppError | null = null;
  #waiting: PromiseWithResolvers<IteratorResult<LiveEvent>> | null = null;

  /** @param options What it works with. */
  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#behind = options.behind;
    this.#first = options.first;
    this.#last = options.begin;
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
    if (options.signal.aborted) this.#end(null);
  }

  /** How many events wait. */
  get queued(): number {
    return this.#queue.size;
  }

  /**
   * The id to come back with. An event counts as taken when the next one is asked for: whoever died
   * over it gets it again.
   */
  get position(): string {
    // Whoever waits has everything that is for this listener.
    if (this.#waiting !== null) this.#last = this.#options.missed.position();
    return this.#last;
  }

  /**
   * Takes an event; never waits.
   *
   * @param event An event that this listener may see.
   */
  offer(event: LiveEvent): void {
    // It comes to it by itself.
    if (this.#over || this.#behind) return;
    if (this.#waiting !== null) {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting.resolve(this.#handOut(event));
      return;
    }
    if (event.kind === "scan.output") return this.#queueOutput(event);
    this.#coalesce(event);
    if (this.#queue.size >= this.#options.queueMax) {
      this.#end(tooSlow());
      return;
    }
    const place = this.#queue.push(++this.#number, event);
    if (event.kind === "scan.progress" && event.scanId !== null) {
      this.#progress.set(event.scanId, place);
    }
  }

  /**
   * Gives the next event, as soon as there is one.
   *
   * @returns The event, or the end.
   * @throws {AppError} `rate_limited` once it is dropped for being too slow.
   */
  next(): Promise<IteratorResult<LiveEvent>> {
    if (this.#waiting !== null) {
      return Promise.reject(
        new TypeError("Cannot ask for two events at once: one is awaited"),
      );
    }
    this.#last = this.#handed ?? this.#last;
    this.#handed = null;
    const event = this.#over ? null : this.#take();
    if (event !== null) return Promise.resolve(this.#handOut(event));
    if (this.#over) {
      const error = this.#error;
      this.#error = null;
      return error === null ? Promise.resolve(END) : Promise.reject(error);
    }
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** Ends it: whoever iterates has seen enough. */
  return(): Promise<IteratorResult<LiveEvent>> {
    this.#end(null);
    this.#error = null;
    return Promise.resolve(END);
  }

  /** Ends it from the other side: the server stops. */
  stop(): void {
    this.#end(null);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(): LiveEvent | null {
    const first = this.#first;
    if (first !== null) {
      this.#first = null;
      return first;
    }
    if (this.#behind) {
      const missed = this.#missed();
      if (missed !== null || this.#over) return missed;
      // From here on it hears of everything as it is told.
      this.#behind = false;
    }
    const event = this.#queue.shift()?.item ?? null;
    if (event === null) return null;
    if (event.kind === "scan.progress") this.#forget(event);
    if (event.kind === "scan.output") this.#output.shift();
    return event;
  }

  #missed(): LiveEvent | null {
    try {
      return this.#options.missed.next();
    } catch (thrown) {
      this.#end(thrown instanceof AppError ? thrown : tooSlow());
      return null;
    }
  }

  #handOut(event: LiveEvent): IteratorResult<LiveEvent> {
    this.#handed = event.id;
    return { done: false, value: this.#withSkipped(event) };
  }

  /** Says of output that lines before it were pushed out. */
  #withSkipped(event: LiveEvent): LiveEvent {
    const { kind, scanId, data } = event;
    if (kind !== "scan.output" && kind !== "scan.ended") return event;
    const skipped = this.#skipped.get(scanId);
    this.#skipped.delete(scanId);
    return kind === "scan.ended" || skipped === undefined
      ? event
      : { ...event, data: addSkipped(data, skipped) };
  }

  /** What a newer progress or the end of the scan says better need not wait once much does. */
  #coalesce({ kind, scanId }: LiveEvent): void {
    if (scanId === null) return;
    if (kind !== "scan.progress" && kind !== "scan.ended") return;
    const before = this.#progress.get(scanId);
    if (before === undefined) return;
    if (this.#queue.size >= this.#options.queueMax * COALESCE_FROM) {
      this.#queue.remove(before);
    }
    this.#progress.delete(scanId);
  }

  #queueOutput(event: LiveEvent): void {
    const max = Math.min(
      OUTPUT_MAX,
      Math.floor(this.#options.queueMax * COALESCE_FROM),
    );
    const oldest = this.#output.length < max ? undefined : this.#output.shift();
    if (oldest !== undefined && oldest.item !== null) {
      const { scanId, data } = oldest.item;
      const before = this.#skipped.get(scanId) ?? 0;
      this.#skipped.set(scanId, before + linesOf(data));
      this.#queue.remove(oldest);
    }
    this.#output.push(this.#queue.push(++this.#number, event));
  }

  #forget({ scanId }: LiveEvent): void {
    if (scanId === null) return;
    if (this.#progress.get(scanId)?.item === null) {
      this.#progress.delete(scanId);
    }
  }

  #end(error: AppError | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#first = null;
    this.#queue.clear();
    this.#progress.clear();
    this.#output.length = 0;
    this.#skipped.clear();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#options.onEnd(this, error !== null);
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(END);
  }
}

/** What a listener is dropped with. */
export function tooSlow(): AppError {
  return new AppError(
    "rate_limited",
    "Cannot go on with the events: too many wait for this listener; come back with the id of the last event (Last-Event-ID)",
    { retryAfter: 1 },
  );
}
