import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { parseCaseRequest } from "@/policy/cases.ts";
import type { FolderReader } from "@/policy/load.ts";
import { Policies } from "@/policy/policies.ts";
import { verifies } from "../../requirements.ts";
import { DEFAULTS, OPERATORS, SCHEMA } from "./support.ts";

function folder(): { files: Record<string, string>; reader: FolderReader } {
  const files: Record<string, string> = {
    "schema.cedarschema": SCHEMA,
    "a.cedar": OPERATORS,
  };
  const reader: FolderReader = {
    readDir: () => Promise.resolve(Object.keys(files)),
    readText: (_folder, name) => Promise.resolve(files[name] ?? ""),
  };
  return { files, reader };
}

const REQUEST = parseCaseRequest({ target: "10.0.0.1" }, DEFAULTS);

Deno.test("reload() takes other policies as a whole, and a call keeps the ones that it began with", async () => {
  verifies("policy.reload");
  const { files, reader } = folder();
  const policies = await Policies.open("p", reader);
  const before = policies.engine;
  assert.equal((await before.decide(REQUEST)).kind, "allow");
  assert.equal(await policies.reload(), false);
  assert.equal(policies.engine, before);
  files["b.cedar"] = `@id("no") forbid (principal, action, resource);`;
  assert.equal(await policies.reload(), true);
  assert.notEqual(policies.engine.hash, before.hash);
  assert.equal((await policies.engine.decide(REQUEST)).kind, "deny");
  assert.equal((await before.decide(REQUEST)).kind, "allow");
  assert.deepEqual((await policies.ready()).views.map(({ id }) => id), [
    "operators",
    "no",
  ]);
});

Deno.test("reload() keeps the old policies where one is wrong", async () => {
  verifies("policy.reload");
  const { files, reader } = folder();
  const policies = await Policies.open("p", reader);
  const before = policies.engine;
  files["b.cedar"] = `permit (principal, action, resource);`;
  await assert.rejects(policies.reload(), { code: "invalid_arguments" });
  assert.equal(policies.engine, before);
  assert.equal((await policies.engine.decide(REQUEST)).kind, "allow");
});

Deno.test("policies that cannot be used decide nothing", async () => {
  verifies("policy.fail_closed");
  const { files, reader } = folder();
  files["b.cedar"] = `permit (principal, action, resource);`;
  const policies = await Policies.open("p", reader);
  for (let i = 0; i < 2; i++) {
    await assert.rejects(policies.ready(), {
      code: "invalid_arguments",
      message: /b\.cedar:1: a policy has no name/,
    });
    await assert.rejects(policies.engine.decide(REQUEST));
  }
  delete files["b.cedar"];
  assert.equal(await policies.reload(), true);
  assert.equal((await policies.engine.decide(REQUEST)).kind, "allow");
});

Deno.test("policies that cannot be read are refused, and the old ones go on", async () => {
  verifies("policy.reload");
  const { files, reader } = folder();
  let gone = false;
  const failing: FolderReader = {
    ...reader,
    readDir: (name) =>
      gone
        ? Promise.reject(new AppError("invalid_arguments", "Cannot read it"))
        : reader.readDir(name),
  };
  const policies = await Policies.open("p", failing);
  const before = policies.engine;
  gone = true;
  await assert.rejects(Policies.open("p", failing), {
    code: "invalid_arguments",
  });
  await assert.rejects(policies.reload(), { code: "invalid_arguments" });
  assert.equal(policies.engine, before);
  assert.equal((await before.decide(REQUEST)).kind, "allow");
  // A folder that lost its policies permits nothing, whatever was permitted.
  gone = false;
  delete files["a.cedar"];
  assert.equal(await policies.reload(), true);
  assert.deepEqual(await policies.engine.decide(REQUEST), {
    kind: "deny",
    policies: [],
  });
});

Deno.test("many who decide at once with new policies make them ready once", async () => {
  const { reader } = folder();
  const policies = await Policies.open("p", reader);
  const sets = await Promise.all([1, 2, 3].map(() => policies.ready()));
  assert.equal(new Set(sets).size, 1);
  const decided = await Promise.all(
    [1, 2, 3].map(() => policies.engine.decide(REQUEST)),
  );
  assert.ok(decided.every(({ kind }) => kind === "allow"));
});

Deno.test("nothing of src imports Cedar but when it is needed", async () => {
  const { filesBelow, importsOf, textOf } = await import(
    "../../tidy/repository.ts"
  );
  for (const file of filesBelow("src/")) {
    if (!file.endsWith(".ts")) continue;
    const text = textOf(file);
    if (!text.includes("@cedar-policy/")) continue;
    assert.equal(file, "src/policy/cedar.ts");
    const held = importsOf(file, text).filter(({ specifier, typeOnly }) =>
      specifier.startsWith("@cedar-policy/") && !typeOnly
    );
    assert.equal(held.length, 1);
    assert.match(text, /await import\("@cedar-policy\/cedar-wasm"\)/);
  }
});
