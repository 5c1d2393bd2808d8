/**
 * The whole HTTP server under clients that mean it harm: bytes that are no HTTP or too much of it, bodies
 * that never end, paths and hosts that pretend, credentials that are guessed. What it is asked meanwhile
 * it answers, and nothing of itself it gives away.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { HttpServer } from "../support/http.ts";
import { memoryOf } from "../support/processes.ts";
import { standIn } from "../support/stand_ins.ts";
import { until } from "./fixtures/lasting.ts";
import { assertSteady, feelPulse, type Pulse } from "./fixtures/pulse.ts";
import {
  bytesOf,
  closeQuietly,
  exchange,
  readWithin,
  requestText,
  writeBytes,
} from "./fixtures/raw_http.ts";

const JSON_TYPE = "Content-Type: application/json\r\n";

const MIB = 1_048_576;

/** What makes a body large that is good otherwise. */
const PAD = "x".repeat(MIB / 2);

/** What no answer may hold: a place in the source, a path of this machine, the runtime's own words. */
const INNARDS = /\.ts:\d|\bat (?:async |file:|Object\.)|file:\/\/|hyper|Deno\./;

/** A server and whoever calls it. */
class Victim implements AsyncDisposable {
  readonly server: HttpServer;
  readonly port: number;
  readonly key: string;
  readonly pulse: Pulse;

  private constructor(server: HttpServer, key: string) {
    this.server = server;
    this.port = Number(new URL(server.url).port);
    this.key = key;
    this.pulse = feelPulse(server.url);
  }

  static async start(
    env: Readonly<Record<string, string>> = {},
  ): Promise<Victim> {
    const server = await HttpServer.start({
      path: [standIn("canned")],
      env: { MCP_LIMITS_REQUESTS_PER_MINUTE: "0", ...env },
    });
    const { secret } = await server.key({ roles: ["operator", "viewer"] });
    return new Victim(server, secret);
  }

  /** The header of somebody who may call. */
  get authorized(): string {
    return `Authorization: Bearer ${this.key}\r\n`;
  }

  /** Sends a request as bytes and waits for its answer, or for the end. */
  send(line: string, lines = "", body = "") {
    const { port } = this;
    const text = requestText({ line, port, lines, body });
    return exchange(port, text, { silenceMs: 5_000, once: true });
  }

  /** The same, and waits for further answers. */
  sendAndWait(line: string, lines: string, body: string) {
    const { port } = this;
    return exchange(port, requestText({ line, port, lines, body }));
  }

  /** Ends the pulse, and asserts that it went on. */
  async survived(): Promise<void> {
    await this.pulse[Symbol.asyncDispose]();
    assertSteady(this.pulse);
    const { status } = await this.server.ask("/v1/scans", { key: this.key });
    assert.equal(status, 200);
    assert.ok(!this.server.stderr.includes(this.key));
    assert.doesNotMatch(this.server.stderr, /"level":"error"/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pulse[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

Deno.test("the server refuses what is no request for it, and tells nothing of itself", async () => {
  verifies("http.abuse.request");
  verifies("http.host", "http.origin", "http.problems");
  await using victim = await Victim.start();
  const { authorized, port } = victim;
  const own = `Host: 127.0.0.1:${port}\r\n`;
  const bomb = Array.from({ length: 5_000 }, (_, at) => `X-${at}: y\r\n`);
  for (
    const [name, line, lines, expected] of [
      ["a header bomb", "GET /v1/scans", bomb.join(""), [400, 431]],
      [
        "a header of a megabyte",
        "GET /v1/scans",
        `X: ${"y".repeat(1_048_576)}\r\n`,
        [400, 431],
      ],
      [
        "absolute form for another host",
        "GET http://evil.example/v1/scans",
        authorized,
        [400],
      ],
      [
        "absolute form that agrees with the host it names",
        "GET http://evil.example/v1/scans",
        `Host: evil.example\r\n${authorized}`,
        [403],
      ],
      ["a Host of another", "GET /v1/scans", `Host: evil.example\r\n`, [403]],
      [
        "a rebound name with our port",
        "GET /v1/scans",
        `Host: evil.example:${port}\r\n${authorized}`,
        [403],
      ],
      [
        "a name that begins like ours",
        "GET /v1/scans",
        `Host: 127.0.0.1.evil.example:${port}\r\n${authorized}`,
        [403],
      ],
      [
        "our address in another notation",
        "GET /v1/scans",
        `Host: 2130706433:${port}\r\n${authorized}`,
        [403],
      ],
      [
        "another port",
        "GET /v1/scans",
        `Host: 127.0.0.1:1\r\n${authorized}`,
        [403],
      ],
      [
        "no Host at all",
        "GET /v1/scans",
        `Host:\r\n${authorized}`,
        [400],
      ],
      [
        "a foreign Origin",
        "GET /v1/scans",
        `Origin: https://evil.example\r\n${authorized}`,
        [403],
      ],
      [
        "the Origin of a file or a sandboxed frame",
        "POST /tools/nmap/execute",
        `Origin: null\r\n${authorized}${JSON_TYPE}Content-Length: 2\r\n`,
        [403],
      ],
      [
        "a preflight of a foreign page",
        "OPTIONS /v1/scans",
        "Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n",
        [403],
      ],
      [
        "a WebSocket of a foreign page",
        "GET /ws",
        `Origin: https://evil.example\r\n${authorized}Upgrade: websocket\r\n` +
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        [403],
      ],
      [
        "a WebSocket without credentials",
        "GET /ws",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        [401],
      ],
      [
        "a WebSocket that is none",
        "GET /ws",
        `${authorized}Upgrade: websocket\r\nConnection: Upgrade\r\n`,
        [400, 426],
      ],
      [
        "an upgrade to HTTP/2",
        "GET /v1/scans",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        [401],
      ],
      ["another method", "BREW /v1/scans", authorized, [405]],
      [
        "an expectation",
        "GET /v1/scans",
        `${authorized}Expect: something\r\n`,
        [200, 400, 417],
      ],
    ] as const
  ) {
    const answer = await victim.send(line, lines);
    const [status = 0] = answer.statuses;
    assert.ok(
      (expected as readonly number[]).includes(status),
      `${name}: ${status} ${answer.text.slice(0, 500)}`,
    );
    assert.doesNotMatch(answer.text, INNARDS, name);
    assert.doesNotMatch(answer.text, /access-control-allow-origin/i, name);
    assert.ok(!answer.text.includes(victim.key), name);
  }
  // The parser took neither of these for HTTP.
  for (
    const bytes of ["\x16\x03\x01\x02\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
  ) {
    const { statuses } = await exchange(port, bytes + own);
    assert.ok(statuses.every((status) => status === 400), String(statuses));
  }
  await victim.survived();
});

Deno.test("tricks with paths and methods reach no route without credentials and no other route with them", async () => {
  verifies("http.abuse.path");
  verifies("http.open");
  await using victim = await Victim.start();
  const { authorized } = victim;
  for (
    const [path, bare, known] of [
      ["/health/../v1/scans", [401], [404]],
      ["/health/%2e%2e/v1/scans", [401], [404]],
      ["/health/..%2fv1/scans", [401], [404]],
      ["/health/%2e%2e%2fv1%2fscans", [401], [404]],
      ["/health;/v1/scans", [401], [404]],
      ["/health;a=b", [401], [404]],
      ["/health%00", [401], [404]],
      ["/health%0d%0aX-Evil:%201", [401], [404]],
      ["/health/", [401], [404]],
      ["//health", [401], [404]],
      ["//v1//scans", [401], [404]],
      ["/%2fv1/scans", [401], [404]],
      ["/v1/scans/", [401], [404]],
      ["/V1/SCANS", [401], [404]],
      ["/HEALTH", [401], [404]],
      ["/v1/scans%2f..%2fkeys", [401], [404]],
      ["/v1/scans/..%2f..%2f..%2fetc%2fpasswd", [401], [400, 404]],
      ["/v1/scans/%2e%2e/%2e%2e/%2e%2e/etc/passwd", [401], [404]],
      ["/v1/scans/%00", [401], [400, 404]],
      ["/v1/scans/%ff%fe", [401], [400, 404]],
      ["/v1/scans/%ed%a0%80", [401], [400, 404]],
      ["/v1/scans/%zz", [401], [400, 404]],
      ["/v1/scans/a\\..\\keys", [400, 401], [400, 404]],
      ["/tools/__proto__", [401], [404]],
      ["/tools/constructor", [401], [404]],
      ["/problems/__proto__", [401], [404]],
      ["/v1/scans?__proto__=1", [401], [400]],
      ["/v1/scans?limit=1&limit=2", [401], [400]],
      ["/v1/scans?cursor=%00", [401], [400]],
      ["/metrics?x=1", [401], [200, 400]],
    ] as const
  ) {
    const without = await victim.send(`GET ${path}`);
    assert.ok(
      (bare as readonly number[]).includes(without.statuses[0] ?? 0),
      `without credentials ${path}: ${without.text.slice(0, 400)}`,
    );
    const having = await victim.send(`GET ${path}`, authorized);
    assert.ok(
      (known as readonly number[]).includes(having.statuses[0] ?? 0),
      `with credentials ${path}: ${having.text.slice(0, 400)}`,
    );
    assert.doesNotMatch(having.text, /root:x:|^x-evil/im, path);
    assert.doesNotMatch(having.text, INNARDS, path);
  }
  // Nobody's key is made or revoked because a header says that this GET is something else.
  for (
    const name of [
      "X-HTTP-Method-Override",
      "X-HTTP-Method",
      "X-Method-Override",
      "_method",
    ]
  ) {
    const { statuses, text } = await victim.send(
      "GET /v1/scans",
      `${authorized}${name}: DELETE\r\n`,
    );
    assert.deepEqual(statuses, [200], `${name}: ${text}`);
  }
  for (
    const name of ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"]
  ) {
    const { statuses } = await victim.send(
      "GET /v1/keys",
      `${name}: /health\r\n`,
    );
    assert.deepEqual(statuses, [401], name);
    const open = await victim.send("GET /health/live", `${name}: /v1/keys\r\n`);
    assert.match(open.text, /"alive"/, name);
  }
  await victim.survived();
});

Deno.test("two meanings of one body, and bodies that nobody read, smuggle no second request in", async () => {
  verifies("http.abuse.smuggling");
  await using victim = await Victim.start();
  const { authorized, port } = victim;
  const hidden = requestText({ line: "GET /v1/keys", port });
  const length = `Content-Length: ${hidden.length}\r\n`;
  const chunked = "Transfer-Encoding: chunked\r\n";
  const target = "POST /tools/nmap/execute";
  for (
    const [name, lines, body] of [
      ["CL.TE", `${length}${chunked}`, `0\r\n\r\n${hidden}`],
      [
        "TE.CL",
        `${chunked}Content-Length: 4\r\n`,
        `5c\r\n${hidden}\r\n0\r\n\r\n`,
      ],
      ["TE.TE", `${chunked}Transfer-encoding: cow\r\n`, `0\r\n\r\n${hidden}`],
      [
        "a tab",
        `Transfer-Encoding:\tchunked\r\n${length}`,
        `0\r\n\r\n${hidden}`,
      ],
      ["a space", `Transfer-Encoding : chunked\r\n${length}`, hidden],
      ["xchunked", `Transfer-Encoding: xchunked\r\n${length}`, hidden],
      ["two lengths", `Content-Length: 0\r\n${length}`, hidden],
      ["a list of lengths", `Content-Length: 0, ${hidden.length}\r\n`, hidden],
      ["a signed length", `Content-Length: +${hidden.length}\r\n`, hidden],
      ["a bare line feed", `X: y\n${length}`, hidden],
    ] as const
  ) {
    const answer = await victim.sendAndWait(
      target,
      `${authorized}${JSON_TYPE}${lines}`,
      body,
    );
    // The hidden request has no credentials: were it answered, by 401.
    assert.ok(!answer.statuses.includes(401), `${name}: ${answer.text}`);
    assert.ok(
      answer.statuses.every((status) => status >= 400 && status < 500),
      `${name}: ${answer.text}`,
    );
  }
  // A body of a request that is refused before it is read.
  const refused = await victim.sendAndWait(
    target,
    `${JSON_TYPE}Content-Length: ${hidden.length}\r\n`,
    hidden,
  );
  assert.deepEqual(refused.statuses, [401]);
  // Pipelined requests keep their order and each its own credentials.
  const chain = requestText({ line: "GET /v1/scans", port }) +
    requestText({ line: "GET /health/live", port }) +
    requestText({ line: "GET /v1/scans", port, lines: authorized }) +
    requestText({ line: "GET /v1/scans", port });
  const { statuses } = await exchange(port, chain, { silenceMs: 600 });
  assert.deepEqual(statuses, [401, 200, 200, 401]);
  await victim.survived();
});

Deno.test("bodies are bounded in bytes, depth, time and form, announced or not", async () => {
  verifies("http.abuse.body");
  verifies("http.body");
  await using victim = await Victim.start({
    MCP_SERVER_REQUEST_TIMEOUT_SECONDS: "1",
  });
  const json = `${victim.authorized}${JSON_TYPE}`;
  const chunked = `${json}Transfer-Encoding: chunked\r\n`;
  const chunk = `10000\r\n${" ".repeat(65_536)}\r\n`;
  const deep = '{"target":' + "[".repeat(20_000) + "]".repeat(20_000) + "}";
  const before = await memoryOf(victim.server.pid);
  for (
    const [name, head, body, expected] of [
      ["an announced gigabyte", `${json}Content-Length: 1073741824\r\n`, "", [
        413,
      ]],
      ["2 MiB in chunks", chunked, `${chunk.repeat(32)}0\r\n\r\n`, [413]],
      ["chunks without end", chunked, chunk.repeat(48), [413]],
      ["depth", `${json}Content-Length: ${deep.length}\r\n`, deep, [400]],
      ["half a body", `${json}Content-Length: 100\r\n`, '{"tar', [408]],
      ["half a chunk", chunked, "64\r\n{", [408]],
      ["a chunk without a size", chunked, "zz\r\n{}\r\n0\r\n\r\n", [400, 0]],
      ["a chunk of 2^68", chunked, "fffffffffffffffff\r\n{}\r\n", [400, 0]],
      ["a negative chunk", chunked, "-1\r\n{}\r\n0\r\n\r\n", [400, 0]],
      [
        "a chunk extension of 100 KB",
        chunked,
        `2;${"x".repeat(100_000)}\r\n{}\r\n0\r\n\r\n`,
        [400, 0],
      ],
      ["no JSON", `${json}Content-Length: 3\r\n`, "{,}", [400]],
      ["not UTF-8", `${json}Content-Length: 4\r\n`, '"\xff\xfe"', [400]],
      ["a bare number", `${json}Content-Length: 5\r\n`, "1e999", [400]],
      [
        "a form",
        `${victim.authorized}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 16\r\n`,
        "target=127.0.0.1",
        [400, 415],
      ],
      [
        "a packed body",
        `${json}Content-Encoding: gzip\r\nContent-Length: 4\r\n`,
        "\x1f\x8b\x08\x00",
        [415],
      ],
      [
        "a body that is said to be packed",
        `${json}Content-Encoding: br\r\nContent-Length: 22\r\n`,
        '{"target":"127.0.0.1"}',
        [415],
      ],
      [
        "another charset",
        `${victim.authorized}Content-Type: application/json; charset=utf-16\r\nContent-Length: 22\r\n`,
        '{"target":"127.0.0.1"}',
        [415],
      ],
    ] as const
  ) {
    const answer = await victim.send(
      "POST /tools/nmap/execute",
      head,
      body,
    );
    const [status = 0] = answer.statuses;
    assert.ok(
      (expected as readonly number[]).includes(status),
      `${name}: ${status} ${answer.text.slice(0, 400)}`,
    );
    if (status !== 0) assert.doesNotMatch(answer.text, INNARDS, name);
  }
  const { resident } = await memoryOf(victim.server.pid);
  assert.ok(resident - before.resident < 128 * 1024 * 1024);
  await victim.survived();
});

/** A request whose body of a megabyte is announced and not there yet. */
function longRequest(port: number, key: string): string {
  return requestText({
    ...{ line: "POST /mcp", port },
    lines: `Authorization: Bearer ${key}\r\n${JSON_TYPE}` +
      `Accept: application/json, text/event-stream\r\nContent-Length: ${MIB}\r\n`,
  });
}

/** Opens so many connections and sends each the same, a few at a time. */
async function connections(
  port: number,
  count: number,
  text: string,
): Promise<Deno.Conn[]> {
  const bytes = bytesOf(text);
  const opened: Deno.Conn[] = [];
  while (opened.length < count) {
    opened.push(
      ...await Promise.all(Array.from({ length: 50 }, async () => {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port });
        await writeBytes(connection, bytes);
        return connection;
      })),
    );
  }
  return opened;
}

Deno.test("500 bodies that lack their last byte hold little, and another client's come through", async () => {
  verifies("http.abuse.bodies");
  verifies("http.body.budget");
  await using victim = await Victim.start();
  const { server, port, key } = victim;
  const other = await server.key({ roles: ["viewer"], name: "other" });
  const send = (key: string) =>
    server.ask("/mcp", {
      key,
      headers: { accept: "application/json, text/event-stream" },
      body: { jsonrpc: "2.0", id: 1, method: "ping", params: { pad: PAD } },
    });
  const before = await memoryOf(server.pid);
  const text = longRequest(port, key) + " ".repeat(MIB - 1);
  const held = await connections(port, 500, text);
  // It has no session: read to its end, and refused for that alone.
  assert.equal((await send(other.secret)).status, 400);
  const { peak } = await memoryOf(server.pid);
  const grown = peak - before.resident;
  assert.ok(grown < 320 * MIB, `${grown} bytes more`);
  const buffer = new Uint8Array(4_096);
  let refused = 0;
  for (const connection of held) {
    const count = await readWithin(connection, buffer, 20);
    const told = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
    if (!told.startsWith("HTTP/1.1 503 ")) continue;
    refused += 1;
    assert.match(told, /^retry-after: 2\r$/im);
    assert.match(told, /"code":"queue_full"/);
  }
  assert.ok(refused > 400, `${refused} were refused`);
  for (const connection of held) closeQuietly(connection);
  // What they held is given back: the client that did it is served again.
  await until("room", async () => (await send(key)).status === 400);
  await victim.survived();
});

Deno.test("bodies that come byte by byte hold no more than they have", async () => {
  verifies("http.abuse.bodies");
  await using victim = await Victim.start();
  const { server, port, key } = victim;
  const before = await memoryOf(server.pid);
  const slow = await connections(port, 100, longRequest(port, key));
  for (let round = 0; round < 200; round++) {
    await Promise.all(slow.map((connection) => writeBytes(connection, " ")));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { peak } = await memoryOf(server.pid);
  const grown = peak - before.resident;
  assert.ok(grown < 160 * MIB, `${grown} bytes more for 20 KB`);
  for (const connection of slow) closeQuietly(connection);
  await victim.survived();
});

Deno.test("a client that says too much at once on its socket is told why it is closed", async () => {
  verifies("http.socket.parting");
  await using victim = await Victim.start();
  const url = `${victim.server.url.replace("http", "ws")}/ws`;
  for (
    const [name, messages, expected] of [
      ["malformed", Array(12).fill("{"), 1008],
      ["much that is malformed", Array(40).fill("{"), 1008],
      ["too many", Array(900).fill('{"type":"ping"}'), 1008],
      ["binary", Array(12).fill(new Uint8Array(8)), 1003],
      ["too long", Array(12).fill("x".repeat(20_000)), 1009],
    ] as const
  ) {
    const socket = new WebSocket(url, {
      headers: { authorization: `Bearer ${victim.key}` },
    });
    const closed = new Promise<CloseEvent>((resolve) =>
      socket.onclose = resolve
    );
    socket.onopen = () => {
      for (const message of messages) socket.send(message);
    };
    const { code, wasClean } = await closed;
    assert.deepEqual([code, wasClean], [expected, true], name);
  }
  await victim.survived();
});

Deno.test("a client that never stops talking on its socket is cut off", async () => {
  verifies("http.socket.parting");
  await using victim = await Victim.start();
  const socket = new WebSocket(
    `${victim.server.url.replace("http", "ws")}/ws`,
    { headers: { authorization: `Bearer ${victim.key}` } },
  );
  const closed = new Promise((resolve) => socket.onclose = resolve);
  // Being cut off in the midst of a message is an error to its client.
  socket.onerror = (event) => event.preventDefault();
  await new Promise((resolve) => socket.onopen = resolve);
  const talking = setInterval(() => {
    if (socket.readyState === WebSocket.OPEN) socket.send("{");
  }, 2);
  const began = performance.now();
  await closed;
  clearInterval(talking);
  assert.ok(performance.now() - began < 10_000);
  await victim.survived();
});

Deno.test("500 connections that send their headers and bodies a byte at a time keep nobody else waiting", async () => {
  verifies("http.abuse.slow");
  verifies("http.listener");
  await using victim = await Victim.start({
    MCP_SERVER_REQUEST_TIMEOUT_SECONDS: "2",
  });
  const { port, authorized } = victim;
  const head = `GET /v1/scans HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Slow: `;
  const body = `${
    requestText({
      ...{ line: "POST /tools/nmap/execute", port },
      lines: `${authorized}${JSON_TYPE}Content-Length: 1000\r\n`,
    })
  }{`;
  const slow = await Promise.all(
    Array.from({ length: 500 }, async (_, at) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      await writeBytes(connection, at % 2 === 0 ? head : body);
      return connection;
    }),
  );
  for (let round = 0; round < 10; round++) {
    await Promise.all(slow.map((connection) => writeBytes(connection, " ")));
    const { status } = await victim.server.ask("/v1/scans", {
      key: victim.key,
    });
    assert.equal(status, 200);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  // Those with a body are told that it takes too long; those in their headers hold a socket, no more.
  const buffer = new Uint8Array(4_096);
  const count = await readWithin(slow[1] as Deno.Conn, buffer, 5_000);
  const told = new TextDecoder().decode(buffer.subarray(0, count ?? 0));
  assert.match(told, /^HTTP\/1\.1 408 /);
  for (const connection of slow) closeQuietly(connection);
  await victim.survived();
});

Deno.test("guessed keys are refused by number, and the right key still works from elsewhere", async () => {
  verifies("identity.guessing");
  verifies("identity.failures");
  // The network is told by a proxy, so that one loopback stands for two networks.
  await using victim = await Victim.start({
    MCP_SERVER_TRUSTED_PROXIES: "127.0.0.0/8",
  });
  const { server, key } = victim;
  const from = (address: string) => ({ "x-forwarded-for": address });
  const guesses = await Promise.all(
    Array.from({ length: 100 }, async (_, at) => {
      const answer = await server.ask("/v1/scans", {
        key: `smk_${String(at).padStart(3, "0")}${"A".repeat(60)}`,
        headers: from("198.51.100.7"),
      });
      assert.match(
        answer.headers.get("content-type") ?? "",
        /^application\/problem\+json/,
      );
      return answer;
    }),
  );
  const count = (status: number) =>
    guesses.filter((answer) => answer.status === status).length;
  assert.equal(count(401) + count(429), 100);
  // 30 a minute; a few more were under way when the last of them was counted.
  assert.ok(count(401) >= 30 && count(401) < 60, `${count(401)} were read`);
  const again = await server.ask("/v1/scans", {
    key: "smk_once_more",
    headers: from("198.51.100.7"),
  });
  assert.equal(again.status, 429);
  assert.ok(Number(again.headers.get("retry-after")) >= 1);
  const good = { key, headers: from("198.51.100.8") };
  assert.equal((await server.ask("/v1/scans", good)).status, 200);
  const barred = { key, headers: from("198.51.100.7") };
  assert.equal((await server.ask("/v1/scans", barred)).status, 429);
  assert.doesNotMatch(server.stderr, /smk_\d{3}A/);
  await victim.survived();
});
