/**
 * The launchers and `sandbox/start` as processes: what a launcher refuses, what it hands on, what it
 * leaves of a user's rights, and which sandbox is chosen where.
 *
 * @module
 */
import assert from "node:assert/strict";
import { REFUSALS } from "@/spawn/spawn.ts";
import { verifies } from "../requirements.ts";
import {
  AS_NOBODY,
  Cage,
  type CageMode,
  copySandbox,
  edit,
  type Ended,
  type Guard,
  needPrerequisites,
} from "../support/cage.ts";
import { PERL, perl, STATUS } from "../support/cage_perl.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";

const MODES: readonly CageMode[] = ["bwrap", "none"];
const TOOLS = ["gobuster", "masscan", "nmap"];

needPrerequisites();

/** An ordinary user who may send raw packets. */
const AS_RAW_NOBODY = [
  ...AS_NOBODY.slice(0, 4),
  "--inh-caps=-all,+net_raw",
  "--ambient-caps=-all,+net_raw",
];

/** What the kernel says of a process, by name. */
function statusOf({ stdout }: Ended): ReadonlyMap<string, string> {
  return new Map(
    stdout.trim().split("\n").map((line) => {
      const [name = "", value = ""] = line.split(":");
      return [name, value.trim()];
    }),
  );
}

Deno.test("each sandbox has one launcher, and the three tools are names of it", async () => {
  verifies("sandbox.one_source");
  for (const mode of ["bwrap", "gvisor", "none"]) {
    const folder = `${ROOT}sandbox/${mode}`;
    const entries = await Array.fromAsync(Deno.readDir(folder));
    const names = (links: boolean) =>
      entries.filter(({ isSymlink }) => isSymlink === links)
        .map(({ name }) => name).sort();
    assert.deepEqual(names(false), ["launch"], mode);
    assert.deepEqual(names(true), TOOLS, mode);
    for (const tool of TOOLS) {
      assert.equal(await Deno.readLink(`${folder}/${tool}`), "launch");
    }
    const { mode: bits } = await Deno.stat(`${folder}/launch`);
    assert.equal((bits ?? 0) & 0o777, 0o755);
  }
});

Deno.test("the refusals that are told to a caller are those of the launchers", async () => {
  const files = ["launcher.sh", "gvisor/launch"].map((file) =>
    Deno.readTextFile(`${ROOT}sandbox/${file}`)
  );
  const texts = (await Promise.all(files)).join("");
  for (const refusal of REFUSALS) {
    assert.match(refusal, /^[\w\s.,:;-]+$/);
    assert.equal(texts.split(refusal).length, 2, refusal);
  }
});

/** What is no number, or none that a shell reckons with. */
const NO_NUMBERS = [
  null,
  "",
  " ",
  "-1",
  "+1",
  "1.5",
  "0x10",
  "1e3",
  "1 2",
  "1\n",
  "unlimited",
  "$(touch X)",
  "`touch X`",
  "1;touch X",
  "١",
  "9".repeat(16),
  "9".repeat(400),
];

const NUMBERS = [
  "SANDBOX_SERVER",
  "SANDBOX_CPU_SECONDS",
  "SANDBOX_ADDRESS_SPACE_BYTES",
  "SANDBOX_FILE_SIZE_BYTES",
  "SANDBOX_PROCESSES",
  "SANDBOX_OPEN_FILES",
  "SANDBOX_EGRESS_GUARD",
];

for (const mode of MODES) {
  Deno.test(`the launcher of ${mode} starts nothing with anything but numbers as its limits`, async () => {
    verifies("sandbox.launcher_takes_numbers");
    await using cage = await Cage.of(mode, PERL);
    const attack = perl('print "started"');
    assert.equal((await cage.run(attack)).stdout, "started");
    for (const name of NUMBERS) {
      for (const value of NO_NUMBERS) {
        const { code, stdout, stderr } = await cage.run(attack, {
          env: { [name]: value },
        });
        const what = `${name}=${value}: ${stderr}`;
        assert.equal(code, 125, what);
        assert.equal(stdout, "", what);
        assert.equal(
          stderr,
          `sandbox: ${name} is "${
            value ?? ""
          }"; it has to be a whole number of at most 15 digits\n`,
        );
      }
    }
    const { code } = await cage.run(attack, {
      env: { SANDBOX_CPU_SECONDS: "9".repeat(15) },
    });
    assert.equal(code, 0);
  });

  Deno.test(`the launcher of ${mode} starts nothing for anybody but the server that is named`, async () => {
    verifies("escape.outlives_kill");
    await using cage = await Cage.of(mode, PERL);
    const ended = await cage.run(perl('print "started"'), {
      env: { SANDBOX_SERVER: "1" },
    });
    assert.deepEqual(ended, {
      code: 125,
      signal: null,
      stdout: "",
      stderr:
        "sandbox: process 1, which SANDBOX_SERVER names, is not the parent of the launcher, or no longer\n",
    });
  });

  Deno.test(`the launcher of ${mode} starts no other program than the three`, async () => {
    await using cage = await Cage.of(mode, null);
    await Deno.symlink("launch", `${cage.folder}/${mode}/perl`);
    const foreign = await cage.run(["--version"], { tool: "perl" });
    assert.deepEqual(foreign, {
      code: 125,
      signal: null,
      stdout: "",
      stderr:
        'sandbox: "perl" is no scanner; start this by the name nmap, masscan or gobuster\n',
    });
    // The program that is started is the system's, wherever PATH points.
    const real = await cage.run(["--version"], { env: { PATH: "/nowhere" } });
    assert.match(real.stdout, /^Nmap version/m);

    await edit(
      `${cage.folder}/launcher.sh`,
      "for folder in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do",
      "for folder in /nowhere; do",
    );
    const missing = await cage.run(["--version"]);
    assert.deepEqual(missing, {
      code: 125,
      signal: null,
      stdout: "",
      stderr: "sandbox: nmap is not installed; run scripts/setup.sh\n",
    });
  });

  Deno.test(`the launcher of ${mode} hands arguments on as they are`, async () => {
    await using cage = await Cage.of(mode, PERL);
    const words = [
      "",
      " ",
      "two words",
      `it's "quoted"`,
      "$HOME `id` $(id) \\ \\\\",
      "*",
      "[a-z]?",
      "line\nbreak",
      "\t",
      "--",
      "-c",
      "; touch /tmp/x",
      "naïve ünïcode 中",
      "x".repeat(100_000),
    ];
    const { stdout, stderr } = await cage.run(
      perl('print join "\\0", @ARGV', ...words),
    );
    assert.deepEqual(stdout.split("\0"), words, stderr);
  });

  Deno.test(`the launcher of ${mode} hands exit codes, signals and stdin on`, async () => {
    await using cage = await Cage.of(mode, PERL);
    for (const code of [0, 1, 125, 255]) {
      const ended = await cage.run(perl(`exit ${code}`));
      assert.deepEqual(ended, { code, signal: null, stdout: "", stderr: "" });
    }
    // The filter lets nothing send a signal, not even to itself; here it is out of the way.
    const without: Guard[] = mode === "bwrap" ? ["seccomp"] : [];
    await using suicidal = await Cage.of(mode, PERL, { without });
    for (const [name, number] of [["TERM", 15], ["KILL", 9], ["SEGV", 11]]) {
      const { code } = await suicidal.run(perl(`kill ${name} => $$; sleep 9`));
      assert.equal(code, 128 + Number(number), String(name));
    }
    const echo = perl('print "out:", <STDIN>; print STDERR "err"');
    const piped = await cage.run(echo, { stdin: "one\ntwo" });
    assert.deepEqual(piped, {
      code: 0,
      signal: null,
      stdout: "out:one\ntwo",
      stderr: "err",
    });
  });

  Deno.test(`the launcher of ${mode} leaves no environment but PATH and where it stands`, async () => {
    await using cage = await Cage.of(mode, PERL);
    const { stdout } = await cage.run(
      perl('print map { "$_=$ENV{$_}\\n" } sort keys %ENV'),
    );
    assert.equal(
      stdout,
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" +
        `PWD=${mode === "bwrap" ? "/" : "/proc"}\n`,
    );
  });

  Deno.test(`the limits that the launcher of ${mode} is given are those of the kernel`, async () => {
    verifies("sandbox.limits");
    await using cage = await Cage.of(mode, PERL);
    const { stdout } = await cage.run(
      perl('open my $f, "<", "/proc/self/limits"; print <$f>'),
      {
        limits: {
          cpuSeconds: 7,
          addressSpaceBytes: 300_000_000,
          fileBytes: 54_321,
          processes: 33,
          openFiles: 44,
        },
      },
    );
    const limit = (name: string) =>
      new RegExp(`^${name} +(\\S+) +(\\S+)`, "m").exec(stdout)?.slice(1);
    assert.deepEqual(limit("Max cpu time"), ["7", "9"]);
    assert.deepEqual(limit("Max address space"), ["300000000", "300000000"]);
    assert.deepEqual(limit("Max file size"), ["54321", "54321"]);
    assert.deepEqual(limit("Max processes"), ["33", "33"]);
    assert.deepEqual(limit("Max open files"), ["44", "44"]);
    assert.deepEqual(limit("Max core file size"), ["0", "0"]);
  });

  Deno.test(`in ${mode} the limit of processor time ends a program, one that ignores the warning too`, async () => {
    verifies("sandbox.limits");
    await using cage = await Cage.of(mode, PERL);
    const limits = { cpuSeconds: 1 };
    const busy = "for (;;) {}";
    const plain = await cage.run(perl(busy), { limits });
    assert.equal(plain.code, 128 + 24);
    const deaf = await cage.run(perl(`$SIG{XCPU} = "IGNORE"; ${busy}`), {
      limits,
    });
    assert.equal(deaf.code, 128 + 9);
  });

  Deno.test(`the launcher of ${mode} refuses to run outside an egress guard that is asked for`, async () => {
    await using cage = await Cage.of(mode, PERL);
    const attack = perl('print "started"');
    const without = await cage.run(attack, { egressGuard: true });
    assert.deepEqual(without, {
      code: 125,
      signal: null,
      stdout: "",
      stderr:
        "sandbox: sandbox.egress_guard is set and there is no guard; run: deno task egress-guard up\n",
    });
    // A guard that cannot be entered is none: whatever is in its place, nothing starts.
    await Deno.writeTextFile(`${cage.folder}/guard`, "");
    for (const egressGuard of [true, false]) {
      const broken = await cage.run(attack, { egressGuard });
      assert.notEqual(broken.code, 0);
      assert.equal(broken.stdout, "");
      assert.match(broken.stderr, /^nsenter: /);
      const ordinary = await cage.run(attack, { egressGuard, wrap: AS_NOBODY });
      assert.deepEqual(ordinary, {
        code: 125,
        signal: null,
        stdout: "",
        stderr:
          "sandbox: only root can enter the egress guard; start the server in its network namespace\n",
      });
    }
    // Who is in it already needs no right to enter it.
    await Deno.remove(`${cage.folder}/guard`);
    await Deno.symlink("/proc/self/ns/net", `${cage.folder}/guard`);
    const inside = await cage.run(attack, {
      egressGuard: true,
      wrap: AS_NOBODY,
    });
    assert.equal(inside.stdout, "started", inside.stderr);
  });
}

Deno.test("what a scanner sees of the host is /usr, a few files of /etc, two devices and its own /tmp", async () => {
  await using cage = await Cage.of("bwrap", PERL);
  const list = async (folder: string, tool: string) => {
    const script =
      'opendir my $d, $ARGV[0]; print join " ", sort grep { !/^[.]/ } readdir $d';
    return (await cage.run(perl(script, folder), { tool })).stdout.split(" ");
  };
  const links = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];
  const root = await list("/", "nmap");
  assert.deepEqual(
    root.filter((name) => !links.includes(name)),
    ["dev", "etc", "proc", "tmp", "usr"],
  );
  assert.deepEqual(await list("/dev", "nmap"), ["null", "urandom"]);
  assert.deepEqual(await list("/tmp", "nmap"), [""]);
  const known = [
    ..."hosts ld.so.cache localtime nsswitch.conf resolv.conf".split(" "),
    ...["alternatives", "ssl"],
  ];
  for (const tool of TOOLS) {
    const etc = await list("/etc", tool);
    assert.deepEqual(etc.filter((name) => !known.includes(name)), [], tool);
    assert.ok(etc.includes("ld.so.cache"));
  }
  const host = await cage.run(perl("use POSIX; print((uname)[1])"));
  assert.equal(host.stdout, "scanner");
});

Deno.test("gobuster is shown its one wordlist, read-only, and nothing beside it", async () => {
  await using folder = await withTempDir();
  await Deno.chmod(folder.path, 0o700);
  const home = `${folder.path}/a folder with 'quotes' "and" $signs`;
  await Deno.mkdir(home, { mode: 0o700 });
  const words = `${home}/words list.txt`;
  await Deno.writeTextFile(words, "admin\n");
  await Deno.writeTextFile(`${home}/secret.txt`, "secret\n");
  await Deno.chmod(words, 0o644);
  await using cage = await Cage.of("bwrap", PERL);
  const look = `my $list = $ARGV[-1]; $list =~ s/^--wordlist=//;
    open my $f, "<", $list or die "no list: $!"; print <$f>;
    (my $folder = $list) =~ s{/[^/]*$}{};
    opendir my $d, $folder; print join(",", grep { !/^[.]/ } readdir $d), "\\n";
    print open(my $w, ">>", $list) ? "writable" : "$!", "\\n";
    print open(my $x, ">", "$folder/x") ? "writable" : "$!", "\\n";`;
  const shown = await cage.run(perl(look, `--wordlist=${words}`), {
    tool: "gobuster",
  });
  assert.deepEqual(shown.stdout.split("\n").slice(0, 2), [
    "admin",
    "words list.txt",
  ], shown.stderr);
  const refusals = shown.stdout.trim().split("\n").slice(2);
  assert.equal(refusals.length, 2);
  for (const refusal of refusals) {
    assert.match(refusal, /^(?:Permission denied|Read-only file system)$/);
  }

  // The hint is gobuster's alone, and for a list alone: nothing else is shown for the asking.
  for (
    const [tool, hint] of [
      ["nmap", `--wordlist=${words}`],
      ["masscan", `--wordlist=${words}`],
      ["gobuster", "--wordlist=/etc/passwd"],
      ["gobuster", `-w${words}`],
    ] as const
  ) {
    const { stdout, stderr } = await cage.run(perl(look, hint), { tool });
    assert.equal(stdout, "", hint);
    assert.match(stderr, /^no list: No such file/, hint);
  }

  for (const missing of [`${home}/none.txt`, `${folder.path}/x.txt/../.txt`]) {
    const ended = await cage.run(perl(look, `--wordlist=${missing}`), {
      tool: "gobuster",
    });
    assert.deepEqual(ended, {
      code: 125,
      signal: null,
      stdout: "",
      stderr: `sandbox: the file "${missing}" is not there\n`,
    });
  }
});

Deno.test("of root's rights a scanner keeps at most that to send raw packets, and that for raw scans only", async () => {
  verifies("sandbox.root_keeps_raw_only");
  const none = "0000000000000000";
  const raw = "0000000000002000";
  await using cage = await Cage.of("bwrap", PERL);
  const users = new Set<string>();
  for (
    const [tool, arg, kept] of [
      ["nmap", "--unprivileged", none],
      ["nmap", "--privileged", raw],
      ["nmap", "x--privileged", none],
      ["masscan", "-p80", raw],
      ["gobuster", "dir", none],
      ["gobuster", "--privileged", none],
    ] as const
  ) {
    const status = statusOf(await cage.run(perl(STATUS, arg), { tool }));
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
      assert.equal(status.get(set), kept, `${set} of ${tool} ${arg}`);
    }
    assert.equal(status.get("Groups"), "");
    assert.equal(status.get("NoNewPrivs"), "1");
    assert.equal(status.get("Seccomp"), "2");
    for (const name of ["Uid", "Gid"]) {
      const [id = "", ...others] = status.get(name)?.split(/\s+/) ?? [];
      assert.ok(Number(id) >= 60_578 && Number(id) < 61_178, id);
      assert.deepEqual(others, [id, id, id]);
      users.add(id);
    }
  }
  // A limit on processes counts a user's, so two scans are not of the same.
  assert.ok(users.size > 1);

  await using free = await Cage.of("none", PERL);
  const status = statusOf(await free.run(perl(STATUS)));
  assert.match(status.get("Uid") ?? "", /^0\s/);
  assert.notEqual(status.get("CapEff"), none);
});

Deno.test("a scanner of an ordinary user has a user namespace and no right in it", async () => {
  verifies("sandbox.ordinary_user");
  await using cage = await Cage.of("bwrap", PERL);
  for (const wrap of [AS_NOBODY, AS_RAW_NOBODY]) {
    const ended = await cage.run(perl(STATUS, "--privileged"), { wrap });
    const status = statusOf(ended);
    assert.match(status.get("Uid") ?? "", /^60578\s/, ended.stderr);
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
      assert.equal(status.get(set), "0000000000000000", set);
    }
    assert.equal(status.get("NoNewPrivs"), "1");
    assert.equal(status.get("Seccomp"), "2");
  }
  // Without a sandbox it keeps what the system gave to the user.
  await using free = await Cage.of("none", PERL);
  const status = statusOf(
    await free.run(perl(STATUS), { wrap: AS_RAW_NOBODY }),
  );
  assert.equal(status.get("CapEff"), "0000000000002000");
});

Deno.test("the real scanners work in the sandbox, as root by raw packets and as an ordinary user by connecting", async () => {
  verifies("sandbox.root_keeps_raw_only", "sandbox.ordinary_user");
  using open = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = open.addr;
  await using cage = await Cage.of("bwrap", null);
  const scan = ["-n", "-Pn", "-p", String(port), "127.0.0.1"];
  const found = new RegExp(`^${port}/tcp\\s+open`, "m");
  const connect = ["--unprivileged", "-sT", ...scan];
  const syn = ["--privileged", "-sS", ...scan];
  for (const [args, wrap] of [[connect, []], [syn, []], [connect, AS_NOBODY]]) {
    const ended = await cage.run(args ?? [], { wrap: wrap ?? [] });
    assert.match(ended.stdout, found, ended.stderr);
    assert.equal(ended.code, 0);
  }
  const refused = await cage.run(syn, { wrap: AS_NOBODY });
  assert.notEqual(refused.code, 0);
  assert.doesNotMatch(refused.stdout, found);
});

/** A copy of `sandbox/` in which launchers do what a test says. */
interface Stage extends AsyncDisposable {
  readonly folder: string;
}

/** What a launcher of a {@linkcode Stage} does. */
const WORKS = "exit 0";
const BROKEN = "echo it is broken >&2; echo more >&2; exit 1";

async function stage(
  launchers: Readonly<Record<string, string>>,
): Promise<Stage> {
  const temp = await withTempDir();
  await Deno.chmod(temp.path, 0o755);
  const folder = `${temp.path}/sandbox`;
  await copySandbox(folder);
  for (const [mode, script] of Object.entries(launchers)) {
    await Deno.writeTextFile(
      `${folder}/${mode}/launch`,
      `#!/bin/sh\n${script}\n`,
    );
  }
  return { folder, [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose]() };
}

/** Runs `sandbox/start`. */
async function start(
  folder: string,
  args: readonly string[] = [],
  options: {
    env?: Readonly<Record<string, string>>;
    wrap?: readonly string[];
  } = {},
): Promise<Ended> {
  const [program = "", ...rest] = [
    ...options.wrap ?? [],
    `${folder}/start`,
    ...args,
  ];
  const { code, signal, stdout, stderr } = await new Deno.Command(program, {
    args: rest,
    clearEnv: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...options.env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    signal,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

const PASSED_OVER =
  "gvisor does not work here: it sends no raw packets, and this user may";

/** Each sandbox's launcher, what the configuration names, who starts it, and what comes of it. */
const CHOICES: readonly {
  readonly gvisor: string;
  readonly bwrap: string;
  readonly mode?: string;
  readonly wrap?: readonly string[];
  readonly chosen: string;
}[] = [
  {
    gvisor: WORKS,
    bwrap: WORKS,
    chosen: `bwrap (${PASSED_OVER}; bwrap works)`,
  },
  {
    gvisor: WORKS,
    bwrap: WORKS,
    wrap: AS_NOBODY,
    chosen: "gvisor (gvisor works)",
  },
  {
    gvisor: WORKS,
    bwrap: WORKS,
    wrap: AS_RAW_NOBODY,
    chosen: `bwrap (${PASSED_OVER}; bwrap works)`,
  },
  {
    gvisor: BROKEN,
    bwrap: WORKS,
    wrap: AS_NOBODY,
    chosen: "bwrap (gvisor does not work here: it is broken; bwrap works)",
  },
  {
    gvisor: WORKS,
    bwrap: BROKEN,
    chosen: `none (${PASSED_OVER}; bwrap does not work here: it is broken)`,
  },
  {
    gvisor: BROKEN,
    bwrap: "exit 1",
    wrap: AS_NOBODY,
    chosen:
      "none (gvisor does not work here: it is broken; bwrap does not work here: it failed without a word)",
  },
  {
    gvisor: WORKS,
    bwrap: WORKS,
    mode: "gvisor",
    chosen: "gvisor (gvisor works)",
  },
  { gvisor: WORKS, bwrap: WORKS, mode: "none", chosen: "none (as configured)" },
  {
    gvisor: BROKEN,
    bwrap: WORKS,
    mode: "auto",
    wrap: AS_NOBODY,
    chosen: "bwrap (gvisor does not work here: it is broken; bwrap works)",
  },
];

Deno.test("sandbox/start chooses the strongest sandbox that a trial shows to work", async () => {
  verifies("sandbox.choice_by_trial", "sandbox.choice_is_told");
  for (const { gvisor, bwrap, mode, wrap, chosen } of CHOICES) {
    await using copy = await stage({ gvisor, bwrap });
    const options = {
      ...mode === undefined ? {} : { env: { MCP_SANDBOX_MODE: mode } },
      ...wrap === undefined ? {} : { wrap },
    };
    const ended = await start(copy.folder, [], options);
    assert.deepEqual(ended, {
      code: 0,
      signal: null,
      stdout: `${chosen}\n`,
      stderr: "",
    });
  }
});

Deno.test("sandbox/start puts the chosen launchers first on PATH, says why, and becomes the command", async () => {
  verifies("sandbox.choice_by_trial", "sandbox.choice_is_told");
  await using copy = await stage({ bwrap: WORKS });
  const show = [
    "/bin/sh",
    "-c",
    'echo "$PATH|$MCP_SANDBOX_TRIAL|$1|$2"; exit 7',
    "sh",
    "two words",
    "*",
  ];
  const ended = await start(copy.folder, show);
  assert.deepEqual(ended, {
    code: 7,
    signal: null,
    stdout: `${copy.folder}/bwrap:/usr/sbin:/usr/bin:/sbin:/bin|` +
      `${PASSED_OVER}; bwrap works|two words|*\n`,
    stderr: "",
  });
  const own = await start(copy.folder, ["/bin/sh", "-c", "kill -TERM $$"]);
  assert.equal(own.signal, "SIGTERM");
  // A trial of somebody else's is not handed on.
  const env = { MCP_SANDBOX_MODE: "none", MCP_SANDBOX_TRIAL: "all is well" };
  const none = await start(copy.folder, show, { env });
  assert.match(none.stdout, /\|\|two words\|/);
});

Deno.test("sandbox/start reads the mode from the configuration, the environment first", async () => {
  verifies("sandbox.choice_by_trial");
  await using copy = await stage({ gvisor: WORKS, bwrap: WORKS });
  await using folder = await withTempDir();
  const file = `${folder.path}/config.yaml`;
  for (
    const [yaml, chosen] of [
      ["sandbox:\n  mode: none\n", "none"],
      ["sandbox:\n  mode: gvisor\n", "gvisor"],
      ['sandbox:\n  # why\n  required: true\n  mode: "bwrap" # so\n', "bwrap"],
      ["sandbox:\n  mode: 'none'\n", "none"],
      ["nmap:\n  mode: none\nsandbox:\n  required: false\n", "bwrap"],
      ["sandbox:\n  required: false\nnmap:\n  mode: none\n", "bwrap"],
      ["# sandbox:\n#   mode: none\n", "bwrap"],
      ["", "bwrap"],
    ] as const
  ) {
    await Deno.writeTextFile(file, yaml);
    const env = { MCP_CONFIG_FILE: file };
    const { stdout } = await start(copy.folder, [], { env });
    assert.equal(stdout.split(" ")[0], chosen, yaml);
  }
  await Deno.writeTextFile(file, "sandbox:\n  mode: gvisor\n");
  const env = { MCP_CONFIG_FILE: file, MCP_SANDBOX_MODE: "none" };
  const both = await start(copy.folder, [], { env });
  assert.equal(both.stdout, "none (as configured)\n");
  const gone = { MCP_CONFIG_FILE: `${folder.path}/none.yaml` };
  const missing = await start(copy.folder, [], { env: gone });
  assert.match(missing.stdout, /^bwrap /);
});

Deno.test("sandbox/start refuses a mode that there is not, and starts nothing", async () => {
  verifies("sandbox.choice_by_trial");
  for (const mode of ["docker", "BWRAP", "../bwrap", "none none", "-"]) {
    const ended = await start(`${ROOT}sandbox`, ["/bin/echo", "started"], {
      env: { MCP_SANDBOX_MODE: mode },
    });
    assert.deepEqual(ended, {
      code: 1,
      signal: null,
      stdout: "",
      stderr:
        `sandbox/start: sandbox.mode is "${mode}"; it has to be auto, bwrap, gvisor or none\n`,
    });
  }
});

Deno.test("sandbox/start finds bubblewrap by a real trial, as root and as an ordinary user", async () => {
  verifies("sandbox.choice_by_trial");
  const gvisor = BROKEN;
  await using copy = await stage({ gvisor });
  const root = await start(copy.folder);
  assert.equal(root.stdout, `bwrap (${PASSED_OVER}; bwrap works)\n`);
  const ordinary = await start(copy.folder, [], { wrap: AS_NOBODY });
  assert.equal(
    ordinary.stdout,
    "bwrap (gvisor does not work here: it is broken; bwrap works)\n",
  );
});

/** Written in front of a command: bubblewrap is no program here. */
const NO_BWRAP = [
  "/usr/bin/unshare",
  "--mount",
  "--propagation=private",
  "/bin/sh",
  "-c",
  'mount --bind /dev/null /usr/bin/bwrap && exec "$@"',
  "sh",
];

/** Written in front of a command: an ordinary user where nobody may make a user namespace. */
const NO_USER_NAMESPACES = [
  ...AS_NOBODY,
  ..."/usr/bin/unshare --user --map-current-user --keep-caps".split(" "),
  "/bin/sh",
  "-c",
  "echo 0 >/proc/sys/user/max_user_namespaces && " +
  'exec setpriv --inh-caps=-all --ambient-caps=-all "$@"',
  "sh",
];

/** Hosts where bubblewrap does not work, how a command gets there, and what is said then. */
const HOSTS = [
  {
    host: "without bubblewrap",
    wrap: NO_BWRAP,
    said: /bwrap'?: Permission denied$/,
  },
  {
    host: "that forbids user namespaces",
    wrap: NO_USER_NAMESPACES,
    said: /bwrap: Creating new namespace failed: /,
  },
  {
    host: "like a container whose root has no rights",
    wrap: ["/usr/bin/setpriv", "--bounding-set=-all"],
    said: /bwrap: Creating new namespace failed: Operation not permitted$/,
  },
] as const;

for (const { host, wrap, said } of HOSTS) {
  Deno.test(`sandbox/start falls back to none on a host ${host}, and says so`, async () => {
    verifies("sandbox.choice_by_trial", "sandbox.choice_is_told");
    await using copy = await stage({});
    const { code, stdout, stderr } = await start(copy.folder, [], { wrap });
    assert.equal(code, 0, stderr);
    const tried =
      /^none \(gvisor does not work here: .+; bwrap does not work here: (.+)\)\n$/
        .exec(stdout);
    assert.match(tried?.[1] ?? stdout, said);
    // What was named and does not work is a reason not to start.
    const env = { MCP_SANDBOX_MODE: "bwrap" };
    const named = await start(copy.folder, ["/bin/echo"], { wrap, env });
    assert.deepEqual([named.code, named.stdout], [1, ""]);
    assert.match(
      named.stderr,
      /^sandbox\/start: sandbox\.mode is bwrap, and bwrap does not work here: /,
    );
  });
}

Deno.test("bwrap works where there is no user but root, who keeps raw packets and no other right", async () => {
  verifies("sandbox.choice_by_trial", "sandbox.root_keeps_raw_only");
  await using copy = await stage({});
  const wrap = [...AS_NOBODY, "/usr/bin/unshare", "--user", "--map-root-user"];
  const { stdout } = await start(copy.folder, [], { wrap });
  assert.match(stdout, /^bwrap \(.*bwrap works\)\n$/);
  await using cage = await Cage.of("bwrap", "/usr/bin/perl");
  const status = ["-ne", "print if /^CapEff|^NoNewPrivs/", "/proc/self/status"];
  const raw = await cage.run(status, { tool: "masscan", wrap });
  assert.equal(raw.stdout, "CapEff:\t0000000000002000\nNoNewPrivs:\t1\n");
  const connect = await cage.run(status, { wrap });
  assert.equal(connect.stdout, "CapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
});

Deno.test("no variable and no descriptor of its caller gets past a launcher, or changes what it does", async () => {
  verifies("sandbox.launcher_takes_numbers");
  const names = new Set<string>();
  for (const file of ["launcher.sh", "bwrap/launch", "none/launch"]) {
    const text = await Deno.readTextFile(`${ROOT}sandbox/${file}`);
    for (const [, name = ""] of text.matchAll(/\$\{?([a-z_]+)/g)) {
      names.add(name);
    }
  }
  assert.ok(names.has("libraries") && names.has("enter"));
  const escape = "--ro-bind / / -- /bin/echo ESCAPED --";
  const planted = Object.fromEntries([...names].map((name) => [name, escape]));
  for (const mode of MODES) {
    await using cage = await Cage.of(mode, PERL);
    const show = [
      "-e",
      'print join(",", sort keys %ENV), "\\n"; opendir(my $d, "/proc/self/fd"); ' +
      'print join(",", sort grep { /^\\d+$/ && $_ < 10 && readlink("/proc/self/fd/$_") !~ m{/fd$} && $_ > 2 } readdir $d)',
    ];
    const { stdout, code, stderr } = await cage.run(show, {
      env: { ...planted, SECRET: "hunter2", LOCPATH: "/tmp" },
      wrap: ["/bin/sh", "-c", 'exec 5</ 8</etc; exec "$@"', "sh"],
    });
    assert.equal(code, 0, stderr);
    const [variables = "", descriptors] = stdout.split("\n");
    assert.match(variables, /^PATH(?:,PWD)?$/, mode);
    assert.ok(!/[58]/.test(descriptors ?? ""), `${mode}: ${descriptors}`);
  }
});
