/**
 * A session of a client of 2025-11-25 or older over HTTP: one server, as many requests as the client
 * sends, and what is needed to cancel a call from another request and to read on after a connection
 * broke.
 *
 * A broken connection does not end a call at once, because the protocol lets the client come back for
 * the answer. If it does not come back within {@linkcode RESUME_MS_MAX}, it is gone, and its calls are
 * cancelled as they are over stdio.
 *
 * @module
 */
import {
  INTERNAL_ERROR,
  INVALID_REQUEST,
  isInitializeRequest,
  type JSONRPCMessage,
  type RequestId,
  type Server,
  type TransportSendOptions,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import { EventLog } from "./event_log.ts";
import { readMessage, refusal } from "./frame.ts";
import { answer } from "./http_body.ts";
import { watched } from "./http_stream.ts";

/** How long a client may be away while its calls run. */
export const RESUME_MS_MAX = 60_000;

/** Most requests of a session without an answer. */
export const SESSION_IN_FLIGHT_MAX = 128;

/** Most bytes of those. */
export const SESSION_IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024;

/** Most messages of a batch, in the one revision that has them. */
export const BATCH_MAX = 32;

/** The one revision with batches. */
const BATCHES = "2025-03-26";

/** Whose a session is. */
export interface Owner {
  readonly subject: string;
  readonly tenant: string;
}

/** Options of {@linkcode HttpSession}. */
export interface HttpSessionOptions {
  readonly id: string;
  readonly owner: Owner;
  readonly server: Server;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly onError: (error: Error) => void;
}

/** A request without an answer. */
interface Pending {
  readonly bytes: number;
  /** When the connection broke that its answer would go to. */
  lostAt: number | null;
}

/** A session. */
export class HttpSession {
  readonly id: string;
  readonly owner: Owner;
  readonly #options: HttpSessionOptions;
  readonly #transport: SessionTransport;
  readonly #events: EventLog;
  readonly #pending = new Map<RequestId, Pending>();
  #pendingBytes = 0;
  /** The requests whose answers go to each stream. */
  readonly #streams = new Map<string, Set<RequestId>>();
  /** The requests that are just being taken in. */
  #taking: readonly RequestId[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #readers = 0;
  #usedAt: number;
  #closed = false;

  /** @param options Id, owner, server and clock. */
  constructor(options: HttpSessionOptions) {
    this.id = options.id;
    this.owner = options.owner;
    this.#options = options;
    this.#usedAt = options.now();
    this.#events = new EventLog({
      now: options.now,
      onStream: (streamId) => this.#learn(streamId),
    });
    this.#transport = new SessionTransport(options.id, this.#events, {
      isPending: (id) => this.#pending.has(id),
      answered: (id) => this.#forget(id),
    });
  }

  /** Joins server and transport. */
  async start(): Promise<void> {
    const { server, onError } = this.#options;
    await server.connect(this.#transport);
    this.#transport.onerror = onError;
  }

  /** Whether calls run. */
  get isBusy(): boolean {
    return this.#pending.size > 0;
  }

  /** Whether it has ended. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** When it was used last. */
  get usedAt(): number {
    return this.#readers > 0 || this.isBusy
      ? this.#options.now()
      : this.#usedAt;
  }

  /**
   * Takes a POST.
   *
   * @param request The request; its body was read.
   * @param value The body.
   * @param bytes Its size.
   * @returns The response.
   */
  async post(
    request: Request,
    value: unknown,
    bytes: number,
  ): Promise<Response> {
    this.#touch();
    const messages: JSONRPCMessage[] = [];
    for (const one of this.#messagesIn(value)) {
      const read = one === null ? null : readMessage(one.value);
      if (read === null) {
        const why = "this revision has no batches; send one message a request";
        return answer(400, refusal(INVALID_REQUEST, why));
      }
      if (read.kind === "refused") return answer(400, read.refusal);
      messages.push(read.message);
    }
    const ids = messages.flatMap((message) => idOfRequest(message) ?? []);
    const refused = this.#refusalOf(ids, bytes);
    if (refused !== null) return refused;
    // One at a time: a stream that opens meanwhile is the one of these requests.
    const response = await this.#inTurn(async () => {
      this.#admit(ids, bytes);
      this.#taking = ids;
      try {
        return await this.#transport.handleRequest(request, {
          parsedBody: value,
        });
      } finally {
        this.#taking = [];
      }
    });
    // A request that was not taken gets no answer but this one.
    if (response.status !== 200) { for (const id of ids) this.#forget(id); }
    for (const message of messages) this.#heedCancellation(message);
    return watched(response, (broke) => {
      if (broke) this.#lose(ids);
    });
  }

  /**
   * Takes a GET: the stream of the session, or the rest of a stream that broke.
   *
   * @param request The request.
   * @returns The response.
   */
  async get(request: Request): Promise<Response> {
    this.#touch();
    const lastEventId = request.headers.get("last-event-id");
    const streamId = lastEventId === null
      ? undefined
      : await this.#events.getStreamIdForEventId(lastEventId);
    const ids = [...this.#streams.get(streamId ?? "") ?? []];
    // The client knows better than this end whether its connection broke.
    for (const id of ids) this.#transport.closeSSEStream(id);
    const response = await this.#transport.handleRequest(request);
    if (response.status !== 200) return response;
    for (const id of ids) this.#find(id);
    this.#readers++;
    return watched(response, (broke) => {
      this.#readers--;
      this.#touch();
      if (broke) this.#lose(ids);
    });
  }

  /**
   * Takes a DELETE: the session ends, and its calls are cancelled.
   *
   * @param request The request.
   * @returns The response.
   */
  async delete(request: Request): Promise<Response> {
    const response = await this.#transport.handleRequest(request);
    if (response.ok) await this.close();
    return response;
  }

  /** Cancels the calls of a client that did not come back, and forgets old events. */
  sweep(): void {
    this.#events.sweep();
    const lostBefore = this.#options.now() - RESUME_MS_MAX;
    for (const [id, { lostAt }] of [...this.#pending]) {
      if (lostAt !== null && lostAt <= lostBefore) this.#cancel(id);
    }
    for (const [streamId, ids] of [...this.#streams]) {
      for (const id of ids) if (!this.#pending.has(id)) ids.delete(id);
      if (ids.size === 0) this.#streams.delete(streamId);
    }
  }

  /** Ends it; its calls are cancelled. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending.clear();
    this.#pendingBytes = 0;
    this.#streams.clear();
    // Closes the transport, which lets go of every stream and aborts every handler.
    await this.#options.server.close();
    await this.#transport.close();
    this.#events.clear();
  }

  /** The values of a body; null stands for a batch where there may be none. */
  #messagesIn(value: unknown): readonly ({ readonly value: unknown } | null)[] {
    if (!Array.isArray(value)) return [{ value }];
    const { server } = this.#options;
    const may = server.getNegotiatedProtocolVersion() === BATCHES &&
      value.length > 0 && value.length <= BATCH_MAX;
    return may ? value.map((one: unknown) => ({ value: one })) : [null];
  }

  #refusalOf(ids: readonly RequestId[], bytes: number): Response | null {
    if (
      new Set(ids).size < ids.length || ids.some((id) => this.#pending.has(id))
    ) {
      // No id: the answer to the first request with it is still to come.
      return answer(
        400,
        refusal(INVALID_REQUEST, "a request with this id is in flight"),
      );
    }
    const isFull = this.#pending.size + ids.length > SESSION_IN_FLIGHT_MAX ||
      this.#pendingBytes + bytes > SESSION_IN_FLIGHT_BYTES_MAX;
    if (ids.length === 0 || !isFull) return null;
    const why = "too many requests are in flight; wait for an answer";
    return answer(429, refusal(INTERNAL_ERROR, why, ids[0]), {
      "retry-after": "5",
    });
  }

  #admit(ids: readonly RequestId[], bytes: number): void {
    for (const id of ids) {
      const share = bytes / ids.length;
      this.#pending.set(id, { bytes: share, lostAt: null });
      this.#pendingBytes += share;
    }
  }

  #forget(id: RequestId): void {
    this.#pendingBytes -= this.#pending.get(id)?.bytes ?? 0;
    this.#pending.delete(id);
    this.#touch();
  }

  #lose(ids: readonly RequestId[]): void {
    const lostAt = this.#options.now();
    for (const id of ids) {
      const pending = this.#pending.get(id);
      if (pending !== undefined) pending.lostAt = lostAt;
    }
  }

  #find(id: RequestId): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined) pending.lostAt = null;
  }

  /** Remembers to which requests a stream belongs. */
  #learn(streamId: string): void {
    const { sendingFor } = this.#transport;
    if (sendingFor === null) return;
    const ids = sendingFor === undefined ? this.#taking : [sendingFor];
    if (ids.length === 0) return;
    const known = this.#streams.get(streamId) ?? new Set();
    for (const id of ids) known.add(id);
    this.#streams.set(streamId, known);
  }

  #cancel(requestId: RequestId): void {
    const message: JSONRPCMessage = {
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId, reason: "the client is gone" },
    };
    this.#transport.onmessage?.(message);
    this.#heedCancellation(message);
  }

  /** A cancelled request gets no answer, and the SDK would keep its stream open for ever. */
  #heedCancellation(message: JSONRPCMessage): void {
    if (!("method" in message) || "id" in message) return;
    if (message.method !== "notifications/cancelled") return;
    const id = message.params?.["requestId"] as RequestId | undefined;
    if (id === undefined || !this.#pending.has(id)) return;
    this.#transport.end(id).catch(this.#options.onError);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const mine = Promise.withResolvers<void>();
    this.#turn = mine.promise;
    await before;
    try {
      return await work();
    } finally {
      mine.resolve();
    }
  }

  #touch(): void {
    this.#usedAt = this.#options.now();
  }
}

/** What a transport asks of its session. */
interface Requests {
  isPending(id: RequestId): boolean;
  answered(id: RequestId): void;
}

/** The SDK's transport, which tells what it sends to whom. */
class SessionTransport extends WebStandardStreamableHTTPServerTransport {
  /** The request that a message is just being sent for; null for none, undefined while nothing is sent. */
  sendingFor: RequestId | null | undefined;
  readonly #requests: Requests;

  constructor(id: string, eventStore: EventLog, requests: Requests) {
    super({ sessionIdGenerator: () => id, eventStore });
    this.#requests = requests;
  }

  override async send(
    message: JSONRPCMessage,
    options?: TransportSendOptions,
  ): Promise<void> {
    const answers = "method" in message ? undefined : message.id;
    // The answer to a request that was cancelled meanwhile.
    if (answers !== undefined && !this.#requests.isPending(answers)) return;
    await this.#send(message, answers ?? options?.relatedRequestId);
    if (answers !== undefined) this.#requests.answered(answers);
  }

  /**
   * Ends a request without an answer: its stream closes. Who comes back for it is told, so that no
   * client asks again and again.
   */
  async end(id: RequestId): Promise<void> {
    this.closeSSEStream(id);
    await this.#send(refusal(INTERNAL_ERROR, "it was cancelled", id), id);
    this.#requests.answered(id);
  }

  async #send(
    message: JSONRPCMessage,
    id: RequestId | undefined,
  ): Promise<void> {
    this.sendingFor = id ?? null;
    // The event is stored before the first wait, while the field holds.
    const sent = super.send(
      message,
      id === undefined ? {} : { relatedRequestId: id },
    );
    this.sendingFor = undefined;
    await sent;
  }
}

function idOfRequest(message: JSONRPCMessage): RequestId | undefined {
  return "method" in message && "id" in message ? message.id : undefined;
}

/**
 * Says whether a body opens a session.
 *
 * @param value The body.
 * @returns Whether it is an `initialize` request.
 */
export function opensSession(value: unknown): boolean {
  return isInitializeRequest(value);
}
