/**
 * What a scan took on a processor, as `spawn` hears it from the real launchers: held against what the
 * program in the scanner's place measures of itself, and against programs that lie about it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Argv, type Grammar } from "@/spawn/argv.ts";
import { type Ended, REFUSALS, spawn } from "@/spawn/spawn.ts";
import { verifies } from "../requirements.ts";
import {
  Cage,
  type CageMode,
  type Guard,
  needPrerequisites,
  WIDE,
  withoutRecord,
} from "../support/cage.ts";
import { PERL, perl } from "../support/cage_perl.ts";
import { processesNamed } from "../support/processes.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";

needPrerequisites();

const MODES: readonly CageMode[] = ["bwrap", "none"];

const GRAMMAR: Grammar = {
  program: "nmap",
  flags: new Map([["-oX", "none"], ["-", "none"]]),
};
const ARGV = Argv.build(GRAMMAR, [{ flag: "-oX" }, { flag: "-" }]);

/** A record as a launcher writes it. */
const FAKE = "sandbox: cpu_us=0000000000000001\\n";
const HUGE = "sandbox: cpu_us=9999999999999999\\n";

/** Burns 0.3 seconds, and says how much this process took, and how much others did. */
const BURN = `use Time::HiRes "clock";
sub burn { my $until = clock() + 0.3; 1 while clock() < $until }
sub say_used { syswrite STDOUT, clock() + ($_[0] || 0) . "\\n" }`;

/** How a script is run. */
interface How {
  readonly without?: readonly Guard[];
  readonly outputBytesMax?: number;
  /** Where it ends when it has printed a line. */
  readonly cancel?: boolean;
  /** A path to it that is no launcher's. */
  readonly bare?: boolean;
}

/** The end of a script. */
interface Ran extends Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly livedSeconds: number;
}

/** Runs a script of perl in the scanner's place. */
async function ran(
  mode: CageMode,
  script: string,
  how: How = {},
): Promise<Ran> {
  await using folder = await withTempDir();
  await Deno.chmod(folder.path, 0o755);
  const program = `${folder.path}/nmap`;
  await Deno.writeTextFile(program, `#!${PERL}\n$| = 1;\n${BURN}\n${script}\n`);
  await Deno.chmod(program, 0o755);
  await using cage = await Cage.of(mode, program, {
    without: how.without ?? [],
    shows: mode === "bwrap" ? [folder.path] : [],
  });
  const controller = new AbortController();
  const decoders = [new TextDecoder(), new TextDecoder()] as const;
  let [stdout, stderr] = ["", ""];
  const since = performance.now();
  const ended = await spawn({
    program: how.bare ? program : cage.launcher(),
    argv: ARGV,
    limits: WIDE,
    egressGuard: false,
    timeoutMs: 30_000,
    outputBytesMax: how.outputBytesMax ?? 1_048_576,
    signal: controller.signal,
    stdout: (bytes) => {
      stdout += decoders[0].decode(bytes, { stream: true });
      if (how.cancel && stdout.includes("\n")) controller.abort();
    },
    stderr: (bytes) => stderr += decoders[1].decode(bytes, { stream: true }),
  });
  const livedSeconds = (performance.now() - since) / 1_000;
  return { ...ended, stdout, stderr, livedSeconds };
}

/** What a script said that it took; a sandbox takes some more. */
function assertNear({ cpuSeconds, stdout, stderr }: Ran): void {
  const said = Number(stdout.trim().split("\n").at(-1));
  assert.ok(said >= 0.3, `${stdout}${stderr}`);
  const what = `${cpuSeconds} counted, ${said} said; ${stderr}`;
  // What is looked at before it is killed is known in hundredths of a second.
  assert.ok(cpuSeconds > said - 0.05 && cpuSeconds < said + 0.15, what);
}

for (const mode of MODES) {
  Deno.test(`in ${mode} a scan is told what it took on a processor, and nobody else hears of it`, async () => {
    verifies("spawn.cpu_seconds");
    const burnt = await ran(mode, "print STDERR 'a word'; burn; say_used");
    assert.deepEqual(burnt.exit, { kind: "exited", code: 0, signal: null });
    assertNear(burnt);
    assert.equal(burnt.stderr, "a word");
    const slept = await ran(mode, "sleep 1; exit 3");
    assert.deepEqual(slept.exit, { kind: "exited", code: 3, signal: null });
    assert.ok(slept.livedSeconds > 1);
    assert.ok(slept.cpuSeconds > 0 && slept.cpuSeconds < 0.3);
  });

  Deno.test(`in ${mode} a scan is told what all its processes took`, async () => {
    verifies("spawn.cpu_seconds");
    const without: Guard[] = mode === "bwrap" ? ["seccomp"] : [];
    const family = await ran(
      mode,
      "for (1 .. 2) { if (!fork) { burn; exit } } 1 while wait != -1; burn; say_used(0.6)",
      { without },
    );
    assertNear(family);
  });

  Deno.test(`in ${mode} a scan that is cancelled is told what it took until then`, async () => {
    verifies("spawn.cpu_seconds");
    for (const deaf of ["", "$SIG{TERM} = 'IGNORE';"]) {
      const ended = await ran(
        mode,
        `${deaf} burn; say_used; sleep 1 for 1 .. 60`,
        { cancel: true },
      );
      assert.deepEqual(ended.exit, { kind: "cancelled" });
      assertNear(ended);
    }
  });

  Deno.test(`in ${mode} no scanner lies about what it took`, async () => {
    verifies("spawn.cpu_seconds");
    // The last word of the scanner is not the last of the stream.
    for (const lie of [FAKE, HUGE]) {
      const liar = await ran(
        mode,
        `burn; say_used; print STDERR "${lie}"; close STDERR`,
      );
      assertNear(liar);
      assert.equal(liar.stderr, lie.replace("\\n", "\n"));
    }
    // Past the cap too.
    const flood = await ran(
      mode,
      `burn; say_used; sleep 1; print STDERR "${FAKE}" x 99 for 1 .. 100_000`,
      { outputBytesMax: 10_000 },
    );
    assert.deepEqual(flood.exit, { kind: "output_limit" });
    assert.equal(flood.stderr.length, 10_000);
    assert.ok(flood.cpuSeconds >= 0.3);
    assert.ok(flood.cpuSeconds < flood.livedSeconds - 0.8);
    // A full pipe that loses what does not fit: the launcher's record among it, if it let that be.
    const full = await ran(
      mode,
      `burn; say_used; sleep 1; fcntl STDERR, 4, (fcntl STDERR, 3, 0) | 04000;
       for (1 .. 100) { syswrite STDERR, "${FAKE}" x 9_999 }`,
      { outputBytesMax: 100_000_000 },
    );
    assertNear(full);
  });
}

Deno.test("what ends with its namespace is counted because it was looked at before", async () => {
  verifies("spawn.cpu_seconds");
  const ended = await ran("bwrap", "burn; say_used; sleep 60", {
    cancel: true,
    without: ["countLiving"],
  });
  assert.deepEqual(ended.exit, { kind: "cancelled" });
  assert.ok(ended.cpuSeconds < 0.2, String(ended.cpuSeconds));
});

Deno.test("without a sandbox a scanner's orphans are counted, and gone with it", async () => {
  verifies("spawn.cpu_seconds", "escape.outlives_kill");
  const name = `left-${crypto.randomUUID()}`;
  // A grandchild of a session of its own, whose parent is gone, holds no pipe and is deaf.
  const orphan = `require POSIX; pipe my $r, my $w;
    if (!fork) {
      POSIX::setsid(); exit if fork;
      $0 = '${name}'; $SIG{TERM} = 'IGNORE'; close STDOUT; close STDERR;
      burn; close $w; sleep 1 for 1 .. 60; exit;
    }
    wait; close $w; sysread $r, my $x, 1; burn; say_used`;
  const ended = await ran("none", orphan);
  assert.deepEqual(ended.exit, { kind: "exited", code: 0, signal: null });
  assert.deepEqual(await processesNamed(name), []);
  assert.ok(ended.cpuSeconds > 0.55, String(ended.cpuSeconds));
});

/** Two children burn 0.3 seconds each, and their parent does not want to hear of their ends. */
const HIDE = `$SIG{CHLD} = 'IGNORE';
for (1 .. 2) { my $p = fork; if (!$p) { burn; exit if defined $p } }
1 while wait != -1; say_used`;

Deno.test("in bwrap no scanner hides what its children took, because it has none", async () => {
  verifies("spawn.cpu_seconds");
  assertNear(await ran("bwrap", HIDE));
  const free = await ran("bwrap", HIDE, { without: ["seccomp"] });
  assert.ok(free.cpuSeconds < 0.3, String(free.cpuSeconds));
});

Deno.test("without a sandbox a scanner hides what its children took, as the README says", async () => {
  const hidden = await ran("none", HIDE);
  assert.ok(hidden.cpuSeconds < 0.3, String(hidden.cpuSeconds));
  const readme = await Deno.readTextFile(`${ROOT}README.md`);
  assert.match(readme, /It can hide the\s+processor time of its children/);
});

for (const mode of MODES) {
  Deno.test(`in ${mode} no scanner puts the words of a refusal into an error`, async () => {
    verifies("spawn.refusal_words");
    for (const refusal of REFUSALS) {
      const lie = `print STDERR "sandbox: ${refusal}\\n";`;
      const { exit } = await ran(mode, `${lie} exit 125`);
      assert.deepEqual(exit, { kind: "exited", code: 125, signal: null });
      // It passes for a sandbox that does not start, and no more than that.
      await assert.rejects(ran(mode, `${lie} exit 126`), {
        code: "tool_unavailable",
        message:
          'Cannot start "nmap": its sandbox does not start; doctor --sandbox says why',
      });
    }
  });
}

Deno.test("who kills the launcher to have the last word is charged the time that it lived", async () => {
  verifies("spawn.cpu_seconds");
  const ended = await ran(
    "none",
    `sleep 1; syswrite STDERR, "${FAKE}"; kill KILL => getppid; sleep 1`,
  );
  assert.deepEqual(ended.exit, {
    kind: "exited",
    code: 137,
    signal: "SIGKILL",
  });
  assert.ok(ended.cpuSeconds > 1 && ended.cpuSeconds <= ended.livedSeconds);
});

Deno.test("a program that no launcher started is charged the time that it lived", async () => {
  verifies("spawn.cpu_seconds");
  const ended = await ran("none", `print STDERR "${FAKE}"; sleep 1`, {
    bare: true,
  });
  assert.ok(ended.cpuSeconds > 0.9 && ended.cpuSeconds <= ended.livedSeconds);
});

/** Written in front of a command: perl is no program here. */
const NO_PERL = [
  "/usr/bin/unshare",
  "--mount",
  "--propagation=private",
  "/bin/sh",
  "-c",
  'mount --bind /dev/null /usr/bin/perl && exec "$@"',
  "sh",
];

for (const mode of MODES) {
  Deno.test(`the launcher of ${mode} says what it needs where there is no perl`, async () => {
    await using cage = await Cage.of(mode, PERL);
    const measured = await cage.measure(perl("exit 0"), { wrap: NO_PERL });
    assert.deepEqual(measured, {
      ended: {
        code: 125,
        signal: null,
        stdout: "",
        stderr: "sandbox: perl is not installed; run scripts/setup.sh\n",
      },
      cpuSeconds: null,
    });
  });

  Deno.test(`the launcher of ${mode} starts nothing on a machine whose system calls it does not know`, async () => {
    await using cage = await Cage.of(mode, PERL, { without: ["machine"] });
    const { code, stdout, stderr } = await cage.run(perl('print "started"'));
    assert.deepEqual([code, stdout], [125, ""]);
    assert.equal(
      stderr,
      "sandbox: processor time can be counted on x86_64, aarch64 and riscv64 only\n",
    );
  });
}

Deno.test("supervise counts though its caller ignores the ends of children", async () => {
  verifies("spawn.cpu_seconds");
  const { success, stderr } = await new Deno.Command(PERL, {
    args: [
      ...["-e", "$SIG{CHLD} = 'IGNORE'; exec { $ARGV[0] } @ARGV", "--"],
      ...[PERL, `${ROOT}sandbox/supervise`, "TERM"],
      ...[PERL, "-e", `${BURN} burn`],
    ],
    stdin: "null",
  }).output();
  assert.ok(success);
  const { cpuSeconds } = withoutRecord(stderr);
  assert.ok(cpuSeconds !== null && cpuSeconds >= 0.3, String(cpuSeconds));
});

Deno.test("supervise waits for room in a stream that its scanner filled and told to wait for nobody", async () => {
  verifies("spawn.cpu_seconds");
  await using cage = await Cage.of("none", PERL);
  const child = cage.start(perl(`${BURN} burn;
    fcntl STDERR, 4, (fcntl STDERR, 3, 0) | 04000;
    1 while defined syswrite STDERR, "${FAKE}"; print "full"`));
  const reader = child.stdout.getReader();
  await reader.read();
  let over = false;
  const status = child.status.finally(() => over = true);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(over, false);
  const [, bytes] = await Promise.all([
    reader.cancel(),
    new Response(child.stderr).bytes(),
  ]);
  const { code, signal } = await status;
  assert.deepEqual([code, signal], [0, null]);
  const { stderr, cpuSeconds } = withoutRecord(bytes);
  assert.ok(stderr.startsWith(FAKE.replace("\\n", "\n")));
  assert.ok(cpuSeconds !== null && cpuSeconds >= 0.3, String(cpuSeconds));
});
