/**
 * The image, built and run. Nothing here sends a packet anywhere but to the loopback of a container.
 *
 * @module
 */
import assert from "node:assert/strict";
import { withTempDir } from "../support/temp_dir.ts";
import { ROOT, taskCommand } from "../support/task.ts";
import { Containers, type Ended, type Run, say } from "./containers.ts";

/** Why it cannot run here, or nothing: a base is made by root. */
const ignore = Deno.uid() !== 0;

/** What an ordinary user needs in a container so that bubblewrap works there. */
const NAMESPACES = [
  ...["--security-opt", "unmask=ALL"],
];

/** Exit codes of the server's commands. */
const OK = 0;
const REFUSED = 2;
const BROKEN = 3;

/** A port of a container's loopback on which something listens. */
const PORT = "8000";

let made: Containers | null = null;

function image(): Containers {
  if (made === null) throw new Error("Cannot use the image: it was not built");
  return made;
}

/** Output of something that has to succeed in the image. */
async function seen(
  run: Run & Required<Pick<Run, "instead">>,
): Promise<string> {
  const { code, stdout, stderr } = await image().run([], run);
  assert.equal(code, OK, stderr);
  return stdout.trim();
}

async function shell(script: string, run: Run = {}): Promise<string> {
  return await seen({ ...run, instead: ["sh", "-c", script] });
}

/** Serves on its own loopback, until nobody holds its standard input. */
const LISTEN = [
  `Deno.serve({ hostname: "127.0.0.1", port: ${PORT} }, () => new Response())`,
  "for await (const _ of Deno.stdin.readable);",
  "Deno.exit()",
].join(";");

let listeners = 0;

/** Uses the name of a container on whose loopback something listens. */
async function withListener(
  use: (name: string) => Promise<void>,
): Promise<void> {
  const name = `listener-${listeners++}`;
  await using listener = image().start([], {
    options: ["--name", name],
    instead: ["deno", "eval", LISTEN],
  });
  await listener.logged(/Listening on/);
  await use(name);
}

/** Lines of doctor, by what was looked at. */
function findings({ stdout }: Ended): ReadonlyMap<string, string> {
  const report = JSON.parse(stdout) as {
    findings: { check: string; state: string; found: string }[];
  };
  return new Map(
    report.findings.map((
      { check, state, found },
    ) => [check, `${state}: ${found}`]),
  );
}

function test(name: string, run: () => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    fn: async () => {
      say(name);
      await run();
    },
  });
}

Deno.test.beforeAll(async () => {
  if (!ignore) made = await Containers.build();
});

Deno.test.afterAll(async () => {
  await made?.[Symbol.asyncDispose]();
});

test("the image says how it is started, by whom and how it is asked for its health", async () => {
  const { Config, Size } = await image().inspect() as {
    Config: Record<string, unknown>;
    Size: number;
  };
  const { program, args } = taskCommand("serve");
  const start = [`/app/${program}`, ...args.slice(0, -1)];
  assert.deepEqual(Config["Entrypoint"], start);
  assert.deepEqual(Config["Cmd"], ["serve"]);
  assert.equal(Config["User"], "0:0");
  assert.equal(Config["WorkingDir"], "/app");
  assert.deepEqual(Config["Volumes"], { "/app/state": {} });
  assert.equal(Config["ExposedPorts"], undefined);
  assert.ok(Size < 300e6, `it is ${Size} bytes`);
});

test("nobody gains a right by a program of the image, or changes its files", async () => {
  assert.equal(await shell("find / -xdev -perm /6000 -type f"), "");
  assert.equal(
    await shell("find / -xdev -perm /002 ! -type l ! -perm -1000"),
    "",
  );
  assert.equal(
    await shell("find /app -mindepth 1 -perm /222 ! -type l"),
    "/app/state",
  );
  assert.equal(
    await shell("stat -c '%u:%g %a' /app/state"),
    "65532:0 770",
  );
});

test("the root file system cannot be written to, and the state can, by both users", async () => {
  for (const as of ["root", "user"] as const) {
    const script =
      "for f in /x /app/x /app/src/x /usr/x /etc/x /var/tmp/x; do " +
      '(: >"$f") 2>/dev/null && echo "$f"; done; : >/app/state/x && : >/tmp/x';
    assert.equal(await shell(script, { as }), "", as);
  }
});

test("the documented way to run it leaves raw packets as the only right", async () => {
  const status = "grep -E '^(Cap|NoNewPrivs)' /proc/self/status";
  const rights = (capabilities: string) =>
    new RegExp(
      `^CapInh:\\s+0+\\nCapPrm:\\s+${capabilities}\\nCapEff:\\s+${capabilities}\\n` +
        `CapBnd:\\s+${capabilities}\\nCapAmb:\\s+0+\\nNoNewPrivs:\\s+1$`,
    );
  assert.match(await shell(status), rights("0+2000"));
  assert.match(await shell(status, { as: "user" }), rights("0+"));
});

test("the image has the packages of the server, as locked, and none of the tests", async () => {
  type Lock = { npm: Record<string, { integrity: string }> };
  const lock = JSON.parse(await shell("cat /app/deno.lock")) as Lock;
  const ours = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.lock`)) as Lock;
  assert.ok(Object.keys(lock.npm).length > 5);
  for (const [name, { integrity }] of Object.entries(lock.npm)) {
    assert.equal(integrity, ours.npm[name]?.integrity, name);
  }
  const there = await shell("cd /app/.deno_dir/npm/* && ls -d -- */ @*/*/");
  assert.match(there, /^@modelcontextprotocol\/server\/$/m);
  assert.doesNotMatch(
    there,
    /fast-check|@modelcontextprotocol\/(?:client|sdk)/,
  );
});

for (const as of ["root", "user"] as const) {
  test(`serve answers over stdio and scans, as ${as}`, async () => {
    await withListener(async (loopbackOf) => {
      await using server = image().start([], { as, loopbackOf });
      const { serverInfo } = await server.initialize();
      assert.ok(serverInfo);
      const { tools } = await server.request("tools/list");
      const names = (tools as { name: string }[]).map(({ name }) => name);
      for (const tool of ["gobuster", "masscan", "nmap"]) {
        assert.ok(names.includes(tool), `${tool} is not among ${names}`);
      }
      const { structuredContent } = await server.call("nmap", {
        target: "127.0.0.1",
        ports: PORT,
      });
      assert.match(JSON.stringify(structuredContent), /"open"/);
      // It says that the container is all the sandbox there is.
      await server.logged(/"mode":"none"/);
      const { code } = await server.close();
      assert.equal(code, OK, server.stderr);
      assert.deepEqual(server.stray, []);
    });
  });
}

test("scan sends raw packets as root, and connects as an ordinary user", async () => {
  await withListener(async (loopbackOf) => {
    const scan = (as: "root" | "user", type: string) =>
      image().run(
        ["scan", "nmap", "127.0.0.1", "--ports", PORT, "--scan-type", type],
        { as, loopbackOf },
      );
    for (const [as, type] of [["root", "syn"], ["user", "connect"]] as const) {
      const { code, stdout, stderr } = await scan(as, type);
      assert.equal(code, OK, stderr);
      assert.match(stdout, new RegExp(`127\\.0\\.0\\.1 +${PORT}/tcp +open`));
    }
    const refused = await scan("user", "syn");
    assert.equal(refused.code, REFUSED);
    assert.match(refused.stderr, /^tool_unavailable: /m);
  });
});

test("doctor finds everything in its place, for both users", async () => {
  for (const as of ["root", "user"] as const) {
    const report = await image().run(["doctor", "--json"], { as });
    assert.equal(report.code, OK, `${report.stdout}${report.stderr}`);
    const found = findings(report);
    for (const tool of ["nmap", "masscan", "gobuster"]) {
      assert.match(found.get(tool) ?? "", /^ok: \d/, tool);
    }
    assert.match(found.get("permissions") ?? "", /^ok: /);
    assert.match(found.get("sandbox") ?? "", /^warning: none; /);
    assert.match(
      found.get("raw sockets") ?? "",
      as === "root" ? /^ok: / : /^warning: /,
    );
  }
});

test("doctor --sandbox says what gets through where the container is all the sandbox", async () => {
  const { code, stdout, stderr } = await image().run(["doctor", "--sandbox"]);
  say(`doctor --sandbox\n${stdout}`);
  assert.equal(code, BROKEN, stderr);
  assert.match(stdout, /attempts got through: the sandbox is none$/m);
  // The container's own part.
  for (const attempt of ["gain rights from a setuid", "make any system call"]) {
    assert.match(stdout, new RegExp(`^${attempt}.* held: `, "m"));
  }
});

test("bubblewrap holds where the container may make namespaces", async () => {
  const run: Run = { as: "user", options: NAMESPACES };
  const { code, stdout, stderr } = await image().run(
    ["doctor", "--sandbox"],
    run,
  );
  say(`doctor --sandbox with namespaces\n${stdout}`);
  assert.equal(code, OK, stderr);
  assert.match(stdout, /^bwrap held all \d+ attempts$/m);
  await withListener(async (loopbackOf) => {
    const scan = await image().run(
      ["scan", "nmap", "127.0.0.1", "--ports", PORT],
      { ...run, loopbackOf },
    );
    assert.equal(scan.code, OK, scan.stderr);
    assert.match(scan.stdout, new RegExp(`${PORT}/tcp +open`));
  });
});

test("serve refuses to start without a sandbox where one is required", async () => {
  const { code, stdout, stderr } = await image().run([], {
    options: ["--env", "MCP_SANDBOX_REQUIRED=true"],
  });
  assert.equal(code, 1, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /sandbox\.required is set/);
});

test("the health check follows the configuration, and the end of the server ends the container", async () => {
  await using folder = await withTempDir();
  const file = `${folder.path}/mine.yaml`;
  await Deno.writeTextFile(file, "nmap:\n  enabled: true\n");
  const name = "server";
  await using server = image().start([], {
    health: true,
    options: [
      ...["--name", name, "--volume", `${folder.path}:/app/config/mine:ro`],
      ...["--env", "MCP_CONFIG_FILE=config/mine/mine.yaml"],
    ],
  });
  await server.initialize();
  const health = () => image().podman("healthcheck", "run", name);
  assert.equal((await health()).code, OK);
  await Deno.writeTextFile(file, "nmap:\n  enabled: perhaps\n");
  assert.notEqual((await health()).code, OK);
  await Deno.writeTextFile(file, "nmap:\n  enabled: false\n");
  assert.equal((await health()).code, OK);
  await image().podman("stop", "--time", "60", name);
  const { code } = await server.ended;
  assert.equal(code, OK, server.stderr);
});
