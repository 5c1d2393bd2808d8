/**
 * The composition root: the only file that touches arguments, environment, signals and exit. It
 * gathers what a command may know of the process and hands over; each command lives in `cli/`.
 *
 * @module
 */
import { ENVIRONMENT_NAMES } from "@/config/schema.ts";
import { EXIT, type World } from "@/cli/world.ts";
import { VERSION } from "@/cli/version.ts";

type Command = (world: World) => Promise<number>;

/** Each command and how it is loaded: only the one that runs costs anything. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("@/cli/serve.ts")).serve,
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

function terminal(): World["terminal"] {
  const isTerminal = Deno.stdout.isTerminal();
  return { isTerminal, columns: isTerminal ? Deno.consoleSize().columns : 80 };
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
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  const command = load ?? (async () => (await import("@/cli/help.ts")).help);
  const world: World = {
    args: load === undefined ? Deno.args : args,
    env: readEnv(),
    path: Deno.env.get("PATH") ?? "",
    root: new URL("..", import.meta.url).pathname.replace(/\/$/, ""),
    version: VERSION,
    terminal: terminal(),
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
