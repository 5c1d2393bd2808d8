/**
 * Ways out of the sandbox, tried by real processes. Each attempt is shown to get through without the
 * guard, which is the launcher of no sandbox or the very same one with that guard cut out, and to fail
 * with it. All are bounded, so that the machine takes no harm where nothing holds them.
 *
 * The program in the scanner's place is Perl. What nmap's own Lua can do is tried by the script of
 * `doctor --sandbox`, here through the whole command.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ATTEMPTS } from "@/cli/escape_attempts.ts";
import { verifies } from "../requirements.ts";
import {
  appeared,
  AS_NOBODY,
  Cage,
  type CageMode,
  type Guard,
  KILLED_BY_FILTER,
  leftAfterSecond,
  needPrerequisites,
  run,
} from "../support/cage.ts";
import {
  FILL,
  FORK_BOMB,
  LISTEN,
  MEMORY,
  ONE_FILE,
  OPEN_FILES,
  OUTLIVE,
  PERL,
  perl,
  PROCESSES,
  READ,
  SIGNAL,
  TCP,
  THREAD_BOMB,
  TRACE,
  UNIX,
  WRITE,
} from "../support/cage_perl.ts";
import { processesNamed } from "../support/processes.ts";
import { prepareServer } from "../support/server.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";

const MIB = 1_048_576;

/** The user of a cage in the tests where the user makes the difference. */
const UID = 61_900;

needPrerequisites();

/** Lines of what was printed. */
function lines(text: string): string[] {
  return text.trim().split("\n");
}

/** Runs a hostile program in a cage of its own and gives what it printed. */
async function tried(
  args: readonly string[],
  cage: { mode?: "bwrap" | "none"; without?: readonly Guard[] } = {},
  how: Parameters<Cage["run"]>[1] = {},
): Promise<string> {
  await using made = await Cage.of(cage.mode ?? "bwrap", PERL, {
    without: cage.without ?? [],
  });
  const { code, stdout, stderr } = await made.run(args, how);
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout.trim();
}

/** What `doctor --sandbox --json` prints. */
interface Report {
  readonly sandbox: string;
  readonly ok: boolean;
  readonly attempts: readonly {
    readonly attempt: string;
    readonly expected: string;
    readonly seen: string;
    readonly held: boolean;
  }[];
}

/** Runs `doctor --sandbox`. */
async function doctor(
  mode: string,
  args: readonly string[] = [],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const prepared = prepareServer({
    task: "doctor",
    args: ["--sandbox", ...args],
    env: { MCP_SANDBOX_MODE: mode, NO_COLOR: "1" },
  });
  const { code, stdout, stderr } = await new Deno.Command(prepared.program, {
    args: [...prepared.args],
    env: { ...prepared.env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Attempts that limits hold, and limits hold without a sandbox, too. */
const HELD_BY_LIMITS = ["memory", "open_files"];

Deno.test("doctor --sandbox sees every attempt of a planted script held by bubblewrap", async () => {
  verifies("sandbox.doctor", "escape.shell", "escape.read", "escape.write");
  const { code, stdout, stderr } = await doctor("bwrap", ["--json"]);
  assert.equal(code, 0, stdout + stderr);
  const { sandbox, ok, attempts } = JSON.parse(stdout) as Report;
  assert.equal(sandbox, "bwrap");
  assert.equal(ok, true);
  assert.deepEqual(
    attempts.map(({ attempt, expected }) => ({ attempt, expected })),
    ATTEMPTS.map(({ what, expected }) => ({ attempt: what, expected })),
  );
  for (const { seen, held } of attempts) {
    assert.equal(held, true, seen);
    assert.match(seen, /^held: /);
  }
});

Deno.test("doctor --sandbox sees every attempt get through where there is no sandbox", async () => {
  verifies("sandbox.doctor", "escape.shell", "escape.read", "escape.write");
  const { code, stdout, stderr } = await doctor("none");
  assert.equal(code, 3, stdout + stderr);
  const [head = "", ...rows] = lines(stdout);
  assert.match(head, /^attempt +expected +seen/);
  for (const { name, what, expected } of ATTEMPTS) {
    const row = rows.find((one) => one.startsWith(`${what} `)) ?? "";
    const seen = HELD_BY_LIMITS.includes(name) ? "held: at " : "GOT THROUGH: ";
    assert.ok(row.includes(` ${expected} `), what);
    assert.ok(row.includes(` ${seen}`), `${what}: ${row}`);
  }
  const count = ATTEMPTS.length;
  assert.equal(
    rows.at(-1),
    `${count - 2} of ${count} attempts got through: the sandbox is none`,
  );
});

Deno.test("a scanner reads neither /etc/shadow nor anybody's home", async () => {
  verifies("escape.read");
  await using home = await withTempDir();
  await Deno.chmod(home.path, 0o755);
  const secrets = ["of-root", "of-user", "of-root-for-all", "of-user-for-all"];
  const files = secrets.map((name) => `${home.path}/${name}`);
  for (const [i, name] of secrets.entries()) {
    const file = `${home.path}/${name}`;
    await Deno.writeTextFile(file, `secret ${name}`);
    await Deno.chmod(file, name.endsWith("for-all") ? 0o644 : 0o600);
    if (i % 2 === 1) await Deno.chown(file, 1_000, 1_000);
  }
  const attack = perl(READ, "/etc/shadow", ...files);

  const free = lines(await tried(attack, { mode: "none" }));
  assert.match(free[0] ?? "", /^root:/);
  assert.deepEqual(free.slice(1), secrets.map((name) => `secret ${name}`));

  assert.deepEqual(
    lines(await tried(attack)),
    Array(5).fill("No such file or directory"),
  );

  // The second guard behind the first: were the folder shown, the scanner would be nobody's friend.
  await using shown = await Cage.of("bwrap", PERL, {
    shows: [home.path, "/etc/shadow"],
  });
  assert.deepEqual(lines((await shown.run(attack)).stdout), [
    "Permission denied",
    "Permission denied",
    "Permission denied",
    "secret of-root-for-all",
    "secret of-user-for-all",
  ]);
});

Deno.test("a scanner writes nowhere but into its own /tmp", async () => {
  verifies("escape.write");
  await using folder = await withTempDir();
  await Deno.chmod(folder.path, 0o777);
  const outside = [folder.path, "/var/tmp", "/dev/shm", "/run", "/etc", "/usr"];
  const attack = perl(WRITE, ...outside, "/", "/dev", "/proc", "/tmp");
  const free = lines(await tried(attack, { mode: "none" }));
  assert.deepEqual(free.slice(0, 7), Array(7).fill("through"));

  const held = lines(await tried(attack));
  assert.equal(held.length, 10);
  assert.equal(held.pop(), "through");
  for (const refusal of held) {
    assert.match(
      refusal,
      /^(?:No such file or directory|Read-only file system|Permission denied)$/,
    );
  }

  // What it writes into its /tmp is gone with it, and was never in the host's.
  const name = `security-mcp-test-${crypto.randomUUID()}`;
  const leave = perl('open my $f, ">", $ARGV[0] or die; print "left"', name);
  leave[leave.length - 1] = `/tmp/${name}`;
  assert.equal(await tried(leave), "left");
  await assert.rejects(Deno.stat(`/tmp/${name}`), Deno.errors.NotFound);

  // Even a folder that is everybody's to write is read-only where it is shown.
  await using shown = await Cage.of("bwrap", PERL, { shows: [folder.path] });
  const { stdout } = await shown.run(perl(WRITE, folder.path));
  assert.equal(stdout.trim(), "Read-only file system");
});

Deno.test("a scanner sees no process of the host", async () => {
  verifies("escape.processes");
  const seen = async (cage: Parameters<typeof tried>[1]) =>
    (await tried(perl(PROCESSES), cage)).split(" ").map(Number);
  assert.deepEqual((await seen({})).sort(), [1, 2]);
  for (
    const cage of [{ mode: "none" }, { without: ["pidNamespace"] }] as const
  ) {
    assert.ok((await seen(cage)).includes(Deno.pid), JSON.stringify(cage));
  }
});

Deno.test("a scanner starts no process", async () => {
  verifies("escape.fork_bomb");
  const bomb = perl(FORK_BOMB);
  const limits = { processes: 32 };
  assert.equal(
    await tried(bomb, { without: ["seccomp", "processes"] }, { limits }),
    "200 processes; stopped by: none",
  );
  assert.equal(
    await tried(bomb, { mode: "none" }),
    "200 processes; stopped by: none",
  );
  // Each guard holds alone: the limit counts this scan's user, and nobody else's processes.
  const limited = await tried(bomb, { without: ["seccomp"] }, { limits });
  assert.match(
    limited,
    /^(?:29|30|31) processes; stopped by: Resource temporarily unavailable$/,
  );
  assert.equal(
    await tried(bomb, { without: ["processes"] }),
    "0 processes; stopped by: Operation not permitted",
  );
  assert.equal(
    await tried(bomb, {}, { limits }),
    "0 processes; stopped by: Operation not permitted",
  );
});

Deno.test("a scanner has threads up to its limit", async () => {
  verifies("escape.fork_bomb", "sandbox.limits");
  const bomb = perl(THREAD_BOMB);
  assert.equal(await tried(bomb), "60 threads");
  assert.equal(
    await tried(bomb, { without: ["processes"] }, {
      limits: { processes: 16 },
    }),
    "60 threads",
  );
  assert.match(
    await tried(bomb, {}, { limits: { processes: 16 } }),
    /^1[345] threads$/,
  );
});

Deno.test("a scanner allocates no more than its limit", async () => {
  verifies("escape.memory", "sandbox.limits");
  const limits = { addressSpaceBytes: 256 * MIB };
  for (const mode of ["none", "bwrap"] as const) {
    await using cage = await Cage.of(mode, PERL);
    const free = await cage.run(perl(MEMORY, "300"));
    assert.equal(free.stdout, `through\n${300 * MIB}\n`, free.stderr);

    const small = await cage.run(perl(MEMORY, "100"), { limits });
    assert.equal(
      small.stdout,
      `Cannot allocate memory\n${100 * MIB}\n`,
      small.stderr,
    );
    const large = await cage.run(perl(MEMORY, "300"), { limits });
    assert.equal(large.stdout, "Cannot allocate memory\n");
    assert.match(large.stderr, /Out of memory/);
    assert.notEqual(large.code, 0);
  }
});

Deno.test("a scanner fills no disk", async () => {
  verifies("escape.disk", "sandbox.limits");
  await using folder = await withTempDir();
  const limits = { fileBytes: MIB };
  const attack = perl(FILL, "/tmp", "4");
  const outside = perl(FILL, folder.path, "4");
  assert.equal(
    await tried(outside, { mode: "none" }, { limits }),
    `${4 * MIB} bytes; stopped by: none`,
  );
  assert.equal(
    await tried(attack, { without: ["sizedTmp"] }, { limits }),
    `${4 * MIB} bytes; stopped by: none`,
  );
  assert.equal(
    await tried(attack, {}, { limits }),
    `${MIB + 4096} bytes; stopped by: No space left on device`,
  );
});

Deno.test("a scanner that writes too large a file is ended by the kernel", async () => {
  verifies("escape.disk", "sandbox.limits");
  const limits = { fileBytes: MIB };
  const attack = perl(ONE_FILE, "/tmp", String(MIB + 8192));
  // Without that guard it is only the small /tmp that stops it.
  assert.equal(
    await tried(attack, { without: ["fileSize"] }, { limits }),
    String(MIB + 4096),
  );
  await using cage = await Cage.of("bwrap", PERL);
  const { code, stdout } = await cage.run(attack, { limits });
  assert.deepEqual({ code, stdout }, { code: 128 + 25, stdout: "" });

  await using free = await Cage.of("none", PERL);
  assert.equal((await free.run(attack, { limits })).code, 128 + 25);
  const wide = await free.run(attack);
  assert.equal(wide.stdout.trim(), String(MIB + 8192), wide.stderr);
});

Deno.test("a scanner opens no more files than its limit", async () => {
  verifies("escape.open_files", "sandbox.limits");
  const attack = perl(OPEN_FILES);
  for (const mode of ["none", "bwrap"] as const) {
    assert.equal(
      await tried(attack, { mode }, { limits: { openFiles: 11_000 } }),
      "10000 files; stopped by: none",
    );
    assert.match(
      await tried(attack, { mode }, { limits: { openFiles: 256 } }),
      /^25\d files; stopped by: Too many open files$/,
    );
  }
});

/** Perl as a process of the host: something that an attempt is aimed at. */
function background(
  args: readonly string[],
  become: readonly string[] = [],
): Deno.ChildProcess & AsyncDisposable {
  const [program = "", ...rest] = [...become, PERL, ...args];
  const child = new Deno.Command(program, {
    args: rest,
    stdin: "null",
    stdout: "piped",
  }).spawn();
  return Object.assign(child, {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.output();
    },
  });
}

/** A process that belongs to a user and does nothing. */
function victim(uid: number): Deno.ChildProcess & AsyncDisposable {
  return background(
    perl('print "up\\n"; sleep 120'),
    [
      "/usr/bin/setpriv",
      `--reuid=${uid}`,
      `--regid=${uid}`,
      "--clear-groups",
    ],
  );
}

Deno.test("a scanner traces and signals nothing, not even what its own user runs", async () => {
  verifies("escape.ptrace");
  await using target = victim(UID);
  await started(target);
  const pid = String(target.pid);
  const as = async (script: string, without: readonly Guard[]) => {
    await using cage = await Cage.of("bwrap", PERL, { without, uid: UID });
    const { code, stdout } = await cage.run(perl(script, pid));
    return { code, said: stdout.trim() };
  };
  const through = { code: 0, said: "through" };
  const nobody = { code: 0, said: "No such process" };
  const refused = { code: 0, said: "Operation not permitted" };
  const killed = { code: KILLED_BY_FILTER, said: "" };
  assert.deepEqual(await as(TRACE, ["seccomp", "pidNamespace"]), through);
  assert.deepEqual(await as(TRACE, ["pidNamespace"]), killed);
  assert.deepEqual(await as(TRACE, ["seccomp"]), nobody);
  assert.deepEqual(await as(TRACE, []), killed);
  assert.deepEqual(await as(SIGNAL, ["seccomp", "pidNamespace"]), through);
  assert.deepEqual(await as(SIGNAL, ["pidNamespace"]), refused);
  assert.deepEqual(await as(SIGNAL, ["seccomp"]), nobody);
  assert.deepEqual(await as(SIGNAL, []), refused);
  await using free = await Cage.of("none", PERL);
  assert.equal((await free.run(perl(TRACE, pid))).stdout.trim(), "through");
});

/** Waits for the line by which a process says that it is there. */
async function started(child: Deno.ChildProcess): Promise<void> {
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
}

Deno.test("the scanner of an ordinary user does not trace that user's server", async () => {
  verifies("escape.ptrace", "sandbox.ordinary_user");
  await using target = victim(65_534);
  await started(target);
  const attack = perl(TRACE, String(target.pid));
  const how = { wrap: AS_NOBODY };
  await using free = await Cage.of("none", PERL);
  assert.equal((await free.run(attack, how)).stdout.trim(), "through");
  const guards: Guard[] = ["seccomp", "pidNamespace"];
  // The user namespace is a third guard.
  await using bare = await Cage.of("bwrap", PERL, { without: guards });
  const { stdout, stderr } = await bare.run(attack, how);
  assert.equal(stdout.trim(), "Operation not permitted", stderr);
  await using cage = await Cage.of("bwrap", PERL);
  assert.equal((await cage.run(attack, how)).code, KILLED_BY_FILTER);
});

Deno.test("a scanner connects to no unix socket of the host", async () => {
  verifies("escape.unix_socket");
  await using folder = await withTempDir();
  await Deno.chmod(folder.path, 0o755);
  const path = `${folder.path}/socket`;
  const name = `security-mcp-test-${crypto.randomUUID()}`;
  await using listening = background(perl(LISTEN, path, `@${name}`));
  await started(listening);

  const as = async (to: string, without: readonly Guard[], show = false) => {
    const shows = show ? [folder.path] : [];
    await using cage = await Cage.of("bwrap", PERL, { without, shows });
    return (await cage.run(perl(UNIX, to))).stdout.trim();
  };
  assert.equal(
    await tried(perl(UNIX, path), { mode: "none" }),
    "through",
  );
  assert.equal(await as(path, ["seccomp"], true), "through");
  assert.equal(await as(path, ["seccomp"]), "No such file or directory");
  assert.equal(await as(path, [], true), "Operation not permitted");
  assert.equal(await as(path, []), "Operation not permitted");

  // An abstract name is no file: it belongs to the network, which the sandbox shares.
  assert.equal(
    await tried(perl(UNIX, `@${name}`), { mode: "none" }),
    "through",
  );
  assert.equal(await as(`@${name}`, ["seccomp"]), "through");
  assert.equal(await as(`@${name}`, []), "Operation not permitted");
});

Deno.test("a setuid program gives a scanner no rights", async () => {
  verifies("escape.setuid");
  await using folder = await withTempDir();
  await Deno.chmod(folder.path, 0o755);
  const id = `${folder.path}/id`;
  await Deno.copyFile("/usr/bin/id", id);
  await Deno.chmod(id, 0o4755);
  const attack = perl("exec @ARGV; print $!", id, "-u");
  await using free = await Cage.of("none", PERL);
  const freed = await free.run(attack, { wrap: AS_NOBODY });
  assert.equal(freed.stdout.trim(), "0", freed.stderr);

  await using root = await Cage.of("bwrap", PERL, {
    shows: [folder.path],
    uid: UID,
  });
  const held = await root.run(attack);
  assert.equal(held.stdout.trim(), String(UID), held.stderr);
  const ordinary = await root.run(attack, { wrap: AS_NOBODY });
  assert.equal(ordinary.stdout.trim(), "60578", ordinary.stderr);
});

/**
 * Written in front of a command: a place of its own for network namespaces, and with `guard` one of
 * the egress guard's name in it that has no way out. The machine's own guard is neither seen nor
 * touched.
 */
function withRun(guard: boolean): string[] {
  const make = guard
    ? "mkdir /run/netns && : >/run/netns/security-mcp && " +
      "unshare --net=/run/netns/security-mcp true && "
    : "";
  return [
    "/usr/bin/unshare",
    "--mount",
    "--propagation=private",
    "/bin/sh",
    "-c",
    `mount -t tmpfs none /run && ${make}exec "$@"`,
    "sh",
  ];
}

Deno.test("a scanner in the egress guard's network reaches no port of the server's host", async () => {
  verifies("escape.own_port");
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const attack = perl(TCP, String(server.addr.port));
  await using cage = await Cage.of("bwrap", PERL, { ownGuard: false });
  // Without a guard the scanner shares the host's network: that is documented, and why there is one.
  const free = await cage.run(attack, { wrap: withRun(false) });
  assert.equal(free.stdout.trim(), "through", free.stderr);
  for (const egressGuard of [true, false]) {
    const held = await cage.run(attack, { wrap: withRun(true), egressGuard });
    assert.equal(held.stdout.trim(), "Network is unreachable", held.stderr);
  }
  await using none = await Cage.of("none", PERL, { ownGuard: false });
  const held = await none.run(attack, { wrap: withRun(true) });
  assert.equal(held.stdout.trim(), "Network is unreachable", held.stderr);
});

/** Ends a process, its name known; without effect on one that is gone. */
async function end(pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return;
  await new Deno.Command("kill", { args: ["-KILL", ...pids.map(String)] })
    .output();
}

/** Ways in which a launcher is ended, and who is its parent then. */
const ENDS = [
  { how: "SIGTERM to its launcher", signal: "SIGTERM", parent: false },
  { how: "SIGKILL to its launcher", signal: "SIGKILL", parent: false },
  { how: "SIGKILL to its launcher's parent", signal: "SIGKILL", parent: true },
] as const;

for (const { how, signal, parent } of ENDS) {
  Deno.test(`what a scanner leaves behind is gone within a second after ${how}`, async () => {
    verifies("escape.outlives_kill");
    const left = async (
      mode: "bwrap" | "none",
      user: readonly string[],
      ...without: Guard[]
    ) => {
      const name = `left-${crypto.randomUUID()}`;
      await using cage = await Cage.of(mode, PERL, { without });
      const wait = ["/bin/sh", "-c", 'SANDBOX_SERVER=$$ "$@" & wait', "sh"];
      const wrap = parent ? [...wait, ...user] : user;
      const child = cage.start(perl(OUTLIVE, name), { wrap });
      await started(child);
      await appeared(name, 2);
      child.kill(signal);
      const since = performance.now();
      const pids = await leftAfterSecond(name, since);
      await end(pids);
      await child.output();
      return pids.length;
    };
    // Without a sandbox it is the launcher that ends it, if it is not killed itself.
    const killed = signal === "SIGKILL" && !parent;
    assert.equal(await left("none", []), killed ? 1 : 0);
    assert.notEqual(await left("none", [], "killLeft"), 0);
    // The filter lets nothing be left behind; here it is out of the way.
    assert.equal(await left("bwrap", [], "seccomp"), 0);
    assert.equal(await left("bwrap", AS_NOBODY, "seccomp"), 0);
    assert.equal(await left("bwrap", [], "seccomp", "killLeft"), 0);
  });
}

/**
 * When a server is killed, seen from its launcher: its script for a shell that stands for the server, and
 * what the launcher does more. Both wait at a gate until the server is gone.
 */
const EARLY: readonly {
  readonly when: string;
  readonly server: (gate: string) => string;
  readonly launcher: (gate: string) => string;
}[] = [
  {
    when: "before the launcher began",
    server: (gate) => `(${waitAt(gate)} && exec "$@") & wait`,
    launcher: () => "",
  },
  {
    when: "before the launcher had tied itself to it",
    server: () => '"$@" & wait',
    launcher: waitAt,
  },
];

/** Says on stderr that it has begun, and waits. */
function waitAt(gate: string): string {
  return `echo begun >&2 && read -r line <${gate}`;
}

for (const { when, server, launcher } of EARLY) {
  Deno.test(`no scanner starts once the server is gone, though it was killed ${when}`, async () => {
    verifies("escape.outlives_kill");
    const said = async (mode: CageMode, without: readonly Guard[]) => {
      await using folder = await withTempDir();
      const gate = `${folder.path}/gate`;
      await run("mkfifo", [gate]);
      await using cage = await Cage.of(mode, PERL, { without });
      const file = `${cage.folder}/launcher.sh`;
      await Deno.writeTextFile(file, `${launcher(gate)}\n`, { append: true });
      const script = `export SANDBOX_SERVER=$$; ${server(gate)}`;
      const wrap = ["/bin/sh", "-c", script, "sh"];
      const child = cage.start(perl('print "started"'), { wrap });
      const reader = child.stderr.getReader();
      await reader.read();
      reader.releaseLock();
      child.kill("SIGKILL");
      await child.status;
      await run("sh", ["-c", 'echo >"$1"', "sh", gate]);
      return new TextDecoder().decode((await child.output()).stdout);
    };
    for (const mode of ["bwrap", "none"] as const) {
      assert.equal(await said(mode, ["sameParent"]), "started");
      assert.equal(await said(mode, []), "");
    }
  });
}

Deno.test("a scanner leaves nothing behind by itself either", async () => {
  verifies("escape.outlives_kill", "escape.fork_bomb");
  const name = `left-${crypto.randomUUID()}`;
  await using cage = await Cage.of("bwrap", PERL);
  const { code, stderr } = await cage.run(perl(OUTLIVE, name));
  assert.notEqual(code, 0);
  assert.match(stderr, /^no fork: Operation not permitted/);
  assert.deepEqual(await processesNamed(name), []);
});
