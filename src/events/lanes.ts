/**
 * All events that are kept, a lane for each tenant, within a number of events and a number of bytes.
 *
 * When there is no room, the longest lane gives way. So a tenant that floods the log with events loses
 * its own, and the few events of a quiet tenant stay until it comes back for them.
 *
 * @module
 */
import { newEpoch } from "./event_id.ts";
import { type Kept, Lane } from "./lane.ts";

/** Lanes from which on those that hold nothing and serve nobody are looked for. */
const LANES_MAX = 10_000;

/** Bounds of {@linkcode Lanes}. */
export interface LanesOptions {
  /** Most events over all lanes. */
  readonly keep: number;
  /** Most bytes over all lanes, about. */
  readonly keepBytes: number;
  /** Fills an array with random bytes. */
  readonly random: (bytes: Uint8Array) => void;
  /** Whether somebody listens to a tenant's lane. */
  readonly isHeard: (tenant: string) => boolean;
}

/** The lanes of all tenants, and the server's own. */
export class Lanes {
  /** The events that everybody may see. */
  readonly shared: Lane;
  readonly #options: LanesOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes by how many events they hold: the longest is found at once. */
  readonly #bySize = new Map<number, Set<Lane>>();
  #longest = 0;
  #size = 0;
  #bytes = 0;
  #sweepAt = LANES_MAX;

  /** @param options The bounds. */
  constructor(options: LanesOptions) {
    this.#options = options;
    this.shared = new Lane(newEpoch(options.random));
  }

  /** How many events are kept. */
  get size(): number {
    return this.#size;
  }

  /** About how many bytes they take. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many tenants have a lane. */
  get count(): number {
    return this.#lanes.size;
  }

  /**
   * Gives a tenant's lane.
   *
   * @param tenant The tenant.
   * @returns Its lane: a new one for a tenant that has none.
   */
  of(tenant: string): Lane {
    const known = this.#lanes.get(tenant);
    if (known !== undefined) return known;
    if (this.#lanes.size >= this.#sweepAt) this.#sweep();
    const lane = new Lane(newEpoch(this.#options.random));
    this.#lanes.set(tenant, lane);
    return lane;
  }

  /**
   * Keeps an event.
   *
   * @param lane Whose it is.
   * @param kept The event.
   */
  add(lane: Lane, kept: Kept): void {
    const before = lane.size;
    const replaced = lane.add(kept);
    this.#bytes += kept.bytes - (replaced?.bytes ?? 0);
    this.#resized(lane, before);
    const { keep, keepBytes } = this.#options;
    while (this.#size > keep || this.#bytes > keepBytes) {
      if (!this.#evict()) return;
    }
  }

  #evict(): boolean {
    const [lane] = this.#bySize.get(this.#longest) ?? [];
    const before = lane?.size ?? 0;
    const evicted = lane?.evict() ?? null;
    if (lane === undefined || evicted === null) return false;
    this.#bytes -= evicted.bytes;
    this.#resized(lane, before);
    return true;
  }

  #resized(lane: Lane, before: number): void {
    const { size } = lane;
    if (size === before) return;
    this.#size += size - before;
    const old = this.#bySize.get(before);
    old?.delete(lane);
    if (old?.size === 0) this.#bySize.delete(before);
    if (size > 0) {
      const lanes = this.#bySize.get(size);
      if (lanes === undefined) this.#bySize.set(size, new Set([lane]));
      else lanes.add(lane);
    }
    // A lane grows and shrinks by one: the next longest is never further away.
    if (size > this.#longest) this.#longest = size;
    else if (!this.#bySize.has(this.#longest)) {
      this.#longest = Math.max(0, this.#longest - 1);
    }
  }

  /** Whoever comes back to a lane that went is told so: its epoch is another one. */
  #sweep(): void {
    for (const [tenant, lane] of this.#lanes) {
      if (lane.size > 0 || this.#options.isHeard(tenant)) continue;
      this.#lanes.delete(tenant);
    }
    this.#sweepAt = Math.max(LANES_MAX, 2 * this.#lanes.size);
  }
}
