/**
 * A progress bar on a terminal's last line.
 *
 * @module
 */
import type { Progress } from "@/tools/tool.ts";

/** Widest bar in characters. */
const BAR_WIDTH_MAX = 30;

/**
 * Draws a bar.
 *
 * @param progress How far the scan is.
 * @param columns Width of the terminal.
 * @returns One line without its end: bar, share, time left, findings, phase.
 */
export function progressLine(progress: Progress, columns: number): string {
  const { percent, remainingSeconds, found, phase } = progress;
  const width = Math.min(BAR_WIDTH_MAX, Math.max(10, Math.floor(columns / 3)));
  const share = Math.min(100, Math.max(0, percent ?? 0));
  const full = Math.round(width * share / 100);
  const bar = `[${"#".repeat(full)}${"-".repeat(width - full)}]`;
  const parts = [
    percent === null ? bar : `${bar} ${share.toFixed(0).padStart(3)} %`,
    remainingSeconds === null
      ? "time left unknown"
      : `${duration(remainingSeconds)} left`,
    `${found} found`,
    phase,
  ];
  return parts.join("  ").slice(0, Math.max(20, columns - 1));
}

/**
 * Says a duration.
 *
 * @param seconds Seconds.
 * @returns `8 s`, `2 min 05 s`, `1 h 10 min`.
 */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  }
  return `${Math.floor(minutes / 60)} h ${
    String(minutes % 60).padStart(2, "0")
  } min`;
}
