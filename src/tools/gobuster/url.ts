/**
 * Reads the URL of a web server. The grammar is ours and smaller than the standard's: the standard's
 * parser takes `0x7f.1`, a backslash for a slash and a missing slash for a host, and what one parser
 * repairs another reads differently. So a text that is not plain is refused, and what gobuster gets
 * is written anew from the parts.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { parseTarget, type TargetText } from "@/scope/target.ts";
import { shown } from "../field.ts";

/** Longest URL, in UTF-16 code units. */
export const URL_LENGTH_MAX = 1_024;

/** A URL, taken apart. */
export interface WebUrl {
  readonly scheme: "http" | "https";
  /** An address or a host name. */
  readonly host: TargetText;
  /** Null where the URL names none. */
  readonly port: number | null;
  /** Begins with a slash. */
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
}

/**
 * Reads a URL.
 *
 * @param text Untrusted text.
 * @returns Its parts.
 * @throws {AppError} `invalid_target`, with the form that is taken.
 */
export function parseUrl(text: string): WebUrl {
  if (text.length > URL_LENGTH_MAX) {
    throw refuse(
      text,
      `it has ${text.length} characters, at most ${URL_LENGTH_MAX} are taken`,
    );
  }
  const match = /^(https?):\/\/([^/?#]*)(\/[^?#]*)?(\?[^#]*)?(#.*)?$/is.exec(
    text,
  );
  if (match === null) throw refuse(text, "it is no http or https URL");
  const [, scheme = "", authority = "", path = "/", query = "", hash] = match;
  if (hash !== undefined) throw refuse(text, "it has a fragment");
  if (authority.includes("@")) throw refuse(text, "it has credentials");
  if (
    !/^(?:[\w.~!$&'()*+,;=:@/-]|%[0-9a-fA-F]{2})*$/.test(path) ||
    !/^\??(?:[\w.~!$*+,;=:@/&-]|%[0-9a-fA-F]{2})*$/.test(query)
  ) {
    throw refuse(text, "its path or query holds characters to be escaped");
  }
  return {
    scheme: scheme.toLowerCase() === "https" ? "https" : "http",
    ...parseAuthority(text, authority),
    path,
    query,
  };
}

/**
 * Writes a URL with another host.
 *
 * @param url The URL.
 * @param host What stands for its host: an address.
 * @returns The text.
 */
export function urlText(url: WebUrl, host: string): string {
  const bracketed = host.includes(":") ? `[${host}]` : host;
  const port = url.port === null ? "" : `:${url.port}`;
  return `${url.scheme}://${bracketed}${port}${url.path}${url.query}`;
}

/** The port that is contacted. */
export function portOf(url: WebUrl): number {
  return url.port ?? (url.scheme === "https" ? 443 : 80);
}

function parseAuthority(
  text: string,
  authority: string,
): Pick<WebUrl, "host" | "port"> {
  const match = /^(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?$/i.exec(
    authority,
  );
  if (match === null) throw refuse(text, "it has no plain host");
  const [, hostText = "", portText] = match;
  const bracketed = hostText.startsWith("[");
  const host = parseTarget(bracketed ? hostText.slice(1, -1) : hostText);
  const isSix = host.kind === "address" && host.block.family === 6;
  if (host.kind !== "address" && host.kind !== "name" || bracketed !== isSix) {
    throw refuse(text, "its host is neither one address nor a host name");
  }
  return {
    host,
    port: portText === undefined ? null : parsePort(text, portText),
  };
}

function parsePort(text: string, digits: string): number {
  const port = Number(digits);
  if (String(port) !== digits || port < 1 || port > 65_535) {
    throw refuse(text, "its port is not within 1 to 65535");
  }
  return port;
}

function refuse(text: string, why: string): AppError {
  return new AppError(
    "invalid_target",
    `Cannot use the target ${
      shown(text)
    }: ${why}; write it like http://10.0.0.1:8080/path/, without credentials and fragment`,
  );
}
