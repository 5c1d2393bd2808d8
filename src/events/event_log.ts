/**
 * Tells live events to whoever listens, and keeps the last of them for who comes back.
 *
 * Telling is part of the way of every scan, so it never waits and never fails: it hands the event to
 * each listener's own bounded queue and is done. Whoever is too slow for that is dropped, never the
 * server. What a listener sees is cut to its tenant before it is numbered, see `event_id.ts`.
 *
 * What a scan prints is told to those who watch it and never kept: it would push everything else out.
 * It has no number of its own but the id of the place where it stands, so that a listener comes back to
 * the events around it as if it had not been.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Happening, LiveEvent, OutputTeller, Whose } from "./event.ts";
import { type Position, readEventId, writeEventId } from "./event_id.ts";
import type { Kept, Lane } from "./lane.ts";
import { Lanes } from "./lanes.ts";
import { Listener, tooSlow } from "./listener.ts";

/** Most UTF-16 code units of one event's data as JSON. */
export const EVENT_LENGTH_MAX = 16_384;

/** About what stands around an event's data in memory. */
const EVENT_BYTES = 256;

/** Bounds and sources of {@linkcode EventLog}. */
export interface EventLogOptions {
  /** Most events that are kept: `events.keep`. */
  readonly keep: number;
  /**
   * Most bytes of them, about.
   *
   * @default {67_108_864}
   */
  readonly keepBytes?: number;
  /**
   * Most listeners.
   *
   * @default {20_000}
   */
  readonly listenersMax?: number;
  /**
   * Most listeners of one tenant: it must not take every place.
   *
   * @default {12_000}
   */
  readonly tenantListenersMax?: number;
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
}

/** Who listens, and to what. */
export interface ListenOptions {
  /** Whose events. */
  readonly tenant: string;
  /** Whether the events of the server itself are among them. */
  readonly seesServer: boolean;
  /** The id of the last event that was seen, or null for what comes from now on. Untrusted text. */
  readonly after: string | null;
  /** Only of this scan; null for all. */
  readonly scanId: string | null;
  /**
   * Whether what scans print is told too.
   *
   * @default {false}
   */
  readonly output?: boolean;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Most events that wait: `events.client_queue`. */
  readonly queueMax: number;
}

/** What the log holds, for metrics and tests. */
export interface EventLogState {
  readonly kept: number;
  readonly keptBytes: number;
  readonly tenants: number;
  readonly listeners: number;
  /** Events told since the start. */
  readonly told: number;
  /** Listeners that were dropped since the start for being too slow. */
  readonly dropped: number;
  /** Happenings whose data could not be told. */
  readonly unfit: number;
}

interface Heard {
  readonly listener: Listener;
  readonly scanId: string | null;
  readonly seesServer: boolean;
}

/** The live events of one server. */
export class EventLog implements OutputTeller {
  readonly #options: Required<EventLogOptions>;
  readonly #lanes: Lanes;
  /** By tenant. */
  readonly #heard = new Map<string, Map<Listener, Heard>>();
  /** Those that watch output, by tenant: they are looked for all the time, and mostly there is none. */
  readonly #watching = new Map<string, Set<Heard>>();
  #listeners = 0;
  #order = 0;
  #dropped = 0;
  #unfit = 0;
  #closed = false;

  /** @param options Bounds and sources. */
  constructor(options: EventLogOptions) {
    this.#options = {
      keepBytes: 64 * 1024 * 1024,
      listenersMax: 20_000,
      tenantListenersMax: 12_000,
      ...options,
    };
    this.#lanes = new Lanes({
      keep: options.keep,
      keepBytes: this.#options.keepBytes,
      random: options.random,
      isHeard: (tenant) => this.#heard.has(tenant),
    });
  }

  /** What it holds now. */
  get state(): EventLogState {
    return {
      kept: this.#lanes.size,
      keptBytes: this.#lanes.bytes,
      tenants: this.#lanes.count,
      listeners: this.#listeners,
      told: this.#order,
      dropped: this.#dropped,
      unfit: this.#unfit,
    };
  }

  tell(happening: Happening): void {
    if (this.#closed) return;
    const { kind, tenant, scanId } = happening;
    const { data, length } = this.#plain(happening.data);
    const at = this.#options.wallNow();
    const bytes = EVENT_BYTES + 2 * length;
    const order = ++this.#order;
    const kept: Kept = { kind, tenant, scanId, data, at, bytes, order };
    const lane = tenant === null ? this.#lanes.shared : this.#lanes.of(tenant);
    this.#lanes.add(lane, kept);
    if (tenant !== null) this.#tellTenant(tenant, kept);
    else for (const heard of this.#heard.keys()) this.#tellTenant(heard, kept);
  }

  isWatched({ tenant, scanId }: Whose): boolean {
    const watching = tenant === null ? undefined : this.#watching.get(tenant);
    return watching?.values().some((heard) => watches(heard, scanId)) ?? false;
  }

  tellOutput({ tenant, scanId }: Whose, told: Happening["data"]): void {
    const watching = tenant === null ? undefined : this.#watching.get(tenant);
    if (this.#closed || tenant === null || watching === undefined) return;
    const { data } = this.#plain(told);
    const { epoch, count: own } = this.#lanes.of(tenant);
    const happening: Happening = { kind: "scan.output", tenant, scanId, data };
    const at = this.#options.wallNow();
    for (const heard of watching) {
      if (!watches(heard, scanId)) continue;
      const shared = heard.seesServer ? this.#lanes.shared.count : 0;
      const position = { epoch, own, shared };
      heard.listener.offer(liveEvent({ ...happening, at }, position));
    }
  }

  /**
   * Listens. From this call on nothing is missed, whenever the first event is asked for.
   *
   * @param options Who listens, and to what.
   * @returns The events: first what came after `after`, then what comes. A notice `reset` comes first
   * where some of that is gone, or `after` is of another run.
   * @throws {AppError} `rate_limited` if too many listen; `tool_unavailable` when the server stops.
   */
  listen(options: ListenOptions): Listener {
    const { tenant, seesServer, scanId, output, signal, queueMax } = options;
    this.#admit(tenant);
    const lane = this.#lanes.of(tenant);
    const { position, reset } = this.#begin(lane, options);
    const missed = new Replay(lane, this.#lanes.shared, {
      position,
      scanId,
      seesServer,
    });
    const listener = new Listener({
      missed,
      behind: missed.isBehind,
      first: reset === null ? null : this.#resetNotice(tenant, position, reset),
      begin: writeEventId(position),
      queueMax,
      signal,
      onEnd: (ended, dropped) => {
        this.#forget(tenant, ended);
        if (dropped) this.#dropped++;
      },
    });
    // One whose signal was aborted before is over already.
    if (signal.aborted) return listener;
    const heard = { listener, scanId, seesServer };
    const others = this.#heard.get(tenant) ?? new Map<Listener, Heard>();
    this.#heard.set(tenant, others.set(listener, heard));
    this.#listeners++;
    if (output === true) {
      const watching = this.#watching.get(tenant) ?? new Set<Heard>();
      this.#watching.set(tenant, watching.add(heard));
    }
    return listener;
  }

  /** Ends every listener and tells nothing more: the server stops. */
  close(): void {
    this.#closed = true;
    for (const listeners of [...this.#heard.values()]) {
      for (const listener of [...listeners.keys()]) listener.stop();
    }
  }

  #admit(tenant: string): void {
    if (this.#closed) {
      throw new AppError(
        "tool_unavailable",
        "Cannot listen to events: the server is stopping; come back in a moment",
        { retryAfter: 5 },
      );
    }
    const { listenersMax, tenantListenersMax } = this.#options;
    const own = this.#heard.get(tenant)?.size ?? 0;
    if (this.#listeners < listenersMax && own < tenantListenersMax) return;
    throw new AppError(
      "rate_limited",
      "Cannot listen to events: too many listen already; close a stream, or come back later",
      { retryAfter: 30 },
    );
  }

  /** Finds where a listener begins, and why not where it wanted to. */
  #begin(
    lane: Lane,
    { after, seesServer }: ListenOptions,
  ): { position: Position; reset: string | null } {
    const { epoch } = lane;
    const { shared } = this.#lanes;
    const at = (own: number, server: number): Position => ({
      epoch,
      own,
      shared: seesServer ? server : 0,
    });
    if (after === null) {
      return { position: at(lane.count, shared.count), reset: null };
    }
    const asked = readEventId(after);
    const oldest = at(lane.lost, shared.lost);
    if (
      asked === null || asked.epoch !== epoch || asked.own > lane.count ||
      asked.shared > shared.count
    ) return { position: oldest, reset: "unknown_id" };
    const gone = asked.own < lane.lost ||
      seesServer && asked.shared < shared.lost;
    return gone
      ? { position: oldest, reset: "too_old" }
      : { position: at(asked.own, asked.shared), reset: null };
  }

  #resetNotice(
    tenant: string,
    position: Position,
    reason: string,
  ): LiveEvent {
    return {
      id: writeEventId(position),
      at: this.#options.wallNow(),
      kind: "reset",
      tenant,
      scanId: null,
      data: { reason },
    };
  }

  #tellTenant(tenant: string, kept: Kept): void {
    const heard = this.#heard.get(tenant);
    if (heard === undefined) return;
    const { epoch, count: own } = this.#lanes.of(tenant);
    const shared = this.#lanes.shared.count;
    const whole = liveEvent(kept, { epoch, own, shared });
    const cut = liveEvent(kept, { epoch, own, shared: 0 });
    // A listener that is dropped leaves the map while it is walked through, which a map allows.
    for (const { listener, scanId, seesServer } of heard.values()) {
      if (!isFor(kept, scanId, seesServer)) continue;
      listener.offer(seesServer ? whole : cut);
    }
  }

  #forget(tenant: string, listener: Listener): void {
    const others = this.#heard.get(tenant);
    const heard = others?.get(listener);
    if (others === undefined || heard === undefined) return;
    others.delete(listener);
    this.#listeners--;
    if (others.size === 0) this.#heard.delete(tenant);
    const watching = this.#watching.get(tenant);
    watching?.delete(heard);
    if (watching?.size === 0) this.#watching.delete(tenant);
  }

  /** A copy that nobody changes later. What is no JSON, or too much, must not stop a scan. */
  #plain(
    data: Happening["data"],
  ): { data: Happening["data"]; length: number } {
    try {
      const text = JSON.stringify(data);
      if (text.length <= EVENT_LENGTH_MAX) {
        return { data: JSON.parse(text), length: text.length };
      }
    } catch {
      // A cycle or a bigint: the event is told without its data, and counted.
    }
    this.#unfit++;
    return { data: { omitted: true }, length: 0 };
  }
}

/** Reads what a listener missed, as far as it is kept. */
class Replay {
  readonly #lane: Lane;
  readonly #shared: Lane;
  readonly #seesServer: boolean;
  readonly #scanId: string | null;
  #at: Position;

  constructor(lane: Lane, shared: Lane, cut: {
    readonly position: Position;
    readonly scanId: string | null;
    readonly seesServer: boolean;
  }) {
    this.#lane = lane;
    this.#shared = shared;
    this.#at = cut.position;
    this.#scanId = cut.scanId;
    this.#seesServer = cut.seesServer;
  }

  get isBehind(): boolean {
    return this.#lane.count > this.#at.own ||
      this.#seesServer && this.#shared.count > this.#at.shared;
  }

  next(): LiveEvent | null {
    for (;;) {
      const gone = this.#at.own < this.#lane.lost ||
        this.#seesServer && this.#at.shared < this.#shared.lost;
      if (gone) throw tooSlow();
      const own = this.#lane.after(this.#at.own);
      const server = this.#seesServer
        ? this.#shared.after(this.#at.shared)
        : null;
      if (own === null && server === null) return null;
      const isOwn = server === null ||
        own !== null && own.item.order < server.item.order;
      const next = isOwn ? own : server;
      if (next === null) return null;
      this.#at = isOwn
        ? { ...this.#at, own: next.number }
        : { ...this.#at, shared: next.number };
      if (!isFor(next.item, this.#scanId, this.#seesServer)) continue;
      return liveEvent(next.item, this.#at);
    }
  }

  position(): string {
    return writeEventId({
      epoch: this.#lane.epoch,
      own: this.#lane.count,
      shared: this.#seesServer ? this.#shared.count : 0,
    });
  }
}

function isFor(
  { tenant, scanId: of }: Happening,
  scanId: string | null,
  seesServer: boolean,
): boolean {
  return (tenant !== null || seesServer) &&
    (scanId === null || of === scanId);
}

function watches({ scanId }: Heard, of: string | null): boolean {
  return scanId === null || scanId === of;
}

function liveEvent(
  { at, kind, tenant, scanId, data }: Omit<LiveEvent, "id">,
  position: Position,
): LiveEvent {
  return { id: writeEventId(position), at, kind, tenant, scanId, data };
}
