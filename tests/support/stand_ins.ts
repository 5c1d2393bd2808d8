/**
 * The stand-in programs of `tests/stand_ins`: canned and hostile executables with the names of the
 * real tools. A test puts their folder first in `PATH` of a server. A copy in a folder of the test's
 * own can be found among the processes by its path, and logs what was started.
 *
 * @module
 */
import { processesNamed } from "./processes.ts";
import { ROOT } from "./task.ts";
import { withTempDir } from "./temp_dir.ts";

/** What a stand-in does when it is asked to scan. */
export const STAND_INS = [
  /** Reports one host at once. */
  "canned",
  /** Reports progress, waits for the gate, reports one host. */
  "slow",
  /** Reports as many hosts as the last digit of its port says, and waits after each for the gate. */
  "trickle",
  /** Says with what it was started. */
  "echo_argv",
  /** Reports 1,024 hosts in 64 MB. */
  "big",
  /** Prints without end. */
  "flood",
  /** Prints to standard error without end. */
  "flood_stderr",
  /** Ignores signals. */
  "stubborn",
  /** Has a child and a grandchild in its group. */
  "forks",
  /** Ends while a child keeps its pipes open. */
  "orphans",
  /** Has a grandchild in a session of its own. */
  "escapes",
  /** Neither prints nor ends. */
  "hangs",
  /** Crashes in the middle of its report. */
  "dies_halfway",
  /** Ends with 0 in the middle of its report. */
  "half_xml",
  /** Tries to leave a file in its working directory. */
  "leaves_file",
  /** Complains with a path and ends with 1. */
  "fails",
] as const;

/** One of {@linkcode STAND_INS}. */
export type StandIn = typeof STAND_INS[number];

/**
 * Gives the folder of a stand-in as it is in the repository.
 *
 * @param name The stand-in.
 * @returns The folder's absolute path, for `PATH`.
 */
export function standIn(name: StandIn): string {
  return `${ROOT}tests/stand_ins/${name}`;
}

/** A test's own copy of a stand-in. Disposing of it ends what is left of its processes. */
export interface StandInCopy extends AsyncDisposable {
  /** The folder's absolute path, for `PATH`. */
  readonly path: string;
  /** @returns The command lines of the starts so far, probes included, oldest first. */
  starts(): Promise<string[]>;
  /** @returns How many processes whose command line names this copy are alive. */
  alive(): Promise<number>;
  /** Lets one waiting `slow` or `trickle` go on; resolves once there is one that hears it. */
  open(): Promise<void>;
}

/**
 * Copies a stand-in into a folder of its own. Needs `--allow-run=sh,ps` and the right to write
 * temporary files.
 *
 * @param name The stand-in.
 * @returns The copy.
 */
export async function copyStandIn(name: StandIn): Promise<StandInCopy> {
  const folder = await withTempDir();
  const path = `${folder.path}/${name}`;
  const log = `${path}/starts.log`;
  for (const part of [name, "lib"]) {
    await Deno.mkdir(`${folder.path}/${part}`);
    const from = `${ROOT}tests/stand_ins/${part}`;
    for await (const file of Deno.readDir(from)) {
      await Deno.copyFile(
        `${from}/${file.name}`,
        `${folder.path}/${part}/${file.name}`,
      );
    }
  }
  await Deno.writeTextFile(log, "");
  await shell('mkfifo "$1/gate"', path);
  return {
    path,
    starts: async () =>
      (await Deno.readTextFile(log)).split("\n").filter((line) => line !== ""),
    alive: async () => (await processesNamed(`${path}/`)).length,
    // Opening a fifo for writing waits for its reader, so there is nothing to wait for here.
    open: () => shell('echo >"$1/gate"', path),
    [Symbol.asyncDispose]: async () => {
      for (const { pid } of await processesNamed(`${path}/`)) {
        await shell('kill -KILL "$1" 2>/dev/null || :', String(pid));
      }
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function shell(script: string, argument: string): Promise<void> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", script, "sh", argument],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`Cannot run "${script}" with "${argument}"`);
}
