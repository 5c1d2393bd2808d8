/**
 * How a client learns where to get credentials: the `WWW-Authenticate` field (RFC 6750) that points to
 * the metadata of the protected resource (RFC 9728), which names the issuer.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import { type Scope, SCOPES } from "@/identity/principal.ts";

/** Where the metadata of this server is. */
export const METADATA_PATH = "/.well-known/oauth-protected-resource";

/** Where MCP clients look for it: the path of the resource goes behind the well-known one. */
export const MCP_METADATA_PATH = `${METADATA_PATH}/mcp`;

/**
 * Why a request was refused, in the words of RFC 6750; null where it had no credentials. Whoever lacks a
 * scope is told which, so that a client can ask for it and come back.
 */
export type ChallengeError =
  | { readonly error: "invalid_token" }
  | { readonly error: "insufficient_scope"; readonly scope: Scope }
  | null;

/**
 * Writes the field.
 *
 * @param origin How clients reach this server.
 * @param path The path of the request.
 * @param error Why it was refused.
 * @returns The field's value.
 */
export function challenge(
  origin: string,
  path: string,
  error: ChallengeError,
): string {
  const metadata = path === "/mcp" ? MCP_METADATA_PATH : METADATA_PATH;
  const fields = { ...error, resource_metadata: `${origin}${metadata}` };
  const told = Object.entries(fields).map(([name, value]) =>
    `${name}="${value}"`
  );
  return `Bearer ${told.join(", ")}`;
}

/**
 * Writes the metadata of a protected resource.
 *
 * @param resource The resource's address.
 * @param identity The section of the configuration.
 * @returns The metadata (RFC 9728).
 */
export function resourceMetadata(
  resource: string,
  identity: Config["identity"],
): Readonly<Record<string, unknown>> {
  return {
    resource,
    ...(identity.issuer === null
      ? {}
      : { authorization_servers: [identity.issuer] }),
    bearer_methods_supported: ["header"],
    scopes_supported: SCOPES,
    resource_name: "Security MCP Server",
  };
}
