/**
 * gVisor's launcher with the real scanners: what they see in it, what of the machine they may use, and
 * that nothing of them is left. Packets go to 127.0.0.1 only.
 *
 * As root every scan is tried a second time as an ordinary user, whom nobody has to make: a user id
 * without a name will do.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { withoutRecord } from "../support/cage.ts";
import { freePort } from "../support/network.ts";
import { descendantsOf, processes } from "../support/processes.ts";
import { withTempDir } from "../support/temp_dir.ts";

const LAUNCHERS = new URL("../../sandbox/gvisor", import.meta.url).pathname;
const ROOT = Deno.uid() === 0;
const ORDINARY = [
  "setpriv",
  "--reuid=54321",
  "--regid=54321",
  "--clear-groups",
  "--inh-caps=-all",
];
const USERS: ReadonlyMap<string, readonly string[]> = new Map(
  ROOT ? [["root", []], ["an ordinary user", ORDINARY]] : [["this user", []]],
);

const LIMITS: Readonly<Record<string, number>> = {
  CPU_SECONDS: 60,
  ADDRESS_SPACE_BYTES: 4_294_967_296,
  FILE_SIZE_BYTES: 1_048_576,
  PROCESSES: 64,
  OPEN_FILES: 256,
  EGRESS_GUARD: 0,
};

/** Options of {@linkcode start}. */
interface Options {
  /** Limits other than {@linkcode LIMITS}. */
  readonly limits?: Readonly<Record<string, number>>;
  /** What to write in front of the launcher. */
  readonly before?: readonly string[];
}

/** Starts a launcher. Its input and output are pipes. */
function start(
  tool: string,
  args: readonly string[],
  options: Options = {},
): Deno.ChildProcess {
  const found = new Deno.Command("sh", {
    args: ["-c", "test -x /usr/bin/runsc"],
  }).outputSync();
  assert.ok(
    found.success,
    "runsc is missing: apt-get install runsc (scripts/setup.sh does that)",
  );
  const settings = Object.entries({ ...LIMITS, ...options.limits })
    .map(([name, value]) => `SANDBOX_${name}=${value}`);
  const [program = "env", ...rest] = [
    ...options.before ?? [],
    // Whoever is the parent of this shell is that of the launcher.
    ...["sh", "-c", 'exec env -i SANDBOX_SERVER="$PPID" "$@"', "sh"],
    ...settings,
    `${LAUNCHERS}/${tool}`,
    ...args,
  ];
  return new Deno.Command(program, {
    args: rest,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** How a launcher ended, and what it printed. */
interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** By the launcher's record; null if there is none. */
  readonly cpuSeconds: number | null;
}

/** Runs a launcher to its end. */
async function run(
  tool: string,
  args: readonly string[],
  options: Options & { readonly stdin?: string } = {},
): Promise<Ran> {
  const child = start(tool, args, options);
  const writer = child.stdin.getWriter();
  // A launcher that refuses reads nothing.
  await writer.write(new TextEncoder().encode(options.stdin ?? ""))
    .then(() => writer.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  return {
    code,
    stdout: new TextDecoder().decode(stdout),
    ...withoutRecord(stderr),
  };
}

/** Runs Lua in nmap as a planted script would: nmap reads it from its input. */
async function plant(
  lua: string,
  options: Options = {},
): Promise<Ran & { readonly said: string }> {
  const stdin = `description = "" author = "" license = "" categories = {}
    function prerule() return true end
    function sh(command)
      local pipe = io.popen("(" .. command .. ") 2>&1")
      local text = pipe:read("a")
      pipe:close()
      return text
    end
    function say(text) io.stdout:write("<said>", tostring(text), "</said>\\n") io.stdout:flush() end
    function action() ${lua} end`;
  const ran = await run("nmap", ["--script=/proc/self/fd/0"], {
    ...options,
    stdin,
  });
  const said = [...ran.stdout.matchAll(/<said>(.*?)<\/said>/gs)]
    .map(([, text]) => text?.trim());
  return { ...ran, said: said.join("\n") };
}

/** Waits until none of these processes is left. */
async function gone(pids: readonly number[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const left = (await processes()).filter(({ pid, state }) =>
      pids.includes(pid) && state !== "Z"
    );
    if (left.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("processes are left");
}

/** A scan that takes minutes: one port every two seconds, none of which anybody listens on. */
const LONG = ["-n", "-Pn", "-sT", "--unprivileged", "--scan-delay=2s", "-p1-99"]
  .concat("127.0.0.1");

for (const [user, before] of USERS) {
  Deno.test(`gvisor tells the versions of all three tools to ${user}`, async () => {
    const nmap = await run("nmap", ["--version"], { before });
    assert.match(nmap.stdout, /^Nmap version \d/);
    assert.deepEqual([nmap.code, nmap.stderr], [0, ""]);
    const gobuster = await run("gobuster", ["version"], { before });
    assert.match(gobuster.stdout, /^\d/);
    assert.deepEqual([gobuster.code, gobuster.stderr], [0, ""]);
    // masscan says its version and fails.
    const masscan = await run("masscan", ["--version"], { before });
    assert.match(masscan.stdout, /Masscan version \d/);
    assert.equal(masscan.code, 1);
  });

  Deno.test(`gvisor scans by connecting for ${user}`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    const closed = freePort();
    const { code, stdout } = await run("nmap", [
      ...["-n", "-Pn", "-sT", "--unprivileged", `-p${port},${closed}`],
      ...["-oX", "-", "127.0.0.1"],
    ], { before });
    assert.equal(code, 0);
    const states = [...stdout.matchAll(/portid="(\d+)"><state state="(\w+)"/g)]
      .map(([, port, state]) => [Number(port), state]);
    assert.deepEqual(
      new Map(states as [number, string][]),
      new Map([[port, "open"], [closed, "closed"]]),
    );
    assert.ok(stdout.endsWith("</nmaprun>\n"));
  });

  Deno.test(`gvisor shows gobuster one wordlist for ${user}`, async () => {
    await using folder = await withTempDir();
    if (user !== "root") await Deno.chmod(folder.path, 0o755);
    const path = `${folder.path}/words.txt`;
    await Deno.writeTextFile(path, "nope\nsecret\n");
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) =>
        new Response(null, {
          status: new URL(request.url).pathname === "/secret" ? 200 : 404,
        }),
    );
    const { code, stdout } = await run("gobuster", [
      ...["dir", "-q", `--wordlist=${path}`],
      `--url=http://127.0.0.1:${server.addr.port}/`,
    ], { before });
    assert.equal(code, 0);
    assert.match(stdout, /\/secret +\(Status: 200\)/);
    assert.doesNotMatch(stdout, /nope/);
  });

  for (const how of ["SIGTERM", "SIGKILL"] as const) {
    Deno.test(`gvisor leaves nothing of a launcher that ${user} ends by ${how}`, async () => {
      const child = start("nmap", LONG, { before });
      const reader = child.stdout.getReader();
      await reader.read();
      const family = await descendantsOf(child.pid);
      assert.ok(
        family.some(({ commandLine }) => commandLine.includes("runsc")),
      );
      child.kill(how);
      const { code } = await child.status;
      assert.equal(code, 128 + 9);
      await gone(family.map(({ pid }) => pid));
      await Promise.all([
        reader.cancel(),
        child.stderr.cancel(),
        child.stdin.close(),
      ]);
    });
  }

  Deno.test(`gvisor leaves nothing of a server of ${user} that is killed`, async () => {
    const child = start("nmap", LONG, {
      before: [...before, "sh", "-c", '"$@"; true', "sh"],
    });
    const reader = child.stdout.getReader();
    await reader.read();
    const family = await descendantsOf(child.pid);
    assert.ok(family.some(({ commandLine }) => commandLine.includes("runsc")));
    child.kill("SIGKILL");
    await child.status;
    await gone(family.map(({ pid }) => pid));
    await Promise.all([
      reader.cancel(),
      child.stderr.cancel(),
      child.stdin.close(),
    ]);
  });
}

Deno.test("gvisor counts what a scan took on a processor, its kernel included", async () => {
  verifies("spawn.cpu_seconds");
  const burn = "while os.clock() < 1 do end say(os.clock())";
  const burnt = await plant(burn);
  assert.equal(burnt.code, 0, burnt.stderr);
  const seconds = burnt.cpuSeconds ?? 0;
  // gVisor's own clock of a process is a rough one.
  assert.ok(seconds > 0.5 && seconds < 3, `${seconds}; ${burnt.said}`);
  const slept = await plant('sh("sleep 2")');
  const little = slept.cpuSeconds ?? Infinity;
  assert.ok(little > 0 && little < 1.5, String(little));

  const child = start("nmap", ["--script=/proc/self/fd/0"]);
  const script = `description = "" author = "" license = "" categories = {}
    function prerule() return true end
    function action() while os.clock() < 1 do end print("burnt") os.execute("sleep 60") end`;
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(script));
  await writer.close();
  let printed = "";
  for await (const bytes of child.stdout) {
    printed += new TextDecoder().decode(bytes);
    if (printed.includes("burnt")) break;
  }
  child.kill("SIGTERM");
  const chunks = await Array.fromAsync(child.stderr);
  await child.status;
  const { cpuSeconds } = withoutRecord(chunks.at(-1) ?? new Uint8Array());
  assert.ok((cpuSeconds ?? 0) > 0.5, String(cpuSeconds));
});

Deno.test("gvisor refuses raw packets", async () => {
  const message =
    "sandbox: gVisor lets no raw packets through: no masscan, and nmap with --unprivileged only\n";
  const raw: [string, string[]][] = [
    ["nmap", ["-n", "-Pn", "-sS", "--privileged", "-p1", "127.0.0.1"]],
    ["masscan", ["127.0.0.1", "-p1", "--rate=1"]],
  ];
  for (const [tool, args] of raw) {
    const { code, stdout, stderr } = await run(tool, args);
    assert.deepEqual([code, stdout, stderr], [125, "", message]);
  }
  const { code, stderr } = await run("nmap", ["-n", "-Pn", "-sS", "127.0.0.1"]);
  assert.equal(code, 1);
  assert.match(stderr, /requires root privileges/);
});

Deno.test("gvisor detects services, or says that this runsc cannot", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("hello", { headers: { server: "nginx/1.2.3" } }),
  );
  const { code, stdout, stderr } = await run("nmap", [
    ...["-n", "-Pn", "-sT", "-sV", "--unprivileged", `-p${server.addr.port}`],
    "127.0.0.1",
  ]);
  const version = await new Deno.Command("runsc", { args: ["--version"] })
    .output();
  if (new TextDecoder().decode(version.stdout).includes("20221219")) {
    assert.deepEqual([code, stdout], [125, ""]);
    assert.match(stderr, /^sandbox: runsc 20221219 cannot do service detect/);
  } else {
    assert.equal(code, 0);
    assert.match(stdout, /open +http/);
  }
});

Deno.test("gvisor hands on arguments as they are, or refuses them", async () => {
  const odd = '--odd"\\", "\\u0041 $(id) `id` %s {}[]';
  const { stderr } = await run("nmap", [odd]);
  assert.ok(stderr.includes(`unrecognized option '${odd}'`), stderr);
  for (const bad of ["a\nb", "a\tb", "é", "\u007f", "\u001b[2K"]) {
    const { code, stderr } = await run("nmap", ["--version", bad]);
    assert.equal(code, 125);
    assert.match(stderr, /^sandbox: an argument has a character that is not/);
  }
});

Deno.test("gvisor hands on output, errors and the end of a scanner", async () => {
  const { code, stdout, stderr } = await plant(`
    for line = 1, 10240 do io.stdout:write(string.rep("x", 1023), "\\n") end
    io.stdout:flush()
    io.stderr:write("to stderr\\n")
    os.execute("kill -SEGV $PPID")
  `);
  assert.equal(
    stdout.split("\n").filter((line) => /^x{1023}$/.test(line)).length,
    10_240,
  );
  assert.match(stderr, /^to stderr$/m);
  assert.equal(code, 128 + 11);
  assert.equal((await run("nmap", ["--no-such-flag"])).code, 255);
});

Deno.test("gvisor runs eight scans at once", async () => {
  const ended = await Promise.all(
    Array.from({ length: 8 }, () => run("nmap", ["--version"])),
  );
  assert.deepEqual(ended.map(({ code }) => code), Array(8).fill(0));
});

Deno.test("gvisor leaves no file behind", async () => {
  const list = async () => {
    const folders = ["/run", "/run/runsc", "/var/run", "/tmp", "/dev/shm"];
    const { stdout } = await new Deno.Command("find", {
      args: [...folders, "-maxdepth", "1", "-name", "*runsc*"],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout);
  };
  const before = await list();
  await run("nmap", ["--version"]);
  assert.equal(await list(), before);
});

Deno.test("gvisor shows a planted script nothing of the host", async () => {
  await using folder = await withTempDir();
  await Deno.chmod(folder.path, 0o755);
  const secret = `${folder.path}/secret`;
  await Deno.writeTextFile(secret, "of the host");
  await using child = new Deno.Command("sleep", { args: ["300"] }).spawn();
  const { said, code } = await plant(`
    for _, path in ipairs({"/etc/shadow", "/etc/passwd", "${secret}", "/root/.profile",
        "/proc/1/root/etc/shadow", "/proc/${child.pid}/status", "/proc/${Deno.pid}/status"}) do
      local file, reason = io.open(path)
      say(file and path .. " is open" or reason)
    end
    say(sh("for path in /home/* /root/* /var/* /run/* /tmp/*; do [ ! -e $path ] || echo $path; done"))
    for _, path in ipairs({"/x", "/etc/x", "/usr/x", "/proc/sys/kernel/hostname"}) do
      local file = io.open(path, "w")
      say(file and path .. " is written" or "no")
    end
    say(sh("id -u; hostname; uname -r; grep Cap /proc/self/status | cut -f2 | sort -u"))
    say(sh("cp /usr/bin/id /tmp/id && /tmp/id"))
    say(sh("mount -t tmpfs none /usr"))
  `);
  assert.equal(code, 0);
  const missing = "No such file or directory";
  assert.deepEqual(said.split("\n"), [
    `/etc/shadow: ${missing}`,
    `/etc/passwd: ${missing}`,
    `${secret}: ${missing}`,
    `/root/.profile: ${missing}`,
    `/proc/1/root/etc/shadow: ${missing}`,
    `/proc/${child.pid}/status: ${missing}`,
    `/proc/${Deno.pid}/status: ${missing}`,
    "",
    ...Array(4).fill("no"),
    "60578",
    "scanner",
    "4.4.0",
    "0000000000000000",
    "sh: 1: /tmp/id: Permission denied",
    "mount: /usr: must be superuser to use mount.",
    "       dmesg(1) may have more information after failed mount system call.",
  ]);
  child.kill();
});

/** What a script does about a limit, how the scanner ends, and what the script says. */
const LIMITED: readonly {
  readonly limit: string;
  readonly value: number;
  readonly lua: string;
  readonly code?: number;
  readonly said?: RegExp;
}[] = [
  {
    limit: "CPU_SECONDS",
    value: 1,
    lua: "while true do end",
    code: 128 + 24,
  },
  {
    limit: "CPU_SECONDS",
    value: 1,
    // gVisor forgets this limit when a process forks; the host does not.
    lua: `os.execute("trap '' XCPU; while :; do :; done; true") os.exit(9)`,
    code: 128 + 24,
  },
  {
    limit: "ADDRESS_SPACE_BYTES",
    value: 300_000_000,
    lua: `say(select(2, pcall(string.rep, "x", 400000000)))`,
    said: /not enough memory/,
  },
  {
    limit: "FILE_SIZE_BYTES",
    value: 1_000_000,
    lua: `say(sh("head -c 3000000 /dev/zero >/tmp/a; wc -c </tmp/a"))`,
    said: /^File size limit exceeded\n1000000$/,
  },
  {
    limit: "FILE_SIZE_BYTES",
    value: 1_000_000,
    lua: `say(sh("for i in 1 2 3; do head -c 900000 /dev/zero >/tmp/$i; done"))
      say(sh("cat /tmp/* | wc -c"))`,
    said: /No space left on device[^]*\n100\d\d\d\d$/,
  },
  {
    limit: "PROCESSES",
    value: 20,
    lua: `say(sh("for i in $(seq 60); do sleep 2 & done"))`,
    said: /Cannot fork/,
  },
  {
    limit: "OPEN_FILES",
    value: 64,
    lua: `local files = {}
      for index = 1, 200 do
        local file, reason = io.open("/dev/null")
        if not file then say(reason) break end
        files[index] = file
      end`,
    said: /Too many open files/,
  },
];

Deno.test("gvisor keeps every limit", async (t) => {
  for (const { limit, value, lua, code, said } of LIMITED) {
    await t.step(`${limit} of ${value}: ${lua.slice(0, 40)}`, async () => {
      const ran = await plant(lua, { limits: { [limit]: value } });
      assert.match(ran.said, said ?? /^$/);
      assert.equal(ran.code, code ?? 0);
    });
  }
});

Deno.test("gvisor bounds the memory of all processes together", async () => {
  // Eight processes keep to the limit of each, and all may have the whole GiB that follows it. Which
  // end it takes is chance: one of them touches the memory, or gVisor does for them.
  const { code, said } = await plant(
    `say(sh("for i in 1 2 3 4 5 6 7 8; do " ..
      "perl -e '$x = q(x); $x x= 160000000; sleep 3; print qq(held\\n)' & done; wait"))`,
    { limits: { ADDRESS_SPACE_BYTES: 300_000_000 } },
  );
  const held = said.match(/^held$/gm)?.length ?? 0;
  assert.ok(held < 8, said);
  assert.ok(held > 0 || code === 128 + 25, `${code} ${said}`);
});

Deno.test("gvisor counts what children took that nobody waits for and that outlive the scanner", async () => {
  verifies("spawn.cpu_seconds");
  const counted: number[] = [];
  // What is left to the end of a namespace is lost now and then, and not each time.
  for (let round = 0; round < 6; round++) {
    const { said, cpuSeconds } = await plant(`say(sh([[perl -e '
      $SIG{CHLD} = q(IGNORE); $| = 1;
      for (1 .. 2) {
        next if fork; my $i = 0; 1 while $i++ < 2e7; print qq(burnt\\n);
        close STDOUT; close STDERR; sleep 30; exit;
      }']]))`);
    assert.equal(said, "burnt\nburnt");
    counted.push(cpuSeconds ?? 0);
  }
  assert.ok(
    Math.min(...counted) > 0.6 * Math.max(...counted),
    counted.join(" "),
  );
});

Deno.test("gvisor starts nothing for anybody but the server that is named", async () => {
  verifies("escape.outlives_kill");
  const { code, stdout, stderr } = await run("nmap", ["--version"], {
    limits: { SERVER: 1 },
  });
  assert.deepEqual([code, stdout], [125, ""]);
  assert.equal(
    stderr,
    "sandbox: process 1, which SANDBOX_SERVER names, is not the parent of the launcher, or no longer\n",
  );
});

/** Runs a launcher where only root can: in mounts and a network of its own, prepared by a script. */
function prepared(script: string): string[] {
  return [
    "unshare",
    "-mn",
    "sh",
    "-c",
    `PATH="$PATH:/usr/sbin:/sbin"; ${script}; exec "$@"`,
    "sh",
  ];
}

Deno.test({
  name: "gvisor enters the network of the egress guard, or refuses",
  ignore: !ROOT,
  fn: async () => {
    const scan = ["-n", "-Pn", "-sT", "--unprivileged", "-p1", "127.0.0.1"];
    const guard = "mount -t tmpfs none /run; ip netns add security-mcp";
    const up = `${guard}; ip -n security-mcp link set lo up`;
    // Outside loopback is down, so the port is closed only inside.
    const inside = await run("nmap", scan, { before: prepared(up) });
    assert.match(inside.stdout, /1\/tcp closed/);
    const outside = await run("nmap", scan, { before: prepared(guard) });
    assert.doesNotMatch(outside.stdout, /1\/tcp closed/);
    const refused: [string, Record<string, number>, string[]][] = [
      ["mount -t tmpfs none /run", { EGRESS_GUARD: 1 }, []],
      [up, {}, ORDINARY],
      [`${guard}; umount /run/netns/security-mcp`, {}, []],
    ];
    for (const [script, limits, user] of refused) {
      const { code, stdout } = await run("nmap", ["--version"], {
        before: [...prepared(script), ...user],
        limits,
      });
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
    }
  },
});

Deno.test({
  name: "gvisor says what it lacks",
  ignore: !ROOT,
  fn: async () => {
    for (const program of ["runsc", "bwrap"]) {
      const { code, stderr } = await run("nmap", ["--version"], {
        before: prepared(`mount --bind /dev/null /usr/bin/${program}`),
      });
      assert.equal(code, 125);
      assert.equal(
        stderr,
        `sandbox: ${program} is not installed; run scripts/setup.sh\n`,
      );
    }
    // Someone of a user namespace that maps nobody makes no other.
    const forbidden = await run("nmap", ["--version"], {
      before: [...ORDINARY, "unshare", "--user"],
    });
    assert.notEqual(forbidden.code, 0);
    assert.match(
      forbidden.stderr,
      /^bwrap: No permissions to create new namespace, likely because the kernel does not/,
    );
  },
});
