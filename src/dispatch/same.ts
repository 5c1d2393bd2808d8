/**
 * What makes two requests the same.
 *
 * @module
 */
import type { ToolName } from "@/tools/tool.ts";

/** What a client asks a tool for. */
export interface Asked {
  readonly tool: ToolName;
  /** The tool's own arguments. */
  readonly arguments: Readonly<Record<string, unknown>>;
  /** What the scan is kept under: nobody gets the scan of another engagement. */
  readonly engagement: string | null;
  readonly tags: readonly string[];
}

/**
 * Gives the digest of a request: equal for equal requests, whatever the order of their arguments.
 *
 * `node:crypto` is loaded with the first call and not with this file: it takes 16 ms of a start. The
 * Web's own interface works on other threads, and calls would overtake each other.
 *
 * @param asked The request.
 * @returns 64 hex digits.
 */
export async function digestOf(asked: Asked): Promise<string> {
  const { createHash } = await import("node:crypto");
  return createHash("sha256").update(JSON.stringify(sorted(asked)))
    .digest("hex");
}

/**
 * Gives the digest of a request with the addresses of its names: what a second person approves is a scan
 * of these, and not of what a name leads to later.
 *
 * @param asked The request.
 * @param resolved The addresses of its names.
 * @returns 64 hex digits.
 */
export async function approvalDigestOf(
  asked: Asked,
  resolved: ReadonlyMap<string, readonly string[]>,
): Promise<string> {
  const { createHash } = await import("node:crypto");
  const names = [...resolved].map(([name, addresses]) =>
    [name, addresses.toSorted()] as const
  ).toSorted(([a], [b]) => a < b ? -1 : 1);
  return createHash("sha256").update(JSON.stringify([...sorted(asked), names]))
    .digest("hex");
}

/**
 * Gives the key of a request under way: two calls with the same key ask for the same packets and for
 * the same record of them.
 *
 * @param asked The request.
 * @param resolved The addresses of its names.
 * @param keys The client's own key, and whose it is.
 * @returns The key.
 */
export function joinKeyOf(
  asked: Asked,
  resolved: ReadonlyMap<string, readonly string[]>,
  keys: readonly unknown[],
): string {
  return JSON.stringify([...sorted(asked), [...resolved], ...keys]);
}

function sorted(
  { tool, arguments: given, engagement, tags }: Asked,
): unknown[] {
  const entries = Object.entries(given).sort(([a], [b]) => a < b ? -1 : 1);
  return [tool, entries, engagement, tags];
}
