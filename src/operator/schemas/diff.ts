/**
 * Two scans compared, as `scans/diff.ts` has it.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";
import { SCAN_STATUSES } from "@/scans/scan.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import { nextCursor, timeOrNull } from "./kinds.ts";

const ScanRefSchema = z.object({
  scan_id: z.string(),
  tool: z.enum(TOOL_NAMES),
  target: z.string(),
  status: z.enum(SCAN_STATUSES),
  scan_type: z.string(),
  started_at: timeOrNull,
  finished_at: timeOrNull,
  complete: z.boolean().openapi({
    description: "Whether what it does not report may be taken for absent.",
  }),
}).openapi("ScanRef");

const change = z.enum([
  "appeared",
  "vanished",
  "opened",
  "closed",
  "changed",
  "first_seen",
  "not_seen_again",
]);
const changed = z.array(z.string());
const suspicious = z.array(z.string()).optional();

const PortSideSchema = z.object({
  state: z.string(),
  service: z.string().optional(),
  tunnel: z.string().optional(),
  untrusted: z.object({
    product: z.string().optional(),
    version: z.string().optional(),
    extra_info: z.string().optional(),
  }).optional(),
  suspicious,
}).openapi("PortSide");

const WebSideSchema = z.object({
  status: z.int().optional(),
  size: z.number().nullable().optional(),
  addresses: z.array(z.string()).optional(),
  untrusted: z.object({ redirect: z.string().optional() }).optional(),
  suspicious,
}).openapi("WebSide");

const HostChangeSchema = z.object({
  kind: z.literal("host"),
  change,
  address: z.string(),
  names: z.array(z.string()).optional(),
  open_ports: z.int(),
  other_ports: z.object({ before: z.string(), after: z.string() }).optional(),
}).openapi("HostChange");

const PortChangeSchema = z.object({
  kind: z.literal("port"),
  change,
  address: z.string(),
  port: z.int(),
  protocol: z.string(),
  before: PortSideSchema.nullable(),
  after: PortSideSchema.nullable(),
  changed,
}).openapi("PortChange");

const PathChangeSchema = z.object({
  kind: z.literal("path"),
  change,
  untrusted: z.object({ path: z.string() }),
  suspicious,
  before: WebSideSchema.nullable(),
  after: WebSideSchema.nullable(),
  changed,
}).openapi("PathChange");

const NameChangeSchema = z.object({
  kind: z.literal("name"),
  change,
  name: z.string(),
  before: WebSideSchema.nullable(),
  after: WebSideSchema.nullable(),
  changed,
}).openapi("NameChange");

const counts = z.object({
  appeared: z.int().optional(),
  vanished: z.int().optional(),
  opened: z.int().optional(),
  closed: z.int().optional(),
  changed: z.int().optional(),
  first_seen: z.int().optional(),
  not_seen_again: z.int().optional(),
  unchanged: z.int().optional(),
}).optional();

/** A page of what changed from one scan to another. */
export const DiffSchema = z.object({
  kind: z.enum(["hosts", "paths", "names"]),
  older: ScanRefSchema,
  newer: ScanRefSchema,
  compared: z.object({
    targets: z.array(z.string()),
    addresses: z.number().nullable(),
    ports: z.string().nullable(),
    services: z.boolean(),
  }),
  totals: z.object({
    hosts: counts,
    ports: counts,
    paths: counts,
    names: counts,
  }),
  changes: z.array(z.discriminatedUnion("kind", [
    HostChangeSchema,
    PortChangeSchema,
    PathChangeSchema,
    NameChangeSchema,
  ])),
  changes_total: z.int().openapi({
    description: "Changes that are held, over all pages.",
  }),
  not_compared: z.array(z.object({
    subject: z.enum(["hosts", "open_ports", "services", "paths", "names"]),
    seen_in: z.enum(["older", "newer", "both"]),
    reason: z.enum([
      "not_scanned",
      "port_not_scanned",
      "partial",
      "unclear",
      "host_incomplete",
      "detection_differs",
      "settings_differ",
    ]),
    count: z.int(),
    text: z.string(),
  })),
  notes: z.array(z.string()),
  truncated: z.string().optional().openapi({
    description: "Set where there are more changes than are held.",
  }),
  next_cursor: nextCursor,
}).openapi("ScanDiff", {
  description:
    "What changed from the older scan to the newer one. Text under untrusted was sent by scanned hosts.",
});
