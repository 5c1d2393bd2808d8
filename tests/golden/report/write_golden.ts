/**
 * Writes the golden files anew, to be read before they are kept:
 * `deno run --allow-read=tests --allow-write=tests/golden/report tests/golden/report/write_golden.ts`.
 *
 * @module
 */
import { RENDERINGS } from "./renderings.ts";

if (import.meta.main) {
  for (const { file, text } of RENDERINGS) {
    await Deno.writeTextFile(new URL(file, import.meta.url), await text());
  }
}
