/**
 * `deno task history` and `deno task report` with the flags of their tasks, over scans of the real nmap
 * and scans that were imported.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ROOT, taskCommand } from "../support/task.ts";
import { Desk, hostXml, nmapXml } from "./fixtures/history_commands.ts";
import { listener } from "./fixtures/listener.ts";
import { verifies } from "../requirements.ts";

/** Imports three scans of a network: the second found one port more, the third one less. */
async function threeScans(desk: Desk): Promise<string[]> {
  const day = 86_400;
  const start = 1_700_000_000;
  const files = [
    await desk.write(
      "1.xml",
      nmapXml(hostXml("10.0.0.1", [22, 80]), { start }),
    ),
    await desk.write(
      "2.xml",
      nmapXml(hostXml("10.0.0.1", [22, 80, 99], "Apache httpd"), {
        start: start + day,
      }),
    ),
    await desk.write(
      "3.xml",
      nmapXml(hostXml("10.0.0.1", [22, 99], "Apache httpd", [80]), {
        start: start + 2 * day,
      }),
    ),
  ];
  const old = await desk.import(files.slice(0, 1), ["--engagement", "acme"]);
  const others = await desk.import(files.slice(1), [
    "--engagement",
    "acme",
    "--tag",
    "web",
  ]);
  return [...old, ...others];
}

Deno.test("history lists newest first, page by page, and cut by what scans are kept under", async () => {
  verifies("history.commands");
  await using desk = await Desk.make();
  const ids = await threeScans(desk);
  const idsOf = async (...args: string[]) => {
    const { scans, next_before } = await desk.json("history", [
      "list",
      ...args,
    ]);
    return [
      scans.map(({ scan_id }: { scan_id: string }) => scan_id),
      next_before,
    ];
  };
  const [one = "", two = "", three = ""] = ids;
  assert.deepEqual(await idsOf(), [[three, two, one], null]);
  assert.deepEqual(await idsOf("--limit", "2"), [[three, two], two]);
  assert.deepEqual(await idsOf("--limit", "2", "--before", two), [[one], null]);
  assert.deepEqual(await idsOf("--tag", "web"), [[three, two], null]);
  assert.deepEqual(await idsOf("--engagement", "acme", "--tool", "masscan"), [
    [],
    null,
  ]);
  const { out } = await desk.run("history", ["list", "--limit", "1"]);
  assert.match(
    out,
    /^SCAN +BEGAN +TOOL +STATUS +TARGET +KEPT UNDER +SUMMARY\n/,
  );
  assert.match(out, /acme \[web\] +Done: 1 of 256 hosts up, 2 open ports/);
  assert.match(out, new RegExp(`^more: add --before ${three}$`, "m"));
});

Deno.test("history diff compares two scans, and one with the last time", async () => {
  verifies("history.commands");
  await using desk = await Desk.make();
  const [one = "", two = "", three = ""] = await threeScans(desk);
  const whole = await desk.json("history", ["diff", one, three]);
  assert.deepEqual(
    [whole.older.scan_id, whole.newer.scan_id],
    [one, three],
  );
  assert.deepEqual(whole.totals.ports.opened, 1);
  assert.deepEqual(whole.totals.ports.closed, 1);
  const last = await desk.json("history", ["diff", three]);
  assert.equal(last.older.scan_id, two);
  const { out } = await desk.run("history", ["diff", three]);
  assert.match(out, /^- 10\.0\.0\.1 80\/tcp closed: /m);
  const first = await desk.run("history", ["diff", one]);
  assert.equal(first.code, 2);
  assert.match(first.err, /^not_found: Cannot compare with the last time: /);
});

Deno.test("history inventory and search know every scan, and are cut by each filter", async () => {
  verifies("history.commands");
  await using desk = await Desk.make();
  const [one, , three] = await threeScans(desk);
  await desk.import([
    await desk.write("4.xml", nmapXml(hostXml("10.0.7.7", [80], "lighttpd"))),
  ]);
  type Row = { address: string; port: number; last_scan: string };
  const rows = async (...args: string[]) =>
    (await desk.json("history", ["inventory", ...args])).services.map(
      ({ address, port }: Row) => `${address}:${port}`,
    );
  assert.deepEqual(await rows(), [
    "10.0.0.1:22",
    "10.0.0.1:99",
    "10.0.7.7:80",
  ]);
  const cuts: readonly (readonly [string[], string[]])[] = [
    [["--subnet", "10.0.7.0/24"], ["10.0.7.7:80"]],
    [["--port", "22"], ["10.0.0.1:22"]],
    [["--product", "LIGHTTPD"], ["10.0.7.7:80"]],
    [["--service", "ssh"], []],
    [["--engagement", "acme", "--tag", "web"], ["10.0.0.1:22", "10.0.0.1:99"]],
    [["--since", "2023-11-15"], ["10.0.0.1:22", "10.0.0.1:99"]],
    [["--until", "2023-11-15"], ["10.0.7.7:80"]],
    [["--limit", "1"], ["10.0.0.1:22"]],
  ];
  for (const [args, expected] of cuts) {
    assert.deepEqual(await rows(...args), expected, args.join(" "));
  }
  const { hosts } = await desk.json("history", ["inventory", "--hosts"]);
  assert.deepEqual(
    hosts.map(({ address, last_scan }: Row) => [address, last_scan])[0],
    ["10.0.0.1", three],
  );
  const found = await desk.json("history", [
    "search",
    "apach*",
    "--port",
    "99",
  ]);
  assert.equal(found.sightings.length, 2);
  const phrase = await desk.run("history", ["search", '"nginx 1 18"']);
  assert.match(
    phrase.out,
    new RegExp(`^10\\.0\\.0\\.1 .* ${one} +nginx 1\\.18`, "m"),
  );
});

/** Command lines that are refused, and the words that say the right form. */
const REFUSED: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["history", [], /list, show, diff, inventory, search/],
  ["history", ["nix"], /list, show, diff, inventory, search/],
  ["history", ["show"], /deno task history show SCAN_ID/],
  ["history", ["show", "a", "b"], /"b" is one word too many/],
  ["history", ["show", "none"], /deno task history list names those/],
  ["history", ["list", "--status", "done"], /one of queued, running,/],
  ["history", ["list", "--limit", "0"], /whole number from 1 to 1000/],
  ["history", ["list", "--nix"], /form is: deno task history list/],
  ["history", ["inventory", "--hosts", "--port", "1"], /--port is of services/],
  ["history", ["inventory", "--since", "2023-02-30"], /such as 2026-03-01/],
  ["history", ["inventory", "--subnet", "x"], /no CIDR network/],
  ["history", ["search", "--port", "80"], /something is missing/],
  ["history", ["search", "!!!"], /no letter and no digit/],
  ["report", [], /name a scan, --engagement or --tag/],
  ["report", ["none"], /deno task history list names those/],
  ["report", ["a", "--tag", "b"], /of one scan, or of all/],
  ["report", ["a", "--format", "pdf"], /html, markdown, csv/],
  ["report", ["a", "--output", "reports/x"], /--format is needed/],
  ["report", ["a", "--force"], /--force is of --output/],
  ["report", ["--since", "a"], /--since wants a newer scan/],
  ["report", ["--tag", "nix"], /no scan is kept under/],
];

Deno.test("history and report refuse what they cannot do and name the right form", async () => {
  await using desk = await Desk.make();
  for (const [task, args, message] of REFUSED) {
    const { code, out, err } = await desk.run(task, args);
    assert.equal(code, 2, args.join(" "));
    assert.equal(out, "");
    assert.match(err, message, args.join(" "));
    assert.match(err, /^(?:invalid_arguments|not_found): Cannot /);
  }
});

Deno.test("report writes every format of a scan, a difference and an engagement", async () => {
  verifies("report.formats");
  await using desk = await Desk.make();
  const [one = "", , three = ""] = await threeScans(desk);
  const starts: readonly (readonly [string, RegExp])[] = [
    ["html", /^<!DOCTYPE html>/i],
    ["markdown", /^# /],
    ["csv", /^record,/],
    ["json_lines", /^\{"/],
    ["sarif", /^\{[\s\S]*"version": ?"2\.1\.0"/],
  ];
  const subjects = [[three], [three, "--since", one], ["--engagement", "acme"]];
  for (const subject of subjects) {
    for (const [format, start] of starts) {
      const { code, out, err } = await desk.run("report", [
        ...subject,
        "--format",
        format,
      ]);
      assert.deepEqual([code, err], [0, ""], format);
      assert.match(out, start);
    }
  }
  const xml = await desk.run("report", [three, "--format", "xml"]);
  assert.deepEqual(
    [xml.code, xml.out],
    [0, await Deno.readTextFile(desk.path("3.xml"))],
  );
  const several = await desk.run("report", ["--tag", "web", "--format", "xml"]);
  assert.equal(several.code, 2);
  assert.match(several.err, /--format xml is of one scan/);
  const html = await desk.run("report", ["--tag", "web"]);
  assert.match(html.out, /^<!DOCTYPE html>/i);
  assert.ok(!html.out.includes(one) && html.out.includes(three));
});

Deno.test("report writes a file as a whole below reports/, and nowhere else", async () => {
  verifies("report.whole_file");
  await using desk = await Desk.make();
  const [id = ""] = await threeScans(desk);
  // Nobody has made reports/ before the first report.
  await Deno.remove(desk.reports);
  const file = `${desk.reports}/deep/a.html`;
  const first = await desk.run("report", [id, "--output", file]);
  assert.deepEqual([first.code, first.out], [0, ""], first.err);
  const text = await Deno.readTextFile(file);
  assert.match(text, /<\/html>\s*$/);
  assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  const again = await desk.run("report", [
    id,
    "--output",
    file,
    "--format",
    "csv",
  ]);
  assert.equal(again.code, 2);
  assert.match(again.err, /^conflict: .* replace it with --force/);
  assert.equal(await Deno.readTextFile(file), text);
  const force = ["--output", file, "--format", "csv", "--force"];
  assert.equal((await desk.run("report", [id, ...force])).code, 0);
  assert.match(await Deno.readTextFile(file), /^record,/);

  await Deno.symlink(desk.state, `${desk.reports}/link`);
  const places: readonly (readonly [string, RegExp])[] = [
    [`${desk.path("x.html")}`, /reports\/ only; .* > FILE/],
    ["x.html", /reports\/ only/],
    [`${desk.state}/audit.key`, /the server's own/],
    [`${desk.state}/scans.db`, /the server's own/],
    [`${desk.reports}/link/audit.key`, /the server's own/],
    [`${desk.reports}/../state/audit.key`, /\.\. in it/],
    [`${desk.reports}/`, /it is a folder/],
    [`${file}/x.html`, /is a file/],
  ];
  const key = await Deno.readTextFile(`${desk.state}/audit.key`);
  for (const [place, message] of places) {
    const { code, err } = await desk.run("report", [
      id,
      "--format",
      "html",
      "--force",
      "--output",
      place,
    ]);
    assert.equal(code, 2, place);
    assert.match(err, message, place);
  }
  assert.equal(await Deno.readTextFile(`${desk.state}/audit.key`), key);
  const names = await Array.fromAsync(Deno.readDir(`${desk.reports}/deep`));
  assert.deepEqual(names.map(({ name }) => name), ["a.html"]);
  const exported = (await desk.audited("export"))
    .filter(({ outcome }) => outcome === "allowed");
  assert.deepEqual(exported.map(({ scan_id }) => scan_id), [id, id]);
});

Deno.test("a report that cannot be recorded is not written; a look that cannot be is told", async () => {
  verifies("report.whole_file");
  await using desk = await Desk.make();
  const [id = ""] = await threeScans(desk);
  await Deno.remove(`${desk.state}/audit`, { recursive: true });
  await Deno.writeTextFile(`${desk.state}/audit`, "");
  const file = `${desk.reports}/a.html`;
  const refused = await desk.run("report", [id, "--output", file]);
  assert.notEqual(refused.code, 0);
  await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  const { out } = await desk.run("report", [id]);
  assert.equal(out, "");
  const look = await desk.run("history", ["show", id]);
  assert.equal(look.code, 0);
  assert.match(look.err, /^note: this look is not recorded: Cannot /);
});

Deno.test("report gives XML on no terminal", async () => {
  await using desk = await Desk.make();
  const [id = ""] = await threeScans(desk);
  const { program, args, env } = desk.prepare("report", [
    id,
    "--format",
    "xml",
  ]);
  const quoted = [program, ...args]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const { code, stdout } = await new Deno.Command("script", {
    args: ["-qefc", quoted, "/dev/null"],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.equal(code, 2);
  assert.match(
    new TextDecoder().decode(stdout),
    /Cannot show nmap's XML on a terminal/,
  );
});

Deno.test("a scan by deno task scan is kept under its engagement and tags", async () => {
  await using desk = await Desk.make();
  using open = listener();
  const edit = (args: readonly string[]) =>
    args.map((arg) =>
      arg.startsWith("--allow-write=") ? `${arg},${desk.state}` : arg
    );
  const scan = await desk.run("scan", [
    "nmap",
    "127.0.0.1",
    "--ports",
    String(open.port),
    "--engagement",
    "acme",
    "--tag",
    "a,b",
    "--tag",
    "c",
    "--json",
  ], { edit });
  assert.equal(scan.code, 0, scan.err);
  const { scan_id } = JSON.parse(scan.out);
  const { scans: [head] } = await desk.json("history", [
    "list",
    "--engagement",
    "acme",
    "--tag",
    "c",
  ]);
  assert.deepEqual([head.scan_id, head.tags], [scan_id, ["a", "b", "c"]]);
});

Deno.test("none of the commands of the history may spawn, reach a network or see the environment", () => {
  verifies("history.rights");
  const writes: Readonly<Record<string, string>> = {
    history: "./state",
    import: "./state",
    report: "./state,./reports",
    store: "./state",
  };
  for (const [task, write] of Object.entries(writes)) {
    const { program, args } = taskCommand(task);
    assert.equal(program, "deno");
    const rights = args.filter((arg) => arg.startsWith("--allow-"));
    assert.deepEqual(
      rights.map((right) => right.split("=")[0]),
      ["--allow-read", "--allow-write", "--allow-env"],
      task,
    );
    assert.equal(rights[1], `--allow-write=${write}`);
    assert.equal(rights[2], "--allow-env=PATH,MCP_*");
    assert.ok(args.includes("--ignore-env") && args.includes("--no-prompt"));
  }
});
