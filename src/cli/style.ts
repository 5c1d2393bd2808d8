/**
 * Colours for a person at a terminal; none where the output goes to a file or `NO_COLOR` is set.
 *
 * @module
 */

/** Paints text. */
export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly green: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly red: (text: string) => string;
  readonly cyan: (text: string) => string;
}

/**
 * Makes a style.
 *
 * @param colour Whether to paint at all.
 * @returns The style.
 */
export function styleOf(colour: boolean): Style {
  const paint = (code: number) => (text: string) =>
    colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  return {
    bold: paint(1),
    dim: paint(2),
    green: paint(32),
    yellow: paint(33),
    red: paint(31),
    cyan: paint(36),
  };
}
