/**
 * masscan's request, plan and command line: the fence, the seeds, the estimates, the notes.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { Argv } from "@/spawn/argv.ts";
import { fieldsSchema } from "@/tools/field.ts";
import { MASSCAN_GRAMMAR } from "@/tools/masscan/argv.ts";
import { masscan } from "@/tools/masscan/tool.ts";
import { endingOf, GUARDRAILS, planOf } from "./nmap_fixture.ts";

type Span = readonly [number, number];

/** Values of a flag on a command line. */
function valuesOf(argv: readonly string[], flag: string): string[] {
  return argv.filter((token) => token.startsWith(`${flag}=`))
    .map((token) => token.slice(flag.length + 1));
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

/** An independent reading of masscan's address ranges. */
function spanOf(text: string): Span {
  const [base = "", prefix] = text.split("/");
  if (prefix !== undefined) {
    return [numberOf(base), numberOf(base) + 2 ** (32 - Number(prefix)) - 1];
  }
  const [first = "", last = first] = text.split("-");
  return [numberOf(first), numberOf(last)];
}

function portSpanOf(text: string): Span {
  const [first, last = first] = text.split("-").map(Number);
  return [first ?? NaN, last ?? NaN];
}

/** Checks that two lists of spans together are everything up to `last`, with nothing twice. */
function assertTiles(spans: readonly Span[], last: number): void {
  let next = 0;
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    assert.equal(from, next);
    assert.ok(to >= from);
    next = to + 1;
  }
  assert.equal(next, last + 1);
}

const octet = fc.nat({ max: 255 });
const target = fc.oneof(
  fc.tuple(octet, octet).map(([c, d]) => `10.0.${c}.${d}`),
  fc.tuple(octet, octet, fc.integer({ min: 27, max: 32 })).map((
    [c, d, prefix],
  ) => `192.168.${c}.${d}/${prefix}`),
  fc.tuple(octet, octet, octet).map(([c, a, b]) =>
    `10.9.${c}.${Math.min(a, b)}-${Math.max(a, b)}`
  ),
);
const port = fc.integer({ min: 1, max: 65_535 });

Deno.test("masscan.plan() fences off every address and port that was not asked for", () => {
  fc.assert(fc.property(
    fc.array(target, { minLength: 1, maxLength: 12 }),
    fc.array(port, { minLength: 1, maxLength: 12 }),
    (targets, ports) => {
      const plan = planOf(masscan, { target: targets, ports: ports.join(",") });
      if (plan.passes.length === 0) return;
      for (const pass of plan.passes) {
        const argv = Argv.tokensOf(pass);
        const fence = valuesOf(argv, "--exclude").flatMap((one) =>
          one.split(",")
        );
        assert.ok(fence.includes("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        const asked = valuesOf(argv, "--range").map(spanOf);
        const gaps = fence.filter((one) => !one.includes(":")).map(spanOf);
        assertTiles([...asked, ...gaps], 0xffffffff);
        const [scanned = "", barred = ""] = [
          ...valuesOf(argv, "--ports"),
          ...valuesOf(argv, "--exclude-ports"),
        ];
        assert.ok(barred.endsWith("U:0-65535,S:0-65535"));
        const bars = barred.split(",").filter((one) => !one.includes(":"));
        assertTiles(
          [...scanned.split(","), ...bars].map(portSpanOf),
          65_535,
        );
        const count = asked.reduce((sum, [from, to]) => sum + to - from + 1, 0);
        assert.ok(count <= plan.addressCount);
      }
    },
  ));
});

Deno.test("masscan.plan() takes the largest allowed request into one command line", () => {
  const targets = Array.from({ length: 128 }, (_, at) => `10.0.0.${at * 2}`);
  const ports = Array.from({ length: 800 }, (_, at) => at * 2 + 1).join(",");
  const plan = planOf(masscan, { target: targets, ports });
  assert.equal(plan.passes.length, 2);
  const fences = valuesOf(plan.passes[0]?.toJSON() ?? [], "--exclude");
  assert.equal(fences.length, 1);
});

Deno.test("masscan.plan() gives every pass a seed of its own and states it", () => {
  const seeds = (input: Record<string, unknown>, passes: number) => {
    const guardrails = {
      ...GUARDRAILS,
      masscan: { ...GUARDRAILS.masscan, passes },
    };
    return planOf(masscan, input, { guardrails }).passes.map((pass) =>
      valuesOf(pass.toJSON(), "--seed")[0]
    );
  };
  const one = seeds({ target: "10.0.0.1", ports: "80" }, 5);
  assert.equal(new Set(one).size, 5);
  assert.ok(one.every((seed) => /^[1-9][0-9]*$/.test(seed ?? "")));
  assert.deepEqual(one, seeds({ target: "10.0.0.1", ports: "80" }, 5));
  const other = seeds({ target: "10.0.0.1", ports: "81" }, 5);
  assert.ok(one.every((seed) => !other.includes(seed)));
});

Deno.test("masscan.plan() always states a rate, and no banner pass exceeds it", () => {
  fc.assert(fc.property(
    fc.option(fc.integer({ min: 1, max: 10_000 }), { nil: undefined }),
    fc.integer({ min: 20, max: 32 }),
    (rate, prefix) => {
      const plan = planOf(masscan, {
        target: `10.0.0.0/${prefix}`,
        ports: "1-100",
        banners: true,
        ...(rate === undefined ? {} : { rate }),
      });
      for (const pass of plan.passes) {
        const stated = valuesOf(pass.toJSON(), "--rate").map(Number);
        assert.equal(stated.length, 1);
        assert.ok((stated[0] ?? Infinity) <= (rate ?? 1_000));
      }
    },
  ));
});

Deno.test("masscan.plan() estimates packets and seconds over all passes", () => {
  const plan = planOf(masscan, {
    target: "10.0.0.0/24",
    ports: "1-100",
    rate: 1_000,
  });
  assert.equal(plan.addressCount, 256);
  assert.equal(plan.probes, 256 * 100 * 2);
  // Two passes of 25.6 s of sending, 5 s of waiting and 3 s of overhead.
  assert.equal(plan.seconds, Math.ceil(2 * (25.6 + 5 + 3)));
  assert.equal(plan.scanType, "masscan");
  assert.deepEqual(plan.permissions, [
    "run masscan",
    "raw sockets",
    "network: 10.0.0.0/24",
  ]);
});

Deno.test("masscan.plan() says when the estimate exceeds the deadline", () => {
  const input = { target: "10.0.0.0/24", ports: "1-10000" };
  const { notes } = planOf(masscan, input);
  assert.ok(notes.some((note) => note.includes("exceeds the deadline")));
});

Deno.test("masscan.plan() scans names at the addresses that were looked up", () => {
  const plan = planOf(masscan, { target: "dual.lab.internal", ports: "80" });
  assert.deepEqual(plan.targets, ["10.77.2.21"]);
  assert.ok(plan.notes.includes(
    "dual.lab.internal was looked up and is scanned as 10.77.2.21",
  ));
  assert.ok(plan.notes.some((note) => note.startsWith("fd00::21 of dual")));
});

Deno.test("masscan.names() lists only names below an allowed suffix", () => {
  const request = masscan.parse({
    target: ["web.lab.internal", "web.attacker.test", "10.0.0.1"],
    ports: "80",
  }, GUARDRAILS);
  assert.deepEqual(masscan.names(request), ["web.lab.internal"]);
});

Deno.test("masscan's grammar holds no flag that names a file or an interface", () => {
  const flags = [...MASSCAN_GRAMMAR.flags.keys()].join(" ");
  assert.doesNotMatch(
    flags,
    /-iL|include|excludefile|conf|resume|-o[A-Z]|pcap|payloads|adapter|router|script|hello|offline|readscan|infinite|output-filename=[^ ]/,
  );
});

Deno.test("masscan.plan() makes argv of its own grammar only, whatever it is asked", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.constantFrom("10.0.0.1", "80", "--rate=5", "-oX /x", "--range 8.8.8.8"),
  );
  const request = fc.record({
    target: fc.oneof(text, fc.array(text, { maxLength: 3 })),
    ports: text,
    extra_args: text,
    banners: fc.boolean(),
  }, { requiredKeys: ["target", "ports"] });
  fc.assert(fc.property(request, (input) => {
    const ending = endingOf(masscan, input);
    if (ending.kind === "refused") return;
    for (const line of ending.argv) {
      for (const token of line.split(" ").slice(1)) {
        const flag = MASSCAN_GRAMMAR.flags.has(token)
          ? token
          : token.slice(0, token.indexOf("="));
        assert.ok(MASSCAN_GRAMMAR.flags.has(flag), token);
      }
    }
  }));
});

Deno.test("masscan.parse() caps extra_args at the configured length", () => {
  assert.throws(
    () =>
      masscan.parse({
        target: "10.0.0.1",
        ports: "80",
        extra_args: "--rate 5".padEnd(2_049),
      }, GUARDRAILS),
    (thrown) =>
      thrown instanceof AppError && thrown.code === "invalid_arguments" &&
      thrown.message.includes("at most 2048"),
  );
});

Deno.test("masscan's fields are described briefly", () => {
  const schema = fieldsSchema(masscan.fields);
  assert.deepEqual(schema["required"], ["target", "ports"]);
  assert.ok(JSON.stringify(schema).length < 1_400);
  for (const field of Object.values(masscan.fields)) {
    assert.ok(String(field.schema["description"]).length <= 110);
  }
});
