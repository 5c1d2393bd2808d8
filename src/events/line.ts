/**
 * A queue in which items can be taken out of the middle, and found by their number.
 *
 * A map would do both, but its first entry is slow to find once many in front of it are gone; a linked
 * list cannot be searched. So it is an array with empty places, which are swept when they are the most.
 *
 * @module
 */

/** Empty places that are never worth sweeping. */
const EMPTY_MIN = 64;

/** The place of an item. */
export interface Place<T> {
  /** Rises from place to place. */
  readonly number: number;
  /** Null once the item is gone. */
  item: T | null;
}

/** A queue of numbered items. */
export class Line<T> {
  #places: Place<T>[] = [];
  #head = 0;
  #size = 0;

  /** How many items it holds. */
  get size(): number {
    return this.#size;
  }

  /**
   * Adds an item at the end.
   *
   * @param number Higher than that of every item before.
   * @param item The item.
   * @returns Its place.
   */
  push(number: number, item: T): Place<T> {
    const place = { number, item };
    this.#places.push(place);
    this.#size++;
    return place;
  }

  /**
   * Takes an item out, wherever it stands.
   *
   * @param place Its place; one that is empty is left alone.
   */
  remove(place: Place<T>): void {
    if (place.item === null) return;
    place.item = null;
    this.#size--;
    this.#sweep();
  }

  /**
   * Takes the first item out.
   *
   * @returns Its number and itself, or null if there is none.
   */
  shift(): { readonly number: number; readonly item: T } | null {
    if (this.#size === 0) return null;
    let place = this.#places[this.#head];
    while (place !== undefined && place.item === null) {
      place = this.#places[++this.#head];
    }
    if (place === undefined || place.item === null) return null;
    const { number, item } = place;
    this.remove(place);
    return { number, item };
  }

  /**
   * Finds the first item behind a number.
   *
   * @param number The number.
   * @returns The place, or null if there is none.
   */
  after(number: number): Place<T> | null {
    let [low, high] = [this.#head, this.#places.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#places[middle]?.number ?? Infinity;
      if (at > number) high = middle;
      else low = middle + 1;
    }
    while (low < this.#places.length) {
      const place = this.#places[low];
      if (place !== undefined && place.item !== null) return place;
      low++;
    }
    return null;
  }

  /** Forgets everything. */
  clear(): void {
    this.#places = [];
    this.#head = 0;
    this.#size = 0;
  }

  #sweep(): void {
    if (this.#places.length <= 2 * this.#size + EMPTY_MIN) return;
    this.#places = this.#places.filter(({ item }) => item !== null);
    this.#head = 0;
  }
}
