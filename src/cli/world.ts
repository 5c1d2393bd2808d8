/**
 * What a command gets of the process it runs in. Only `main.ts` fills this in, so that no other
 * module reads arguments, environment or streams by itself.
 *
 * @module
 */

import type { From } from "@/audit/entry.ts";

/** Where the output goes. */
export interface Terminal {
  /** Whether stdout is one. */
  readonly stdout: boolean;
  /** Whether stderr is one. */
  readonly stderr: boolean;
  /** Whether the process has one at all, though neither stream is one (`/dev/tty`). */
  readonly controlling: boolean;
  /** Whether colours are wanted (`NO_COLOR`). */
  readonly colour: boolean;
  /** Its width in characters; large where there is none. */
  readonly columns: number;
}

/** The process as a command sees it. */
export interface World {
  /** Arguments behind the command's name. */
  readonly args: readonly string[];
  /** The environment variables that the configuration knows, as far as they are set. */
  readonly env: Readonly<Record<string, string>>;
  /** `PATH` as the process started with it. */
  readonly path: string;
  /** Absolute path of the folder that holds `src` and `config`. */
  readonly root: string;
  /** The program's version. */
  readonly version: string;
  readonly terminal: Terminal;
  /** Standard input and output as streams, for a protocol. */
  readonly input: ReadableStream<Uint8Array>;
  readonly output: WritableStream<Uint8Array>;
  /** Prints to stdout. */
  readonly print: (text: string) => void;
  /** Prints to stderr. */
  readonly printError: (text: string) => void;
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly stop: AbortSignal;
  /** Hears of SIGHUP. */
  readonly onReload: (reload: () => void) => void;
}

/** Whoever runs a command, for the audit log: the operating system knows who that is, we do not. */
export const AT_TERMINAL: From = {
  client: "a person at a terminal",
  transport: "cli",
  address: null,
};

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  fault: 1,
  refused: 2,
  failed: 3,
  timedOut: 4,
  interrupted: 130,
} as const;

/** Fills an array with unpredictable bytes. */
export function fillRandom(bytes: Uint8Array): void {
  crypto.getRandomValues(bytes);
}
