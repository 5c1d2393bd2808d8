/**
 * Every way in which a configuration file is refused, with the whole of what an operator reads: each
 * `x.yaml.txt` or `x.json.txt` beside this file has its `x.errors.txt`. They end with `.txt` so that no
 * formatter mends (or stumbles over) what is wrong with them on purpose.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { loadConfig } from "@/config/load.ts";
import { verifies } from "../../requirements.ts";

verifies("config.refusals_located");

const FOLDER = import.meta.dirname ?? ".";

const FILES = Array.from(Deno.readDirSync(FOLDER), ({ name }) => name)
  .filter((name) => /\.(?:yaml|json)\.txt$/.test(name))
  .map((name) => name.slice(0, -".txt".length))
  .sort();

Deno.test("loadConfig() has a golden refusal for each kind of mistake", () => {
  assert.ok(FILES.length >= 45, `only ${FILES.length} files`);
});

for (const name of FILES) {
  Deno.test(`loadConfig() refuses ${name} as written down`, async () => {
    const text = await Deno.readTextFile(`${FOLDER}/${name}.txt`);
    const errors = await Deno.readTextFile(
      `${FOLDER}/${name.replace(/\.(?:yaml|json)$/, ".errors.txt")}`,
    );
    assert.throws(
      () =>
        loadConfig({ file: { name: `/etc/scanner/${name}`, text }, env: {} }),
      (error) => {
        assert.ok(error instanceof AppError);
        assert.equal(error.code, "invalid_arguments");
        assert.equal(`${error.message}\n`, errors);
        assert.doesNotMatch(error.message, /\/etc/);
        return true;
      },
    );
    assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
  });
}
