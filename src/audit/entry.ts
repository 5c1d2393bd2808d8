/**
 * What the audit log holds: who asked for what, from where, what was decided by which rule, and what
 * came of it. The port through which the rest of the program records it is {@linkcode Audit}.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";
import type { Plain } from "@/log/redact.ts";
import type { Labels } from "@/scope/rules.ts";
import { cleanText } from "@/tools/untrusted.ts";
import {
  auditText,
  auditValue,
  type Hash,
  LONG_TEXT_MAX,
  SHORT_TEXT_MAX,
} from "./text.ts";

/** Where a call came from. */
export interface From {
  /** The client as it is known: the name of its key, its user, or what it calls itself. */
  readonly client: string;
  readonly transport: "stdio" | "http" | "cli";
  /** The address that it came from, where there is one. */
  readonly address: string | null;
}

/** Whose call it is and where it came from. */
export interface Who extends From {
  /** Whose entries these are: nobody else reads them. */
  readonly tenant: string;
  /** What its credentials prove: `key:ID`, say. */
  readonly subject: string;
}

/** What a caller may ask for. */
export const OPERATIONS = [
  "scan",
  "plan",
  "cancel",
  "read",
  "import",
  "export",
  "delete",
  "configure",
  "approve",
  "keys",
] as const;

/** One of {@linkcode OPERATIONS}. */
export type Operation = typeof OPERATIONS[number];

/** Somebody asked for something. */
export interface RequestEntry {
  readonly kind: "request";
  readonly who: Who;
  readonly operation: Operation;
  /** The tool as the client named it. */
  readonly tool: string | null;
  /** The arguments as the client sent them. */
  readonly arguments: unknown;
  readonly traceId: string;
}

/** It was allowed or refused. Flushed before a scan starts. */
export interface DecisionEntry {
  readonly kind: "decision";
  readonly who: Who;
  readonly operation: Operation;
  readonly tool: string | null;
  readonly target: string | null;
  readonly outcome: "allowed" | "refused";
  /** The guardrail, policy or limit that decided. */
  readonly rule: string;
  /** Why it was refused. */
  readonly code: ErrorCode | null;
  readonly message: string | null;
  /** The scan that it became or belongs to. */
  readonly scanId: string | null;
  /** What it is kept under; null for nothing, or where it was refused before that was read. */
  readonly labels: Labels | null;
  readonly traceId: string;
  readonly configHash: string;
  readonly policyHash: string | null;
  /** The policies that decided, by their ids; none where it was refused before they were asked. */
  readonly policies: readonly string[];
}

/** A scanner is started for an allowed request. */
export interface ScanStartedEntry {
  readonly kind: "scan_started";
  readonly tenant: string;
  readonly scanId: string;
  readonly traceId: string;
  readonly tool: string;
  /** Addresses and names as they are scanned. */
  readonly targets: readonly string[];
  readonly argv: readonly (readonly string[])[];
}

/** A scan is over. */
export interface ScanEndedEntry {
  readonly kind: "scan_ended";
  readonly tenant: string;
  readonly scanId: string;
  readonly traceId: string;
  readonly tool: string;
  readonly status: string;
  readonly code: ErrorCode | null;
}

/** Nobody decided in time on a request that waited for a second person. */
export interface ApprovalExpiredEntry {
  readonly kind: "approval_expired";
  readonly tenant: string;
  readonly approvalId: string;
  /** Who asked, as a decision on their call names them. */
  readonly subject: string;
  readonly tool: string;
  /** The target as the request named it. */
  readonly target: string;
  /** The policies that demanded a second person. */
  readonly policies: readonly string[];
}

/** Another configuration is in force, or was refused. */
export interface ConfigChangedEntry {
  readonly kind: "config_changed";
  /** `file`, `SIGHUP`, … */
  readonly source: string;
  readonly outcome: "applied" | "refused";
  /** The names of the keys that changed; never their values. */
  readonly keys: readonly string[];
  readonly configHash: string;
  readonly policyHash: string | null;
}

/** The server or a command begins to take calls. */
export interface ServerStartedEntry {
  readonly kind: "server_started";
  readonly version: string;
  readonly transport: Who["transport"];
  readonly sandbox: string;
  readonly configHash: string;
  readonly policyHash: string | null;
}

/** It takes no more. */
export interface ServerStoppedEntry {
  readonly kind: "server_stopped";
  readonly reason: string;
}

/** What can be recorded. The log adds entries of its own: see `own_entry.ts`. */
export type AuditEntry =
  | RequestEntry
  | DecisionEntry
  | ScanStartedEntry
  | ScanEndedEntry
  | ApprovalExpiredEntry
  | ConfigChangedEntry
  | ServerStartedEntry
  | ServerStoppedEntry;

/** Keeps entries. What it is given may hold anything a client sent. */
export interface Audit {
  /**
   * Records an entry.
   *
   * @param entry What happened.
   * @returns A promise that resolves when the entry is on the disk.
   * @throws {AppError} `tool_unavailable` or `queue_full` if it cannot be recorded: what it speaks of
   * must not happen then.
   */
  append(entry: AuditEntry): Promise<void>;
}

type NamesOf<E> = E extends AuditEntry
  ? { readonly kind: E["kind"]; readonly names: readonly (keyof E)[] }
  : never;

/**
 * The fields of each kind. Only these are written: an object that happens to carry more does not
 * bring it into the log.
 */
const FIELDS: readonly NamesOf<AuditEntry>[] = [
  {
    kind: "request",
    names: ["who", "operation", "tool", "arguments", "traceId"],
  },
  {
    kind: "decision",
    names: [
      "who",
      "operation",
      "tool",
      "target",
      "outcome",
      "rule",
      "code",
      "message",
      "scanId",
      "labels",
      "traceId",
      "configHash",
      "policyHash",
      "policies",
    ],
  },
  {
    kind: "scan_started",
    names: ["tenant", "scanId", "traceId", "tool", "targets", "argv"],
  },
  {
    kind: "scan_ended",
    names: ["tenant", "scanId", "traceId", "tool", "status", "code"],
  },
  {
    kind: "approval_expired",
    names: ["tenant", "approvalId", "subject", "tool", "target", "policies"],
  },
  {
    kind: "config_changed",
    names: ["source", "outcome", "keys", "configHash", "policyHash"],
  },
  {
    kind: "server_started",
    names: ["version", "transport", "sandbox", "configHash", "policyHash"],
  },
  { kind: "server_stopped", names: ["reason"] },
];

/** Every kind that a line of the log may have: those of the server, and those of the log itself. */
export const ENTRY_KINDS: readonly string[] = [
  ...FIELDS.map(({ kind }) => kind),
  ...["log_opened", "checkpoint", "recovered", "files_removed"],
];

/** Texts that may be long; any other is cut short. */
const LONG = new Set(["target", "message"]);

/**
 * Makes the members of an entry's line.
 *
 * @param entry The entry.
 * @param hash Hashes the whole of what is cut.
 * @returns Plain data in `snake_case`, bounded and without secrets.
 * @throws {TypeError} If there is no such kind.
 */
export function fieldsOf(
  entry: AuditEntry,
  hash: Hash,
): Record<string, Plain> {
  const found = FIELDS.find(({ kind }) => kind === entry.kind);
  if (found === undefined) {
    throw new TypeError("Cannot record an entry of an unknown kind");
  }
  const given = entry as unknown as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    found.names.map((
      name,
    ) => [snakeCase(name), plainOf(name, given[name], hash)]),
  );
}

function plainOf(name: string, value: unknown, hash: Hash): Plain {
  if (value === undefined || value === null) return null;
  if (name === "who") return whoOf(value as Who);
  if (name === "subject") return subjectOf(String(value));
  if (typeof value !== "string") return auditValue(value, hash);
  return auditText(value, LONG.has(name) ? LONG_TEXT_MAX : SHORT_TEXT_MAX);
}

function whoOf({ client, transport, address, tenant, subject }: Who): Plain {
  return {
    client: auditText(client, SHORT_TEXT_MAX),
    tenant: auditText(tenant, SHORT_TEXT_MAX),
    subject: subjectOf(subject),
    transport: auditText(transport, SHORT_TEXT_MAX),
    address: address === null ? null : auditText(address, SHORT_TEXT_MAX),
  };
}

/** Ours or the issuer's word for who it is, and no secret: a key's id looks like one. */
function subjectOf(subject: string): string {
  return cleanText(subject, { lengthMax: SHORT_TEXT_MAX });
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
