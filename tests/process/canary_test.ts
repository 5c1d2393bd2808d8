/**
 * Secrets reach neither the store, the audit log, the server's log, a report nor what other calls are
 * answered. Each way that one could come in by carries a value of its own; afterwards every byte that
 * was kept or said is searched for all of them.
 *
 * Some is kept on purpose, as it is no secret: the labels of a scan, its target, and what a scanned
 * host said. A label is among what is searched for, and has to be found: a search that looks in the
 * wrong place finds nothing either. The answer to a call may repeat what that call said: its client
 * knows it, and has to see what is wrong.
 *
 * @module
 */
import assert from "node:assert/strict";
import { FORMAT_FACTS } from "@/report/format.ts";
import type { Server } from "../support/server.ts";
import { ask, logged } from "./fixtures/served.ts";
import { type Lasting, runTask, withLasting } from "./fixtures/lasting.ts";
import { verifies } from "../requirements.ts";

/** No secret: it has to be found. */
const LABEL = "plainlabel7";

const FORMATS = Object.keys(FORMAT_FACTS);

/** What is searched, by where it was. */
type Haystack = Map<string, string>;

/** Values that occur nowhere else, one for each way in. */
class Canaries {
  readonly #made = new Map<string, string>();

  /**
   * Makes one of small letters and digits: no escaping changes it.
   *
   * @param way The way in, told where it is found.
   */
  of(way: string): string {
    const random = crypto.getRandomValues(new Uint8Array(6)).toHex();
    return this.add(way, `c4nary${random}x`);
  }

  /** Looks for a given value too: a key. */
  add(way: string, value: string): string {
    assert.ok(!this.#made.has(way), way);
    this.#made.set(way, value);
    return value;
  }

  /**
   * Looks for all of them.
   *
   * @param haystack Where.
   * @returns Which was found where, and what stands around it.
   */
  in(haystack: Haystack): string[] {
    const found: string[] = [];
    for (const [place, text] of haystack) {
      const small = text.toLowerCase();
      for (const [way, value] of this.#made) {
        const at = formsOf(value).map((form) => small.indexOf(form))
          .find((at) => at >= 0);
        if (at === undefined) continue;
        const around = text.slice(Math.max(0, at - 80), at + 80);
        found.push(`${way}, in ${place}: ${JSON.stringify(around)}`);
      }
    }
    return found;
  }
}

/** A value as it may be written, in small letters: plain, in hexadecimal digits, in base64. */
function formsOf(value: string): string[] {
  const bytes = new TextEncoder().encode(value);
  // In base64 it begins at one of three places; what its neighbours have a part in is left out.
  const base64 = [0, 1, 2].map((shift) => {
    const shifted = new Uint8Array(shift + bytes.length);
    shifted.set(bytes, shift);
    const text = shifted.toBase64({ omitPadding: true });
    return text.slice(shift === 0 ? 0 : 4, -2).toLowerCase();
  });
  return [value, bytes.toHex(), ...base64];
}

/** Reads every file below a folder, a byte a character. */
async function readAll(folder: string, into: Haystack): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await readAll(path, into);
    else {
      const bytes = await Deno.readFile(path);
      into.set(name, name + new TextDecoder("latin1").decode(bytes));
    }
  }
}

/** Reads everything that a server shows of what it keeps. */
async function readAnswers(
  server: Server,
  id: string,
  into: Haystack,
): Promise<void> {
  const { resources } = await server.request("resources/list") as {
    resources: { uri: string }[];
  };
  const parts = ["", "/hosts", "/raw"];
  for (const { extension } of Object.values(FORMAT_FACTS)) {
    parts.push(`/report.${extension}`);
  }
  const uris = new Set([
    ...resources.map(({ uri }) => uri),
    ...parts.map((part) => `scan://${id}${part}`),
  ]);
  for (const uri of uris) {
    const said = await server.request("resources/read", { uri });
    into.set(uri, JSON.stringify(said));
  }
  const calls: readonly (readonly [string, Record<string, unknown>])[] = [
    ["scan_list", {}],
    ["scan_status", { scan_id: id }],
    ["scan_results", { scan_id: id }],
    ["inventory", { kind: "hosts" }],
    ["inventory", { kind: "services" }],
  ];
  for (const [at, [name, args]] of calls.entries()) {
    into.set(`${name} ${at}`, JSON.stringify(await server.call(name, args)));
  }
  for (const method of ["tools/list", "prompts/list"]) {
    into.set(method, JSON.stringify(await server.request(method)));
  }
}

/** Runs every command that shows what is kept, reports and exports among them. */
async function readCommands(
  lasting: Lasting,
  { id, env }: {
    readonly id: string;
    readonly env: Readonly<Record<string, string>>;
  },
  into: Haystack,
): Promise<void> {
  const commands: readonly (readonly string[])[] = [
    ["audit", "export"],
    ["audit", "export", "--format", "cef"],
    ["audit", "verify", "--json"],
    ["history", "list", "--json"],
    ["history", "list"],
    ["history", "show", id, "--json"],
    ["history", "show", id],
    ["history", "inventory", "--json"],
    ["config", "print"],
    ["config", "print", "--json"],
    ["store", "check", "--json"],
    ["store", "stats", "--json"],
    ["doctor", "--json"],
    ...FORMATS.map((format) => ["report", id, "--format", format]),
    ["report", "--tag", LABEL],
  ];
  for (const [task = "", ...args] of commands) {
    const { code, out, err } = await runTask(task, args, { lasting, env });
    assert.ok(code === 0 || task === "doctor", `${task} ${args}: ${out}${err}`);
    into.set([task, ...args].join(" "), out + err);
  }
}

/** Every place of a haystack where the label is, by a part of the place's name. */
function assertSearched(haystack: Haystack, parts: readonly string[]): void {
  const labelled = [...haystack].filter(([, text]) => text.includes(LABEL))
    .map(([place]) => place);
  for (const part of parts) {
    assert.ok(
      labelled.some((place) => place.includes(part)),
      `nothing was searched in ${part}: ${labelled}`,
    );
  }
}

/** Calls that hold a secret in a place where somebody might put one. All are refused. */
function refusedCalls(
  canary: (way: string) => string,
): readonly (readonly [string, Readonly<Record<string, unknown>>])[] {
  const web = { mode: "dir", target: "http://127.0.0.1/" };
  const host = { target: "127.0.0.1" };
  const url = (way: string) => `http://u:${canary(way)}@127.0.0.1/`;
  const webArgs = [
    `-U admin -P ${canary("-P")}`,
    `-U admin -P${canary("-P, joined")}`,
    `--password=${canary("--password=")}`,
    `--username a --password ${canary("--password")}`,
    `-H 'Authorization: Bearer ${canary("-H, bearer")}'`,
    `-H 'X-Api-Key: ${canary("-H, key")}'`,
    `-H 'X-Own: ${canary("-H, any")}'`,
    `--headers "X-Own: ${canary("--headers")}"`,
    `-c 'session=${canary("-c")}'`,
    `--cookies "session=${canary("--cookies")}"`,
    `--cookies=session=${canary("--cookies=")}`,
    `--proxy ${url("--proxy")}`,
  ];
  const hostArgs = [
    `--script-args http.password=${canary("--script-args")}`,
    `--script-args=smbusername=a,smbpassword=${canary("--script-args=")}`,
    `--script-args 'creds.http=admin:x,token=${canary("--script-args, list")}'`,
    `--proxies ${url("--proxies")}`,
  ];
  return [
    ...webArgs.map((extra_args) =>
      ["gobuster", { ...web, extra_args }] as const
    ),
    ...hostArgs.map((extra_args) => ["nmap", { ...host, extra_args }] as const),
    ["nmap", {
      ...host,
      plan: true,
      extra_args: `--script-args token=${canary("a plan")}`,
    }],
    ["masscan", {
      ...host,
      ports: "1",
      extra_args: `--http-cookie ${canary("--http-cookie")}`,
    }],
    ["gobuster", { ...web, target: url("a URL") }],
    ["gobuster", { ...web, target: `u:${canary("no URL")}@127.0.0.1` }],
    ["gobuster", {
      ...web,
      target: `http://127.0.0.1/?token=${canary("a query")}`,
    }],
    ["gobuster", { ...web, wordlist: url("a word list") }],
    ["gobuster", {
      ...web,
      headers: { Authorization: `Bearer ${canary("headers")}` },
    }],
    ["gobuster", { ...web, cookies: canary("cookies") }],
    ["gobuster", { ...web, username: "a", password: canary("password") }],
    ["nmap", { ...host, script_args: { password: canary("script_args") } }],
    ["nmap", {
      ...host,
      scripts: [`http-brute?password=${canary("scripts")}`],
    }],
    ["nmap", { target: `user:${canary("a target")}@127.0.0.1` }],
    ["nmap", { target: [`https://user:${canary("targets")}@127.0.0.1`] }],
    ["nmap", { ...host, ports: `token=${canary("ports")}` }],
    ["nmap", { ...host, [url("an argument's name")]: 1 }],
    ["nmap", { ...host, idempotency_key: [canary("a key, in a list")] }],
    ["nmap", {
      ...host,
      idempotency_key: `${canary("a key, too long")}${"x".repeat(200)}`,
    }],
    [`nmap?token=${canary("a tool's name")}`, host],
    ["scan_status", { scan_id: `Bearer ${canary("a scan's id")}` }],
    ["scan_cancel", { scan_id: `Bearer ${canary("a scan to cancel")}` }],
    ["scan_diff", { newer: `Bearer ${canary("a scan to compare")}` }],
  ];
}

/** Everything else that a client can say. */
async function sayElsewhere(
  server: Server,
  canary: (way: string) => string,
): Promise<void> {
  // Half a message, and notifications that nobody knows.
  server.write(
    `{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"password":"${
      canary("half a message")
    }"`,
  );
  server.notify("notifications/x", { token: canary("a notification") });
  const requests: readonly (readonly [string, Record<string, unknown>])[] = [
    [`foo/Bearer ${canary("a method")}`, {}],
    ["resources/read", { uri: `scan://x?token=${canary("an address")}` }],
    ["resources/read", { uri: `https://u:${canary("a URL to read")}@h/` }],
    ["prompts/get", { name: "x", arguments: { password: canary("a prompt") } }],
    ["logging/setLevel", { level: canary("a level") }],
    ["tools/call", {
      name: "nmap",
      arguments: { target: "127.0.0.1", ports: "90" },
      _meta: { traceparent: canary("a trace"), "x/token": canary("_meta") },
    }],
    ["completion/complete", {
      ref: { type: "ref/prompt", name: "x" },
      argument: { name: "password", value: canary("a completion") },
    }],
  ];
  for (const [method, params] of requests) {
    await server.request(method, params).catch(() => {});
  }
}

Deno.test("what a client sends as a secret is kept nowhere and shown to nobody", async () => {
  verifies("secrets.canary");
  const [canaries, keys] = [new Canaries(), new Canaries()];
  const canary = (way: string) => canaries.of(way);
  const haystack: Haystack = new Map();
  await using lasting = await withLasting("canned");
  let id = "";
  {
    await using server = lasting.start();
    await server.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: {
        name: `agent https://u:${canary("the client, a URL")}@host Bearer ${
          canary("the client, bearer")
        }`,
        version: `1?token=${canary("the version")} password=${
          canary("the version, assigned")
        }`,
      },
    });
    server.notify("notifications/initialized");
    const done = await ask(server, "nmap", {
      target: "127.0.0.1",
      ports: "80",
      engagement: LABEL,
      tags: [LABEL],
      // It has to be known again: the database keeps it, and nothing else does.
      idempotency_key: keys.of("an idempotency key"),
    });
    assert.equal(done.status, "succeeded", JSON.stringify(done));
    id = done.scan_id ?? "";
    for (const [tool, args] of refusedCalls(canary)) {
      const said = await server.call(tool, args).catch(() => null);
      const { isError = true } = said ?? {};
      assert.ok(isError, `${tool} ${JSON.stringify(args)} was not refused`);
    }
    await sayElsewhere(server, canary);
    await readAnswers(server, id, haystack);
    haystack.set("notifications", JSON.stringify(server.notifications));
    await readAll(lasting.state, haystack);
    server.kill("SIGKILL");
    await server.ended;
    haystack.set("the server's log", server.stderr);
    assert.match(server.stderr, /"message":"call refused"|"why":/);
  }
  await readCommands(lasting, { id, env: {} }, haystack);
  assert.deepEqual(canaries.in(haystack), []);
  const others = [...haystack].filter(([place]) => !/^scans\.db/.test(place));
  assert.deepEqual(keys.in(new Map(others)), []);
  assertSearched(haystack, [
    "scans.db",
    "audit-",
    `scan://${id}`,
    "/report.html",
    "scan_list",
    "audit export",
    "cef",
    "history list",
    "history show",
    "html",
    "markdown",
    "sarif",
  ]);
  // The record still says who asked for what.
  const audit = haystack.get("audit export") ?? "";
  assert.match(audit, /"client":"agent https:\/\/\*\*\*REDACTED\*\*\*@host /);
  assert.match(audit, /-U admin -P \*\*\*REDACTED\*\*\*"/);
});

/** A tool that says everything it was given, and secrets of its own. */
const TALKATIVE = (secret: (way: string) => string) =>
  `#!/bin/sh
. "\${0%/*}/../lib/answers.sh"
/usr/bin/env >&2
printf '%s\\n' 'cannot log in to http://u:${
    secret("what a tool says, a URL")
  }@127.0.0.1/?token=${secret("what a tool says, a query")}' >&2
printf '%s\\n' 'password=${
    secret("what a tool says, assigned")
  } Authorization: Bearer ${secret("what a tool says, bearer")}' >&2
exit 1
`;

Deno.test("the server's own secrets reach no tool, no file, no log and no answer", async () => {
  verifies("secrets.canary");
  const canaries = new Canaries();
  const canary = (way: string) => canaries.of(way);
  const haystack: Haystack = new Map();
  await using lasting = await withLasting("canned");
  const key = (way: string) =>
    canaries.add(way, crypto.getRandomValues(new Uint8Array(32)).toHex());
  const file = `${lasting.folder}/config.yaml`;
  await Deno.writeTextFile(file, "cache:\n  ttl_seconds: 600\n");
  const env = {
    MCP_CONFIG_FILE: file,
    MCP_AUDIT_KEY: key("the key of the audit log"),
    // Not the server's: what the process happens to have.
    AWS_SECRET_ACCESS_KEY: canary("another program's variable"),
    MCP_SERVER_PASSWORD: canary("a variable that is no key"),
  };
  let id = "";
  {
    await using server = lasting.start({ env });
    await server.initialize();
    const call = { target: "127.0.0.1", ports: "80", tags: [LABEL] };
    id = (await ask(server, "nmap", call)).scan_id ?? "";
    await Deno.writeTextFile(`${lasting.copy.path}/nmap`, TALKATIVE(canary));
    const failed = await ask(server, "nmap", { ...call, ports: "81" });
    assert.equal(failed.status, "failed", JSON.stringify(failed));
    haystack.set("the answer of a tool that failed", JSON.stringify(failed));
    await logged(server, "scan ended", 2);
    // A reload that is refused.
    await Deno.writeTextFile(
      file,
      `database: { url: "mysql://u:${canary("a reload")}@127.0.0.1/d" }\n`,
    );
    await server.logged(/database\.url/);
    await readAnswers(server, id, haystack);
    await readAll(lasting.state, haystack);
    server.kill("SIGKILL");
    await server.ended;
    haystack.set("the server's log", server.stderr);
    assert.match(server.stderr, /cannot log in to http/, "its tail is logged");
  }
  await Deno.writeTextFile(file, "cache:\n  ttl_seconds: 600\n");
  await readCommands(lasting, { id, env }, haystack);
  assert.deepEqual(canaries.in(haystack), []);
  assertSearched(haystack, ["scans.db", "audit-", "scan://", "history list"]);
});

Deno.test("the key of the audit log stays in its file", async () => {
  verifies("secrets.canary");
  const canaries = new Canaries();
  const haystack: Haystack = new Map();
  await using lasting = await withLasting("canned");
  const file = `${lasting.folder}/seal.key`;
  const digits = crypto.getRandomValues(new Uint8Array(32)).toHex();
  await Deno.writeTextFile(file, canaries.add("the key", digits));
  await Deno.chmod(file, 0o600);
  const env = { MCP_AUDIT_KEY_FILE: file };
  let id = "";
  {
    await using server = lasting.start({ env });
    await server.initialize();
    const call = { target: "127.0.0.1", ports: "80", tags: [LABEL] };
    id = (await ask(server, "nmap", call)).scan_id ?? "";
    await readAnswers(server, id, haystack);
    haystack.set("the server's log", server.stderr);
  }
  await readAll(lasting.state, haystack);
  await readCommands(lasting, { id, env }, haystack);
  assert.deepEqual(canaries.in(haystack), []);
  assertSearched(haystack, ["scans.db", "audit-", "scan://"]);
  // Its bytes as they are sealed with, too.
  const raw = new TextDecoder("latin1").decode(Uint8Array.fromHex(digits));
  for (const [place, text] of haystack) assert.ok(!text.includes(raw), place);
});

/** Files that are refused, each with a secret where a mistake could put one. */
function badFiles(canary: (way: string) => string): readonly string[] {
  const url = (way: string, rest = "") =>
    `postgres://u:${canary(way)}@127.0.0.1${rest}`;
  return [
    `database: { url: "${url("no port", ":99999/db")}" }`,
    `database: { url: "mysql://u:${canary("no postgres")}@127.0.0.1/db" }`,
    `database: { url: "${url("no such parameter", "/db?foo=1")}" }`,
    `database: { url: "${url("no such mode", "/db?sslmode=1")}" }`,
    `database:\n  url: ${url("no end of a list", "/db")}\n  bad: [`,
    `database:\n  url: "${url("no end of a text", "/db")}\n`,
    `database:\n\turl: ${url("a tab", "/db")}\n`,
    `database: { ulr: "${url("no such key", "/db")}" }`,
    `databse: { url: "${url("no such section", "/db")}" }`,
    `database: { "${url("as a key", "/db")}": 1 }`,
    `"${url("as a section", "/db")}": 1`,
    `database: { url: { a: "${canary("as an object")}" } }`,
    `database: ["${url("as a list", "/db")}"]`,
    `audit: { key: "${canary("no key")}" }`,
    `audit: { key: ["${canary("keys")}"] }`,
    `audit: { key: ${canary("a key")}, key: ${canary("the same key")} }`,
    `audit: { checkpoint_every: "password=${canary("no number")}" }`,
    `audit: { checkpoint_every: "${url("no number, a URL")}" }`,
    `scans: { resume: "token=${canary("no choice")}" }`,
    `security: { allowed_subnets: ["${url("no network")}"] }`,
    `password: ${canary("a name of its own")}`,
    canary("no file at all"),
  ];
}

Deno.test("a configuration that is refused is refused without its secrets", async () => {
  verifies("secrets.canary");
  const canaries = new Canaries();
  const canary = (way: string) => canaries.of(way);
  const haystack: Haystack = new Map();
  await using lasting = await withLasting("canned");
  const run = async (
    [task = "", ...args]: readonly string[],
    env: Readonly<Record<string, string>> = {},
    edit = (own: readonly string[]) => own,
  ) => {
    const said = await runTask(task, args, { lasting, env, edit });
    const what = `${task} ${args} ${JSON.stringify(env)}`;
    haystack.set(what, said.out + said.err);
    return said.code;
  };
  for (const [at, text] of badFiles(canary).entries()) {
    const file = `${lasting.folder}/${at}.yaml`;
    await Deno.writeTextFile(file, text);
    const codes = await Promise.all([
      run(["config", "check", file, "--json"]),
      run(["store", "check"], { MCP_CONFIG_FILE: file }),
    ]);
    assert.notEqual(codes[1], 0, text);
  }
  const commands = [["serve"], ["config", "print"], ["audit", "verify"]];
  for (
    const env of [
      { MCP_AUDIT_KEY: canary("a variable, no key") },
      { MCP_DATABASE_URL: `u:${canary("a variable, no URL")}@127.0.0.1/d` },
      { MCP_DATABASE_URL: `postgres://u:${canary("half a digit")}%Z@h/d` },
      { MCP_CACHE_TTL_SECONDS: `password=${canary("a variable, no number")}` },
    ]
  ) {
    const codes = await Promise.all(
      commands.map((command) => run(command, env)),
    );
    assert.ok(codes.some((code) => code !== 0), JSON.stringify(env));
  }
  // A database that may not be reached, and one that is not there.
  const database = {
    MCP_DATABASE_URL: `postgres://u:${canary("nobody listens")}@127.0.0.1:1/d`,
  };
  const reachable = (own: readonly string[]) =>
    own.flatMap((arg) =>
      arg === "src/main.ts" ? ["--allow-net=127.0.0.1:1", arg] : [arg]
    );
  for (const command of [["serve"], ["store", "check"], ["history", "list"]]) {
    const codes = await Promise.all([
      run(command, database),
      // Told apart by another variable, which says nothing here.
      run(command, { ...database, MCP_LOG_LEVEL: "debug" }, reachable),
    ]);
    assert.deepEqual(codes.filter((code) => code === 0), [], command.join());
  }
  await readAll(lasting.state, haystack).catch((thrown) => {
    // Nothing may have come so far that there is one.
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  });
  const found = canaries.in(
    new Map([...haystack].map(([what, text], at) => [
      `${at} ${what.slice(0, 60)}`,
      text,
    ])),
  );
  assert.deepEqual(found, []);
  const said = [...haystack.values()].join("\n");
  assert.match(said, /is no key of database/);
  assert.match(said, /nothing listens there/);
});

Deno.test("a secret on a command line is neither kept nor recorded", async () => {
  verifies("secrets.canary");
  const canaries = new Canaries();
  const canary = (way: string) => canaries.of(way);
  const haystack: Haystack = new Map();
  await using lasting = await withLasting("canned");
  const web = ["scan", "gobuster", "dir"];
  const commands: readonly (readonly string[])[] = [
    ["scan", "nmap", "127.0.0.1", "--ports", "80", "--tag", LABEL],
    [...web, `http://u:${canary("a URL")}@127.0.0.1/`],
    [...web, "http://127.0.0.1/", "--password", canary("--password")],
    [...web, "http://127.0.0.1/", "--extra-args", `-P ${canary("-P")}`],
    ["scan", "nmap", "127.0.0.1", `--script-args=x=${canary("an option")}`],
    ["scan", "nmap", `user:${canary("a target")}@127.0.0.1`],
    [
      "plan",
      "nmap",
      "127.0.0.1",
      "--extra-args",
      `--script-args http.password=${canary("a plan")}`,
    ],
    ["history", "show", `token=${canary("an id")}`],
    ["history", "search", `password=${canary("a search")}`],
    ["report", `https://u:${canary("a report")}@h`],
    ["import", `https://u:${canary("a file")}@h/x.xml`],
    ["store", "prune", `--token=${canary("no option")}`],
    ["audit", "verify", "--key-file", `u:${canary("a file's name")}@h`],
    ["audit", "verify", "--expect", `token=${canary("an anchor")}`],
  ];
  for (const [at, [task = "", ...args]] of commands.entries()) {
    const { code, err } = await runTask(task, args, { lasting });
    assert.equal(code === 0, at === 0 || args[0] === "search", err);
  }
  await readAll(lasting.state, haystack);
  const { out } = await runTask("audit", ["export"], { lasting });
  haystack.set("audit export", out);
  assert.deepEqual(canaries.in(haystack), []);
  assertSearched(haystack, ["scans.db", "audit-", "audit export"]);
});
