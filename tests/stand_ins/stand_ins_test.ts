/**
 * The stand-ins do what their names say: a hostile program that is harmless proves nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { processesNamed } from "../support/processes.ts";
import {
  copyStandIn,
  STAND_INS,
  type StandIn,
  standIn,
} from "../support/stand_ins.ts";
import { ROOT } from "../support/task.ts";

const SCAN = ["-oX", "-", "-p", "22", "127.0.0.1"];

/** Starts a program as the server does: no environment, no input, a folder nobody can write. */
function start(program: string, args: readonly string[]): Deno.ChildProcess {
  // The tests may run sh and no path, so that a shell becomes the program.
  return new Deno.Command("sh", {
    args: ["-c", 'exec "$@"', "sh", program, ...args],
    clearEnv: true,
    cwd: "/proc",
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(
  name: StandIn,
  tool: string,
  args: readonly string[],
): Promise<{ code: number; signal: string | null; out: string; err: string }> {
  const child = start(`${standIn(name)}/${tool}`, args);
  const { code, signal, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, signal, out: decode(stdout), err: decode(stderr) };
}

/** Reads a stream until so many bytes came, and lets it go. */
async function take(
  stream: ReadableStream<Uint8Array>,
  bytes: number,
): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk);
    if (text.length >= bytes) break;
  }
  return text;
}

Deno.test("the folders of the stand-ins are the listed ones", () => {
  const folders = [...Deno.readDirSync(`${ROOT}tests/stand_ins`)]
    .filter(({ isDirectory, name }) => isDirectory && name !== "lib")
    .map(({ name }) => name);
  assert.deepEqual(folders.sort(), [...STAND_INS].sort());
});

Deno.test("every stand-in is executable and says a version like the real tool", async () => {
  const versions: Record<string, [string, RegExp]> = {
    nmap: ["--version", /^Nmap version 7\.93 /],
    masscan: ["--version", /^\nMasscan version 1\.3\.2 /],
    gobuster: ["version", /^3\.5\n$/],
  };
  for (const name of STAND_INS) {
    for (const { name: tool } of Deno.readDirSync(standIn(name))) {
      const [argument, expected] = versions[tool] ?? assert.fail(tool);
      const { code, out } = await run(name, tool, [argument]);
      assert.equal(code, 0, `${name}/${tool}`);
      assert.match(out, expected, `${name}/${tool}`);
    }
  }
});

Deno.test("every stand-in looks names up and passes the trial of raw sockets", async () => {
  for (const name of STAND_INS) {
    const args = ["-sL", "-n", "--resolve-all", "-oX", "-", "a.lab.internal"];
    const { code, out } = await run(name, "nmap", args);
    assert.equal(code, 0, name);
    assert.match(out, /addr="127\.0\.0\.1"[^\n]*name="a\.lab\.internal"/);
    const trial = await run(name, "nmap", ["-sS", "-n", "-Pn", "127.0.0.1"]);
    assert.deepEqual([trial.code, trial.out], [0, ""], name);
  }
});

Deno.test("canned reports at once in each tool's form", async () => {
  const nmap = await run("canned", "nmap", SCAN);
  assert.match(nmap.out, /^<\?xml [\s\S]*portid="22"[\s\S]*<\/nmaprun>\n$/);
  const masscan = await run("canned", "masscan", ["-oD", "-"]);
  assert.equal(JSON.parse(masscan.out).port, 22);
  const list = await run("canned", "masscan", ["-oL", "-"]);
  assert.match(list.out, /^open tcp 22 127\.0\.0\.1 \d+$/m);
  const json = await run("canned", "masscan", ["-oJ", "-"]);
  assert.equal(JSON.parse(json.out)[0].ip, "127.0.0.1");
  const gobuster = await run("canned", "gobuster", ["dir", "-u", "x"]);
  const [erase, hit] = gobuster.out.split("/admin");
  assert.equal(erase, "\r\x1b[2K");
  assert.match(hit ?? "", /^ +\(Status: 301\) \[Size: 169\]/);
});

Deno.test("flood and flood_stderr print without end", async () => {
  for (const name of ["flood", "flood_stderr"] as const) {
    await using copy = await copyStandIn(name);
    const child = start(`${copy.path}/nmap`, SCAN);
    const [flooded, other] = name === "flood"
      ? [child.stdout, child.stderr]
      : [child.stderr, child.stdout];
    assert.ok((await take(flooded, 20_000_000)).length >= 20_000_000);
    child.kill("SIGKILL");
    await other.cancel();
    await child.status;
  }
});

Deno.test("stubborn outlives every signal but SIGKILL", async () => {
  await using copy = await copyStandIn("stubborn");
  const child = start(`${copy.path}/nmap`, SCAN);
  // Its first bytes come after its traps are set.
  await take(child.stdout, 10);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    child.kill(signal);
  }
  assert.equal(await copy.alive(), 1);
  child.kill("SIGKILL");
  await child.stderr.cancel();
  assert.equal((await child.status).signal, "SIGKILL");
  assert.equal(await copy.alive(), 0);
});

/** Waits for a number of processes of a copy: they start in their own time. */
async function alive(
  copy: { alive(): Promise<number> },
  count: number,
): Promise<number> {
  let seen = await copy.alive();
  for (let tries = 0; seen !== count && tries < 100; tries++) {
    seen = await copy.alive();
  }
  return seen;
}

Deno.test("forks and escapes leave processes behind when they are killed", async () => {
  for (
    const [name, before, after] of [["forks", 3, 2], ["escapes", 2, 1]] as const
  ) {
    await using copy = await copyStandIn(name);
    const child = start(`${copy.path}/nmap`, SCAN);
    assert.equal(await alive(copy, before), before, name);
    child.kill("SIGKILL");
    await child.status;
    assert.equal(await alive(copy, after), after, name);
    const sessions = (await processesNamed(`${copy.path}/`))
      .filter(({ pid, session }) => pid === session);
    assert.equal(sessions.length, name === "escapes" ? 1 : 0, name);
    await child.stdout.cancel();
    await child.stderr.cancel();
  }
});

Deno.test("orphans ends with a whole report and its pipe stays open", async () => {
  let ended = false;
  {
    await using copy = await copyStandIn("orphans");
    const child = start(`${copy.path}/nmap`, SCAN);
    const reading = take(child.stdout, Infinity).then((text) => {
      ended = true;
      return text;
    });
    assert.equal((await child.status).code, 0);
    assert.equal(await alive(copy, 1), 1);
    assert.equal(ended, false);
    const [{ pid } = { pid: 0 }] = await processesNamed(`${copy.path}/`);
    await new Deno.Command("sh", { args: ["-c", `kill ${pid}`] }).output();
    assert.match(await reading, /<\/nmaprun>\n$/);
    await child.stderr.cancel();
  }
  assert.equal(ended, true);
});

Deno.test("dies_halfway, half_xml and fails end as they say", async () => {
  const died = await run("dies_halfway", "nmap", SCAN);
  assert.equal(died.signal, "SIGSEGV");
  assert.match(died.out, /<\/host>\n<host><status state="up" re$/);
  const half = await run("half_xml", "nmap", SCAN);
  assert.deepEqual([half.code, half.out], [0, died.out]);
  const failed = await run("fails", "nmap", SCAN);
  assert.deepEqual([failed.code, failed.out], [1, ""]);
  assert.match(failed.err, /\/etc\/secret/);
});

Deno.test("slow waits for its gate and logs its starts", async () => {
  await using copy = await copyStandIn("slow");
  const child = start(`${copy.path}/nmap`, SCAN);
  const output = child.output();
  assert.equal(await alive(copy, 1), 1);
  await copy.open();
  const { code, stdout } = await output;
  assert.equal(code, 0);
  assert.match(new TextDecoder().decode(stdout), /percent="90\.00"/);
  assert.deepEqual(await copy.starts(), [`nmap ${SCAN.join(" ")}`]);
});

Deno.test("echo_argv repeats its tokens", async () => {
  const { out, err } = await run("echo_argv", "nmap", [...SCAN, 'a&b"<']);
  assert.match(out, /args="nmap -oX - -p 22 127\.0\.0\.1 a&amp;b&quot;&lt;"/);
  assert.match(err, /^argv: -oX\nargv: -\n[\s\S]*argv: a&b"<\n$/);
});

Deno.test("big prints 64 MB", async () => {
  const child = start(`${standIn("big")}/nmap`, SCAN);
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += chunk.byteLength;
  await child.stderr.cancel();
  assert.equal((await child.status).code, 0);
  assert.ok(bytes >= 64_000_000 && bytes < 72_000_000, String(bytes));
});

Deno.test("leaves_file leaves a file where it can", async () => {
  await using copy = await copyStandIn("leaves_file");
  await new Deno.Command("sh", {
    args: ["-c", 'cd "$1" && ./nmap -oX - >out.xml', "sh", copy.path],
  }).output();
  assert.ok((await Deno.stat(`${copy.path}/paused.conf`)).isFile);
  const { code } = await run("leaves_file", "nmap", SCAN);
  assert.equal(code, 0, "it does not mind a folder that it cannot write");
});
