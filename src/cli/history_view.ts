/**
 * How the commands of the history speak to a person: tables, times and sizes. Whatever a scanned host,
 * a client or a file chose goes through {@linkcode cell} on its way to the terminal, although it was
 * cleaned when it was kept: a database may have been written by another program.
 *
 * @module
 */
import { visible } from "@/report/visible.ts";
import { isoTime } from "@/scans/times.ts";
import { type Style, styleOf } from "./style.ts";
import { table } from "./table.ts";
import type { World } from "./world.ts";

/** Longest text of a cell. */
const CELL_LENGTH_MAX = 200;

/**
 * Makes a text fit for a terminal.
 *
 * @param text Any text.
 * @param lengthMax Most characters.
 * @returns One line without anything that cannot be seen.
 */
export function cell(
  text: string | null | undefined,
  lengthMax: number = CELL_LENGTH_MAX,
): string {
  return visible(text ?? "", { lengthMax });
}

/**
 * Says a time to the minute.
 *
 * @param ms Milliseconds since the epoch.
 * @returns For example `2026-11-21 06:44Z`, or nothing.
 */
export function minute(ms: number | null): string {
  const iso = isoTime(ms);
  return iso === null ? "" : `${iso.slice(0, 16).replace("T", " ")}Z`;
}

/**
 * Says a number of bytes.
 *
 * @param bytes The number.
 * @returns For example `1.4 MiB`.
 */
export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/**
 * Gives the colours of standard output.
 *
 * @param world The process.
 * @returns The style.
 */
export function outStyle({ terminal }: World): Style {
  return styleOf(terminal.stdout && terminal.colour);
}

/**
 * Gives the width of standard output.
 *
 * @param world The process.
 * @returns Characters; what goes to a file or a program is not cut.
 */
export function outColumns({ terminal }: World): number {
  return terminal.stdout ? terminal.columns : Number.POSITIVE_INFINITY;
}

/**
 * Prints lines.
 *
 * @param world The process.
 * @param lines The lines, without their ends.
 */
export function printLines(world: World, lines: readonly string[]): void {
  if (lines.length > 0) world.print(lines.join("\n") + "\n");
}

/**
 * Prints a value as JSON.
 *
 * @param world The process.
 * @param value The value.
 */
export function printJson(world: World, value: unknown): void {
  world.print(JSON.stringify(value, null, 2) + "\n");
}

/**
 * Prints a table with its heading.
 *
 * @param world The process.
 * @param rows The rows, the heading first; each cell is fit for a terminal.
 */
export function printTable(
  world: World,
  rows: readonly (readonly string[])[],
): void {
  const [heading = "", ...lines] = table(rows, outColumns(world));
  printLines(world, [outStyle(world).bold(heading), ...lines]);
}
