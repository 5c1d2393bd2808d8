/**
 * What is in force while configuration and policies change at the same time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readConfig } from "@/config/boot.ts";
import { InForce, readRules } from "@/cli/in_force.ts";
import type { World } from "@/cli/world.ts";
import type { AuditEntry } from "@/audit/entry.ts";
import type { Policies } from "@/policy/policies.ts";
import { verifies } from "../requirements.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** Policies of which only the hash matters. */
class FakePolicies {
  onDisk = "old";
  #hash = "old";

  get engine() {
    return { hash: this.#hash, decide: () => Promise.reject() };
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  reload(): Promise<boolean> {
    const changed = this.#hash !== this.onDisk;
    this.#hash = this.onDisk;
    return Promise.resolve(changed);
  }
}

Deno.test("a reload of the configuration puts no older policies back in force", async () => {
  verifies("config.reload_whole_or_not");
  await using folder = await withTempDir();
  const file = `${folder.path}/config.yaml`;
  const policiesFolder = `${folder.path}/policies`;
  await Deno.mkdir(policiesFolder);
  const write = (seconds: number) =>
    Deno.writeTextFile(
      file,
      `policy:\n  folder: ${policiesFolder}\ncache:\n  ttl_seconds: ${seconds}\n`,
    );
  await write(1);
  const env = { MCP_CONFIG_FILE: file };
  const fake = new FakePolicies();
  const policies = fake as unknown as Policies;
  const loaded = await readConfig(env);
  const recorded: AuditEntry[] = [];
  await using force = new InForce(
    loaded,
    await readRules(loaded.config, policies),
    {
      world: { env, onReload: () => {} } as unknown as World,
      policies,
      transport: "stdio",
      // The isolates take their time; meanwhile somebody forbids something.
      take: async () => {
        if (fake.onDisk === "new") return;
        fake.onDisk = "new";
        void force.reload("the policies changed");
        while (force.rules.policy.hash === "old") {
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
      record: (entry) => Promise.resolve(void recorded.push(entry)),
      tell: () => {},
    },
  );
  await force.watch();
  await write(2);
  assert.deepEqual((await force.reload("somebody asked")).problems, []);
  assert.equal(force.rules.cacheTtlMs, 2_000);
  assert.equal(force.rules.policy.hash, "new");
  assert.deepEqual(
    recorded.map((entry) =>
      entry.kind === "config_changed" ? entry.policyHash : entry.kind
    ),
    ["new", "new"],
  );
});
