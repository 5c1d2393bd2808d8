/**
 * Reads the URL of a web server. It is taken apart here and written anew from its parts, so that
 * gobuster cannot find another host in it than the one that was judged.
 *
 * The grammar is smaller than that of any URL library. Those mend what they read: the WHATWG parser
 * makes `127.0.0.1` of `0x7f.1` and of full-width digits, and takes a backslash for a slash. Here a
 * text that would need mending is refused.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { parseAddress } from "@/scope/block.ts";
import { parseTarget, type TargetText } from "@/scope/target.ts";
import { SafeText } from "@/spawn/argv.ts";
import { shown } from "../field.ts";

/** Longest URL, in UTF-16 code units. */
export const URL_LENGTH_MAX = 1_024;

/** A URL that was read: well formed, its host not yet judged. */
export interface WebUrl {
  readonly scheme: "http" | "https";
  /** An address or a host name, nothing else. */
  readonly host: TargetText;
  /** Null for the scheme's own port. */
  readonly port: number | null;
  /** Begins and ends with `/`. */
  readonly path: string;
}

const PARTS =
  /^(https?):\/\/(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::([0-9]{1,5}))?(\/.*)?$/i;

/** What may stand in a path: RFC 3986, with every percent sign in front of two digits. */
const PATH = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/;

const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/**
 * Reads a URL.
 *
 * @param text Untrusted text.
 * @returns Its parts.
 * @throws {AppError} `invalid_target`, with what is wrong.
 */
export function parseUrl(text: string): WebUrl {
  const parts = PARTS.exec(text);
  if (parts === null) throw refuse(text, whyNone(text));
  const [, schemeGiven = "", six, plain, portGiven, path = "/"] = parts;
  const scheme = schemeGiven.toLowerCase() === "https" ? "https" : "http";
  if (/[?#]/.test(path)) {
    throw refuse(text, "a query or a fragment is not taken; leave it out");
  }
  if (!PATH.test(path)) {
    throw refuse(text, "its path holds characters that no path has");
  }
  const port = parsePort(text, portGiven);
  return {
    scheme,
    host: parseHost(text, six ?? plain ?? "", six !== undefined),
    port: port === DEFAULT_PORTS[scheme] ? null : port,
    path: path.endsWith("/") ? path : `${path}/`,
  };
}

/**
 * Writes a URL.
 *
 * @param url The parts.
 * @param host What stands for the host: a name, or an address without brackets.
 * @returns The URL.
 */
export function urlText(url: WebUrl, host: string): string {
  return `${url.scheme}://${hostPort(url, host)}${url.path}`;
}

/**
 * Writes a URL for a command line.
 *
 * @param url The parts.
 * @param address The address that was judged.
 * @returns The URL with that address for its host.
 */
export function pinnedUrl(url: WebUrl, address: SafeText): SafeText {
  return SafeText.match(urlText(url, String(address)), /https?:[!-~]+/);
}

/**
 * Writes host and port as they stand in a `Host` header.
 *
 * @param url Where the port comes from.
 * @param host A name, or an address without brackets.
 * @returns The host, with the port unless it is the scheme's own.
 */
export function hostPort(url: WebUrl, host: string): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return url.port === null ? name : `${name}:${url.port}`;
}

function parsePort(text: string, digits: string | undefined): number | null {
  if (digits === undefined) return null;
  const port = Number(digits);
  if (port < 1 || port > 65_535 || String(port) !== digits) {
    throw refuse(text, "its port is not a number from 1 to 65535");
  }
  return port;
}

function parseHost(text: string, host: string, six: boolean): TargetText {
  let target: TargetText;
  try {
    target = parseTarget(host);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw refuse(text, "its host is no plain address and no host name");
  }
  if (target.kind === "name") return target;
  const address = parseAddress(host);
  if (address === null || (address.family === 6) !== six) {
    throw refuse(text, "its host is not one plain address");
  }
  return target;
}

/** Says of a text that is no URL what is most likely wrong with it. */
function whyNone(text: string): string {
  if (!/^https?:\/\//i.test(text)) return "it begins with no http or https";
  if (/^[^/]*\/\/[^/]*@/.test(text)) return "credentials are not taken";
  return "its host or port is malformed";
}

function refuse(text: string, why: string): AppError {
  return new AppError(
    "invalid_target",
    `Cannot use the URL ${
      shownUrl(text)
    }: ${why}; write it like http://10.0.0.1:8080/app/`,
  );
}

/**
 * Quotes a text that may be a URL with a password in it. Whatever stands before the last `@` goes: a
 * password may hold a slash or an `@` itself, and a message is shown, logged and kept.
 *
 * @param text Untrusted text.
 * @returns The text for a message, short and without credentials.
 */
export function shownUrl(text: string): string {
  const [scheme = ""] = /^[a-z][a-z0-9+.-]{0,31}:\/\//i.exec(text) ?? [];
  const at = text.lastIndexOf("@");
  return shown(at < 0 ? text : `${scheme}***${text.slice(at)}`);
}
