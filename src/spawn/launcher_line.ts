/**
 * Tells the words of the launchers from those of the scanner, which share a stream.
 *
 * @module
 */

/** A launcher's own `sandbox: …`, and what it starts the scanner with. */
const SPEAKER = /^(?:sandbox|bwrap|env|nsenter|perl|prlimit|runsc|setpriv): /;

/** The shell that runs a launcher, which names itself by its path and the line. */
const SHELL = /^(?:\S+|\/.*): (?:line )?\d+: /;

/** Whatever names a launcher or what lies beside it: perl does so at the end of its lines. */
const PLACE = /\/sandbox\/(?:gvisor|bwrap|none)\//;

/**
 * Tells whether a line of a scanner's output may be a launcher's. Those name paths of this machine, so
 * they are for the log.
 *
 * @param line The line.
 * @returns Whether to keep it back.
 */
export function isLauncherLine(line: string): boolean {
  return [SPEAKER, SHELL, PLACE].some((one) => one.test(line));
}
