/**
 * The egress guard, in a world that it cannot leave: what the configuration does not name gets no packet,
 * however it is sent, and the same attempts get through when the guard's rules are taken away.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readCounters } from "@/egress/counters.ts";
import { withTempDir } from "../support/temp_dir.ts";
import {
  ALLOWED,
  type Attempt,
  ATTEMPTS,
  PAST_THE_HOOK,
} from "./egress_frames.ts";
import { EgressWorld, type Ended, type Place } from "./egress_world.ts";
import { ROOT } from "../support/task.ts";
import { verifies } from "../requirements.ts";

verifies(
  "egress.addresses",
  "egress.follows_config",
  "egress.clean",
  "egress.counters",
  "escape.own_port",
);

const INNER = "netdev security_mcp";
const OUTER = "netdev security_mcp_guard";
const PACKETS = "inet security_mcp_guard";
const WORLD = "netdev world";
const GOOD = "10.99.1.2";
const BAD = "10.99.2.2";
const GOOD6 = "fd99:1::2";
const BAD6 = "fd99:2::2";
const PORTS = "6379,7000,7001";

/** Why it cannot run here, or nothing. */
const ignore = Deno.uid() !== 0;

const nmap = (...args: readonly string[]) => [
  ...["nmap", "-n", "-Pn", "--disable-arp-ping", "--max-retries", "1"],
  ...["--initial-rtt-timeout", "200ms", "--max-rtt-timeout", "300ms"],
  ...["--host-timeout", "10s", "-oG", "-", ...args],
];

/** Ways of the real scanners; each to an IPv4 and an IPv6 address where it can. */
const SCANS: readonly {
  readonly name: string;
  readonly args: (target: string) => readonly string[];
  readonly family: 4 | 6;
}[] = [
  ...([4, 6] as const).flatMap((family) => {
    const six = family === 6 ? ["-6"] : [];
    const scan = (name: string, ...args: readonly string[]) => ({
      name: `${name} over IPv${family}`,
      args: (target: string) => nmap(...six, ...args, target),
      family,
    });
    return [
      scan("TCP connect", "-sT", "-p", PORTS),
      scan("UDP", "-sU", "-p", "9999"),
      scan("raw frames", "-sS", "--send-eth", "-p", PORTS),
      scan("raw IP", "-sS", "--send-ip", "-p", PORTS),
    ];
  }),
  {
    name: "ICMP",
    family: 4,
    args: (target) => [
      ...["nmap", "-n", "-sn", "-PE", "--disable-arp-ping", "-oG", "-", target],
    ],
  },
];

const masscan = (target: string) => [
  ...["masscan", target, "-p", PORTS, "--rate", "100", "--wait", "1"],
  ...["-oL", "-"],
];

/** Runs something and counts what it brought a machine, and what the guard dropped. */
async function counted(
  world: EgressWorld,
  machine: "good" | "bad",
  run: () => Promise<Ended>,
): Promise<{ seen: number; dropped: number; ended: Ended }> {
  const guarded = (await world.run("security-mcp", "nft", "list", "tables"))
    .stdout.includes(INNER);
  const look = async () =>
    await Promise.all([
      world.packets(machine, WORLD, "seen"),
      guarded ? world.packets("security-mcp", INNER, "dropped") : 0,
    ]);
  const [seen, dropped] = await look();
  const ended = await run();
  const [seenNow, droppedNow] = await look();
  return { seen: seenNow - seen, dropped: droppedNow - dropped, ended };
}

function openPorts({ stdout }: Ended): string[] {
  return [...stdout.matchAll(/(\d+)\/open\//g)].map(([, port]) => port ?? "");
}

/** masscan reads answers only while packets come, so a little traffic goes to it meanwhile. */
async function scanFast(world: EgressWorld, target: string): Promise<Ended> {
  return await world.run(
    "host",
    ...["bash", "-c"],
    `(for i in {1..100}; do echo >/dev/udp/169.254.213.2/9; sleep 0.1; done) 2>/dev/null & trickle=$!
    nsenter --net=/run/netns/security-mcp timeout -s KILL 9 ${
      masscan(target).join(" ")
    }
    code=$?; kill $trickle; exit $code`,
  );
}

const frameScript = `${ROOT}tests/lab/egress_frame.pl`;

async function send(
  world: EgressWorld,
  { protocol, way, frame }: Attempt,
): Promise<Ended> {
  const ended = await world.run(
    "security-mcp",
    ...["perl", frameScript, "scan0", protocol, way, frame],
  );
  // 3 says that this kernel has no such socket.
  assert.ok(
    ended.code === 0 || (way === "xdp" && ended.code === 3),
    ended.stderr,
  );
  return ended;
}

/** Takes rules away, as if there were none. Links, routes and address translation stay. */
async function without(
  world: EgressWorld,
  ...tables: readonly (readonly [Place, string])[]
): Promise<void> {
  for (const [place, table] of tables) {
    const { code, stderr } = await world.run(
      place,
      ...["nft", "delete", "table", ...table.split(" ")],
    );
    assert.equal(code, 0, stderr);
  }
}

async function up(world: EgressWorld): Promise<void> {
  const { code, stderr } = await world.guard("up");
  assert.equal(code, 0, stderr);
}

/** All that `up` could leave behind on the host, a line each. */
async function traces(world: EgressWorld): Promise<string[]> {
  const text = await world.host(`
    ip -br link; ip address; ip route show table all; ip -6 route show table all
    ip neighbour show nud permanent; nft list ruleset; ls -A /run /run/netns
    for file in /proc/sys/net/ipv[46]/conf/*/* /proc/sys/net/ipv4/ip_forward; do
      [ ! -f "$file" ] || printf '%s %s\n' "$file" "$(cat "$file" 2>/dev/null)"
    done
    for each in /proc/[0-9]*; do
      tr '\\0' ' ' <"$each/cmdline" 2>/dev/null
      echo
    done | grep '^\(/bin/sh\|deno\|setpriv\) ' | sort`);
  return text.split("\n");
}

async function eventually(
  what: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  for (let turn = 0; turn < 100; turn += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.fail(`This did not come about: ${what}`);
}

const CONFIG = (denied: readonly string[]) =>
  `security:\n  denied_subnets: ${JSON.stringify(denied)}\n`;
const BAD_NETS = ["10.99.2.0/24", "fd99:2::/64"];
const GOOD_NETS = ["10.99.1.0/24", "fd99:1::/64"];

Deno.test({ name: "the egress guard", ignore }, async (t) => {
  await using folder = await withTempDir();
  const config = `${folder.path}/config.yaml`;
  await Deno.writeTextFile(config, CONFIG(BAD_NETS));
  await Deno.mkdir(`${folder.path}/state`);
  await using world = await EgressWorld.up({
    MCP_CONFIG_FILE: config,
    MCP_STATE_FOLDER: `${folder.path}/state`,
  });
  const before = await traces(world);
  const log = () => world.host("cat /run/security-mcp/log");

  await t.step("a failed up leaves nothing behind", async () => {
    await world.host(
      "mkdir /run/world/bin && printf '#!/bin/sh\\nexit 1\\n' >/run/world/bin/nft && chmod 755 /run/world/bin/nft",
    );
    const { code, stderr } = await world.run(
      "host",
      ...["env", `PATH=/run/world/bin:${Deno.env.get("PATH")}`],
      ...[`${ROOT}deploy/egress_guard.sh`, "up"],
    );
    assert.equal(code, 1);
    assert.match(stderr, /nft does not take the rules/);
    await world.host("rm -r /run/world/bin");
    await Deno.writeTextFile(config, "security: [");
    assert.equal((await world.guard("up")).code, 1);
    await Deno.writeTextFile(config, CONFIG(BAD_NETS));
    assert.deepEqual(await traces(world), before);
  });

  await t.step("up counts nothing by itself and is idempotent", async () => {
    await up(world);
    const made = await traces(world);
    await up(world);
    assert.deepEqual(await traces(world), made);
    assert.equal(await world.packets("security-mcp", INNER, "dropped"), 0);
    assert.equal((await world.guard("status")).code, 0);
  });

  await t.step(
    "every scan reaches what is allowed and finds its ports",
    async () => {
      for (const { name, args, family } of SCANS) {
        const target = family === 4 ? GOOD : GOOD6;
        const { seen, dropped, ended } = await counted(
          world,
          "good",
          () => world.run("security-mcp", ...args(target)),
        );
        assert.ok(seen > 0, `${name}: ${ended.stdout}${ended.stderr}`);
        assert.equal(dropped, 0, name);
        if (!args(target).includes(PORTS)) continue;
        assert.deepEqual(openPorts(ended), ["6379", "7000"], name);
      }
      const { stdout } = await scanFast(world, GOOD);
      const ports = [...stdout.matchAll(/^open tcp (\d+) /gm)].map(([, port]) =>
        port
      );
      assert.deepEqual([...new Set(ports)].sort(), ["6379", "7000"]);
    },
  );

  await t.step("no scan reaches what is denied", async () => {
    for (const { name, args, family } of SCANS) {
      const target = family === 4 ? BAD : BAD6;
      const { seen, dropped, ended } = await counted(
        world,
        "bad",
        () => world.run("security-mcp", ...args(target)),
      );
      assert.equal(seen, 0, name);
      assert.ok(dropped > 0, `${name}: ${ended.stdout}${ended.stderr}`);
      assert.deepEqual(openPorts(ended), [], name);
    }
    const fast = await counted(world, "bad", () => scanFast(world, BAD));
    assert.equal(fast.seen, 0);
    assert.ok(fast.dropped > 0);
    assert.equal(await world.packets("host", OUTER, "dropped"), 0);
  });

  await t.step("no forged frame leaves the namespace", async () => {
    await world.host(`nft -f - <<'TEXT'
      table netdev probe {
        counter left { }
        chain ingress { type filter hook ingress device "mcp-guard" priority -500; policy accept; counter name "left"; }
      }
TEXT`);
    for (const attempt of ATTEMPTS) {
      const left = await world.packets("host", "netdev probe", "left");
      const { seen, dropped } = await counted(
        world,
        "bad",
        () => send(world, attempt),
      );
      assert.equal(seen, 0, attempt.name);
      assert.equal(dropped, 1, attempt.name);
      const now = await world.packets("host", "netdev probe", "left");
      assert.equal(now - left, 0, attempt.name);
    }
    for (const attempt of ALLOWED) {
      const seen = await world.packets("good", WORLD, "seen");
      await send(world, attempt);
      const now = await world.packets("good", WORLD, "seen");
      assert.equal(now - seen, 1, attempt.name);
    }
  });

  await t.step("the host's end holds alone", async () => {
    await without(world, ["security-mcp", INNER]);
    for (const attempt of ATTEMPTS) {
      const [bad, good, dropped] = await Promise.all([
        world.packets("bad", WORLD, "seen"),
        world.packets("good", WORLD, "seen"),
        world.packets("host", OUTER, "dropped"),
      ]);
      await send(world, attempt);
      assert.equal(
        await world.packets("bad", WORLD, "seen"),
        bad,
        attempt.name,
      );
      assert.equal(
        await world.packets("good", WORLD, "seen"),
        good,
        attempt.name,
      );
      const now = await world.packets("host", OUTER, "dropped");
      assert.equal(now - dropped, 1, attempt.name);
    }
  });

  await t.step(
    "what passes the egress hook unseen stops at the host's end",
    async () => {
      await up(world);
      const looks = () =>
        Promise.all([
          world.packets("bad", WORLD, "seen"),
          world.packets("security-mcp", INNER, "dropped"),
          world.packets("host", OUTER, "dropped"),
        ]);
      const [seen, inner, outer] = await looks();
      const { code } = await send(world, PAST_THE_HOOK);
      if (code === 3) return;
      assert.deepEqual(await looks(), [seen, inner, outer + 1]);
      await without(world, ["host", OUTER]);
      await send(world, PAST_THE_HOOK);
      assert.equal(await world.packets("bad", WORLD, "seen"), seen + 1);
      await without(world, ["security-mcp", INNER]);
    },
  );

  await t.step("without rules the same attempts arrive", async () => {
    for (const attempt of ATTEMPTS.filter(({ arrives }) => arrives)) {
      const { seen } = await counted(world, "bad", () => send(world, attempt));
      assert.equal(seen, 1, attempt.name);
    }
    for (const { name, args, family } of SCANS) {
      const target = family === 4 ? BAD : BAD6;
      const { seen, ended } = await counted(
        world,
        "bad",
        () => world.run("security-mcp", ...args(target)),
      );
      assert.ok(seen > 0, `${name}: ${ended.stdout}${ended.stderr}`);
    }
    const fast = await counted(world, "bad", () => scanFast(world, BAD));
    assert.ok(fast.seen > 0);
    await up(world);
    assert.equal(
      (await counted(
        world,
        "bad",
        () => world.run("security-mcp", ...nmap("-sT", "-p", PORTS, BAD)),
      )).seen,
      0,
    );
  });

  await t.step(
    "the host itself cannot be reached, nor a detour through it",
    async () => {
      const scan = (target: string, port: string) =>
        world.run(
          "security-mcp",
          ...nmap(
            ...target.includes(":") ? ["-6"] : [],
            "-sT",
            "-p",
            port,
            target,
          ),
        );
      await world.host(`nft -f - <<'TEXT'
      table ip detour {
        chain prerouting { type nat hook prerouting priority dstnat; ip daddr 10.99.1.77 dnat to 10.99.2.2; }
      }
TEXT`);
      for (const target of ["10.99.1.1", "fd99:1::1", "127.0.0.1"]) {
        assert.deepEqual(openPorts(await scan(target, "8080")), [], target);
      }
      assert.ok(await world.packets("host", PACKETS, "refused") > 0);
      const detour = await counted(
        world,
        "bad",
        () => scan("10.99.1.77", "6379"),
      );
      assert.equal(detour.seen, 0);

      await world.host(
        `nft 'delete chain ${PACKETS} prerouting; delete chain ${PACKETS} input; delete chain ${PACKETS} forward'`,
      );
      for (const target of ["10.99.1.1", "fd99:1::1"]) {
        assert.deepEqual(
          openPorts(await scan(target, "8080")),
          ["8080"],
          target,
        );
      }
      const open = await counted(
        world,
        "bad",
        () => scan("10.99.1.77", "6379"),
      );
      assert.ok(open.seen > 0);
      await world.host("nft delete table ip detour");
      await up(world);
      assert.deepEqual(openPorts(await scan("10.99.1.1", "8080")), []);
    },
  );

  await t.step(
    "nobody reaches a scanner, and the host forwards for nobody else",
    async () => {
      const own = await world.run(
        "good",
        ...["sh", "-c"],
        "ip route add 169.254.213.0/30 via 10.99.1.1; ip route add 10.99.2.0/24 via 10.99.1.1",
      );
      assert.equal(own.code, 0, own.stderr);
      const through = await counted(
        world,
        "bad",
        () => world.run("good", ...nmap("-sT", "-p", "6379", BAD)),
      );
      assert.equal(through.seen, 0);
      const inward = await world.run(
        "good",
        ...nmap("-sT", "-p", "9", "169.254.213.2"),
      );
      assert.match(inward.stdout, /9\/filtered/);
    },
  );

  await t.step(
    "the host soon forgets a probe that nobody answers",
    async () => {
      const table = "/proc/net/nf_conntrack";
      if ((await world.run("host", "test", "-r", table)).code !== 0) return;
      await world.run(
        "security-mcp",
        ...nmap("-sS", "-p", "6379", "10.99.1.9"),
      );
      const seconds = /^\S+ +\d+ tcp +6 (\d+) SYN_SENT .*dst=10\.99\.1\.9 /m
        .exec(
          await world.host(`cat ${table}`),
        )?.[1];
      assert.ok(Number(seconds) <= 10, `${seconds} seconds`);
    },
  );

  await t.step("rules are replaced without a gap", async () => {
    const plain = ATTEMPTS.slice(0, 2).map(({ frame }) => frame);
    const seen = await world.packets("bad", WORLD, "seen");
    const dropped = await world.packets("security-mcp", INNER, "dropped");
    const flood = world.run(
      "security-mcp",
      ...["sh", "-c"],
      `for i in $(seq 60); do perl ${frameScript} scan0 0003 queue ${
        Array.from({ length: 200 }, () => plain.join(" ")).join(" ")
      }; done`,
    );
    const loads = await world.host(
      `awk '/^# part: namespace/ { on = 1; next } /^# part/ { on = 0 } on' /run/security-mcp/rules >/run/world/inner
      awk '/^# part: host/ { on = 1; next } /^# part/ { on = 0 } on' /run/security-mcp/rules >/run/world/outer
      for i in $(seq 50); do nsenter --net=/run/netns/security-mcp nft -f /run/world/inner; nft -f /run/world/outer; done; echo ok`,
    );
    assert.equal(loads, "ok\n");
    assert.equal((await flood).code, 0);
    // The kernel refuses what comes while rules change, uncounted; nearly all of it is counted.
    const now = await world.packets("security-mcp", INNER, "dropped");
    assert.ok(now - dropped > 10_000, `${now - dropped} frames were sent`);
    assert.equal(await world.packets("bad", WORLD, "seen"), seen);
    assert.equal(await world.packets("host", OUTER, "dropped"), 0);
  });

  await t.step("rules follow the configuration file", async () => {
    const reaches = async (machine: "good" | "bad", target: string) =>
      (await counted(
        world,
        machine,
        () => world.run("security-mcp", ...nmap("-sT", "-p", "6379", target)),
      )).seen > 0;
    assert.deepEqual([await reaches("good", GOOD), await reaches("bad", BAD)], [
      true,
      false,
    ]);
    const dropped = await world.packets("security-mcp", INNER, "dropped");
    await Deno.writeTextFile(config, CONFIG(GOOD_NETS));
    await eventually(
      "new rules are in force",
      async () => (await log()).includes("new rules are in force"),
    );
    assert.deepEqual([await reaches("good", GOOD), await reaches("bad", BAD)], [
      false,
      true,
    ]);
    assert.ok(
      await world.packets("security-mcp", INNER, "dropped") > dropped,
      "counters go on",
    );
    await Deno.writeTextFile(config, "security: [");
    await eventually(
      "the broken file is reported",
      async () => (await log()).includes("The configuration stays as it is"),
    );
    assert.deepEqual([await reaches("good", GOOD), await reaches("bad", BAD)], [
      false,
      true,
    ]);
    await Deno.writeTextFile(config, CONFIG(BAD_NETS));
    await eventually(
      "the mended file is in force",
      async () => (await log()).split("new rules are in force").length === 3,
    );
    assert.deepEqual([await reaches("good", GOOD), await reaches("bad", BAD)], [
      true,
      false,
    ]);
  });

  await t.step("counters come to the state folder", async () => {
    const read = () => readCounters(`${folder.path}/state`, Date.now());
    const dropped = await world.packets("security-mcp", INNER, "dropped");
    await eventually(
      "counters are written",
      async () => ((await read())?.dropped.packets ?? 0) >= dropped,
    );
    const counts = await read();
    assert.ok(counts !== null && counts.accepted.packets > 0);
  });

  await t.step(
    "a follower that was killed is replaced, and its like ends with it",
    async () => {
      const pid = (await world.host("cat /run/security-mcp/follower.pid"))
        .trim();
      await world.host(`kill -KILL ${pid}`);
      assert.equal((await world.guard("status")).code, 1);
      await eventually(
        "what it started ends by itself",
        async () =>
          !(await world.host(
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '",
          ))
            .includes("egress-rules"),
      );
      await up(world);
      assert.equal((await world.guard("status")).code, 0);
    },
  );

  await t.step("up --foreground stays until it is told to end", async () => {
    const follower = () => world.host("cat /run/security-mcp/follower.pid");
    const before = await follower();
    const child = world.command("host", [
      ...[`${ROOT}deploy/egress_guard.sh`, "up", "--foreground"],
    ]).spawn();
    await eventually(
      "another process follows",
      async () =>
        await follower() !== before &&
        (await world.guard("status")).code === 0,
    );
    await world.host(`kill -TERM ${(await follower()).trim()}`);
    assert.equal((await child.output()).code, 0);
    const { code, stdout } = await world.guard("status");
    assert.equal(code, 1);
    assert.match(stdout, /is up since .*is not followed/s);
  });

  await t.step("down leaves nothing, and may be said twice", async () => {
    await world.host("nft delete table netdev probe 2>/dev/null || true");
    for (let turn = 0; turn < 2; turn += 1) {
      const { code, stderr } = await world.guard("down");
      assert.equal(code, 0, stderr);
    }
    await world.run("good", "ip", "route", "flush", "169.254.213.0/30");
    assert.deepEqual(await traces(world), before);
    assert.equal((await world.guard("status")).code, 1);
  });

  await t.step("the rules for a container hold in one", async () => {
    await world.host(`ip netns add box
      ip link add box0 type veth peer name eth0 netns box
      ip address add 198.18.213.1/29 dev box0
      ip link set box0 up
      ip -n box address add 198.18.213.2/29 dev eth0
      ip -n box link set eth0 up
      ip -n box route add default via 198.18.213.1
      ip -n good route add 198.18.213.0/29 via 10.99.1.1
      ip -n bad route add 198.18.213.0/29 via 10.99.2.1
      echo 1 >/proc/sys/net/ipv4/ip_forward
      ${ROOT}deploy/egress_guard.sh rules --container >/run/world/box`);
    const open = async (...args: readonly string[]) =>
      openPorts(
        await world.run(
          "host",
          ...[
            "nsenter",
            "--net=/run/netns/box",
            ...nmap("-p", "6379", ...args),
          ],
        ),
      );
    const scans = [["-sT"], ["-sS", "--send-eth"]];
    for (const scan of scans) {
      assert.deepEqual(await open(...scan, BAD), ["6379"]);
    }
    await world.host(
      "nsenter --net=/run/netns/box setpriv --no-new-privs --bounding-set=-all,+net_admin --inh-caps=-all nft -f /run/world/box",
    );
    const seen = await world.packets("bad", WORLD, "seen");
    for (const scan of scans) {
      assert.deepEqual(await open(...scan, GOOD), ["6379"]);
      assert.deepEqual(await open(...scan, BAD), []);
    }
    assert.equal(await world.packets("bad", WORLD, "seen"), seen);
  });
});

Deno.test({ name: "egress_guard.sh asks for root", ignore }, async () => {
  const { code, stderr } = await new Deno.Command("setpriv", {
    args: [
      ...["--reuid=65534", "--regid=65534", "--clear-groups"],
      ...["sh", `${ROOT}deploy/egress_guard.sh`, "up"],
    ],
    stdin: "null",
  }).output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /up needs root; run: sudo/);
});
