/**
 * Reports of fixed scans, byte for byte: a change of what is written shows here first.
 *
 * @module
 */
import assert from "node:assert/strict";
import { RENDERINGS } from "./renderings.ts";

for (const { file, text } of RENDERINGS) {
  Deno.test(`renderReport() writes ${file} as it stands there`, async () => {
    const golden = await Deno.readTextFile(new URL(file, import.meta.url));
    assert.equal(await text(), golden);
  });
}
