/**
 * Measures in pairs. On a machine that other work shares, a figure says little and a ratio of two
 * figures taken one after the other says much: so each round measures the subject and its baseline,
 * in an order that alternates, and what counts is the median of each and their ratio.
 *
 * @module
 */

/** What a figure should be. */
export type Goal =
  | { readonly atMost: number }
  | { readonly atLeast: number };

/** One line of the table. */
export interface Result {
  readonly name: string;
  readonly unit: string;
  readonly subject: number;
  /** Null where there is nothing to compare with. */
  readonly baseline: number | null;
  /** Subject over baseline. */
  readonly ratio: number | null;
  /** Goal of the ratio, or of the subject where there is no baseline. */
  readonly goal: Goal | null;
  readonly met: boolean | null;
  /** How many rounds the medians are of. */
  readonly rounds: number;
  readonly note: string;
}

/** What {@linkcode pair} measures. Each function gives one figure, lower or higher is the goal's matter. */
export interface Pair {
  readonly name: string;
  readonly unit: string;
  readonly rounds: number;
  /** Rounds that are run and not counted. */
  readonly warmups: number;
  readonly goal: Goal | null;
  readonly note?: string;
  readonly subject: (round: number) => Promise<number> | number;
  readonly baseline: (round: number) => Promise<number> | number;
}

/**
 * Measures a subject and its baseline in turn.
 *
 * @param options What to measure.
 * @returns Medians and ratio.
 */
export async function pair(options: Pair): Promise<Result> {
  const { name, unit, rounds, warmups, goal, note = "" } = options;
  const subjects: number[] = [];
  const baselines: number[] = [];
  for (let round = -warmups; round < rounds; round++) {
    const order = round % 2 === 0
      ? ["subject", "baseline"] as const
      : ["baseline", "subject"] as const;
    for (const which of order) {
      const figure = await options[which](round + warmups);
      if (round < 0) continue;
      (which === "subject" ? subjects : baselines).push(figure);
    }
  }
  const [subject, baseline] = [median(subjects), median(baselines)];
  const ratio = subject / baseline;
  const met = meets(ratio, goal);
  return { name, unit, subject, baseline, ratio, goal, met, rounds, note };
}

/**
 * Makes a line of one figure that has no baseline.
 *
 * @param line The figure, its name and its goal.
 * @returns The line.
 */
export function single(
  line: Pick<Result, "name" | "unit" | "subject" | "goal" | "rounds"> & {
    readonly note?: string;
  },
): Result {
  const { note = "" } = line;
  const met = meets(line.subject, line.goal);
  return { ...line, note, baseline: null, ratio: null, met };
}

/**
 * Gives the middle of some figures.
 *
 * @param figures At least one.
 * @returns The median; the mean of the two in the middle of an even number.
 * @throws {RangeError} If there are none.
 */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [
    sorted[Math.ceil(middle) - 1],
    sorted[Math.floor(middle)],
  ];
  if (low === undefined || high === undefined) {
    throw new RangeError("Cannot take the median: there is no figure");
  }
  return (low + high) / 2;
}

/**
 * Measures how long something takes.
 *
 * @param work What to do.
 * @returns Milliseconds.
 */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function meets(figure: number, goal: Goal | null): boolean | null {
  if (goal === null) return null;
  return "atMost" in goal ? figure <= goal.atMost : figure >= goal.atLeast;
}

function goalText(goal: Goal | null): string {
  if (goal === null) return "";
  return "atMost" in goal ? `<= ${goal.atMost}` : `>= ${goal.atLeast}`;
}

function figureText(figure: number | null): string {
  if (figure === null) return "";
  const digits = Math.abs(figure) >= 100 ? 0 : Math.abs(figure) >= 10 ? 1 : 2;
  return figure.toFixed(digits);
}

/**
 * Writes results as a table.
 *
 * @param results The lines.
 * @returns The table, with a line end.
 */
export function table(results: readonly Result[]): string {
  const head = ["", "this", "baseline", "ratio", "goal", "", "n", "note"];
  const rows = results.map((one) => [
    one.name,
    `${figureText(one.subject)} ${one.unit}`,
    one.baseline === null ? "" : `${figureText(one.baseline)} ${one.unit}`,
    one.ratio === null ? "" : `${one.ratio.toFixed(2)}x`,
    goalText(one.goal),
    one.met === null ? "" : one.met ? "met" : "MISSED",
    String(one.rounds),
    one.note,
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length))
  );
  return [head, ...rows].map((row) =>
    row.map((cell, column) => {
      const width = widths[column] ?? 0;
      const figure = column > 0 && column < 4;
      return figure ? cell.padStart(width) : cell.padEnd(width);
    }).join("  ").trimEnd() + "\n"
  ).join("");
}
