/**
 * Writes an entry as a line of syslog (RFC 5424) with a CEF event in it, for a SIEM.
 *
 * CEF has two rules of escaping: in the header `\` and `|`, in a value `\`, `=` and the ends of lines.
 * Any other control character is written as its `\u` form, so that an entry stays one line of text
 * whatever somebody put into a target's name.
 *
 * @module
 */
import type { Plain } from "@/log/redact.ts";
import { canonicalJson } from "./canonical.ts";
import type { Line } from "./line.ts";

/** Syslog's facility "log audit". */
const FACILITY = 13;

const PRODUCT = "security-mcp-server";

/** What an event of a kind is called, and how much it weighs from 0 to 10. */
interface Weight {
  readonly name: string;
  readonly severity: number;
}

const WEIGHTS: ReadonlyMap<string, Weight> = new Map([
  ["request", { name: "Request received", severity: 2 }],
  ["decision", { name: "Request allowed", severity: 3 }],
  ["scan_started", { name: "Scan started", severity: 3 }],
  ["scan_ended", { name: "Scan ended", severity: 2 }],
  ["approval_expired", { name: "Approval expired", severity: 4 }],
  ["config_changed", { name: "Configuration changed", severity: 5 }],
  ["server_started", { name: "Server started", severity: 3 }],
  ["server_stopped", { name: "Server stopped", severity: 3 }],
  ["log_opened", { name: "Audit log opened", severity: 3 }],
  ["checkpoint", { name: "Audit checkpoint", severity: 0 }],
  ["recovered", { name: "Audit log recovered", severity: 7 }],
  ["files_removed", { name: "Audit files removed", severity: 5 }],
]);

/** Refusals of somebody who tried what is forbidden, and not of somebody who wrote it wrongly. */
const FORBIDDEN: ReadonlySet<Plain> = new Set([
  "target_not_allowed",
  "intrusive_not_allowed",
  "policy_denied",
  "unauthenticated",
  "forbidden",
]);

/** Fields with a CEF name of their own. The custom ones carry their label. */
const NAMED: readonly (readonly [string, string, string?])[] = [
  ["outcome", "outcome"],
  ["operation", "act"],
  ["tool", "deviceProcessName"],
  ["code", "reason"],
  ["message", "msg"],
  ["scan_id", "cs1", "scan_id"],
  ["trace_id", "cs2", "trace_id"],
  ["rule", "cs3", "rule"],
  ["config_hash", "cs4", "config_hash"],
  ["policy_hash", "cs5", "policy_hash"],
  ["target", "cs6", "target"],
  ["arguments", "flexString1", "arguments"],
];

/**
 * Writes an entry.
 *
 * @param line The entry.
 * @param version The version of the program that writes it.
 * @returns One line without its end.
 */
export function cefLine(line: Line, version: string): string {
  const { name, severity } = weightOf(line);
  const priority = FACILITY * 8 + syslogSeverity(severity);
  const header = [
    "Security MCP Server",
    PRODUCT,
    version,
    line.kind,
    name,
    String(severity),
  ].map(escapeHeader).join("|");
  return `<${priority}>1 ${line.time} - ${PRODUCT} - ${line.kind} - ` +
    `CEF:0|${header}|${extensionOf(line)}`;
}

function weightOf({ kind, fields }: Line): Weight {
  const weight = WEIGHTS.get(kind) ?? { name: kind, severity: 3 };
  const { outcome, code } = fields;
  if (kind === "decision" && outcome === "refused") {
    return {
      name: "Request refused",
      severity: FORBIDDEN.has(code ?? null) ? 7 : 5,
    };
  }
  if (kind === "scan_ended" && code !== null && code !== undefined) {
    return { name: "Scan failed", severity: 4 };
  }
  return weight;
}

function syslogSeverity(severity: number): number {
  if (severity >= 7) return 4;
  return severity >= 4 ? 5 : 6;
}

function extensionOf({ seq, time, kind, prev, fields }: Line): string {
  const others: Record<string, Plain> = { ...fields };
  delete others["who"];
  const pairs: [string, Plain | undefined][] = [
    ["rt", Date.parse(time)],
    ["cat", kind],
    ["externalId", String(seq)],
    ...whoOf(fields["who"]),
  ];
  for (const [field, key, label] of NAMED) {
    const value = others[field];
    delete others[field];
    if (value === undefined || value === null) continue;
    pairs.push([key, value]);
    if (label !== undefined) pairs.push([`${key}Label`, label]);
  }
  if (Object.values(others).some((value) => value !== null)) {
    pairs.push(["flexString2", others], ["flexString2Label", "details"]);
  }
  pairs.push(["fileHash", prev]);
  return pairs.map(([key, value]) =>
    `${key}=${
      escapeValue(
        typeof value === "string" ? value : canonicalJson(value ?? null),
      )
    }`
  ).join(" ");
}

/** An address has a key of its own by its kind, so that a SIEM can look it up. */
function whoOf(who: Plain | undefined): [string, Plain][] {
  if (typeof who !== "object" || who === null || Array.isArray(who)) return [];
  const { client = null, transport = null, address = null } = who;
  const pairs: [string, Plain][] = [["suser", client], ["app", transport]];
  if (typeof address !== "string") return pairs;
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(address)) {
    return [...pairs, ["src", address]];
  }
  if (!address.includes(":")) return [...pairs, ["shost", address]];
  return [
    ...pairs,
    ["c6a2", address],
    ["c6a2Label", "Source IPv6 Address"],
  ];
}

function escapeHeader(text: string): string {
  return visible(text.replace(/[\\|]/g, "\\$&").replace(/[\r\n]+/g, " "));
}

function escapeValue(text: string): string {
  return visible(
    text.replace(/[\\=]/g, "\\$&").replaceAll("\n", "\\n")
      .replaceAll("\r", "\\r"),
  );
}

/** Control and format characters, and the ends of lines that Unicode knows besides. */
function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu,
    (char) =>
      `\\\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
