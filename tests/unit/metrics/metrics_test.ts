import assert from "node:assert/strict";
import fc from "fast-check";
import { ERROR_CODES, type ErrorCode } from "@/error/code.ts";
import { EXECUTION_STATUSES, Metrics } from "@/metrics/metrics.ts";
import { FakeTime } from "../health/fake_time.ts";
import { verifies } from "../../requirements.ts";

verifies("metrics.counted_once", "metrics.bounded_cardinality");

const TRACE = "0af7651916cd43dd8448eb211c80319c";

function make() {
  const { wallNow } = new FakeTime();
  return new Metrics({ tools: ["nmap", "masscan", "gobuster"], wallNow });
}

/** The value of one line of the text. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `));
  return line === undefined
    ? undefined
    : Number(line.slice(series.length).split("#")[0]);
}

Deno.test("Metrics counts an execution once, however often it is ended", async () => {
  const metrics = make();
  const execution = metrics.begin("nmap");
  for (let turn = 0; turn < 3; turn += 1) {
    execution.end({ status: "failed", errorType: "tool_failed", seconds: 2 });
  }
  execution.end({ status: "succeeded", seconds: 2 });
  const text = await metrics.render("prometheus");
  const labels = '{tool="nmap",status="failed",error_type="tool_failed"}';
  assert.equal(valueOf(text, `mcp_tool_execution_total${labels}`), 1);
  assert.doesNotMatch(text, /status="succeeded"/);
  assert.equal(
    valueOf(text, 'mcp_tool_execution_seconds_count{tool="nmap"}'),
    1,
  );
  const errors = 'mcp_tool_errors_total{tool="nmap",error_type="tool_failed"}';
  assert.equal(valueOf(text, errors), 1);
  assert.equal(valueOf(text, 'mcp_tool_active{tool="nmap"}'), 0);
  assert.equal(metrics.statistics()["nmap"]?.count, 1);
});

Deno.test("Metrics shows what is active", async () => {
  const metrics = make();
  const first = metrics.begin("nmap");
  metrics.begin("nmap");
  first.end({ status: "cancelled", errorType: "cancelled" });
  const text = await metrics.render("prometheus");
  assert.equal(valueOf(text, 'mcp_tool_active{tool="nmap"}'), 1);
  assert.equal(valueOf(text, 'mcp_tool_active{tool="masscan"}'), 0);
});

Deno.test("a refused call counts without having been active, timed or in the statistics", async () => {
  const metrics = make();
  metrics.refused("nmap", "invalid_target");
  const text = await metrics.render("prometheus");
  const labels = '{tool="nmap",status="refused",error_type="invalid_target"}';
  assert.equal(valueOf(text, `mcp_tool_execution_total${labels}`), 1);
  assert.doesNotMatch(text, /seconds_count/);
  assert.equal(metrics.statistics()["nmap"]?.count, 0);
});

Deno.test("no caller can grow the number of series", async () => {
  const metrics = make();
  await fc.assert(
    fc.asyncProperty(
      fc.string(),
      fc.string(),
      fc.string(),
      async (tool, status, errorType) => {
        metrics.begin(tool).end({
          status: status as "failed",
          errorType: errorType as ErrorCode,
          traceId: tool,
        });
        metrics.refused(tool, errorType as ErrorCode, status);
        await Promise.resolve();
      },
    ),
    { numRuns: 200 },
  );
  for (const name of ["__proto__", "constructor", 'a"b\n', "nmap2"]) {
    metrics.begin(name).end({ status: "succeeded" });
  }
  const text = await metrics.render("openmetrics");
  const labels = new Set(text.match(/tool="[^"]*"/g));
  assert.deepEqual(
    [...labels].sort(),
    [
      'tool="gobuster"',
      'tool="masscan"',
      'tool="nmap"',
      'tool="unknown"',
    ],
  );
  for (const [, status = ""] of text.matchAll(/status="([^"]*)"/g)) {
    assert.ok(["unknown", ...EXECUTION_STATUSES].includes(status), status);
  }
  for (const [, code = ""] of text.matchAll(/error_type="([^"]*)"/g)) {
    assert.ok(["none", "unknown", ...ERROR_CODES].includes(code), code);
  }
  assert.doesNotMatch(text, /trace_id/);
});

Deno.test("OpenMetrics carries trace ids as exemplars, Prometheus text does not", async () => {
  const metrics = make();
  const end = { status: "succeeded", seconds: 1.5, traceId: TRACE } as const;
  metrics.begin("nmap").end(end);
  const open = await metrics.render("openmetrics");
  assert.match(open, /\n# EOF\n$/);
  assert.ok(
    open.includes(
      'mcp_tool_execution_total{tool="nmap",status="succeeded",error_type="none"} 1 ' +
        `# {trace_id="${TRACE}"} 1 1767225601`,
    ),
  );
  assert.ok(
    open.includes(
      'mcp_tool_execution_seconds_bucket{le="2.5",tool="nmap"} 1 ' +
        `# {trace_id="${TRACE}"} 1.5 1767225601`,
    ),
  );
  assert.doesNotMatch(await metrics.render("prometheus"), /trace_id/);
  assert.equal(await metrics.render("openmetrics"), open, "twice the same");
});

Deno.test("a trace id of another shape is left out", async () => {
  for (const traceId of ["", "x", TRACE.toUpperCase(), `${TRACE}"} 1\n`]) {
    const metrics = make();
    metrics.begin("nmap").end({ status: "succeeded", seconds: 1, traceId });
    assert.doesNotMatch(await metrics.render("openmetrics"), /trace_id/);
  }
});

Deno.test("the histogram's buckets add up as an oracle says", async () => {
  const durations = fc.array(
    fc.oneof(
      fc.double({ min: 0, max: 5000, noNaN: true }),
      // A value on a bound belongs to the bucket below it.
      fc.constantFrom(0.05, 0.1, 1, 60, 3600),
    ),
    { minLength: 1, maxLength: 50 },
  );
  await fc.assert(
    fc.asyncProperty(durations, async (seconds) => {
      const metrics = make();
      for (const one of seconds) {
        metrics.begin("nmap").end({ status: "succeeded", seconds: one });
      }
      const text = await metrics.render("prometheus");
      const rows = text.matchAll(/_bucket\{le="([^"]+)",tool="nmap"\} (\d+)/g);
      let buckets = 0;
      for (const [, le, count] of rows) {
        const bound = le === "+Inf" ? Infinity : Number(le);
        const expected = seconds.filter((one) => one <= bound).length;
        assert.equal(Number(count), expected, `le=${le}`);
        buckets += 1;
      }
      assert.equal(buckets, 16);
    }),
    { numRuns: 40 },
  );
});

Deno.test("a duration that is no number is not observed, but the execution is counted", async () => {
  for (const seconds of [NaN, -1, Infinity, undefined]) {
    const metrics = make();
    metrics.begin("nmap").end({ status: "succeeded", seconds });
    const text = await metrics.render("prometheus");
    assert.doesNotMatch(text, /seconds_count|NaN/);
    assert.equal(metrics.statistics()["nmap"]?.success, 1);
  }
});

Deno.test("gauges come from their sources, and one that fails takes no other with it", async () => {
  const metrics = make();
  metrics.connect({
    breakers: () => ({
      nmap: { state: "closed" },
      masscan: { state: "half_open" },
      gobuster: { state: "forced_open" },
    }),
    permits: () => ({ nmap: { held: 2, waiting: 5 } }),
    isolates: () => {
      throw new Error("not up yet");
    },
    loopLagMs: () => 12.5,
  });
  metrics.connect({
    memory: () => ({ rss: 4, heapTotal: 3, heapUsed: 2, external: 1 }),
  });
  const text = await metrics.render("prometheus");
  const expected = {
    'mcp_circuit_breaker_state{tool="nmap"}': 0,
    'mcp_circuit_breaker_state{tool="masscan"}': 1,
    'mcp_circuit_breaker_state{tool="gobuster"}': 2,
    'mcp_queue_held{tool="nmap"}': 2,
    'mcp_queue_waiting{tool="nmap"}': 5,
    mcp_process_resident_bytes: 4,
    mcp_process_heap_total_bytes: 3,
    mcp_process_heap_used_bytes: 2,
    mcp_process_external_bytes: 1,
    mcp_event_loop_lag_seconds: 0.0125,
  };
  for (const [series, value] of Object.entries(expected)) {
    assert.equal(valueOf(text, series), value, series);
  }
  assert.doesNotMatch(text, /mcp_isolate_up\{/);
});

Deno.test("isolates show as up or down with their restarts", async () => {
  const metrics = make();
  metrics.connect({
    isolates: () => ({
      nmap: { up: true, restarts: 3 },
      warden: { up: false, restarts: 0 },
    }),
  });
  const text = await metrics.render("prometheus");
  assert.equal(valueOf(text, 'mcp_isolate_up{isolate="nmap"}'), 1);
  assert.equal(valueOf(text, 'mcp_isolate_up{isolate="warden"}'), 0);
  assert.equal(valueOf(text, 'mcp_isolate_restarts_total{isolate="nmap"}'), 3);
});

Deno.test("nothing of prom-client is loaded before metrics are read", async () => {
  // The modules are parsed as text: by the time of this test the library is in memory anyway.
  for (const file of ["metrics", "exposition", "series", "statistics"]) {
    const source = await Deno.readTextFile(`src/metrics/${file}.ts`);
    const statics = source.match(
      /^(?:import|export)(?! type).*"prom-client"/gm,
    );
    assert.equal(statics, null, file);
  }
});
