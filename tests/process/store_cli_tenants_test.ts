/**
 * `--tenant` of the commands that work with the history: two tenants import the same files under the
 * same names, and each command shows and takes what is the tenant's that it is told.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { Desk, hostXml, nmapXml } from "./fixtures/history_commands.ts";

const env = { MCP_IDENTITY_TENANTS: "acme,umbra" };

const WHO = ["default", "acme", "umbra"] as const;

/** The flag, left out for the house. */
function of(tenant: string): readonly string[] {
  return tenant === "default" ? [] : ["--tenant", tenant];
}

// deno-lint-ignore no-explicit-any -- each command has a form of its own
async function json(desk: Desk, task: string, args: string[]): Promise<any> {
  const { code, out, err } = await desk.run(task, [...args, "--json"], { env });
  assert.equal(code, 0, `${task} ${args.join(" ")}: ${out}${err}`);
  return JSON.parse(out);
}

/** Everybody imports two scans of one network; gives the ids by tenant, the older one first. */
async function fill(desk: Desk): Promise<ReadonlyMap<string, string[]>> {
  const start = Math.floor(Date.now() / 1_000) - 100 * 86_400;
  const files = [
    await desk.write("1.xml", nmapXml(hostXml("10.0.0.1", [22]), { start })),
    await desk.write(
      "2.xml",
      nmapXml(hostXml("10.0.0.1", [22, 80]), { start: start + 86_400 }),
    ),
  ];
  const ids = new Map<string, string[]>();
  for (const tenant of WHO) {
    const { files: done } = await json(desk, "import", [
      ...files,
      "--engagement",
      "spring",
      "--tag",
      "web",
      ...of(tenant),
    ]);
    assert.deepEqual(
      done.map(({ outcome }: { outcome: string }) => outcome),
      ["imported", "imported"],
      "a file that another tenant has is new",
    );
    ids.set(tenant, done.map((one: { scan_id: string }) => one.scan_id));
  }
  return ids;
}

Deno.test("history shows what is the tenant's that it is told, and the house's if none", async () => {
  verifies("history.tenant");
  await using desk = await Desk.make();
  const ids = await fill(desk);
  type One = { scan_id: string; last_scan: string; port: number };
  for (const tenant of WHO) {
    const [old = "", young = ""] = ids.get(tenant) ?? [];
    for (const cut of [[], ["--engagement", "spring"], ["--tag", "web"]]) {
      const args = [...cut, ...of(tenant)];
      const { scans } = await json(desk, "history", ["list", ...args]);
      assert.deepEqual(scans.map((one: One) => one.scan_id), [young, old]);
      const known = await json(desk, "history", ["inventory", ...args]);
      assert.deepEqual(
        known.services.map((one: One) => `${one.port} ${one.last_scan}`),
        [`22 ${young}`, `80 ${young}`],
      );
      const hosts = await json(desk, "history", [
        "inventory",
        "--hosts",
        ...args,
      ]);
      assert.deepEqual(hosts.hosts.map((one: One) => one.last_scan), [young]);
      const found = await json(desk, "history", ["search", "nginx", ...args]);
      assert.deepEqual(
        new Set(found.sightings.map((one: One) => one.scan_id)),
        new Set([old, young]),
      );
    }
    const diff = await json(desk, "history", ["diff", young, ...of(tenant)]);
    assert.equal(diff.older.scan_id, old);
    const shown = await json(desk, "history", ["show", old, ...of(tenant)]);
    assert.equal(shown.scan_id, old);
  }
});

Deno.test("no command shows a scan of another tenant than it is told", async () => {
  verifies("history.tenant");
  await using desk = await Desk.make();
  const ids = await fill(desk);
  const [house = ""] = ids.get("default") ?? [];
  const [acme = "", acmeYoung = ""] = ids.get("acme") ?? [];
  const asks: readonly (readonly [string, ...string[]])[] = [
    ["history", "show", acme],
    ["history", "show", house, "--tenant", "acme"],
    ["history", "show", acme, "--tenant", "umbra"],
    ["history", "diff", acmeYoung],
    ["history", "diff", house, acmeYoung, "--tenant", "acme"],
    ["report", acme],
    ["report", acme, "--format", "xml"],
    ["report", acmeYoung, "--since", house, "--tenant", "acme"],
  ];
  for (const [task, ...args] of asks) {
    const { code, out, err } = await desk.run(task, args, { env });
    assert.equal(code, 2, `${task} ${args.join(" ")}: ${out}`);
    assert.match(err, /^not_found: Cannot find the scan .*none of that id/);
    assert.equal(out, "");
  }
});

Deno.test("report takes the scans of one tenant, and is recorded with its name", async () => {
  await using desk = await Desk.make();
  const ids = await fill(desk);
  for (const tenant of WHO) {
    const { code, out } = await desk.run("report", [
      "--engagement",
      "spring",
      "--format",
      "json_lines",
      ...of(tenant),
    ], { env });
    assert.equal(code, 0);
    for (const [whose, own] of ids) {
      for (const id of own) {
        assert.equal(out.includes(id), whose === tenant, `${tenant}: ${id}`);
      }
    }
  }
  const requests = (await desk.audited("export"))
    .filter(({ kind }) => kind === "request");
  assert.deepEqual(
    requests.map((entry) => (entry["arguments"] as { tenant: string }).tenant),
    [...WHO],
  );
});

Deno.test("store stats and store prune are of one tenant, and of all when told", async () => {
  verifies("history.tenant");
  await using desk = await Desk.make();
  await fill(desk);
  const count = async (tenant: string) =>
    (await json(desk, "store", ["stats", "--tenant", tenant])).scans.succeeded;
  assert.equal((await json(desk, "store", ["stats"])).scans.succeeded, 6);
  const prune = async (...args: string[]) =>
    (await json(desk, "store", ["prune", "--max-bytes", "1", ...args])).scans
      .length;
  assert.equal(await prune("--tenant", "acme"), 2);
  assert.deepEqual(await Promise.all(WHO.map(count)), [2, 0, 2]);
  assert.equal(await prune(), 2);
  assert.deepEqual(await Promise.all(WHO.map(count)), [0, 0, 2]);
  assert.equal(await prune("--all-tenants"), 2);
  assert.deepEqual(await Promise.all(WHO.map(count)), [0, 0, 0]);
  const requests = (await desk.audited("delete"))
    .filter(({ kind }) => kind === "request");
  assert.deepEqual(
    requests.map((entry) => (entry["arguments"] as { tenant: string }).tenant),
    ["acme", "default", "all"],
  );
  const { code, err } = await desk.run("store", [
    "prune",
    "--all-tenants",
    "--tenant",
    "acme",
    "--max-bytes",
    "1",
  ]);
  assert.equal(code, 2);
  assert.match(err, /--tenant is one of --all-tenants/);
});

Deno.test("--tenant is explained by each command, and a wrong one is refused", async () => {
  await using desk = await Desk.make();
  const file = await desk.write("1.xml", nmapXml(hostXml("10.0.0.1", [22])));
  for (const task of ["history", "report", "import", "store"]) {
    const { code, out } = await desk.run(task, ["--help"]);
    assert.equal(code, 0);
    assert.match(out, /--tenant NAME .*default if left out/, task);
  }
  const wrong: readonly (readonly [string, ...string[]])[] = [
    ["history", "list", "--tenant", "A B"],
    ["history", "list", "--tenant", ""],
    ["report", "--tag", "web", "--tenant", "*"],
    ["import", file, "--tenant", "../acme"],
    ["store", "stats", "--tenant", "ACME"],
    ["store", "prune", "--max-bytes", "1", "--tenant", "x".repeat(65)],
  ];
  for (const [task, ...args] of wrong) {
    const { code, err } = await desk.run(task, args, { env });
    assert.equal(code, 2, `${task} ${args.join(" ")}: ${err}`);
    assert.match(
      err,
      /^invalid_arguments: Cannot read the command line: --tenant/,
    );
  }
  const { code, err } = await desk.run("import", [file, "--tenant", "amce"], {
    env,
  });
  assert.equal(code, 2);
  assert.match(
    err,
    /Cannot import for the tenant "amce": identity\.tenants does not name it; there are default, acme, umbra/,
  );
});
