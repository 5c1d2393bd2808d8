/**
 * How much of something was used in the last hour, in buckets of one minute.
 *
 * An amount counts for the rest of its minute and the sixty minutes after it, so that no hour whatever
 * holds more than the limit; the price is that it comes back up to a minute late. Nothing is kept of a
 * single use, so the memory is the same however many there are.
 *
 * @module
 */

/** Milliseconds of one bucket. */
export const BUCKET_MS = 60_000;

/** The running minute and the sixty before it. */
export const BUCKETS = 61;

/** An hour that slides along. */
export class SlidingHour {
  readonly #buckets = new Float64Array(BUCKETS);
  /** The number of the running minute. */
  #minute = 0;
  #sum = 0;

  /**
   * Tells what was used.
   *
   * @param now Monotonic milliseconds.
   * @returns The sum of the last hour.
   */
  used(now: number): number {
    this.#advance(now);
    return this.#sum;
  }

  /**
   * Counts a use.
   *
   * @param amount How much.
   * @param now Monotonic milliseconds.
   */
  add(amount: number, now: number): void {
    this.#advance(now);
    const index = this.#minute % BUCKETS;
    this.#buckets[index] = (this.#buckets[index] ?? 0) + amount;
    this.#sum += amount;
  }

  /**
   * Tells when so much of it will have come back.
   *
   * @param amount How much has to come back.
   * @param now Monotonic milliseconds.
   * @returns Milliseconds until then; 0 for nothing; null if less than that is used.
   */
  backIn(amount: number, now: number): number | null {
    this.#advance(now);
    if (amount <= 0) return 0;
    let back = 0;
    for (let age = BUCKETS - 1; age >= 0; age -= 1) {
      const minute = this.#minute - age;
      if (minute < 0) continue;
      const bucket = this.#buckets[minute % BUCKETS] ?? 0;
      back += bucket;
      if (bucket > 0 && back >= amount) {
        return (minute + BUCKETS) * BUCKET_MS - now;
      }
    }
    return null;
  }

  #advance(now: number): void {
    const minute = Math.floor(now / BUCKET_MS);
    if (minute <= this.#minute) return;
    const passed = Math.min(minute - this.#minute, BUCKETS);
    for (let step = 1; step <= passed; step += 1) {
      this.#buckets[(this.#minute + step) % BUCKETS] = 0;
    }
    this.#minute = minute;
    // Added up again each minute: fractions of a second must not leave a remainder behind for ever.
    this.#sum = this.#buckets.reduce((sum, bucket) => sum + bucket, 0);
  }
}
