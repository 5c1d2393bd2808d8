/**
 * The whole server and its sandbox: what it starts its scanners in, where it says so, when it refuses
 * to start, what a limit looks like to a caller, and that nothing outlives a cancellation or the
 * server. The scanners are the real ones, started by the real launchers; packets go to 127.0.0.1 only.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { Cage, edit, needPrerequisites } from "../support/cage.ts";
import { descendantsOf, processes } from "../support/processes.ts";
import {
  prepareServer,
  type Server,
  type ServerOptions,
  startServer,
  withFolders,
} from "../support/server.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { type Answer, ask } from "./fixtures/served.ts";

needPrerequisites();

/** How a server differs from the task. */
interface Options {
  /** Launchers other than those that sandbox/start chooses: a folder for PATH. */
  readonly path?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Text of its configuration file. */
  readonly config?: string;
}

/** A folder for state and configuration, and how a server is started with it. */
async function prepared(options: Options): Promise<
  ServerOptions & AsyncDisposable
> {
  const folder = await withTempDir();
  const state = `${folder.path}/state`;
  const file = `${folder.path}/config.yaml`;
  if (options.config !== undefined) {
    await Deno.writeTextFile(file, options.config);
  }
  return {
    ...options.path === undefined ? {} : { path: [options.path] },
    env: {
      MCP_STATE_FOLDER: state,
      ...options.config === undefined ? {} : { MCP_CONFIG_FILE: file },
      ...options.env,
    },
    edit: (args) => withFolders(args, state, folder.path),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** A server that has introduced itself. */
async function serve(
  options: Options = {},
): Promise<AsyncDisposable & { readonly server: Server }> {
  const stack = new AsyncDisposableStack();
  const server = stack.use(
    startServer(stack.use(await prepared(options))),
  );
  await server.initialize();
  return { server, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Starts a server that has to refuse, and gives what it said. */
async function refused(options: Options): Promise<string> {
  await using how = await prepared(options);
  const { program, args, env } = prepareServer(how);
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stderr);
  assert.equal(code, 1, said);
  assert.equal(new TextDecoder().decode(stdout), "");
  // The log says it, too, as a line of JSON.
  const lines = said.trim().split("\n").filter((line) => line[0] !== "{");
  return lines.join("\n");
}

/** A resource that is JSON, or a check of it. */
interface Json {
  readonly status: string;
  readonly checks: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly detail: unknown;
  }[];
  readonly sandbox: unknown;
  readonly nmap: { readonly limits: unknown };
  readonly gobuster: { readonly limits: unknown };
}

async function resource(server: Server, uri: string): Promise<Json> {
  const { contents } = await server.request("resources/read", { uri }) as {
    contents: { text: string }[];
  };
  return JSON.parse(contents[0]?.text ?? "") as Json;
}

/** Runs `doctor`, and gives its finding on the sandbox. */
async function doctor(
  env: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
  await using how = await prepared({ env });
  const { program, args, env: all } = prepareServer({
    ...how,
    task: "doctor",
    args: ["--json"],
  });
  const { stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...all },
    cwd: ROOT,
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const { findings } = JSON.parse(
    text === "" ? new TextDecoder().decode(stderr) : text,
  ) as { findings: Record<string, unknown>[] };
  return findings.find(({ check }) => check === "sandbox") ?? {};
}

const MODES = [
  {
    mode: "bwrap",
    configured: "auto",
    level: "info",
    // What gVisor's trial says depends on the host.
    reason: /^chosen by trial: gvisor does not work here: .+; bwrap works$/,
    status: "healthy",
    finding: "ok",
  },
  {
    mode: "none",
    configured: "none",
    level: "warn",
    reason: /^as configured$/,
    status: "degraded",
    finding: "warning",
  },
] as const;

for (const { mode, configured, level, reason, status, finding } of MODES) {
  Deno.test(`a server whose scanners run in ${mode} says so in its log, health, guardrails and doctor`, async () => {
    verifies("sandbox.choice_is_told", "sandbox.limits");
    const env = {
      MCP_SANDBOX_MODE: configured,
      MCP_NMAP_LIMIT_CPU_SECONDS: "77",
      MCP_GOBUSTER_LIMIT_OPEN_FILES: "99",
      MCP_GOBUSTER_LIMIT_WALL_SECONDS: "55",
    };
    await using served = await serve({ env });
    const { server } = served;
    const [line] = await server.logged(/^.*"message":"sandbox".*$/m);
    const logged = JSON.parse(line) as {
      level: string;
      properties: { mode: string; reason: string };
    };
    const why = logged.properties.reason;
    assert.equal(logged.level, level);
    assert.equal(logged.properties.mode, mode);
    assert.match(why, reason);

    const health = await resource(server, "server://health");
    if (mode === "none") assert.notEqual(health.status, "healthy");
    const check = health.checks.find(({ name }) => name === "sandbox");
    assert.equal(check?.status, status);
    assert.equal(
      check?.message,
      mode === "none"
        ? "the scanners run in no sandbox; see what the doctor says of the sandbox"
        : "the scanners run in bwrap",
    );
    assert.deepEqual(check?.detail, { mode, reason: why });

    const guardrails = await resource(server, "policy://guardrails");
    assert.deepEqual(guardrails.sandbox, {
      mode,
      reason: why,
      egress_guard_required: false,
    });
    const { cpu_seconds: cpu } = guardrails.nmap.limits as Record<
      string,
      number
    >;
    assert.equal(cpu, 77);
    const { open_files: files, wall_seconds: wall } = guardrails.gobuster
      .limits as Record<string, number>;
    assert.deepEqual([files, wall], [99, 55]);

    const found = await doctor(env);
    assert.equal(found["state"], finding);
    assert.equal(found["found"], `${mode}; ${why}`);
  });
}

/** A copy of the launchers that notes each start, and how often there was one. */
async function noting(): Promise<
  AsyncDisposable & { readonly cage: Cage; readonly starts: () => number }
> {
  const cage = await Cage.of("none", null);
  const log = `${cage.folder}/starts.log`;
  await Deno.writeTextFile(log, "");
  const file = `${cage.folder}/launcher.sh`;
  await edit(file, "set -euf\n", `set -euf\necho "$0" >>${log}\n`);
  return {
    cage,
    starts: () => Deno.readTextFileSync(log).split("\n").length - 1,
    [Symbol.asyncDispose]: () => cage[Symbol.asyncDispose](),
  };
}

Deno.test("a server that requires a sandbox does not start without one, and starts no scanner", async () => {
  verifies("sandbox.required");
  const required = { MCP_SANDBOX_MODE: "none", MCP_SANDBOX_REQUIRED: "true" };
  const message =
    "Cannot start: sandbox.required is set and the scanners are in no sandbox; " +
    "mend what is missing, or set sandbox.required: false";
  assert.equal(await refused({ env: required }), message);
  const config = "sandbox:\n  mode: none\n  required: true\n";
  assert.equal(await refused({ config }), message);

  await using noted = await noting();
  const path = `${noted.cage.folder}/none`;
  assert.equal(await refused({ path, env: required }), message);
  assert.equal(noted.starts(), 0);
  // The same launchers without the requirement: the note is taken.
  {
    await using served = await serve({
      path,
      env: { MCP_SANDBOX_MODE: "none" },
    });
    await resource(served.server, "policy://guardrails");
  }
  assert.ok(noted.starts() >= 3);
  await using caged = await serve({
    env: { MCP_SANDBOX_MODE: "bwrap", MCP_SANDBOX_REQUIRED: "true" },
  });
  await resource(caged.server, "server://health");
});

Deno.test("a server does not start with scanners in another sandbox than the configuration names", async () => {
  verifies("sandbox.required");
  await using noted = await noting();
  const { cage } = noted;
  const none = `${cage.folder}/none`;
  assert.equal(
    await refused({ path: none, env: { MCP_SANDBOX_MODE: "bwrap" } }),
    "Cannot start: sandbox.mode is bwrap, and the scanners on PATH are those of none; " +
      "set MCP_SANDBOX_MODE=bwrap and start the server with sandbox/start in front of its command",
  );
  // A file that sandbox/start reads wrongly weakens nothing.
  assert.equal(
    await refused({ config: "{ sandbox: { mode: none } }\n" }),
    "Cannot start: sandbox.mode is none, and the scanners on PATH are those of bwrap; " +
      "set MCP_SANDBOX_MODE=none and start the server with sandbox/start in front of its command",
  );
  assert.equal(
    await refused({ path: "/usr/bin", env: { MCP_SANDBOX_MODE: "auto" } }),
    "Cannot start: the scanners on PATH are in no sandbox; start the server with sandbox/start " +
      "in front of its command, or set sandbox.mode: none",
  );
  // Part of the launchers of one and part of another.
  await Deno.remove(`${cage.folder}/bwrap/masscan`);
  await Deno.remove(`${cage.folder}/bwrap/gobuster`);
  const mixed = await refused({
    path: `${cage.folder}/bwrap:${none}`,
    env: { MCP_SANDBOX_MODE: "auto" },
  });
  assert.equal(
    mixed,
    "Cannot start: the scanners on PATH have different sandboxes (bwrap, none); " +
      "start the server with sandbox/start in front of its command",
  );
  assert.equal(noted.starts(), 0);
});

/** Tries to start programs, and prints a line for each: the exit code, or Deno's error. */
const TRY = `for (const program of JSON.parse(Deno.args[0])) {
  try {
    const env = { ...JSON.parse(Deno.args[1]), SANDBOX_SERVER: String(Deno.pid) };
    const { code } = new Deno.Command(program, { args: ["--version"], env, clearEnv: true }).outputSync();
    console.log(code);
  } catch (error) { console.log(error.name) }
}`;

const LIMITS = {
  SANDBOX_CPU_SECONDS: "10",
  SANDBOX_ADDRESS_SPACE_BYTES: "4294967296",
  SANDBOX_FILE_SIZE_BYTES: "1048576",
  SANDBOX_PROCESSES: "64",
  SANDBOX_OPEN_FILES: "256",
  SANDBOX_EGRESS_GUARD: "0",
};

/** Asks Deno which programs may be run, with the flags of the task and with sandbox/start or without. */
async function permitted(
  programs: readonly string[],
  start: readonly string[],
): Promise<string[]> {
  const [program = "", ...args] = [
    ...start,
    ..."deno run --no-prompt --allow-run=nmap,masscan,gobuster -".split(" "),
    JSON.stringify(programs),
    JSON.stringify(LIMITS),
  ];
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    env: { MCP_SANDBOX_MODE: "bwrap", NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(TRY));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assert.equal(lines.length, programs.length, new TextDecoder().decode(stderr));
  return lines;
}

Deno.test("Deno itself refuses the real scanners, and every program but the launchers", async () => {
  verifies("sandbox.real_programs_refused");
  const real = ["/usr/bin/nmap", "/usr/bin/masscan", "/usr/bin/gobuster"];
  const others = [
    `${ROOT}sandbox/none/nmap`,
    `${ROOT}sandbox/bwrap/launch`,
    `${ROOT}sandbox/start`,
    "/usr/bin/bwrap",
    "/bin/sh",
    "sh",
  ];
  const launchers = [`${ROOT}sandbox/bwrap/nmap`, "nmap"];
  assert.deepEqual(
    await permitted([...real, ...others, ...launchers], ["sandbox/start"]),
    [...Array(real.length + others.length).fill("NotCapable"), "0", "0"],
  );
  // Without sandbox/start the very same flags are the right to run the real ones.
  const bare = await permitted(
    real,
    ["env", "PATH=/usr/bin:/bin", Deno.execPath()].slice(0, 0),
  );
  assert.ok(!bare.includes("NotCapable"));
});

/** A call that sends one packet. */
const SMALL = { target: "127.0.0.1", ports: "1", scan_type: "connect" };

/** Scans slowly, so that the scan is certain to be under way. */
const SLOW = {
  target: "127.0.0.1",
  ports: "1-1000",
  scan_type: "connect",
  timing: 1,
  background: true,
};

/** How long a scanner may take to appear. */
const LOOKING_MS = 20_000;

/** Waits until a server has a scanner, and gives all of its descendants. */
async function scanning(server: Server): Promise<number[]> {
  for (const end = performance.now() + LOOKING_MS; performance.now() < end;) {
    const found = await descendantsOf(server.pid);
    const scan = found.some(({ commandLine }) =>
      /^\/usr\/\S*nmap .*-T1/.test(commandLine)
    );
    if (scan) return found.map(({ pid }) => pid);
  }
  throw new Error(`Cannot find the scanner of the server ${server.pid}`);
}

/** Which of these processes are left when a second is over, or none sooner. */
async function leftOf(
  pids: readonly number[],
  since: number,
): Promise<number[]> {
  for (;;) {
    const last = performance.now() - since > 800;
    const all = await processes();
    const left = all.filter(({ pid, state }) =>
      state !== "Z" && pids.includes(pid)
    );
    if (left.length === 0 || last) return left.map(({ pid }) => pid);
  }
}

for (const mode of ["bwrap", "none"]) {
  Deno.test(`in ${mode} a cancelled scan is gone within a second, with all it started`, async () => {
    verifies("escape.outlives_kill");
    await using served = await serve({ env: { MCP_SANDBOX_MODE: mode } });
    const { server } = served;
    const { scan_id } = await ask(server, "nmap", SLOW);
    const pids = await scanning(server);
    assert.ok(pids.length >= (mode === "bwrap" ? 3 : 1), String(pids));
    const since = performance.now();
    const cancelling = ask(server, "scan_cancel", { scan_id });
    assert.deepEqual(await leftOf(pids, since), []);
    assert.equal((await cancelling).status, "cancelled");
  });

  Deno.test(`in ${mode} a scan is gone within a second after SIGKILL to the server`, async () => {
    verifies("escape.outlives_kill");
    await using served = await serve({ env: { MCP_SANDBOX_MODE: mode } });
    const { server } = served;
    await ask(server, "nmap", SLOW);
    const pids = await scanning(server);
    const since = performance.now();
    server.kill("SIGKILL");
    assert.deepEqual(await leftOf(pids, since), []);
    assert.equal((await server.ended).signal, "SIGKILL");
  });
}

/**
 * A scanner that says nothing, hears nothing and would never end by a broken pipe. It ends at once when
 * it is only to show that it can send raw packets.
 */
const DEAF = 'exit 1 if "@ARGV" !~ /-sT/; ' +
  '$SIG{$_} = "IGNORE" for qw(TERM INT HUP PIPE); sleep 1 for 1 .. 60';

/** Waits until a server has a deaf scanner, and gives all of its descendants. */
async function sleeping(server: Server): Promise<number[]> {
  for (const end = performance.now() + LOOKING_MS; performance.now() < end;) {
    const found = await descendantsOf(server.pid);
    const deaf = found.some(({ commandLine }) =>
      /^\/usr\/bin\/perl \S+greedy .*-sT/.test(commandLine)
    );
    if (deaf) return found.map(({ pid }) => pid);
  }
  throw new Error(`Cannot find the scanner of the server ${server.pid}`);
}

Deno.test("a deaf and silent scanner is gone within a second after a cancellation, and after SIGKILL to the server", async () => {
  verifies("escape.outlives_kill");
  await using served = await serveScript(DEAF, {});
  const { server } = served;
  const call = { ...SMALL, background: true };
  const { scan_id } = await ask(server, "nmap", call);
  const first = await sleeping(server);
  const cancelled = performance.now();
  const cancelling = ask(server, "scan_cancel", { scan_id });
  assert.deepEqual(await leftOf(first, cancelled), []);
  assert.equal((await cancelling).status, "cancelled");

  await ask(server, "nmap", call);
  const second = await sleeping(server);
  const killed = performance.now();
  server.kill("SIGKILL");
  assert.deepEqual(await leftOf(second, killed), []);
  assert.equal((await server.ended).signal, "SIGKILL");
});

/** Whether a call is still admitted: one failure that counts would have opened the breaker. */
const BREAKER = { MCP_BREAKER_FAILURE_THRESHOLD: "1" };

function limited(answer: Answer, tool: string, what: string): void {
  assert.equal(answer.status, "partial", JSON.stringify(answer));
  assert.deepEqual(
    { code: answer.error?.code, message: answer.error?.message },
    {
      code: "tool_failed",
      message:
        `Cannot finish the scan: ${tool} reached its limit of ${what}; ` +
        "what was found so far is reported; scan fewer ports or hosts",
    },
  );
}

Deno.test("a scan that uses up its processor time says which limit it was and what raises it", async () => {
  verifies("sandbox.limits", "sandbox.limit_is_told");
  for (const mode of ["bwrap", "none"]) {
    await using served = await serve({
      env: {
        ...BREAKER,
        MCP_SANDBOX_MODE: mode,
        MCP_NMAP_LIMIT_CPU_SECONDS: "1",
        MCP_NMAP_PACE: "balanced",
      },
    });
    const { server } = served;
    for (const ports of ["1-65535", "1-65534"]) {
      const busy = { target: "127.0.0.0/28", ports, scan_type: "connect" };
      limited(
        await ask(server, "nmap", busy),
        "nmap",
        "1 seconds of processor time (nmap.limit_cpu_seconds)",
      );
    }
    assert.equal((await ask(server, "nmap", SMALL)).status, "succeeded");
  }
});

/** What a limit says of gobuster that cannot even begin. */
const GOBUSTER_LIMITS = [
  {
    env: { MCP_GOBUSTER_LIMIT_ADDRESS_SPACE_BYTES: "134217728" },
    what: "134217728 bytes of memory (gobuster.limit_address_space_bytes)",
  },
  {
    env: { MCP_GOBUSTER_LIMIT_PROCESSES: "4" },
    what: "4 processes and threads (gobuster.limit_processes)",
  },
] as const;

Deno.test("a scan that reaches its limit of memory or of threads says so", async () => {
  verifies("sandbox.limits", "sandbox.limit_is_told");
  await using web = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("x", { status: 404 }),
  );
  const call = {
    mode: "dir",
    target: `http://127.0.0.1:${web.addr.port}/`,
    wordlist: "tiny",
  };
  for (const { env, what } of GOBUSTER_LIMITS) {
    await using served = await serve({
      env: { ...BREAKER, MCP_SANDBOX_MODE: "bwrap", ...env },
    });
    for (let calls = 0; calls < 2; calls++) {
      limited(await ask(served.server, "gobuster", call), "gobuster", what);
    }
  }
  await using served = await serve({ env: { MCP_SANDBOX_MODE: "bwrap" } });
  const { status } = await ask(served.server, "gobuster", call);
  assert.equal(status, "succeeded");
});

Deno.test("a scan has no more time than its tool's limit, whatever the caller asks for", async () => {
  verifies("sandbox.limits");
  await using served = await serve({
    env: { MCP_SANDBOX_MODE: "bwrap", MCP_NMAP_LIMIT_WALL_SECONDS: "1" },
  });
  const call = { ...SLOW, background: false };
  const { status, error } = await ask(served.server, "nmap", call);
  assert.deepEqual([status, error?.code], ["timed_out", "timeout"]);
  const longer = { ...call, timeout_seconds: 2 };
  const refusal = await ask(served.server, "nmap", longer);
  assert.equal(refusal.error?.code, "invalid_arguments");
});

/** Scanners that reach a limit, and what is said of it. */
const GREEDY = [
  {
    script:
      'my @f; while (@f < 9999) { open my $f, "<", "/dev/null" or die "socket: $!\\n"; push @f, $f }',
    env: { MCP_NMAP_LIMIT_OPEN_FILES: "64" },
    what: "64 open files (nmap.limit_open_files)",
  },
  {
    script:
      'open my $f, ">", "/tmp/x" or die; syswrite $f, "x" x 4096 for 1 .. 64',
    env: { MCP_NMAP_LIMIT_FILE_BYTES: "16384" },
    what: "16384 bytes of a file (nmap.limit_file_bytes)",
  },
] as const;

/** A server whose nmap is a script in the real sandbox. */
async function serveScript(
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<AsyncDisposable & { readonly server: Server }> {
  const stack = new AsyncDisposableStack();
  const folder = stack.use(await withTempDir());
  await Deno.chmod(folder.path, 0o755);
  const program = `${folder.path}/greedy`;
  const version = 'print "Nmap version 7.93\\n"; exit';
  await Deno.writeTextFile(
    program,
    `#!/usr/bin/perl\nif ("@ARGV" =~ /--version/) { ${version} }\n${script};\n`,
  );
  await Deno.chmod(program, 0o755);
  const cage = await Cage.of("bwrap", program, { shows: [folder.path] });
  stack.use(cage);
  const { server } = stack.use(
    await serve({
      path: `${cage.folder}/bwrap`,
      env: { ...BREAKER, MCP_SANDBOX_MODE: "bwrap", ...env },
    }),
  );
  return { server, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("a scan that reaches its limit of open files or of a file's bytes says so", async () => {
  verifies("sandbox.limits", "sandbox.limit_is_told");
  for (const { script, env, what } of GREEDY) {
    await using served = await serveScript(script, env);
    for (let calls = 0; calls < 2; calls++) {
      limited(await ask(served.server, "nmap", SMALL), "nmap", what);
    }
  }
});

Deno.test("a scan prints no more than its tool's limit, and says so", async () => {
  verifies("sandbox.limits", "sandbox.limit_is_told");
  const env = { MCP_NMAP_LIMIT_OUTPUT_BYTES: "65536" };
  for (
    const [kilobytes, status] of [[63, "failed"], [65, "partial"]] as const
  ) {
    const script = `print " " x 1024 for 1 .. ${kilobytes}; exit 1`;
    await using served = await serveScript(script, env);
    const answer = await ask(served.server, "nmap", SMALL);
    assert.equal(answer.status, status, JSON.stringify(answer));
    const told = answer.error?.code === "output_limit";
    assert.equal(told, status === "partial", JSON.stringify(answer));
  }
});

Deno.test("a server that needs the egress guard scans nothing where there is none, and doctor says so", async () => {
  await using cage = await Cage.of("bwrap", null);
  const path = `${cage.folder}/bwrap`;
  const env = {
    MCP_SANDBOX_MODE: "bwrap",
    MCP_SANDBOX_EGRESS_GUARD: "true",
  };
  const message =
    'Cannot start "nmap": sandbox.egress_guard is set and there is no guard; ' +
    "run: deno task egress-guard up";
  {
    await using served = await serve({ path, env });
    const { server } = served;
    const { error } = await ask(server, "nmap", SMALL);
    assert.deepEqual([error?.code, error?.message], [
      "tool_unavailable",
      message,
    ]);
    const { sandbox } = await resource(server, "policy://guardrails");
    const shown = sandbox as { egress_guard_required: boolean };
    assert.equal(shown.egress_guard_required, true);
  }
  {
    const unguarded = { MCP_SANDBOX_MODE: "bwrap" };
    await using served = await serve({ path, env: unguarded });
    const { status } = await ask(served.server, "nmap", SMALL);
    assert.equal(status, "succeeded");
  }
  const { code, stderr } = await doctorSandbox({ path, env });
  assert.equal(code, 1);
  assert.ok(stderr.startsWith(`${message}\n`), stderr);
});

Deno.test("a server whose sandbox does not start says that the tool is unavailable, and doctor says why", async () => {
  verifies("sandbox.required");
  await using cage = await Cage.of("bwrap", null);
  const path = `${cage.folder}/bwrap`;
  const env = { MCP_SANDBOX_MODE: "bwrap" };
  for (
    const [instead, why] of [
      [" bwarp ", /^sandbox: cannot start bwarp: No such file/m],
      [" bwrap --no-such-option ", /^bwrap: Unknown option/m],
    ] as const
  ) {
    const file = `${cage.folder}/bwrap/launch`;
    const whole = await Deno.readTextFile(file);
    await edit(file, " $enter bwrap ", instead);
    {
      await using served = await serve({ path, env });
      const { error } = await ask(served.server, "nmap", SMALL);
      assert.deepEqual([error?.code, error?.message], [
        "tool_unavailable",
        'Cannot start "nmap": its sandbox does not start; doctor --sandbox says why',
      ]);
    }
    const { code, stderr } = await doctorSandbox({ path, env });
    assert.equal(code, 1);
    assert.match(stderr, why);
    await Deno.writeTextFile(file, whole);
  }
});

/** Runs `doctor --sandbox`. */
async function doctorSandbox(
  options: Options,
): Promise<{ code: number; stderr: string }> {
  await using how = await prepared(options);
  const { program, args, env } = prepareServer({
    ...how,
    task: "doctor",
    args: ["--sandbox"],
  });
  const { code, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}
