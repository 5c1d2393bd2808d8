/**
 * How the server starts, speaks and ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { descendantsOf } from "../support/processes.ts";
import { prepareServer } from "../support/server.ts";
import { copyStandIn } from "../support/stand_ins.ts";
import { ROOT, taskCommand } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { ask, logged, serve } from "./fixtures/served.ts";

const TARGET = { target: "127.0.0.1", ports: "80" } as const;

const FLAGS = [
  "run",
  "--no-prompt",
  "--no-remote",
  "--cached-only",
  "--deny-import",
  "--allow-run=nmap,masscan,gobuster",
  "--allow-read=./src,./config,./state,/dev/tty",
  "--allow-write=./state",
  "--allow-env=PATH,MCP_*",
  "--allow-sys=systemMemoryInfo,loadavg,statfs",
  "src/main.ts",
];

Deno.test("the commands that scan are started with the written flags, none of them for the network", () => {
  verifies("serve.flags.pinned", "serve.no_net");
  for (const task of ["serve", "scan", "plan", "doctor", "selftest"]) {
    const { program, args, env } = taskCommand(task);
    assert.deepEqual(
      [program, ...args],
      ["sandbox/start", "deno", ...FLAGS, task],
    );
    assert.deepEqual(env, {});
  }
});

Deno.test("the server asks for no path, program or variable beside the ones that its flags name", async () => {
  verifies("serve.flags.minimal");
  await using folder = await withTempDir();
  const audit = `${folder.path}/audit.jsonl`;
  {
    await using served = await serve("canned", {
      env: { DENO_AUDIT_PERMISSIONS: audit },
      config: "log:\n  level: debug\n",
      state: `${folder.path}/state`,
    });
    assert.equal(
      (await ask(served.server, "nmap", TARGET)).status,
      "succeeded",
    );
    await served.server.request("tools/list");
    for (const uri of ["policy://guardrails", "server://health"]) {
      await served.server.request("resources/read", { uri });
    }
  }
  const uses = (await Deno.readTextFile(audit)).trim().split("\n")
    .map((line) => JSON.parse(line) as { permission: string; value?: unknown });
  // Deno notes a null for a worker's own list, which it compares with that of its parent.
  const used = uses.filter(({ value }) => value !== null)
    .map(({ permission, value }) => `${permission} ${String(value)}`);
  const state = `${folder.path}/state`;
  const named = [
    new RegExp(`^read (?:${ROOT}|\\./)?(?:src|config)(?:/|$)`),
    new RegExp(`^(?:read|write) ${state}(?:/|$)`),
    /^read \/\S+\/config\.yaml$/,
    /^read \/dev\/tty$/,
    /^env (?:PATH|MCP_[A-Z_]+)$/,
    /^sys (?:systemMemoryInfo|loadavg|statfs)$/,
  ];
  const foreign = used.filter((use) => !named.some((one) => one.test(use)));
  assert.deepEqual(foreign, []);
  // The note is whole: it holds what is certain to have been read.
  assert.ok(used.includes("env PATH"));
  assert.ok(used.some((use) => use.startsWith(`read ${state}`)));
});

Deno.test("stdout holds frames and stderr JSON lines, whatever happens", async () => {
  verifies("serve.stdout.frames_only", "serve.logs.json_on_stderr");
  await using served = await serve("fails", {
    env: { MCP_LOG_LEVEL: "debug", MCP_NMAP_TIMING: "9" },
  });
  const { server } = served;
  server.write("GET / HTTP/1.1");
  server.write("\u0000\u0001{");
  server.write("[".repeat(100_000));
  server.write({ jsonrpc: "2.0", id: 900, method: "no/such/method" });
  await ask(server, "nmap", TARGET);
  await ask(server, "nmap", { target: "8.8.8.8" });
  await server.request("tools/call", { name: "nikto", arguments: {} })
    .catch(() => {});
  const { code } = await server.close();
  assert.equal(code, 0);
  assert.deepEqual(server.stray, []);
  const lines = server.stderr.trim().split("\n");
  assert.ok(lines.length >= 4, server.stderr);
  for (const line of lines) {
    const entry = JSON.parse(line) as Record<string, unknown>;
    for (const key of ["time", "level", "area", "message"]) {
      assert.equal(typeof entry[key], "string", line);
    }
  }
});

Deno.test("a server whose client goes ends every scan and leaves no process behind", async () => {
  verifies("serve.ends_with_stdin");
  await using served = await serve("stubborn");
  const { server, copy } = served;
  const background = { ...TARGET, background: true };
  await ask(server, "nmap", background);
  server.send("tools/call", {
    name: "nmap",
    arguments: { ...TARGET, ports: "81" },
  });
  await logged(server, "scan started", 2);
  // The log line comes before the isolate has spawned: a busy machine takes a moment.
  let children = 0;
  for (let tries = 0; tries < 400 && children < 2; tries++) {
    children = (await descendantsOf(server.pid)).length;
  }
  assert.equal(children, 2);
  const { code } = await server.close();
  assert.equal(code, 0);
  assert.equal(await copy.alive(), 0);
});

Deno.test("SIGTERM and SIGINT end every scan and leave no process behind", async () => {
  verifies("serve.ends_with_stdin");
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await using served = await serve("stubborn", {
      env: { MCP_SERVER_SHUTDOWN_GRACE_SECONDS: "0" },
    });
    const { server, copy } = served;
    await ask(server, "nmap", { ...TARGET, background: true });
    await logged(server, "scan started");
    server.kill(signal);
    assert.equal((await server.ended).code, 0, server.stderr);
    assert.equal(await copy.alive(), 0, signal);
  }
});

Deno.test("SIGTERM lets a scan under way end within the grace, and takes no new one", async () => {
  await using served = await serve("slow", {
    env: { MCP_SERVER_SHUTDOWN_GRACE_SECONDS: "60" },
  });
  const { server, copy } = served;
  const running = ask(server, "nmap", TARGET);
  await logged(server, "scan started");
  server.kill("SIGTERM");
  let refused = "";
  for (let port = 1; refused !== "tool_unavailable"; port++) {
    // The signal arrives in its own time; until then calls are taken into the background.
    const call = { ...TARGET, ports: `9${port}`, background: true };
    const { error } = await ask(server, "nmap", call);
    refused = error?.code ?? "";
    if (error === undefined) await copy.open();
  }
  await copy.open();
  assert.equal((await running).status, "succeeded");
  assert.equal((await server.ended).code, 0);
  assert.equal(await copy.alive(), 0);
});

/** Flags that are wider than written, and how the refusal names them. */
const WIDE: readonly (readonly [string, string])[] = [
  ["--allow-net", "--allow-net"],
  ["--allow-net=127.0.0.1", "--allow-net=127.0.0.1"],
  ["--allow-run=nmap,masscan,gobuster,sh", "--allow-run=sh"],
  ["--allow-run", "--allow-run"],
  ["--allow-read", "--allow-read"],
  ["--allow-write", "--allow-write"],
  ["--allow-write=.", "--allow-write of the program's own files"],
  ["--allow-env", "--allow-env"],
  ["--allow-sys", "--allow-sys"],
  ["--allow-ffi", "--allow-ffi"],
];

Deno.test("the server does not start with a flag that is wider than written", async () => {
  verifies("isolate.wider_grant_fails_start");
  await using copy = await copyStandIn("canned");
  for (const [flag, named] of WIDE) {
    const { program, args, env } = prepareServer({
      path: [copy.path],
      edit: ([run = "", ...args]) => {
        const key = flag.split("=")[0] ?? flag;
        const others = args.filter((arg) => !arg.startsWith(`${key}=`));
        return [run, flag, ...others];
      },
    });
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      env: { ...env },
      cwd: ROOT,
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 1, `${flag}: ${said}`);
    assert.ok(
      said.includes(
        `Cannot start: the process has more rights than it needs (${named}); ` +
          "start it with the flags of its task in deno.json",
      ),
      `${flag}: ${said}`,
    );
    assert.equal(new TextDecoder().decode(stdout), "");
  }
  assert.deepEqual(await copy.starts(), []);
});

Deno.test("the server does not start with a configuration that is refused", async () => {
  verifies("config.refusals_located");
  await using folder = await withTempDir();
  const file = `${folder.path}/config.yaml`;
  await Deno.writeTextFile(file, "security:\n  allow_everything: true\n");
  const { program, args, env } = prepareServer({
    env: { MCP_CONFIG_FILE: file },
    edit: (args) =>
      args.map((arg) =>
        arg.startsWith("--allow-read=") ? `${arg},${file}` : arg
      ),
  });
  const { code, stderr } = await new Deno.Command(program, {
    args: [...args],
    env: { ...env },
    cwd: ROOT,
    stdin: "null",
  }).output();
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /config\.yaml:2:3.*allow_everything/,
  );
});
