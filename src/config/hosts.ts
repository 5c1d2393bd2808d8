/**
 * The hosts that a configuration names: what the HTTP server listens on and connects to. They become
 * its `--allow-net`, port by port, so that it can reach nothing else.
 *
 * @module
 */
import type { Config } from "./schema.ts";

/** A database's port where its URL names none. */
const POSTGRES_PORT = 5432;

/**
 * Lists the hosts.
 *
 * @param config The configuration.
 * @returns `host:port` each: its own address first, then the identity provider's and the database's.
 */
export function hostsOf({ server, identity, database }: Config): string[] {
  const named = [
    identity.issuer !== null && identity.jwks_url === null
      ? identity.issuer
      : null,
    identity.jwks_url,
    /^postgres(?:ql)?:/.test(database.url) ? database.url : null,
  ];
  const hosts = named.flatMap((url) => url === null ? [] : [hostOf(url)]);
  const own = server.host.includes(":") ? `[${server.host}]` : server.host;
  return [...new Set([`${own}:${server.port}`, ...hosts])];
}

function hostOf(text: string): string {
  // The standard parser takes a host only of schemes that it knows.
  const url = new URL(text.replace(/^postgres(?:ql)?:/, "http:"));
  const isDatabase = /^postgres/.test(text);
  const port = url.port !== ""
    ? url.port
    : isDatabase
    ? String(POSTGRES_PORT)
    : url.protocol === "https:"
    ? "443"
    : "80";
  return `${url.hostname}:${port}`;
}
