/**
 * The server's metrics. An execution is begun once and ended once, whatever its caller does, and that
 * one end feeds the counters, the histogram and the statistics together.
 *
 * Label values come from closed lists only. A text that stands in none of them becomes `unknown`, so
 * that no caller can grow the number of series. A trace id would: it goes along as an exemplar.
 *
 * @module
 */
import { type ErrorCode, isErrorCode } from "@/error/code.ts";
import { exposition, type ExpositionKind, type Family } from "./exposition.ts";
import { type Exemplar, Histogram, type Sample, Series } from "./series.ts";
import { Statistics, type ToolStatistics, type Verdict } from "./statistics.ts";

/** Every value of the label `status`. */
export const EXECUTION_STATUSES = [
  "succeeded",
  "partial",
  "failed",
  "timed_out",
  "cancelled",
  "interrupted",
  "refused",
] as const;

/** One of {@linkcode EXECUTION_STATUSES}. */
export type ExecutionStatus = typeof EXECUTION_STATUSES[number];

/** Upper bounds of the histogram's buckets, in seconds. */
export const SECONDS_BOUNDS = [
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
  60,
  120,
  300,
  600,
  1800,
  3600,
] as const;

/** How an execution ended. */
export interface ExecutionEnd {
  readonly status: ExecutionStatus;
  /** Left out when nothing went wrong. */
  readonly errorType?: ErrorCode | undefined;
  /** How long it ran; left out if it never did. */
  readonly seconds?: number | undefined;
  /** 32 hex digits. */
  readonly traceId?: string | undefined;
}

/** Packets and their bytes. */
export interface EgressCount {
  readonly packets: number;
  readonly bytes: number;
}

/** What the egress guard let out and what it held back. */
export interface EgressCounts {
  readonly accepted: EgressCount;
  readonly dropped: EgressCount;
}

/** What one tenant has and uses. */
export interface TenantUse {
  /** Places taken, over all tools. */
  readonly held: number;
  /** Calls that wait for a place. */
  readonly waiting: number;
  readonly quotas: readonly {
    readonly name: string;
    /** Null for no bound. */
    readonly limit: number | null;
    readonly used: number;
  }[];
}

/** What an operator watches besides executions. Each is asked when metrics are read. */
export interface MetricsSources {
  /** State `closed`, `half_open`, `open` or `forced_open` of each tool's breaker. */
  readonly breakers?: () => Readonly<
    Record<string, { readonly state: string }>
  >;
  /** Places taken and calls waiting, of each tool. */
  readonly permits?: () => Readonly<
    Record<string, { readonly held: number; readonly waiting: number }>
  >;
  /** Each tenant of the configuration, by its name: a closed list, like every label. */
  readonly tenants?: () => Readonly<Record<string, TenantUse>>;
  /** How many calls had to leave the queue for another tenant's. */
  readonly evictions?: () => number;
  /** How many requests each rate limit refused, by the name of the limit. */
  readonly rateLimited?: () => Readonly<Record<string, number>>;
  /** Each isolate, by the name of its tool or `warden`. */
  readonly isolates?: () => Readonly<
    Record<string, { readonly up: boolean; readonly restarts: number }>
  >;
  /** Bytes, as `Deno.memoryUsage` tells them. */
  readonly memory?: () => {
    readonly rss: number;
    readonly heapTotal: number;
    readonly heapUsed: number;
    readonly external: number;
  };
  /** Worst lag of the event loop of late, in milliseconds. */
  readonly loopLagMs?: () => number;
  /** What the egress guard counts, or null where that cannot be read. */
  readonly egress?: () => Promise<EgressCounts | null>;
}

/** What {@linkcode Metrics} is made of. */
export interface MetricsOptions {
  /** Every value of the label `tool`. */
  readonly tools: readonly string[];
  /** Milliseconds since the epoch, for exemplars. */
  readonly wallNow: () => number;
}

/** An execution that has begun. */
export class Execution {
  #end: ((end: ExecutionEnd) => void) | undefined;

  /** @param end What hears of the one end. */
  constructor(end: (end: ExecutionEnd) => void) {
    this.#end = end;
  }

  /**
   * Ends it. Any call after the first does nothing.
   *
   * @param end How it ended.
   */
  end(end: ExecutionEnd): void {
    const hear = this.#end;
    this.#end = undefined;
    hear?.(end);
  }
}

/** The server's metrics. */
export class Metrics {
  readonly #tools: ReadonlySet<string>;
  readonly #wallNow: () => number;
  readonly #total = new Series();
  readonly #errors = new Series();
  readonly #active = new Series();
  readonly #cpuSeconds = new Series();
  readonly #seconds = new Histogram(
    "mcp_tool_execution_seconds",
    SECONDS_BOUNDS,
  );
  readonly #statistics = new Map<string, Statistics>();
  #sources: MetricsSources = {};

  /** @param options The tools and a clock. */
  constructor(options: MetricsOptions) {
    this.#tools = new Set(options.tools);
    this.#wallNow = options.wallNow;
    for (const tool of this.#tools) {
      this.#active.add({ tool }, 0);
      this.#cpuSeconds.add({ tool }, 0);
      this.#statistics.set(tool, new Statistics());
    }
  }

  /**
   * Says where the gauges come from. Sources given before stay unless they are given again.
   *
   * @param sources Functions that are asked when metrics are read.
   */
  connect(sources: MetricsSources): void {
    this.#sources = { ...this.#sources, ...sources };
  }

  /**
   * Begins an execution: it is active until its end is told.
   *
   * @param tool The tool's name.
   * @returns Where its end must be told.
   */
  begin(tool: string): Execution {
    const label = this.#toolLabel(tool);
    this.#active.add({ tool: label }, 1);
    return new Execution((end) => {
      this.#active.add({ tool: label }, -1);
      this.#count(label, end);
      const seconds = soundSeconds(end.seconds);
      if (seconds !== undefined) {
        const exemplar = this.#exemplar(end.traceId, seconds);
        this.#seconds.observe({ tool: label }, seconds, exemplar);
      }
      if (end.status === "refused") return;
      this.#statistics.get(label)?.record(VERDICTS[end.status], seconds);
    });
  }

  /**
   * Counts a call that was refused before anything ran.
   *
   * @param tool The tool's name as the client sent it.
   * @param errorType Why.
   * @param traceId 32 hex digits.
   */
  refused(tool: string, errorType: ErrorCode, traceId?: string): void {
    const end = { status: "refused", errorType, traceId } as const;
    this.#count(this.#toolLabel(tool), end);
  }

  /**
   * Counts the processor time of a scan that ended.
   *
   * @param tool The tool's name.
   * @param seconds Seconds on a processor, of the scanner and its sandbox.
   */
  tookCpu(tool: string, seconds: number): void {
    this.#cpuSeconds.add({ tool: this.#toolLabel(tool) }, seconds);
  }

  /** @returns The statistics of each tool. */
  statistics(): Record<string, ToolStatistics> {
    const entries = [...this.#statistics].map((
      [tool, statistics],
    ) => [tool, statistics.read()] as const);
    return Object.fromEntries(entries);
  }

  /**
   * Writes all metrics as text. The first call loads the library that does it.
   *
   * @param kind The format.
   * @returns The text.
   */
  async render(kind: ExpositionKind): Promise<string> {
    const egress = egressFamilies(await this.#egress());
    return await exposition([...this.#families(), ...egress], kind);
  }

  #count(tool: string, end: ExecutionEnd): void {
    const { errorType, traceId } = end;
    const status = EXECUTION_STATUSES.includes(end.status)
      ? end.status
      : "unknown";
    const exemplar = this.#exemplar(traceId, 1);
    const error_type = errorLabel(errorType);
    this.#total.add({ tool, status, error_type }, 1, exemplar);
    if (errorType === undefined) return;
    this.#errors.add({ tool, error_type }, 1, exemplar);
  }

  #toolLabel(tool: string): string {
    return this.#tools.has(tool) ? tool : "unknown";
  }

  #exemplar(traceId: string | undefined, value: number): Exemplar | undefined {
    if (traceId === undefined || !/^[0-9a-f]{32}$/.test(traceId)) return;
    const timestamp = this.#wallNow() / 1000;
    return { labelSet: { trace_id: traceId }, value, timestamp };
  }

  /** A source that fails shows nothing, like those of the gauges. */
  async #egress(): Promise<EgressCounts | null> {
    try {
      return await this.#sources.egress?.() ?? null;
    } catch {
      return null;
    }
  }

  #families(): Family[] {
    return [
      {
        name: "mcp_tool_execution_total",
        help: "Calls that ended, by how they ended.",
        type: "counter",
        samples: () => this.#total.samples(),
      },
      {
        name: "mcp_tool_errors_total",
        help: "Calls that ended in an error.",
        type: "counter",
        samples: () => this.#errors.samples(),
      },
      {
        name: "mcp_tool_execution_seconds",
        help: "How long executions took.",
        type: "histogram",
        samples: () => this.#seconds.samples(),
      },
      {
        name: "mcp_tool_active",
        help: "Executions that run or wait now.",
        type: "gauge",
        samples: () => this.#active.samples(),
      },
      {
        name: "mcp_scanner_cpu_seconds_total",
        help: "Processor time of scanners and their sandboxes.",
        type: "counter",
        samples: () => this.#cpuSeconds.samples(),
      },
      ...this.#toolGauges(),
      ...this.#tenantGauges(),
      ...this.#processGauges(),
    ];
  }

  #toolGauges(): Family[] {
    const { breakers, permits, isolates } = this.#sources;
    const tool = (name: string) => ({ tool: this.#toolLabel(name) });
    const isolate = (name: string) => ({
      isolate: name === "warden" ? name : this.#toolLabel(name),
    });
    return [
      gauge(
        "mcp_circuit_breaker_state",
        "0 closed, 1 half-open, 2 open.",
        () => each(breakers?.(), tool, ({ state }) => breakerNumber(state)),
      ),
      gauge(
        "mcp_queue_waiting",
        "Calls that wait for a place.",
        () => each(permits?.(), tool, (stats) => stats.waiting),
      ),
      gauge(
        "mcp_queue_held",
        "Places that are taken.",
        () => each(permits?.(), tool, (stats) => stats.held),
      ),
      gauge(
        "mcp_isolate_up",
        "1 if the isolate answers, 0 if not.",
        () => each(isolates?.(), isolate, ({ up }) => up ? 1 : 0),
      ),
      {
        ...gauge(
          "mcp_isolate_restarts_total",
          "How often the isolate was replaced.",
          () => each(isolates?.(), isolate, ({ restarts }) => restarts),
        ),
        type: "counter",
      },
    ];
  }

  #tenantGauges(): Family[] {
    const { tenants, evictions, rateLimited } = this.#sources;
    const label = (tenant: string) => ({ tenant });
    return [
      gauge(
        "mcp_tenant_queue_waiting",
        "Calls of a tenant that wait for a place.",
        () => each(tenants?.(), label, ({ waiting }) => waiting),
      ),
      gauge(
        "mcp_tenant_queue_held",
        "Places that a tenant has taken.",
        () => each(tenants?.(), label, ({ held }) => held),
      ),
      gauge(
        "mcp_tenant_quota_used",
        "What a tenant used of a quota, with what is reserved.",
        () => quotaSamples(tenants?.(), ({ used }) => used),
      ),
      gauge(
        "mcp_tenant_quota_limit",
        "A tenant's quota; not shown where it has no bound.",
        () => quotaSamples(tenants?.(), ({ limit }) => limit),
      ),
      {
        ...gauge(
          "mcp_queue_evictions_total",
          "Calls that had to leave the full queue for another tenant's.",
          () =>
            evictions === undefined ? [] : [{ labels: {}, value: evictions() }],
        ),
        type: "counter",
      },
      {
        ...gauge(
          "mcp_rate_limited_total",
          "Requests that a rate limit refused.",
          () =>
            each(rateLimited?.(), (policy) => ({ policy }), (count) => count),
        ),
        type: "counter",
      },
    ];
  }

  #processGauges(): Family[] {
    const { memory, loopLagMs } = this.#sources;
    const one = (value: number | undefined) =>
      value === undefined ? [] : [{ labels: {}, value }];
    return [
      gauge(
        "mcp_process_resident_bytes",
        "Resident memory of the server.",
        () => one(memory?.().rss),
      ),
      gauge(
        "mcp_process_heap_total_bytes",
        "Heap of the main isolate as reserved.",
        () => one(memory?.().heapTotal),
      ),
      gauge(
        "mcp_process_heap_used_bytes",
        "Heap of the main isolate as used.",
        () => one(memory?.().heapUsed),
      ),
      gauge(
        "mcp_process_external_bytes",
        "Buffers of the main isolate outside its heap.",
        () => one(memory?.().external),
      ),
      gauge(
        "mcp_event_loop_lag_seconds",
        "Worst lag of the event loop in the last half minute.",
        () => one(loopLagMs === undefined ? undefined : loopLagMs() / 1000),
      ),
    ];
  }
}

const VERDICTS: Readonly<
  Record<Exclude<ExecutionStatus, "refused">, Verdict>
> = {
  succeeded: "success",
  partial: "success",
  failed: "failure",
  timed_out: "timeout",
  cancelled: "neither",
  interrupted: "neither",
};

/** Where no guard can be read there are no such series: a zero would say that one holds. */
function egressFamilies(counts: EgressCounts | null): Family[] {
  if (counts === null) return [];
  const samples = (unit: keyof EgressCount) => () =>
    (["accepted", "dropped"] as const).map((verdict) => ({
      labels: { verdict },
      value: counts[verdict][unit],
    }));
  return [
    {
      name: "mcp_egress_packets_total",
      help: "Packets of the scanners that came to the egress guard.",
      type: "counter",
      samples: samples("packets"),
    },
    {
      name: "mcp_egress_bytes_total",
      help: "Bytes of the packets that came to the egress guard.",
      type: "counter",
      samples: samples("bytes"),
    },
  ];
}

/** A gauge whose source fails shows nothing; it must not take the other metrics with it. */
function gauge(name: string, help: string, read: () => Sample[]): Family {
  const samples = () => {
    try {
      return read();
    } catch {
      return [];
    }
  };
  return { name, help, type: "gauge", samples };
}

function each<Value>(
  values: Readonly<Record<string, Value>> | undefined,
  labels: (name: string) => Record<string, string>,
  number: (value: Value) => number,
): Sample[] {
  const series = new Series();
  // Names that no list holds share one series, so that no line of the text occurs twice.
  for (const [name, value] of Object.entries(values ?? {})) {
    series.add(labels(name), number(value));
  }
  return series.samples();
}

function quotaSamples(
  tenants: Readonly<Record<string, TenantUse>> | undefined,
  number: (quota: TenantUse["quotas"][number]) => number | null,
): Sample[] {
  return Object.entries(tenants ?? {}).flatMap(([tenant, { quotas }]) =>
    quotas.flatMap((quota) => {
      const value = number(quota);
      return value === null
        ? []
        : [{ labels: { tenant, quota: quota.name }, value }];
    })
  );
}

function breakerNumber(state: string): number {
  return state === "closed" ? 0 : state === "half_open" ? 1 : 2;
}

function errorLabel(errorType: string | undefined): string {
  if (errorType === undefined) return "none";
  return isErrorCode(errorType) ? errorType : "unknown";
}

function soundSeconds(seconds: number | undefined): number | undefined {
  return seconds !== undefined && Number.isFinite(seconds) && seconds >= 0
    ? seconds
    : undefined;
}
