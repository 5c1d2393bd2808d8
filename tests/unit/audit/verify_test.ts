/**
 * A genuine log always verifies, and any one edit is found and its first bad line named.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { NO_HASH } from "@/audit/digest.ts";
import { fileName, fileNumbers } from "@/audit/file_name.ts";
import { HEAD_NAME } from "@/audit/head.ts";
import { parseLine, writeLine } from "@/audit/line.ts";
import { canonicalMembers } from "@/audit/canonical.ts";
import { verifyLog, type VerifyReport } from "@/audit/verify.ts";
import type { MemoryFiles } from "./memory_files.ts";
import {
  digests,
  linesOf,
  openLog,
  type Placed,
  putLines,
  request,
  sampleLog,
} from "./samples.ts";
import { verifies } from "../../requirements.ts";

verifies("audit.edit_named", "audit.truncation_found");

const RUNS = 400;

const DIGESTS = digests();
const GENUINE = sampleLog(37);

async function verify(
  files: MemoryFiles,
  keyed: boolean,
): Promise<VerifyReport> {
  const both = await DIGESTS;
  const digest = keyed ? both.keyed : both.keyless;
  return await verifyLog(files, digest, { expect: null });
}

/** An edit and the places of which one has to be named. */
interface Edited {
  readonly files: MemoryFiles;
  readonly places: readonly { file: string; line: number }[];
}

type Edit = (
  genuine: MemoryFiles,
  pick: (max: number) => number,
) => Edited;

function placed(
  genuine: MemoryFiles,
  lines: readonly Placed[],
  ...places: (Placed | undefined)[]
): Edited {
  const files = genuine.copy();
  putLines(files, lines);
  const named = places.flatMap((place) => place ?? []);
  assert.ok(named.length > 0);
  return { files, places: named };
}

/** The place behind a line in its file. */
function behind({ file, line, text }: Placed): Placed {
  return { file, line: line + 1, text };
}

function changeByte(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const files = genuine.copy();
  const numbers = fileNumbers([...files.files.keys()]);
  const file = fileName(numbers[pick(numbers.length)] ?? 1);
  const bytes = (files.files.get(file) ?? new Uint8Array()).slice();
  const at = pick(bytes.length);
  const line = bytes.subarray(0, at).filter((byte) => byte === 10).length + 1;
  bytes[at] = ((bytes[at] ?? 0) + 1 + pick(255)) % 256;
  files.files.set(file, bytes);
  return { files, places: [{ file, line }] };
}

function truncate(genuine: MemoryFiles, pick: (max: number) => number): Edited {
  const files = genuine.copy();
  const numbers = fileNumbers([...files.files.keys()]);
  const file = fileName(numbers[pick(numbers.length)] ?? 1);
  const bytes = files.files.get(file) ?? new Uint8Array();
  const at = pick(bytes.length);
  const line = bytes.subarray(0, at).filter((byte) => byte === 10).length + 1;
  files.files.set(file, bytes.slice(0, at));
  return { files, places: [{ file, line }] };
}

function remove(genuine: MemoryFiles, pick: (max: number) => number): Edited {
  const lines = linesOf(genuine);
  const at = pick(lines.length);
  return placed(genuine, lines.toSpliced(at, 1), lines[at]);
}

function removeSome(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const lines = linesOf(genuine);
  const at = pick(lines.length);
  const count = 2 + pick(6);
  return placed(genuine, lines.toSpliced(at, count), lines[at]);
}

function duplicate(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const lines = linesOf(genuine);
  const at = pick(lines.length);
  const line = lines[at] as Placed;
  return placed(genuine, lines.toSpliced(at, 0, line), line, behind(line));
}

/** A copy of any line before any other one. */
function insertCopy(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const lines = linesOf(genuine);
  const [at, from] = [pick(lines.length), pick(lines.length)];
  const place = lines[at] as Placed;
  const copy = { ...place, text: lines[from]?.text ?? "" };
  const places = from === at ? [place, behind(place)] : [place];
  return placed(genuine, lines.toSpliced(at, 0, copy), ...places);
}

function insertText(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const lines = linesOf(genuine);
  const at = pick(lines.length);
  const place = lines[at] as Placed;
  const text = ["", "{}", "null", "x".repeat(70_000), "\u0000"][pick(5)] ?? "";
  return placed(genuine, lines.toSpliced(at, 0, { ...place, text }), place);
}

function swap(genuine: MemoryFiles, pick: (max: number) => number): Edited {
  const lines = [...linesOf(genuine)];
  const first = pick(lines.length - 1);
  const second = first + 1 + pick(lines.length - first - 1);
  const [a, b] = [lines[first] as Placed, lines[second] as Placed];
  lines[first] = { ...a, text: b.text };
  lines[second] = { ...b, text: a.text };
  return placed(genuine, lines, a);
}

function replaceCheckpoint(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const lines = [...linesOf(genuine)];
  const checkpoints = lines.flatMap(({ text }, index) =>
    text.includes('"kind":"checkpoint"') ? [index] : []
  );
  const [to] = checkpoints.splice(pick(checkpoints.length), 1);
  const from = checkpoints[pick(checkpoints.length)] ?? 0;
  const place = lines[to ?? 0] as Placed;
  lines[to ?? 0] = { ...place, text: lines[from]?.text ?? "" };
  return placed(genuine, lines, place);
}

function removeFile(
  genuine: MemoryFiles,
  pick: (max: number) => number,
): Edited {
  const files = genuine.copy();
  const numbers = fileNumbers([...files.files.keys()]);
  const file = fileName(numbers[pick(numbers.length)] ?? 1);
  files.files.delete(file);
  return { files, places: [{ file, line: 1 }] };
}

const EDITS: readonly (readonly [string, Edit])[] = [
  ["a changed byte", changeByte],
  ["a cut at any byte of any file", truncate],
  ["a removed line", remove],
  ["removed lines", removeSome],
  ["a line that stands twice", duplicate],
  ["a copy of another line", insertCopy],
  ["an inserted line that is none", insertText],
  ["two lines that changed places", swap],
  ["a replaced checkpoint", replaceCheckpoint],
  ["a missing file", removeFile],
];

for (const [name, edit] of EDITS) {
  for (const keyed of [true, false]) {
    const how = keyed ? "with" : "without";
    Deno.test(`verifyLog() finds ${name} and names it, ${how} the key`, async () => {
      const genuine = await GENUINE;
      await fc.assert(
        fc.asyncProperty(fc.gen(), async (gen) => {
          const pick = (max: number) => gen(fc.nat, { max: max - 1 });
          const { files, places } = edit(genuine, pick);
          const { ok, bad } = await verify(files, keyed);
          assert.equal(ok, false);
          const named = { file: bad?.file, line: bad?.line };
          const right = places.some(({ file, line }) =>
            file === named.file && line === named.line
          );
          assert.ok(
            right,
            `${JSON.stringify(bad)} is not ${JSON.stringify(places)}`,
          );
        }),
        { numRuns: RUNS },
      );
    });
  }
}

Deno.test("verifyLog() finds a head that was changed, emptied or removed", async () => {
  const genuine = await GENUINE;
  const head = genuine.files.get(HEAD_NAME) ?? new Uint8Array();
  await fc.assert(
    fc.asyncProperty(
      fc.nat(head.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, by) => {
        const files = genuine.copy();
        const bytes = head.slice();
        bytes[at] = ((bytes[at] ?? 0) + by) % 256;
        files.files.set(HEAD_NAME, bytes);
        const { bad } = await verify(files, true);
        assert.equal(bad?.problem, "bad_head");
        assert.equal(bad?.file, "head.json");
      },
    ),
  );
  for (const change of ["", null]) {
    const files = genuine.copy();
    if (change === null) files.files.delete(HEAD_NAME);
    else files.put(HEAD_NAME, change);
    assert.equal((await verify(files, true)).bad?.problem, "bad_head");
    assert.equal((await verify(files, false)).bad?.problem, "bad_head");
  }
});

/** Writes every line from some index on anew, with a chain that fits, as one without the key can. */
async function forgeFrom(
  genuine: MemoryFiles,
  from: number,
): Promise<MemoryFiles> {
  const { keyless } = await DIGESTS;
  let prev = NO_HASH;
  const lines = linesOf(genuine).map((place, index) => {
    const line = parseLine(new TextEncoder().encode(place.text));
    assert.ok(line !== null);
    let { text } = line;
    if (index >= from) {
      const fields = index === from
        ? { ...line.fields, forged: true }
        : line.fields;
      const members = canonicalMembers(fields);
      text = writeLine({ ...line, prev, members }, keyless)
        .replace('"seal":""', `"seal":"${line.seal}"`);
    }
    prev = keyless.hash(text);
    return { ...place, text };
  });
  const files = genuine.copy();
  putLines(files, lines);
  return files;
}

Deno.test("verifyLog() names the first line that was forged with a fitting chain", async () => {
  const genuine = await GENUINE;
  const lines = linesOf(genuine);
  for (const [index, { file, line }] of lines.entries()) {
    const { bad } = await verify(await forgeFrom(genuine, index), true);
    assert.deepEqual([bad?.file, bad?.line], [file, line]);
  }
});

Deno.test("verifyLog() finds a line with a fitting chain behind the last one", async () => {
  const { keyed, keyless } = await DIGESTS;
  const files = (await GENUINE).copy();
  const last = linesOf(files).at(-1) as Placed;
  const { seq } = JSON.parse(last.text);
  const forged = writeLine({
    seq: seq + 1,
    time: "2026-01-01T00:00:00.000Z",
    prev: keyed.hash(last.text),
    kind: "request",
    members: "",
  }, keyless).replace('"seal":""', `"seal":"${"0".repeat(64)}"`);
  files.put(last.file, `${files.text(last.file)}${forged}\n`);
  const found = await verify(files, true);
  assert.equal(found.bad?.line, last.line + 1);
  assert.equal(found.bad?.problem, "changed");
  // Without the key it fits; the report says that nobody vouches for it.
  const unkeyed = await verify(files, false);
  assert.equal(unkeyed.ok, true);
  assert.equal(unkeyed.behindHead, 1);
});

Deno.test("verifyLog() does not find an older genuine log with its head, unless an entry is expected", async () => {
  const { keyed } = await DIGESTS;
  const older = await sampleLog(10);
  const newer = older.copy();
  await using log = await openLog(newer);
  for (let number = 1; number <= 3; number++) await log.append(request(number));
  const anchor = log.last;
  assert.ok(anchor !== null);
  assert.equal((await verify(older, true)).ok, true);
  const found = await verifyLog(older, keyed, { expect: anchor });
  assert.equal(found.bad?.problem, "truncated");
  assert.equal((await verifyLog(newer, keyed, { expect: anchor })).ok, true);
  const other = { ...anchor, hash: "0".repeat(64) };
  const unexpected = await verifyLog(newer, keyed, { expect: other });
  assert.equal(unexpected.bad?.problem, "not_expected");
  assert.equal(unexpected.bad?.seq, anchor.seq);
});

Deno.test("verifyLog() says that a head was put back in front of a whole log", async () => {
  const files = await sampleLog(10);
  const head = files.text(HEAD_NAME);
  await (await openLog(files)).append(request(1));
  files.put(HEAD_NAME, head);
  const found = await verify(files, true);
  assert.equal(found.ok, true);
  assert.equal(found.behindHead, 1);
  assert.match(found.notes.join("\n"), /behind the head/);
});

Deno.test("verifyLog() names a wrong key as such", async () => {
  const other = await sampleLog(3, { key: new Uint8Array(32).fill(9) });
  const found = await verify(other, true);
  assert.equal(found.bad?.problem, "wrong_key");
  assert.equal((await verify(other, false)).ok, true);
});

Deno.test("verifyLog() says what there is", async () => {
  const found = await verify(await GENUINE, true);
  assert.deepEqual(
    { ...found, first: null, last: null, lastTime: null, firstTime: null },
    {
      ok: true,
      bad: null,
      keyed: true,
      files: 4,
      entries: linesOf(await GENUINE).length,
      checkpoints:
        linesOf(await GENUINE).filter(({ text }) =>
          text.includes('"kind":"checkpoint"')
        ).length,
      first: null,
      last: null,
      firstTime: null,
      lastTime: null,
      behindCheckpoint: 0,
      behindHead: 0,
      tornBytes: 0,
      notes: [],
    },
  );
  const unkeyed = await verify(await GENUINE, false);
  assert.match(unkeyed.notes.join("\n"), /without the key only the chain/);
});

Deno.test("verifyLog() refuses a folder without a log", async () => {
  const { keyed } = await DIGESTS;
  const files = (await GENUINE).copy();
  files.files.clear();
  await assert.rejects(
    verifyLog(files, keyed, { expect: null }),
    { code: "not_found", message: /there is none in this folder/ },
  );
});

Deno.test("verifyLog() takes every log that a writer made, through rotation, crashes and removal", async () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ append: fc.integer({ min: 1, max: 12 }) }),
    },
    fc.record({
      crash: fc.constantFrom("clean", "headless", "torn", "garbage"),
    }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 12 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 500, max: 6_000 }),
      fc.constantFrom(0, 1, 3),
      async (steps, checkpointEvery, rotateBytes, keepFiles) => {
        const limits = { checkpointEvery, rotateBytes, keepFiles };
        const { sampled, appended } = await live(steps, limits);
        const found = await verify(sampled, true);
        assert.equal(found.ok, true, JSON.stringify(found.bad));
        assert.equal(found.tornBytes, 0);
        assert.equal((await verify(sampled, false)).ok, true);
        if (keepFiles > 0) return;
        const requests = linesOf(sampled).filter(({ text }) =>
          text.includes('"kind":"request"')
        );
        assert.equal(requests.length, appended);
      },
    ),
    { numRuns: 150 },
  );
});

type Step = { append: number } | { crash: string };

async function live(
  steps: readonly Step[],
  limits: { checkpointEvery: number; rotateBytes: number; keepFiles: number },
): Promise<{ sampled: MemoryFiles; appended: number }> {
  const sampled = await sampleLog(1, { limits });
  let log = await openLog(sampled, { limits });
  let appended = 1;
  for (const step of steps) {
    if ("append" in step) {
      for (let number = 0; number < step.append; number++) {
        await log.append(request(number));
      }
      appended += step.append;
      continue;
    }
    // Files are removed when the head behind them is on the disk, so no crash leaves them without it.
    if (step.crash === "headless" && limits.keepFiles === 0) {
      const head = sampled.text(HEAD_NAME);
      await log.append(request(1));
      appended += 1;
      sampled.put(HEAD_NAME, head);
    }
    sampled.kill();
    const last = fileName(fileNumbers([...sampled.files.keys()]).at(-1) ?? 1);
    if (step.crash === "torn") {
      sampled.put(last, `${sampled.text(last)}{"seq":9,"ti`);
    }
    if (step.crash === "garbage") {
      sampled.put(last, `${sampled.text(last)}\u0000\u0000\n\u0000`);
    }
    log = await openLog(sampled, { limits });
  }
  await log[Symbol.asyncDispose]();
  return { sampled, appended };
}
