/**
 * A web server in scope that tries to send nmap's scripts to another host. The other host is the same
 * server under another name, `localhost`, so that all stays on loopback and each visit shows in the
 * Host header.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startServer } from "../support/server.ts";
import { ask } from "./fixtures/served.ts";

/** An answer in the letters that nmap knows a web server by. */
function answer(status: string, more: string, body: string): Uint8Array {
  return new TextEncoder().encode(
    `HTTP/1.1 ${status}\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\n` +
      `${more}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** A web server that names the other host in every way, and notes each Host header. */
class Lure implements AsyncDisposable {
  readonly hosts = new Set<string>();
  readonly port: number;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;

  constructor() {
    this.port = this.#listener.addr.port;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    const talks: Promise<void>[] = [];
    for (;;) {
      try {
        talks.push(this.#talk(await this.#listener.accept()).catch(() => {}));
      } catch (error) {
        // A scanner hangs up when it likes, before it is answered or before it is let in.
        if (error instanceof Deno.errors.BadResource) break;
      }
    }
    await Promise.all(talks);
  }

  async #talk(connection: Deno.Conn): Promise<void> {
    using _connection = connection;
    const bytes = new Uint8Array(16_384);
    const length = await connection.read(bytes) ?? 0;
    const request = new TextDecoder().decode(bytes.subarray(0, length));
    const host = /^Host: *([^:\r\n]+)/im.exec(request)?.[1];
    if (host !== undefined) this.hosts.add(host);
    await connection.write(this.#answer(request));
  }

  #answer(request: string): Uint8Array {
    const other = `http://localhost:${this.port}`;
    if (!request.startsWith("GET / ")) {
      return answer("302 Found", `Location: ${other}/away\r\n`, "");
    }
    return answer(
      "200 OK",
      "",
      `<html><head><link rel="icon" href="${other}/f.ico"><script src="${other}/s.js">` +
        `</script></head><body><a href="${other}/a">a</a><a href="/redirect">r</a>` +
        `<a href="//localhost:${this.port}/b">b</a><img src="${other}/i.png"></body></html>`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

Deno.test("no script category lets a web server send nmap to another host", async () => {
  await using lure = new Lure();
  await using server = startServer({ patienceMs: 120_000 });
  await server.initialize();
  await ask(server, "nmap", {
    target: "127.0.0.1",
    ports: String(lure.port),
    scan_type: "connect",
    service_detection: true,
    scripts: ["default", "safe", "discovery"],
    timeout_seconds: 100,
  });
  assert.deepEqual([...lure.hosts], ["127.0.0.1"]);
});
