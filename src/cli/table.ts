/**
 * Lays rows out in columns.
 *
 * @module
 */

/**
 * Lays out a table: columns as wide as their widest cell, the last one cut at the edge.
 *
 * @param rows The rows; the first is the heading.
 * @param columns How many characters a line may have.
 * @returns The lines.
 */
export function table(
  rows: readonly (readonly string[])[],
  columns: number,
): readonly string[] {
  const count = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from(
    { length: count },
    (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)),
  );
  return rows.map((row) => {
    const cells = row.map((cell, i) =>
      i === count - 1 ? cell : cell.padEnd(widths[i] ?? 0)
    );
    const line = cells.join("  ").trimEnd();
    return line.length > columns && columns > 20
      ? `${line.slice(0, columns - 1)}…`
      : line;
  });
}
