/**
 * Who may do what: one table. Whatever is not in it nobody may.
 *
 * A role says what its holder is for; none of them contains another, so that whoever manages keys does
 * not scan by that, and whoever asks does not approve. Scopes narrow credentials further and never
 * widen them. What belongs to the server and not to a tenant is for the house alone.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { ToolName } from "@/tools/tool.ts";
import { HOUSE, type Principal, type Role, type Scope } from "./principal.ts";

/** What can be asked for. */
export type AuthorizedOperation =
  | `scan:${ToolName}`
  | `plan:${ToolName}`
  | "read"
  | "tools"
  | "stats"
  | "events"
  | "cancel"
  | "approvals"
  | "approve"
  | "keys"
  | "audit"
  | "tenants"
  | "configure"
  | "policies"
  | "metrics";

/** What an operation needs. */
export interface Need {
  /** Any of these roles. */
  readonly roles: readonly Role[];
  /** Any of these, if the credentials are narrowed. */
  readonly scopes: readonly Scope[];
  /** Whether the tenant has to be {@linkcode HOUSE}. */
  readonly house: boolean;
}

const EVERYBODY: readonly Role[] = ["viewer", "operator", "approver", "admin"];

function need(
  roles: readonly Role[],
  scopes: readonly Scope[],
  where: { readonly house: boolean } = { house: false },
): Need {
  return { roles, scopes, ...where };
}

const READ = need(EVERYBODY, ["read"]);
const ADMIN = need(["admin"], ["admin"]);
const HOUSE_ADMIN = need(["admin"], ["admin"], { house: true });

/** The table. */
export const NEEDS: Readonly<Record<AuthorizedOperation, Need>> = {
  /** Scans, the inventory, reports, search. */
  read: READ,
  /** The tools and what may be scanned with them: also for whoever may do nothing but scan. */
  tools: need(EVERYBODY, [
    "read",
    "scan:nmap",
    "scan:masscan",
    "scan:gobuster",
  ]),
  stats: READ,
  events: READ,
  "plan:nmap": need(["operator"], ["scan:nmap"]),
  "plan:masscan": need(["operator"], ["scan:masscan"]),
  "plan:gobuster": need(["operator"], ["scan:gobuster"]),
  "scan:nmap": need(["operator"], ["scan:nmap"]),
  "scan:masscan": need(["operator"], ["scan:masscan"]),
  "scan:gobuster": need(["operator"], ["scan:gobuster"]),
  cancel: need(["operator"], ["cancel"]),
  /** To see what waits, and what became of it. */
  approvals: need(EVERYBODY, ["read", "approve"]),
  /** To decide. */
  approve: need(["approver"], ["approve"]),
  keys: ADMIN,
  audit: ADMIN,
  /** Its own tenant; the house sees all of them. */
  tenants: ADMIN,
  /** The configuration, tools on and off, breakers: they are everybody's. */
  configure: HOUSE_ADMIN,
  /** Policies name every tenant's networks. */
  policies: HOUSE_ADMIN,
  /** Counters over all tenants, for whoever runs the server. */
  metrics: need(EVERYBODY, ["read"], { house: true }),
};

/** A refusal that wider credentials of the same holder would mend: a scope is all that is missing. */
export class ScopeError extends AppError {
  /** The least that it takes. */
  readonly scope: Scope;

  /**
   * @param message What was refused, and the way out.
   * @param scope The least that it takes.
   */
  constructor(message: string, scope: Scope) {
    super("forbidden", message);
    this.scope = scope;
  }
}

/** Why somebody may not do something. */
interface Obstacle {
  readonly why: string;
  /** The scope that is all that is missing, or null. */
  readonly scope: Scope | null;
}

/**
 * Tells whether a caller may do something.
 *
 * @param principal The caller.
 * @param operation What.
 * @returns Whether it may.
 */
export function may(
  principal: Principal,
  operation: AuthorizedOperation,
): boolean {
  return obstacle(principal, operation) === null;
}

/**
 * Refuses a caller that may not do something.
 *
 * @param principal The caller.
 * @param operation What.
 * @throws {AppError} `forbidden`, with the role or scope that it takes; a {@linkcode ScopeError} where
 * only a scope is missing.
 */
export function require(
  principal: Principal,
  operation: AuthorizedOperation,
): void {
  const found = obstacle(principal, operation);
  if (found !== null) throw refusal(operation, found);
}

/**
 * Says how a caller is refused whose scopes do not reach.
 *
 * @param principal The caller.
 * @param operation What it would do.
 * @returns The refusal; null if it may, or if more than a scope is missing.
 */
export function scopeErrorOf(
  principal: Principal,
  operation: AuthorizedOperation,
): ScopeError | null {
  const found = obstacle(principal, operation);
  const error = found === null ? null : refusal(operation, found);
  return error instanceof ScopeError ? error : null;
}

function refusal(
  operation: AuthorizedOperation,
  { why, scope }: Obstacle,
): AppError {
  const message =
    `Cannot do this ("${operation}"): ${why}; ask whoever runs the server for credentials that have it`;
  return scope === null
    ? new AppError("forbidden", message)
    : new ScopeError(message, scope);
}

/**
 * Refuses a caller that would make a key with more than it has itself: for another tenant, unless it
 * is of the house, or with scopes that its own credentials lack. Roles are not compared: to hand them
 * out is what an admin is for.
 *
 * @param principal Whoever asks for the key; that it may manage keys is another question.
 * @param key The key's tenant and scopes.
 * @throws {AppError} `forbidden`.
 */
export function requireGrant(
  principal: Principal,
  key: {
    readonly tenant: string;
    readonly scopes?: readonly string[] | null;
  },
): void {
  if (key.tenant !== principal.tenant && principal.tenant !== HOUSE) {
    throw new AppError(
      "forbidden",
      `Cannot make the key: keys of other tenants are for admins of the tenant ${HOUSE}; leave the tenant out`,
    );
  }
  const own: ReadonlySet<string> | null = principal.scopes;
  const asked = key.scopes ?? null;
  if (
    own === null || (asked !== null && asked.every((scope) => own.has(scope)))
  ) {
    return;
  }
  throw new AppError(
    "forbidden",
    `Cannot make the key: your credentials are narrowed, so its scopes have to be of ${
      [...own].join(", ")
    }`,
  );
}

/** Roles and tenant first, then scopes: what is named is enough, so that nobody is refused twice. */
function obstacle(
  principal: Principal,
  operation: AuthorizedOperation,
): Obstacle | null {
  if (!Object.hasOwn(NEEDS, operation)) {
    return { why: "nobody may", scope: null };
  }
  const { roles, scopes, house } = NEEDS[operation];
  const foreign = house && principal.tenant !== HOUSE;
  if (foreign || !roles.some((role) => principal.roles.has(role))) {
    const role = `it takes the role ${roles.join(" or ")}`;
    return {
      why: foreign ? `${role} of the tenant ${HOUSE}` : role,
      scope: null,
    };
  }
  const narrowed = principal.scopes;
  if (narrowed === null || scopes.some((scope) => narrowed.has(scope))) {
    return null;
  }
  const [least = null] = scopes;
  return { why: `it takes the scope ${scopes.join(" or ")}`, scope: least };
}
