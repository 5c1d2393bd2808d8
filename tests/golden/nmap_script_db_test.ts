/**
 * The table of scripts against nmap's own. It needs to read nmap's `script.db`, and is left out
 * where that is not granted or nmap is another version.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SCRIPTS } from "@/tools/nmap/scripts.ts";

const DATABASE = "/usr/share/nmap/scripts/script.db";

Deno.test({
  name: "SCRIPTS holds what the installed nmap 7.93 ships",
  ignore: readDatabase() === null,
  fn: () => {
    const found = new Map<string, readonly string[]>();
    const entry = /filename = "([^"]+)\.nse", categories = \{ ([^}]*) \}/g;
    for (
      const [, name = "", list = ""] of (readDatabase() ?? "").matchAll(entry)
    ) {
      found.set(
        name,
        [...list.matchAll(/"([a-z]+)"/g)].map((match) => match[1] ?? ""),
      );
    }
    assert.equal(found.size, 604);
    const sorted = (map: ReadonlyMap<string, readonly string[]>) =>
      [...map].map(([name, list]) => [name, ...[...list].sort()].join(" "))
        .sort();
    assert.deepEqual(sorted(SCRIPTS), sorted(found));
  },
});

function readDatabase(): string | null {
  const permission = { name: "read", path: DATABASE } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") return null;
  try {
    const text = Deno.readTextFileSync(DATABASE);
    // Other versions ship other scripts; the count tells them apart.
    return text.trim().split("\n").length === 604 ? text : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
