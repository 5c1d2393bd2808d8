/**
 * Live events over a WebSocket: a client says which scans it wants to hear of.
 *
 * Client: `{"type":"subscribe","scan_id":"…"|"*","after":"…","output":true|false}`,
 * `{"type":"unsubscribe","scan_id":…}`, `{"type":"ping"}`. Server: `subscribed`, `unsubscribed`, `pong`,
 * `event`, `error`. `scan_id` is `*` where it is left out, and `output` is false: only who asks for it
 * hears `scan.output`, the lines that a tool prints. Credentials were proved before the socket opened.
 *
 * A socket says only by its buffer how fast the other side reads. So events are written as long as that
 * is small, wait in the listener's bounded queue while it is not, and the socket is closed when it stays
 * so: 1013, come back later with `after`. Other closes: 1001 the server stops, 1003 binary data, 1008
 * too many messages or too many malformed ones, 1009 a message that is too long. See `PartingLine` for
 * how a client that still sends gets to know which.
 *
 * @module
 */
import { LEASE_ENDS } from "@/identity/leases.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { eventBody } from "@/events/body.ts";
import type { Listening } from "@/dispatch/administration.ts";
import type { Events } from "./event_stream.ts";
import { PartingLine } from "./parting.ts";

/** Most bytes of a message from a client. */
export const MESSAGE_BYTES_MAX = 16_384;

/** Most subscriptions of a socket. */
export const SUBSCRIPTIONS_MAX = 64;

/** Malformed messages after which a socket is closed. */
export const MALFORMED_MAX = 10;

/** Most messages in ten seconds. */
export const MESSAGES_MAX = 300;

/** Bytes that may wait in a socket before its events wait where they are bounded. */
export const BUFFERED_PAUSE = 262_144;

/** Bytes that may wait in a socket at all. */
export const BUFFERED_MAX = 1_048_576;

/** Milliseconds in which a socket that is full has to get empty. */
export const STALLED_MS = 30_000;

/** Milliseconds between two looks at a socket that is full. */
const LOOK_MS = 50;

const WINDOW_MS = 10_000;
const ID_LENGTH_MAX = 128;
const ALL = "*";
const SCAN_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The caller's events. */
export interface Hearing {
  /** Throws what refuses it. */
  listen(listening: Listening): Events;
}

/** What a conversation needs of a socket. */
export interface Line {
  readonly bufferedAmount: number;
  send(text: string): void;
  close(code: number, reason: string): void;
}

/** Options of {@linkcode Conversation}. */
export interface ConversationOptions {
  /** Ends it: the server stops, or the credentials are no longer good. */
  readonly signal: AbortSignal;
  /** Milliseconds, never going back. */
  readonly now: () => number;
  /** Hears of a fault. */
  readonly onFault: (error: AppError) => void;
}

/** Options of {@linkcode openSocket}. */
export interface SocketOptions extends ConversationOptions {
  /** Seconds of silence after which the client is asked whether it is there. */
  readonly idleSeconds: number;
  /** Hears that the socket is over, whoever ended it. */
  readonly onEnd?: () => void;
}

/**
 * Opens a WebSocket.
 *
 * @param request The handshake. Everything that is needed of it is read here: later it is gone.
 * @param hearing The caller's events.
 * @param options Bounds and end.
 * @returns The answer to the handshake; it must be handed on as it is.
 * @throws {AppError} `invalid_arguments` if it is no handshake.
 */
export function openSocket(
  request: Request,
  hearing: Hearing,
  options: SocketOptions,
): Response {
  const { socket, response } = upgrade(request, options.idleSeconds);
  const line = new PartingLine(socket, options.now);
  const conversation = new Conversation(line, hearing, options);
  socket.onopen = () => conversation.open();
  socket.onmessage = ({ data }) => {
    line.heard(data);
    conversation.hear(data);
  };
  socket.onclose = () => {
    line[Symbol.dispose]();
    conversation.end();
    options.onEnd?.();
  };
  // Without a listener a broken pipe would be an error that nobody caught.
  socket.onerror = () => conversation.end();
  return response;
}

function upgrade(
  request: Request,
  idleTimeout: number,
): Deno.WebSocketUpgrade {
  try {
    return Deno.upgradeWebSocket(request, { idleTimeout });
  } catch (thrown) {
    throw new AppError(
      "invalid_arguments",
      "Cannot open a socket: the request is no WebSocket handshake; send it with Upgrade: websocket",
      { cause: thrown, detail: String(thrown) },
    );
  }
}

/** What a client says. */
type Message =
  | {
    readonly type: "subscribe";
    readonly scanId: string;
    readonly after: string | null;
    readonly output: boolean;
  }
  | { readonly type: "unsubscribe"; readonly scanId: string }
  | { readonly type: "ping" };

/** One client and what it hears of. */
export class Conversation {
  readonly #line: Line;
  readonly #hearing: Hearing;
  readonly #options: ConversationOptions;
  readonly #subscriptions = new Map<string, AbortController>();
  readonly #ending = new AbortController();
  readonly #onAbort = (): void => {
    const { reason } = this.#options.signal;
    if (reason === LEASE_ENDS[0]) this.#close(1008, reason);
    else this.#close(1001, "the server stops");
  };
  #over = false;
  #malformed = 0;
  #messages = 0;
  #windowAt = -Infinity;

  /**
   * @param line The socket.
   * @param hearing The caller's events.
   * @param options Bounds and end.
   */
  constructor(line: Line, hearing: Hearing, options: ConversationOptions) {
    this.#line = line;
    this.#hearing = hearing;
    this.#options = options;
    options.signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** The socket is open. */
  open(): void {
    // The server may have stopped between the handshake and now.
    if (this.#options.signal.aborted) this.#onAbort();
  }

  /**
   * Hears a message.
   *
   * @param data What came: text, or bytes in any shape.
   */
  hear(data: unknown): void {
    if (this.#over) return;
    if (typeof data !== "string") {
      this.#close(1003, "only text is read");
    } else if (bytesOf(data) > MESSAGE_BYTES_MAX) {
      this.#close(1009, `a message has at most ${MESSAGE_BYTES_MAX} bytes`);
    } else if (this.#isFlood()) {
      this.#close(1008, "too many messages");
    } else {
      this.#answer(data);
    }
  }

  /** The socket is gone, or is to be. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#ending.abort();
    for (const subscription of this.#subscriptions.values()) {
      subscription.abort();
    }
    this.#subscriptions.clear();
  }

  #answer(text: string): void {
    try {
      const message = parseMessage(text);
      switch (message.type) {
        case "subscribe":
          return this.#subscribe(message);
        case "unsubscribe":
          this.#subscriptions.get(message.scanId)?.abort();
          this.#subscriptions.delete(message.scanId);
          return this.#say({ type: "unsubscribed", scan_id: message.scanId });
        case "ping":
          return this.#say({ type: "pong" });
      }
    } catch (thrown) {
      this.#refuse(toAppError(thrown));
    }
  }

  #refuse(error: AppError): void {
    if (error.code === "internal") this.#options.onFault(error);
    this.#say({ type: "error", ...error.toBody() });
    if (error.code !== "invalid_arguments") return;
    if (++this.#malformed >= MALFORMED_MAX) {
      this.#close(1008, "too many malformed messages");
    }
  }

  #subscribe(
    { scanId, after, output }: Message & { type: "subscribe" },
  ): void {
    const isNew = !this.#subscriptions.has(scanId);
    if (isNew && this.#subscriptions.size >= SUBSCRIPTIONS_MAX) {
      throw new AppError(
        "quota_exceeded",
        `Cannot subscribe: a socket has at most ${SUBSCRIPTIONS_MAX} subscriptions; subscribe to "*", or unsubscribe from one`,
      );
    }
    const subscription = new AbortController();
    const events = this.#hearing.listen({
      after,
      ...(scanId === ALL ? {} : { scanId }),
      output,
      signal: subscription.signal,
    });
    // Asked for again, it begins anew.
    this.#subscriptions.get(scanId)?.abort();
    this.#subscriptions.set(scanId, subscription);
    const from = events.position ?? null;
    this.#say({ type: "subscribed", scan_id: scanId, after: from });
    void this.#relay(scanId, events, subscription);
  }

  /** Writes the events of one subscription, as fast as the socket takes them. Never rejects. */
  async #relay(
    scanId: string,
    events: Events,
    subscription: AbortController,
  ): Promise<void> {
    const { signal } = subscription;
    try {
      for await (const event of events) {
        if (signal.aborted || !await this.#hasRoom() || signal.aborted) return;
        this.#say({ type: "event", subscription: scanId, ...eventBody(event) });
      }
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code !== "rate_limited") this.#options.onFault(error);
      this.#say({
        type: "error",
        subscription: scanId,
        ...error.toBody(),
      });
      this.#close(1013, "too slow for the events");
    } finally {
      subscription.abort();
      if (this.#subscriptions.get(scanId) === subscription) {
        this.#subscriptions.delete(scanId);
      }
    }
  }

  /** Waits until the other side has read most of what was written; gives up if it does not. */
  async #hasRoom(): Promise<boolean> {
    const since = this.#options.now();
    while (!this.#over && this.#line.bufferedAmount > BUFFERED_PAUSE) {
      if (this.#options.now() - since > STALLED_MS) {
        this.#close(1013, "too slow for the events");
        return false;
      }
      await pause(LOOK_MS, this.#ending.signal);
    }
    return !this.#over;
  }

  #say(message: Readonly<Record<string, unknown>>): void {
    if (this.#over) return;
    if (this.#line.bufferedAmount > BUFFERED_MAX) {
      this.#close(1013, "too slow for the answers");
      return;
    }
    try {
      this.#line.send(JSON.stringify(message));
    } catch {
      // It closes: nobody hears it any more.
      this.end();
    }
  }

  #close(code: number, reason: string): void {
    if (this.#over) return;
    this.end();
    try {
      this.#line.close(code, reason);
    } catch {
      // It is closed already.
    }
  }

  #isFlood(): boolean {
    const now = this.#options.now();
    if (now - this.#windowAt >= WINDOW_MS) {
      this.#windowAt = now;
      this.#messages = 0;
    }
    return ++this.#messages > MESSAGES_MAX;
  }
}

/** A text of that many characters has at least as many bytes: a long one is not encoded. */
function bytesOf(text: string): number {
  return text.length > MESSAGE_BYTES_MAX
    ? text.length
    : new TextEncoder().encode(text).byteLength;
}

const FIELDS: Readonly<Record<Message["type"], readonly string[]>> = {
  subscribe: ["type", "scan_id", "after", "output"],
  unsubscribe: ["type", "scan_id"],
  ping: ["type"],
};

function parseMessage(text: string): Message {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw malformed("expected an object");
  }
  const { type, scan_id, after, output = false } = value as Record<
    string,
    unknown
  >;
  if (typeof type !== "string" || !Object.hasOwn(FIELDS, type)) {
    throw malformed('"type" is one of subscribe, unsubscribe, ping');
  }
  const kind = type as Message["type"];
  const stray = Object.keys(value).find((key) => !FIELDS[kind].includes(key));
  if (stray !== undefined) throw malformed(`${kind} has no such field`);
  if (kind === "ping") return { type: kind };
  const scanId = scan_id ?? ALL;
  if (
    typeof scanId !== "string" || (scanId !== ALL && !SCAN_ID.test(scanId))
  ) throw malformed('"scan_id" is the id of a scan, or "*" for all');
  if (kind === "unsubscribe") return { type: kind, scanId };
  const from = after ?? null;
  if (from !== null && typeof from !== "string") {
    throw malformed('"after" is the id of an event');
  }
  if (typeof output !== "boolean") {
    throw malformed('"output" is true or false');
  }
  return {
    type: kind,
    scanId,
    output,
    after: from === null || from === "" ? null : from.slice(0, ID_LENGTH_MAX),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed("it is no JSON");
  }
}

function malformed(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot read the message: ${why}; see the documentation of /ws`,
  );
}

/** Waits, or until it is over. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const end = (): void => resolve();
  signal.addEventListener("abort", end, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  });
}
