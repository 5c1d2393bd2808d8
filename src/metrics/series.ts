/**
 * Counts, kept here and nowhere else. `prom-client` turns them into text and is loaded for that only
 * when somebody asks for the first time: importing it costs 37 ms and 20 MB, which a server on stdio
 * would pay at every start for nothing. Since the counts never move to the library, none is lost or
 * doubled when it arrives.
 *
 * @module
 */

/** Labels of one value, in the order in which they are shown. */
export type Labels = Readonly<Record<string, string>>;

/** Points from a value to the trace it came from. `timestamp` is in seconds since the epoch. */
export interface Exemplar {
  readonly labelSet: { readonly trace_id: string };
  readonly value: number;
  readonly timestamp: number;
}

/** A value as it is shown. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Set where it differs from the metric's own name. */
  readonly metricName?: string;
  readonly exemplar?: Exemplar;
}

/** Values told apart by their labels. The caller keeps the labels to closed lists. */
export class Series {
  readonly #samples = new Map<string, {
    labels: Labels;
    value: number;
    exemplar?: Exemplar;
  }>();

  /**
   * Adds to a value.
   *
   * @param labels Which value.
   * @param amount How much; may be negative.
   * @param exemplar The trace that this came from.
   */
  add(labels: Labels, amount: number, exemplar?: Exemplar): void {
    const key = Object.values(labels).join("\n");
    let sample = this.#samples.get(key);
    if (sample === undefined) {
      sample = { labels, value: 0 };
      this.#samples.set(key, sample);
    }
    sample.value += amount;
    if (exemplar !== undefined) sample.exemplar = exemplar;
  }

  /** @returns All values. */
  samples(): Sample[] {
    return [...this.#samples.values()].map((sample) => ({ ...sample }));
  }
}

/** A histogram of seconds. */
export class Histogram {
  readonly #name: string;
  readonly #bounds: readonly number[];
  readonly #rows = new Map<string, {
    labels: Labels;
    /** One count a bucket, not yet added up; the last is for all that is beyond the bounds. */
    counts: number[];
    exemplars: (Exemplar | undefined)[];
    sum: number;
  }>();

  /**
   * @param name The metric's name.
   * @param bounds Upper bounds of the buckets, rising.
   */
  constructor(name: string, bounds: readonly number[]) {
    this.#name = name;
    this.#bounds = bounds;
  }

  /**
   * Counts a value.
   *
   * @param labels Which row.
   * @param value The value.
   * @param exemplar The trace that this came from.
   */
  observe(labels: Labels, value: number, exemplar?: Exemplar): void {
    const key = Object.values(labels).join("\n");
    let row = this.#rows.get(key);
    if (row === undefined) {
      const buckets = this.#bounds.length + 1;
      row = {
        labels,
        counts: new Array<number>(buckets).fill(0),
        exemplars: new Array<undefined>(buckets).fill(undefined),
        sum: 0,
      };
      this.#rows.set(key, row);
    }
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? this.#bounds.length : found;
    row.counts[bucket] = (row.counts[bucket] ?? 0) + 1;
    row.sum += value;
    if (exemplar !== undefined) row.exemplars[bucket] = exemplar;
  }

  /** @returns All buckets, sums and counts. */
  samples(): Sample[] {
    const samples: Sample[] = [];
    for (const { labels, counts, exemplars, sum } of this.#rows.values()) {
      let total = 0;
      for (const [index, count] of counts.entries()) {
        total += count;
        const le = this.#bounds[index] ?? "+Inf";
        const exemplar = exemplars[index];
        samples.push({
          labels: { le, ...labels },
          value: total,
          metricName: `${this.#name}_bucket`,
          ...(exemplar === undefined ? {} : { exemplar }),
        });
      }
      samples.push(
        { labels, value: sum, metricName: `${this.#name}_sum` },
        { labels, value: total, metricName: `${this.#name}_count` },
      );
    }
    return samples;
  }
}
