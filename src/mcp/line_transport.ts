/**
 * The stdio transport: one message a line, on streams that are passed in.
 *
 * The SDK has one of its own. It keeps up to 10 MB of an unfinished line, says nothing to a line that
 * is no JSON, takes any depth and any number of requests, and closes without letting the answers out
 * that were on their way. Here every one of those has a cap and an answer.
 *
 * @module
 */
import {
  INTERNAL_ERROR,
  INVALID_REQUEST,
  type JSONRPCMessage,
  type RequestId,
  type Transport,
} from "@modelcontextprotocol/server";
import { readFrame, refusal } from "./frame.ts";
import { type Line, LineSplitter } from "./lines.ts";

/** Most bytes of a line that is read. */
export const LINE_BYTES_MAX = 4 * 1024 * 1024;

/** Most requests without an answer. */
export const IN_FLIGHT_MAX = 1_024;

/**
 * Most bytes of requests without an answer. A request stays in memory until it is answered, several
 * times over, so a thousand large ones would end the process.
 */
export const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes that wait to be read by the client, above which no more is read from it. */
export const UNSENT_BYTES_MAX = 16 * 1024 * 1024;

/** How long answers may take once the client has closed its end. */
export const DRAIN_MS = 250;

/** Options of {@linkcode LineTransport}. */
export interface LineTransportOptions {
  readonly input: ReadableStream<Uint8Array>;
  readonly output: WritableStream<Uint8Array>;
  /** @default {LINE_BYTES_MAX} */
  readonly lineBytesMax?: number;
  /** @default {IN_FLIGHT_MAX} */
  readonly inFlightMax?: number;
}

/** A connection over two streams of bytes. */
export class LineTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: Transport["onmessage"];

  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #splitter: LineSplitter;
  readonly #inFlightMax: number;
  /** Each request and its bytes. */
  readonly #inFlight = new Map<RequestId, number>();
  #inFlightBytes = 0;
  readonly #encoder = new TextEncoder();
  #unsentBytes = 0;
  #changed = Promise.withResolvers<void>();
  #closed = false;

  /** @param options The streams and the caps. */
  constructor(options: LineTransportOptions) {
    this.#reader = options.input.getReader();
    this.#writer = options.output.getWriter();
    this.#splitter = new LineSplitter(options.lineBytesMax ?? LINE_BYTES_MAX);
    this.#inFlightMax = options.inFlightMax ?? IN_FLIGHT_MAX;
  }

  /** Starts to read. */
  start(): Promise<void> {
    this.#read().catch((error: unknown) => this.#fail(error));
    return Promise.resolve();
  }

  /**
   * Sends a message.
   *
   * @param message The message.
   * @throws {Error} If the client is gone.
   */
  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#closed) throw new Error("Cannot send: the connection is closed");
    const bytes = this.#encoder.encode(`${JSON.stringify(message)}\n`);
    this.#unsentBytes += bytes.length;
    try {
      await this.#writer.write(bytes);
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#unsentBytes -= bytes.length;
      if (!("method" in message) && message.id !== undefined) {
        this.#forget(message.id);
      }
      this.#wake();
    }
  }

  /** Ends the connection. Answers that are still on their way are dropped. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake();
    this.onclose?.();
    // Either stream may have ended by itself, which is as good.
    await this.#reader.cancel().catch(() => {});
    this.#writer.releaseLock();
  }

  async #read(): Promise<void> {
    while (!this.#closed) {
      const { done, value } = await this.#reader.read();
      if (done) break;
      for (const line of this.#splitter.push(value)) {
        if (this.#closed) return;
        await this.#take(line);
      }
    }
    await this.#drain();
    await this.close();
  }

  async #take(line: Line): Promise<void> {
    while (this.#unsentBytes > UNSENT_BYTES_MAX && !this.#closed) {
      await this.#changed.promise;
    }
    if (line.kind === "too_long") {
      await this.send(refusal(INVALID_REQUEST, "it is too long"));
      return;
    }
    const frame = readFrame(line.bytes);
    if (frame.kind === "blank") return;
    if (frame.kind === "refused") {
      await this.send(frame.refusal);
      return;
    }
    const refused = this.#admit(frame.message, line.bytes.length);
    if (refused !== null) {
      await this.send(refused);
      return;
    }
    this.onmessage?.(frame.message);
  }

  /** Keeps count of requests. Returns the refusal of one that may not come in. */
  #admit(message: JSONRPCMessage, bytes: number): JSONRPCMessage | null {
    if (!("method" in message)) return null;
    if (!("id" in message) || message.id === undefined) {
      const { method, params } = message;
      if (method === "notifications/cancelled") {
        // A cancelled request gets no answer.
        this.#forget(params?.["requestId"] as RequestId);
      }
      return null;
    }
    if (this.#inFlight.has(message.id)) {
      // No id: the answer to the first request with it is still to come.
      return refusal(INVALID_REQUEST, "a request with this id is in flight");
    }
    if (this.#inFlight.size >= this.#inFlightMax) {
      return refusal(
        INTERNAL_ERROR,
        `${this.#inFlightMax} requests are in flight; wait for an answer`,
        message.id,
      );
    }
    if (this.#inFlightBytes + bytes > IN_FLIGHT_BYTES_MAX) {
      return refusal(
        INTERNAL_ERROR,
        "the requests in flight are too large; wait for an answer",
        message.id,
      );
    }
    this.#inFlight.set(message.id, bytes);
    this.#inFlightBytes += bytes;
    return null;
  }

  #forget(id: RequestId): void {
    this.#inFlightBytes -= this.#inFlight.get(id) ?? 0;
    this.#inFlight.delete(id);
  }

  /** Lets the answers out that come soon, for the clients that close their end after asking. */
  async #drain(): Promise<void> {
    const timer = Promise.withResolvers<void>();
    const id = setTimeout(timer.resolve, DRAIN_MS);
    let late = false;
    timer.promise.then(() => late = true);
    while (this.#inFlight.size > 0 && !late && !this.#closed) {
      await Promise.race([this.#changed.promise, timer.promise]);
    }
    clearTimeout(id);
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    this.close().catch(() => {
      // Closing is the answer to the failure; there is nothing left to do about its own.
    });
  }
}
