/**
 * Our comparison beside `ndiff` on the same XML of the same real scans. Packets go to 127.0.0.1 only:
 * nmap scans listeners of this process, once before and once after some of them changed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SaxesParser } from "saxes";
import { diffScans, type ScanDiff } from "@/scans/diff.ts";
import { readNmapXml } from "@/scans/import_nmap.ts";
import type { Scan } from "@/scans/scan.ts";
import { findPrograms } from "@/spawn/program.ts";
import { type TempDir, withTempDir } from "../support/temp_dir.ts";
import { scanOf } from "../unit/report/fixture.ts";
import { verifies } from "../requirements.ts";

const NDIFF = findPrograms(
  "ndiff",
  "/usr/bin:/usr/local/bin",
  (command) => Deno.permissions.querySync({ name: "run", command }).state,
)[0];

const FTP = "220 (vsFTPd 3.0.3)\r\n";
const OLD_SSH = "SSH-2.0-OpenSSH_8.9p1 Ubuntu-3\r\n";
const NEW_SSH = "SSH-2.0-OpenSSH_9.6p1 Debian-4\r\n";

/** Finds ports of loopback that nobody listens on, all different. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

/** Greets whoever connects with a banner, until it is disposed of. */
function greeter(port: number, banner: string): AsyncDisposable {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const open = new Set<Deno.TcpConn>();
  let closed = false;
  const greet = async (connection: Deno.TcpConn) => {
    open.add(connection);
    try {
      await connection.write(new TextEncoder().encode(banner));
      // nmap hangs up when it knows enough.
      while (await connection.read(new Uint8Array(512)) !== null);
    } catch {
      // The other side hung up in between, as port scans do.
    } finally {
      open.delete(connection);
      try {
        connection.close();
      } catch {
        // It was closed at the end of the test.
      }
    }
  };
  const greeted: Promise<void>[] = [];
  const accepting = (async () => {
    // A port scan may have hung up before it was accepted, and the system says so in several ways.
    for (let faults = 0; faults < 1_000;) {
      try {
        greeted.push(greet(await listener.accept()));
      } catch {
        if (closed) return;
        faults++;
      }
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      closed = true;
      listener.close();
      await accepting;
      for (const connection of open) connection.close();
      await Promise.all(greeted);
    },
  };
}

/** Scans loopback with the real nmap; gives the file and the scan that our reader makes of it. */
async function scanned(
  folder: TempDir,
  name: string,
  args: readonly string[],
): Promise<{ path: string; scan: Scan }> {
  const path = `${folder.path}/${name}.xml`;
  const { success } = await new Deno.Command("nmap", {
    args: ["-n", "-sT", "--unprivileged", ...args, "-oX", path],
    stdin: "null",
    stdout: "null",
  }).output();
  assert.ok(success, "nmap failed");
  return { path, scan: await imported(path, name) };
}

async function imported(path: string, name: string): Promise<Scan> {
  using file = await Deno.open(path);
  const scan = await readNmapXml(file.readable, { nowMs: Date.now() });
  return scanOf({ ...scan, id: name });
}

/** One side of a changed port: its state and what is known of the service. */
type Side = string;

/** What a comparison tells: ports by address and number, hosts that came or went. */
interface Told {
  readonly ports: Map<string, [Side, Side]>;
  readonly hosts: Set<string>;
}

/** What ndiff says of ports and hosts: `address port` to before and after. */
async function ndiff(
  before: string,
  after: string,
): Promise<Told> {
  if (NDIFF === undefined) {
    throw new Error(
      "Cannot compare with ndiff: it is not installed; run: apt-get install --no-install-recommends ndiff",
    );
  }
  const { code, stdout } = await new Deno.Command(NDIFF, {
    args: ["--xml", before, after],
    stdin: "null",
  }).output();
  assert.ok(code === 0 || code === 1, `ndiff ended with ${code}`);
  return readNdiff(new TextDecoder().decode(stdout));
}

/** Reads the form of ndiff's XML: what stands in `a` was, what stands in `b` is, the rest stayed. */
function readNdiff(
  xml: string,
): Told {
  const ports = new Map<string, [Side, Side]>();
  const hosts = new Set<string>();
  const parser = new SaxesParser();
  let [address, port, side, within] = ["", "", "", ""];
  const sides: Record<string, { state: string; service: string }> = {};
  parser.on("opentag", ({ name, attributes }) => {
    if (name === "a" || name === "b") side = name;
    if (name === "portdiff") within = name;
    // A host that came or went stands in one side as a whole.
    if (name === "port" && within === "" && side !== "") within = name;
    if (name === within) {
      sides["a"] = { state: "unknown", service: "" };
      sides["b"] = { state: "unknown", service: "" };
    }
    if (name === "address") {
      address = attributes["addr"] ?? "";
      if (side !== "") {
        hosts.add(`${side === "a" ? "vanished" : "appeared"} ${address}`);
      }
    }
    if (name === "port") {
      port = `${attributes["portid"]}/${attributes["protocol"]}`;
    }
    for (const key of side === "" ? ["a", "b"] : [side]) {
      const known = sides[key];
      if (known === undefined || within === "") continue;
      if (name === "state") known.state = attributes["state"] ?? "";
      if (name === "service") {
        known.service = ["name", "product", "version", "extrainfo", "tunnel"]
          .map((field) => attributes[field] ?? "").join("|");
      }
    }
  });
  parser.on("closetag", ({ name }) => {
    if (name === "a" || name === "b") side = "";
    if (name !== within) return;
    within = "";
    const [a, b] = [sides["a"], sides["b"]].map((one) =>
      `${one?.state} ${one?.state === "open" ? one.service : ""}`.trim()
    );
    ports.set(`${address} ${port}`, [a ?? "", b ?? ""]);
  });
  parser.write(xml).close();
  return { ports, hosts };
}

/** The same of our comparison. */
function ours(diff: ScanDiff): Map<string, [Side, Side]> {
  const ports = new Map<string, [Side, Side]>();
  for (const change of diff.changes) {
    if (change.kind !== "port") continue;
    const [before, after] = [change.before, change.after].map((side) => {
      if (side === null) return "unknown";
      if (side.state !== "open") return side.state;
      const { product = "", version = "", extra_info = "" } = side.untrusted ??
        {};
      return `open ${
        [side.service ?? "", product, version, extra_info, side.tunnel ?? ""]
          .join("|")
      }`;
    });
    ports.set(`${change.address} ${change.port}/${change.protocol}`, [
      before ?? "",
      after ?? "",
    ]);
  }
  return ports;
}

Deno.test("diffScans() tells the same of two real scans as ndiff", async () => {
  verifies("diff.ndiff");
  await using folder = await withTempDir();
  const [same, closed, opened, version, service, never] = freePorts(6) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const args = [
    "-Pn",
    "-sV",
    "-p",
    [same, closed, opened, version, service, never].join(","),
    "127.0.0.1",
  ];
  const before = await (async () => {
    await using _same = greeter(same, FTP);
    await using _closed = greeter(closed, FTP);
    await using _version = greeter(version, OLD_SSH);
    await using _service = greeter(service, FTP);
    return await scanned(folder, "before", args);
  })();
  const after = await (async () => {
    await using _same = greeter(same, FTP);
    await using _opened = greeter(opened, FTP);
    await using _version = greeter(version, NEW_SSH);
    await using _service = greeter(service, NEW_SSH);
    return await scanned(folder, "after", args);
  })();
  const diff = diffScans(before.scan, after.scan);
  const theirs = await ndiff(before.path, after.path);
  assert.deepEqual(ours(diff), theirs.ports);
  assert.deepEqual(
    new Set(theirs.ports.keys()),
    new Set(
      [closed, opened, version, service].map((port) => `127.0.0.1 ${port}/tcp`),
    ),
  );
  assert.deepEqual(diff.not_compared, []);
  assert.deepEqual(diffScans(before.scan, before.scan).changes, []);
});

Deno.test("diffScans() is right where ndiff takes another scope for a change", async () => {
  await using folder = await withTempDir();
  const [one, two] = freePorts(2) as [number, number];
  await using _one = greeter(one, FTP);
  await using _two = greeter(two, FTP);
  const narrow = await scanned(folder, "narrow", [
    "-Pn",
    "-p",
    `${one}`,
    "127.0.0.1",
  ]);
  const wide = await scanned(folder, "wide", [
    "-Pn",
    "-p",
    `${one},${two}`,
    "127.0.0.1-2",
  ]);
  const theirs = await ndiff(narrow.path, wide.path);
  // ndiff calls the second port and the second address new; nobody had looked at them.
  assert.ok(theirs.ports.has(`127.0.0.1 ${two}/tcp`));
  const diff = diffScans(narrow.scan, wide.scan);
  assert.deepEqual(diff.changes, []);
  assert.deepEqual(
    diff.not_compared.map(({ subject, seen_in, reason, count }) =>
      `${count} ${subject} of ${seen_in}: ${reason}`
    ),
    [
      "1 hosts of newer: not_scanned",
      "1 open_ports of newer: port_not_scanned",
    ],
  );
});

/** A document of nmap with these hosts. */
function document(hosts: readonly string[], total: number): string {
  return `<?xml version="1.0"?>
<nmaprun scanner="nmap" args="nmap -n -sS -sV -p 22,80,443 -oX - 10.0.0.0/30" start="1795225971" version="7.93">
<scaninfo type="syn" protocol="tcp" numservices="3" services="22,80,443"/>
${hosts.join("\n")}
<runstats><finished time="1795225991" exit="success"/><hosts up="${hosts.length}" down="${
    total - hosts.length
  }" total="${total}"/></runstats></nmaprun>\n`;
}

function hostXml(
  last: number,
  ports: readonly (readonly [number, string, string])[],
): string {
  return `<host><status state="up" reason="arp-response"/><address addr="10.0.0.${last}" addrtype="ipv4"/><ports>${
    ports.map(([port, state, service]) =>
      `<port protocol="tcp" portid="${port}"><state state="${state}" reason="x"/>${service}</port>`
    ).join("")
  }</ports></host>`;
}

const service = (attributes: string) =>
  `<service ${attributes} method="probed" conf="10"/>`;
const HTTP = service('name="http" product="nginx" version="1.22"');
const HTTPS = service(
  'name="http" product="nginx" version="1.22" tunnel="ssl"',
);
const SSH = service(
  'name="ssh" product="OpenSSH" version="9.2" extrainfo="protocol 2.0"',
);
const OTHER = service(
  'name="ssh" product="OpenSSH" version="9.2" extrainfo="protocol 1.9"',
);

/** Pairs of documents with the hosts that came and went. */
const PAIRS: readonly {
  readonly name: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly hosts: readonly string[];
  /** Ports of which only the tunnel changed. */
  readonly tunnels?: readonly string[];
}[] = [
  {
    name: "a host comes and a host goes",
    before: [
      hostXml(1, [[22, "open", SSH], [80, "closed", ""], [443, "closed", ""]]),
    ],
    after: [
      hostXml(2, [[22, "open", SSH], [80, "closed", ""], [443, "closed", ""]]),
    ],
    hosts: ["vanished 10.0.0.1", "appeared 10.0.0.2"],
  },
  {
    name: "a tunnel, extra information and a filter",
    before: [
      hostXml(1, [[22, "open", SSH], [80, "closed", ""], [443, "open", HTTP]]),
    ],
    after: [
      hostXml(1, [[22, "open", OTHER], [80, "filtered", ""], [
        443,
        "open",
        HTTPS,
      ]]),
    ],
    hosts: [],
    tunnels: ["10.0.0.1 443/tcp"],
  },
  {
    name: "nothing",
    before: [
      hostXml(1, [[22, "open", SSH], [80, "open", HTTP], [443, "closed", ""]]),
    ],
    after: [
      hostXml(1, [[22, "open", SSH], [80, "open", HTTP], [443, "closed", ""]]),
    ],
    hosts: [],
  },
];

for (const { name, before, after, hosts, tunnels = [] } of PAIRS) {
  Deno.test(`diffScans() tells the same as ndiff: ${name}`, async () => {
    await using folder = await withTempDir();
    const paths = [before, after].map((_, at) => `${folder.path}/${at}.xml`);
    const [a = "", b = ""] = paths;
    await Deno.writeTextFile(a, document(before, 4));
    await Deno.writeTextFile(b, document(after, 4));
    const diff = diffScans(await imported(a, "a"), await imported(b, "b"));
    const theirs = await ndiff(a, b);
    // Of a host that is not there ndiff knows no port; we know that none is open. And ndiff does not
    // look at the tunnel.
    const known = (side: Side) => side === "host down" ? "unknown" : side;
    const mine = [...ours(diff)].map(([key, [was, is]]) =>
      [key, [known(was), known(is)]] as const
    ).filter(([key]) => !tunnels.includes(key));
    const told = [...theirs.ports].filter(([, sides]) =>
      /open|filtered/.test(sides.join())
    );
    assert.deepEqual(new Map(mine), new Map(told));
    assert.deepEqual(
      [...ours(diff).keys()].filter((key) => !theirs.ports.has(key)),
      tunnels,
    );
    assert.deepEqual(
      new Set(
        diff.changes.flatMap((change) =>
          change.kind === "host" ? [`${change.change} ${change.address}`] : []
        ),
      ),
      theirs.hosts,
    );
    assert.deepEqual([...theirs.hosts].sort(), [...hosts].sort());
  });
}
