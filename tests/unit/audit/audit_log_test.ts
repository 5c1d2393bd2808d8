/**
 * The writer: what is acknowledged is on the disk, in order, and nothing is acknowledged that is not.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AuditLog, QUEUE_ENTRIES_MAX, STALL_MS } from "@/audit/audit_log.ts";
import { HEAD_NAME } from "@/audit/head.ts";
import { writeLine } from "@/audit/line.ts";
import { verifyLog } from "@/audit/verify.ts";
import type { Anchor } from "@/audit/writer.ts";
import { AppError } from "@/error/app_error.ts";
import { MemoryFiles } from "./memory_files.ts";
import { digests, entriesOf, openLog, request, sampleLog } from "./samples.ts";
import { verifies } from "../../requirements.ts";

verifies("audit.flushed_before_ack", "audit.fail_closed");

async function assertSound(files: MemoryFiles): Promise<void> {
  const { keyed } = await digests();
  const { ok, bad } = await verifyLog(files, keyed, { expect: null });
  assert.ok(ok, JSON.stringify(bad));
}

function kindsOf(files: MemoryFiles): readonly unknown[] {
  return entriesOf(files).map(({ kind }) => kind);
}

function targetsOf(files: MemoryFiles): readonly string[] {
  return entriesOf(files).flatMap(({ kind, arguments: given }) =>
    kind === "request" ? [(given as { target: string }).target] : []
  );
}

Deno.test("append() writes entries in the order of the calls, many in one write", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files, { limits: { rotateBytes: 10 ** 9 } });
  const before = files.syncs;
  await Promise.all(
    Array.from({ length: 200 }, (_, number) => log.append(request(number))),
  );
  // One write of the lines and one of the head.
  assert.equal(files.syncs - before, 2);
  assert.deepEqual(
    targetsOf(files),
    Array.from({ length: 200 }, (_, number) => `127.0.0.${number}`),
  );
  await assertSound(files);
});

Deno.test("append() resolves when the entry and the head are written and not before", async () => {
  const files = new MemoryFiles();
  await using log = await openLog(files);
  const { promise, resolve } = Promise.withResolvers<void>();
  files.gate = promise;
  let done = false;
  const appending = log.append(request(1)).then(() => done = true);
  await new Promise((wake) => setTimeout(wake, 5));
  assert.equal(done, false);
  resolve();
  await appending;
  assert.deepEqual(targetsOf(files), ["127.0.0.1"]);
  assert.match(files.text(HEAD_NAME), /"seq":2,/);
});

Deno.test("a log begins with its key's name, has a checkpoint every few entries, at rotation and at its end", async () => {
  const anchors: Anchor[] = [];
  const files = await sampleLog(7, {
    limits: { checkpointEvery: 5, rotateBytes: 2_850 },
    onCheckpoint: (anchor) => anchors.push(anchor),
  });
  const entries = entriesOf(files);
  assert.deepEqual(
    entries.map(({ kind, reason, entries: count, file }) =>
      kind === "checkpoint" ? [kind, reason, count, file] : [kind]
    ),
    [
      ["log_opened"],
      ["request"],
      ["request"],
      ["request"],
      ["request"],
      ["checkpoint", "interval", 5, "audit-000001.jsonl"],
      ["request"],
      ["request"],
      ["checkpoint", "rotation", 2, "audit-000001.jsonl"],
      ["request"],
      ["checkpoint", "closing", 1, "audit-000002.jsonl"],
    ],
  );
  assert.equal(entries[0]?.["key_id"], (await digests()).keyed.keyId);
  assert.deepEqual(anchors.map(({ seq }) => seq), [6, 9, 11]);
  const last = entries.at(-1);
  assert.equal(last?.["seq"], 11);
});

Deno.test("a full disk rejects at any byte, leaves a sound log, and what comes next is told", async () => {
  const genuine = await sampleLog(3);
  const used = [...genuine.files.values()].reduce(
    (sum, { length }) => sum + length,
    0,
  );
  const outcomes = new Set<number>();
  for (let room = 0; room < 1_900; room += 23) {
    const files = genuine.copy();
    let now = 0;
    const log = await openLog(files, { now: () => now });
    files.space = used + room;
    const results = await Promise.allSettled([
      log.append(request(1)),
      log.append(request(2)),
    ]);
    const rejected = results.filter(({ status }) =>
      status === "rejected"
    ).length;
    // They share a write, so it is all or nothing.
    assert.ok(rejected === 0 || rejected === 2);
    outcomes.add(rejected);
    await assertSound(files.copy());
    if (rejected === 0) continue;
    assert.equal(log.status.healthy, false);
    assert.equal(log.status.reason, "the disk is full");
    // Nothing is even tried for a moment.
    files.space = Number.POSITIVE_INFINITY;
    await assert.rejects(log.append(request(3)), { code: "tool_unavailable" });
    now += 1_001;
    await log.append(request(4));
    assert.equal(log.status.healthy, true);
    assert.equal(log.status.rejected, 0);
    const tail = entriesOf(files).slice(-2).filter(({ kind }) =>
      kind !== "checkpoint"
    );
    assert.equal(tail.at(-1)?.["kind"], "request");
    const told = entriesOf(files).findLast(({ kind }) => kind === "recovered");
    assert.equal(told?.["rejected"], rejected + 1);
    await log[Symbol.asyncDispose]();
    await assertSound(files);
  }
  assert.deepEqual([...outcomes], [2, 0]);
});

Deno.test("append() says in words what is wrong and names no path", async () => {
  const cases = [
    ["ENOSPC", "the disk is full"],
    ["EROFS", "the disk is read-only"],
    ["EIO", "the disk has a fault"],
    ["EACCES", "the server's user may not write it"],
    ["EWHAT", "the disk does not take it"],
  ] as const;
  for (const [code, words] of cases) {
    const warnings: string[] = [];
    const files = new MemoryFiles();
    const log = await openLog(files, {
      onWarning: (message) => warnings.push(message),
    });
    files.fault = code;
    await assert.rejects(log.append(request(1)), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "tool_unavailable");
      assert.equal(
        error.message,
        `Cannot record the request in the audit log: ${words}; no scan starts until it can be ` +
          "written again",
      );
      return true;
    });
    assert.ok(warnings.includes("the audit log cannot be written"));
    assert.equal((await log.probe()).healthy, false);
    files.fault = null;
    assert.equal((await log.probe()).healthy, true);
  }
});

Deno.test("a failed write leaves nothing of the block, whichever step failed", async () => {
  // Each step of a block fails once: lock-free, so the count of changes is the same every time.
  for (let step = 0; step < 6; step++) {
    const files = await sampleLog(2);
    let now = 0;
    const log = await openLog(files, { now: () => now });
    let left = step;
    const failing = files as { fault: string | null };
    const write = files.write.bind(files);
    const replace = files.replace.bind(files);
    const once = async <T>(run: () => Promise<T>): Promise<T> => {
      failing.fault = left-- === 0 ? "EIO" : null;
      try {
        return await run();
      } finally {
        failing.fault = null;
      }
    };
    files.write = (name, at, bytes) => once(() => write(name, at, bytes));
    files.replace = async (name, bytes, after) => {
      await after;
      await once(() => replace(name, bytes));
    };
    const outcome = await Promise.allSettled([log.append(request(9))]);
    assert.equal(outcome[0]?.status, step < 2 ? "rejected" : "fulfilled");
    assert.equal(targetsOf(files).includes("127.0.0.9"), step >= 2);
    left = -1;
    now += 2_000;
    await log.append(request(10));
    await log[Symbol.asyncDispose]();
    await assertSound(files);
  }
});

Deno.test("the head is never ahead of the lines that it speaks of", async () => {
  const files = await sampleLog(2);
  const log = await openLog(files);
  const head = files.text(HEAD_NAME);
  const disk = Promise.withResolvers<void>();
  files.gate = disk.promise;
  const appending = log.append(request(9));
  await new Promise((wake) => setTimeout(wake, 5));
  assert.equal(files.text(HEAD_NAME), head);
  files.space = 0;
  disk.resolve();
  await assert.rejects(appending, /the disk is full/);
  assert.equal(files.text(HEAD_NAME), head);
  await assertSound(files);
});

Deno.test("a log on a disk that does not take it opens unhealthy and recovers", async () => {
  const files = new MemoryFiles();
  files.fault = "EROFS";
  await using log = await openLog(files);
  assert.equal(log.status.healthy, false);
  assert.equal(log.status.seq, null);
  await assert.rejects(log.append(request(1)), /the disk is read-only/);
  files.fault = null;
  assert.equal((await log.probe()).healthy, true);
  await log.append(request(2));
  assert.deepEqual(kindsOf(files), ["log_opened", "recovered", "request"]);
});

Deno.test("append() refuses more than fits the queue, and when the disk does not answer", async () => {
  const files = new MemoryFiles();
  let now = 0;
  const log = await openLog(files, { now: () => now });
  const { promise, resolve } = Promise.withResolvers<void>();
  files.gate = promise;
  const first = log.append(request(0));
  // The first block is taken; behind it the queue fills.
  await new Promise((wake) => setTimeout(wake, 0));
  const waiting = Array.from(
    { length: QUEUE_ENTRIES_MAX },
    () => log.append(request(1)),
  );
  await assert.rejects(log.append(request(2)), {
    code: "queue_full",
    message: /too many requests wait for the disk/,
  });
  now += STALL_MS + 1;
  await assert.rejects(log.append(request(3)), /the disk does not answer/);
  assert.equal(log.status.healthy, false);
  resolve();
  await Promise.all([first, ...waiting]);
  assert.equal(log.status.healthy, true);
  await log[Symbol.asyncDispose]();
  await assertSound(files);
});

Deno.test("append() refuses after the end, and the end writes what waits", async () => {
  const files = new MemoryFiles();
  const log = await openLog(files);
  const waiting = log.append(request(1));
  await log[Symbol.asyncDispose]();
  await waiting;
  await assert.rejects(log.append(request(2)), /the server is stopping/);
  assert.deepEqual(targetsOf(files), ["127.0.0.1"]);
});

Deno.test("several servers and commands write one log side by side", async () => {
  const files = new MemoryFiles();
  await using server = await openLog(files);
  await using command = await openLog(files);
  await Promise.all(
    Array.from(
      { length: 40 },
      (_, number) =>
        (number % 2 === 0 ? server : command).append(request(number)),
    ),
  );
  await server.append(request(100));
  await command.append(request(101));
  assert.equal(targetsOf(files).length, 42);
  assert.ok(!kindsOf(files).includes("recovered"));
  await assertSound(files);
});

Deno.test("open() keeps what a torn write left in a side file and tells of it", async () => {
  const files = await sampleLog(4, { limits: { rotateBytes: 10 ** 9 } });
  const torn = '{"seq":7,"time":"2026';
  files.put("audit-000001.jsonl", files.text("audit-000001.jsonl") + torn);
  await (await openLog(files))[Symbol.asyncDispose]();
  const told = entriesOf(files).find(({ kind }) => kind === "recovered");
  const [side] = told?.["torn_files"] as string[];
  assert.match(side ?? "", /^torn-000001-\d+-[0-9a-f]{8}\.bin$/);
  assert.equal(files.text(side ?? ""), torn);
  await assertSound(files);
});

Deno.test("open() tells of a side file although the server died before it could", async () => {
  const files = await sampleLog(4, { limits: { rotateBytes: 10 ** 9 } });
  files.put("audit-000001.jsonl", files.text("audit-000001.jsonl") + "torn");
  files.gate = new Promise(() => {});
  // It cleans the end and then hangs at its first line, where it is killed.
  void openLog(files);
  await new Promise((wake) => setTimeout(wake, 5));
  const dead = files.copy();
  assert.ok([...dead.files.keys()].some((name) => name.endsWith(".untold")));
  await (await openLog(dead))[Symbol.asyncDispose]();
  assert.ok(!kindsOf(files).includes("recovered"));
  assert.ok(kindsOf(dead).includes("recovered"));
  assert.ok(![...dead.files.keys()].some((name) => name.endsWith(".untold")));
  await assertSound(dead);
});

Deno.test("open() takes whole lines behind the head and tells of them", async () => {
  const files = await sampleLog(2);
  const head = files.text(HEAD_NAME);
  const log = await openLog(files);
  await Promise.all([log.append(request(8)), log.append(request(9))]);
  files.put(HEAD_NAME, head);
  files.kill();
  await (await openLog(files))[Symbol.asyncDispose]();
  assert.deepEqual(targetsOf(files).slice(-2), ["127.0.0.8", "127.0.0.9"]);
  const told = entriesOf(files).find(({ kind }) => kind === "recovered");
  assert.equal(told?.["unheaded"], 2);
  await assertSound(files);
});

Deno.test("open() takes no line behind the head that is not sealed, whatever its chain says", async () => {
  const { keyed, keyless } = await digests();
  const files = await sampleLog(2, { limits: { rotateBytes: 10 ** 9 } });
  const name = "audit-000001.jsonl";
  const text = files.text(name);
  const last = text.trimEnd().slice(text.trimEnd().lastIndexOf("\n") + 1);
  const forged = writeLine({
    seq: JSON.parse(last).seq + 1,
    time: "2026-01-01T00:00:00.000Z",
    prev: keyed.hash(last),
    kind: "request",
    members: '"tool":"forged"',
  }, keyless).replace('"seal":""', `"seal":"${"0".repeat(64)}"`);
  files.put(name, `${text}${forged}\n`);
  await (await openLog(files))[Symbol.asyncDispose]();
  assert.ok(!files.text(name).includes("forged"));
  const told = entriesOf(files).find(({ kind }) => kind === "recovered");
  const [side] = told?.["torn_files"] as string[];
  assert.equal(files.text(side ?? ""), `${forged}\n`);
  await assertSound(files);
});

Deno.test("a failure rejects what waits behind it too", async () => {
  const files = await sampleLog(1);
  const log = await openLog(files);
  files.fault = "EIO";
  // More than one block takes.
  const results = await Promise.allSettled(
    Array.from({ length: 1_300 }, (_, number) => log.append(request(number))),
  );
  assert.ok(results.every(({ status }) => status === "rejected"));
  assert.equal(log.status.waiting, 0);
  assert.equal(log.status.rejected, 1_300);
});

Deno.test("open() refuses a log that was cut, changed or sealed with another key", async () => {
  const cases: readonly (readonly [string, (files: MemoryFiles) => void])[] = [
    ["its head is missing", (files) => files.files.delete(HEAD_NAME)],
    ["its head was changed", (files) => files.put(HEAD_NAME, "{}")],
    ["its head was changed", (files) =>
      files.put(
        HEAD_NAME,
        files.text(HEAD_NAME).replace(/"bytes":\d+/, '"bytes":1'),
      )],
    ["it was cut off", (files) => {
      const bytes = files.files.get("audit-000001.jsonl");
      files.files.set(
        "audit-000001.jsonl",
        bytes?.slice(0, -1) ?? new Uint8Array(),
      );
    }],
    ["its last line was changed", (files) => {
      const bytes = files.files.get("audit-000001.jsonl")?.slice() ??
        new Uint8Array();
      bytes[bytes.length - 3] = 48 + ((bytes.at(-3) ?? 0) === 48 ? 1 : 0);
      files.files.set("audit-000001.jsonl", bytes);
    }],
    [
      "a file of it is missing",
      (files) => files.files.delete("audit-000001.jsonl"),
    ],
    ["there is more behind its head than a stop leaves", (files) =>
      files.put(
        "audit-000001.jsonl",
        files.text("audit-000001.jsonl") + "x".repeat(17_000_000),
      )],
  ];
  const genuine = await sampleLog(3, { limits: { rotateBytes: 10 ** 9 } });
  for (const [why, damage] of cases) {
    const files = genuine.copy();
    damage(files);
    await assert.rejects(openLog(files), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "internal");
      assert.match(
        error.message,
        new RegExp(`^Cannot continue the audit log: ${why};`),
      );
      return true;
    }, why);
  }
  await assert.rejects(
    openLog(genuine.copy(), { key: new Uint8Array(32).fill(1) }),
    /it was sealed with another key/,
  );
});

Deno.test("a log that is cut or taken away while the server runs takes no more", async () => {
  const older = await sampleLog(2, { limits: { rotateBytes: 10 ** 9 } });
  const cases: readonly (readonly [string, (files: MemoryFiles) => void])[] = [
    ["taken away", (files) => files.files.clear()],
    ["put back", (files) => {
      for (const [name, bytes] of older.files) files.files.set(name, bytes);
    }],
    ["cut", (files) => files.put("audit-000001.jsonl", "")],
  ];
  for (const [why, damage] of cases) {
    const files = older.copy();
    const log = await openLog(files);
    await log.append(request(1));
    damage(files);
    await assert.rejects(
      log.append(request(2)),
      { code: "tool_unavailable" },
      why,
    );
    assert.equal((await log.probe()).healthy, false);
  }
});

Deno.test("old files are removed only when the log says so, and it verifies after a stop between", async () => {
  const limits = { checkpointEvery: 5, rotateBytes: 1_500, keepFiles: 2 };
  const files = await sampleLog(30, { limits });
  const names = () =>
    [...files.files.keys()].filter((name) => name.startsWith("audit-"));
  assert.ok(names().length <= 2);
  assert.ok(kindsOf(files).includes("files_removed"));
  await assertSound(files);
  const remove = files.remove.bind(files);
  files.remove = () => Promise.reject(new Error("killed"));
  const log = await openLog(files, { limits });
  for (let number = 0; number < 12; number++) await log.append(request(number));
  await assertSound(files);
  files.remove = remove;
  for (let number = 0; number < 12; number++) await log.append(request(number));
  assert.ok(names().length <= 2);
  await assertSound(files);
});

Deno.test("a log that lost its first file without a word is bad", async () => {
  const limits = { checkpointEvery: 5, rotateBytes: 1_500, keepFiles: 4 };
  const files = await sampleLog(40, { limits });
  const first =
    [...files.files.keys()].filter((name) => name.startsWith("audit-"))
      .sort()[0];
  files.files.delete(first ?? "");
  const { keyed } = await digests();
  const { bad } = await verifyLog(files, keyed, { expect: null });
  assert.equal(bad?.problem, "missing_file");
  assert.equal(bad?.file, first);
});

Deno.test("entries of many callers keep each caller's order, whatever fails between", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("append", "fail", "heal", "wait"), {
        maxLength: 60,
      }),
      async (steps) => {
        const files = new MemoryFiles();
        let now = 0;
        const log = await openLog(files, { now: () => now += 2_000 });
        const acknowledged: Promise<string | null>[] = [];
        for (const [index, step] of steps.entries()) {
          if (step === "fail") files.fault = "EIO";
          if (step === "heal") files.fault = null;
          if (step === "wait") await new Promise((wake) => setTimeout(wake, 0));
          if (step !== "append") continue;
          acknowledged.push(
            log.append(request(index)).then(
              () => `127.0.0.${index}`,
              () => null,
            ),
          );
        }
        const kept = (await Promise.all(acknowledged)).filter((one) =>
          one !== null
        );
        files.fault = null;
        await log.probe();
        await log[Symbol.asyncDispose]();
        assert.deepEqual(targetsOf(files), kept);
        await assertSound(files);
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("open() asks for the key once and says whether there is a log", async () => {
  const asked: boolean[] = [];
  const files = new MemoryFiles();
  for (let turn = 0; turn < 2; turn++) {
    await using _log = await AuditLog.open({
      files,
      key: (exists) => {
        asked.push(exists);
        return Promise.resolve({
          bytes: new Uint8Array(32),
          origin: "made",
          warnings: [],
        });
      },
      limits: { checkpointEvery: 5, rotateBytes: 4_000, keepFiles: 0 },
      wallNow: () => 0,
      now: () => 0,
      onCheckpoint: () => {},
      onWarning: () => {},
    });
  }
  assert.deepEqual(asked, [false, true]);
});
