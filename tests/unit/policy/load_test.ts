import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { FOLDER } from "@/policy/folder.ts";
import {
  compilePolicies,
  type FolderReader,
  hashOf,
  loadPolicies,
} from "@/policy/load.ts";
import { verifies } from "../../requirements.ts";
import { decision, OPERATORS, policiesOf, SCHEMA } from "./support.ts";

function folder(files: Record<string, string>): FolderReader {
  const all: Record<string, string> = {
    "schema.cedarschema": SCHEMA,
    ...files,
  };
  return {
    readDir: () => Promise.resolve(Object.keys(all)),
    readText: (_folder, name) => {
      const text = all[name];
      return text === undefined
        ? Promise.reject(new AppError("invalid_arguments", "Cannot: not there"))
        : Promise.resolve(text);
    },
  };
}

async function refusal(files: Record<string, string>): Promise<string> {
  try {
    await loadPolicies("p", folder(files));
  } catch (thrown) {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, "invalid_arguments");
    return thrown.message;
  }
  throw new assert.AssertionError({ message: "nothing was refused" });
}

Deno.test("loadPolicies() says every problem with file, line and what to do", async () => {
  verifies("policy.strict_load");
  const message = await refusal({
    "a.cedar":
      `// one\n\npermit (principal, action, resource);\n@id("Bad Name") permit (principal, action, resource);\n`,
    "b.cedar":
      `@id("x")\n@approver("clent_user")\nforbid (principal, action, resource) unless { context.approved };\n` +
      `@id("y") @approver("client_user") forbid (principal, action, resource) when { context.intrusive };\n`,
    "c.cedar":
      `@id("z") permit (principal, action, resource)\nwhen { ünknown };`,
    "d.cedar": `@id("t") permit (principal == ?principal, action, resource);`,
  });
  const expected = [
    /^Cannot use the policies: 6 problems; correct them and try again$/,
    /^ {2}a\.cedar:3: a policy has no name; write @id\("what-it-says"\)/,
    /^ {2}a\.cedar:4: "Bad Name" is no name of a policy/,
    /^ {2}b\.cedar:1: @approver\("clent_user"\) is not known; write @approver\("client_user"\)/,
    /^ {2}b\.cedar:4: @approver does nothing in a policy that does not look at context\.approved/,
    /^ {2}c\.cedar:2: /,
    /^ {2}d\.cedar:1: templates are not taken/,
  ];
  const lines = message.split("\n");
  assert.equal(lines.length, expected.length, message);
  for (const [index, pattern] of expected.entries()) {
    assert.match(lines[index] ?? "", pattern);
  }
});

Deno.test("loadPolicies() holds every policy against the schema", async () => {
  verifies("policy.strict_load");
  const message = await refusal({
    "a.cedar": `${OPERATORS}@id("typo") forbid (principal, action, resource)
when {
  context.intrusiv
};
@id("optional") forbid (principal, action, resource) when { resource.network.isInRange(ip("10.0.0.0/8")) };
@id("action") forbid (principal, action == Action::"nmap:conect", resource);
@id("never") forbid (principal, action, resource) when { false };
@id("type") forbid (principal, action, resource) when { context.rate == "fast" };
@id("look") forbid (principal, action, resource) when { resource.tags.contains("p\u0430ypal") };`,
  });
  const lines = message.split("\n");
  for (
    const pattern of [
      /a\.cedar:4: policy "typo": .*`intrusiv`.*did you mean `intrusive`/,
      /a\.cedar:6: policy "optional": .*optional attribute `network`/,
      /a\.cedar:7: policy "action": .*did you mean `Action::"nmap:connect"`/,
      /a\.cedar:8: policy "never": policy is impossible/,
      /a\.cedar:9: policy "type": /,
      /a\.cedar:10: policy "look": .*mixed scripts/,
    ]
  ) {
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern}\n${message}`,
    );
  }
});

Deno.test("loadPolicies() refuses a text of ip() that is no plain address", async () => {
  verifies("policy.strict_load");
  for (const text of ["10.0.0.256", "::ffff:10.0.0.1", "010.0.0.1", "any"]) {
    const message = await refusal({
      "a.cedar":
        `@id("a") forbid (principal, action, resource) when { resource has network && resource.network.isInRange(ip("${text}")) };`,
    });
    assert.match(message, /a\.cedar:1: ".*" is no address or network/, text);
  }
});

Deno.test("loadPolicies() refuses a name that is taken, also over files", async () => {
  verifies("policy.strict_load");
  assert.match(
    await refusal({ "a.cedar": OPERATORS, "b.cedar": `\n${OPERATORS}` }),
    /b\.cedar:2: the name "operators" is taken by a\.cedar:1; give each policy an @id of its own/,
  );
  assert.match(
    await refusal({ "a.cedar": OPERATORS + OPERATORS }),
    /a\.cedar:2: the name "operators" is taken by a\.cedar:1/,
  );
});

Deno.test("loadPolicies() bounds files, their size, policies and the networks they name", async () => {
  verifies("policy.bounds");
  const many = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`f${i}.cedar`, "// nothing"]),
    );
  assert.match(await refusal(many(65)), /there are 65 files, at most 64/);
  await loadPolicies("p", folder(many(64)));
  assert.match(
    await refusal({ "a.cedar": "/".repeat(262_145) }),
    /a\.cedar: it has more than 262144 bytes/,
  );
  const numbered = (from: number, count: number) =>
    Array.from(
      { length: count },
      (_, i) => `@id("p${from + i}") permit (principal, action, resource);`,
    ).join("\n");
  assert.match(
    await refusal({
      "a.cedar": numbered(0, 600),
      "b.cedar": numbered(600, 401),
    }),
    /there are 1001 policies, at most 1000/,
  );
  assert.match(
    await refusal({ "a.cedar": numbered(0, 1_002) }),
    /a\.cedar:\d+: there are more than 1000 policies/,
  );
  const networks = Array.from(
    { length: 1_001 },
    (_, i) => `ip("10.${i >> 8}.${i & 255}.0/24")`,
  ).join(", ");
  assert.match(
    await refusal({
      "a.cedar":
        `@id("a") forbid (principal, action, resource) when { resource has network && [${networks}].contains(resource.network) };`,
    }),
    /they name 1001 networks, at most 1000/,
  );
});

Deno.test("loadPolicies() refuses file names that could hide what they are", async () => {
  for (const name of ["a\nb.cedar", "ä.cedar", "a b.cedar", "-a.cedar"]) {
    assert.match(
      await refusal({ [name]: OPERATORS }),
      /is no name of a policy file/,
      name,
    );
  }
});

Deno.test("loadPolicies() reads *.cedar of the folder itself and nothing else", async () => {
  const names = await FOLDER.readDir("config/policies");
  assert.deepEqual([...names].sort(), [
    "cases.yaml",
    "guardrails.cedar",
    "operators.cedar",
    "schema.cedarschema",
  ]);
  const { views } = await loadPolicies(
    "p",
    folder({
      "a.cedar": OPERATORS,
      ".b.cedar": "broken",
      "b.cedar~": "broken",
      "README.md": "broken",
    }),
  );
  assert.deepEqual(views.map(({ id }) => id), ["operators"]);
});

Deno.test("FOLDER says what is wrong with what it cannot read", async () => {
  const table: [() => Promise<unknown>, RegExp][] = [
    [
      () => FOLDER.readDir("config/none"),
      /it is not there; policy\.folder has to/,
    ],
    [() => FOLDER.readDir("/root"), /may not read it; put it below config\//],
    [() => FOLDER.readDir("config/default.yaml"), /it is no folder/],
    [
      () => FOLDER.readText("config", "none.cedar"),
      /"none\.cedar" is not there/,
    ],
    [() => FOLDER.readText("/root", "a.cedar"), /may not read "a\.cedar"/],
    [() => FOLDER.readText("config", "policies"), /it is no regular file/],
    [() => FOLDER.readText("sandbox/seccomp", "filter.bpf"), /it is not UTF-8/],
  ];
  for (const [reading, message] of table) {
    await assert.rejects(reading(), { code: "invalid_arguments", message });
  }
});

Deno.test("a policy that permits everything shows in the views as it is written", async () => {
  const slipped =
    `@id("harmless")\n@description("Nothing to see.")\npermit (principal, action, resource);`;
  const { views } = await loadPolicies(
    "p",
    folder({ "a.cedar": OPERATORS, "zz.cedar": `// ü\n${slipped}\n` }),
  );
  assert.deepEqual(views[1], {
    id: "harmless",
    effect: "permit",
    file: "zz.cedar",
    annotations: { id: "harmless", description: "Nothing to see." },
    text: slipped,
  });
});

Deno.test("a schema that does not fit the server is refused", async () => {
  const table: [string, RegExp][] = [
    ["entity X in;", /schema\.cedarschema:1: unexpected token/],
    [
      SCHEMA.replace("approved: Bool,", ""),
      /does not fit what the server says/,
    ],
    [SCHEMA.replace('"nmap:udp", ', ""), /does not fit .* of nmap:udp/],
    [SCHEMA.replace("rate: Long", "rate: String"), /does not fit/],
    ["", /does not fit/],
    [`type A = ${"Set<".repeat(500)}Long${">".repeat(500)};`, /nested more/],
  ];
  for (const [schema, message] of table) {
    await assert.rejects(compilePolicies({ schema, files: [] }), { message });
  }
});

Deno.test("hashOf() changes with a name, a text and the schema, and with nothing else", async () => {
  const [a, b] = [{ name: "a.cedar", text: "1" }, {
    name: "b.cedar",
    text: "2",
  }];
  const hash = await hashOf({ schema: "s", files: [a, b] });
  assert.match(hash, /^[0-9a-f]{64}$/);
  assert.equal(await hashOf({ schema: "s", files: [b, a] }), hash);
  const others = [
    { schema: "t", files: [a, b] },
    { schema: "s", files: [a] },
    { schema: "s", files: [a, { ...b, text: "3" }] },
    { schema: "s", files: [a, { ...b, name: "c.cedar" }] },
    { schema: "s", files: [{ name: "a.cedar", text: '1"],["b.cedar","2' }] },
  ];
  const hashes = await Promise.all(others.map(hashOf));
  assert.equal(new Set([hash, ...hashes]).size, others.length + 1);
});

Deno.test("validate() says what is wrong with a text and takes nothing into force", async () => {
  const policies = await policiesOf(OPERATORS);
  const table: [string, RegExp[]][] = [
    [OPERATORS, []],
    ["", [/^it holds no policy$/]],
    ["permit (principal);", [/^policy:1: /]],
    ["permit (principal, action, resource);", [/has no name/]],
    [OPERATORS + OPERATORS, [/^policy:2: the name "operators" is taken/]],
    [`@id("a`, [/^policy:1: a text is not ended/]],
    ["é".repeat(140_000), [/more than 262144 bytes/]],
    [
      `@id("a") permit (principal, action, resource) when { principal.admin };`,
      [/attribute `admin` on entity type `Client` not found/],
    ],
  ];
  for (const [text, patterns] of table) {
    const messages = await policies.validate(text);
    assert.equal(messages.length, patterns.length, messages.join("\n"));
    for (const [index, pattern] of patterns.entries()) {
      assert.match(messages[index] ?? "", pattern);
    }
  }
  assert.equal(policies.views.length, 1);
  assert.equal(
    (await decision(policies, { target: "10.0.0.1" })).kind,
    "allow",
  );
});
