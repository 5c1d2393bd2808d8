/**
 * What a child may use of the machine. A launcher (`sandbox/MODE/launch`) applies it to the scanner: the
 * numbers reach it as its whole environment.
 *
 * @module
 */

/** The limits that the kernel keeps for a child. */
export interface Limits {
  /** Seconds on a processor, over all threads. */
  readonly cpuSeconds: number;
  readonly addressSpaceBytes: number;
  /** Of one file, and of all files in the child's `/tmp`. */
  readonly fileBytes: number;
  /** Processes and threads at once. */
  readonly processes: number;
  readonly openFiles: number;
}

/** The name of one limit. */
export type LimitName = keyof Limits;

/**
 * Writes limits as the environment that a launcher takes.
 *
 * @param limits The limits.
 * @param egressGuard Whether the child may run only where the egress guard filters its packets.
 * @param server The process id of the launcher's parent. Without this parent it starts nothing.
 * @returns The variables: the child's whole environment.
 */
export function limitEnvironment(
  limits: Limits,
  egressGuard: boolean,
  server: number,
): Record<string, string> {
  return {
    SANDBOX_SERVER: String(server),
    SANDBOX_CPU_SECONDS: String(limits.cpuSeconds),
    SANDBOX_ADDRESS_SPACE_BYTES: String(limits.addressSpaceBytes),
    SANDBOX_FILE_SIZE_BYTES: String(limits.fileBytes),
    SANDBOX_PROCESSES: String(limits.processes),
    SANDBOX_OPEN_FILES: String(limits.openFiles),
    SANDBOX_EGRESS_GUARD: egressGuard ? "1" : "0",
  };
}

/** What scanners and the libraries below them say when a limit stops them. */
const COMPLAINTS: readonly (readonly [LimitName, RegExp])[] = [
  ["openFiles", /too many open files/i],
  [
    "processes",
    /failed to create new OS thread|pthread_create|resource temporarily unavailable/i,
  ],
  [
    "addressSpaceBytes",
    /out of memory|cannot allocate memory|not enough memory|bad_alloc|malloc failed|failed to (?:reserve|allocate)/i,
  ],
  ["fileBytes", /file too large|no space left on device/i],
];

/** Signals by which the kernel ends a child that reached a limit. */
const SIGNALS: ReadonlyMap<string, LimitName> = new Map([
  ["SIGXCPU", "cpuSeconds"],
  ["SIGXFSZ", "fileBytes"],
]);

/** How a child ended, as far as a limit may show in it. */
export interface LimitSigns {
  /** The signal that ended it and was not ours. */
  readonly signal: string | null;
  /** The end of its stderr. */
  readonly stderr: string;
  /** How long it lived, in milliseconds. */
  readonly livedMs: number;
  /** The machine's cores. */
  readonly cores: number;
}

/**
 * Tells which limit ended a child.
 *
 * @param signs How it ended.
 * @param limits What it might use.
 * @returns The limit, or null if none did as far as can be seen.
 */
export function limitReached(
  signs: LimitSigns,
  limits: Limits,
): LimitName | null {
  const { signal, stderr, livedMs, cores } = signs;
  const told = signal === null ? undefined : SIGNALS.get(signal);
  if (told !== undefined) return told;
  // A program that ignores the warning (Go's do) is killed two seconds of processor time later. It
  // cannot have used them up if it did not live long enough on all cores.
  if (
    signal === "SIGKILL" && livedMs * cores >= limits.cpuSeconds * 1000
  ) return "cpuSeconds";
  return COMPLAINTS.find(([, complaint]) => complaint.test(stderr))?.[0] ??
    null;
}
