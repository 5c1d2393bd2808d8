/**
 * The three tools through the whole engine in the lab, held against its checked-in inventory. The
 * command line is the one of `deno task scan`; the lab has no way out.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HostsReport, NamesReport, PathsReport } from "@/tools/report.ts";
import { verifies } from "../requirements.ts";
import { taskCommand } from "../support/task.ts";
import { inventory, Lab } from "./lab.ts";

/** The result of a scan as `--json` prints it. */
interface Result<R> {
  readonly status: string;
  readonly scan_type: string;
  readonly notes: readonly string[];
  readonly argv: readonly (readonly string[])[];
  readonly report: R;
  readonly error: { readonly code: string } | null;
}

async function scan<R>(
  lab: Lab,
  ...args: readonly string[]
): Promise<Result<R>> {
  const { program, args: flags } = taskCommand("scan");
  const { stdout, stderr } = await lab.run([
    program,
    ...flags,
    ...args,
    "--json",
  ]);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout) as Result<R>;
}

function openPorts({ hosts }: HostsReport): Record<string, number[]> {
  const open = hosts.map(({ address, ports }) =>
    [
      address,
      ports.filter(({ state }) => state === "open").map(({ port }) => port)
        .sort((a, b) => a - b),
    ] as const
  );
  return Object.fromEntries(open.filter(([, ports]) => ports.length > 0));
}

/** What the inventory says is open on some hosts among some ports. */
function expected(
  addresses: readonly string[],
  ports: readonly number[],
): Record<string, number[]> {
  const hosts = inventory.hosts.filter(({ ipv4 }) => addresses.includes(ipv4));
  const open = hosts.map(({ ipv4, tcp }) =>
    [
      ipv4,
      tcp.map(({ port }) => port).filter((port) => ports.includes(port)),
    ] as const
  );
  return Object.fromEntries(open.filter(([, found]) => found.length > 0));
}

Deno.test("scans of the lab agree with its inventory", async (t) => {
  await using lab = await Lab.up("scans");

  await t.step(
    "a SYN scan with discovery finds the hosts that answer and their ports",
    async () => {
      verifies("nmap.real");
      const ports = [22, 53, 80, 443, 2222, 6379, 8080, 8081, 31337];
      const result = await scan<HostsReport>(
        lab,
        ...[
          "nmap",
          "10.77.2.10-24",
          "--scan-type",
          "syn",
          "--ports",
          ports.join(","),
        ],
        ...["--pace", "balanced"],
      );
      assert.equal(result.status, "succeeded");
      assert.equal(result.scan_type, "syn");
      const pinging = inventory.hosts.filter(({ answers_ping }) =>
        answers_ping
      );
      const answering = pinging.map(({ ipv4 }) => ipv4);
      const found = openPorts(result.report);
      const wanted = expected(answering, ports);
      for (const [address, open] of Object.entries(wanted)) {
        assert.deepEqual(found[address], open);
      }
    },
  );

  await t.step("a connect scan of IPv6 finds the same server", async () => {
    verifies("scope.ipv6");
    const result = await scan<HostsReport>(
      lab,
      ...["nmap", "fd77:2::10", "--scan-type", "connect", "--ports", "22,80"],
    );
    assert.deepEqual(openPorts(result.report), { "fd77:2::10": [80] });
  });

  await t.step(
    "a name is looked up by the lab's own server, pinned and scanned",
    async () => {
      verifies("scope.names.pinned");
      const result = await scan<HostsReport>(
        lab,
        ...[
          "nmap",
          "redis.lab.internal",
          "--ports",
          "6379",
          "--service-detection",
        ],
      );
      assert.equal(result.argv[0]?.at(-1), "10.77.2.13");
      assert.deepEqual(openPorts(result.report), { "10.77.2.13": [6379] });
      const [port] = result.report.hosts[0]?.ports ?? [];
      assert.match(port?.untrusted?.product ?? "", /Redis/);
    },
  );

  await t.step(
    "a name that has an IPv6 address only is scanned there",
    async () => {
      const result = await scan<HostsReport>(
        lab,
        ...["nmap", "six.lab.internal", "--ports", "80"],
      );
      assert.deepEqual(openPorts(result.report), { "fd77:2::10": [80] });
    },
  );

  await t.step("a name that leads out of the scope is refused", async () => {
    verifies("scope.names.every_address");
    for (const name of inventory.dns.out_of_scope) {
      const { error } = await scan<null>(lab, "nmap", name, "--ports", "80");
      assert.equal(error?.code, "target_not_allowed", name);
    }
  });

  await t.step("a UDP scan finds the name server", async () => {
    verifies("nmap.scan_type_reported");
    const result = await scan<HostsReport>(
      lab,
      ...["nmap", "10.77.2.14", "--scan-type", "udp", "--ports", "53"],
    );
    assert.deepEqual(openPorts(result.report), { "10.77.2.14": [53] });
  });

  await t.step(
    "masscan ends on an idle link, finds what is open and leaves no file",
    async () => {
      verifies(
        "masscan.always_ends",
        "masscan.leaves_no_file",
        "masscan.passes_merged",
        "masscan.real",
      );
      const ports = [22, 80, 6379, 8080];
      const targets = ["10.77.2.10", "10.77.2.11", "10.77.2.12", "10.77.2.13"];
      const result = await scan<HostsReport>(
        lab,
        ...[
          "masscan",
          "10.77.2.10-13",
          "--ports",
          ports.join(","),
          "--rate",
          "500",
        ],
      );
      assert.equal(result.status, "succeeded");
      assert.equal(result.argv.length, 2, "two passes");
      assert.deepEqual(openPorts(result.report), expected(targets, ports));
      assert.ok(result.notes.some((note) => /not proven closed/.test(note)));
      const left = await lab.run([
        "find",
        "/",
        "-maxdepth",
        "2",
        "-name",
        "paused.conf",
      ]);
      assert.equal(left.stdout, "");
    },
  );

  await t.step("masscan of loopback says what to use instead", async () => {
    verifies("masscan.unusable_says_so");
    const { error } = await scan<null>(
      lab,
      "masscan",
      "127.0.0.1",
      "--ports",
      "80",
    );
    assert.equal(error?.code, "invalid_target");
  });

  await t.step("gobuster dir finds the folders of the web server", async () => {
    verifies("gobuster.real");
    const result = await scan<PathsReport>(
      lab,
      "gobuster",
      "dir",
      "http://10.77.2.10/",
    );
    const found = new Map(result.report.paths.map(({ status, untrusted }) => [
      untrusted.path,
      status,
    ]));
    assert.equal(found.get("/admin"), 301);
    assert.equal(found.get("/api"), 301);
    assert.equal(found.has("/nope"), false);
  });

  await t.step("gobuster dns finds the names of the zone", async () => {
    verifies("gobuster.real");
    const result = await scan<NamesReport>(
      lab,
      ...[
        "gobuster",
        "dns",
        "lab.internal",
        "--resolver",
        inventory.dns.server,
      ],
      ...["--wordlist", "subdomains"],
    );
    const names = result.report.names.map(({ name }) => name);
    for (
      const name of ["dev.lab.internal", "shop.lab.internal", "ns.lab.internal"]
    ) {
      assert.ok(
        names.includes(name),
        `${name} is not among ${names.join(" ")}`,
      );
    }
    assert.equal(names.includes("nope.lab.internal"), false);
  });

  await t.step("gobuster vhost finds the virtual hosts", async () => {
    verifies("gobuster.real");
    const result = await scan<NamesReport>(
      lab,
      ...[
        "gobuster",
        "vhost",
        `${inventory.vhosts.url}/`,
        "--wordlist",
        "vhosts",
      ],
      ...["--extra-args", `--domain ${inventory.vhosts.domain}`],
    );
    const names = result.report.names.map(({ name }) => name);
    for (const name of inventory.vhosts.names) {
      assert.ok(
        names.includes(name),
        `${name} is not among ${names.join(" ")}`,
      );
    }
  });
});
