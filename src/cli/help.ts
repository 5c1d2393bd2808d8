/**
 * `help`: what the program can be asked to do.
 *
 * @module
 */
import { EXIT, type World } from "./world.ts";

const TEXT =
  `Security MCP Server: runs nmap, masscan and gobuster safely for agents and people

  deno task serve                      MCP server over stdio
  deno task scan TOOL TARGET [...]     scan once: scan nmap 127.0.0.1 --ports 1-1024
  deno task plan TOOL TARGET [...]     what a scan would do; nothing is sent
  deno task doctor                     what this host can do, and what to mend
  deno task doctor --sandbox           tries to get out of the sandbox, and says what held
  deno task config print               the configuration in force and where it comes from
  deno task config check FILE          whether a file can be used
  deno task config default             every key with its default, range and variable
  deno task selftest                   the hostile corpus against your configuration
  deno task demo                       a tour: server, client, scans and refusals on loopback
  deno task egress-guard up|down|...   the scanners' network and its packet filter (root)
  deno task lab up|down|status|exec    a network of namespaces with real services

scan and plan take the tool's own arguments as options:
  scan nmap 10.0.0.0/28 --top-ports 100 --service-detection
  scan masscan 10.0.0.0/24 --ports 80,443 --rate 500
  scan gobuster dir http://127.0.0.1:8080/ --wordlist common
  scan nmap 127.0.0.1 --extra-args "--open --reason"

scan, plan, doctor, selftest, config print and config check take --json. NO_COLOR=1 leaves colours out.
MCP_CONFIG_FILE names a configuration file; put it below config/.
Ctrl-C ends a scan and prints what was found.

Exit codes: 0 done, 1 the program cannot start, 2 refused, 3 failed, 4 timed out, 130 interrupted
`;

/**
 * Prints the help.
 *
 * @param world The process.
 * @returns 0 if it was asked for, 2 if the command is unknown.
 */
export function help(world: World): Promise<number> {
  const [name] = world.args;
  const asked = name === undefined || ["help", "--help", "-h"].includes(name);
  if (asked) {
    world.print(TEXT);
  } else {
    world.printError(
      `Cannot run the command: there is none of that name\n\n${TEXT}`,
    );
  }
  return Promise.resolve(asked ? EXIT.ok : EXIT.refused);
}
