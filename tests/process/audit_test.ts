/**
 * The audit log on a real disk: writers that are killed, disks that are full or read-only, two
 * processes at one log, and the command that checks it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Digest } from "@/audit/digest.ts";
import { auditFolder } from "@/audit/files.ts";
import { findKey } from "@/audit/key.ts";
import { verifyLog, type VerifyReport } from "@/audit/verify.ts";
import { ROOT, taskCommand } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";
import { TextLineStream } from "../unit/audit/text_line_stream.ts";
import { verifies } from "../requirements.ts";

verifies("audit.crash_loses_nothing");

const WRITER = `${ROOT}tests/unit/audit/audit_writer.ts`;

type Answer = Readonly<Record<string, unknown>>;

/** How to start a writer. */
interface WriterOptions {
  readonly rotateBytes?: number;
  /** Written in front of the command. */
  readonly wrap?: readonly string[];
}

/** A writer's process. It has the rights that the server has for its state folder, and no other. */
class Writer implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  constructor(folder: string, options: WriterOptions = {}) {
    const { rotateBytes = 20_000, wrap = [] } = options;
    const [program = "", ...args] = [
      ...wrap,
      Deno.execPath(),
      "run",
      "--no-prompt",
      "--no-remote",
      "--cached-only",
      "--no-check",
      `--allow-read=${folder}`,
      `--allow-write=${folder}`,
      WRITER,
      folder,
      String(rotateBytes),
    ];
    this.child = new Deno.Command(program, {
      args,
      cwd: ROOT,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.child.stdin.getWriter();
    this.#lines = this.child.stdout
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream())
      .getReader();
  }

  /** The next answer; null if there is none any more, or half of one. */
  async read(): Promise<Answer | null> {
    const { value } = await this.#lines.read();
    if (value === undefined) return null;
    try {
      return JSON.parse(value);
    } catch {
      return null;
    }
  }

  async order(order: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#input.write(
      new TextEncoder().encode(`${JSON.stringify(order)}\n`),
    );
  }

  /** Gives an order and waits for its end; the answers before it come along. */
  async obeyed(
    order: Readonly<Record<string, unknown>>,
    end: string,
  ): Promise<readonly Answer[]> {
    await this.order(order);
    const answers: Answer[] = [];
    for (;;) {
      const answer = await this.read();
      assert.ok(answer !== null, `the writer ended before "${end}"`);
      answers.push(answer);
      if (Object.hasOwn(answer, end)) return answers;
    }
  }

  /** Kills it and reads what it had acknowledged. */
  async kill(): Promise<readonly Answer[]> {
    this.child.kill("SIGKILL");
    const answers: Answer[] = [];
    for (;;) {
      const answer = await this.read();
      if (answer === null) break;
      answers.push(answer);
    }
    await this.child.status;
    return answers;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await this.#lines.cancel();
    await this.#input.abort().catch(() => {});
    await this.child.status;
  }
}

async function verify(state: string): Promise<VerifyReport> {
  const folder = `${state}/audit`;
  const key = await findKey({
    secret: null,
    file: `${state}/audit.key`,
    folder,
  });
  const digest = await Digest.load(key?.bytes ?? null);
  return await verifyLog(auditFolder(folder), digest, { expect: null });
}

/** The numbers of the entries that a writer wrote, in the order of the log. */
async function numbersOf(state: string): Promise<readonly number[]> {
  const folder = auditFolder(`${state}/audit`);
  const names = (await folder.list()).filter((name) =>
    name.startsWith("audit-")
  );
  const numbers: number[] = [];
  for (const name of [...names].sort()) {
    const text = await Deno.readTextFile(`${state}/audit/${name}`);
    for (const line of text.split("\n")) {
      const [, number] = /"tool":"n(\d+)"/.exec(line) ?? [];
      if (number !== undefined && line.endsWith("}")) {
        numbers.push(Number(number));
      }
    }
  }
  return numbers;
}

/** Chance that can be repeated: the seed is told when a test fails. */
function chance(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % max;
  };
}

function acknowledgedOf(answers: readonly Answer[]): readonly number[] {
  return answers.flatMap(({ acknowledged }) =>
    typeof acknowledged === "number" ? [acknowledged] : []
  );
}

Deno.test("a writer that is killed at any moment loses nothing that it acknowledged", async () => {
  await using folder = await withTempDir();
  const seed = Date.now() % 1_000_000;
  const pick = chance(seed);
  const acknowledged = new Set<number>();
  for (let turn = 0; turn < 30; turn++) {
    await using writer = new Writer(folder.path);
    assert.equal((await writer.read())?.["open"], true);
    await writer.order({
      kind: "flood",
      from: turn * 100_000,
      together: 1 + pick(20),
    });
    const seen: Answer[] = [];
    for (let wait = 1 + pick(200); wait > 0; wait--) {
      seen.push(await writer.read() ?? {});
    }
    const rest = await writer.kill();
    for (const number of acknowledgedOf([...seen, ...rest])) {
      acknowledged.add(number);
    }
    const { ok, bad } = await verify(folder.path);
    assert.ok(ok, `seed ${seed}, turn ${turn}: ${JSON.stringify(bad)}`);
  }
  {
    await using writer = new Writer(folder.path);
    assert.equal((await writer.read())?.["healthy"], true);
    await writer.obeyed({ kind: "close" }, "closed");
  }
  const found = await verify(folder.path);
  assert.ok(found.ok, `seed ${seed}: ${JSON.stringify(found.bad)}`);
  assert.deepEqual([found.behindHead, found.tornBytes], [0, 0]);
  assert.ok(found.files > 3);
  const numbers = await numbersOf(folder.path);
  assert.equal(new Set(numbers).size, numbers.length, "an entry stands twice");
  const kept = new Set(numbers);
  const lost = [...acknowledged].filter((number) => !kept.has(number));
  assert.deepEqual(lost, [], `seed ${seed}`);
  assert.ok(acknowledged.size > 500);
});

Deno.test("a writer that is killed while it makes its first log leaves one that opens", async () => {
  const pick = chance(Date.now() % 1_000_000);
  for (let turn = 0; turn < 12; turn++) {
    await using folder = await withTempDir();
    {
      await using writer = new Writer(folder.path);
      if (turn % 3 === 0) await writer.read();
      // The one sleep: the moment is what this test is about.
      await new Promise((wake) => setTimeout(wake, pick(150)));
      await writer.kill();
    }
    await using writer = new Writer(folder.path);
    assert.equal((await writer.read())?.["healthy"], true);
    await writer.obeyed({ kind: "append", from: 0, count: 3 }, "done");
    assert.ok((await verify(folder.path)).ok);
  }
});

Deno.test("two servers share a log", async () => {
  await using folder = await withTempDir();
  await using server = new Writer(folder.path);
  assert.equal((await server.read())?.["open"], true);
  await using command = new Writer(folder.path);
  assert.equal((await command.read())?.["open"], true);
  const waves = Array.from({ length: 40 }, (_, wave) => wave);
  const write = async (writer: Writer, from: number) => {
    const answers: Answer[] = [];
    for (const wave of waves) {
      const order = { kind: "append", from: from + wave * 5, count: 5 };
      answers.push(...await writer.obeyed(order, "done"));
    }
    return acknowledgedOf(answers);
  };
  const [own, other] = await Promise.all([
    write(server, 0),
    write(command, 1_000),
  ]);
  assert.deepEqual([own.length, other.length], [200, 200]);
  const found = await verify(folder.path);
  assert.ok(found.ok, JSON.stringify(found.bad));
  const numbers = await numbersOf(folder.path);
  assert.deepEqual(
    [...numbers].sort((a, b) => a - b),
    [...own, ...other].sort((a, b) => a - b),
  );
  // They did take turns.
  const turns = numbers.filter((number, index) =>
    (number < 1_000) !== ((numbers[index - 1] ?? 0) < 1_000)
  );
  assert.ok(turns.length > 2, `${turns.length} turns`);
  await server.obeyed({ kind: "close" }, "closed");
  await using next = new Writer(folder.path);
  assert.equal((await next.read())?.["open"], true);
});

/** A shell in a mount namespace of its own, with a small disk at a folder. */
function onSmallDisk(folder: string, bytes: number): readonly string[] {
  const script =
    'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"';
  return [
    "unshare",
    ...NAMESPACE,
    "sh",
    "-c",
    script,
    "sh",
    String(bytes),
    folder,
  ];
}

/** As root a mount namespace suffices; anybody else needs a user namespace too. */
const NAMESPACE = Deno.uid() === 0 ? ["-m"] : ["-m", "-r"];

/** Runs a command in the mount namespace of a process. */
async function within(
  pid: number,
  ...args: readonly string[]
): Promise<string> {
  const enter = Deno.uid() === 0
    ? ["-m"]
    : ["-m", "-U", "--preserve-credentials"];
  const { success, stdout, stderr } = await new Deno.Command("nsenter", {
    args: ["-t", String(pid), ...enter, ...args],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Containers often forbid it. */
const noMounts = !new Deno.Command("unshare", {
  args: [...NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /mnt"],
  stdout: "null",
  stderr: "null",
}).outputSync().success;

Deno.test({
  name:
    "a full disk rejects entries, and they are taken again when there is space",
  ignore: noMounts,
  async fn() {
    await using folder = await withTempDir();
    await using copy = await withTempDir();
    await using writer = new Writer(folder.path, {
      wrap: onSmallDisk(folder.path, 256 * 1_024),
      rotateBytes: 1_000_000,
    });
    assert.equal((await writer.read())?.["healthy"], true);
    const before = await writer.obeyed(
      { kind: "append", from: 0, count: 20 },
      "done",
    );
    assert.equal(acknowledgedOf(before).length, 20);
    const ballast = { kind: "ballast", path: `${folder.path}/ballast` };
    await writer.obeyed({ ...ballast, bytes: 1_000_000 }, "ballast");
    const full = await writer.obeyed(
      { kind: "append", from: 100, count: 50 },
      "done",
    );
    assert.equal(acknowledgedOf(full).length, 0);
    for (const { refused, message } of full) {
      if (refused === undefined) continue;
      assert.equal(
        message,
        "Cannot record the request in the audit log: the disk is full; no scan starts until it can " +
          "be written again",
      );
    }
    const [sick] = await writer.obeyed({ kind: "probe" }, "healthy");
    assert.deepEqual([sick?.["healthy"], sick?.["reason"]], [
      false,
      "the disk is full",
    ]);
    await writer.obeyed({ ...ballast, bytes: 0 }, "ballast");
    const [well] = await writer.obeyed({ kind: "probe" }, "healthy");
    assert.equal(well?.["healthy"], true);
    const after = await writer.obeyed(
      { kind: "append", from: 200, count: 20 },
      "done",
    );
    assert.equal(acknowledgedOf(after).length, 20);
    await writer.obeyed({ kind: "close" }, "closed");
    // The disk is seen in the writer's namespace only.
    await copyOut(writer.child.pid, folder.path, copy.path);
    const found = await verify(copy.path);
    assert.ok(found.ok, JSON.stringify(found.bad));
    assert.equal(found.tornBytes, 0);
    const numbers = await numbersOf(copy.path);
    assert.equal(numbers.length, 40);
    const text = await Deno.readTextFile(
      `${copy.path}/audit/audit-000001.jsonl`,
    );
    assert.match(text, /"kind":"recovered","rejected":50,/);
  },
});

Deno.test({
  name:
    "a read-only folder rejects entries from the start, and takes them when it can be written",
  ignore: noMounts,
  async fn() {
    await using folder = await withTempDir();
    const script =
      'mount -t tmpfs tmpfs "$1" && mount -o remount,ro "$1" && shift && exec "$@"';
    await using writer = new Writer(folder.path, {
      wrap: ["unshare", ...NAMESPACE, "sh", "-c", script, "sh", folder.path],
    });
    const opened = await writer.read();
    assert.deepEqual(
      [opened?.["open"], opened?.["healthy"], opened?.["reason"]],
      [true, false, "the disk is read-only"],
    );
    const refused = await writer.obeyed(
      { kind: "append", from: 0, count: 3 },
      "done",
    );
    assert.equal(acknowledgedOf(refused).length, 0);
    const { pid } = writer.child;
    await within(pid, "mount", "-o", "remount,rw", folder.path);
    const [well] = await writer.obeyed({ kind: "probe" }, "healthy");
    assert.equal(well?.["healthy"], true);
    const taken = await writer.obeyed(
      { kind: "append", from: 10, count: 3 },
      "done",
    );
    assert.equal(acknowledgedOf(taken).length, 3);
    // And away again, while it runs.
    await within(pid, "mount", "-o", "remount,ro", folder.path);
    const again = await writer.obeyed(
      { kind: "append", from: 20, count: 3 },
      "done",
    );
    assert.equal(acknowledgedOf(again).length, 0);
    await within(pid, "mount", "-o", "remount,rw", folder.path);
    await writer.obeyed({ kind: "probe" }, "healthy");
    await using copy = await withTempDir();
    await copyOut(pid, folder.path, copy.path);
    assert.ok((await verify(copy.path)).ok);
    assert.deepEqual(await numbersOf(copy.path), [10, 11, 12]);
  },
});

async function copyOut(pid: number, from: string, to: string): Promise<void> {
  await Deno.mkdir(`${to}/audit`);
  await Deno.writeTextFile(
    `${to}/audit.key`,
    await within(pid, "cat", `${from}/audit.key`),
  );
  const names = await within(pid, "ls", `${from}/audit`);
  for (const name of names.trim().split("\n")) {
    await Deno.writeTextFile(
      `${to}/audit/${name}`,
      await within(pid, "cat", `${from}/audit/${name}`),
    );
  }
}

/** Runs `deno task audit` on a state folder, with the task's own flags. */
async function audit(
  state: string,
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const { program, args: own } = taskCommand("audit");
  const { code, stdout, stderr } = await new Deno.Command(
    program === "deno" ? Deno.execPath() : program,
    {
      args: [...own.map((arg) => arg.replace("./state", state)), ...args],
      env: { MCP_STATE_FOLDER: state, NO_COLOR: "1" },
      cwd: ROOT,
    },
  ).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), err: decode(stderr) };
}

async function writeSample(state: string, count: number): Promise<void> {
  await using writer = new Writer(state);
  await writer.read();
  // Some at a time: what comes at once goes into one file.
  for (let from = 0; from < count; from += 10) {
    await writer.obeyed({ kind: "append", from, count: 10 }, "done");
  }
  await writer.obeyed({ kind: "close" }, "closed");
}

Deno.test("audit verify says that a log is sound, and names the first bad line of one that is not", async () => {
  await using folder = await withTempDir();
  const state = folder.path;
  const none = await audit(state, "verify");
  assert.deepEqual([none.code, none.out], [1, ""]);
  assert.equal(
    none.err,
    "not_found: Cannot verify the audit log: there is none in this folder\n",
  );
  await writeSample(state, 120);
  const sound = await audit(state, "verify");
  assert.equal(sound.code, 0, sound.err);
  assert.match(
    sound.out,
    /^sound: chain and seals hold\n\d+ entries in \d files, \d+ checkpoints\n/,
  );
  assert.match(sound.out, /note: the key of the audit log lies beside the log/);
  const json = JSON.parse((await audit(state, "verify", "--json")).out);
  assert.deepEqual([json.ok, json.first_bad, json.keyed, json.behind_head], [
    true,
    null,
    true,
    0,
  ]);
  const anchor = `${json.last.seq}:${json.last.hash}`;
  assert.equal((await audit(state, "verify", "--expect", anchor)).code, 0);
  const beyond = await audit(
    state,
    "verify",
    "--expect",
    `${json.last.seq + 5}:${json.last.hash}`,
  );
  assert.deepEqual([
    beyond.code,
    /truncated: entries \d+ to \d+ are missing/.test(beyond.out),
  ], [3, true]);

  const path = `${state}/audit/audit-000002.jsonl`;
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, text.replace('"127.0.0.0"', '"127.0.0.9"'));
  const bad = await audit(state, "verify");
  assert.equal(bad.code, 3);
  assert.match(
    bad.out,
    /^BAD: audit-000002\.jsonl:1 \(entry \d+\): changed: its seal does not fit it\n/,
  );
  const first =
    JSON.parse((await audit(state, "verify", "--json")).out).first_bad;
  assert.deepEqual([first.file, first.line, first.problem], [
    "audit-000002.jsonl",
    1,
    "changed",
  ]);

  await Deno.writeTextFile(path, text);
  await Deno.remove(`${state}/audit.key`);
  const chain = await audit(state, "verify");
  assert.equal(chain.code, 0);
  assert.match(chain.out, /^sound: the chain holds\n/);
  assert.match(chain.out, /without the key only the chain was checked/);
  await Deno.writeTextFile(`${state}/other.key`, "ab".repeat(32));
  const wrong = await audit(
    state,
    "verify",
    "--key-file",
    `${state}/other.key`,
  );
  assert.equal(wrong.code, 3);
  assert.match(wrong.out, /wrong key: the log was sealed with another key/);
});

Deno.test("audit export writes JSON Lines and CEF, and audit refuses what it does not know", async () => {
  await using folder = await withTempDir();
  const state = folder.path;
  await writeSample(state, 30);
  const all = await audit(state, "export");
  assert.equal(all.code, 0, all.err);
  let text = "";
  for (const name of ["audit-000001.jsonl", "audit-000002.jsonl"]) {
    text += await Deno.readTextFile(`${state}/audit/${name}`).catch(() => "");
  }
  assert.equal(all.out, text);
  const cef = await audit(
    state,
    "export",
    "--format",
    "cef",
    "--kind",
    "request",
  );
  assert.equal(cef.out.trim().split("\n").length, 30);
  assert.match(cef.out, /CEF:0\|Security MCP Server\|security-mcp-server\|/);
  assert.equal((await audit(state, "export", "--until", "2020-01-01")).out, "");
  assert.equal(
    (await audit(state, "export", "--since", "2020-01-01T00:00Z")).out,
    text,
  );
  const refusals = [
    [[], /the actions are verify and export/],
    [["erase"], /the actions are verify and export/],
    [["verify", "--format", "cef"], /Cannot run audit verify with --format/],
    [["export", "--json"], /Cannot run audit export with --json/],
    [["export", "--format", "xml"], /the formats are jsonl and cef/],
    [["export", "--since", "yesterday"], /is no time/],
    [["export", "--since", "2026-02-30"], /is no time/],
    [["export", "--kind", "nix"], /the kinds are request, decision, /],
    [["verify", "--expect", "12"], /it is a number and a hash/],
    [["verify", "--what"], /Cannot read the command line/],
  ] as const;
  for (const [args, message] of refusals) {
    const { code, out, err } = await audit(state, ...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(out + err, message);
  }
  const elsewhere = await audit(state, "verify", "--folder", "/var/empty");
  assert.equal(elsewhere.code, 1);
  assert.match(elsewhere.err, /this program may not read it/);
});

Deno.test("the log and its key are for their owner only", async () => {
  await using folder = await withTempDir();
  await writeSample(folder.path, 10);
  const modeOf = async (path: string) =>
    ((await Deno.stat(`${folder.path}/${path}`)).mode ?? 0) & 0o777;
  assert.equal(await modeOf("audit"), 0o700);
  for (
    const name of ["audit.key", "audit/audit-000001.jsonl", "audit/head.json"]
  ) {
    assert.equal(await modeOf(name), 0o600, name);
  }
});

Deno.test("replace() keeps the old file where what had to come first failed, and is over when it says so", async () => {
  await using folder = await withTempDir();
  const files = auditFolder(folder.path);
  const old = new Uint8Array(4_096).fill(1);
  await files.replace("head", old);
  for (let turn = 0; turn < 20; turn++) {
    const failed = Promise.reject(new Error("the lines are not there"));
    const late = new Uint8Array(8_388_608).fill(2);
    await assert.rejects(files.replace("head", late, failed), /the lines/);
    assert.deepEqual(await files.read("head", 0, 8_192), old);
    await files.replace("head", old);
    assert.deepEqual(await files.read("head", 0, 8_192), old);
  }
});
