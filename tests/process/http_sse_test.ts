/**
 * Live streams of the whole server in great numbers: opened, read or not, and cut. Nothing of them stays,
 * whoever else calls is answered meanwhile, and none outlives the credentials that opened it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { HttpServer, type HttpServerOptions } from "../support/http.ts";
import { standIn } from "../support/stand_ins.ts";
import { type Footprint, footprintOf, settled } from "./fixtures/footprint.ts";
import { assertSteady, feelPulse } from "./fixtures/pulse.ts";
import { closeQuietly, requestText, writeBytes } from "./fixtures/raw_http.ts";

const CONNECTIONS = 10_000;
const BATCH = 250;

/**
 * Bytes by which the server may grow. The engine lets garbage be until its heap has some size, so it
 * grows by some 10 KiB a connection for the first ten thousand, by less for the next, and by nothing
 * from 16,000 to 40,000 (measured). So the first ten thousand may cost more than the second.
 */
const GROWTH_FIRST_MAX = 192 * 1024 * 1024;
const GROWTH_MAX = 64 * 1024 * 1024;

/** Descriptors that come and go by themselves: the journal of the history, a connection of the pulse. */
const DESCRIPTORS_SPARE = 8;

/** Milliseconds in which a stream ends that lost its credentials: two looks and some. */
const REVOKED_MS = 25_000;

const HEAD_MAX = 4_096;

function start(options: HttpServerOptions = {}): Promise<HttpServer> {
  return HttpServer.start({
    path: [standIn("canned")],
    ...options,
    env: {
      MCP_LIMITS_REQUESTS_PER_MINUTE: "0",
      MCP_LIMITS_TENANT_REQUESTS_PER_MINUTE: "0",
      ...options.env,
    },
  });
}

/** Asks for the stream of events over a socket of its own. */
async function open(server: HttpServer, key: string): Promise<Deno.TcpConn> {
  const port = Number(new URL(server.url).port);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeBytes(
    connection,
    requestText({
      ...{ line: "GET /events", port },
      lines: `Authorization: Bearer ${key}\r\n`,
    }),
  );
  return connection;
}

/** Reads what there is first: the head of the answer. */
async function headOf(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(HEAD_MAX);
  const count = await connection.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0));
}

/** Reads until the stream has its end: the last chunk, or that of the connection. */
async function ended(connection: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(HEAD_MAX);
  for (let text = "\n"; !text.endsWith("\n0\r\n\r\n");) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) return;
    text = (text + new TextDecoder().decode(buffer.subarray(0, count)))
      .slice(-HEAD_MAX);
  }
}

/** Opens so many and cuts them, having read their heads. */
async function openAndCut(server: HttpServer, key: string): Promise<void> {
  const batch = await Promise.all(
    Array.from({ length: BATCH }, async () => {
      const connection = await open(server, key);
      assert.match(await headOf(connection), /^HTTP\/1\.1 200 /);
      return connection;
    }),
  );
  batch.forEach(closeQuietly);
}

Deno.test(`the server forgets ${CONNECTIONS} event streams that were opened and cut`, async () => {
  verifies("http.streams.leak");
  verifies("events.growth");
  await using server = await start();
  const { secret } = await server.key({ roles: ["viewer"] });
  await using pulse = feelPulse(server.url);
  const { descriptors: atFirst } = await footprintOf(server.pid);
  for (let opened = 0; opened < 1_000; opened += BATCH) {
    await openAndCut(server, secret);
  }
  const most = atFirst + DESCRIPTORS_SPARE;
  const warm = await settled(server.pid, most);
  assert.ok(warm.descriptors <= most, `${warm.descriptors} of ${atFirst}`);
  const grownOver = async (from: number, to: number, before: Footprint) => {
    for (let opened = from; opened < to; opened += BATCH) {
      await openAndCut(server, secret);
    }
    const after = await settled(server.pid, most);
    assert.ok(after.descriptors <= most, `${after.descriptors} of ${atFirst}`);
    return { after, grown: after.resident - before.resident };
  };
  const first = await grownOver(1_000, CONNECTIONS, warm);
  assert.ok(first.grown < GROWTH_FIRST_MAX, `grew by ${first.grown} bytes`);
  const more = CONNECTIONS + CONNECTIONS / 2;
  const second = await grownOver(CONNECTIONS, more, first.after);
  assert.ok(second.grown < GROWTH_MAX, `grew on by ${second.grown} bytes`);
  assertSteady(pulse);
  assert.doesNotMatch(server.stderr, /"level":"error"/);
});

/** Opens so many, cuts half of them unread and leaves the others unread. */
async function openUnread(
  server: HttpServer,
  key: string,
): Promise<readonly Deno.TcpConn[]> {
  const batch = await Promise.all(
    Array.from({ length: BATCH }, () => open(server, key)),
  );
  return batch.filter((connection, at) => {
    if (at % 2 === 0) closeQuietly(connection);
    return at % 2 === 1;
  });
}

Deno.test("streams that nobody reads, and streams that are cut before they begin, cost scans and others nothing", async () => {
  verifies("events.slow");
  await using server = await start();
  const { secret } = await server.key({ roles: ["viewer", "operator"] });
  await using pulse = feelPulse(server.url);
  const scan = async () => {
    const { status } = await server.ask("/tools/nmap/execute", {
      ...{ key: secret, body: { target: "127.0.0.1", ports: "80" } },
    });
    assert.equal(status, 200);
  };
  await scan();
  const { descriptors: atFirst } = await footprintOf(server.pid);
  let warm = 0;
  for (let round = 0; round < 12; round++) {
    const slow = await openUnread(server, secret);
    for (let scans = 0; scans < 3; scans++) await scan();
    slow.forEach(closeQuietly);
    if (round === 5) warm = (await footprintOf(server.pid)).resident;
  }
  const most = atFirst + DESCRIPTORS_SPARE;
  const after = await settled(server.pid, most);
  assert.ok(after.descriptors <= most, `${after.descriptors} of ${atFirst}`);
  assert.ok(after.resident - warm < GROWTH_MAX, `${after.resident - warm}`);
  assertSteady(pulse);
  assert.doesNotMatch(server.stderr, /"level":"error"/);
});

/** Opens a session of MCP as older clients do, and its stream. */
async function sessionStream(
  server: HttpServer,
  key: string,
): Promise<Deno.TcpConn> {
  const version = "2025-06-18";
  const { headers } = await server.ask("/mcp", {
    key,
    headers: { accept: "application/json, text/event-stream" },
    body: {
      ...{ jsonrpc: "2.0", id: 1, method: "initialize" },
      params: {
        ...{ protocolVersion: version, capabilities: {} },
        clientInfo: { name: "test", version: "1.0.0" },
      },
    },
  });
  const port = Number(new URL(server.url).port);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await writeBytes(
    connection,
    requestText({
      ...{ line: "GET /mcp", port },
      lines: `Authorization: Bearer ${key}\r\nAccept: text/event-stream\r\n` +
        `MCP-Protocol-Version: ${version}\r\n` +
        `MCP-Session-Id: ${headers.get("mcp-session-id")}\r\n`,
    }),
  );
  assert.match(await headOf(connection), /^HTTP\/1\.1 200 /);
  return connection;
}

/** Opens a socket with a key, as a program does: a browser could not. */
function socketOf(server: HttpServer, key: string): WebSocket {
  return new WebSocket(server.url.replace("http", "ws") + "/ws", {
    headers: { authorization: `Bearer ${key}` },
  });
}

Deno.test("streams and sockets end when the key that opened them is revoked, and nobody else's do", async () => {
  verifies("http.streams.revoked");
  verifies("identity.leases");
  await using server = await start();
  const [admin, victim, other] = await server.keys([
    { name: "admin", roles: ["admin"] },
    { name: "victim", roles: ["viewer"] },
    { name: "other", roles: ["viewer"] },
  ]);
  assert.ok(admin && victim && other);
  const lost = await open(server, victim.secret);
  const kept = await open(server, other.secret);
  for (const one of [lost, kept]) {
    assert.match(await headOf(one), /^HTTP\/1\.1 200 /);
  }
  const session = await sessionStream(server, victim.secret);
  const socket = socketOf(server, victim.secret);
  await new Promise((resolve) => socket.onopen = resolve);
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  const { status } = await server.ask(`/v1/keys/${victim.id}`, {
    ...{ key: admin.secret, method: "DELETE" },
  });
  assert.equal(status, 200);
  assert.equal(
    (await server.ask("/v1/scans", { key: victim.secret })).status,
    401,
  );
  const timer = setTimeout(() => {
    closeQuietly(lost);
    closeQuietly(session);
  }, REVOKED_MS);
  const began = performance.now();
  await ended(lost);
  await ended(session);
  const { code } = await closed;
  clearTimeout(timer);
  assert.ok(performance.now() - began < REVOKED_MS, "the stream went on");
  assert.equal(code, 1008);
  // The other one is still there: a scan's events come through it.
  const { secret } = await server.key({ roles: ["operator"] });
  await server.ask("/tools/nmap/execute", {
    ...{ key: secret, body: { target: "127.0.0.1", ports: "80" } },
  });
  let heard = "";
  while (!heard.includes("event: scan.")) {
    const more = await headOf(kept);
    assert.notEqual(more, "", "the other stream has ended");
    heard += more;
  }
  for (const one of [lost, kept, session]) closeQuietly(one);
});

Deno.test("a server that stops ends its streams and sockets at once", async () => {
  verifies("http.streams.stop");
  verifies("http.drain");
  await using server = await start();
  const { secret } = await server.key({ roles: ["viewer"] });
  const streams = await Promise.all(
    Array.from({ length: 50 }, () => open(server, secret)),
  );
  for (const stream of streams) {
    assert.match(await headOf(stream), /^HTTP\/1\.1 200 /);
  }
  const socket = socketOf(server, secret);
  await new Promise((resolve) => socket.onopen = resolve);
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  const began = performance.now();
  const { status, left } = await server.stop();
  await Promise.all(streams.map(ended));
  assert.equal((await closed).code, 1001);
  assert.deepEqual([status.code, left], [0, []]);
  assert.ok(performance.now() - began < 8_000, "it waited for its streams");
  streams.forEach(closeQuietly);
});

Deno.test("server.max_streams bounds event streams and sockets, each for itself", async () => {
  verifies("http.streams.max");
  await using server = await start({ env: { MCP_SERVER_MAX_STREAMS: "3" } });
  const { secret } = await server.key({ roles: ["viewer"] });
  const held: Deno.TcpConn[] = [];
  for (let at = 0; at < 3; at++) {
    const stream = await open(server, secret);
    assert.match(await headOf(stream), /^HTTP\/1\.1 200 /);
    held.push(stream);
  }
  const refused = await server.ask("/events", {
    ...{ key: secret, signal: AbortSignal.timeout(5_000) },
  });
  assert.deepEqual([refused.status, refused.json.code], [503, "queue_full"]);
  assert.ok(Number(refused.headers.get("retry-after")) >= 1);
  // Sockets are counted for themselves.
  const sockets: WebSocket[] = [];
  for (let at = 0; at < 3; at++) {
    const socket = socketOf(server, secret);
    await new Promise((resolve) => socket.onopen = resolve);
    sockets.push(socket);
  }
  const more = socketOf(server, secret);
  await new Promise((resolve) => more.onerror = resolve);
  // A place that is given back is another's.
  held.splice(0, 1).forEach(closeQuietly);
  let status = 0;
  for (let look = 0; look < 100 && status !== 200; look++) {
    const answer = await server.fetch("/events", { key: secret });
    status = answer.status;
    await answer.body?.cancel();
  }
  assert.equal(status, 200);
  held.forEach(closeQuietly);
  for (const socket of sockets) {
    const closed = new Promise((resolve) => socket.onclose = resolve);
    socket.close();
    await closed;
  }
});
