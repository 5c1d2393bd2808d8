/**
 * What a session sent lately, so that a client whose connection broke can read on where it stopped.
 *
 * Bounded in bytes and in age: the oldest events go first. A client that asks for events behind a gap
 * is refused; it never gets a stream with a hole in it.
 *
 * @module
 */
import type { EventStore, JSONRPCMessage } from "@modelcontextprotocol/server";

/** Most bytes of a session's events. */
export const EVENT_BYTES_MAX = 1024 * 1024;

/** Oldest event that can still be asked for. */
export const EVENT_AGE_MS_MAX = 5 * 60_000;

/** What an event without a message counts, so that even those have a bound. */
const EVENT_BYTES_MIN = 64;

/** Options of {@linkcode EventLog}. */
export interface EventLogOptions {
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** @default {EVENT_BYTES_MAX} */
  readonly bytesMax?: number;
  /** Hears of the stream of each event that is kept, before it is. */
  readonly onStream?: (streamId: string) => void;
}

interface KeptEvent {
  readonly streamId: string;
  readonly number: number;
  readonly at: number;
  readonly bytes: number;
  /** JSON, so that no object of the session lives on for it; null for an event without a message. */
  readonly json: string | null;
}

/** The events of one session. */
export class EventLog implements EventStore {
  readonly #options: EventLogOptions;
  readonly #bytesMax: number;
  /** Oldest first; the key is the event's number. */
  readonly #events = new Map<number, KeptEvent>();
  /** The number of the last event of a stream that is gone. A stream without events is not here. */
  readonly #gaps = new Map<string, number>();
  /** How many events of each stream are kept. */
  readonly #counts = new Map<string, number>();
  #bytes = 0;
  #last = 0;

  /** @param options Clock and bound. */
  constructor(options: EventLogOptions) {
    this.#options = options;
    this.#bytesMax = options.bytesMax ?? EVENT_BYTES_MAX;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Keeps an event.
   *
   * @param streamId Its stream.
   * @param message Its message; an empty object opens a stream.
   * @returns Its id.
   */
  storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    this.#options.onStream?.(streamId);
    const json = "jsonrpc" in message ? JSON.stringify(message) : null;
    // UTF-16 in memory: two bytes a unit at the most.
    const bytes = EVENT_BYTES_MIN + 2 * (json?.length ?? 0);
    const number = ++this.#last;
    const at = this.#options.now();
    this.#events.set(number, { streamId, number, at, bytes, json });
    this.#counts.set(streamId, (this.#counts.get(streamId) ?? 0) + 1);
    this.#bytes += bytes;
    this.#shrink();
    return Promise.resolve(`${streamId}_${number}`);
  }

  /**
   * Finds the stream that an event belongs to.
   *
   * @param eventId The id that the client saw last: untrusted.
   * @returns The stream; undefined if this session has none, or if what came after is gone.
   */
  getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return Promise.resolve(this.#place(eventId)?.streamId);
  }

  /**
   * Sends a stream's events anew.
   *
   * @param eventId The id that the client saw last.
   * @param options Where to.
   * @returns The stream.
   * @throws {Error} If the events are not there any more.
   */
  async replayEventsAfter(
    eventId: string,
    { send }: {
      send: (eventId: string, message: JSONRPCMessage) => Promise<void>;
    },
  ): Promise<string> {
    const place = this.#place(eventId);
    if (place === undefined) throw new Error("Cannot resume: no such event");
    const { streamId, number } = place;
    for (const event of [...this.#events.values()]) {
      if (event.streamId !== streamId || event.number <= number) continue;
      if (event.json === null) continue;
      await send(`${streamId}_${event.number}`, JSON.parse(event.json));
    }
    return streamId;
  }

  /** Forgets what is too old. */
  sweep(): void {
    const oldest = this.#options.now() - EVENT_AGE_MS_MAX;
    for (const event of this.#events.values()) {
      if (event.at > oldest) break;
      this.#drop(event);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#events.clear();
    this.#counts.clear();
    this.#gaps.clear();
    this.#bytes = 0;
  }

  #place(eventId: string): { streamId: string; number: number } | undefined {
    const found = /^(.{1,64})_(\d{1,15})$/.exec(eventId);
    if (found === null) return undefined;
    const [, streamId = "", digits] = found;
    const number = Number(digits);
    if (!this.#counts.has(streamId) || number > this.#last) return undefined;
    const gap = this.#gaps.get(streamId) ?? 0;
    return number < gap ? undefined : { streamId, number };
  }

  #shrink(): void {
    for (const event of this.#events.values()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#drop(event);
    }
  }

  #drop({ streamId, number, bytes }: KeptEvent): void {
    this.#events.delete(number);
    this.#bytes -= bytes;
    const left = (this.#counts.get(streamId) ?? 1) - 1;
    if (left > 0) {
      this.#counts.set(streamId, left);
      this.#gaps.set(streamId, number);
    } else {
      // Nothing of it can be asked for, so nothing needs to be known of it.
      this.#counts.delete(streamId);
      this.#gaps.delete(streamId);
    }
  }
}
