import assert from "node:assert/strict";
import fc from "fast-check";
import type { AppError } from "@/error/app_error.ts";
import { EventLog } from "@/events/event_log.ts";
import { Conversation, type Hearing, openSocket } from "@/operator/socket.ts";
import { verifies } from "../../requirements.ts";

class FakeLine {
  readonly sent: Record<string, unknown>[] = [];
  closed: [number, string] | null = null;
  bufferedAmount = 0;
  broken = false;

  send(text: string): void {
    if (this.broken) throw new Error("the socket is not open");
    this.sent.push(JSON.parse(text));
  }

  close(code: number, reason: string): void {
    this.closed = [code, reason];
  }
}

interface Opened {
  readonly log: EventLog;
  readonly line: FakeLine;
  readonly talk: Conversation;
  readonly server: AbortController;
  readonly faults: AppError[];
  now: number;
  say(message: unknown): void;
  tell(n: number, scanId?: string): void;
}

function open(queueMax = 20): Opened {
  const log = new EventLog({
    keep: 100,
    wallNow: () => 0,
    random: (bytes) => bytes.fill(0xab),
  });
  const hearing: Hearing = {
    listen: ({ after, scanId, output, signal }) =>
      log.listen({
        output: output ?? false,
        tenant: "a",
        seesServer: false,
        after,
        scanId: scanId ?? null,
        signal,
        queueMax,
      }),
  };
  const line = new FakeLine();
  const server = new AbortController();
  const faults: AppError[] = [];
  const opened: Opened = {
    log,
    line,
    server,
    faults,
    now: 0,
    talk: new Conversation(line, hearing, {
      signal: server.signal,
      now: () => opened.now,
      onFault: (error) => void faults.push(error),
    }),
    say: (message) => opened.talk.hear(JSON.stringify(message)),
    tell: (n, scanId = "s1") =>
      log.tell({ kind: "scan.found", tenant: "a", scanId, data: { n } }),
  };
  return opened;
}

async function settle(): Promise<void> {
  for (let tick = 0; tick < 50; tick++) await null;
}

Deno.test("a conversation subscribes, hears events and unsubscribes", async () => {
  const { line, log, talk, say, tell } = open();
  say({ type: "subscribe", scan_id: "s1" });
  tell(1);
  tell(2, "s2");
  tell(3);
  await settle();
  say({ type: "ping" });
  say({ type: "unsubscribe", scan_id: "s1" });
  tell(4);
  await settle();
  assert.deepEqual(line.sent, [
    { type: "subscribed", scan_id: "s1", after: "abababababababab-0-0" },
    ...[[1, 1], [3, 3]].map(([place, n]) => ({
      type: "event",
      subscription: "s1",
      id: `abababababababab-${place}-0`,
      kind: "scan.found",
      at: "1970-01-01T00:00:00.000Z",
      scan_id: "s1",
      data: { n },
    })),
    { type: "pong" },
    { type: "unsubscribed", scan_id: "s1" },
  ]);
  assert.equal(log.state.listeners, 0);
  talk.end();
});

Deno.test("a conversation hears what a scan prints only where it asked for it", async () => {
  verifies("events.output.asked");
  const { line, log, say, talk } = open();
  const print = (scanId: string, skipped: number) =>
    log.tellOutput({ tenant: "a", scanId }, { skipped });
  const heard = async () => {
    await settle();
    return line.sent.splice(0).filter(({ type }) => type === "event")
      .map(({ kind, data }) => [kind, data]);
  };
  say({ type: "subscribe", scan_id: "s1" });
  say({ type: "subscribe", scan_id: "s2", output: false });
  print("s1", 1);
  print("s2", 2);
  assert.deepEqual(await heard(), []);
  say({ type: "subscribe", scan_id: "s1", output: true });
  print("s1", 3);
  print("s2", 4);
  assert.deepEqual(await heard(), [["scan.output", { skipped: 3 }]]);
  say({ type: "subscribe", scan_id: "s1" });
  print("s1", 5);
  assert.deepEqual(await heard(), []);
  talk.end();
});

Deno.test("a socket that is full keeps its place however much a scan prints", async () => {
  verifies("events.output.bounded");
  const { line, log, say, talk, tell } = open(100);
  say({ type: "subscribe", output: true });
  line.bufferedAmount = 300_000;
  tell(1);
  await settle();
  for (let at = 0; at < 10_000; at++) {
    const untrusted = { lines: [{ stream: "stdout", text: `${at}` }] };
    log.tellOutput({ tenant: "a", scanId: "s1" }, { untrusted, skipped: 1 });
  }
  tell(2);
  line.bufferedAmount = 0;
  await new Promise((done) => setTimeout(done, 120));
  assert.equal(line.closed, null);
  const events = line.sent.slice(1);
  assert.deepEqual(events.map(({ kind }) => kind), [
    "scan.found",
    ...Array(16).fill("scan.output"),
    "scan.found",
  ]);
  const data = events.slice(1, -1).map((event) =>
    event["data"] as {
      untrusted: { lines: { text: string }[] };
      skipped: number;
    }
  );
  // The newest are there, and of the others it is known how many they are.
  assert.equal(data.at(-1)?.untrusted.lines[0]?.text, "9999");
  assert.equal(data[0]?.skipped, 2 * (10_000 - 16) + 1);
  talk.end();
});

Deno.test("a conversation replays what came after an id", async () => {
  const { line, say, tell, talk } = open();
  for (let n = 1; n <= 4; n++) tell(n);
  say({ type: "subscribe", after: "abababababababab-2-0" });
  await settle();
  assert.deepEqual(line.sent.slice(1).map(({ data }) => data), [
    { n: 3 },
    { n: 4 },
  ]);
  talk.end();
});

Deno.test("a malformed message is answered by an error, and ten of them by the end", () => {
  verifies("events.socket");
  const bad = [
    "",
    "{",
    "null",
    "[]",
    "1",
    '{"type":"shout"}',
    '{"type":"__proto__"}',
    '{"type":"ping","extra":1}',
    '{"type":"subscribe","scan_id":1}',
    '{"type":"subscribe","scan_id":"../x"}',
    '{"type":"subscribe","after":{}}',
    '{"type":"subscribe","output":"true"}',
    '{"type":"subscribe","output":null}',
    '{"type":"unsubscribe","output":true}',
    '{"type":"unsubscribe","scan_id":""}',
    "[".repeat(16_000),
  ];
  for (const message of bad) {
    const { line, talk } = open();
    for (let n = 0; n < 9; n++) talk.hear(message);
    assert.equal(line.closed, null, message.slice(0, 50));
    assert.equal(line.sent.length, 9);
    for (const { type, code } of line.sent) {
      assert.deepEqual([type, code], ["error", "invalid_arguments"]);
    }
    talk.hear(message);
    assert.equal(line.closed?.[0], 1008);
  }
});

Deno.test("a conversation ends over binary data, long messages and floods", () => {
  verifies("events.socket");
  for (
    const [data, code] of [
      [new ArrayBuffer(2), 1003],
      [new Blob(["{}"]), 1003],
      ["x".repeat(16_385), 1009],
      ["\u{1f600}".repeat(5_000), 1009],
    ] as const
  ) {
    const { line, talk } = open();
    talk.hear(data);
    assert.equal(line.closed?.[0], code);
    assert.deepEqual(line.sent, []);
  }
  const { line, talk, say } = open();
  for (let n = 0; n < 300; n++) say({ type: "ping" });
  assert.equal(line.closed, null);
  say({ type: "ping" });
  assert.equal(line.closed?.[0], 1008);
  talk.end();
});

Deno.test("a conversation that takes its time may say more", () => {
  const made = open();
  for (let n = 0; n < 900; n++) {
    if (n % 300 === 0) made.now += 10_000;
    made.say({ type: "ping" });
  }
  assert.equal(made.line.closed, null);
  made.talk.end();
});

Deno.test("a socket has at most 64 subscriptions, and one again begins anew", async () => {
  verifies("events.socket");
  const { line, log, say, talk } = open();
  for (let n = 0; n < 64; n++) say({ type: "subscribe", scan_id: `s${n}` });
  say({ type: "subscribe", scan_id: "s1" });
  assert.equal(log.state.listeners, 64);
  say({ type: "subscribe", scan_id: "more" });
  const last = line.sent.at(-1) ?? {};
  assert.deepEqual([last["type"], last["code"]], ["error", "quota_exceeded"]);
  say({ type: "unsubscribe", scan_id: "s1" });
  await settle();
  say({ type: "subscribe", scan_id: "more" });
  assert.equal(line.sent.at(-1)?.["type"], "subscribed");
  talk.end();
  assert.equal(log.state.listeners, 0);
});

Deno.test("a socket whose buffer is full closes 1013, and the log is free of it", async () => {
  verifies("events.socket");
  const made = open(5);
  made.say({ type: "subscribe" });
  made.line.bufferedAmount = 300_000;
  for (let n = 0; n < 10; n++) made.tell(n);
  await settle();
  assert.equal(made.log.state.listeners, 0);
  // What was in hand when it was dropped is given up with it, at the latest when it is looked at.
  made.now += 31_000;
  await new Promise((done) => setTimeout(done, 120));
  assert.equal(made.line.closed?.[0], 1013);
});

Deno.test("a socket whose buffer is more than full gets no answers either", () => {
  verifies("events.socket");
  const { line, say } = open();
  line.bufferedAmount = 1_048_577;
  say({ type: "ping" });
  assert.deepEqual(line.sent, []);
  assert.equal(line.closed?.[0], 1013);
});

Deno.test("a socket that empties goes on where it was", async () => {
  const made = open();
  made.say({ type: "subscribe" });
  made.line.bufferedAmount = 300_000;
  for (let n = 0; n < 5; n++) made.tell(n);
  await settle();
  assert.equal(made.line.sent.length, 1);
  made.line.bufferedAmount = 0;
  await new Promise((done) => setTimeout(done, 120));
  assert.deepEqual(
    made.line.sent.slice(1).map(({ data }) => data),
    [0, 1, 2, 3, 4].map((n) => ({ n })),
  );
  made.talk.end();
});

Deno.test("a conversation ends with the server, and with a socket that broke", async () => {
  const stopped = open();
  stopped.say({ type: "subscribe" });
  stopped.server.abort();
  assert.deepEqual(stopped.line.closed?.[0], 1001);
  assert.equal(stopped.log.state.listeners, 0);
  const broken = open();
  broken.say({ type: "subscribe" });
  broken.line.broken = true;
  broken.tell(1);
  await settle();
  assert.equal(broken.log.state.listeners, 0);
});

Deno.test("a conversation survives whatever is said to it", async () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.json(),
    fc.record({
      type: fc.constantFrom("subscribe", "unsubscribe", "ping", "x"),
      scan_id: fc.oneof(fc.string(), fc.constant("*"), fc.jsonValue()),
      after: fc.oneof(fc.string(), fc.jsonValue()),
      output: fc.oneof(fc.boolean(), fc.jsonValue()),
    }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 30 }), async (texts) => {
      const { log, line, talk, faults, tell } = open();
      for (const one of texts) talk.hear(one);
      tell(1);
      await settle();
      assert.ok(log.state.listeners <= 64);
      assert.deepEqual(faults, []);
      assert.ok(line.sent.every(({ type }) => typeof type === "string"));
      talk.end();
      assert.equal(log.state.listeners, 0);
    }),
    { numRuns: 40 },
  );
});

Deno.test("openSocket() refuses a request that is no handshake", () => {
  const { server } = open();
  const hearing: Hearing = {
    listen: () => {
      throw new Error("must not be asked");
    },
  };
  assert.throws(
    () =>
      openSocket(new Request("http://127.0.0.1/ws"), hearing, {
        signal: server.signal,
        now: () => 0,
        onFault: () => {},
        idleSeconds: 30,
      }),
    { code: "invalid_arguments" },
  );
});
