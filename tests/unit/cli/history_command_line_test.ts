/**
 * How the commands of the history read their command lines, and how they write times and sizes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { CommandLine } from "@/cli/history_command_line.ts";
import { cell, minute, sizeText } from "@/cli/history_view.ts";
import { AppError } from "@/error/app_error.ts";

const FORM = {
  form: "deno task history show SCAN_ID",
  options: { json: "flag", tag: "texts", limit: "text", since: "text" },
  operands: [1, 2],
} as const;

function line(...args: readonly string[]): CommandLine {
  return new CommandLine(["a", ...args], FORM);
}

/** The message of the refusal, which names the right form in any case. */
function refusal(read: () => unknown): string {
  try {
    read();
  } catch (thrown) {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, "invalid_arguments");
    assert.match(
      thrown.message,
      /^Cannot read the command line: .*; the form is: deno task history show SCAN_ID$/,
    );
    return thrown.message;
  }
  throw new Error("was not refused");
}

Deno.test("CommandLine reads flags, texts and operands", () => {
  const read = line("--json", "--tag", "x, y", "--tag=z", "b", "--limit", "7");
  assert.deepEqual(read.operands, ["a", "b"]);
  assert.equal(read.flag("json"), true);
  assert.deepEqual(read.texts("tag"), ["x", "y", "z"]);
  assert.equal(read.integer("limit", { min: 1, max: 9 }), 7);
  const bare = line();
  assert.equal(bare.flag("json"), false);
  assert.equal(bare.texts("tag"), undefined);
  assert.equal(bare.integer("limit", { min: 1, max: 9 }), undefined);
  assert.equal(bare.time("since"), undefined);
});

Deno.test("CommandLine.tenant() is the house's unless one is named, and refuses what is no name", () => {
  const form = { ...FORM, options: { ...FORM.options, tenant: "text" } };
  const read = (...args: string[]) =>
    new CommandLine(["a", ...args], form as typeof FORM).tenant();
  assert.equal(read(), "default");
  assert.equal(read("--tenant", "red-team"), "red-team");
  for (const name of ["", "A", "a b", "../a", "-", "x".repeat(65), "a\u0000"]) {
    assert.match(refusal(() => read(`--tenant=${name}`)), /--tenant/, name);
  }
});

/** Times as they are written, and in milliseconds. */
const TIMES: readonly (readonly [string, number])[] = [
  ["1970-01-02", 86_400_000],
  ["1970-01-01T00:01", 60_000],
  ["1970-01-01 00:00:01.5", 1_500],
  ["1970-01-01T01:00:00+01:00", 0],
  ["2024-02-29", 1_709_164_800_000],
];

Deno.test("CommandLine.time() reads days and times, without a zone as UTC", () => {
  for (const [text, ms] of TIMES) {
    assert.equal(line("--since", text).time("since"), ms, text);
  }
  for (
    const text of [
      "2023-02-29",
      "2023-13-01",
      "1.2.2023",
      "now",
      "2023-01-01T25:00",
    ]
  ) {
    const message = refusal(() => line("--since", text).time("since"));
    assert.match(message, /such as 2026-03-01 or 2026-03-01T12:00:00Z/);
  }
});

Deno.test("CommandLine refuses what it cannot read and names the form", () => {
  const cases: readonly (readonly [() => unknown, RegExp])[] = [
    [() => new CommandLine([], FORM), /something is missing/],
    [() => line("b", "c"), /"c" is one word too many/],
    [() => line("--nix"), /'--nix'/],
    [() => line("--limit"), /--limit/],
    [() => line("--tag", " , ").texts("tag"), /--tag is empty/],
    [() => line("--limit", "").text("limit"), /--limit is empty/],
    [
      () => line("--limit", "1e3").integer("limit", { min: 1, max: 9 }),
      /"1e3" and has to be a whole number from 1 to 9/,
    ],
    [
      () => line("--limit", "10").integer("limit", { min: 1, max: 9 }),
      /from 1 to 9/,
    ],
    [
      () => line("--limit", "x").choice("limit", ["a", "b"]),
      /has to be one of a, b/,
    ],
    [() => line("--\u001b[31m"), /^[\x20-\x7e]*$/],
  ];
  for (const [read, message] of cases) assert.match(refusal(read), message);
});

Deno.test("sizeText() says bytes in the largest unit that fits", () => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_024, "1.0 KiB"],
    [1_468_006, "1.4 MiB"],
    [1_024 ** 5, "1024.0 TiB"],
  ];
  for (const [bytes, text] of sizes) assert.equal(sizeText(bytes), text);
});

Deno.test("minute() and cell() leave nothing out of place on a terminal", () => {
  assert.equal(minute(1_700_000_000_000), "2023-11-14 22:13Z");
  assert.equal(minute(null), "");
  assert.doesNotMatch(cell("a\u001b[31m\nb\u202ec"), /[\p{Cc}\p{Cf}]/u);
  assert.ok(cell("x".repeat(500)).length < 250);
  assert.equal(cell(null), "");
});
