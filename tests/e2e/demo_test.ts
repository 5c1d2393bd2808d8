/**
 * What the README tells a person to run first: `deno task demo` with the real tools, where loopback is
 * the only network, and the configuration that it offers to clients.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { OFFLINE } from "../support/network.ts";
import { processes } from "../support/processes.ts";
import { startCommand } from "../support/server.ts";
import { ROOT } from "../support/task.ts";

/** The demo gives up by itself before this. */
const PATIENCE_MS = 240_000;

const ESCAPE = "\x1b";

interface Ended {
  readonly code: number;
  readonly text: string;
  /** Command lines of what the demo left behind. */
  readonly left: readonly string[];
}

interface DemoOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Whether its output is a terminal. */
  readonly terminal?: boolean;
  /** Interrupts it once its output holds this. */
  readonly interruptAt?: string;
}

/** Runs the demo to its end. What it starts stays in a session of its own and is found by it. */
async function demo(options: DemoOptions = {}): Promise<Ended> {
  const command = options.terminal
    ? ["script", "-qec", "deno task --quiet demo", "/dev/null"]
    : ["deno", "task", "--quiet", "demo"];
  const [program = "", ...args] = [...OFFLINE, ...command];
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "", TERM: "xterm", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const overdue = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  let text = "";
  let interrupted = false;
  const read = async (stream: ReadableStream<Uint8Array>) => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
      const { interruptAt } = options;
      if (interruptAt === undefined || interrupted) continue;
      if (!text.includes(interruptAt)) continue;
      interrupted = true;
      child.kill("SIGINT");
    }
  };
  const [{ code }] = await Promise.all([
    child.status,
    read(child.stdout),
    read(child.stderr),
  ]);
  clearTimeout(overdue);
  const left = (await processes()).filter(({ session }) =>
    session === child.pid
  );
  return { code, text, left: left.map(({ commandLine }) => commandLine) };
}

Deno.test("deno task demo lists the tools, scans, is refused three times and ends with 0", async () => {
  verifies("demo.runs");
  const { code, text, left } = await demo();
  assert.equal(code, 0, text);
  for (
    const tool of [
      "nmap",
      "masscan",
      "gobuster",
      "scan_status",
      "scan_results",
      "scan_list",
      "scan_diff",
      "inventory",
      "scan_cancel",
    ]
  ) {
    assert.match(text, new RegExp(`^ +${tool} {2,}\\S`, "m"));
  }
  assert.match(text, /would run nmap .* 127\.0\.0\.1\n/);
  assert.match(text, /progress: .*\b[1-9]\d?%.*\n +progress: .*\b[1-9]\d?%/);
  assert.match(text, /\d+\/tcp +open +http +nginx 1\.22\.1\n/);
  assert.match(text, /flagged: it reads like an instruction/);
  assert.match(text, / 200 .*login\n/);
  assert.match(text, /target_not_allowed Cannot scan "203\.0\.113\.10": /);
  assert.match(text, /network_too_large Cannot .* use \/22 or smaller/);
  assert.match(text, /invalid_arguments Cannot use the flag "-oN"/);
  assert.doesNotMatch(text, /WRONG/);
  assert.ok(!text.includes(ESCAPE), "a pipe gets no escape sequence");
  assert.deepEqual(left, []);
});

Deno.test("deno task demo is in colour on a terminal, and NO_COLOR leaves every escape sequence out", async () => {
  verifies("demo.runs");
  const [colour, plain] = await Promise.all([
    demo({ terminal: true }),
    demo({ terminal: true, env: { NO_COLOR: "1" } }),
  ]);
  assert.equal(colour.code, 0, colour.text);
  assert.ok(colour.text.includes(`${ESCAPE}[31mtarget_not_allowed`));
  assert.match(colour.text, /\[[#-]{20}\]/);
  assert.equal(plain.code, 0, plain.text);
  assert.ok(!plain.text.includes(ESCAPE));
});

Deno.test("deno task demo that is interrupted ends with 130 and leaves no process", async () => {
  verifies("demo.runs");
  const { code, text, left } = await demo({ interruptAt: "progress: " });
  assert.equal(code, 130, text);
  assert.deepEqual(left, []);
});

/** Where the README says that the repository lies. */
const PLACE = "/path/to/security-mcp-server";

async function readme(): Promise<string> {
  return await Deno.readTextFile(`${ROOT}README.md`);
}

/** Starts a command line of the README elsewhere, as a client does, and asks it for its name. */
async function nameOf(command: string, args: readonly string[]): Promise<void> {
  await using server = startCommand(
    "sh",
    ["-c", 'cd / && exec "$@"', "sh", command, ...args],
  );
  const { serverInfo } = await server.initialize();
  assert.equal((serverInfo as { name: string }).name, "security-mcp-server");
  assert.equal((await server.close()).code, 0);
  assert.deepEqual(server.stray, []);
}

Deno.test("the mcpServers JSON of the README starts this server from anywhere", async () => {
  verifies("readme.config_pastes");
  const json = /```json\n(\{\s*"mcpServers"[\s\S]*?)```/.exec(await readme());
  const { mcpServers } = JSON.parse(json?.[1] ?? "") as {
    mcpServers: Record<string, { command: string; args: string[] }>;
  };
  const [entry] = Object.values(mcpServers);
  assert.ok(entry !== undefined && entry.args.includes(PLACE));
  await nameOf(
    entry.command,
    entry.args.map((arg) => arg === PLACE ? ROOT : arg),
  );
});

Deno.test("the command line for coding agents of the README starts this server", async () => {
  verifies("readme.config_pastes");
  const line = / mcp add \S+ -- (.*)/.exec(await readme())?.[1] ?? "";
  const [command = "", ...args] = line.replace(PLACE, ROOT).split(" ");
  await nameOf(command, args);
});
