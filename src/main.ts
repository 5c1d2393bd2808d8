/**
 * The composition root: the only file that touches arguments, environment, signals and exit. It
 * gathers what a command may know of the process and hands over; each command lives in `cli/`.
 *
 * @module
 */
import { ENVIRONMENT_NAMES } from "@/config/schema.ts";
import type { Terminal, World } from "@/cli/world.ts";
import { VERSION } from "@/cli/version.ts";

/** Nothing is cut where the output goes to a file or a program. */
const COLUMNS_WITHOUT_TERMINAL = 1_000;

const COLUMNS_OF_UNKNOWN_TERMINAL = 80;

type Command = (world: World) => Promise<number>;

/** Each command and how it is loaded: only the one that runs costs anything. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("@/cli/serve.ts")).serve,
  "serve-http": async () => (await import("@/cli/serve_http.ts")).serveHttp,
  "net-hosts": async () => (await import("@/cli/net_hosts.ts")).netHosts,
  keys: async () => (await import("@/cli/keys.ts")).keys,
  policy: async () => (await import("@/cli/policy.ts")).policy,
  scan: async () => (await import("@/cli/scan.ts")).scan,
  plan: async () => (await import("@/cli/plan.ts")).plan,
  doctor: async () => (await import("@/cli/doctor.ts")).doctor,
  config: async () => (await import("@/cli/config.ts")).config,
  audit: async () => (await import("@/cli/audit.ts")).audit,
  history: async () => (await import("@/cli/history.ts")).history,
  report: async () => (await import("@/cli/report.ts")).reports,
  import: async () => (await import("@/cli/import.ts")).importScans,
  store: async () => (await import("@/cli/store.ts")).store,
  selftest: async () => (await import("@/cli/selftest.ts")).selftest,
  "egress-rules": async () =>
    (await import("@/cli/egress_rules.ts")).egressRules,
};

function readEnv(): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of ENVIRONMENT_NAMES) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => controller.abort());
  }
  return controller.signal;
}

function terminal(): Terminal {
  const stdout = Deno.stdout.isTerminal();
  const stderr = Deno.stderr.isTerminal();
  const columns = stdout || stderr
    // A terminal that does not know its size says 0.
    ? Deno.consoleSize().columns || COLUMNS_OF_UNKNOWN_TERMINAL
    : COLUMNS_WITHOUT_TERMINAL;
  return {
    stdout,
    stderr,
    controlling: hasTerminal(),
    colour: !Deno.noColor,
    columns,
  };
}

/** Where it cannot be found out there may be one. */
function hasTerminal(): boolean {
  try {
    Deno.openSync("/dev/tty").close();
    return true;
  } catch (thrown) {
    return thrown instanceof Deno.errors.NotCapable;
  }
}

function writeAll(
  stream: { writeSync(bytes: Uint8Array): number },
  text: string,
): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.byteLength > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

async function run(): Promise<number> {
  const [name = "help", ...args] = Deno.args;
  const help = args.includes("--help");
  const load = !help && Object.hasOwn(COMMANDS, name)
    ? COMMANDS[name]
    : undefined;
  const command = load ?? (async () => (await import("@/cli/help.ts")).help);
  const world: World = {
    args: help ? ["help", name] : load === undefined ? Deno.args : args,
    env: readEnv(),
    path: Deno.env.get("PATH") ?? "",
    root: new URL("..", import.meta.url).pathname.replace(/\/$/, ""),
    version: VERSION,
    terminal: terminal(),
    get input() {
      return Deno.stdin.readable;
    },
    get output() {
      return Deno.stdout.writable;
    },
    print: (text) => writeAll(Deno.stdout, text),
    printError: (text) => writeAll(Deno.stderr, text),
    stop: stopSignal(),
    onReload: (reload) => Deno.addSignalListener("SIGHUP", reload),
  };
  return await (await command())(world);
}

if (import.meta.main) {
  // deno-lint-ignore no-top-level-await -- the one place that waits for the command's end
  Deno.exit(await run());
}
