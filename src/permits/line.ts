/**
 * Waiters in order of arrival. Any of them may leave from anywhere in constant time, because a caller
 * that goes away must not cost more the longer the line is; so it is a linked list.
 *
 * @module
 */

/** One who waits, as its caller made it. */
export interface Waiter {
  /** Whose limit counts besides the overall one. */
  readonly key: string;
  readonly tenant: string;
  /** Gives it its place. The line has forgotten it by then. */
  readonly grant: () => void;
  /** Turns it away. The line has forgotten it by then. */
  readonly evict: () => void;
}

/** A waiter and where it stands. */
export interface Place {
  readonly waiter: Waiter;
  /** Rises with arrival, over all lines of a queue. */
  readonly order: number;
  before: Place | null;
  behind: Place | null;
}

/** A line. */
export class Line {
  #first: Place | null = null;
  #last: Place | null = null;
  #length = 0;

  /** @returns Who came first, or null. */
  get first(): Place | null {
    return this.#first;
  }

  /** @returns Who came last, or null. */
  get last(): Place | null {
    return this.#last;
  }

  /** @returns How many wait in it. */
  get length(): number {
    return this.#length;
  }

  /**
   * Lets somebody stand at its end.
   *
   * @param waiter Who.
   * @param order Higher than that of anybody here.
   * @returns The place, with which it can leave.
   */
  add(waiter: Waiter, order: number): Place {
    const place: Place = { waiter, order, before: this.#last, behind: null };
    if (this.#last === null) this.#first = place;
    else this.#last.behind = place;
    this.#last = place;
    this.#length += 1;
    return place;
  }

  /**
   * Lets somebody leave.
   *
   * @param place A place of this line that was not left before.
   */
  remove(place: Place): void {
    if (place.before === null) this.#first = place.behind;
    else place.before.behind = place.behind;
    if (place.behind === null) this.#last = place.before;
    else place.behind.before = place.before;
    place.before = null;
    place.behind = null;
    this.#length -= 1;
  }
}
