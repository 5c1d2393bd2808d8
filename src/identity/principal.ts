/**
 * Who a caller is: proved by a key or a token over HTTP, and by the operating system over stdio and in
 * a terminal, where whoever starts the process owns it.
 *
 * @module
 */
import { HOUSE_TENANT } from "@/store/tenant.ts";
import type { ToolName } from "@/tools/tool.ts";

/** What a person or a program is for. Each is given by itself: an admin may not scan by that alone. */
export const ROLES = ["viewer", "operator", "approver", "admin"] as const;

/** One of {@linkcode ROLES}. */
export type Role = typeof ROLES[number];

/** What credentials may be narrowed to, besides their roles. */
export const SCOPES = [
  "read",
  "scan:nmap",
  "scan:masscan",
  "scan:gobuster",
  "cancel",
  "approve",
  "admin",
] as const satisfies readonly (`scan:${ToolName}` | string)[];

/** One of {@linkcode SCOPES}. */
export type Scope = typeof SCOPES[number];

/** The tenant of whoever runs the server: its admins administer the server itself. */
export const HOUSE = HOUSE_TENANT;

/** The subject of an API key. */
export function keySubject(id: string): string {
  return `key:${id}`;
}

/** The id of the API key that a subject is, or null if it is none. */
export function keyIdOf(subject: string): string | null {
  return /^key:(.+)$/.exec(subject)?.[1] ?? null;
}

/** A caller whose credentials were proved. */
export interface Principal {
  readonly kind: "local" | "key" | "token";
  /** Stable and unique: `local`, `key:ID`, `ISSUER#SUBJECT`. */
  readonly subject: string;
  /** What lists and the audit log call it. */
  readonly client: string;
  /** Whose scans, inventory, audit entries and keys it sees. */
  readonly tenant: string;
  readonly roles: ReadonlySet<Role>;
  /** What the credentials are narrowed to; null for everything that the roles allow. */
  readonly scopes: ReadonlySet<Scope> | null;
  /**
   * When the credentials end, in milliseconds since the epoch.
   *
   * @default {null} never by time alone
   */
  readonly expiresAt?: number | null;
}

/** Whoever asked for something, as its record keeps it. */
export interface RecordedPrincipal
  extends Pick<Principal, "kind" | "subject" | "client" | "tenant"> {
  readonly roles: readonly Role[];
}

/**
 * Gives somebody whose request goes on without them: the roles are those of then, and what their
 * credentials were narrowed to was checked when they asked.
 *
 * @param recorded What the record says.
 * @returns The principal.
 */
export function principalOf(recorded: RecordedPrincipal): Principal {
  const { kind, subject, client, tenant, roles } = recorded;
  return {
    kind,
    subject,
    client,
    tenant,
    roles: new Set(roles),
    scopes: null,
  };
}

/** Whoever started the process: over stdio and in a terminal. */
export const LOCAL: Principal = Object.freeze({
  kind: "local",
  subject: "local",
  client: "local",
  tenant: HOUSE,
  roles: new Set(ROLES),
  scopes: null,
});
