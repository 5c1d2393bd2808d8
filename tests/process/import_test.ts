/**
 * `deno task import` with the flags of its task: files of the real nmap, masscan's JSON, hostile files,
 * and imports that are stopped and killed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { listener } from "./fixtures/listener.ts";
import { Desk, endOf, hostXml, nmapXml } from "./fixtures/history_commands.ts";
import { verifies } from "../requirements.ts";

const MASSCAN = `[
{   "ip": "127.0.0.9",   "timestamp": "1700000000", "ports": [ {"port": 80, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] },
{   "ip": "127.0.0.9",   "timestamp": "1700000005", "ports": [ {"port": 22, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }
]
`;

Deno.test("import takes a file of the real nmap, once, with its own times and marked", async () => {
  verifies("import.files");
  await using desk = await Desk.make();
  using open = listener();
  const file = await desk.nmap("a.xml", ["-p", String(open.port)]);
  const { files: [first] } = await desk.json("import", [
    file,
    "--engagement",
    "acme",
    "--tag",
    "web,prod",
  ]);
  assert.equal(first.outcome, "imported");
  const shown = await desk.json("history", ["show", first.scan_id]);
  const started = /<nmaprun [^>]*start="(\d+)"/.exec(
    await Deno.readTextFile(file),
  )?.[1];
  assert.equal(
    shown.started_at,
    new Date(Number(started) * 1_000).toISOString(),
  );
  assert.deepEqual(
    [shown.status, shown.engagement, shown.tags, shown.report.hosts.length],
    ["succeeded", "acme", ["prod", "web"], 1],
  );
  assert.match(shown.notes[0], /^Imported from a file: .* not proven$/);
  assert.match(shown.notes.at(-1), /^SHA-256 of the file: [0-9a-f]{64}$/);
  // The bytes as they came.
  const xml = await desk.run("report", [first.scan_id, "--format", "xml"]);
  assert.equal(xml.out, await Deno.readTextFile(file));
  // The same bytes by another way, and under another name.
  const again = await desk.run("import", ["-"], { input: xml.out });
  assert.equal(again.code, 0);
  assert.match(
    again.out,
    new RegExp(`^standard input: known: .* ${first.scan_id} `),
  );
  assert.equal((await desk.json("history", ["list"])).scans.length, 1);
});

Deno.test("import tells nmap's XML and masscan's JSON apart by what is in them", async () => {
  verifies("import.files");
  await using desk = await Desk.make();
  const nmap = nmapXml(hostXml("10.0.0.1", [80]));
  const cases:
    readonly (readonly [name: string, text: string, tool: string])[] = [
      ["a.json", nmap, "nmap"],
      ["b.xml", MASSCAN, "masscan"],
      ["c", `\n\n  ${MASSCAN}`, "masscan"],
      [
        "d.txt",
        '{"ip":"127.0.0.9","timestamp":"1700000000","port":80,"proto":"tcp","rec_type":"status","data":{"status":"open","reason":"syn-ack","ttl":64}}\n',
        "masscan",
      ],
    ];
  for (const [name, text, tool] of cases) {
    const path = await desk.write(name, text);
    const { files: [done] } = await desk.json("import", [path]);
    assert.deepEqual([done.outcome, done.tool], ["imported", tool], name);
    assert.equal(done.started_at, "2023-11-14T22:13:20.000Z");
  }
  const { scans } = await desk.json("history", ["list", "--tool", "masscan"]);
  assert.equal(scans.length, 3);
  // Old scans are listed where they belong.
  assert.ok(
    scans.every(({ scan_id }: { scan_id: string }) =>
      scan_id.startsWith("01hf7yat")
    ),
  );
});

/** Files that are refused, and the words that say why. */
const REFUSED: readonly (readonly [
  name: string,
  content: string | Uint8Array,
  message: RegExp,
])[] = [
  ["empty", "", /it is empty/],
  ["packed", new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0]), /unpack it first/],
  ["utf-16", new Uint8Array([0xff, 0xfe, 0x3c, 0]), /UTF-16/],
  ["zip", new Uint8Array([0x50, 0x4b, 3, 4, 20, 0]), /unpack it first/],
  ["binary", new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0, 1]), /neither XML/],
  [
    "normal",
    "# Nmap 7.93 scan initiated Sat Nov 21 10:27:46 2026 as: nmap\n",
    /write XML with nmap -oX/,
  ],
  ["list", "#masscan\nopen tcp 80 127.0.0.1 1700000000\n", /masscan -oJ/],
  ["html", "<!DOCTYPE html><html></html>", /not nmap's/],
  ["masscan xml", '<?xml version="1.0"?><nmaprun scanner="masscan">', /-oJ/],
  [
    "entities",
    `<?xml version="1.0"?><!DOCTYPE nmaprun [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><nmaprun scanner="nmap" args="&b;">`,
    /entities of its own/,
  ],
  [
    "external entity",
    `<?xml version="1.0"?><!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]><nmaprun scanner="nmap" args="&x;">`,
    /entities of its own/,
  ],
  [
    "deep",
    `<?xml version="1.0"?><nmaprun scanner="nmap" start="1">${
      "<host>".repeat(5_000)
    }`,
    /nested deeper/,
  ],
  ["odd json", '[{"ip": "127.0.0.1; rm -rf /", "ports": []}]', /no address/],
  ["no address", '[{"ip": "10.0.0.999", "ports": []}]', /no address/],
  [
    "no port",
    '[{"ip": "10.0.0.1", "timestamp": "1", "ports": [{"port": 65536, "proto": "tcp", "status": "open"}]}]',
    /port or protocol is none/,
  ],
  [
    "no port of nmap",
    nmapXml(hostXml("10.0.0.1", [65_536])),
    /one of its ports has no number/,
  ],
  [
    "no address of nmap",
    nmapXml(hostXml("10.0.0.999", [80])),
    /one of its hosts has an address that is none/,
  ],
  ["deep json", "[".repeat(100_000), /^.*Cannot import the file/],
  ["words", "hello there, this is nothing", /neither XML of nmap/],
];

Deno.test("import refuses hostile and foreign files, says why, and keeps nothing of them", async () => {
  verifies("import.hostile");
  await using desk = await Desk.make();
  const paths: string[] = [];
  for (const [name, content] of REFUSED) {
    paths.push(await desk.write(name, content));
  }
  const sound = await desk.write("sound", nmapXml(hostXml("10.0.0.1", [80])));
  const { code, out } = await desk.run("import", [...paths, sound, "--json"]);
  assert.equal(code, 2);
  const { files } = JSON.parse(out);
  for (const [at, [name, , message]] of REFUSED.entries()) {
    const { outcome, error } = files[at];
    assert.equal(outcome, "refused", name);
    assert.match(error.message, message, name);
    assert.match(error.message, /^Cannot import the file: /, name);
    assert.doesNotMatch(error.message, /root:|internal/, name);
  }
  // One bad file does not keep the next one out.
  assert.equal(files.at(-1).outcome, "imported");
  assert.equal((await desk.json("history", ["list"])).scans.length, 1);
  assert.equal((await desk.run("store", ["check"])).code, 0);
  const refused = (await desk.audited("import"))
    .filter(({ outcome }) => outcome === "refused");
  assert.equal(refused.length, REFUSED.length);
});

Deno.test("import refuses places that it may not or should not read, with the way out", async () => {
  await using desk = await Desk.make();
  const elsewhere = await Deno.makeTempFile();
  try {
    const cases: readonly (readonly [string, RegExp])[] = [
      [elsewhere, /let the shell read any other: deno task import - < FILE/],
      ["/dev/zero", /folder of deno\.json only/],
      [desk.path(""), /it is a folder/],
      [desk.path("none.xml"), /there is none of that name/],
    ];
    for (const [path, message] of cases) {
      const { code, err } = await desk.run("import", [path]);
      assert.equal(code, 2, path);
      assert.match(err, message);
    }
  } finally {
    await Deno.remove(elsewhere);
  }
  const { code, err } = await desk.run("import", []);
  assert.equal(code, 2);
  assert.match(err, /the form is: deno task import FILE…/);
});

Deno.test("import lets nothing that a host said reach the terminal as it came", async () => {
  verifies("import.hostile");
  await using desk = await Desk.make();
  const nasty = "nginx &#x9b;31m &#x202e;evil &#x200b;zero";
  const file = await desk.write(
    "nasty.xml",
    nmapXml(hostXml("10.0.0.1", [80], nasty), {
      args: "nmap -n \u009b31m 10.0.0.1",
    }),
  );
  const [id = ""] = await desk.import([file]);
  const looks = [
    ["history", "list"],
    ["history", "show", id],
    ["history", "inventory"],
    ["history", "search", "nginx"],
    ["report", id, "--format", "markdown"],
  ];
  for (const [task = "", ...args] of looks) {
    const { code, out, err } = await desk.run(task, args);
    assert.equal(code, 0, err);
    assert.doesNotMatch(
      out + err,
      // deno-lint-ignore no-control-regex -- what must not be there
      /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]/,
      args.join(" "),
    );
  }
});

Deno.test("import is recorded before it happens, and does not happen where it cannot be", async () => {
  verifies("import.recorded");
  await using desk = await Desk.make();
  const file = await desk.write("a.xml", nmapXml(hostXml("10.0.0.1", [80])));
  // The log's folder is a file: nothing can be recorded.
  await Deno.mkdir(desk.state);
  await Deno.writeTextFile(`${desk.state}/audit`, "");
  const { code, err } = await desk.run("import", [file]);
  assert.notEqual(code, 0);
  assert.match(err, /Cannot (?:record the request in|open) the audit log/);
  await Deno.remove(`${desk.state}/audit`);
  assert.deepEqual((await desk.json("history", ["list"])).scans, []);
  const [id] = await desk.import([file]);
  const entries = await desk.audited("import");
  assert.deepEqual(
    entries.slice(-2).map(({ kind, outcome, scan_id }) => [
      kind,
      outcome,
      scan_id,
    ]),
    [["request", undefined, undefined], ["decision", "allowed", id]],
  );
});

/** A file whose keeping takes a while. */
function large(): string {
  const ports = Array.from({ length: 20 }, (_, at) => at + 1);
  const hosts = Array.from(
    { length: 3_000 },
    (_, at) => hostXml(`10.0.${at >> 8}.${at & 255}`, ports),
  );
  return nmapXml(hosts.join("\n"), {
    args: "nmap -n -sT -p 1-200 10.0.0.0/16",
  });
}

/** Waits until a part of a scan is in the store. */
async function partKept(desk: Desk): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    try {
      using database = new DatabaseSync(`${desk.state}/scans.db`, {
        readOnly: true,
      });
      const row = database.prepare(
        "select host_count from scans where status = 'running'",
      ).get();
      if (Number(row?.["host_count"] ?? 0) > 0) return;
    } catch {
      // There is no database yet, or it is being made.
    }
    await new Promise((wake) => setTimeout(wake, 20));
  }
  assert.fail("nothing was kept");
}

Deno.test("an interrupt in the middle of an import leaves whole files and a sound store", async () => {
  await using desk = await Desk.make();
  const files = [
    await desk.write("a.xml", large()),
    await desk.write("b.xml", nmapXml(hostXml("10.9.0.1", [80]))),
  ];
  const child = desk.start("import", files);
  await child.stdin.close();
  const end = endOf(child);
  await partKept(desk);
  child.kill("SIGINT");
  const { code, out, err } = await end;
  assert.equal(code, 130, out + err);
  assert.match(out, /a\.xml: imported as /);
  assert.match(err, /b\.xml: not imported, as the import was stopped/);
  const { scans } = await desk.json("history", ["list"]);
  assert.deepEqual(
    scans.map(({ status }: { status: string }) => status),
    ["succeeded"],
  );
  assert.equal((await desk.run("store", ["check"])).code, 0);
});

Deno.test("an interrupt ends an import that waits for standard input, and nothing is kept", async () => {
  await using desk = await Desk.make();
  const child = desk.start("import", ["-"]);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(large().slice(0, 300_000)));
  const end = endOf(child);
  // Its lock is there when it reads.
  for (let tries = 0; tries < 300; tries++) {
    try {
      await Deno.stat(`${desk.state}/import.lock`);
      break;
    } catch {
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }
  child.kill("SIGINT");
  const { code, err } = await end;
  await writer.abort().catch(() => {});
  assert.equal(code, 130, err);
  assert.deepEqual((await desk.json("history", ["list"])).scans, []);
});

Deno.test("an import that was killed is brought to its end by the next one, in one scan", async () => {
  await using desk = await Desk.make();
  const file = await desk.write("a.xml", large());
  const child = desk.start("import", [file]);
  await child.stdin.close();
  const end = endOf(child);
  await partKept(desk);
  child.kill("SIGKILL");
  await end;
  assert.equal((await desk.run("store", ["check"])).code, 0);
  const { files: [done] } = await desk.json("import", [file]);
  assert.equal(done.outcome, "imported");
  const shown = await desk.json("history", ["show", done.scan_id]);
  assert.equal(shown.report.hosts.length, 3_000);
  assert.equal((await desk.json("history", ["list"])).scans.length, 1);
  assert.equal((await desk.run("store", ["check"])).code, 0);
});

Deno.test("two imports of the same file at once keep it once", async () => {
  verifies("import.files");
  await using desk = await Desk.make();
  const file = await desk.write("a.xml", nmapXml(hostXml("10.0.0.1", [80])));
  const ids = (await Promise.all([1, 2, 3].map(() => desk.import([file]))))
    .flat();
  assert.equal(new Set(ids).size, 1);
  assert.equal((await desk.json("history", ["list"])).scans.length, 1);
});

Deno.test("a file that is older than what retention keeps is kept from its import on", async () => {
  await using desk = await Desk.make();
  const file = await desk.write("a.xml", nmapXml(hostXml("10.0.0.1", [80])));
  const env = { MCP_RETENTION_MAX_AGE_DAYS: "30" };
  const { code, err } = await desk.run("import", [file], { env });
  assert.deepEqual([code, err], [0, ""]);
  const prune = await desk.run("store", ["prune"], { env });
  assert.equal(prune.code, 0);
  const { scans } = await desk.json("history", ["list"]);
  assert.equal(scans.length, 1);
});
