/**
 * The lab itself: it serves what inventory.json says, nothing gets out of it, and nothing is left of
 * it afterwards. Every other lab test stands on this.
 *
 * @module
 */
import assert from "node:assert/strict";
import { inventory, Lab, type LabNamespace } from "./lab.ts";
import { verifies } from "../requirements.ts";

verifies("lab.up_and_down", "lab.no_way_out", "lab.inventory");

const script = new URL("./lab.sh", import.meta.url).pathname;
const namespaces: readonly LabNamespace[] = ["scan", "rt", "tgt"];

interface Link {
  ifname: string;
  operstate: string;
  flags: string[];
  linkinfo?: { info_kind: string };
}

async function links(lab: Lab, ns: LabNamespace): Promise<Link[]> {
  const { stdout } = await lab.run(["ip", "-j", "-d", "link", "show"], ns);
  return JSON.parse(stdout);
}

async function routes(
  lab: Lab,
  ns: LabNamespace,
  family: "-4" | "-6",
): Promise<string[]> {
  const { stdout } = await lab.run([
    "ip",
    "-j",
    family,
    "route",
    "show",
    "table",
    "main",
  ], ns);
  const list: { dst: string; gateway?: string; dev: string }[] = JSON.parse(
    stdout,
  );
  return list
    .filter(({ dst }) => !dst.startsWith("fe80"))
    .map(({ dst, gateway, dev }) => `${dst} ${gateway ?? "-"} ${dev}`)
    .sort();
}

async function listening(lab: Lab, flag: "-Htln" | "-Huln"): Promise<string[]> {
  const { stdout } = await lab.run(["ss", flag], "tgt");
  return stdout.trim().split("\n").map((line) =>
    line.trim().split(/\s+/)[3] ?? ""
  ).sort();
}

function expected(protocol: "tcp" | "udp"): string[] {
  return inventory.hosts.flatMap((host) =>
    host[protocol].flatMap(({ port, ipv6 }) => [
      `${host.ipv4}:${port}`,
      ...(ipv6 ? [`[${host.ipv6}]:${port}`] : []),
    ])
  ).sort();
}

/** The open ports of each host that nmap's grepable output names. */
function openPorts(grepable: string): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (
    const [, host, list] of grepable.matchAll(/^Host: (\S+) .*Ports: (.*)$/gm)
  ) {
    const ports = [...(list ?? "").matchAll(/(\d+)\/open\//g)].map(([, port]) =>
      Number(port)
    );
    found.set(host ?? "", ports);
  }
  return found;
}

/** Runs a program text of Deno inside the lab; what it prints is JSON. */
async function denoInLab(
  lab: Lab,
  text: string,
  input: unknown,
): Promise<unknown> {
  const { stdout, stderr } = await lab.run([
    Deno.execPath(),
    "eval",
    "--no-config",
    "--unsafely-ignore-certificate-errors",
    `const input = ${JSON.stringify(input)};\n${text}`,
  ]);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

/** The holder processes of a lab; the pattern comes by file, or grep and bash would find themselves. */
async function holdersOf(folder: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("bash", {
    args: [
      "-c",
      `grep -lsxzF -f <(printf '__holder=%s\\n' "$1") /proc/[0-9]*/cmdline; true`,
      "_",
      folder,
    ],
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) =>
    line !== ""
  );
}

/** Where lab.sh keeps a lab's few files; asked of the shell, whose rule it is. */
async function stateFolder(name: string): Promise<string> {
  const { stdout } = await new Deno.Command("bash", {
    args: [
      "-c",
      'base=${XDG_RUNTIME_DIR:-/tmp}; [ -d "$base" ] || base=/tmp; printf %s "$base/smcp-lab-$1"',
      "_",
      name,
    ],
  }).output();
  return new TextDecoder().decode(stdout);
}

async function exists(path: string): Promise<boolean> {
  const { success } = await new Deno.Command("test", { args: ["-e", path] })
    .output();
  return success;
}

Deno.test({
  name: "lab.sh up serves exactly what inventory.json says",
  fn: async (t) => {
    await using lab = await Lab.up("inventory");

    await t.step("the sockets of tgt are those of the inventory", async () => {
      assert.deepEqual(await listening(lab, "-Htln"), expected("tcp"));
      assert.deepEqual(await listening(lab, "-Huln"), expected("udp"));
    });

    await t.step(
      "nmap finds the open ports of each host from scan",
      async () => {
        const ports = [
          ...new Set(
            inventory.hosts.flatMap(({ tcp }) => tcp.map(({ port }) => port)),
          ),
        ];
        const { stdout } = await lab.run([
          ...[
            "nmap",
            "-n",
            "-Pn",
            "-sT",
            "-T4",
            "--min-rate=300",
            "--max-retries=1",
          ],
          ...["-oG", "-", `-p${ports.join(",")}`],
          ...inventory.hosts.map(({ ipv4 }) => ipv4),
        ]);
        const found = openPorts(stdout);
        for (const { name, ipv4, tcp } of inventory.hosts) {
          assert.deepEqual(
            found.get(ipv4) ?? [],
            tcp.map(({ port }) => port),
            name,
          );
        }
      },
    );

    await t.step("other ports are closed or filtered as written", async () => {
      const { stdout } = await lab.run([
        ...[
          "nmap",
          "-n",
          "-Pn",
          "-sT",
          "-T4",
          "--max-retries=1",
          "-oG",
          "-",
          "-p9",
        ],
        ...inventory.hosts.map(({ ipv4 }) => ipv4),
      ]);
      for (const { ipv4, other_tcp } of inventory.hosts) {
        assert.match(
          stdout,
          new RegExp(
            `^Host: ${ipv4.replaceAll(".", "\\.")} .*9/${other_tcp}/`,
            "m",
          ),
        );
      }
    });

    await t.step(
      "ping finds the hosts that answer, and no dead address",
      async () => {
        const dead = [
          inventory.dead.unreachable.first,
          inventory.dead.unreachable.last,
          inventory.dead.swallowed.first,
          inventory.dead.swallowed.last,
        ];
        const { stdout } = await lab.run([
          ...["nmap", "-n", "-sn", "-PE", "-T4", "--max-retries=1", "-oG", "-"],
          ...inventory.hosts.map(({ ipv4 }) => ipv4),
          ...dead,
        ]);
        const up = [...stdout.matchAll(/^Host: (\S+) .*Status: Up$/gm)].map((
          [, host],
        ) => host);
        assert.deepEqual(
          up,
          inventory.hosts.filter((host) => host.answers_ping).map(({ ipv4 }) =>
            ipv4
          ),
        );
      },
    );

    await t.step(
      "names resolve by the lab's name server, others do not",
      async () => {
        const names = [
          ...Object.keys(inventory.dns.names),
          ...inventory.dns.unknown,
        ];
        const found = await denoInLab(
          lab,
          `const ask = (name, type) => Deno.resolveDns(name, type).catch(() => []);
         console.log(JSON.stringify(Object.fromEntries(await Promise.all(input.map(async (name) =>
           [name, [...(await ask(name, "A")).sort(), ...await ask(name, "AAAA")]])))));`,
          names,
        );
        const unknown = Object.fromEntries(
          inventory.dns.unknown.map((name) => [name, []]),
        );
        assert.deepEqual(found, { ...inventory.dns.names, ...unknown });
      },
    );

    await t.step(
      "the web servers answer for paths and virtual hosts as written",
      async () => {
        const requests = inventory.web.flatMap(({ url, paths, absent }) => [
          ...paths.map(({ path, status, ...rest }) => ({
            url: url + path,
            status,
            redirect: "redirect" in rest ? rest.redirect : null,
          })),
          ...absent.map((path) => ({
            url: url + path,
            status: 404,
            redirect: null,
          })),
        ]);
        const found = await denoInLab(
          lab,
          `console.log(JSON.stringify(await Promise.all(input.map(async ({ url }) => {
           const { status, headers, body } = await fetch(url, { redirect: "manual" });
           await body?.cancel();
           return { url, status, redirect: headers.get("location") };
         }))));`,
          requests,
        );
        assert.deepEqual(found, requests);

        const { url, names, absent } = inventory.vhosts;
        const pages = await denoInLab(
          lab,
          `const client = Deno.createHttpClient({ allowHost: true });
         console.log(JSON.stringify(await Promise.all(input.names.map(async (host) =>
           (await fetch(input.url, { client, headers: { host } })).text()))));`,
          { url, names: ["web1.lab.internal", ...absent, ...names] },
        );
        assert(Array.isArray(pages));
        const [first, ...others] = pages;
        assert.deepEqual(
          others.slice(0, absent.length),
          absent.map(() => first),
          "unknown names get the first site",
        );
        assert.equal(
          new Set(pages).size,
          1 + names.length,
          "each virtual host has a page of its own",
        );
      },
    );

    await t.step("status says that all of it listens", async () => {
      const { code, stdout } = await lab.script(["status", "--json"]);
      const { up, listening_tcp, expected_tcp } = JSON.parse(stdout);
      assert.deepEqual({ code, up, listening_tcp, expected_tcp }, {
        code: 0,
        up: true,
        listening_tcp: expected("tcp").length,
        expected_tcp: expected("tcp").length,
      });
    });
  },
});

Deno.test({
  name: "lab.sh up leaves no way out of the lab",
  fn: async (t) => {
    await using lab = await Lab.up("wayout");

    await t.step(
      "each namespace holds its own links and no other",
      async () => {
        const expectedLinks = {
          scan: ["lo", "s0"],
          rt: ["lo", "r1", "r2"],
          tgt: ["lo", "t0"],
        };
        for (const ns of namespaces) {
          const list = await links(lab, ns);
          assert.deepEqual(
            list.map(({ ifname }) => ifname).sort(),
            expectedLinks[ns],
          );
          for (const { ifname, linkinfo } of list) {
            assert.equal(
              linkinfo?.info_kind,
              ifname === "lo" ? undefined : "veth",
              ifname,
            );
          }
        }
      },
    );

    await t.step("no route leads further than the router", async () => {
      assert.deepEqual(await routes(lab, "scan", "-4"), [
        "10.77.1.0/24 - s0",
        "default 10.77.1.1 s0",
      ]);
      assert.deepEqual(await routes(lab, "scan", "-6"), [
        "default fd77:1::1 s0",
        "fd77:1::/64 - s0",
      ]);
      assert.deepEqual(await routes(lab, "rt", "-4"), [
        "10.77.1.0/24 - r1",
        "10.77.2.0/24 - r2",
      ]);
      assert.deepEqual(await routes(lab, "rt", "-6"), [
        "fd77:1::/64 - r1",
        "fd77:2::/64 - r2",
      ]);
      assert.deepEqual(await routes(lab, "tgt", "-4"), [
        "10.77.1.0/24 10.77.2.1 t0",
        "10.77.2.0/24 - t0",
      ]);
      assert.deepEqual(await routes(lab, "tgt", "-6"), [
        "fd77:1::/64 fd77:2::1 t0",
        "fd77:2::/64 - t0",
      ]);
    });

    await t.step(
      "the kernel of the router has no way to a foreign address",
      async () => {
        // "route get" asks the routing table and sends nothing.
        for (
          const address of [
            "192.0.2.1",
            "10.0.0.1",
            "203.0.113.5",
            "2001:db8::1",
          ]
        ) {
          const { code } = await lab.run(["ip", "route", "get", address], "rt");
          assert.equal(code, 2, address);
        }
      },
    );

    await t.step(
      "the router's links are the other ends of the scanner's and the targets' link",
      async () => {
        // A veth loses its carrier when its peer goes down: so the peers are these, and not elsewhere.
        const carrier = async (ns: LabNamespace, link: string) => {
          const text =
            `mount -t sysfs lab /sys && cat /sys/class/net/${link}/carrier`;
          return (await lab.run(["sh", "-c", text], ns)).stdout;
        };
        for (
          const [own, ns, peer] of [["r1", "scan", "s0"], [
            "r2",
            "tgt",
            "t0",
          ]] as const
        ) {
          assert.equal(await carrier(ns, peer), "1\n", peer);
          await lab.run(["ip", "link", "set", own, "down"], "rt");
          assert.equal(
            await carrier(ns, peer),
            "0\n",
            `${peer} hangs on ${own}`,
          );
        }
      },
    );
  },
});

Deno.test({
  name:
    "lab.sh exec hands on streams, exit code and signals, and asks the lab's name server",
  fn: async (t) => {
    await using lab = await Lab.up("exec");

    await t.step("stdin, stdout and the exit code", async () => {
      const child = lab.command(["sh", "-c", "tr a-z A-Z; exit 7"], "scan", {
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("hello"));
      await writer.close();
      const { code, stdout } = await child.output();
      assert.deepEqual([code, new TextDecoder().decode(stdout)], [7, "HELLO"]);
    });

    await t.step("a signal reaches the command itself", async () => {
      const text = "echo ready; exec sleep 60";
      const child = lab.command(["sh", "-c", text], "scan", {
        stdout: "piped",
      }).spawn();
      const reader = child.stdout.getReader();
      await reader.read();
      child.kill("SIGTERM");
      const { signal } = await child.status;
      await reader.cancel();
      assert.equal(signal, "SIGTERM");
    });

    await t.step(
      "resolv.conf is the lab's, the machine's is untouched",
      async () => {
        const { stdout } = await lab.run(["cat", "/etc/resolv.conf"]);
        assert(stdout.includes(`nameserver ${inventory.dns.server}\n`));
        const own = await new Deno.Command("cat", {
          args: ["/etc/resolv.conf"],
        })
          .output();
        const text = new TextDecoder().decode(own.stdout);
        assert(!text.includes(inventory.dns.server));
      },
    );
  },
});

Deno.test({
  name:
    "lab.sh down leaves no process, namespace or file, whatever state the lab is in",
  fn: async (t) => {
    await t.step("after up, with a command still running in it", async () => {
      const lab = await Lab.up("down");
      const folder = await stateFolder(lab.name);
      assert(await exists(folder));
      assert.notDeepEqual(await holdersOf(folder), []);
      const stray = lab.command(
        ["sh", "-c", "echo ready; exec sleep 20"],
        "scan",
        {
          stdout: "piped",
        },
      ).spawn();
      const reader = stray.stdout.getReader();
      await reader.read();
      assert.equal((await lab.script(["down"])).code, 0);
      assert.equal((await stray.status).signal, "SIGKILL");
      await reader.cancel();
      assert.deepEqual(await holdersOf(folder), []);
      assert(!await exists(folder));
      const { code, stdout } = await lab.script(["status", "--json"]);
      assert.deepEqual([code, JSON.parse(stdout)], [
        1,
        { name: lab.name, up: false },
      ]);
    });

    await t.step(
      "down twice, up twice, and a second lab beside the first",
      async () => {
        await using one = await Lab.up("one");
        await using two = await Lab.up("two");
        const again = await one.script(["up"]);
        assert.deepEqual([again.code, again.stdout], [
          0,
          `lab: "${one.name}" is up already\n`,
        ]);
        assert.equal((await two.script(["down"])).code, 0);
        assert.equal((await two.script(["down"])).code, 0);
        assert.deepEqual(await listening(one, "-Htln"), expected("tcp"));
      },
    );

    await t.step("after a holder that died", async () => {
      await using lab = await Lab.up("died");
      const { stdout } = await lab.script(["status", "--json"]);
      const { pid } = JSON.parse(stdout);
      await new Deno.Command("bash", { args: ["-c", `kill -KILL ${pid}`] })
        .output();
      assert.equal((await lab.script(["up"])).code, 0);
      assert.deepEqual(await listening(lab, "-Htln"), expected("tcp"));
    });

    await t.step("after an up that was killed midway", async () => {
      const name = `half-${Deno.pid}`;
      const folder = await stateFolder(name);
      const env = { LAB_NAME: name };
      // The holder is started and not ready yet: the worst moment.
      const text = `bash "$1" up & up=$!
        until grep -qsxzF -f <(printf '__holder=%s\\n' "$2") /proc/[0-9]*/cmdline; do :; done
        kill -KILL "$up"; wait "$up"; test ! -e "$2/ready"`;
      const { code } = await new Deno.Command("bash", {
        args: ["-c", text, "_", script, folder],
        env,
        stdout: "null",
        stderr: "null",
      }).output();
      assert.equal(code, 0, "the lab was not ready when up was killed");
      assert.notDeepEqual(await holdersOf(folder), []);
      await new Deno.Command("bash", { args: [script, "down"], env }).output();
      assert.deepEqual(await holdersOf(folder), []);
      assert(!await exists(folder));
    });
  },
});

Deno.test({
  name: "lab.sh refuses what it cannot do safely",
  fn: async (t) => {
    const name = `refuse-${Deno.pid}`;
    const folder = await stateFolder(name);
    const run = async (args: string[], labName = name) => {
      const { code, stderr } = await new Deno.Command("bash", {
        args: [script, ...args],
        env: { LAB_NAME: labName },
      }).output();
      return { code, stderr: new TextDecoder().decode(stderr) };
    };

    await t.step("exec runs nothing while the lab is down", async () => {
      const { code, stderr } = await run(["exec", "touch", `${folder}-ran`]);
      assert.equal(code, 1);
      assert.match(stderr, /is down; start it/);
      assert(!await exists(`${folder}-ran`));
    });

    await t.step("a state folder that is a link is left alone", async () => {
      await new Deno.Command("ln", { args: ["-s", "/etc", folder] }).output();
      try {
        for (const command of ["up", "down"]) {
          const { code, stderr } = await run([command]);
          assert.equal(code, 1, command);
          assert.match(stderr, /is not this user's folder/);
        }
        assert(await exists(`${folder}/passwd`));
      } finally {
        await new Deno.Command("rm", { args: [folder] }).output();
      }
    });

    await t.step("names that could lead out of the folder", async () => {
      const names = ["../x", "a/b", "A", "-a", "a".repeat(25), "a b", "a*"];
      for (const bad of names) {
        const { code, stderr } = await run(["status"], bad);
        assert.equal(code, 1, bad);
        assert.match(stderr, /does not fit/, bad);
      }
    });

    await t.step("unknown subcommands and options", async () => {
      const wrong = [["fly"], ["up", "--fast"], ["exec"], [
        "exec",
        "--ns=host",
        "true",
      ]];
      for (const args of wrong) {
        assert.equal((await run(args)).code, 2, args.join(" "));
      }
    });
  },
});
