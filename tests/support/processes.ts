/**
 * Looks at processes from outside: who is whose child, what is left, how much memory one holds. Deno
 * opens nothing below `/proc` without the right to everything, so `ps` and `cat` are asked: a test
 * needs `--allow-run=ps,cat`.
 *
 * @module
 */

/** A process as `ps` sees it. */
export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** One letter: `R`, `S`, `Z` for a zombie. */
  readonly state: string;
  readonly commandLine: string;
}

const PS = ["-e", "-ww", "-o", "pid=,ppid=,sid=,stat=,args="];

/**
 * Lists every process of the machine but `ps` itself.
 *
 * @returns The processes.
 */
export async function processes(): Promise<Process[]> {
  const command = new Deno.Command("ps", { args: PS, stdout: "piped" });
  const child = command.spawn();
  const { stdout } = await child.output();
  const found: Process[] = [];
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const [, pid, parent, session, state, commandLine] =
      /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (Number(pid) === child.pid || commandLine === undefined) continue;
    found.push({
      pid: Number(pid),
      parent: Number(parent),
      session: Number(session),
      state: state?.charAt(0) ?? "",
      commandLine,
    });
  }
  return found;
}

/**
 * Lists the processes whose command line holds a text: the path of a test's own stand-ins, say.
 *
 * @param text What to look for.
 * @returns The processes, this one left out.
 */
export async function processesNamed(text: string): Promise<Process[]> {
  return (await processes()).filter(({ pid, commandLine }) =>
    pid !== Deno.pid && commandLine.includes(text)
  );
}

/**
 * Lists what a process started and what those started, zombies included.
 *
 * @param pid The process.
 * @returns Its descendants.
 */
export async function descendantsOf(pid: number): Promise<Process[]> {
  const all = await processes();
  const family = new Set([pid]);
  const found: Process[] = [];
  for (let before = -1; before !== found.length;) {
    before = found.length;
    for (const one of all) {
      if (!family.has(one.parent) || family.has(one.pid)) continue;
      family.add(one.pid);
      found.push(one);
    }
  }
  return found;
}

/** Memory of a process in bytes. */
export interface Memory {
  /** Resident now. */
  readonly resident: number;
  /** Most that was ever resident. */
  readonly peak: number;
}

/**
 * Reads the memory of a process.
 *
 * @param pid The process.
 * @returns Its memory.
 * @throws {Deno.errors.NotFound} If there is no such process.
 */
export async function memoryOf(pid: number): Promise<Memory> {
  const { stdout } = await new Deno.Command("cat", {
    args: [`/proc/${pid}/status`],
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const bytes = (key: string): number => {
    const kilobytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
    if (kilobytes === undefined) {
      throw new Deno.errors.NotFound(
        `Cannot read the memory of the process ${pid}: it is gone`,
      );
    }
    return Number(kilobytes) * 1024;
  };
  return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
}
