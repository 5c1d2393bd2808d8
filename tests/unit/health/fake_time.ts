/**
 * Time for tests: it passes only when it is told to, and runs what falls due on the way.
 *
 * @module
 */

/** A clock and its timers. */
export class FakeTime {
  /** The epoch that {@linkcode FakeTime.wallNow} counts from: 2026-01-01. */
  static readonly EPOCH = 1_767_225_600_000;

  #now = 1_000;
  #timers: { at: number; run: () => void }[] = [];

  /** A monotonic clock in milliseconds. */
  readonly now = (): number => this.#now;

  /** A wall clock in milliseconds. */
  readonly wallNow = (): number => FakeTime.EPOCH + this.#now;

  /** Runs something later. */
  readonly after = (ms: number, run: () => void): () => void => {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => this.#timers = this.#timers.filter((one) => one !== timer);
  };

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Jumps without running anything: the loop was held. */
  hold(ms: number): void {
    this.#now += ms;
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end)
        .sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
      await settle();
    }
    this.#now = Math.max(this.#now, end);
  }
}

/** Lets every promise that can settle do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await Promise.resolve();
}
