/**
 * `doctor --sandbox`: tries to get out of the sandbox and prints what happened.
 *
 * The attempts are a script for nmap, which runs Lua: what it can do, an nmap under somebody else's
 * control can do. It runs through the very launcher and with the very limits of scans. No scan is able
 * to run it: the path of a script is in no grammar but the one below.
 *
 * @module
 */
import { readConfig } from "@/config/boot.ts";
import { guardrailsOf } from "@/config/guardrails.ts";
import type { Config } from "@/config/schema.ts";
import { AppError, toAppError } from "@/error/app_error.ts";
import { queryPermission } from "@/isolate/grant.ts";
import { Argv, type Grammar, SafeText } from "@/spawn/argv.ts";
import type { Exit } from "@/spawn/exit.ts";
import { launchedIn } from "@/spawn/launcher.ts";
import { findPrograms } from "@/spawn/program.ts";
import { spawn } from "@/spawn/spawn.ts";
import { Tail } from "@/spawn/tail.ts";
import { type Attempt, ATTEMPTS } from "./escape_attempts.ts";
import { styleOf } from "./style.ts";
import { table } from "./table.ts";
import { EXIT, type World } from "./world.ts";

/** nmap as a host for the planted script: it scans nothing. */
const GRAMMAR: Grammar = {
  program: "nmap",
  flags: new Map([
    ["-n", "none"],
    ["--unprivileged", "none"],
    ["--script", "equals"],
    ["--script-args", "equals"],
  ]),
};

/** What the script says first. */
const THROUGH = "ESCAPE-THROUGH ";
const HELD = "ESCAPE-HELD ";

const ATTEMPT_TIMEOUT_MS = 30_000;
const OUTPUT_BYTES_MAX = 65_536;

/** One row of the table. */
interface Row {
  readonly attempt: string;
  readonly expected: string;
  readonly seen: string;
  readonly held: boolean;
}

/**
 * Runs the attempts.
 *
 * @param world The process.
 * @returns 0 if all were held, 3 if one got through or could not be made.
 */
export async function doctorSandbox(world: World): Promise<number> {
  try {
    const { config } = await readConfig(world.env);
    const nmap = findNmap(world);
    const rows: Row[] = [];
    // One after the other: each has the limits of a scan to itself.
    for (const attempt of ATTEMPTS) {
      rows.push(await tried(attempt, { nmap, config, root: world.root }));
    }
    show(world, launchedIn(nmap), rows);
    return rows.every(({ held }) => held) ? EXIT.ok : EXIT.failed;
  } catch (thrown) {
    const { message, detail } = toAppError(thrown);
    // The words of the sandbox itself, for the operator alone.
    world.printError(
      `${message}\n${detail === undefined ? "" : `${detail}\n`}`,
    );
    return EXIT.fault;
  }
}

function findNmap({ path }: World): string {
  const query = (command: string) => queryPermission({ name: "run", command });
  const [nmap] = findPrograms("nmap", path, query);
  if (nmap !== undefined) return nmap;
  throw new AppError(
    "tool_unavailable",
    "Cannot try the sandbox: the attempts are scripts for nmap, which is not installed; run scripts/setup.sh",
  );
}

function cage(config: Config) {
  const { nmap, egressGuard } = guardrailsOf(config, []);
  return { limits: nmap.limits, egressGuard };
}

/** Where an attempt is made. */
interface Stage {
  readonly nmap: string;
  readonly config: Config;
  /** The folder that holds `sandbox`. */
  readonly root: string;
}

async function tried(attempt: Attempt, stage: Stage): Promise<Row> {
  const { name, what, expected } = attempt;
  const output = new Tail(OUTPUT_BYTES_MAX);
  const take = (bytes: Uint8Array) => output.add(bytes);
  const { exit } = await spawn({
    program: stage.nmap,
    argv: attemptArgv(name, stage),
    ...cage(stage.config),
    timeoutMs: ATTEMPT_TIMEOUT_MS,
    outputBytesMax: OUTPUT_BYTES_MAX,
    signal: new AbortController().signal,
    stdout: take,
    stderr: take,
  });
  return { attempt: what, expected, ...judged(exit, output.text()) };
}

function attemptArgv(name: string, { nmap, config, root }: Stage): Argv {
  const { addressSpaceBytes, fileBytes, openFiles } = cage(config).limits;
  const facts = [
    `attempt=${name}`,
    `pid=${Deno.pid}`,
    `memory=${addressSpaceBytes}`,
    `file=${fileBytes}`,
    `files=${openFiles}`,
    `own_kernel=${launchedIn(nmap) === "gvisor" ? 1 : 0}`,
  ].join(",");
  const script = `${root}/sandbox/escape.nse`;
  return Argv.build(GRAMMAR, [
    { flag: "-n" },
    { flag: "--unprivileged" },
    { flag: "--script", value: SafeText.match(script, /[\x21-\x7e]+/) },
    { flag: "--script-args", value: SafeText.match(facts, /[a-z0-9_=,]+/) },
  ]);
}

/** What was not clearly held got through. */
function judged(exit: Exit, output: string): Pick<Row, "seen" | "held"> {
  const said = (mark: string) =>
    new RegExp(`${mark}(.*)`).exec(output)?.[1]?.trim();
  const through = said(THROUGH);
  if (through !== undefined) {
    return { seen: `GOT THROUGH: ${through}`, held: false };
  }
  const held = said(HELD);
  if (held !== undefined) return { seen: `held: ${held}`, held: true };
  if (exit.kind === "limit") {
    return { seen: `held: ended by the limit of ${exit.limit}`, held: true };
  }
  if (exit.kind === "exited" && exit.signal !== null) {
    return { seen: `held: ended by ${exit.signal}`, held: true };
  }
  const last = output.trim().split("\n").at(-1) ?? "";
  return { seen: `could not be tried: ${last.slice(0, 100)}`, held: false };
}

function show(world: World, mode: string, rows: readonly Row[]): void {
  const escaped = rows.filter(({ held }) => !held).length;
  if (world.args.includes("--json")) {
    const report = { sandbox: mode, ok: escaped === 0, attempts: rows };
    return world.print(JSON.stringify(report, null, 2) + "\n");
  }
  const { stdout, colour } = world.terminal;
  const style = styleOf(stdout && colour);
  const lines = table(
    [
      ["attempt", "expected", "seen"],
      ...rows.map(({ attempt, expected, seen }) => [attempt, expected, seen]),
    ],
    Number.POSITIVE_INFINITY,
  );
  lines.forEach((line, i) => {
    const row = rows[i - 1];
    const paint = row === undefined
      ? style.bold
      : row.held
      ? style.green
      : style.red;
    world.print(paint(line) + "\n");
  });
  world.print(
    escaped === 0
      ? `\n${mode} held all ${rows.length} attempts\n`
      : `\n${escaped} of ${rows.length} attempts got through: the sandbox is ${mode}\n`,
  );
}
