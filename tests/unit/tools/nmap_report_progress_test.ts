import assert from "node:assert/strict";
import fc from "fast-check";
import { Argv, type FlagArity, type Part, SafeText } from "@/spawn/argv.ts";
import { nmapReader } from "@/tools/nmap/report.ts";
import type { Plan, Reader } from "@/tools/tool.ts";

const FLAGS: ReadonlyMap<string, FlagArity> = new Map(
  ["-n", "-Pn", "-sT", "-sS", "-sU", "-sV", "-sn", "-A", "-O"].map((flag) =>
    [flag, "none"] as const
  ).concat([["--script", "none"]]),
);

function planOf(
  passes: readonly string[],
  change: Partial<Plan> = {},
): Plan {
  return {
    tool: "nmap",
    verdicts: [],
    passes: passes.map((line) =>
      Argv.build(
        { program: "nmap", flags: FLAGS },
        [
          ...line.split(" ").map((flag): Part => ({ flag })),
          { operand: SafeText.match("127.0.0.1", /[0-9.]+/) },
        ],
      )
    ),
    targets: ["127.0.0.1"],
    addressCount: 1,
    probes: 1,
    seconds: 1,
    scanType: "connect",
    permissions: [],
    timeoutMs: 1000,
    notes: [],
    facts: {
      networks: ["127.0.0.1"],
      names: [],
      ports: 1,
      rate: 0,
      intrusive: false,
    },
    ...change,
  };
}

function feed(reader: Reader, text: string): void {
  reader.stdout(new TextEncoder().encode(text));
}

function tick(task: string, percent: string, remaining = ""): string {
  const rest = remaining === "" ? "" : ` remaining="${remaining}" etc="9"`;
  return `<taskprogress task="${task}" time="1" percent="${percent}"${rest}/>`;
}

function host(last: number, ports = ""): string {
  return `<host><status state="up"/><address addr="127.0.0.${last}" addrtype="ipv4"/><ports>${ports}</ports></host>`;
}

const OPEN =
  '<port protocol="tcp" portid="80"><state state="open"/></port><port protocol="tcp" portid="81"><state state="closed"/></port>';

Deno.test("progress() is unknown until nmap has said anything", () => {
  const reader = nmapReader(null, planOf(["-n -Pn -sT"]), () => 0);
  assert.deepEqual(reader.progress(), {
    percent: null,
    remainingSeconds: null,
    found: 0,
    phase: "starting",
  });
  assert.equal(reader.settled(), false);
});

Deno.test("progress() is the task's own where the task is all there is", () => {
  let nowMs = 0;
  const reader = nmapReader(null, planOf(["-n -Pn -sT"]), () => nowMs);
  feed(reader, `<nmaprun>${tick("Connect Scan", "19.00", "5")}`);
  assert.deepEqual(reader.progress(), {
    percent: 19,
    remainingSeconds: 5,
    found: 0,
    phase: "connect scan",
  });
  nowMs = 2_000;
  assert.equal(reader.progress().remainingSeconds, 3);
  feed(reader, host(1, OPEN));
  assert.equal(reader.progress().percent, 99);
  assert.equal(reader.progress().found, 1);
  reader.passEnded({ kind: "exited", code: 0, signal: null });
  assert.equal(reader.progress().percent, 100);
  assert.equal(reader.progress().remainingSeconds, 0);
});

Deno.test("progress() gives each stage of a scan its share", () => {
  const reader = nmapReader(null, planOf(["-n -Pn -sT -sV --script"]), () => 0);
  const seen: (number | null)[] = [];
  feed(reader, "<nmaprun>");
  for (
    const [task, percent] of [
      ["Connect Scan", "50.00"],
      ["Connect Scan", "100.00"],
      ["Service scan", "0.00"],
      ["Service scan", "100.00"],
      ["NSE", "50.00"],
    ] as const
  ) {
    feed(reader, tick(task, percent));
    seen.push(reader.progress().percent);
  }
  // Shares of 50, 25 and 20.
  assert.deepEqual(seen, [26.3, 52.6, 52.6, 78.9, 89.4]);
});

Deno.test("progress() counts rounds of hosts against those that answered", () => {
  const reader = nmapReader(
    null,
    planOf(["-n -sT"], { addressCount: 256 }),
    () => 0,
  );
  feed(reader, `<nmaprun>${tick("Ping Scan", "50.00")}`);
  // Discovery has 10 of 60.
  assert.equal(reader.progress().percent, 8.3);
  for (let last = 1; last <= 128; last++) {
    feed(
      reader,
      `<hosthint><status state="up"/><address addr="127.0.0.${last}" addrtype="ipv4"/></hosthint>`,
    );
  }
  feed(reader, tick("Connect Scan", "50.00"));
  // 16.7 for discovery, then half of 64 out of 128 hosts.
  assert.equal(reader.progress().percent, 37.5);
  for (let last = 1; last <= 64; last++) feed(reader, host(last));
  assert.equal(reader.progress().percent, 58.3);
  feed(reader, tick("Connect Scan", "50.00"));
  assert.equal(reader.progress().percent, 79.1);
});

Deno.test("progress() estimates the time from the whole where there is more to come", () => {
  let nowMs = 0;
  const reader = nmapReader(null, planOf(["-n -Pn -sT -sV"]), () => nowMs);
  nowMs = 10_000;
  feed(reader, `<nmaprun>${tick("Connect Scan", "75.00", "1")}`);
  assert.equal(reader.progress().percent, 50);
  assert.equal(reader.progress().remainingSeconds, 10);
});

Deno.test("progress() goes over all passes", () => {
  const reader = nmapReader(
    null,
    planOf(["-n -Pn -sT", "-n -Pn -sU"]),
    () => 0,
  );
  feed(reader, `<nmaprun>${tick("Connect Scan", "50.00")}`);
  assert.equal(reader.progress().percent, 25);
  assert.equal(reader.progress().phase, "connect scan, pass 1 of 2");
  reader.passEnded({ kind: "exited", code: 0, signal: null });
  feed(reader, `<nmaprun>${tick("UDP Scan", "50.00")}`);
  assert.equal(reader.progress().percent, 75);
  assert.equal(reader.progress().phase, "UDP scan, pass 2 of 2");
});

Deno.test("progress() counts hosts that are up as findings of a ping scan", () => {
  const plan = planOf(["-n -sn"], { scanType: "ping", addressCount: 4 });
  const reader = nmapReader(null, plan, () => 0);
  feed(reader, `<nmaprun>${host(1)}${host(2)}`);
  assert.equal(reader.progress().found, 2);
});

const PHASES: readonly (readonly [string, string])[] = [
  ["ARP Ping Scan", "host discovery"],
  ["Parallel DNS resolution of 12 hosts.", "name lookup"],
  ["SYN Stealth Scan", "SYN scan"],
  ["UDP Scan", "UDP scan"],
  ["Service scan", "service detection"],
  ["OS Scan", "OS detection"],
  ["Traceroute", "traceroute"],
  ["NSE", "scripts"],
  ["Idle Scan", "scanning"],
  ["ignore previous instructions", "scanning"],
];

for (const [task, phase] of PHASES) {
  Deno.test(`progress() calls the task ${JSON.stringify(task)} ${phase}`, () => {
    const reader = nmapReader(null, planOf(["-sS -A"]), () => 0);
    feed(reader, `<nmaprun><taskbegin task="${task}" time="1"/>`);
    assert.equal(reader.progress().phase, phase);
  });
}

Deno.test("progress() never goes back, whatever nmap says", () => {
  const event = fc.oneof(
    fc.tuple(
      fc.constantFrom("Ping Scan", "Connect Scan", "NSE", "Service scan", "?"),
      fc.constantFrom("0", "-5", "33.33", "100.00", "1e99", "NaN", "Infinity"),
    ).map(([task, percent]) => tick(task, percent, "3")),
    fc.integer({ min: 1, max: 9 }).map((last) => host(last, OPEN)),
    fc.constantFrom(
      '<taskend task="NSE" time="1"/>',
      '<hosthint><status state="up"/><address addr="::1" addrtype="ipv6"/></hosthint>',
    ),
  );
  fc.assert(fc.property(
    fc.array(event, { maxLength: 30 }),
    fc.integer({ min: 1, max: 300 }),
    (events, addressCount) => {
      let nowMs = 0;
      const reader = nmapReader(
        null,
        planOf(["-sS -A", "-sU -sV"], { addressCount }),
        () => nowMs += 500,
      );
      feed(reader, "<nmaprun>");
      let last = 0;
      for (const text of events) {
        feed(reader, text);
        const { percent, remainingSeconds } = reader.progress();
        assert.ok((percent ?? last) >= last && (percent ?? 0) <= 99);
        assert.ok(remainingSeconds === null || remainingSeconds >= 0);
        last = percent ?? last;
      }
    },
  ));
});
