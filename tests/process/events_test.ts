/**
 * Live events over real sockets: clients that come and go, come back, stall and break off.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { EventLog } from "@/events/event_log.ts";
import { eventStream, lastEventId } from "@/operator/event_stream.ts";
import { type Hearing, openSocket } from "@/operator/socket.ts";
import { verifies } from "../requirements.ts";

const CONNECTIONS = 10_000;
const BATCH = 250;

/** Bytes of the heap that may be in use after all of them and were not after the first fifth. */
const GROWTH_MAX = 4 * 1024 * 1024;

interface Served extends AsyncDisposable {
  readonly log: EventLog;
  readonly port: number;
  readonly faults: unknown[];
}

function serve(queueMax = 100): Served {
  const log = new EventLog({
    keep: 1_000,
    wallNow: () => Date.now(),
    random: (bytes) => void crypto.getRandomValues(bytes),
  });
  const faults: unknown[] = [];
  const stop = new AbortController();
  const hearing: Hearing = {
    listen: ({ after, scanId, signal }) =>
      log.listen({
        tenant: "a",
        seesServer: true,
        after,
        scanId: scanId ?? null,
        signal,
        queueMax,
      }),
  };
  const options = {
    signal: stop.signal,
    onFault: (error: unknown) => void faults.push(error),
  };
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) =>
      request.url.endsWith("/ws")
        ? openSocket(request, hearing, {
          ...options,
          now: () => performance.now(),
          idleSeconds: 30,
        })
        : eventStream(
          (signal) => hearing.listen({ after: lastEventId(request), signal }),
          { ...options, heartbeatSeconds: 1 },
        ),
  );
  return {
    log,
    faults,
    port: server.addr.port,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      log.close();
      await server.shutdown();
    },
  };
}

function tell(log: EventLog, n: number, pad = ""): void {
  log.tell({
    kind: "scan.found",
    tenant: "a",
    scanId: "s1",
    data: { n, pad },
  });
}

/** Waits until something is so; the test's own deadline ends it if it never is. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((done) => setTimeout(done, 10));
}

/** A client that sends a request and reads no more than it is told to. */
async function rawGet(
  port: number,
  path: string,
  headers = "",
): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const text = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${headers}\r\n`;
  await connection.write(new TextEncoder().encode(text));
  return connection;
}

const HANDSHAKE = "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/** A text message as a client writes it, masked with zeros. */
function frame(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  assert.ok(bytes.length < 126);
  return new Uint8Array([0x81, 0x80 | bytes.length, 0, 0, 0, 0, ...bytes]);
}

/** Bytes of the heap that something still holds: what is only not collected yet says nothing. */
function held(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return Deno.memoryUsage().heapUsed;
}

async function readSome(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(4_096);
  const count = await connection.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0));
}

Deno.test("a stream gives events, and goes on behind the last one that was seen", async () => {
  verifies("events.order");
  await using served = serve();
  const { log, port } = served;
  const first = await fetch(`http://127.0.0.1:${port}/events`);
  const reader = first.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader !== undefined);
  await reader.read();
  tell(log, 1);
  const { value } = await reader.read();
  const id = /^id: (\S+)$/m.exec(value ?? "")?.[1] ?? "";
  await reader.cancel();
  await until(() => log.state.listeners === 0);
  tell(log, 2);
  const second = await fetch(`http://127.0.0.1:${port}/events`, {
    headers: { "last-event-id": id },
  });
  const again = second.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(again !== undefined);
  let text = "";
  while (!text.includes("data:")) text += (await again.read()).value;
  assert.match(text, /"data":\{"n":2,/);
  assert.ok(!text.includes('"n":1'));
  await again.cancel();
  await until(() => log.state.listeners === 0);
});

Deno.test(`${CONNECTIONS} streams are opened and broken off, and nothing of them stays`, async () => {
  verifies("events.growth");
  await using served = serve();
  const { log, port, faults } = served;
  let [most, warm] = [0, 0];
  for (let opened = 0; opened < CONNECTIONS; opened += BATCH) {
    const batch = await Promise.all(
      Array.from({ length: BATCH }, async () => {
        const connection = await rawGet(port, "/events");
        assert.match(await readSome(connection), /^HTTP\/1\.1 200 /);
        return connection;
      }),
    );
    most = Math.max(most, log.state.listeners);
    tell(log, opened);
    for (const connection of batch) connection.close();
    await until(() => log.state.listeners === 0);
    if (opened === CONNECTIONS / 5) warm = held();
  }
  assert.equal(most, BATCH);
  const grown = held() - warm;
  assert.ok(grown < GROWTH_MAX, `grew by ${grown} bytes`);
  assert.deepEqual(faults, []);
});

Deno.test("a client that stalls is dropped, and costs the others nothing", async () => {
  verifies("events.slow");
  await using served = serve();
  const { log, port } = served;
  const stalled = await rawGet(port, "/events");
  const stalledSocket = await rawGet(port, "/ws", HANDSHAKE);
  assert.match(await readSome(stalledSocket), /^HTTP\/1\.1 101 /);
  await stalledSocket.write(frame('{"type":"subscribe"}'));
  await until(() => log.state.listeners === 2);
  const good = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  let heard = 0;
  let isHeard = (_: unknown): void => {};
  good.onmessage = ({ data }) => {
    const { type } = JSON.parse(data);
    if (type === "event") heard++;
    isHeard(type);
  };
  await new Promise((done) => good.onopen = done);
  const subscribed = new Promise((done) => isHeard = done);
  good.send('{"type":"subscribe"}');
  await subscribed;
  const pad = "x".repeat(15_000);
  let told = 0;
  while (log.state.listeners > 1) {
    assert.ok(told < 10_000, "a client that reads nothing is still there");
    tell(log, told++, pad);
    await until(() => heard === told);
  }
  assert.equal(log.state.dropped, 2);
  good.close();
  await until(() => log.state.listeners === 0);
  stalled.close();
  stalledSocket.close();
});

Deno.test("a socket breaks off in the middle, and a server that stops says so", async () => {
  const closed = Promise.withResolvers<number>();
  {
    await using served = serve();
    const { log, port } = served;
    const broken = await rawGet(port, "/ws", HANDSHAKE);
    await readSome(broken);
    await broken.write(frame('{"type":"subscribe"}'));
    await until(() => log.state.listeners === 1);
    broken.close();
    await until(() => log.state.listeners === 0);
    const good = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    good.onclose = ({ code }) => closed.resolve(code);
    good.onopen = () => good.send('{"type":"subscribe"}');
    await until(() => log.state.listeners === 1);
  }
  assert.equal(await closed.promise, 1001);
});
