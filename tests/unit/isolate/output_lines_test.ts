/**
 * The newest lines of a scan, out of whatever a tool prints, in whatever pieces.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { OutputLines } from "@/isolate/output_lines.ts";
import { verifies } from "../../requirements.ts";

const encoder = new TextEncoder();

function watched(): OutputLines {
  const lines = new OutputLines();
  lines.watch(true);
  return lines;
}

/** What is told of stdout after these pieces. */
function told(
  ...pieces: readonly (string | Uint8Array)[]
): { texts: string[]; skipped: number } | null {
  const lines = watched();
  for (const piece of pieces) {
    lines.stdout(typeof piece === "string" ? encoder.encode(piece) : piece);
  }
  const printed = lines.next();
  return printed && {
    texts: printed.lines.map(({ text }) => text),
    skipped: printed.skipped,
  };
}

/** What is printed, in pieces, and the lines that come of it. */
const CASES:
  readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ["lines", ["one\ntwo\n"], ["one", "two"]],
    ["a line in pieces", ["o", "n", "e\nt", "wo\n"], ["one", "two"]],
    ["a line without an end yet", ["one\ntwo"], ["one"]],
    ["empty lines", ["\n\none\n\n  \n\ttwo\n\n"], ["one", "two"]],
    ["ends of Windows", ["one\r\ntwo\r", "\n"], ["one", "two"]],
    ["progress that overwrites itself", ["\r10%\r20%\r30%"], ["10%", "20%"]],
    [
      "gobuster's own marks",
      ["\r\u001b[2K/admin (Status: 301)\n"],
      ["/admin (Status: 301)"],
    ],
    [
      "escape sequences, titles and what moves the cursor",
      ["\u001b]0;title\u0007a\u001b[31;1mb\u001b[0m\b\u001b[Ac\n"],
      ["abc"],
    ],
    ["an escape sequence in pieces", ["a\u001b[3", "1mb\n"], ["ab"]],
    ["what turns text round or is not seen", ["a\u202eb\u200bc\u{e0041}\n"], [
      "abc",
    ]],
    ["nothing but controls", ["\u0000\u0001\u001b[2J\n"], []],
    ["XML", ['<host a="1">\n<x/>\n'], ['<host a="1">', "<x/>"]],
  ];

for (const [what, pieces, expected] of CASES) {
  Deno.test(`OutputLines reads ${what}`, () => {
    const { texts = [], skipped = 0 } = told(...pieces) ?? {};
    assert.deepEqual([texts, skipped], [expected, 0]);
  });
}

Deno.test("OutputLines reads UTF-8 wherever it is cut, and takes anything else as it is", () => {
  const text = "größe 東京 😀 é";
  const bytes = encoder.encode(`${text}\n`);
  for (let at = 0; at <= bytes.length; at++) {
    const { texts } = told(bytes.subarray(0, at), bytes.subarray(at)) ?? {};
    assert.deepEqual(texts, [text]);
  }
  // Two looks between the pieces change nothing: only whole lines are read.
  const lines = watched();
  lines.stdout(bytes.subarray(0, 3));
  assert.equal(lines.next(), null);
  lines.stdout(bytes.subarray(3));
  assert.equal(lines.next()?.lines[0]?.text, text);
  const broken = told(
    new Uint8Array([0x61, 0xff, 0xc3, 0x0a, 0xbf, 0x62, 0x0a]),
  );
  assert.deepEqual(broken?.texts, ["a\ufffd\ufffd", "\ufffdb"]);
});

Deno.test("OutputLines holds a line of 100 MB that never ends in the same few bytes", () => {
  verifies("events.output.bounded");
  const lines = watched();
  const chunk = new Uint8Array(65_536).fill(0x41);
  const before = Deno.memoryUsage();
  for (let at = 0; at < 1_600; at++) {
    lines.stdout(chunk);
    if (at % 100 === 0) assert.equal(lines.next(), null);
  }
  const after = Deno.memoryUsage();
  assert.ok(after.external - before.external < 1_000_000);
  assert.ok(after.heapUsed - before.heapUsed < 20_000_000);
  // The end of it is no line of its own.
  lines.stdout(encoder.encode("end\nnext\n"));
  assert.deepEqual(lines.next(), {
    lines: [{ stream: "stdout", text: "next" }],
    skipped: 1,
  });
});

Deno.test("OutputLines tells the newest lines of a flood and counts the others", () => {
  verifies("events.output.bounded");
  const lines = watched();
  let printed = 0;
  for (let part = 0; part < 50; part++) {
    const text = Array.from({ length: 3_000 }, () => `line ${printed++}\n`);
    lines.stdout(encoder.encode(text.join("")));
  }
  lines.stderr(encoder.encode("a word of warning\n"));
  const { lines: told = [], skipped = 0 } = lines.next() ?? {};
  assert.equal(told.length, 101);
  assert.equal(skipped, printed - 100);
  assert.deepEqual(told.slice(-2), [
    { stream: "stdout", text: `line ${printed - 1}` },
    { stream: "stderr", text: "a word of warning" },
  ]);
  assert.equal(lines.next(), null);
});

Deno.test("OutputLines fits a message and counts right, whatever is printed", () => {
  verifies("events.output.bounded");
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom(
      "\n",
      "\r\n",
      '"\\'.repeat(600),
      "x".repeat(9_000),
      "\u001b[",
    ),
    fc.nat(3_000).map((count) => "ab\n".repeat(count)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const lines = watched();
      for (const text of pieces) lines.stdout(encoder.encode(text));
      lines.end();
      const printed = lines.next();
      const { lines: told = [], skipped = 0 } = printed ?? {};
      assert.ok(JSON.stringify(told).length <= 7_002);
      assert.ok(told.length <= 100);
      for (const { text } of told) {
        assert.ok(text.length > 0 && text.length <= 1_000);
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f]/);
      }
      // An upper bound: what is empty once it is cleaned is no line.
      const all = pieces.join("").split(/[\r\n]/).filter((line) => line !== "");
      assert.ok(
        told.length + skipped <= all.length,
        `${told.length}+${skipped}`,
      );
    }),
    { numRuns: 100 },
  );
});

Deno.test("OutputLines counts every line of a flood exactly, in pieces of any size", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(20_000), { minLength: 1, maxLength: 20 }),
      fc.nat(40),
      (cuts, width) => {
        const text = `${"x".repeat(width)}y\n`.repeat(6_000);
        const bytes = encoder.encode(text);
        const lines = watched();
        let [at, told, looks] = [0, 0, 0];
        while (at < bytes.length) {
          const size = 1 + (cuts[looks++ % cuts.length] ?? 0);
          lines.stdout(bytes.subarray(at, at + size));
          at += size;
          if (looks % 3 !== 0) continue;
          const printed = lines.next();
          told += (printed?.lines.length ?? 0) + (printed?.skipped ?? 0);
        }
        const last = lines.next();
        told += (last?.lines.length ?? 0) + (last?.skipped ?? 0);
        assert.equal(told, 6_000);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("OutputLines tells nothing until somebody watches, and then the newest first", () => {
  const lines = new OutputLines();
  lines.stdout(encoder.encode("x".repeat(20_000)));
  lines.stdout(encoder.encode("\none\ntwo\n"));
  assert.equal(lines.next(), null);
  lines.watch(true);
  assert.deepEqual(lines.next()?.lines.map(({ text }) => text), ["one", "two"]);
  lines.watch(false);
  lines.stdout(encoder.encode("three\n"));
  assert.equal(lines.next(), null);
});

Deno.test("OutputLines ends the last line with the program", () => {
  const lines = watched();
  lines.stdout(encoder.encode("one"));
  lines.stderr(encoder.encode("two"));
  lines.end();
  lines.stdout(encoder.encode("three"));
  assert.deepEqual(lines.next()?.lines, [
    { stream: "stdout", text: "one" },
    { stream: "stderr", text: "two" },
  ]);
});

Deno.test("OutputLines keeps the words of a launcher back, which name this machine's paths", () => {
  const launchers = [
    "sandbox: ready no more",
    "bwrap: execvp /usr/bin/nmap: No such file or directory",
    "setpriv: /x",
    "prlimit: /x",
    "nsenter: /x",
    "runsc: /x",
    "/srv/sandbox/bwrap/launch: 12: exec: /usr/bin/x: not found",
    "/srv/sandbox/start: line 3: /x: Permission denied",
  ];
  const lines = watched();
  lines.stderr(encoder.encode(`${launchers.join("\n")}\nnmap: a word\n`));
  // On stdout they are a scanner's.
  lines.stdout(encoder.encode("bwrap: a banner\n"));
  assert.deepEqual(lines.next(), {
    lines: [
      { stream: "stdout", text: "bwrap: a banner" },
      { stream: "stderr", text: "nmap: a word" },
    ],
    skipped: launchers.length,
  });
});
