/**
 * Puts together what proves who calls: what the composition root calls.
 *
 * @module
 */
import type { Authenticator } from "./authenticator.ts";
import type { ClaimRules } from "./claims.ts";
import {
  findOrMakeIdentityKey,
  type IdentityKeySettings,
} from "./identity_key.ts";
import type { Fetch } from "./issuer_fetch.ts";
import { loadKeyMac } from "./key_mac.ts";
import type { KeyRows } from "./key_rows.ts";
import { ApiKeys } from "./keys.ts";
import { tenantsOf } from "./tenants.ts";
import type { TokenVerifier } from "./tokens.ts";

/** The part of a configuration that says who is let in. */
export interface IdentityConfig {
  readonly issuer: string | null;
  readonly audience: string | null;
  readonly jwks_url: string | null;
  readonly algorithms: readonly string[];
  readonly clock_skew_seconds: number;
  readonly tenant_claim: string;
  readonly roles_claim: string;
  readonly role_names: readonly string[];
  readonly tenants: readonly string[];
}

/** Clocks, and who hears of warnings. */
export interface IdentityWorld {
  /** Milliseconds since the epoch. */
  readonly wallNow: () => number;
  /** A clock that only goes forward, in milliseconds. */
  readonly now: () => number;
  readonly onWarning: (message: string, cause: unknown) => void;
}

/**
 * Opens the API keys; the identity key is made if there is none and no API key needs an older one.
 *
 * @param settings Where the identity key lies.
 * @param rows Where API keys are kept.
 * @param world Clocks, warnings and the tenants of the moment.
 * @returns The API keys.
 * @throws {AppError} `invalid_arguments` if the identity key is unfit or missing.
 */
export async function openApiKeys(
  settings: IdentityKeySettings,
  rows: KeyRows,
  world: IdentityWorld & { readonly tenants: () => ReadonlySet<string> },
): Promise<ApiKeys> {
  const key = await findOrMakeIdentityKey(
    settings,
    async () => await rows.countKeys() > 0,
  );
  for (const warning of key.warnings) world.onWarning(warning, null);
  return new ApiKeys({
    ...world,
    rows,
    mac: await loadKeyMac(key.bytes),
    random: (bytes) => crypto.getRandomValues(bytes),
  });
}

/**
 * Opens the API keys for commands that only list and revoke. They need no identity key: where it is
 * lost, revoking is the way out.
 *
 * @param rows Where API keys are kept.
 * @param world Clocks and warnings.
 * @returns What lists and revokes.
 */
export function openKeyList(
  rows: KeyRows,
  world: IdentityWorld,
): Pick<ApiKeys, "list" | "revoke"> {
  const nothing = () => {
    throw new TypeError("Cannot make a sum: there is no identity key here");
  };
  return new ApiKeys({
    ...world,
    rows,
    tenants: () => new Set(),
    mac: { sum: nothing, equal: nothing },
    random: nothing,
  });
}

/**
 * Makes what checks tokens. A reload that changes `identity` makes another one.
 *
 * @param identity The configuration.
 * @param world Clocks, warnings and `fetch`.
 * @returns What checks tokens, or null where no issuer is configured; then jose is not even loaded.
 */
export async function openTokens(
  identity: IdentityConfig,
  world: IdentityWorld & { readonly fetch: Fetch },
): Promise<TokenVerifier | null> {
  const { issuer, audience } = identity;
  if (issuer === null || audience === null) return null;
  const [{ TokenVerifier }, { IssuerKeys }, { roleNamesOf }] = await Promise
    .all([
      import("./tokens.ts"),
      import("./issuer_keys.ts"),
      import("./claims.ts"),
    ]);
  const tenants = tenantsOf(identity);
  const claims: ClaimRules = {
    issuer,
    tenantClaim: identity.tenant_claim,
    rolesClaim: identity.roles_claim,
    roleNames: roleNamesOf(identity.role_names),
    tenants: () => tenants,
  };
  const keys = new IssuerKeys({ ...world, issuer, jwksUrl: identity.jwks_url });
  return new TokenVerifier(
    {
      ...claims,
      audience,
      algorithms: identity.algorithms,
      clockSkewSeconds: identity.clock_skew_seconds,
    },
    keys,
    world.wallNow,
  );
}

/**
 * Makes what proves who calls.
 *
 * @param keys The API keys.
 * @param tokens What checks tokens at the moment, or null.
 * @returns What takes an Authorization header.
 */
export async function openAuthenticator(
  keys: ApiKeys,
  tokens: () => TokenVerifier | null,
): Promise<Authenticator> {
  const [{ Authenticator }, { FailureLimiter }] = await Promise.all([
    import("./authenticator.ts"),
    import("./failures.ts"),
  ]);
  return new Authenticator({ keys, tokens, failures: new FailureLimiter() });
}
