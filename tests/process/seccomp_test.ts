/**
 * The seccomp filter in the kernel: under bubblewrap the real scanners do their work with it, and what
 * it forbids works without it and fails with it. Packets go to 127.0.0.1 only.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { withTempDir } from "../support/temp_dir.ts";

verifies("sandbox.seccomp.allowlist");

const FILTER = new URL("../../sandbox/seccomp/filter.bpf", import.meta.url)
  .pathname;

const SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** After this a command is ended that the filter neither lets work nor fail: no test waits for ever. */
const DEADLINE = "timeout -k 1 60".split(" ");

/** bubblewrap alone: nothing but the filter keeps a program from its kernel. */
const BWRAP = [
  ..."bwrap --ro-bind / / --dev /dev --proc /proc --unshare-pid".split(" "),
  ..."--die-with-parent --new-session --cap-drop ALL".split(" "),
];

/** The exit code of what SIGSYS ended, as bubblewrap's pid 1 hands it on. */
const KILLED = 128 + 31;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command under bubblewrap, with the filter or without. */
async function run(
  command: readonly string[],
  options: { filter: boolean; bwrap?: readonly string[] },
): Promise<Ended> {
  const { filter, bwrap = BWRAP } = options;
  const args = filter
    ? ["-c", 'exec "$@" 9<"$0"', FILTER, ...DEADLINE, ...bwrap]
    : ["-c", 'exec "$@"', "sh", ...DEADLINE, ...bwrap];
  if (filter) args.push("--seccomp", "9");
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [...args, "--", ...command],
    env: { PATH: SYSTEM, LC_ALL: "C" },
    clearEnv: true,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Whether bubblewrap can do its work here at all; a container may forbid it. */
async function obstacle(): Promise<string | null> {
  const { code, stderr } = await run(["true"], { filter: false });
  return code === 0 ? null : stderr;
}

async function isRoot(): Promise<boolean> {
  const { stdout } = await new Deno.Command("id", { args: ["-u"] }).output();
  return new TextDecoder().decode(stdout).trim() === "0";
}

const missing = await obstacle();
if (missing !== null) {
  throw new Error(
    `Cannot test the seccomp filter: bubblewrap does not work here; run scripts/setup.sh and allow user namespaces: ${missing}`,
  );
}
const root = await isRoot();

/** The chain of the launcher: rights that setpriv needs, then an unprivileged user with raw packets. */
const RIGHTS = "--cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_NET_RAW"
  .split(" ");
const BECOME = "setpriv --reuid=60578 --regid=60578 --clear-groups".split(" ");
const KEEP = "--inh-caps=-all,+net_raw --ambient-caps=-all,+net_raw".split(" ");
const LIMIT = "prlimit --nofile=256 --core=0 --".split(" ");

/** Runs a scanner with the filter as its launcher does. */
function scanner(command: readonly string[]): Promise<Ended> {
  return root
    ? run([...BECOME, ...KEEP, "--", ...LIMIT, ...command], {
      filter: true,
      bwrap: [...BWRAP, ...RIGHTS],
    })
    : run([...LIMIT, ...command], { filter: true });
}

/** A web server on loopback with one page, /admin. */
function webServer(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      new Response("<title>A page</title>", {
        headers: { "content-type": "text/html" },
        status: request.url.endsWith("/admin") ? 200 : 404,
      }),
  );
}

Deno.test({
  name: "with the filter each scanner says its version",
  fn: async () => {
    const nmap = await scanner(["nmap", "--version"]);
    assert.match(nmap.stdout, /^Nmap version/m, nmap.stderr);
    assert.equal(nmap.code, 0);
    // masscan says its version and fails.
    const masscan = await scanner(["masscan", "--version"]);
    assert.match(masscan.stdout, /^Masscan version/m, masscan.stderr);
    assert.equal(masscan.code, 1);
    const gobuster = await scanner(["gobuster", "version"]);
    assert.match(gobuster.stdout, /^\d+\.\d+/, gobuster.stderr);
    assert.equal(gobuster.code, 0);
  },
});

for (
  const { name, flags, finds, left } of [
    {
      name: "a connect scan finds the open port",
      flags: ["--unprivileged", "-sT"],
      finds: /^\d+\/tcp\s+open/m,
      left: false,
    },
    {
      name: "a SYN scan finds the open port",
      flags: ["--privileged", "-sS"],
      finds: /^\d+\/tcp\s+open/m,
      left: !root,
    },
    {
      name: "a script of nmap reads a page",
      flags: [
        "--unprivileged",
        "-sT",
        "--script=+http-title",
        "--script-args=http-title.url=/admin",
      ],
      finds: /^\|_http-title: A page/m,
      left: false,
    },
  ]
) {
  Deno.test({
    name: `with the filter ${name}`,
    ignore: left,
    fn: async () => {
      await using server = webServer();
      const { code, stdout, stderr } = await scanner([
        ...["nmap", "-n", ...flags, "-Pn", "-p", `${server.addr.port}`],
        "127.0.0.1",
      ]);
      assert.match(stdout, finds, stderr);
      assert.equal(code, 0);
    },
  });
}

Deno.test({
  name: "with the filter gobuster finds the paths of a web server",
  fn: async () => {
    await using folder = await withTempDir();
    // The scanner is another user, who has to reach the list.
    await Deno.chmod(folder.path, 0o755);
    const words = `${folder.path}/words.txt`;
    await Deno.writeTextFile(words, "admin\nnope\n");
    await using server = webServer();
    const { code, stdout, stderr } = await scanner([
      ...["gobuster", "dir", "-q", "-z", "--no-color"],
      `--url=http://127.0.0.1:${server.addr.port}/`,
      `--wordlist=${words}`,
    ]);
    assert.match(stdout, /\/admin\s+\(Status: 200\)/, stderr);
    assert.equal(code, 0);
  },
});

/** A number of a system call on this machine. */
function number(x86_64: number, aarch64: number): number {
  return Deno.build.arch === "aarch64" ? aarch64 : x86_64;
}

/** A Perl program that makes a call and prints `done`, or how the kernel answered. */
function call(x86_64: number, aarch64: number, args: string): string[] {
  const made = `syscall(${number(x86_64, aarch64)}, ${args})`;
  return ["perl", "-e", `print ${made} == -1 ? "$!\\n" : "done\\n"`];
}

/** What is attempted, and what it prints without the filter and with it. */
interface Attempt {
  readonly name: string;
  readonly command: readonly string[];
  readonly without: RegExp;
  /** What is printed with the filter, or that the filter ends it. */
  readonly with: RegExp | "killed";
  readonly ignore?: boolean;
}

const CLONE_NEWUSER = 0x10000000;
const SELF = "$$, 0, 0, 0, 0, 0";

const ATTEMPTS: readonly Attempt[] = [
  {
    name: "a shell that starts a process",
    command: ["sh", "-c", "ls / >/dev/null && echo done"],
    without: /^done$/,
    with: /Cannot fork/,
  },
  {
    name: "fork",
    command: ["perl", "-e", 'print defined(fork) ? "done\\n" : "$!\\n"'],
    without: /^done/,
    with: /^Operation not permitted$/,
  },
  {
    name: "vfork",
    command: ["perl", "-e", 'print system("true") == 0 ? "done\\n" : "$!\\n"'],
    without: /^done$/,
    with: /^Operation not permitted$/,
  },
  {
    name: "an nmap script that runs a shell",
    command: [
      ..."nmap -n --unprivileged -sT -Pn -p 1 127.0.0.1 --script".split(" "),
      "SCRIPT",
    ],
    without: /^\|_planted: done$/m,
    with: /^\|_planted: no shell$/m,
  },
  {
    name: "a connection to a unix socket",
    command: [
      "perl",
      "-e",
      'socket(S, 1, 1, 0) && connect(S, pack("S a108", 1, $ARGV[0])) ? ' +
      'print "done\\n" : print "$!\\n"',
      "SOCKET",
    ],
    without: /^done$/,
    with: /^Operation not permitted$/,
  },
  {
    name: "a datagram to a unix socket, from an end of a pair",
    command: [
      "perl",
      "-e",
      "socketpair(A, B, 1, 2, 0)" +
      ' && send(A, "x", 0, pack("S a108", 1, $ARGV[0])) or print "$!\\n"',
      "SOCKET",
    ],
    // It comes to that socket, which happens to take connections alone.
    without: /^Protocol wrong type for socket$/,
    with: /^Operation not permitted$/,
  },
  {
    name: "a pair of streams, of which no end turns to a unix socket",
    command: [
      "perl",
      "-e",
      "socketpair(A, B, 1, 1, 0)" +
      ' && connect(A, pack("S a108", 1, $ARGV[0])) or print "$!\\n"',
      "SOCKET",
    ],
    without: /^Transport endpoint is already connected$/,
    with: /^Transport endpoint is already connected$/,
  },
  {
    name: "the list of everybody's sockets (netlink)",
    command: [
      "perl",
      "-e",
      'print socket(S, 16, 3, 4) ? "done\\n" : "$!\\n"',
    ],
    without: /^done$/,
    with: /^Operation not permitted$/,
  },
  {
    name: "a file in memory",
    command: [
      "perl",
      "-e",
      `my $name = "x"; print syscall(${
        number(319, 279)
      }, $name, 0) == -1 ? "$!\\n" : "done\\n"`,
    ],
    without: /^done$/,
    with: /^Operation not permitted$/,
  },
  {
    name: "clone3, which C libraries try first",
    command: call(435, 435, "0, 0"),
    without: /^Invalid argument$/,
    with: /^Function not implemented$/,
  },
  {
    name: "ptrace",
    command: call(101, 117, "0, 0, 0, 0"),
    without: /^done$/,
    with: "killed",
  },
  {
    name: "a look into a process's memory",
    command: call(310, 270, SELF),
    without: /^done$/,
    with: "killed",
  },
  {
    name: "a user namespace",
    command: call(272, 97, `${CLONE_NEWUSER}`),
    without: /^done$/,
    with: "killed",
  },
  {
    name: "the x32 ABI",
    command: call(0x40000000 + 39, 0, "0"),
    without: /^(?:done|Function not implemented)$/,
    with: "killed",
    ignore: Deno.build.arch !== "x86_64",
  },
];

/** A unix socket of the machine, by a Perl process: no grant of the tests lets Deno make one. */
class UnixListener implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  static async at(path: string): Promise<UnixListener> {
    const program = 'socket(S, 1, 1, 0) && bind(S, pack("S a108", 1, ' +
      '$ARGV[0])) && listen(S, 8) or die $!; $| = 1; print "ready"; <STDIN>';
    const child = new Deno.Command("perl", {
      args: ["-e", program, path],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    assert.equal(new TextDecoder().decode(value), "ready");
    return new UnixListener(child);
  }

  /** It ends when nobody can write to it any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}

/** A program for x86_64 that ends with 42 by a call of i386: mov eax, 1; mov ebx, 42; int 0x80. */
function otherMachine(): Uint8Array {
  const code = [0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80];
  const start = 0x400000n;
  const headers = 64 + 56;
  const size = BigInt(headers + code.length);
  const view = new DataView(new ArrayBuffer(headers + code.length));
  const bytes = new Uint8Array(view.buffer);
  // ELF, 64 bits, low byte first; an executable file for x86_64.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, start + BigInt(headers), true);
  view.setBigUint64(32, 64n, true);
  // Sizes of both headers, and one segment: all of the file, to be read and run.
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  view.setBigUint64(80, start, true);
  view.setBigUint64(96, size, true);
  view.setBigUint64(104, size, true);
  bytes.set(code, headers);
  return bytes;
}

Deno.test({
  name: "the filter kills what makes a call of i386",
  ignore: Deno.build.arch !== "x86_64",
  fn: async () => {
    await using folder = await withTempDir();
    const program = `${folder.path}/other`;
    await Deno.writeFile(program, otherMachine(), { mode: 0o755 });
    const without = await run([program], { filter: false });
    // A kernel that was built without those calls ends it by SIGSEGV.
    assert.ok([42, 128 + 11].includes(without.code), `${without.code}`);
    const filtered = await run([program], { filter: true });
    assert.equal(filtered.code, KILLED);
  },
});

/** A script that a tricked nmap would run. */
const PLANTED = `
hostrule = function() return true end
action = function()
  local pipe = io.popen("echo done")
  local said = pipe and pipe:read("l")
  return said or "no shell"
end
`;

for (const attempt of ATTEMPTS) {
  Deno.test({
    name: `the filter decides on ${attempt.name}`,
    ignore: attempt.ignore === true,
    fn: async () => {
      await using folder = await withTempDir();
      const script = `${folder.path}/planted.nse`;
      await Deno.writeTextFile(script, PLANTED);
      const socket = `${folder.path}/socket`;
      await using _listening = await UnixListener.at(socket);
      const command = attempt.command.map((word) =>
        word === "SCRIPT" ? script : word === "SOCKET" ? socket : word
      );

      const without = await run(command, { filter: false });
      assert.match(
        `${without.stdout}${without.stderr}`.trim(),
        attempt.without,
      );

      const filtered = await run(command, { filter: true });
      if (attempt.with === "killed") {
        assert.equal(filtered.code, KILLED, filtered.stdout);
        assert.equal(filtered.stdout, "");
      } else {
        const said = `${filtered.stdout}${filtered.stderr}`.trim();
        assert.match(said, attempt.with);
      }
    },
  });
}
