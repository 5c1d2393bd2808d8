/**
 * Who waits for a place, and whose turn it is. Places are shared among tenants, not among requests:
 * a tenant with a thousand requests gets no more of them than a tenant with one.
 *
 * A place goes to the tenant that holds the fewest; among those that hold as many, to the one that was
 * served the longest time ago; within a tenant, to the oldest request that may use it. So nobody
 * starves: each other tenant gets at most one place before a tenant that waits and holds none, because
 * once served it stands behind.
 *
 * For that to hold, when a tenant was served is remembered beyond its last request. Otherwise one that
 * sends its requests one by one would be new each time, and go first each time. Of tenants that are not
 * here so many are remembered; whoever is forgotten counts as served when the last one was that was
 * forgotten, and so never goes before its turn for good.
 *
 * Finding the next one looks at each waiting tenant once, at no more than the oldest request of each of
 * its keys, however many wait.
 *
 * @module
 */
import { Line, type Place, type Waiter } from "./line.ts";

/** Most tenants without a request whose last turn is remembered: more than can be configured. */
export const TENANTS_REMEMBERED = 1_024;

interface Tenant {
  held: number;
  waiting: number;
  /** Turns are numbered; 0 for a tenant that never had one. */
  servedAt: number;
  /** By key; only keys that somebody waits for. */
  readonly lines: Map<string, Line>;
}

/** Who may have a place now. */
export interface Free {
  /** Whether there is one for this key. */
  readonly key: (key: string) => boolean;
  /** Most places that one tenant may hold. */
  readonly tenantHeldMax: number;
}

/** The queue, and what every tenant holds. */
export class FairQueue {
  /** Tenants that hold or wait, in the order in which they came. */
  readonly #tenants = new Map<string, Tenant>();
  /** When the others were served, the longest gone first. */
  readonly #gone = new Map<string, number>();
  #forgottenAt = 0;
  #turns = 0;
  #arrivals = 0;
  #size = 0;

  /** @returns How many wait. */
  get size(): number {
    return this.#size;
  }

  /** @returns How many places a tenant holds. */
  heldBy(tenant: string): number {
    return this.#tenants.get(tenant)?.held ?? 0;
  }

  /** @returns How many requests of a tenant wait. */
  waitingBy(tenant: string): number {
    return this.#tenants.get(tenant)?.waiting ?? 0;
  }

  /** @returns The tenants that hold or wait. */
  tenants(): readonly string[] {
    return [...this.#tenants.keys()];
  }

  /**
   * Lets a request wait.
   *
   * @param waiter The request.
   * @returns The place with which it can leave.
   */
  add(waiter: Waiter): Place {
    const tenant = this.#arrive(waiter.tenant);
    let line = tenant.lines.get(waiter.key);
    if (line === undefined) {
      line = new Line();
      tenant.lines.set(waiter.key, line);
    }
    tenant.waiting += 1;
    this.#size += 1;
    return line.add(waiter, ++this.#arrivals);
  }

  /**
   * Lets a request leave.
   *
   * @param place Its place, which was not left before.
   */
  remove(place: Place): void {
    const { key, tenant: name } = place.waiter;
    const tenant = this.#tenants.get(name);
    const line = tenant?.lines.get(key);
    if (tenant === undefined || line === undefined) return;
    line.remove(place);
    if (line.length === 0) tenant.lines.delete(key);
    tenant.waiting -= 1;
    this.#size -= 1;
    this.#leaveIfDone(name, tenant);
  }

  /** Counts a place that a tenant got: that was its turn. */
  served(name: string): void {
    const tenant = this.#arrive(name);
    tenant.held += 1;
    tenant.servedAt = ++this.#turns;
  }

  /** Counts a place that a tenant gave back. */
  released(name: string): void {
    const tenant = this.#tenants.get(name);
    if (tenant === undefined) return;
    tenant.held -= 1;
    this.#leaveIfDone(name, tenant);
  }

  /**
   * Finds whose turn it is.
   *
   * @param free What is free.
   * @returns Who may have a place now and goes first, or null.
   */
  next(free: Free): Place | null {
    let first: Place | null = null;
    let its: Tenant | null = null;
    for (const tenant of this.#tenants.values()) {
      if (tenant.waiting === 0 || tenant.held >= free.tenantHeldMax) continue;
      if (its !== null && !goesBefore(tenant, its)) continue;
      const place = oldest(tenant, free.key);
      if (place === null) continue;
      first = place;
      its = tenant;
    }
    return first;
  }

  /**
   * Finds who has to make room for a request when no more may wait: the newest request of the tenant
   * that has the most waiting, if it has at least two more than the newcomer's. So a full queue belongs
   * to all tenants in equal parts, and nobody is turned away for one that would then have more.
   *
   * @param newcomer Whose request it is.
   * @param key Only among requests for this key; left out, among all.
   * @returns Who has to go, or null: then it is the newcomer.
   */
  crowding(newcomer: string, key?: string): Place | null {
    let most = waiting(this.#tenants.get(newcomer), key) + 1;
    let newest: Place | null = null;
    for (const tenant of this.#tenants.values()) {
      const count = waiting(tenant, key);
      if (count < most || (count === most && newest === null)) continue;
      const place = last(tenant, key);
      if (place === null) continue;
      if (count === most && place.order < (newest?.order ?? 0)) continue;
      newest = place;
      most = count;
    }
    return newest;
  }

  #arrive(name: string): Tenant {
    let tenant = this.#tenants.get(name);
    if (tenant !== undefined) return tenant;
    const servedAt = this.#gone.get(name) ?? this.#forgottenAt;
    this.#gone.delete(name);
    tenant = { held: 0, waiting: 0, servedAt, lines: new Map() };
    this.#tenants.set(name, tenant);
    return tenant;
  }

  #leaveIfDone(name: string, { held, waiting, servedAt }: Tenant): void {
    if (held > 0 || waiting > 0) return;
    this.#tenants.delete(name);
    if (servedAt <= this.#forgottenAt) return;
    this.#gone.set(name, servedAt);
    if (this.#gone.size <= TENANTS_REMEMBERED) return;
    for (const [forgotten, turn] of this.#gone) {
      this.#gone.delete(forgotten);
      this.#forgottenAt = Math.max(this.#forgottenAt, turn);
      return;
    }
  }
}

/** Equal ones keep the order in which they came. */
function goesBefore(one: Tenant, other: Tenant): boolean {
  return one.held === other.held
    ? one.servedAt < other.servedAt
    : one.held < other.held;
}

function oldest(
  { lines }: Tenant,
  isFree: (key: string) => boolean,
): Place | null {
  let found: Place | null = null;
  for (const [key, { first }] of lines) {
    if (first === null || (found !== null && found.order < first.order)) {
      continue;
    }
    if (isFree(key)) found = first;
  }
  return found;
}

function waiting(tenant: Tenant | undefined, key: string | undefined): number {
  if (tenant === undefined) return 0;
  return key === undefined
    ? tenant.waiting
    : tenant.lines.get(key)?.length ?? 0;
}

function last({ lines }: Tenant, key: string | undefined): Place | null {
  if (key !== undefined) return lines.get(key)?.last ?? null;
  let found: Place | null = null;
  for (const { last } of lines.values()) {
    if (last !== null && last.order > (found?.order ?? 0)) found = last;
  }
  return found;
}
