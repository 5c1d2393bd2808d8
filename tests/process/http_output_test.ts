/**
 * What scanners print, live, over the whole server: seen by those of the tenant who asked for it while
 * the scan still runs, and by nobody else, then or later.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { HttpServer } from "../support/http.ts";
import { copyStandIn, standIn } from "../support/stand_ins.ts";
import { Listener, readUntil } from "./fixtures/http_tenants.ts";
import { closeQuietly, requestText, writeBytes } from "./fixtures/raw_http.ts";

/** One message of a socket, as far as these tests read it. */
interface Told {
  readonly type: string;
  readonly id: string;
  readonly kind: string;
  readonly data: {
    readonly untrusted?: {
      readonly lines: readonly { stream: string; text: string }[];
    };
    readonly skipped?: number;
  };
}

/** Most bytes that wait for a socket that does not read: the server's bound, and what the kernel holds. */
const UNREAD_MAX = 8 * 1024 * 1024;

function toldOf(listener: Listener): Told[] {
  return listener.text.split("\n").filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Told)
    .filter(({ type }) => type === "event");
}

function linesOf(told: readonly Told[]): string[] {
  return told.flatMap(({ data }) =>
    (data.untrusted?.lines ?? []).map(({ stream, text }) => `${stream} ${text}`)
  );
}

function outputOf(listener: Listener): Told[] {
  return toldOf(listener).filter(({ kind }) => kind === "scan.output");
}

async function subscribe(
  server: HttpServer,
  secret: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Listener> {
  const listener = await Listener.open(server.url, secret);
  listener.say({ type: "subscribe", ...more });
  await listener.heard(/"subscribed"/);
  return listener;
}

/** Starts a scan that nobody waits for. */
async function begin(
  server: HttpServer,
  key: string,
  tool: string,
  body: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { status, json, text } = await server.ask(`/tools/${tool}/execute`, {
    ...{ key, body: { ...body, background: true } },
  });
  assert.equal(status, 202, text);
  return json.scan_id;
}

async function statusOf(
  server: HttpServer,
  key: string,
  scanId: string,
): Promise<string> {
  return (await server.ask(`/v1/scans/${scanId}`, { key })).json.status;
}

/** A web server on loopback that has `/admin` and takes its time over one word. */
function serveWeb(): AsyncDisposable & { port: number; release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/login") await promise;
      return pathname === "/admin"
        ? new Response(null, { status: 301, headers: { location: "/in" } })
        : new Response("nothing here", { status: 404 });
    },
  );
  return {
    port: server.addr.port,
    release: resolve,
    [Symbol.asyncDispose]: async () => {
      resolve();
      await server.shutdown();
    },
  };
}

Deno.test("gobuster's own lines are seen while it runs, by those of its tenant who asked for them", async () => {
  verifies("events.output.asked");
  verifies("events.output.live");
  await using web = serveWeb();
  await using server = await HttpServer.start({ tenants: ["red"] });
  const [own, other] = await server.keys([
    { roles: ["operator"] },
    { roles: ["operator"], tenant: "red" },
  ]);
  assert.ok(own && other);
  await using watcher = await subscribe(server, own.secret, { output: true });
  await using plain = await subscribe(server, own.secret);
  await using red = await subscribe(server, other.secret, { output: true });
  const scanId = await begin(server, own.secret, "gobuster", {
    ...{ mode: "dir", target: `http://127.0.0.1:${web.port}/` },
    timeout_seconds: 60,
  });
  await watcher.heard(/\/admin +\(Status: 301\)/);
  // It writes its progress over and over into the same line.
  await watcher.heard(/"stderr","text":"Progress: \d+ \/ \d+ /);
  assert.equal(await statusOf(server, own.secret, scanId), "running");
  web.release();
  for (const listener of [watcher, plain]) {
    await listener.heard(/"kind":"scan\.ended"/);
  }
  const lines = linesOf(toldOf(watcher));
  assert.ok(lines.some((line) => line.startsWith("stdout /admin")));
  assert.ok(lines.some((line) => line.startsWith("stderr Progress: ")));
  for (const line of lines) {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f]/);
    assert.doesNotMatch(line, /sandbox|bwrap/);
  }
  assert.deepEqual(outputOf(plain), []);
  assert.deepEqual(toldOf(red), []);
  // Who comes back hears the rest of the events, in order, and no line of it.
  const [first] = toldOf(watcher);
  assert.ok(first !== undefined);
  await using again = await subscribe(server, own.secret, {
    ...{ after: first.id, output: true },
  });
  await again.heard(/"kind":"scan\.ended"/);
  const kept = toldOf(plain).slice(1).filter(({ kind }) =>
    kind !== "scan.progress"
  );
  const replayed = toldOf(again);
  assert.deepEqual(outputOf(again), []);
  assert.deepEqual(
    replayed.filter(({ kind }) => kind !== "scan.progress"),
    kept,
  );
});

Deno.test("the last lines of a scan come before its end, over both kinds of streams", async () => {
  verifies("events.output.asked");
  await using slow = await copyStandIn("slow");
  await using server = await HttpServer.start({ path: [slow.path] });
  const { secret } = await server.key({ roles: ["operator"] });
  await using socket = await subscribe(server, secret, { output: true });
  const stream = await server.fetch("/events?output=true", { key: secret });
  const silent = await server.fetch("/events", { key: secret });
  const body = { target: "127.0.0.1", ports: "80" };
  const scanId = await begin(server, secret, "nmap", body);
  await socket.heard(/taskprogress task=[^}]* percent=[^}]*50\.00/);
  assert.equal(await statusOf(server, secret, scanId), "running");
  await slow.open();
  await socket.heard(/"kind":"scan\.ended"/);
  const told = toldOf(socket);
  const [before, last] = told.slice(-2);
  assert.equal(last?.kind, "scan.ended");
  assert.ok(before !== undefined);
  const lines = linesOf(told);
  assert.equal(lines[0], 'stdout <?xml version="1.0" encoding="UTF-8"?>');
  assert.equal(lines.at(-1), "stdout </nmaprun>");
  const text = await readUntil(stream, /event: scan\.ended/);
  assert.match(text, /event: scan\.output\ndata: .*taskprogress/);
  assert.match(text, /<\/nmaprun>/);
  const heard = await readUntil(silent, /event: scan\.ended/);
  assert.doesNotMatch(heard, /scan\.output|taskprogress/);
});

Deno.test("a socket that does not read gets the newest of what a scan prints up to its cap, and keeps its place", async () => {
  verifies("events.output.bounded");
  await using server = await HttpServer.start({
    path: [standIn("big")],
    // A client that reads nothing does not answer a ping either.
    env: { MCP_EVENTS_HEARTBEAT_SECONDS: "300" },
  });
  const { secret } = await server.key({ roles: ["operator"] });
  const port = Number(new URL(server.url).port);
  const unread = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeBytes(
    unread,
    requestText({
      ...{ line: "GET /ws", port },
      lines: `Authorization: Bearer ${secret}\r\nUpgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
        "Sec-WebSocket-Version: 13\r\n",
    }),
  );
  await writeBytes(unread, frameOf('{"type":"subscribe","output":true}'));
  await using watcher = await subscribe(server, secret, { output: true });
  const body = { target: "127.0.0.0/22", ports: "80", timeout_seconds: 100 };
  const done = await server.ask("/tools/nmap/execute", { key: secret, body });
  assert.equal(done.json.code, "output_limit", done.text.slice(0, 500));
  await watcher.heard(/"kind":"scan\.ended"/);
  const output = outputOf(watcher);
  assert.ok(output.length > 0);
  const skipped = output.reduce(
    (sum, { data }) => sum + (data.skipped ?? 0),
    0,
  );
  const told = linesOf(output).length;
  assert.ok(skipped > told, `${skipped} of ${told} were left out`);
  for (const one of output) assert.ok(JSON.stringify(one.data).length < 16_384);
  const text = await readUnread(unread, /"kind":"scan\.ended"/);
  assert.ok(text.length < UNREAD_MAX, `${text.length} characters waited`);
  assert.match(text, /"kind":"scan\.output"/);
  closeQuietly(unread);
  assert.doesNotMatch(server.stderr, /"level":"error"/);
});

/** A short message of ASCII as a client writes it, masked with zeros: a character a byte. */
function frameOf(text: string): string {
  assert.ok(text.length < 126);
  return `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`;
}

/** Reads what waited until something is in it. */
async function readUnread(
  connection: Deno.TcpConn,
  pattern: RegExp,
): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (!pattern.test(text.slice(-200_000)) && text.length < UNREAD_MAX) {
    const count = await connection.read(buffer);
    assert.ok(count !== null, "the socket was closed");
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text;
}
