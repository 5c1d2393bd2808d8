/**
 * What can be wrong with the texts that only the HTTP server reads: URLs, origins, hosts, tenants and
 * roles. Each function says what is wrong and how to write it, or returns null.
 *
 * @module
 */
import { parseAddress } from "@/scope/block.ts";
import { shown } from "@/tools/field.ts";

const ROLE_NAMES = ["viewer", "operator", "approver", "admin"];

/** An address of HTTP, without credentials in it. */
export function urlComplaint(text: string): string | null {
  const url = URL.parse(text);
  const sound = url !== null && /^https?:$/.test(url.protocol) &&
    isOneHost(url.hostname) && url.username === "" && url.password === "" &&
    url.hash === "";
  return sound
    ? null
    : "it is no URL; write one such as https://login.example.com/realms/soc, without a password in it";
}

/**
 * Tells whether a URL's host is a single name or address. The parser takes commas and asterisks as well,
 * which have a meaning of their own in `--allow-net`.
 *
 * @param hostname The host as the parser gives it.
 * @returns Whether it is one.
 */
export function isOneHost(hostname: string): boolean {
  return /^(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])$/i.test(hostname);
}

/** A scheme, a host and maybe a port, and nothing else. */
export function originComplaint(text: string): string | null {
  const url = URL.parse(text);
  if (
    url !== null && /^https?:$/.test(url.protocol) && url.origin === text
  ) {
    return null;
  }
  return `${
    shown(text)
  } is no origin; write scheme, host and maybe port, such as https://soc.example.com`;
}

/** The name that a Host header may have, without a port. */
export function hostNameComplaint(text: string): string | null {
  const name = /^(?=.{1,253}$)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*$/.test(
    text,
  );
  if (name || parseAddress(text) !== null) return null;
  return `${
    shown(text)
  } is no host; write a name in lower case or an address, without a port`;
}

/** The name of a tenant. */
export function tenantComplaint(text: string): string | null {
  return /^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/.test(text)
    ? null
    : `${
      shown(text)
    } is no tenant; write 1 to 64 of a-z, 0-9, _ and -, such as red-team`;
}

/** What an issuer calls a role of ours. */
export function roleNameComplaint(text: string): string | null {
  const at = text.lastIndexOf("=");
  if (at > 0 && ROLE_NAMES.includes(text.slice(at + 1))) return null;
  return `${shown(text)} names no role; write NAME=ROLE with one of ${
    ROLE_NAMES.join(", ")
  }, such as soc-analyst=operator`;
}
