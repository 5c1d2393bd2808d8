import assert from "node:assert/strict";
import fc from "fast-check";
import { serve, type Wire } from "./fixtures/connect.ts";
import { FakeEngine, fakeScan } from "./fixtures/fake_engine.ts";
import { LineTransport } from "@/mcp/line_transport.ts";

interface Answer {
  readonly id?: number | string;
  readonly result?: Record<string, unknown>;
  readonly error?: { code: number; message: string };
}

/** Speaks to a server by hand. */
class Hand {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = "";

  constructor(wire: Pick<Wire, "input" | "output">) {
    this.#writer = wire.input.getWriter();
    this.#reader = wire.output.getReader();
  }

  send(text: string): void {
    // What the server does not read in the end is of no interest.
    this.#writer.write(new TextEncoder().encode(text)).catch(() => {});
  }

  ask(id: number, method: string, params: unknown = {}): void {
    this.send(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  }

  open(): Promise<Answer> {
    this.ask(0, "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "hand", version: "1" },
    });
    return this.next();
  }

  async next(): Promise<Answer> {
    while (!this.#text.includes("\n")) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error("the server closed its end");
      this.#text += new TextDecoder().decode(value);
    }
    const end = this.#text.indexOf("\n");
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return JSON.parse(line);
  }

  async end(): Promise<void> {
    await this.#writer.close();
  }
}

const HOSTILE_LINES: readonly (readonly [string, string, number])[] = [
  ["no JSON", "GET / HTTP/1.1", -32700],
  ["a batch", '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
  ["a line of 5 MiB", `{"a":"${"x".repeat(5 * 1024 * 1024)}"}`, -32600],
  ["a million brackets", "[".repeat(1_000_000), -32600],
  ["a request without version", '{"id":9,"method":"ping"}', -32600],
  ["an unknown method", '{"jsonrpc":"2.0","id":1,"method":"x/y"}', -32601],
  ["an old method", '{"jsonrpc":"2.0","id":1,"method":"tasks/list"}', -32601],
  [
    "a name that is a number",
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}',
    -32602,
  ],
  [
    "arguments that are a text",
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nmap","arguments":"x"}}',
    -32602,
  ],
  [
    "no parameters",
    '{"jsonrpc":"2.0","id":1,"method":"resources/read"}',
    -32602,
  ],
  [
    "a uri that is an object",
    '{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":{}}}',
    -32602,
  ],
  [
    "prompt arguments that are numbers",
    '{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"what_changed","arguments":{"scan_a":1}}}',
    -32602,
  ],
  [
    "a completion without argument",
    '{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"x"}}}',
    -32602,
  ],
  [
    "a tool named like a prototype's key",
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"__proto__"}}',
    -32602,
  ],
];

for (const [name, line, code] of HOSTILE_LINES) {
  Deno.test(`the server answers ${code} to ${name} and goes on`, async () => {
    await using wire = serve(new FakeEngine());
    const hand = new Hand(wire);
    await hand.open();
    hand.send(`${line}\n`);
    assert.equal((await hand.next()).error?.code, code);
    hand.ask(2, "ping");
    assert.deepEqual(await hand.next(), { jsonrpc: "2.0", id: 2, result: {} });
  });
}

Deno.test("the server keeps prototypes clean of what a client sends", async () => {
  const engine = new FakeEngine();
  await using wire = serve(engine);
  const hand = new Hand(wire);
  await hand.open();
  hand.send(
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nmap","arguments":{"target":"10.0.0.1","__proto__":{"polluted":1}}}}\n',
  );
  const answer = await hand.next();
  const { error } = answer.result?.["structuredContent"] as {
    error: { code: string; message: string };
  };
  assert.equal(error.code, "invalid_arguments");
  assert.match(error.message, /"__proto__": no such argument/);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("the server survives any bytes and still answers", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }),
      async (chunks) => {
        await using wire = serve(new FakeEngine());
        const hand = new Hand(wire);
        await hand.open();
        for (const chunk of chunks) {
          hand.send(new TextDecoder("latin1").decode(chunk));
        }
        hand.send("\n");
        hand.ask(77, "ping");
        let answer = await hand.next();
        while (answer.id !== 77) answer = await hand.next();
        assert.deepEqual(answer.result, {});
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("the server takes a bounded number of requests at once", async () => {
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const output = new TransformStream<Uint8Array, Uint8Array>();
  const transport = new LineTransport({
    input: input.readable,
    output: output.writable,
    inFlightMax: 3,
  });
  const taken: unknown[] = [];
  transport.onmessage = (message) => taken.push(message);
  await transport.start();
  const hand = new Hand({ input: input.writable, output: output.readable });
  for (let id = 1; id <= 4; id++) hand.ask(id, "tools/call");
  const refused = await hand.next();
  assert.equal(refused.id, 4);
  assert.equal(refused.error?.code, -32603);
  assert.equal(taken.length, 3);
  hand.ask(2, "tools/call");
  assert.match(
    (await hand.next()).error?.message ?? "",
    /this id is in flight/,
  );
  hand.send(
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}\n',
  );
  hand.ask(5, "ping");
  hand.ask(6, "ping");
  assert.equal((await hand.next()).id, 6);
  assert.equal(taken.length, 5);
  await transport.close();
});

Deno.test("the server reads no more while its answers are not taken", async () => {
  const input = new TransformStream<Uint8Array, Uint8Array>();
  const blocked = new WritableStream<Uint8Array>({
    write: () => new Promise(() => {}),
  });
  const transport = new LineTransport({
    input: input.readable,
    output: blocked,
  });
  const taken: unknown[] = [];
  transport.onmessage = (message) => {
    taken.push(message);
    const result = { text: "x".repeat(1024 * 1024) };
    const { id } = message as { id: number };
    // It never ends, as nobody reads.
    transport.send({ jsonrpc: "2.0", id, result }).catch(() => {});
  };
  await transport.start();
  const writer = input.writable.getWriter();
  for (let id = 0; id < 64; id++) {
    const line = `{"jsonrpc":"2.0","id":${id},"method":"ping"}\n`;
    writer.write(new TextEncoder().encode(line)).catch(() => {});
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(taken.length >= 16 && taken.length <= 18, String(taken.length));
  await transport.close();
});

Deno.test("answers that come soon still get out when the client closes its end after asking", async () => {
  const engine = new FakeEngine();
  engine.add(fakeScan());
  await using wire = serve(engine);
  const hand = new Hand(wire);
  hand.ask(0, "initialize", {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "hand", version: "1" },
  });
  hand.ask(1, "tools/call", {
    name: "scan_status",
    arguments: { scan_id: "scan-0001" },
  });
  const ended = hand.end();
  assert.equal(
    (await hand.next()).result?.["protocolVersion"],
    "2025-06-18",
  );
  assert.equal((await hand.next()).id, 1);
  await ended;
  await wire.handle.closed;
});

Deno.test("a client that goes cancels its calls", async () => {
  const engine = new FakeEngine();
  await using wire = serve(engine);
  const hand = new Hand(wire);
  await hand.open();
  hand.ask(1, "tools/call", { name: "nmap", arguments: { target: "slow" } });
  hand.ask(2, "ping");
  await hand.next();
  await hand.end();
  await wire.handle.closed;
  assert.deepEqual(engine.aborted, ["slow"]);
});
