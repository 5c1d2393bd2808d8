/**
 * The sandbox with another program in the scanner's place: a copy of `sandbox/` whose launchers start
 * what a test names. Everything else of the launcher is what stands in the repository, so what the
 * program cannot do there, a scanner under somebody else's control cannot do either.
 *
 * A copy can leave out exactly one guard, which shows that the guard is what holds. A guard that is not
 * found in the launcher is a fault of the test, never a test that proves nothing.
 *
 * The copy looks for the egress guard in a folder of its own: whether this machine has one changes no
 * test. `ownGuard: false` leaves that path as it is.
 *
 * @module
 */
import {
  limitEnvironment,
  type Limits as KernelLimits,
} from "@/spawn/limits.ts";
import { Usage } from "@/spawn/usage.ts";
import { processesNamed } from "./processes.ts";
import { ROOT } from "./task.ts";
import { withTempDir } from "./temp_dir.ts";

/** Sandboxes whose launchers a cage can copy. */
export type CageMode = "bwrap" | "none";

/** What is cut out of a launcher: its file, the text, and what stands there instead. */
const GUARDS = {
  seccomp: ["bwrap/launch", " --seccomp 9", ""],
  pidNamespace: ["bwrap/launch", " --unshare-pid", ""],
  ownUser: [
    "bwrap/launch",
    "setpriv --reuid=$uid --regid=$uid --clear-groups --inh-caps=$keep --ambient-caps=$keep --",
    "",
  ],
  sizedTmp: ["bwrap/launch", ' --size "$((file_bytes + 4096))"', ""],
  readOnlyUsr: ["bwrap/launch", "--ro-bind /usr /usr", "--bind /usr /usr"],
  fileSize: ["launcher.sh", " --fsize=$file_bytes", ""],
  processes: ["launcher.sh", " --nproc=$processes", ""],
  sameParent: ["launcher.sh", ' && [ "$parent" = "$0" ]', ""],
  killLeft: ["supervise", "  kill KILL => children($$);\n", ""],
  countLiving: ["supervise", " + used_by_living()", ""],
  machine: ["supervise", "unpack 'x4 C x13 v', $head", "(2, 3)"],
} as const satisfies Readonly<
  Record<string, readonly [file: string, text: string, instead: string]>
>;

/** One thing that a cage can leave out. */
export type Guard = keyof typeof GUARDS;

/** Limits that are about nothing: wide enough for every program of the tests. */
export const WIDE: KernelLimits = {
  cpuSeconds: 60,
  addressSpaceBytes: 17_179_869_184,
  fileBytes: 67_108_864,
  processes: 1_024,
  openFiles: 1_024,
};

/** How a cage differs from the repository's sandbox. */
export interface CageOptions {
  /** Guards that it leaves out. */
  readonly without?: readonly Guard[];
  /** Folders of the host that it shows read-only. */
  readonly shows?: readonly string[];
  /** Folders of the host that it shows, to be written. */
  readonly lends?: readonly string[];
  /** The user that the program becomes where the launcher is run by root. */
  readonly uid?: number;
  /** @default {true} Whether it looks for the egress guard in a folder of its own. */
  readonly ownGuard?: boolean;
}

/** How one program is run. */
export interface CageRun {
  /** @default {"nmap"} The name by which the launcher is called. */
  readonly tool?: string;
  /** Limits other than {@linkcode WIDE}. */
  readonly limits?: Partial<KernelLimits>;
  /** Variables that are set, or (null) left out. */
  readonly env?: Readonly<Record<string, string | null>>;
  /** Written in front of the launcher, the program by its absolute path: `AS_NOBODY` say. */
  readonly wrap?: readonly string[];
  /** @default {false} */
  readonly egressGuard?: boolean;
  /** What it reads from stdin; nothing without it. */
  readonly stdin?: string;
}

/** How a program ended and what it printed. */
export interface Ended {
  readonly code: number;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program ended and what it cost. */
export interface Measured {
  readonly ended: Ended;
  /** Seconds on a processor by the launcher's record; null if stderr does not end with one. */
  readonly cpuSeconds: number | null;
}

/** Written in front of a command: root becomes an ordinary user without any right. */
export const AS_NOBODY: readonly string[] = [
  "/usr/bin/setpriv",
  "--reuid=65534",
  "--regid=65534",
  "--clear-groups",
  "--inh-caps=-all",
];

/** Exit code of a program that SIGSYS ended, as bubblewrap hands it on: the filter killed it. */
export const KILLED_BY_FILTER = 128 + 31;

/** What a host has to have for these tests, and the package that brings it. */
const NEEDED = {
  bwrap: "bubblewrap",
  perl: "perl",
  setpriv: "util-linux",
  prlimit: "util-linux",
  unshare: "util-linux",
  ps: "procps",
  nmap: "nmap",
} as const;

/**
 * Refuses to go on where something is missing: a test that is left out proves nothing.
 *
 * @throws {Error} With the command that installs it.
 */
export function needPrerequisites(): void {
  const missing = Object.entries(NEEDED).filter(([program]) =>
    !["/usr/bin", "/bin", "/usr/sbin"].some((folder) =>
      exists(`${folder}/${program}`)
    )
  );
  if (missing.length > 0) {
    const packages = new Set(missing.map(([, name]) => name));
    throw new Error(
      `Cannot test the sandbox: ${
        missing.map(([program]) => program).join(", ")
      } is missing; run: apt-get install ${[...packages].join(" ")}`,
    );
  }
  if (Deno.uid() !== 0) {
    throw new Error(
      "Cannot test the sandbox: some attempts start as root; run the tests as root, in a container say",
    );
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

/** A sandbox with another program in it. */
export class Cage implements AsyncDisposable {
  /** The copy of `sandbox/`, without a slash at the end. */
  readonly folder: string;
  /** Its mode. */
  readonly mode: CageMode;
  readonly #remove: () => PromiseLike<void>;

  private constructor(
    folder: string,
    mode: CageMode,
    remove: () => PromiseLike<void>,
  ) {
    this.folder = folder;
    this.mode = mode;
    this.#remove = remove;
  }

  /**
   * Makes a cage: `await using cage = await Cage.of("bwrap", "/usr/bin/perl");`
   *
   * @param mode Whose launcher.
   * @param program The program by its absolute path; null leaves the real scanners in it.
   * @param options How it differs from the repository's.
   * @returns The cage.
   */
  static async of(
    mode: CageMode,
    program: string | null,
    options: CageOptions = {},
  ): Promise<Cage> {
    needPrerequisites();
    // A copy that cannot be finished leaves nothing behind.
    await using stack = new AsyncDisposableStack();
    const temp = stack.use(await withTempDir());
    // Launchers are run by ordinary users, too.
    await Deno.chmod(temp.path, 0o755);
    const folder = `${temp.path}/sandbox`;
    await copySandbox(folder);
    const file = `${folder}/launcher.sh`;
    for (const guard of options.without ?? []) {
      const [path, text, instead] = GUARDS[guard];
      await edit(`${folder}/${path}`, text, instead);
    }
    if (options.ownGuard ?? true) {
      const guard = `guard=${folder}/guard`;
      await edit(file, "guard=/run/netns/security-mcp", guard);
    }
    const binds = [
      ...(options.shows ?? []).map((path) => `--ro-bind ${path} ${path}`),
      ...(options.lends ?? []).map((path) => `--bind ${path} ${path}`),
    ];
    if (binds.length > 0) {
      const shown = `  ${binds.join(" ")} "$@" 9<`;
      await edit(`${folder}/bwrap/launch`, '  "$@" 9<', shown);
    }
    if (options.uid !== undefined) {
      const uid = `uid=${options.uid}`;
      await edit(file, "uid=$((60578 + $$ % 600))", uid);
    }
    if (program !== null) {
      await Deno.writeTextFile(file, `program=${program}\n`, { append: true });
    }
    const whole = stack.move();
    return new Cage(folder, mode, () => whole.disposeAsync());
  }

  /**
   * Gives the path of a launcher.
   *
   * @param tool The scanner's name.
   * @returns The path.
   */
  launcher(tool = "nmap"): string {
    return `${this.folder}/${this.mode}/${tool}`;
  }

  /**
   * Starts the program. Its end is the caller's business.
   *
   * @param args Its arguments.
   * @param run How it is run.
   * @returns The launcher's process; stdout and stderr are piped.
   */
  start(args: readonly string[], run: CageRun = {}): Deno.ChildProcess {
    const [program = "", ...rest] = [
      ...run.wrap ?? [],
      this.launcher(run.tool),
      ...args,
    ];
    const limits = { ...WIDE, ...run.limits };
    const env: Record<string, string> = limitEnvironment(
      limits,
      run.egressGuard ?? false,
      Deno.pid,
    );
    for (const [name, value] of Object.entries(run.env ?? {})) {
      if (value === null) delete env[name];
      else env[name] = value;
    }
    return new Deno.Command(program, {
      args: rest,
      clearEnv: true,
      env,
      cwd: "/proc",
      stdin: run.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /**
   * Runs the program to its end.
   *
   * @param args Its arguments.
   * @param run How it is run.
   * @returns How it ended.
   */
  async run(args: readonly string[], run: CageRun = {}): Promise<Ended> {
    return (await this.measure(args, run)).ended;
  }

  /**
   * Runs the program to its end.
   *
   * @param args Its arguments.
   * @param run How it is run.
   * @returns How it ended and what it cost.
   */
  async measure(args: readonly string[], run: CageRun = {}): Promise<Measured> {
    const child = this.start(args, run);
    if (run.stdin !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(run.stdin));
      await writer.close();
    }
    const { code, signal, stdout, ...output } = await child.output();
    const { stderr, cpuSeconds } = withoutRecord(output.stderr);
    const ended = {
      code,
      signal,
      stdout: new TextDecoder().decode(stdout),
      stderr,
    };
    return { ended, cpuSeconds };
  }

  /** Removes the copy. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#remove();
  }
}

/**
 * Takes the launcher's record off the end of its stderr.
 *
 * @param bytes All of stderr.
 * @returns What the program wrote, and the record's seconds.
 */
export function withoutRecord(
  bytes: Uint8Array,
): { stderr: string; cpuSeconds: number | null } {
  const decoder = new TextDecoder();
  let stderr = "";
  const usage = new Usage((some) => {
    stderr += decoder.decode(some, { stream: true });
  });
  usage.add(bytes);
  const cpuSeconds = usage.end();
  return { stderr: stderr + decoder.decode(), cpuSeconds };
}

/**
 * Copies the launchers, links and filter of the repository.
 *
 * @param to The folder that is made.
 */
export async function copySandbox(to: string): Promise<void> {
  await run("cp", ["-a", `${ROOT}sandbox`, to]);
}

/**
 * Replaces a text that a file holds exactly once.
 *
 * @param path The file.
 * @param text The text.
 * @param instead What stands there afterwards.
 * @throws {Error} If it holds it never or more than once.
 */
export async function edit(
  path: string,
  text: string,
  instead: string,
): Promise<void> {
  const parts = (await Deno.readTextFile(path)).split(text);
  if (parts.length !== 2) {
    throw new Error(
      `Cannot change "${text}" in "${path}": it is there ${
        parts.length - 1
      } times; mend the test that names it`,
    );
  }
  await Deno.writeTextFile(path, parts.join(instead));
}

/**
 * Runs a command that has to succeed.
 *
 * @param program The program.
 * @param args Its arguments.
 * @returns What it printed.
 * @throws {Error} If it fails.
 */
export async function run(
  program: string,
  args: readonly string[],
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(
    `Cannot run "${program} ${args.join(" ")}": ${
      new TextDecoder().decode(stderr)
    }`,
  );
}

/** How long something may be left after it was ended. */
const GONE_WITHIN_MS = 1_000;

/**
 * Looks whether processes are gone within a second: the last look begins within it, however slow the
 * machine is to look.
 *
 * @param text What their command lines hold.
 * @param since When they were ended, by `performance.now()`.
 * @returns The processes that are left.
 */
export async function leftAfterSecond(
  text: string,
  since: number,
): Promise<number[]> {
  for (;;) {
    const last = performance.now() - since > GONE_WITHIN_MS * 0.8;
    const left = (await processesNamed(text)).map(({ pid }) => pid);
    if (left.length === 0 || last) return left;
  }
}

/** How long a process may take to appear. */
const APPEARS_WITHIN_MS = 20_000;

/**
 * Waits until a process is there.
 *
 * @param text What its command line holds.
 * @param count How many there have to be.
 * @returns Their ids.
 * @throws {Error} If they do not come.
 */
export async function appeared(text: string, count = 1): Promise<number[]> {
  for (
    const end = performance.now() + APPEARS_WITHIN_MS;
    performance.now() < end;
  ) {
    const found = (await processesNamed(text)).map(({ pid }) => pid);
    if (found.length >= count) return found;
  }
  throw new Error(`Cannot find ${count} processes named "${text}"`);
}
