import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import type { LiveEvent } from "@/events/event.ts";
import { EventLog } from "@/events/event_log.ts";
import {
  eventStream,
  type EventStreamOptions,
  eventText,
  lastEventId,
} from "@/operator/event_stream.ts";
import { verifies } from "../../requirements.ts";

const T0 = Date.UTC(2026, 0, 1);

const EVENT: LiveEvent = {
  id: "0123456789abcdef-1-0",
  at: T0,
  kind: "scan.ended",
  tenant: "a",
  scanId: "s1",
  data: { text: "one\ntwo\r\u2028event: forged\n\n" },
};

function newLog(): EventLog {
  return new EventLog({
    keep: 100,
    wallNow: () => T0,
    random: (bytes) => bytes.fill(0xab),
  });
}

interface Opened {
  readonly log: EventLog;
  readonly reader: ReadableStreamDefaultReader<string>;
  readonly faults: AppError[];
  readonly server: AbortController;
  readonly response: Response;
}

function open(
  over: Partial<EventStreamOptions> = {},
  after: string | null = null,
): Opened {
  const log = newLog();
  const faults: AppError[] = [];
  const server = new AbortController();
  const response = eventStream((signal) =>
    log.listen({
      tenant: "a",
      seesServer: false,
      after,
      scanId: null,
      signal,
      queueMax: 10,
    }), {
    heartbeatSeconds: 5,
    signal: server.signal,
    onFault: (error) => void faults.push(error),
    ...over,
  });
  assert.ok(response.body !== null);
  const reader = response.body.pipeThrough(
    new TextDecoderStream(),
    undefined,
  ).getReader();
  return { log, reader, faults, server, response };
}

async function rest(
  reader: ReadableStreamDefaultReader<string>,
): Promise<string> {
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text += value;
  }
}

function tell(log: EventLog, n: number): void {
  log.tell({ kind: "scan.found", tenant: "a", scanId: "s1", data: { n } });
}

Deno.test("eventText() writes three lines, and nothing in the data ends one", () => {
  assert.equal(
    eventText(EVENT),
    'id: 0123456789abcdef-1-0\nevent: scan.ended\ndata: {"id":"0123456789abcdef-1-0",' +
      '"kind":"scan.ended","at":"2026-01-01T00:00:00.000Z","scan_id":"s1",' +
      '"data":{"text":"one\\ntwo\\r\u2028event: forged\\n\\n"}}\n\n',
  );
});

Deno.test("lastEventId() reads the header, within a bound", () => {
  const of = (headers: Record<string, string>) =>
    lastEventId(new Request("http://127.0.0.1/events", { headers }));
  assert.equal(of({}), null);
  assert.equal(of({ "last-event-id": "" }), null);
  assert.equal(of({ "last-event-id": "x-1-2" }), "x-1-2");
  assert.equal(of({ "last-event-id": "x".repeat(9_000) })?.length, 128);
});

Deno.test("eventStream() opens with the retry and the place, then writes events", async () => {
  const { log, reader, response, server } = open();
  assert.deepEqual([...response.headers], [
    ["cache-control", "no-store"],
    ["content-type", "text/event-stream; charset=utf-8"],
    ["x-accel-buffering", "no"],
  ]);
  const epoch = "abababababababab";
  assert.equal(
    (await reader.read()).value,
    `retry: 3000\nid: ${epoch}-0-0\n\n`,
  );
  tell(log, 1);
  const { value } = await reader.read();
  assert.match(value ?? "", /^id: (ab){8}-1-0\nevent: scan\.found\ndata: \{/);
  server.abort();
  assert.equal(await rest(reader), "");
  assert.equal(log.state.listeners, 0);
});

Deno.test("eventStream() says that it is there when nothing happens", async () => {
  verifies("events.stream");
  const { log, reader } = open({ heartbeatSeconds: 0.02 });
  await reader.read();
  tell(log, 1);
  await reader.read();
  for (let beat = 0; beat < 3; beat++) {
    const { value } = await reader.read();
    assert.equal(value, ": \nid: abababababababab-1-0\n\n");
  }
  await reader.cancel();
  assert.equal(log.state.listeners, 0);
});

Deno.test("eventStream() ends when its reader goes, and leaves no timer", async () => {
  verifies("events.stream");
  const { log, reader } = open();
  await reader.read();
  const read = reader.read();
  assert.equal(log.state.listeners, 1);
  await reader.cancel();
  assert.equal((await read).done, true);
  assert.equal(log.state.listeners, 0);
});

Deno.test("eventStream() ends cleanly for a reader that is too slow, without a fault", async () => {
  verifies("events.stream");
  const { log, reader, faults } = open();
  await reader.read();
  for (let n = 0; n < 50; n++) tell(log, n);
  assert.equal(log.state.dropped, 1);
  await rest(reader);
  assert.deepEqual(faults, []);
  assert.equal(log.state.listeners, 0);
});

Deno.test("eventStream() gives up a reader that reads nothing", async () => {
  const { log, reader } = open({ heartbeatSeconds: 0.01 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setInterval(() => {
    if (log.state.listeners === 0) resolve();
  }, 5);
  await promise;
  clearInterval(timer);
  await rest(reader);
});

Deno.test("eventStream() ends at once where the server has stopped", async () => {
  verifies("events.stream");
  const { log, reader } = open({ signal: AbortSignal.abort() });
  await rest(reader);
  assert.equal(log.state.listeners, 0);
});

Deno.test("eventStream() throws what refuses the listener, and tells of a fault of the events", async () => {
  const refused = () => {
    throw new AppError("forbidden", "Cannot listen");
  };
  const options = {
    heartbeatSeconds: 5,
    signal: new AbortController().signal,
    onFault: () => {},
  };
  assert.throws(() => eventStream(refused, options), { code: "forbidden" });
  const faults: AppError[] = [];
  const response = eventStream(
    async function* () {
      yield await Promise.resolve(EVENT);
      throw new TypeError("broken");
    },
    { ...options, onFault: (error) => void faults.push(error) },
  );
  const text = await response.text();
  assert.equal(text, `retry: 3000\n\n${eventText(EVENT)}`);
  assert.deepEqual(faults.map(({ code }) => code), ["internal"]);
});
