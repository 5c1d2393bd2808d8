/**
 * Every promise of `tests/requirements.ts` has a test that cites it, and every citation a promise.
 * The failure of this test lists what is open.
 *
 * @module
 */
import assert from "node:assert/strict";
import { REQUIREMENTS, verifies } from "../requirements.ts";
import { filesBelow, textOf } from "./repository.ts";

/** Files that speak of citations without citing. */
const NOT_CITING = new Set([
  "tests/requirements.ts",
  "tests/tidy/requirements_test.ts",
]);

/** Reads the ids that a text cites: the literals between the brackets of `verifies`. */
function citationsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/[^\n]*/gm, "");
  return [...code.matchAll(/\bverifies\(([^)]*)\)/g)].flatMap(([, inner]) =>
    [...(inner ?? "").matchAll(/"([^"]+)"/g)].map(([, id]) => id ?? "")
  );
}

/** The files that cite each id. */
function citations(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const citing = filesBelow(
    "tests/",
    (path) => path.endsWith("_test.ts") && !NOT_CITING.has(path),
  );
  for (const path of citing) {
    for (const id of citationsOf(textOf(path))) {
      found.set(id, [...(found.get(id) ?? []), path]);
    }
  }
  return found;
}

Deno.test("every requirement has a test that cites it", () => {
  const cited = citations();
  const open = REQUIREMENTS.filter(({ id }) => !cited.has(id))
    .map(({ id, behaviour }) => `${id}: ${behaviour}`);
  assert.deepEqual(
    open,
    [],
    `${open.length} of ${REQUIREMENTS.length} requirements without a test:\n${
      open.join("\n")
    }`,
  );
});

Deno.test("every citation names a requirement", () => {
  const known = new Set<string>(REQUIREMENTS.map(({ id }) => id));
  const unknown = [...citations()].filter(([id]) => !known.has(id));
  assert.deepEqual(unknown, []);
});

Deno.test("the requirements have unique ids and sentences", () => {
  for (const key of ["id", "behaviour"] as const) {
    const all = REQUIREMENTS.map((one) => one[key]);
    assert.equal(new Set(all).size, all.length, key);
  }
  for (const { id, behaviour } of REQUIREMENTS) {
    assert.match(id, /^[a-z0-9_]+(\.[a-z0-9_]+)+$/);
    assert.doesNotMatch(behaviour, /\.$/, id);
  }
});

Deno.test("verifies() refuses an id that is not in the list", () => {
  const cite = verifies as (...ids: string[]) => void;
  assert.throws(() => cite("no.such.promise"), {
    name: "RangeError",
    message:
      'Cannot cite the requirement "no.such.promise": it is not in tests/requirements.ts; add it there or mend the id',
  });
  cite(REQUIREMENTS[0].id);
});

Deno.test("citationsOf() reads citations and no comment", () => {
  const call = "verifies";
  assert.deepEqual(
    citationsOf(
      `${call}("a.b");\n// ${call}("c.d")\n/* ${call}("e.f") */\n${call}(\n  "g.h",\n  "i.j",\n);`,
    ),
    ["a.b", "g.h", "i.j"],
  );
});
