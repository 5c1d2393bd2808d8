/**
 * Reads who a caller is out of the claims of a token whose signature holds. The issuer is trusted to
 * say what is true, and not to say it in the form that we hope for.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { cleanText } from "@/tools/untrusted.ts";
import { clientText } from "./client_text.ts";
import { rolesAmong, scopesAmong } from "./keys.ts";
import type { Principal, Role, Scope } from "./principal.ts";

/** Longest subject that an issuer may give, in UTF-16 code units. OpenID Connect has the same. */
const SUBJECT_LENGTH_MAX = 255;

const CLIENT_LENGTH_MAX = 64;

/** Deepest path of a claim. */
const PATH_DEPTH_MAX = 8;

/** How claims become a principal. */
export interface ClaimRules {
  readonly issuer: string;
  /** A claim's name; a dot goes deeper. */
  readonly tenantClaim: string;
  readonly rolesClaim: string;
  /** What the issuer calls our roles. */
  readonly roleNames: ReadonlyMap<string, readonly Role[]>;
  /** The tenants of the moment. */
  readonly tenants: () => ReadonlySet<string>;
}

/** Claims as they were parsed. */
export type Claims = Readonly<Record<string, unknown>>;

/**
 * Reads `identity.role_names`.
 *
 * @param names Items as NAME=ROLE.
 * @returns The roles of each name.
 */
export function roleNamesOf(
  names: readonly string[],
): ReadonlyMap<string, readonly Role[]> {
  const found = new Map<string, readonly Role[]>();
  for (const item of names) {
    const at = item.lastIndexOf("=");
    const name = item.slice(0, at);
    const roles = rolesAmong([item.slice(at + 1)]);
    found.set(name, [...found.get(name) ?? [], ...roles]);
  }
  return found;
}

/**
 * Makes the principal of a token.
 *
 * Roles that nobody knows give nothing: the principal may have none and is refused where it needs one.
 * A scope claim narrows if it speaks of this server, which is to say if it holds one of our scopes or
 * anything that begins with `scan:`; an issuer's `openid profile` says nothing about us and leaves what
 * the roles allow.
 *
 * @param claims The claims.
 * @param rules How to read them.
 * @returns Who it is.
 * @throws {AppError} `unauthenticated` if they do not say who it is, or name no tenant of ours.
 */
export function principalOfClaims(
  claims: Claims,
  rules: ClaimRules,
): Principal {
  const subject = own(claims, "sub");
  // Cleaned it could be another one's.
  if (
    typeof subject !== "string" || subject === "" ||
    cleanText(subject, { lengthMax: SUBJECT_LENGTH_MAX }) !== subject
  ) {
    throw refuse(
      `its sub has to be 1 to ${SUBJECT_LENGTH_MAX} printable characters; mend it at the issuer`,
    );
  }
  const tenant = claimAt(claims, rules.tenantClaim);
  if (typeof tenant !== "string" || !rules.tenants().has(tenant)) {
    throw refuse(
      "the claim of identity.tenant_claim names no tenant of this server; ask whoever runs the " +
        "server to add it to identity.tenants, or the issuer to put it in",
    );
  }
  return Object.freeze({
    kind: "token",
    subject: `${rules.issuer}#${subject}`,
    client: clientOf(claims, subject),
    tenant,
    roles: new Set(rolesOf(claimAt(claims, rules.rolesClaim), rules)),
    scopes: scopesOf(claims),
    ...(typeof claims["exp"] === "number"
      ? { expiresAt: claims["exp"] * 1_000 }
      : {}),
  });
}

/**
 * Finds a claim: by its whole name first, since names may be URLs, then by its path.
 *
 * @param claims The claims.
 * @param path A name; a dot goes deeper.
 * @returns Its value, or undefined. Nothing that is inherited is ever found.
 */
export function claimAt(claims: Claims, path: string): unknown {
  const whole = own(claims, path);
  if (whole !== undefined) return whole;
  const names = path.split(".");
  if (names.length > PATH_DEPTH_MAX) return undefined;
  return names.reduce<unknown>(own, claims);
}

function own(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return undefined;
  }
  return Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** Words in a text, or texts in a list. The length of a token bounds both. */
function wordsOf(value: unknown): readonly string[] {
  const words = typeof value === "string" ? value.split(/[\s,]+/) : value;
  if (!Array.isArray(words)) return [];
  return words.filter((word): word is string =>
    typeof word === "string" && word !== ""
  );
}

function rolesOf(value: unknown, { roleNames }: ClaimRules): readonly Role[] {
  return rolesAmong(
    wordsOf(value).flatMap((word): readonly string[] =>
      roleNames.get(word) ?? [word]
    ),
  );
}

function scopesOf(claims: Claims): ReadonlySet<Scope> | null {
  const said = [own(claims, "scope"), own(claims, "scp")]
    .filter((value) => value !== undefined);
  const words = said.flatMap(wordsOf);
  const scopes = scopesAmong(words);
  const ours = scopes.length > 0 ||
    words.some((word) => word.startsWith("scan:")) ||
    // What cannot be read may have been meant to narrow.
    said.some((value) => typeof value !== "string" && !Array.isArray(value));
  return ours ? new Set(scopes) : null;
}

function clientOf(claims: Claims, subject: string): string {
  for (const name of ["azp", "client_id"]) {
    const said = own(claims, name);
    const text = typeof said === "string"
      ? clientText(said, CLIENT_LENGTH_MAX)
      : "";
    if (text !== "") return text;
  }
  return clientText(subject, CLIENT_LENGTH_MAX);
}

function refuse(why: string): AppError {
  return new AppError("unauthenticated", `Cannot accept the token: ${why}`);
}
