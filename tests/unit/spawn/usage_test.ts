import assert from "node:assert/strict";
import fc from "fast-check";
import { Usage } from "@/spawn/usage.ts";
import { verifies } from "../../requirements.ts";

const RECORD = "sandbox: cpu_us=0000000001234567\n";
const FAKE = "sandbox: cpu_us=0000000000000001\n";

/** Sends chunks through, and gives what came out and what the record said. */
function through(chunks: readonly string[]): {
  readonly out: string;
  readonly seconds: number | null;
} {
  let out = "";
  const decoder = new TextDecoder();
  const usage = new Usage((bytes) => {
    assert.ok(bytes.byteLength > 0);
    out += decoder.decode(bytes, { stream: true });
  });
  for (const chunk of chunks) usage.add(new TextEncoder().encode(chunk));
  const seconds = usage.end();
  return { out: out + decoder.decode(), seconds };
}

/** What a stream holds, what is handed on of it, and what the record says. */
const STREAMS: readonly (readonly [string, string, number | null])[] = [
  ["", "", null],
  [RECORD, "", 1.234567],
  [`warning\n${RECORD}`, "warning\n", 1.234567],
  [`no line end${RECORD}`, "no line end", 1.234567],
  [
    "sandbox: nmap is not installed\n",
    "sandbox: nmap is not installed\n",
    null,
  ],
  ["s", "s", null],
  ["sandbox: cpu_us=", "sandbox: cpu_us=", null],
  [RECORD.trim(), RECORD.trim(), null],
  // Only the very last bytes count: what a scanner says before is its own.
  [`${FAKE}${RECORD}`, FAKE, 1.234567],
  [`${FAKE}x${RECORD}`, `${FAKE}x`, 1.234567],
  [`${RECORD}x`, `${RECORD}x`, null],
  [`${RECORD}\n`, `${RECORD}\n`, null],
  [`${RECORD}${RECORD.slice(0, 20)}`, `${RECORD}${RECORD.slice(0, 20)}`, null],
  [`sandbox: cpu_us=00000${RECORD}`, "sandbox: cpu_us=00000", 1.234567],
  [`${FAKE.trim()}${RECORD}`, FAKE.trim(), 1.234567],
  // Nothing but sixteen digits.
  ...[
    "sandbox: cpu_us=-000000000000001\n",
    "sandbox: cpu_us=            1234\n",
    "sandbox: cpu_us=0x00000000000001\n",
    "sandbox: cpu_us=0000000000000.01\n",
    "sandbox: cpu_us=00000000000001e9\n",
    "sandbox: cpu_us=00000000000000001\n",
    "sandbox: cpu_us=000000000000001\n",
    "Sandbox: cpu_us=0000000000000001\n",
    "sandbox: cpu_us=\u0661000000000000001\n",
    "sandbox: cpu_us=0000000000000001\r\n",
  ].map((text) => [text, text, null] as const),
];

Deno.test("Usage takes the record off the very end of a stream, and nothing else", () => {
  verifies("spawn.cpu_seconds");
  for (const [text, out, seconds] of STREAMS) {
    assert.deepEqual(through([text]), { out, seconds }, JSON.stringify(text));
    assert.deepEqual(through([...text]), { out, seconds }, "in single bytes");
  }
});

Deno.test("Usage gives the same however a stream is cut", () => {
  const part = fc.oneof(
    fc.constantFrom(RECORD, FAKE, "s", "sandbox: ", "\n", "0", "x", "é"),
    fc.string({ maxLength: 40 }),
  );
  const chunks = fc.array(part, { maxLength: 12 });
  fc.assert(
    fc.property(chunks, fc.array(fc.nat(200)), (parts, cuts) => {
      const text = parts.join("");
      const cut = [...new Set(cuts.map((at) => at % (text.length + 1)))]
        .sort((a, b) => a - b);
      const pieces = [0, ...cut].map((from, at) => text.slice(from, cut[at]));
      const whole = through([text]);
      // A character is cut in no test: strings are cut, and bytes arrive.
      fc.pre(pieces.every((piece) => piece.isWellFormed()));
      assert.deepEqual(through(pieces), whole);
      const ends = /sandbox: cpu_us=(\d{16})\n$/.exec(text);
      assert.equal(
        whole.seconds,
        ends === null ? null : Number(ends[1]) / 1_000_000,
      );
      assert.equal(whole.out, text.slice(0, ends?.index ?? text.length));
    }),
    { numRuns: 500 },
  );
});

Deno.test("Usage hands on at once what cannot be the record", () => {
  const seen: string[] = [];
  const usage = new Usage((bytes) =>
    seen.push(new TextDecoder().decode(bytes))
  );
  const add = (text: string) => usage.add(new TextEncoder().encode(text));
  add("found=1\r");
  assert.deepEqual(seen, ["found=1\r"]);
  add("sandbox: cpu");
  assert.deepEqual(seen, ["found=1\r"]);
  add(" is fine\n");
  assert.deepEqual(seen, ["found=1\r", "sandbox: cpu is fine\n"]);
});

Deno.test("Usage holds back no more than a record", () => {
  let bytes = 0;
  const usage = new Usage((some) => bytes += some.byteLength);
  const flood = new TextEncoder().encode(FAKE.repeat(1_000));
  for (let round = 1; round <= 20; round++) {
    usage.add(flood);
    assert.equal(bytes, round * flood.byteLength - FAKE.length);
  }
  assert.equal(usage.end(), 0.000001);
});
