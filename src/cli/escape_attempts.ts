/**
 * The attempts of `doctor --sandbox`, in the order of its table. What each does stands in
 * `sandbox/escape.nse` under the same name.
 *
 * @module
 */

/** One attempt. */
export interface Attempt {
  /** Its name in the script. */
  readonly name: string;
  /** For a person. */
  readonly what: string;
  /** What has to happen. */
  readonly expected: string;
}

/** Every attempt. */
export const ATTEMPTS: readonly Attempt[] = [
  attempt("shadow", "read /etc/shadow", "not there"),
  attempt("homes", "see the homes of users", "not there"),
  attempt("server_files", "read the server's code and files", "not there"),
  attempt("server_memory", "read the server's memory", "not there"),
  attempt("write", "write outside its /tmp", "read-only"),
  attempt("host_sockets", "see the sockets of the host", "not there"),
  attempt("processes", "see the processes of the host", "its own only"),
  attempt("shell", "run a shell", "none on this kernel"),
  attempt(
    "fork_bomb",
    "start 64 processes and leave them",
    "none on this kernel",
  ),
  attempt("setuid", "gain rights from a setuid program", "no new rights"),
  attempt("capabilities", "use rights that no scan needs", "none left"),
  attempt("system_calls", "make any system call", "filtered"),
  attempt("memory", "allocate more memory than its limit", "limited"),
  attempt("disk", "fill the disk", "limited"),
  attempt("open_files", "open 10,000 files", "limited"),
];

function attempt(name: string, what: string, expected: string): Attempt {
  return { name, what, expected };
}
