/**
 * The listener under hostile bytes: what a client may write into a socket that no HTTP library would.
 * The app is the real one around routes of a test.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { AppOptions } from "@/operator/app.ts";
import type { Config } from "@/config/schema.ts";
import { type HttpServer, serveHttp } from "@/operator/serve.ts";
import { verifies } from "../requirements.ts";
import { freePort } from "../support/network.ts";
import { configOf, fakeApp, keepingLog } from "../unit/operator/fake_app.ts";

const BODY_MAX = 4_096;
const AUTHORIZED = "Authorization: Bearer good\r\n";

interface Running extends AsyncDisposable {
  readonly server: HttpServer;
  readonly port: number;
  readonly log: ReturnType<typeof keepingLog>;
}

function run(
  server: Partial<Config["server"]> = {},
  options: Partial<AppOptions> = {},
  requestsMax = 64,
): Running {
  const port = freePort();
  const config = configOf({
    ...{ port, max_body_bytes: BODY_MAX, request_timeout_seconds: 0.3 },
    ...server,
  });
  const { app, log } = fakeApp({ config: () => config, ...options });
  const running = serveHttp(app, {
    ...{ host: "127.0.0.1", port, tls: null, log, requestsMax },
    closeStreams: () => {},
  });
  return {
    ...{ server: running, port, log },
    [Symbol.asyncDispose]: () => running.shutdown(500),
  };
}

/** Writes bytes and reads until the server closes, or until it has been silent for a while. */
async function raw(
  port: number,
  text: string,
  silenceMs = 400,
): Promise<{ readonly text: string; readonly closed: boolean }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const writing = writeAll(connection, new TextEncoder().encode(text));
  let answer = "";
  const buffer = new Uint8Array(65_536);
  for (;;) {
    const count = await within(connection.read(buffer), silenceMs);
    if (typeof count === "number") {
      answer += new TextDecoder().decode(buffer.subarray(0, count));
      continue;
    }
    connection.close();
    await writing;
    return { text: answer, closed: count === null };
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array) {
  try {
    for (let left = bytes; left.length > 0;) {
      left = left.subarray(await connection.write(left));
    }
  } catch {
    // A server that has refused need not read on.
  }
}

/** What a read gave: bytes, the end (null), or nothing in time (undefined). */
async function within(
  read: Promise<number | null>,
  ms: number,
): Promise<number | null | undefined> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(() => late.resolve(), ms);
  const guarded = read.catch(() => null);
  try {
    return await Promise.race([guarded, late.promise.then(() => undefined)]);
  } finally {
    clearTimeout(timer);
  }
}

function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map(([, status]) =>
    Number(status)
  );
}

async function alive(port: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/health`);
  assert.equal(answer.status, 200);
  await answer.body?.cancel();
}

/** A request in bytes. `Host` is the server's own unless the lines say another. */
function request(
  line: string,
  port: number,
  lines = "",
  body = "",
): string {
  const host = /^host:/im.test(lines) ? "" : `Host: 127.0.0.1:${port}\r\n`;
  return `${line} HTTP/1.1\r\n${host}${lines}\r\n${body}`;
}

Deno.test("serveHttp() refuses malformed requests and goes on", async () => {
  verifies("http.host", "http.problems");
  await using running = run();
  const { port } = running;
  const many = Array.from({ length: 150 }, (_, at) => `X-${at}: y\r\n`).join(
    "",
  );
  for (
    const [name, text, status] of [
      [
        "two hosts",
        request("GET /health", port, "Host: a\r\nHost: b\r\n"),
        400,
      ],
      ["no host", "GET /health HTTP/1.1\r\n\r\n", 400],
      ["no host, HTTP/1.0", "GET /health HTTP/1.0\r\n\r\n", 400],
      ["an empty host", request("GET /health", port, "Host: \r\n"), 400],
      [
        "a user in the host",
        request("GET /health", port, "Host: evil@127.0.0.1\r\n"),
        403,
      ],
      [
        "a path in the host",
        request("GET /x", port, "Host: 127.0.0.1/health?\r\n"),
        400,
      ],
      [
        "a foreign host",
        request("GET /health", port, "Host: evil.example\r\n"),
        403,
      ],
      [
        "an absolute target",
        request("GET http://evil.example/health", port),
        400,
      ],
      ["a tunnel", request("CONNECT 127.0.0.1:22", port), 405],
      ["TRACE", request("TRACE /health", port, AUTHORIZED), 405],
      ["an asterisk", request("OPTIONS *", port, AUTHORIZED), 404],
      ["no HTTP", "\x00\x01\x02\r\n\r\n", 400],
      ["a folded header", request("GET /health", port, "X: y\r\n z\r\n"), 400],
      ["150 headers", request("GET /health", port, many), 400],
      [
        "a header of 700 KB",
        request("GET /health", port, `X: ${"y".repeat(700_000)}\r\n`),
        400,
      ],
      [
        "an address of 10 KB",
        request(`GET /${"y".repeat(10_000)}`, port, AUTHORIZED),
        414,
      ],
      [
        "two lengths",
        request(
          "POST /things/1",
          port,
          "Content-Length: 4\r\nContent-Length: 5\r\n",
          "abcde",
        ),
        400,
      ],
      [
        "a length and chunks",
        request(
          "POST /things/1",
          port,
          "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
          "0\r\n\r\n",
        ),
        400,
      ],
      [
        "a negative length",
        request("POST /things/1", port, "Content-Length: -4\r\n"),
        400,
      ],
      [
        "an unknown coding",
        request("POST /things/1", port, "Transfer-Encoding: xchunked\r\n"),
        400,
      ],
    ] as const
  ) {
    const answer = await raw(port, text);
    assert.deepEqual(statuses(answer.text), [status], name);
    assert.doesNotMatch(answer.text, /\.ts:|at async|hyper|Deno/, name);
    await alive(port);
  }
  assert.deepEqual(running.log.lines, []);
});

Deno.test("serveHttp() bounds bodies in bytes, depth and form, whatever they announce", async () => {
  verifies("http.body");
  await using running = run();
  const { port } = running;
  const json = `${AUTHORIZED}Content-Type: application/json\r\n`;
  const chunk = `400\r\n${" ".repeat(1_024)}\r\n`;
  for (
    const [name, head, body, status] of [
      [
        "an announced megabyte",
        `${json}Content-Length: 1048576\r\n`,
        "",
        413,
      ],
      [
        "an announced number beyond all bounds",
        `${json}Content-Length: 99999999999999999\r\n`,
        "",
        413,
      ],
      [
        "chunks without end",
        `${json}Transfer-Encoding: chunked\r\n`,
        chunk.repeat(64),
        413,
      ],
      ["depth", `${json}Content-Length: 4000\r\n`, "[".repeat(4_000), 400],
      ["no JSON", `${json}Content-Length: 3\r\n`, "{,}", 400],
    ] as const
  ) {
    const answer = await raw(
      port,
      request("POST /things/1", port, head, body),
      800,
    );
    assert.equal(statuses(answer.text)[0], status, name);
    assert.match(answer.text, /application\/problem\+json/, name);
    await alive(port);
  }
});

Deno.test("serveHttp() ends a connection whose chunks are malformed", async () => {
  await using running = run();
  const { port } = running;
  const head =
    `${AUTHORIZED}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n`;
  for (const chunk of ["zz\r\n{}\r\n", "fffffffffffffffff\r\n{}\r\n"]) {
    const answer = await raw(
      port,
      request("POST /things/1", port, head, `${chunk}0\r\n\r\n`),
      2_000,
    );
    // The runtime ends it at once, or the app answers first: both are an end.
    assert.ok(answer.closed, answer.text);
    assert.ok([undefined, 400].includes(statuses(answer.text)[0]));
    await alive(port);
  }
});

Deno.test("serveHttp() does not wait for a slow body", async () => {
  verifies("http.body");
  await using running = run();
  const { port } = running;
  const json = `${AUTHORIZED}Content-Type: application/json\r\n`;
  for (
    const [name, head, body] of [
      ["half a body", "Content-Length: 10\r\n", "{"],
      ["a chunk that does not end", "Transfer-Encoding: chunked\r\n", "5\r\n{"],
    ] as const
  ) {
    const answer = await raw(
      port,
      request("POST /things/1", port, json + head, body),
      1_000,
    );
    assert.deepEqual(statuses(answer.text), [408], name);
    assert.match(answer.text, /connection: close/i, name);
    assert.equal(running.server.active, 0, name);
  }
});

Deno.test("serveHttp() answers pipelined requests in order, each by itself", async () => {
  await using running = run();
  const { port } = running;
  const answer = await raw(
    port,
    request("GET /seen", port) + request("GET /health/live", port) +
      request("GET /nowhere", port, AUTHORIZED) +
      request("GET /seen", port, AUTHORIZED),
  );
  assert.deepEqual(statuses(answer.text), [401, 200, 404, 200]);
});

Deno.test("serveHttp() takes the second request of a connection for what it is, after a body that nobody read", async () => {
  await using running = run();
  const { port } = running;
  // What an unread body holds must never be taken for a request.
  const smuggled = request("GET /seen", port, AUTHORIZED);
  const answer = await raw(
    port,
    request(
      "POST /things/1",
      port,
      `Content-Length: ${smuggled.length}\r\n`,
      smuggled,
    ) + request("GET /health/live", port),
  );
  const [first, ...rest] = statuses(answer.text);
  assert.equal(first, 401);
  assert.ok(
    rest.length === 0 || (rest.length === 1 && rest[0] === 200),
    answer.text,
  );
  assert.doesNotMatch(answer.text, /"client"/);
});

Deno.test("serveHttp() answers so many requests at once and refuses more", async () => {
  verifies("http.listener");
  const hold = Promise.withResolvers<void>();
  await using running = run({}, {
    routes: (app) => {
      app.get("/hold", async (c) => {
        await hold.promise;
        return c.text("held");
      });
    },
  }, 2);
  const { port, server } = running;
  const ask = (path: string) =>
    fetch(`http://127.0.0.1:${port}${path}`, {
      headers: { authorization: "Bearer good" },
    });
  const held = [ask("/hold"), ask("/hold")];
  while (server.active < 2) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const refused = await ask("/health");
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal((await refused.json()).code, "queue_full");
  hold.resolve();
  for (const answer of await Promise.all(held)) {
    assert.equal(await answer.text(), "held");
  }
  await alive(port);
});

/** Routes that answer when they are told to, and a stream that ends never by itself. */
function holding() {
  const begun = Promise.withResolvers<void>();
  const hold = Promise.withResolvers<void>();
  const routes: AppOptions["routes"] = (app) => {
    app.get("/hold", async (c) => {
      begun.resolve();
      await hold.promise;
      return c.text("held");
    });
    app.get("/endless", () =>
      new Response(
        new ReadableStream({
          start: (controller) =>
            controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
        }),
        { headers: { "content-type": "text/event-stream" } },
      ));
  };
  return { routes, begun: begun.promise, release: hold.resolve };
}

Deno.test("serveHttp() lets answers end when it is told to end", async () => {
  verifies("http.listener", "http.drain");
  const { routes, begun, release } = holding();
  const { server, port } = run({}, { routes });
  const headers = { authorization: "Bearer good" };
  const held = fetch(`http://127.0.0.1:${port}/hold`, { headers });
  await begun;
  const ended = server.shutdown(5_000);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/health`));
  release();
  assert.equal(await (await held).text(), "held");
  await ended;
  await server.finished;
});

Deno.test("serveHttp() does not wait longer than it is told to for what does not end", async () => {
  verifies("http.listener");
  const { routes } = holding();
  const { server, port, log } = run({}, { routes });
  const endless = await fetch(`http://127.0.0.1:${port}/endless`, {
    headers: { authorization: "Bearer good" },
  });
  await server.shutdown(100);
  assert.deepEqual(log.lines.map(({ message }) => message), [
    "answers were cut off: they did not end in time",
  ]);
  await endless.body?.cancel();
  await server.finished;
});

Deno.test("serveHttp() says what to do where it cannot listen", async () => {
  await using running = run();
  assert.throws(
    () =>
      serveHttp({ fetch: () => new Response() }, {
        ...{ host: "127.0.0.1", port: running.port, tls: null },
        ...{ log: keepingLog(), closeStreams: () => {} },
      }),
    /it is in use; set another server\.port/,
  );
});

Deno.test("serveHttp() lets nothing of an unknown failure out", async () => {
  verifies("http.problems");
  const log = keepingLog();
  const port = freePort();
  const server = serveHttp({
    fetch: () => {
      throw new Error("secret");
    },
  }, { host: "127.0.0.1", port, tls: null, log, closeStreams: () => {} });
  const answer = await fetch(server.url);
  assert.equal(answer.status, 500);
  assert.doesNotMatch(await answer.text(), /secret/);
  assert.equal(log.lines.length, 1);
  await server.shutdown(500);
});

Deno.test("serveHttp() answers others while connections stay silent in the midst of their headers", async () => {
  await using running = run();
  const { port } = running;
  const idle: Deno.Conn[] = [];
  for (let at = 0; at < 200; at++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await writeAll(
      connection,
      new TextEncoder().encode("GET /health HTTP/1.1\r\nHost: "),
    );
    idle.push(connection);
  }
  await alive(port);
  for (const connection of idle) connection.close();
  await alive(port);
});

/** A server in a process of its own that may open few files; it says when it listens. */
function serverWithFewFiles(port: number, files: number): Deno.ChildProcess {
  const module = new URL("../../src/operator/serve.ts", import.meta.url);
  const code = `
    import { serveHttp } from "${module}";
    const log = { debug() {}, info() {}, warn() {}, error: console.error };
    serveHttp({ fetch: () => new Response("ok") }, {
      host: "127.0.0.1", port: ${port}, tls: null, log, closeStreams() {},
    });
    console.log("listening");
  `;
  return new Deno.Command("sh", {
    args: [
      ...["-c", `ulimit -n ${files}; exec "$@"`, "sh", Deno.execPath()],
      ...["eval", "--no-check", "--cached-only", code],
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

Deno.test("serveHttp() outlives a flood of connections that leaves it no file descriptor", async () => {
  verifies("http.listener");
  const port = freePort();
  const child = serverWithFewFiles(port, 96);
  const reader = child.stdout.getReader();
  await reader.read();
  const flood: Deno.Conn[] = [];
  for (let at = 0; at < 200; at++) {
    // Once the descriptors are gone the listener is closed for a moment, and refuses.
    const connection = await Deno.connect({ hostname: "127.0.0.1", port })
      .catch(() => null);
    if (connection !== null) flood.push(connection);
  }
  assert.ok(flood.length > 40, `${flood.length} connections were taken`);
  for (const connection of flood) connection.close();
  let answer: Response | null = null;
  for (let tries = 0; tries < 50 && answer === null; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => null);
  }
  assert.equal(await answer?.text(), "ok");
  child.kill("SIGKILL");
  await reader.cancel();
  await child.status;
});
