/**
 * The one place that starts a process.
 *
 * A child gets a command line that {@linkcode Argv} built, its limits as its whole environment, no
 * stdin and a working directory in which nobody can create a file. Its output is read as it comes,
 * counted, handed on and forgotten here, so a flood costs no memory; past the cap the child is ended.
 * It ends by itself, by a limit that the kernel keeps, by its deadline, by its caller, by its cap, or
 * because its reader says that nothing more will come. When we end it, it is by SIGTERM first and by
 * SIGKILL after a grace period, and the promise resolves only after the kernel has said that the
 * process is gone.
 *
 * The program is a launcher: it puts the scanner into its sandbox, ends with everything that the
 * scanner started, also when this process is killed, and says last how much processor time all of it
 * took. What a sandbox holds is argued in `sandbox/MODE/launch`.
 *
 * The working directory is `/proc`: a tool that drops a file where it stands (masscan's
 * `paused.conf` when a terminal's Ctrl-C reaches it) fails to, even as root.
 *
 * Where the server has a terminal, a child is a session of its own and so has none: it reads no
 * keyboard there, and a Ctrl-C reaches it only through us, as SIGTERM and not as the SIGINT after
 * which masscan and gobuster end as if they were done. It costs a start some milliseconds (a fork of
 * the whole process instead of a light spawn), so it is left out where there is no terminal.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { Argv } from "./argv.ts";
import { Ends } from "./ends.ts";
import { type Exit, signalOf } from "./exit.ts";
import { launchedIn } from "./launcher.ts";
import { limitEnvironment, limitReached, type Limits } from "./limits.ts";
import { Usage } from "./usage.ts";

/** Bytes of each end of stderr that are looked at for the reason of an end. */
const REASON_BYTES = 4_096;

/**
 * Exit code of a launcher that starts nothing, and what it then says first. A scanner can do the same, but
 * behind a scanner comes the launcher's record.
 */
const LAUNCHER_REFUSED = 125;
const REFUSAL = "sandbox: ";

/** Exit codes of a shell that cannot start what it was to become; no scanner has them. */
const NOT_STARTED = [126, 127];

/**
 * Refusals that a caller or an operator can act on, in the words of the launchers. They are literals
 * because the scanner writes to the same stream: nothing that it says gets into a message.
 */
export const REFUSALS: readonly string[] = [
  "sandbox.egress_guard is set and there is no guard; run: deno task egress-guard up",
  "only root can enter the egress guard; start the server in its network namespace",
  "gVisor lets no raw packets through: no masscan, and nmap with --unprivileged only",
  "runsc 20221219 cannot do service detection or scripts; it takes a newer one",
];

/**
 * Time between SIGTERM and SIGKILL: small enough that a cancel is done within a second, and longer than a
 * launcher leaves a scanner (`sandbox/supervise`), so that it can say what it counted.
 */
const KILL_GRACE_MS = 500;

/** How long output is still read after the process itself is gone: a grandchild may hold the pipe. */
const DRAIN_MS = 250;

/** How often the reader is asked whether anything more is to come. */
const SETTLED_POLL_MS = 200;

/** Longest time a killed process may take to be reaped before that is reported as a fault. */
const REAP_MS = 5_000;

const WORKING_DIRECTORY = "/proc";

/** What {@linkcode spawn} needs. */
export interface SpawnOptions {
  /** Absolute path of the program; Deno refuses any that the isolate's grant does not name. */
  readonly program: string;
  /** The command line. */
  readonly argv: Argv;
  /** What the kernel lets it use. */
  readonly limits: Limits;
  /** Whether it may run only where the egress guard filters its packets. */
  readonly egressGuard: boolean;
  /**
   * Whether it must be kept away from the terminal of this process.
   *
   * @default {true}
   */
  readonly ownSession?: boolean;
  /** Milliseconds after which the child is ended. */
  readonly timeoutMs: number;
  /** Most bytes of stdout, and as many of stderr. */
  readonly outputBytesMax: number;
  /** Aborts to cancel. */
  readonly signal: AbortSignal;
  /** Takes stdout as it comes, never more than the cap. */
  readonly stdout: (bytes: Uint8Array) => void;
  /** Takes stderr as it comes, never more than the cap. */
  readonly stderr: (bytes: Uint8Array) => void;
  /** Asked now and then; `true` ends the child as one that has nothing more to say. */
  readonly settled?: () => boolean;
}

/** The end of a child, and what it cost. */
export interface Ended {
  readonly exit: Exit;
  /**
   * Seconds on a processor, of the child and all that it started. Of a child that had to be killed, or
   * that no launcher started, nobody knows them: then it is the seconds that it lived.
   */
  readonly cpuSeconds: number;
}

/**
 * Runs a program to its end.
 *
 * @param options What to run, within which limits, and where its output goes.
 * @returns How it ended and what it cost; by then the process is gone.
 * @throws {AppError} `tool_unavailable` if it or its sandbox cannot be started, `internal` if it cannot
 * be ended.
 */
export async function spawn(options: SpawnOptions): Promise<Ended> {
  if (options.signal.aborted) {
    return { exit: { kind: "cancelled" }, cpuSeconds: 0 };
  }
  const child = start(options);
  const startedAt = performance.now();
  const ending = new Ending(child);
  const cancel = () => ending.begin({ kind: "cancelled" });
  const deadline = setTimeout(
    () => ending.begin({ kind: "timed_out" }),
    options.timeoutMs,
  );
  const poll = options.settled && setInterval(() => {
    if (options.settled?.()) ending.begin({ kind: "settled" });
  }, SETTLED_POLL_MS);
  options.signal.addEventListener("abort", cancel, { once: true });
  const overflow = () => ending.begin({ kind: "output_limit" });
  const reason = new Ends(REASON_BYTES);
  const takeStderr = (bytes: Uint8Array) => {
    reason.add(bytes);
    options.stderr(bytes);
  };
  // The record comes behind everything, past the cap too.
  const usage = new Usage(capped(options.outputBytesMax, takeStderr, overflow));
  const pumps = [
    pump(
      child.stdout,
      capped(options.outputBytesMax, options.stdout, overflow),
    ),
    pump(child.stderr, (bytes) => usage.add(bytes)),
  ];
  try {
    const status = await ending.reaped();
    const isWhole = await drain(pumps);
    const livedMs = performance.now() - startedAt;
    const said = usage.end();
    // A launcher that was killed did not write it, and what was not read to its end may not be the end.
    const isVouchedFor = isWhole && status.signal === null &&
      launchedIn(options.program) !== "bare";
    return {
      exit: ending.exit ?? exitOf(status, {
        stderr: reason.text(),
        livedMs,
        isRecorded: said !== null,
      }, options),
      cpuSeconds: (isVouchedFor ? said : null) ?? livedMs / 1_000,
    };
  } finally {
    clearTimeout(deadline);
    clearInterval(poll);
    options.signal.removeEventListener("abort", cancel);
  }
}

function start(options: SpawnOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(options.program, {
      args: [...Argv.tokensOf(options.argv)],
      clearEnv: true,
      env: limitEnvironment(options.limits, options.egressGuard, Deno.pid),
      detached: options.ownSession ?? true,
      cwd: WORKING_DIRECTORY,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (thrown) {
    if (thrown instanceof TypeError) throw thrown;
    throw new AppError(
      "tool_unavailable",
      `Cannot start "${
        options.argv.toJSON()[0]
      }": the program is missing or not permitted; ` +
        `run scripts/setup.sh and the doctor`,
      { detail: String(thrown), cause: thrown },
    );
  }
}

/** What is known of a child that ended. */
interface Traces {
  /** Both ends of its stderr. */
  readonly stderr: string;
  readonly livedMs: number;
  /** Whether it ended with a record, which a launcher that refuses to start anything does not write. */
  readonly isRecorded: boolean;
}

/**
 * Judges the end of a child that ended by itself.
 *
 * A scanner that was taken over can end as one that its sandbox could not start (126, or the words of
 * `bwrap`): who started it cannot see from outside how far the start came. It gains an error that sends
 * the operator to the doctor, and loses its report; the words of a refusal it cannot put into it.
 */
function exitOf(
  status: Deno.CommandStatus,
  traces: Traces,
  { argv, limits }: SpawnOptions,
): Exit {
  const { stderr, livedMs, isRecorded } = traces;
  if (status.success) return { kind: "exited", code: 0, signal: null };
  if (isLaunchFailure(status.code, traces)) {
    const refusal = isRecorded
      ? undefined
      : REFUSALS.find((one) => stderr.startsWith(`${REFUSAL}${one}\n`));
    throw new AppError(
      "tool_unavailable",
      `Cannot start "${argv.toJSON()[0]}": ${
        refusal ?? "its sandbox does not start; doctor --sandbox says why"
      }`,
      { detail: stderr },
    );
  }
  const signal = signalOf(status.code, status.signal);
  const cores = navigator.hardwareConcurrency;
  const limit = limitReached({ signal, stderr, livedMs, cores }, limits);
  return limit === null
    ? { kind: "exited", code: status.code, signal }
    : { kind: "limit", limit };
}

/** Whether the launcher or what it starts the scanner with failed, and not the scanner. */
function isLaunchFailure(
  code: number,
  { stderr, isRecorded }: Traces,
): boolean {
  const isRefused = code === LAUNCHER_REFUSED && !isRecorded;
  return isRefused && stderr.startsWith(REFUSAL) ||
    NOT_STARTED.includes(code) ||
    /^(?:bwrap|setpriv|prlimit|nsenter|runsc): /.test(stderr);
}

/** The end of a child that we bring about: begun once, with the first reason. */
class Ending {
  readonly #child: Deno.ChildProcess;
  readonly #unkillable = Promise.withResolvers<never>();
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  #exit: Exit | null = null;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    // Awaited only through the race in reaped(); a rejection after that race is of no concern.
    this.#unkillable.promise.catch(() => {});
  }

  /** Why it was ended, or null if it was not. */
  get exit(): Exit | null {
    return this.#exit;
  }

  begin(exit: Exit): void {
    if (this.#exit !== null) return;
    this.#exit = exit;
    this.#kill("SIGTERM");
    this.#timers.push(setTimeout(() => this.#kill("SIGKILL"), KILL_GRACE_MS));
    this.#timers.push(setTimeout(() => {
      this.#unkillable.reject(
        new AppError(
          "internal",
          "Cannot end the scanner: it does not die; see the server log",
          {
            detail: `pid ${this.#child.pid} survived SIGKILL for ${REAP_MS} ms`,
          },
        ),
      );
    }, KILL_GRACE_MS + REAP_MS));
  }

  async reaped(): Promise<Deno.CommandStatus> {
    try {
      return await Promise.race([this.#child.status, this.#unkillable.promise]);
    } finally {
      for (const timer of this.#timers) clearTimeout(timer);
    }
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (thrown) {
      // It ended between the decision and the signal: that is what was wanted.
      if (
        !(thrown instanceof TypeError) &&
        !(thrown instanceof Deno.errors.NotFound)
      ) throw thrown;
    }
  }
}

/** One stream on its way to its taker. */
interface Pump {
  readonly done: Promise<void>;
  readonly stop: () => Promise<void>;
}

function pump(
  stream: ReadableStream<Uint8Array>,
  take: (bytes: Uint8Array) => void,
): Pump {
  const reader = stream.getReader();
  const done = (async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      take(value);
    }
  })();
  return { done, stop: () => reader.cancel() };
}

/** Hands a stream on up to a cap. What comes after it goes nowhere, so that no child is held in a write. */
function capped(
  bytesMax: number,
  take: (bytes: Uint8Array) => void,
  overflow: () => void,
): (bytes: Uint8Array) => void {
  let left = bytesMax;
  return (bytes) => {
    const kept = bytes.byteLength > left ? bytes.subarray(0, left) : bytes;
    left -= kept.byteLength;
    if (kept.byteLength > 0) take(kept);
    if (kept.byteLength < bytes.byteLength) overflow();
  };
}

/** Waits for what is still to be read, and tells whether that was all. */
async function drain(pumps: readonly Pump[]): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), DRAIN_MS);
  const isWhole = await Promise.race([
    Promise.all(pumps.map((pump) => pump.done)).then(() => true),
    late.promise,
  ]);
  clearTimeout(timer);
  await Promise.all(pumps.map((pump) => pump.stop()));
  return isWhole;
}
