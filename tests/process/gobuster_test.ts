/**
 * The real gobuster, run by the command lines of our plans against servers on loopback, and read by
 * our reader. Packets go to 127.0.0.1 only: web servers of this process and a dnsmasq of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Exit } from "@/spawn/exit.ts";
import { findPrograms } from "@/spawn/program.ts";
import { spawn } from "@/spawn/spawn.ts";
import { versionArgv } from "@/tools/gobuster/argv.ts";
import { gobuster } from "@/tools/gobuster/tool.ts";
import type { NamesReport, PathsReport } from "@/tools/report.ts";
import type { Plan } from "@/tools/tool.ts";
import { freePort } from "../support/network.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { GUARDRAILS } from "../unit/tools/nmap_fixture.ts";
import { CAGE } from "../support/limits.ts";

const [PROGRAM = "/usr/bin/gobuster"] = findPrograms(
  "gobuster",
  "/usr/bin:/usr/local/bin:/usr/sbin",
  (command) => Deno.permissions.querySync({ name: "run", command }).state,
);

const WORDS = ["admin", "index", "www", "login", "secret", "mail", "nope"];

/** What a run came to. */
interface Ran {
  readonly plan: Plan;
  readonly exit: Exit;
  readonly report: PathsReport | NamesReport;
  readonly failure: { code: string; message: string } | null;
  readonly notes: readonly string[];
}

/** Options of {@linkcode run}. */
interface RunOptions {
  readonly words?: readonly string[];
  readonly requestTimeoutSeconds?: number;
  /** Hears of the output as it comes. */
  readonly onOutput?: (found: number) => void;
  readonly signal?: AbortSignal;
}

/** Plans a request, runs it as planned, and reads it. Names resolve to loopback. */
async function run(
  input: Readonly<Record<string, unknown>>,
  options: RunOptions = {},
): Promise<Ran> {
  await using folder = await withTempDir();
  const words = options.words ?? WORDS;
  const path = `${folder.path}/words.txt`;
  await Deno.writeTextFile(path, `# a comment\n\n${words.join("\n")}\n`);
  const guardrails = {
    ...GUARDRAILS,
    gobuster: {
      ...GUARDRAILS.gobuster,
      wordlists: [{ name: "common", path, words: words.length }],
      requestTimeoutSeconds: options.requestTimeoutSeconds ?? 5,
    },
  };
  const request = gobuster.parse(input, guardrails);
  const plan = gobuster.plan(request, {
    guardrails,
    powers: { rawSockets: false },
    resolved: new Map([["web.lab.internal", ["127.0.0.1"]]]),
  });
  const [argv] = plan.passes;
  if (argv === undefined) throw new Error(JSON.stringify(plan.verdicts));
  const reader = gobuster.reader(request, plan, () => performance.now());
  const { exit } = await spawn({
    program: PROGRAM,
    argv,
    ...CAGE,
    timeoutMs: 20_000,
    outputBytesMax: 1_048_576,
    signal: options.signal ?? new AbortController().signal,
    stdout: (bytes) => {
      reader.stdout(bytes);
      options.onOutput?.(reader.progress().found);
    },
    stderr: (bytes) => reader.stderr(bytes),
  });
  reader.passEnded(exit);
  const { report, failure, notes } = reader.finish();
  if (report.kind === "hosts") throw new Error("a report of hosts");
  return { plan, exit, report, failure, notes };
}

/** A web server on loopback with the requests that it got. */
interface Web extends AsyncDisposable {
  readonly port: number;
  readonly seen: { path: string; host: string; agent: string }[];
}

function serveWeb(
  answer: (url: URL, host: string) => Response | Promise<Response> = site,
  tls: { cert: string; key: string } | null = null,
): Web {
  const seen: { path: string; host: string; agent: string }[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...(tls ?? {}) },
    (request) => {
      const url = new URL(request.url);
      const host = request.headers.get("host") ?? "";
      const agent = request.headers.get("user-agent") ?? "";
      seen.push({ path: url.pathname, host, agent });
      return answer(url, host);
    },
  );
  return {
    port: server.addr.port,
    seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function site(url: URL, host: string): Response {
  if (host.startsWith("admin.lab.internal")) return new Response("the admin");
  if (host.startsWith("login.lab.internal")) return redirect("/sso");
  switch (url.pathname) {
    case "/":
      return new Response("hello");
    case "/admin":
      return redirect("http://127.0.0.1:1/elsewhere/");
    case "/secret":
      return new Response("no", { status: 403 });
    case "/index.html":
    case "/app/www":
      return new Response("some page");
    default:
      return new Response("nothing here", { status: 404 });
  }
}

function redirect(location: string): Response {
  return new Response(null, { status: 301, headers: { location } });
}

function found(report: PathsReport | NamesReport): unknown[] {
  return report.kind === "paths"
    ? report.paths.map(({ status, size, untrusted }) => [
      status,
      size,
      untrusted.path,
      ...(untrusted.redirect === undefined ? [] : [untrusted.redirect]),
    ])
    : report.names.map(({ name, addresses, status }) => [
      name,
      addresses ?? status,
    ]);
}

Deno.test("gobuster finds paths, reports redirects and follows none", async () => {
  await using web = serveWeb();
  const target = `http://127.0.0.1:${web.port}/`;
  const { report, failure, notes } = await run({ mode: "dir", target });
  assert.equal(failure, null);
  assert.deepEqual(notes, []);
  assert.equal(report.partial, false);
  assert.deepEqual(report.totals, { tried: 7, words: 7 });
  assert.deepEqual(found(report), [
    [301, 0, "/admin", "http://127.0.0.1:1/elsewhere/"],
    [403, 2, "/secret"],
  ]);
  // The start page, a path that cannot exist, and each word once.
  assert.equal(web.seen.length, 9);
  assert.ok(web.seen.every(({ agent }) => agent === "security-mcp-server"));
});

Deno.test("gobuster tries extensions below the path of the URL and keeps to the status codes", async () => {
  await using web = serveWeb();
  const base = `http://127.0.0.1:${web.port}`;
  const { report } = await run({
    mode: "dir",
    target: base,
    extensions: "html,php",
    status_codes: "200-299",
  });
  assert.deepEqual(found(report), [[200, 9, "/index.html"]]);
  const below = await run({ mode: "dir", target: `${base}/app` });
  assert.deepEqual(found(below.report), [[200, 9, "/app/www"]]);
});

Deno.test("gobuster takes every flag that the grammar has for a web server", async () => {
  await using web = serveWeb();
  const { report, failure } = await run({
    mode: "dir",
    target: `http://127.0.0.1:${web.port}/`,
    extra_args: "-b 404,403 --exclude-length 1,2 -f --delay 1ms -t 3 -x bak",
  });
  assert.equal(failure, null);
  assert.deepEqual(found(report), []);
  assert.ok(web.seen.some(({ path }) => path === "/admin.bak/"));
});

Deno.test("gobuster asks a named server at its address, with the name as host", async () => {
  await using web = serveWeb();
  const { plan, report } = await run({
    mode: "dir",
    target: `http://web.lab.internal:${web.port}/`,
  });
  assert.equal(report.kind === "paths" && report.paths.length, 2);
  assert.deepEqual(plan.targets, [`http://127.0.0.1:${web.port}/`]);
  const hosts = new Set(web.seen.map(({ host }) => host));
  assert.deepEqual([...hosts], [`web.lab.internal:${web.port}`]);
});

Deno.test("gobuster finds virtual hosts", async () => {
  await using web = serveWeb();
  for (const host of ["127.0.0.1", "web.lab.internal"]) {
    const { report, failure } = await run({
      mode: "vhost",
      target: `http://${host}:${web.port}/`,
      extra_args: "--domain lab.internal",
    });
    assert.equal(failure, null);
    assert.deepEqual(found(report), [
      ["admin.lab.internal", 200],
      ["login.lab.internal", 301],
    ]);
  }
  assert.ok(
    web.seen.some(({ host }) => host === `mail.lab.internal:${web.port}`),
  );
});

Deno.test("gobuster's refused connection is a failure that says what to do", async () => {
  const target = `http://127.0.0.1:${freePort()}/`;
  const { exit, failure, report } = await run({ mode: "dir", target });
  assert.deepEqual(exit, { kind: "exited", code: 1, signal: null });
  assert.equal(failure?.code, "tool_failed");
  assert.match(failure?.message ?? "", /refused the connection/);
  assert.equal(report.partial, true);
});

Deno.test("gobuster's server that answers everything alike is told by its numbers, and the way out works", async () => {
  await using web = serveWeb((url) =>
    url.pathname === "/admin"
      ? new Response("found it")
      : new Response("same for all")
  );
  const request = { mode: "dir", target: `http://127.0.0.1:${web.port}/` };
  const { failure } = await run(request);
  assert.match(
    failure?.message ?? "",
    /answers 200 with 12 bytes .* add --exclude-length 12 to extra_args/,
  );
  const mended = await run({
    ...request,
    extra_args: "--exclude-length 12",
  });
  assert.equal(mended.failure, null);
  assert.deepEqual(found(mended.report), [[200, 8, "/admin"]]);
});

Deno.test("gobuster's server that stops to answer leaves a partial report", async () => {
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  await using web = serveWeb(async (url) => {
    if (/^\/(?:nope|mail)$/.test(url.pathname)) await over;
    return site(url, "");
  });
  const target = `http://127.0.0.1:${web.port}/`;
  const { report, failure, notes } = await run({ mode: "dir", target }, {
    requestTimeoutSeconds: 1,
  });
  end();
  assert.equal(failure, null);
  assert.equal(report.partial, true);
  assert.equal(report.kind === "paths" && report.paths.length, 2);
  assert.deepEqual(notes, [
    "2 requests failed, so the words of them are not judged: 2 got no answer in time",
  ]);
});

Deno.test("gobuster that is cancelled leaves a partial report with what was found", async () => {
  const controller = new AbortController();
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  await using web = serveWeb(async (url) => {
    if (url.pathname.startsWith("/slow")) await over;
    return site(url, "");
  });
  const { exit, report } = await run(
    { mode: "dir", target: `http://127.0.0.1:${web.port}/` },
    {
      words: ["admin", ...Array.from({ length: 50 }, (_, i) => `slow${i}`)],
      signal: controller.signal,
      onOutput: (count) => {
        if (count > 0) controller.abort();
      },
    },
  );
  end();
  assert.deepEqual(exit, { kind: "cancelled" });
  assert.equal(report.partial, true);
  assert.equal(report.kind === "paths" && report.paths.length, 1);
});

Deno.test("gobuster over https leaves the certificate unchecked for a pinned name and on request only", async () => {
  await using folder = await withTempDir();
  const [key, cert] = [`${folder.path}/key.pem`, `${folder.path}/cert.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(
        " ",
      ),
      ..."-days 2 -subj /CN=web.lab.internal -keyout".split(" "),
      key,
      "-out",
      cert,
    ],
    stdout: "null",
    stderr: "null",
  }).output();
  assert.ok(success);
  await using web = serveWeb(site, {
    cert: await Deno.readTextFile(cert),
    key: await Deno.readTextFile(key),
  });
  const by = (host: string, extra = {}) =>
    run({ mode: "dir", target: `https://${host}:${web.port}/`, ...extra });
  const named = await by("web.lab.internal");
  assert.equal(named.failure, null);
  assert.equal(found(named.report).length, 2);
  assert.ok(
    named.plan.notes.some((note) =>
      note.includes("certificate is not checked")
    ),
  );
  const checked = await by("127.0.0.1");
  assert.match(checked.failure?.message ?? "", /certificate .* add -k to/);
  const asked = await by("127.0.0.1", { extra_args: "-k" });
  assert.equal(found(asked.report).length, 2);
  const plain = await run({
    mode: "dir",
    target: `http://127.0.0.1:${web.port}/`,
  });
  assert.ok(plain.failure !== null || found(plain.report).length === 0);
});

Deno.test("gobuster told https of an http server says so", async () => {
  await using web = serveWeb();
  const target = `https://127.0.0.1:${web.port}/`;
  const { failure } = await run({ mode: "dir", target });
  assert.match(failure?.message ?? "", /speaks http on this port/);
});

/** A name server on loopback that forwards nothing. */
async function serveNames(
  records: readonly string[],
): Promise<{ port: number } & AsyncDisposable> {
  const port = freePort();
  const child = new Deno.Command("dnsmasq", {
    args: [
      ..."--no-daemon --conf-file=/dev/null --no-resolv --no-hosts".split(" "),
      ..."--bind-interfaces --listen-address=127.0.0.1 --user=".split(" "),
      `--port=${port}`,
      "--local=/lab.internal/",
      ...records,
    ],
    env: { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/sbin` },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("started, version")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`dnsmasq does not start: ${said}`);
    said += value;
  }
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill();
      await child.status;
      await drained;
    },
  };
}

Deno.test("gobuster finds names with their addresses and contacts none of them", async () => {
  await using server = await serveNames([
    "--host-record=www.lab.internal,10.77.2.20,fd00::20",
    "--host-record=mail.lab.internal,203.0.113.5",
  ]);
  const { report, failure } = await run({
    mode: "dns",
    target: "lab.internal",
    resolver: `127.0.0.1:${server.port}`,
  });
  assert.equal(failure, null);
  assert.equal(report.partial, false);
  assert.deepEqual(found(report), [
    ["mail.lab.internal", ["203.0.113.5"]],
    ["www.lab.internal", ["10.77.2.20", "fd00::20"]],
  ]);
});

Deno.test("gobuster's name server that answers for every name is told, and the way out works", async () => {
  await using server = await serveNames([
    "--address=/lab.internal/10.77.2.20",
    "--host-record=mail.lab.internal,10.77.2.22",
  ]);
  const request = {
    mode: "dns",
    target: "lab.internal",
    resolver: `127.0.0.1:${server.port}`,
  };
  const { failure } = await run(request);
  assert.match(failure?.message ?? "", /add --wildcard to extra_args/);
  const mended = await run({ ...request, extra_args: "--wildcard" });
  assert.equal(mended.failure, null);
  assert.deepEqual(found(mended.report), [["mail.lab.internal", [
    "10.77.2.22",
  ]]]);
});

Deno.test("gobuster's dead name server is a failure, although gobuster exits 0", async () => {
  const { exit, failure } = await run({
    mode: "dns",
    target: "lab.internal",
    resolver: `127.0.0.1:${freePort()}`,
  });
  assert.deepEqual(exit, { kind: "exited", code: 0, signal: null });
  assert.equal(failure?.code, "tool_failed");
  assert.match(failure?.message ?? "", /the name server does not work/);
});

Deno.test("versionArgv() makes gobuster say its version", async () => {
  let text = "";
  await spawn({
    program: PROGRAM,
    argv: versionArgv(),
    ...CAGE,
    timeoutMs: 5_000,
    outputBytesMax: 1_024,
    signal: new AbortController().signal,
    stdout: (bytes) => text += new TextDecoder().decode(bytes),
    stderr: () => {},
  });
  assert.match(text, /^(\d[\w.-]{0,31})\s*$/m);
});
