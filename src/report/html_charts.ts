/**
 * Charts as inline SVG: no script, no font, no picture from elsewhere. Each has a title and says its
 * numbers in words besides, so that nothing hangs on seeing a colour.
 *
 * @module
 */
import type { Count } from "./facts.ts";
import { esc } from "./html_escape.ts";
import { numberText } from "./words.ts";

/** About as wide as a column of the page, so that text in a chart is as large as beside it. */
const WIDTH = 360;
const ROW = 26;
const LABEL_WIDTH = 128;
const VALUE_WIDTH = 56;

/** Longest label in a chart. */
const LABEL_LENGTH_MAX = 18;

/** Colours of the states, by class. */
const TONES: Readonly<Record<string, string>> = {
  open: "t-open",
  closed: "t-closed",
  filtered: "t-filtered",
  "open|filtered": "t-maybe",
  unfiltered: "t-maybe",
  "closed|filtered": "t-filtered",
};

/**
 * Draws horizontal bars.
 *
 * @param title What they show.
 * @param counts The bars, top down.
 * @returns A figure, or nothing where there is nothing to show.
 */
export function barChart(title: string, counts: readonly Count[]): string {
  const most = Math.max(0, ...counts.map(({ value }) => value));
  if (most === 0) return "";
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
  const rows = counts.map(({ label, value }, at) => {
    const y = at * ROW;
    const width = value === 0 ? 0 : Math.max(2, (value / most) * room);
    return `<text class="c-label" x="${LABEL_WIDTH - 10}" y="${
      y + 17
    }" text-anchor="end">${
      esc(label, { lengthMax: LABEL_LENGTH_MAX })
    }</text><rect class="c-track" x="${LABEL_WIDTH}" y="${
      y + 5
    }" width="${room}" height="16" rx="3"/><rect class="c-bar ${
      toneOf(label)
    }" x="${LABEL_WIDTH}" y="${y + 5}" width="${
      width.toFixed(1)
    }" height="16" rx="3"/><text class="c-value" x="${
      LABEL_WIDTH + room + 10
    }" y="${y + 17}">${numberText(value)}</text>`;
  }).join("");
  return figure(title, counts, rows, counts.length * ROW);
}

/**
 * Draws one bar that is divided, with a legend below it.
 *
 * @param title What it shows.
 * @param counts The parts.
 * @returns A figure, or nothing where there is nothing to show.
 */
export function partsChart(title: string, counts: readonly Count[]): string {
  const all = counts.reduce((sum, { value }) => sum + value, 0);
  if (all === 0) return "";
  const least = 6;
  const shares = counts.map(({ value }) =>
    Math.max(least, (value / all) * WIDTH)
  );
  const scale = WIDTH / shares.reduce((sum, share) => sum + share, 0);
  let x = 0;
  const parts = counts.map(({ label }, at) => {
    const width = (shares[at] ?? 0) * scale;
    const part = `<rect class="c-bar ${toneOf(label)}" x="${
      x.toFixed(1)
    }" y="2" width="${Math.max(1, width - 2).toFixed(1)}" height="30" rx="3"/>`;
    x += width;
    return part;
  }).join("");
  const legend = counts.map(({ label, value }, at) => {
    const y = 46 + at * 24;
    const share = (value / all) * 100;
    const percent = share > 0 && share < 0.1
      ? "< 0.1 %"
      : `${share.toFixed(1)} %`;
    return `<rect class="c-bar ${toneOf(label)}" x="0" y="${
      y + 3
    }" width="12" height="12" rx="2"/><text class="c-label" x="22" y="${
      y + 14
    }">${esc(label, { lengthMax: 32 })}</text><text class="c-value" x="${
      WIDTH - 80
    }" y="${y + 14}" text-anchor="end">${
      numberText(value)
    }</text><text class="c-label" x="${WIDTH}" y="${
      y + 14
    }" text-anchor="end">${esc(percent)}</text>`;
  }).join("");
  return figure(title, counts, parts + legend, 50 + counts.length * 24);
}

function toneOf(label: string): string {
  return TONES[label] ?? "t-plain";
}

function figure(
  title: string,
  counts: readonly Count[],
  drawing: string,
  height: number,
): string {
  const said = counts.map(({ label, value }) => `${label}: ${value}`).join(
    ", ",
  );
  return `<figure class="chart"><figcaption>${
    esc(title)
  }</figcaption><svg viewBox="0 0 ${WIDTH} ${height}" role="img" preserveAspectRatio="xMinYMin meet"><title>${
    esc(title)
  }</title><desc>${
    esc(said, { lengthMax: 2_000 })
  }</desc>${drawing}</svg></figure>\n`;
}
