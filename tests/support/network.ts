/**
 * Networks of a test: a port that nobody uses, and a place without any network but loopback.
 *
 * @module
 */

/**
 * Finds a port of loopback that nobody listens on now. Needs `--allow-net=127.0.0.1`.
 *
 * @returns The port.
 */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/**
 * What to write in front of a command to run it where loopback is the only network: a network
 * namespace of its own, as root or through a user namespace. Every step replaces itself by the next,
 * so that the process started is the command. Needs `--allow-run=sh`.
 */
export const OFFLINE: readonly string[] = [
  "sh",
  "-c",
  'PATH="$PATH:/usr/sbin:/sbin"; ' +
  'if [ "$(id -u)" = 0 ]; then flags=-n; else flags=-rn; fi; ' +
  'exec unshare $flags sh -c \'ip link set lo up && exec "$@"\' sh "$@"',
  "sh",
];

/**
 * Runs a command to its end where loopback is the only network.
 *
 * @param command The program and its arguments.
 * @returns How it ended and what it printed.
 */
export function offline(
  command: readonly [string, ...string[]],
): Promise<Deno.CommandOutput> {
  const [program = "sh", ...args] = [...OFFLINE, ...command];
  return new Deno.Command(program, { args, stdin: "null" }).output();
}
