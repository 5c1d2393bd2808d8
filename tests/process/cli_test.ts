/**
 * The commands for a person at a terminal, started with the flags of their tasks.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import {
  type Prepared,
  prepareServer,
  withFolders,
} from "../support/server.ts";
import {
  copyStandIn,
  type StandIn,
  standIn,
  type StandInCopy,
} from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";

/** How a command is started. */
interface Options {
  /** The folder that comes first in `PATH`. @default the stand-in `canned` */
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly edit?: (args: readonly string[]) => readonly string[];
}

/** How a command ended. */
interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Prepares a task with a state folder that nobody keeps. */
function prepare(
  task: string,
  args: readonly string[],
  { path = standIn("canned"), env, edit }: Options = {},
): Prepared {
  return prepareServer({
    task,
    path: [path],
    args,
    ...(env === undefined ? {} : { env }),
    ...(edit === undefined ? {} : { edit }),
  });
}

function start(prepared: Prepared): Deno.ChildProcess {
  return new Deno.Command(prepared.program, {
    args: [...prepared.args],
    env: { ...prepared.env },
    cwd: ROOT,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Writes an escape character as `^`, so that it can be read and matched. */
function visible(text: string): string {
  return text.replaceAll("\x1b", "^");
}

async function ended(child: Deno.ChildProcess): Promise<Ended> {
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array) =>
    visible(new TextDecoder().decode(bytes));
  return { code, out: decode(stdout), err: decode(stderr) };
}

function run(
  task: string,
  args: readonly string[],
  options: Options = {},
): Promise<Ended> {
  return ended(start(prepare(task, args, options)));
}

/** Waits until a copy's program runs. */
async function running(copy: StandInCopy): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const alive = await copy.alive();
    // The trial of raw packets comes first, and is no scan.
    const scans = (await copy.starts()).filter((line) =>
      line.includes(" -oX ")
    );
    if (alive > 0 && scans.length > 0) return;
  }
  assert.fail("the scan was not started");
}

const SCAN = ["nmap", "127.0.0.1", "--ports", "80"] as const;

Deno.test("scan ends with 0 and a table of what was found", async () => {
  verifies("cli.scan.exit_codes", "cli.scan.table_and_bar");
  const { code, out, err } = await run("scan", SCAN);
  assert.equal(code, 0, err);
  assert.match(out, /^HOST +PORT +STATE +SERVICE/m);
  assert.match(out, /^127\.0\.0\.1 +22\/tcp +open +ssh$/m);
  assert.match(out, /^Done: 1 of 1 host up, 2 open ports/m);
  // No terminal: no colour, no bar, nothing to erase.
  assert.doesNotMatch(out + err, /\^/);
});

/** A stand-in, what it is asked, and how `scan` ends. */
const ENDS: readonly (readonly [StandIn, readonly string[], number, string])[] =
  [
    ["canned", ["nmap", "8.8.8.8"], 2, "target_not_allowed"],
    [
      "canned",
      ["nmap", "127.0.0.1", "--timing", "5"],
      2,
      "intrusive_not_allowed",
    ],
    ["canned", ["nmap", "127.0.0.1", "--no-such"], 2, "invalid_arguments"],
    ["canned", ["nikto", "127.0.0.1"], 2, "tool_not_found"],
    ["canned", [], 2, "invalid_arguments"],
    ["fails", SCAN, 3, "tool_failed"],
    ["dies_halfway", SCAN, 3, "tool_failed"],
    ["flood", SCAN, 3, "output_limit"],
    ["hangs", [...SCAN, "--timeout-seconds", "1"], 4, "timeout"],
  ];

Deno.test("scan ends with 2 refused, 3 failed, 4 timed out, and says why", async () => {
  verifies("cli.scan.exit_codes");
  for (const [name, args, expected, word] of ENDS) {
    await using copy = await copyStandIn(name);
    const { code, out, err } = await run("scan", args, { path: copy.path });
    assert.equal(code, expected, `${args.join(" ")}: ${out}${err}`);
    assert.match(out + err, new RegExp(`^${word}: Cannot `, "m"));
    assert.equal(await copy.alive(), 0);
  }
});

Deno.test("scan --json prints one JSON document and nothing else, however it ends", async () => {
  verifies("cli.scan.json");
  for (const [name, args, expected, word] of ENDS) {
    const json = [...args, "--json"];
    const { code, out } = await run("scan", json, { path: standIn(name) });
    assert.equal(code, expected);
    assert.equal(JSON.parse(out).error.code, word);
  }
  const { code, out, err } = await run("scan", [...SCAN, "--json"]);
  assert.deepEqual([code, err], [0, ""]);
  const scan = JSON.parse(out) as Record<string, unknown>;
  assert.deepEqual(Object.keys(scan), [
    "scan_id",
    "tool",
    "target",
    "status",
    "scan_type",
    "started_at",
    "finished_at",
    "duration_seconds",
    "argv",
    "summary",
    "notes",
    "report",
    "error",
    "trace_id",
  ]);
  assert.equal(scan["status"], "succeeded");
});

Deno.test("an interrupt ends the scan with 130 and leaves no process behind", async () => {
  verifies("cli.scan.exit_codes", "cli.scan.interrupt_leaves_nothing");
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await using copy = await copyStandIn("stubborn");
    const child = start(prepare("scan", SCAN, { path: copy.path }));
    const end = ended(child);
    await running(copy);
    child.kill(signal);
    const { code, out } = await end;
    assert.equal(code, 130, signal);
    assert.match(out, /^Cancelled/m);
    assert.equal(await copy.alive(), 0, signal);
  }
});

/** A command on a terminal of its own. */
interface OnTerminal {
  /** Waits until it has written something; what came already counts. */
  shows(pattern: RegExp): Promise<void>;
  /** Presses keys. */
  press(keys: string): Promise<void>;
  /** How it ended, and all that it wrote. */
  readonly end: Promise<Ended>;
}

/** Starts a command on a terminal of its own. */
function startOnTerminal(prepared: Prepared): OnTerminal {
  const quoted = [prepared.program, ...prepared.args]
    .map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const child = new Deno.Command("script", {
    args: ["-qefc", quoted, "/dev/null"],
    // An empty NO_COLOR is none: the test's own must not reach the command.
    env: { NO_COLOR: "", TERM: "xterm", ...prepared.env },
    cwd: ROOT,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  let out = "";
  let wake = () => {};
  const end = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of child.stdout) {
      out += visible(decoder.decode(bytes, { stream: true }));
      wake();
    }
    const { code } = await child.status;
    await writer.close().catch(() => {});
    return { code, out, err: "" };
  })();
  const over = end.then(() => true);
  return {
    end,
    press: (keys) => writer.write(new TextEncoder().encode(keys)),
    shows: async (pattern) => {
      while (!pattern.test(out)) {
        const more = Promise.withResolvers<false>();
        wake = () => more.resolve(false);
        const ended = await Promise.race([more.promise, over]);
        assert.ok(!ended || pattern.test(out), out);
      }
    },
  };
}

const BAR = /\r\^\[2K\[#+-+\] +50 % {2}\d+ s left {2}\d+ found/;

Deno.test("scan shows a bar with the time left on a terminal, and colours unless NO_COLOR is set", async () => {
  verifies("cli.scan.table_and_bar", "progress.live");
  await using copy = await copyStandIn("slow");
  for (const env of [{}, { NO_COLOR: "1" }]) {
    const options = { path: copy.path, env };
    const terminal = startOnTerminal(prepare("scan", SCAN, options));
    await terminal.shows(BAR);
    await copy.open();
    const { code, out } = await terminal.end;
    assert.equal(code, 0, out);
    const coloured = !("NO_COLOR" in env);
    assert.equal(/\^\[\d+m/.test(out), coloured);
    assert.match(out, coloured ? /\^\[32mDone: / : /Done: /);
    // The bar is erased before the table is written.
    assert.match(out, /found[^\n]*\r\^\[2K[^\n]*nmap 127\.0\.0\.1/);
  }
});

Deno.test("Ctrl-C on a terminal ends the scan with 130 and leaves no process behind", async () => {
  verifies("cli.scan.interrupt_leaves_nothing");
  await using copy = await copyStandIn("stubborn");
  const prepared = prepare("scan", SCAN, { path: copy.path });
  const terminal = startOnTerminal(prepared);
  await running(copy);
  await terminal.press("\x03");
  const { code, out } = await terminal.end;
  assert.equal(code, 130, out);
  assert.match(out, /Cancelled/);
  assert.equal(await copy.alive(), 0);
});

Deno.test("plan shows the command line and every verdict, and starts no scan", async () => {
  verifies("plan.spawns_nothing");
  await using copy = await copyStandIn("canned");
  const path = copy.path;
  const { code, out } = await run("plan", SCAN, { path });
  assert.equal(code, 0);
  assert.match(out, /^ {2}nmap .* -p 80 .*127\.0\.0\.1$/m);
  assert.match(out, /^ {2}allows +scope/m);
  const refused = await run("plan", ["nmap", "8.8.8.8", "--json"], { path });
  assert.equal(refused.code, 2);
  const plan = JSON.parse(refused.out);
  assert.deepEqual([plan.allowed, plan.argv], [false, []]);
  assert.ok(plan.guardrails.length >= 5);
  const scans = (await copy.starts()).filter((line) => line.includes(" -oX "));
  assert.deepEqual(scans, []);
});

Deno.test("plan refuses what the engagement is not bound to: the isolate judges it, too", async () => {
  verifies("scans.engagement_scope");
  const env = { MCP_SECURITY_ENGAGEMENT_SUBNETS: "spring=127.0.0.0/30" };
  const plan = (target: string) =>
    run("plan", ["nmap", target, "--engagement", "spring"], { env });
  assert.equal((await plan("127.0.0.1")).code, 0);
  const { code, out } = await plan("127.0.0.9");
  assert.equal(code, 2);
  assert.match(
    out,
    /refuses +scope +Cannot scan "127\.0\.0\.9": the engagement "spring" is bound to 127\.0\.0\.0\/30; name a target there/,
  );
});

Deno.test("plan names the command line that the scan then has", async () => {
  verifies("plan.equals_scan");
  for (
    const args of [
      SCAN,
      ["nmap", "127.0.0.1", "--extra-args=-sT --open -p 1-9"],
      ["gobuster", "dir", "http://127.0.0.1:8/", "--wordlist", "tiny"],
    ]
  ) {
    const plan = JSON.parse((await run("plan", [...args, "--json"])).out);
    const scan = JSON.parse((await run("scan", [...args, "--json"])).out);
    assert.ok(plan.argv.length > 0);
    assert.deepEqual(scan.argv, plan.argv, args.join(" "));
    assert.equal(scan.scan_type, plan.scan_type);
  }
});

Deno.test("doctor finds a sound host sound", async () => {
  verifies("doctor.json");
  const { code, out } = await run("doctor", ["--json"]);
  const { ok, findings } = JSON.parse(out);
  assert.deepEqual([code, ok], [0, true], out);
  const checks = findings.map(({ check }: { check: string }) => check);
  assert.deepEqual(checks, [
    "deno",
    "configuration",
    "permissions",
    "history",
    "isolates",
    "spawn",
    "sandbox",
    "nmap",
    "masscan",
    "gobuster",
    "raw sockets",
  ]);
});

Deno.test("doctor names a remedy for all that is not good, and its exit code tells", async () => {
  verifies("doctor.findings_have_remedies");
  await using copy = await copyStandIn("canned");
  const lib = `${copy.path}/../lib/answers.sh`;
  const text = await Deno.readTextFile(lib);
  await Deno.writeTextFile(
    lib,
    text.replace("Nmap version 7.93", "Nmap version 9.99")
      .replace("Masscan version 1.3.2", "no version"),
  );
  type Finding = { check: string; state: string; remedy: string };
  const look = async (options: Options) => {
    const { code, out } = await run("doctor", ["--json"], options);
    const findings = JSON.parse(out).findings as Finding[];
    for (const { state, remedy, check } of findings) {
      assert.equal(state === "ok", remedy === "", check);
    }
    const bad = findings.filter(({ state }) => state !== "ok");
    return [code, ...bad.map(({ check, state }) => `${check} ${state}`)];
  };
  assert.deepEqual(await look({ path: copy.path }), [
    3,
    "sandbox warning",
    "nmap warning",
    "masscan broken",
  ]);
  assert.deepEqual(
    await look({ env: { MCP_CONFIG_FILE: "config/no_such.yaml" } }),
    [3, "configuration broken"],
  );
  assert.deepEqual(
    await look({
      edit: ([run = "", ...args]) => [run, "--allow-net", ...args],
    }),
    [3, "permissions broken"],
  );
  assert.deepEqual(await look({ env: { MCP_NMAP_TIMING: "9" } }), [
    0,
    "configuration warning",
    "sandbox warning",
  ]);
});

Deno.test("selftest finds every guard holding on the defaults, and shows expected and seen", async () => {
  verifies("selftest.runs");
  await using copy = await copyStandIn("canned");
  const { code, out } = await run("selftest", ["--json"], { path: copy.path });
  const { ok, held, broken, skipped, cases } = JSON.parse(out);
  assert.deepEqual([code, ok, broken, skipped], [0, true, 0, 0]);
  assert.equal(held, cases.length);
  assert.ok(held > 800, `${held} cases`);
  for (const { tool, why, expected, seen, verdict } of cases) {
    assert.ok(expected.includes(seen), `${tool} ${why}`);
    assert.equal(verdict, "held");
  }
  const scans = (await copy.starts()).filter((line) => line.includes(" -oX "));
  assert.deepEqual(scans, []);
});

Deno.test("selftest leaves out what a configuration allows on purpose", async () => {
  verifies("selftest.runs");
  const { code, out } = await run("selftest", ["--json"], {
    env: {
      MCP_SECURITY_ALLOWED_SUBNETS: "8.8.8.0/24",
      MCP_SECURITY_ALLOW_INTRUSIVE: "true",
    },
  });
  const { broken, skipped, cases } = JSON.parse(out);
  assert.deepEqual([code, broken], [0, 0]);
  assert.ok(skipped > 10);
  for (const { seen, verdict } of cases) {
    if (verdict !== "skipped") continue;
    assert.equal(seen, "does not apply: the configuration allows it");
  }
  const text = await run("selftest", []);
  assert.match(text.out, /^GUARD +TOOL +SEEN +CASE$/m);
  assert.match(text.out, /^\d+ held, 0 broken, 0 do not apply here$/m);
});

Deno.test("config prints what is in force and where it comes from", async () => {
  verifies("config.precedence");
  await using folder = await withTempDir();
  const file = `${folder.path}/config.yaml`;
  await Deno.writeTextFile(
    file,
    "nmap:\n  timing: 2\n  top_ports: 50\nlog:\n  level: error\n",
  );
  const { code, out } = await run("config", ["print", "--json"], {
    env: { MCP_CONFIG_FILE: file, MCP_NMAP_TIMING: "3" },
    edit: (args) => withFolders(args, folder.path),
  });
  assert.equal(code, 0);
  const { config, origins } = JSON.parse(out);
  assert.deepEqual(
    [config.nmap.timing, config.nmap.top_ports, config.nmap.concurrency],
    [3, 50, 4],
  );
  assert.equal(origins["nmap.timing"].origin, "environment");
  assert.equal(origins["nmap.top_ports"].origin, "file");
  assert.equal(origins["nmap.concurrency"].origin, "default");
});

Deno.test("config check tells a sound file from an unsound one", async () => {
  verifies("config.examples_load", "config.refusals_located");
  for (const name of ["default", "hardened"]) {
    const { code, out } = await run("config", ["check", `config/${name}.yaml`]);
    assert.deepEqual([code, out], [0, "The configuration can be used\n"]);
  }
  await using folder = await withTempDir();
  const file = `${folder.path}/bad.yaml`;
  await Deno.writeTextFile(file, "nmap:\n  timing: fast\n");
  const { code, out } = await run("config", ["check", file], {
    edit: (args) => withFolders(args, folder.path),
  });
  assert.equal(code, 2);
  assert.match(out, /bad\.yaml:2:\d+/);
  assert.equal((await run("config", ["check"])).code, 2);
  assert.equal((await run("config", ["explode"])).code, 2);
});

Deno.test("help ends with 0 when it was asked for and with 2 when a command does not exist", async () => {
  const asked = await run("help", []);
  assert.equal(asked.code, 0);
  assert.match(asked.out, /deno task serve/);
  const unknown = await run("help", [], {
    edit: (args) => args.map((arg) => arg === "help" ? "no-such" : arg),
  });
  assert.deepEqual([unknown.code, unknown.out], [2, ""]);
  assert.match(unknown.err, /^Cannot run the command/);
});
