/**
 * Examples for the document that more than one route shows.
 *
 * @module
 */
import type { z } from "@hono/zod-openapi";
import type {
  PlanSchema,
  ScanHeadSchema,
  ScanSchema,
} from "../schemas/scan.ts";

/** A scan's id. */
export const ID_EXAMPLE = "01jgz7m5e8p4k2q9s6t3v0w1xy";

/** A scan that was accepted. */
export const SCAN_HEAD_EXAMPLE: z.input<typeof ScanHeadSchema> = {
  scan_id: ID_EXAMPLE,
  tool: "nmap",
  target: "10.0.0.0/28",
  status: "queued",
  summary: "Waiting for a free place.",
  client: "ci",
  scan_type: null,
  queued_at: "2026-01-02T03:04:05.000Z",
  started_at: null,
  finished_at: null,
  duration_seconds: null,
  trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
};

/** A scan that is over. */
export const SCAN_EXAMPLE: z.input<typeof ScanSchema> = {
  ...SCAN_HEAD_EXAMPLE,
  status: "succeeded",
  summary: "Done: 1 of 16 hosts up, 1 open port: 22/tcp.",
  scan_type: "connect",
  started_at: "2026-01-02T03:04:05.100Z",
  finished_at: "2026-01-02T03:04:17.445Z",
  duration_seconds: 12.345,
  arguments: { target: "10.0.0.0/28", ports: "22,80" },
  argv: [["nmap", "-sT", "-p", "22,80", "10.0.0.0/28"]],
  targets: ["10.0.0.0/28"],
  notes: [],
  raw: { bytes: 4_096, truncated: false },
  report: {
    kind: "hosts",
    partial: false,
    hosts: [{
      address: "10.0.0.5",
      status: "up",
      ports: [{ port: 22, protocol: "tcp", state: "open", service: "ssh" }],
    }],
    totals: { up: 1, down: 15, total: 16 },
    tool_version: "7.93",
  },
};

/** What a scan would do. */
export const PLAN_EXAMPLE: z.input<typeof PlanSchema> = {
  tool: "nmap",
  plan: {
    allowed: true,
    verdicts: [{ guardrail: "scope", allowed: true, reason: "private" }],
    argv: [["nmap", "-sT", "-p", "22,80", "10.0.0.0/28"]],
    targets: ["10.0.0.0/28"],
    address_count: 16,
    probes: 32,
    seconds: 2.5,
    scan_type: "connect",
    permissions: ["run nmap", "network: 10.0.0.0/28"],
    timeout_seconds: 300,
    notes: [],
  },
};
