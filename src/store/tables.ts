/**
 * The tables as the typed queries see them. The SQL that makes them is in `migrations.ts`.
 *
 * Every row that a scan found has an id made of the scan's number and a number within the scan, so
 * that the rows of one scan lie together, newer scans have greater ids, and a scan's rows are a range
 * of the primary key: no further index is needed to page through a report or to remove a scan.
 *
 * @module
 */
import type { Generated } from "kysely";

/** Rows that one scan may have. */
export const ROWS_PER_SCAN = 2 ** 22;

/** Scans that a store may ever have had: ids stay whole numbers that a double can hold. */
export const SCANS_MAX = 2 ** 31 - 1;

/** One row a scan. JSON is text: PostgreSQL's own type would refuse U+0000 in it. */
export interface ScanTable {
  seq: Generated<number>;
  id: string;
  tenant: string;
  tool: string;
  status: string;
  request: string;
  target: string;
  target_key: string;
  targets: string;
  argv: string;
  scan_type: string;
  progress: string | null;
  error: string | null;
  notes: string;
  summary: string | null;
  trace_id: string;
  engagement: string | null;
  tags: string;
  /** Empty where nobody is told apart: a unique index takes every NULL for a different one. */
  client: string;
  /** JSON; null for what was asked before callers were told apart, and for what no caller asked for. */
  asked_by: string | null;
  idempotency_key: string | null;
  request_digest: string | null;
  queued_at: number;
  started_at: number | null;
  finished_at: number | null;
  report: string | null;
  raw_bytes: number;
  raw_truncated: number;
  host_count: number;
  service_count: number;
  path_count: number;
  /** Number of the last row. */
  rows_used: number;
  /** About how much room it takes. */
  bytes: number;
  requeued: number;
  runner: number | null;
  /** 1 while it is being removed: nobody sees it any more. */
  removing: number;
}

/** One host of one scan. */
export interface ScanHostTable {
  id: number;
  scan_seq: number;
  address_key: string;
  address: string;
  status: string;
  /** What else the report says of the host, without its ports. */
  detail: string | null;
}

/** One port of one host of one scan. */
export interface ScanPortTable {
  id: number;
  host_id: number;
  protocol: string;
  port: number;
  state: string;
  service: string | null;
  product_key: string | null;
  /** What else the report says of the port. */
  detail: string | null;
  seen_at: number;
  /** 1 if the full-text index has it. */
  indexed: number;
}

/** One path or name of one scan. */
export interface ScanPathTable {
  id: number;
  scan_seq: number;
  /** Digest of what is found at most once. */
  digest: string;
  detail: string;
}

/** A piece of raw output. */
export interface ScanRawTable {
  scan_seq: number;
  /** Where it begins. */
  at: number;
  /** How long it is when it is unpacked. */
  length: number;
  bytes: Uint8Array;
}

/** What an inventory is of: everything of a tenant, one of its engagements, one of its tags. */
export interface ScopeTable {
  id: Generated<number>;
  tenant: string;
  kind: string;
  name: string;
}

/** Which scans an engagement or a tag has. */
export interface ScanScopeTable {
  scope_id: number;
  scan_id: string;
}

/** What is known of a host over all scans of a scope. */
export interface InventoryHostTable {
  scope_id: number;
  address_key: string;
  address: string;
  status: string;
  detail: string | null;
  first_seen: number;
  last_seen: number;
  checked_at: number;
  first_scan: string;
  last_scan: string;
}

/** What is known of a service over all scans of a scope. */
export interface InventoryServiceTable {
  scope_id: number;
  address_key: string;
  protocol: string;
  port: number;
  address: string;
  state: string;
  service: string | null;
  product: string | null;
  product_key: string | null;
  version: string | null;
  first_seen: number;
  last_seen: number;
  checked_at: number;
  first_scan: string;
  last_scan: string;
}

/** A process that runs scans. */
export interface RunnerTable {
  no: Generated<number>;
  started_at: number;
}

/** An API key. Of its secret there is a digest only. */
export interface ApiKeyTable {
  id: string;
  name: string;
  tenant: string;
  roles: string;
  scopes: string | null;
  digest: string;
  previous_digest: string | null;
  previous_until: number | null;
  created_at: number;
  created_by: string;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
}

/** A request that waits for a second person, or did. */
export interface ApprovalTable {
  id: string;
  tenant: string;
  status: string;
  requester_kind: string;
  requester_subject: string;
  requester_client: string;
  requester_roles: string;
  tool: string;
  target: string;
  arguments: string;
  digest: string;
  policies: string;
  demands: string;
  by_client_user: number;
  requested_at: number;
  expires_at: number;
  decided_at: number | null;
  decided_by: string | null;
  note: string | null;
  scan_id: string | null;
}

/** A migration that was applied. */
export interface SchemaTable {
  version: number;
  name: string;
  checksum: string;
  applied_at: number;
  program: string;
}

/** Every table but the full-text index, which is not the same in both databases. */
export interface Tables {
  scans: ScanTable;
  scan_hosts: ScanHostTable;
  scan_ports: ScanPortTable;
  scan_paths: ScanPathTable;
  scan_raw: ScanRawTable;
  scopes: ScopeTable;
  scan_scopes: ScanScopeTable;
  inventory_hosts: InventoryHostTable;
  inventory_services: InventoryServiceTable;
  runners: RunnerTable;
  api_keys: ApiKeyTable;
  approvals: ApprovalTable;
  store_schema: SchemaTable;
}
