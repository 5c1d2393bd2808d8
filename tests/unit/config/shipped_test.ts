import assert from "node:assert/strict";
import { configDefault } from "@/cli/config_view.ts";
import { readCatalogue } from "@/config/catalogue.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import { loadConfig } from "@/config/load.ts";
import { KEYS } from "@/config/schema.ts";
import { verifies } from "../../requirements.ts";

verifies("config.examples_load");

async function load(name: string): Promise<ReturnType<typeof loadConfig>> {
  const text = await Deno.readTextFile(`config/${name}`);
  return loadConfig({ file: { name, text }, env: {} });
}

Deno.test("config/default.yaml is the printed copy of the defaults", async () => {
  assert.equal(await Deno.readTextFile("config/default.yaml"), configDefault());
});

Deno.test("config/default.yaml sets every key to its default", async () => {
  const { config, origins, warnings } = await load("default.yaml");
  assert.deepEqual(config, loadConfig({ file: null, env: {} }).config);
  assert.deepEqual(new Set(origins.values()), new Set(["file"]));
  assert.deepEqual(warnings, []);
});

Deno.test("config/default.yaml tells each key's variable, values and meaning", async () => {
  const text = await Deno.readTextFile("config/default.yaml");
  for (const { variable, spec, key } of KEYS) {
    assert.ok(
      text.includes(`  # ${variable}: ${spec.values}\n  ${key}: `),
      variable,
    );
    assert.match(spec.description, /^[A-Z].*\.$/, variable);
  }
});

Deno.test("config/hardened.yaml loads without a warning and is stricter than the defaults", async () => {
  const strict = await load("hardened.yaml");
  assert.deepEqual(strict.warnings, []);
  const defaults = loadConfig({ file: null, env: {} }).config;
  const { config } = strict;
  assert.equal(config.security.allow_intrusive, false);
  assert.deepEqual(config.security.allowed_subnets, []);
  assert.ok(config.security.denied_subnets.includes("127.0.0.0/8"));
  for (
    const [ours, theirs] of [
      [config.tool.max_timeout, defaults.tool.max_timeout],
      [config.security.max_network_size, defaults.security.max_network_size],
      [config.security.max_output_bytes, defaults.security.max_output_bytes],
      [
        config.security.max_concurrent_scans,
        defaults.security.max_concurrent_scans,
      ],
      [config.nmap.timing, defaults.nmap.timing],
      [config.masscan.max_rate, defaults.masscan.max_rate],
      [config.gobuster.max_threads, defaults.gobuster.max_threads],
    ] as const
  ) assert.ok(ours < theirs, `${ours} is not below ${theirs}`);
});

const WORDLISTS: readonly (readonly [name: string, least: number])[] = [
  ["api", 150],
  ["common", 500],
  ["subdomains", 200],
  ["tiny", 10],
  ["vhosts", 100],
];

Deno.test("config/wordlists is a catalogue of the five lists", async () => {
  const warnings: string[] = [];
  const lists = await readCatalogue(["config/wordlists"], {
    warn: (message) => warnings.push(message),
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(
    lists.map(({ name }) => name),
    WORDLISTS.map(([name]) => name),
  );
  const { config } = loadConfig({ file: null, env: {} });
  const { gobuster } = guardrailsOf(config, lists);
  assert.ok(lists.some(({ name }) => name === gobuster.wordlistDefault));
});

for (const [name, least] of WORDLISTS) {
  Deno.test(`config/wordlists/${name}.txt holds words and nothing else`, async () => {
    const text = await Deno.readTextFile(`config/wordlists/${name}.txt`);
    assert.ok(text.endsWith("\n"));
    const words = text.slice(0, -1).split("\n");
    assert.ok(words.length >= least, `${words.length} words`);
    assert.equal(
      new Set(words).size,
      words.length,
      "a word stands there twice",
    );
    const form = name === "subdomains" || name === "vhosts"
      ? /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
      : /^[A-Za-z0-9._][A-Za-z0-9._/-]*$/;
    for (const word of words) assert.match(word, form);
    const lists = await readCatalogue(["config/wordlists"]);
    assert.equal(lists.find((list) => list.name === name)?.words, words.length);
  });
}

Deno.test("config/wordlists/README.md names each list", async () => {
  const text = await Deno.readTextFile("config/wordlists/README.md");
  for (const [name] of WORDLISTS) {
    assert.ok(text.includes(`| \`${name}\``), name);
  }
});
