/**
 * How a client learns where to get credentials: the `WWW-Authenticate` field (RFC 6750) that points to
 * the metadata of the protected resource (RFC 9728), which names the issuer.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import { SCOPES } from "@/identity/principal.ts";

/** Where the metadata of this server is. */
export const METADATA_PATH = "/.well-known/oauth-protected-resource";

/** Where MCP clients look for it: the path of the resource goes behind the well-known one. */
export const MCP_METADATA_PATH = `${METADATA_PATH}/mcp`;

/** Why a request was refused, in the words of RFC 6750; null where it had no credentials. */
export type ChallengeError = "invalid_token" | "insufficient_scope" | null;

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
  const reason = error === null ? "" : `error="${error}", `;
  return `Bearer ${reason}resource_metadata="${origin}${metadata}"`;
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
