/**
 * Live events as Server-Sent Events.
 *
 * The stream writes when its reader reads and not before: nothing piles up here for a socket that
 * stalls. Its events wait in the listener's own bounded queue, and the stream ends when that is full, or
 * when nothing was read for some heartbeats. It ends cleanly, and the client comes back by itself with
 * the id of the last event that it saw.
 *
 * It does not look at the request's signal, which `Deno.serve` aborts after every answer: a client that
 * goes cancels the stream, and that is what ends it.
 *
 * @module
 */
import { type AppError, toAppError } from "@/error/app_error.ts";
import { eventBody } from "@/events/body.ts";
import type { LiveEvent } from "@/events/event.ts";

/** Milliseconds after which a client comes back. */
export const RETRY_MS = 3_000;

/** Heartbeats in which nothing is read, after which a stream is given up. */
export const STALLED_HEARTBEATS_MAX = 4;

/** Most characters of an id that a client sends. */
const LAST_ID_LENGTH_MAX = 128;

/** Events, and the id of the place up to which they were taken. */
export type Events = AsyncIterable<LiveEvent> & { readonly position?: string };

/** Options of {@linkcode eventStream}. */
export interface EventStreamOptions {
  /** Seconds of silence after which the stream says that it is there: `events.heartbeat_seconds`. */
  readonly heartbeatSeconds: number;
  /** Ends the stream: the server stops, or the credentials are no longer good. */
  readonly signal: AbortSignal;
  /** Hears of a fault that ended the stream; never of a client that was too slow. */
  readonly onFault: (error: AppError) => void;
}

/**
 * Reads where a client wants to go on.
 *
 * @param request Its request: the header `Last-Event-ID`, which browsers send when they come back.
 * @returns The id as it was sent, or null. What is no id is for the log to say.
 */
export function lastEventId(request: Request): string | null {
  const id = request.headers.get("last-event-id");
  return id === null || id === "" ? null : id.slice(0, LAST_ID_LENGTH_MAX);
}

/**
 * Answers with live events.
 *
 * @param listen Begins to listen; throws what refuses it, before there is an answer.
 * @param options Heartbeat and end.
 * @returns The answer. Its body ends when the listener does.
 */
export function eventStream(
  listen: (signal: AbortSignal) => Events,
  options: EventStreamOptions,
): Response {
  const stream = new Stream(listen, options);
  // Without a mark of its own nothing is made before it is asked for.
  const body = new ReadableStream<Uint8Array>(stream, { highWaterMark: 0 });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // A proxy that collects an answer would hold back what is live.
      "x-accel-buffering": "no",
    },
  });
}

/**
 * Writes one event.
 *
 * @param event The event.
 * @returns Its lines. JSON has no line end of its own.
 */
export function eventText(event: LiveEvent): string {
  const data = JSON.stringify(eventBody(event));
  return `id: ${event.id}\nevent: ${event.kind}\ndata: ${data}\n\n`;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

class Stream implements UnderlyingDefaultSource<Uint8Array> {
  readonly #options: EventStreamOptions;
  readonly #ending = new AbortController();
  readonly #encoder = new TextEncoder();
  readonly #events: Events;
  readonly #iterator: AsyncIterator<LiveEvent>;
  readonly #onAbort = (): void => this.#end();
  #controller: Controller | null = null;
  /** The result that came and was not written yet. */
  #come: IteratorResult<LiveEvent> | null = null;
  #awaited = false;
  #opened = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake: (() => void) | null = null;

  constructor(
    listen: (signal: AbortSignal) => Events,
    options: EventStreamOptions,
  ) {
    this.#options = options;
    this.#events = listen(this.#ending.signal);
    this.#iterator = this.#events[Symbol.asyncIterator]();
  }

  start(controller: Controller): void {
    this.#controller = controller;
    const { signal } = this.#options;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    if (signal.aborted) this.#end();
    else this.#watch();
  }

  async pull(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#opened) {
      this.#opened = true;
      this.#write(`retry: ${RETRY_MS}\n${this.#place()}\n`);
    } else {
      await this.#written();
    }
    this.#watch();
  }

  cancel(): void {
    // The stream is closed already.
    this.#controller = null;
    this.#end();
  }

  /** Waits for an event or a heartbeat, and writes it. */
  async #written(): Promise<void> {
    this.#ask();
    if (this.#come === null) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, this.#heartbeatMs);
      await promise;
      clearTimeout(this.#timer);
      this.#wake = null;
    }
    const come = this.#come;
    this.#come = null;
    if (come === null) this.#write(`: \n${this.#place()}\n`);
    else if (come.done === true) this.#end();
    else this.#write(eventText(come.value));
  }

  /** Asks for the next event, once: the answer may take many heartbeats. */
  #ask(): void {
    if (this.#awaited || this.#come !== null) return;
    this.#awaited = true;
    this.#iterator.next().then((result) => {
      this.#come = result;
    }, (thrown) => {
      const error = toAppError(thrown);
      if (error.code !== "rate_limited") this.#options.onFault(error);
      this.#come = { done: true, value: undefined };
    }).finally(() => {
      this.#awaited = false;
      this.#wake?.();
    });
  }

  /** An id by itself is no event: the client notes it, and comes back to there. */
  #place(): string {
    const { position } = this.#events;
    return position === undefined ? "" : `id: ${position}\n`;
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text));
  }

  /** Gives the stream up if nobody reads on. */
  #watch(): void {
    if (this.#controller === null) return;
    this.#timer = setTimeout(
      () => this.#end(),
      STALLED_HEARTBEATS_MAX * this.#heartbeatMs,
    );
  }

  get #heartbeatMs(): number {
    return 1_000 * this.#options.heartbeatSeconds;
  }

  #end(): void {
    const controller = this.#controller;
    this.#controller = null;
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#ending.abort();
    controller?.close();
    this.#wake?.();
  }
}
