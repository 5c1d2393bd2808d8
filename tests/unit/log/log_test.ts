import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { configureLog, flushLog, log, type LogLevel } from "@/log/log.ts";
import { LineWriter } from "@/log/line_writer.ts";

function capture(level: LogLevel = "debug") {
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  configureLog({
    level,
    write(bytes) {
      chunks.push(decoder.decode(bytes));
      return Promise.resolve(bytes.length);
    },
  });
  return async () => {
    await flushLog();
    return chunks.join("").split("\n").filter(Boolean);
  };
}

Deno.test("log() writes one JSON object a line with time, level, area and message", async () => {
  const lines = capture();
  log("dispatch").info("a scan ended", { scan_id: "s1", seconds: 2 });
  const [line = ""] = await lines();
  const { time, ...rest } = JSON.parse(line);
  assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(rest, {
    level: "info",
    area: "dispatch",
    message: "a scan ended",
    properties: { scan_id: "s1", seconds: 2 },
  });
});

Deno.test("configureLog() leaves out what is less important than its level", async () => {
  const order: LogLevel[] = ["debug", "info", "warn", "error"];
  for (const [index, level] of order.entries()) {
    const lines = capture(level);
    for (const one of order) log("x")[one](one);
    const seen = (await lines()).map((line) => JSON.parse(line).level);
    assert.deepEqual(seen, order.slice(index));
  }
});

Deno.test("a property cannot displace a fixed field", async () => {
  const lines = capture();
  log("x").warn("real", { level: "debug", message: "forged", time: "0" });
  const parsed = JSON.parse((await lines())[0] ?? "");
  assert.equal(parsed.level, "warn");
  assert.equal(parsed.message, "real");
});

Deno.test("a message is no template: braces stand for themselves", async () => {
  const lines = capture();
  const message = "{secret} {*} {{x}} {a.b} }{ {";
  log("x").info(message, { secret: "hunter2", a: { b: 1 } });
  const [line = ""] = await lines();
  assert.equal(JSON.parse(line).message, message);
  assert.doesNotMatch(line, /hunter2/);
});

Deno.test("a line is printable ASCII whatever was logged, and one line", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary" }),
      fc.dictionary(fc.string({ unit: "binary" }), fc.anything()),
      async (message, properties) => {
        const lines = capture();
        log("x").info(message, properties);
        const written = await lines();
        assert.equal(written.length, 1);
        assert.match(written[0] ?? "", /^[\x20-\x7e]+$/);
        JSON.parse(written[0] ?? "");
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("a banner cannot draw on a terminal or forge a line", async () => {
  const lines = capture();
  const banner = '\u001b[2J\u009b31m\u202e\u2028\r\n{"level":"error"}';
  log("x").info("banner", { banner });
  const written = await lines();
  assert.equal(written.length, 1);
  assert.match(written[0] ?? "", /^[\x20-\x7e]+$/);
  assert.equal(JSON.parse(written[0] ?? "").properties.banner, banner);
});

Deno.test("log() never throws, whatever it is given", async () => {
  const lines = capture();
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const hostile = new Proxy({}, {
    ownKeys() {
      throw new Error("no keys");
    },
    get() {
      throw new Error("no value");
    },
    getPrototypeOf() {
      throw new Error("no prototype");
    },
  });
  const getter = {
    get value(): never {
      throw new Error("boom");
    },
    toJSON() {
      throw new Error("boom");
    },
  };
  let deep: unknown = 1;
  for (let level = 0; level < 10_000; level += 1) deep = { deep };
  const values = [cycle, hostile, getter, deep, 10n, Symbol("s"), () => 1, NaN];
  for (const value of values) log("x").error("odd", { value });
  log("x").error("odd", hostile);
  log("x").error("odd", null as unknown as Record<string, unknown>);
  log("x").error(undefined as unknown as string);
  const written = await lines();
  assert.ok(written.length >= values.length + 2);
  for (const line of written) JSON.parse(line);
});

Deno.test("a line is at most 16 KiB and says how long it was", async () => {
  const lines = capture();
  const texts = Array.from({ length: 60 }, () => "\u4e16".repeat(3_000));
  log("x").info("m".repeat(100_000), { texts });
  log("x").info("wide", { texts });
  const written = await lines();
  for (const line of written) {
    assert.ok(line.length < 16_384, String(line.length));
    assert.ok(JSON.parse(line).cut > 16_384);
  }
  assert.equal(written.length, 2);
});

Deno.test("an error is logged with its code and detail", async () => {
  const lines = capture();
  const error = new AppError("tool_failed", "Cannot scan", {
    detail: "exit 3",
    cause: new TypeError("inner"),
  });
  log("x").error("a scan failed", { error });
  const { properties } = JSON.parse((await lines())[0] ?? "");
  assert.equal(properties.error.code, "tool_failed");
  assert.equal(properties.error.detail, "exit 3");
  assert.equal(properties.error.cause.name, "TypeError");
});

Deno.test("flushLog() does not wait for ever for a reader that does not read", async () => {
  configureLog({ level: "debug", write: () => new Promise(() => {}) });
  log("x").info("stuck");
  await flushLog(5);
});

Deno.test("LineWriter drops what finds its queue full, tells how much, and keeps the order", async () => {
  const gate = Promise.withResolvers<void>();
  const written: string[] = [];
  const writer = new LineWriter({
    queueBytesMax: 50,
    dropped: (count) => `dropped ${count}`,
    async write(bytes) {
      await gate.promise;
      // A pipe may take less than it was given.
      const part = bytes.subarray(0, 4);
      written.push(new TextDecoder().decode(part));
      return part.length;
    },
  });
  for (let line = 10; line < 30; line += 1) writer.push(`line ${line}`);
  gate.resolve();
  await writer.flush();
  assert.equal(
    written.join(""),
    "line 10\nline 11\nline 12\nline 13\nline 14\nline 15\ndropped 14\n",
  );
});

Deno.test("LineWriter survives a reader that is gone", async () => {
  let calls = 0;
  const writer = new LineWriter({
    dropped: String,
    write() {
      calls += 1;
      return Promise.reject(new Error("broken pipe"));
    },
  });
  writer.push("one");
  await writer.flush();
  writer.push("two");
  await writer.flush();
  assert.equal(calls, 2);
  const stuck = new LineWriter({
    dropped: String,
    write: () => Promise.resolve(0),
  });
  stuck.push("one");
  await stuck.flush();
});
