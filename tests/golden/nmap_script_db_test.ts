/**
 * The table of scripts against nmap's own. It needs to read nmap's `script.db` (scripts/setup.sh
 * installs it), and says nothing of another version than 7.93.
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

/** Null where nmap is another version, which ships other scripts; the count tells them apart. */
function readDatabase(): string | null {
  const text = Deno.readTextFileSync(DATABASE);
  return text.trim().split("\n").length === 604 ? text : null;
}
