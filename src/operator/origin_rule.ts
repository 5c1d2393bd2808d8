/**
 * Which web pages may call this server (CORS): those that it served itself and those that the operator
 * names. A browser says where a page comes from in `Origin`; every other client sends none. A foreign
 * one is refused as a whole, not only kept from reading the answer: a request that is carried out has
 * its effect whether or not the page may read of it.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import { AppError } from "@/error/app_error.ts";

const METHODS = "GET, HEAD, POST, DELETE";

/** What a page may send. Authorization has to be named: `*` does not include it. */
const REQUEST_FIELDS = [
  "Authorization",
  "Content-Type",
  "Idempotency-Key",
  "If-None-Match",
  "If-Range",
  "Last-Event-ID",
  "MCP-Method",
  "MCP-Name",
  "MCP-Protocol-Version",
  "MCP-Session-Id",
  "Range",
  "Traceparent",
  "X-Request-Id",
].join(", ");

/** What a page may read besides the body. */
const ANSWER_FIELDS = [
  "Accept-Ranges",
  "Allow",
  "Content-Disposition",
  "Content-Range",
  "ETag",
  "Link",
  "Location",
  "MCP-Session-Id",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "Traceparent",
  "WWW-Authenticate",
  "X-Request-Id",
].join(", ");

/** Seconds for which a browser may remember the answer to its preflight. */
const PREFLIGHT_SECONDS = 600;

/** Where the request was sent to. */
export interface Destination {
  /** Host and maybe port. */
  readonly authority: string;
  readonly scheme: "http" | "https";
}

/** The origins that may call. */
export class OriginRule {
  readonly #own: string | null;
  readonly #allowed: ReadonlySet<string>;

  /** @param server The section of the configuration. */
  constructor(server: Config["server"]) {
    this.#own = server.public_url;
    this.#allowed = new Set(server.allowed_origins);
  }

  /**
   * Checks a request's origin.
   *
   * @param origin What the `Origin` header says; null where there is none.
   * @param destination Where the request was sent to.
   * @returns The origin if it is another one that may call, and null if there is nothing to allow.
   * @throws {AppError} `forbidden`.
   */
  check(origin: string | null, destination: Destination): string | null {
    if (origin === null) return null;
    if (origin === this.#own || origin === originOf(destination)) return null;
    if (this.#allowed.has(origin)) return origin;
    throw new AppError(
      "forbidden",
      "Cannot answer a web page of another origin: have the operator add the page's origin to server.allowed_origins",
    );
  }
}

/**
 * Writes where a request was sent to as an origin.
 *
 * @param destination Where.
 * @returns The origin, without the scheme's own port.
 */
export function originOf({ authority, scheme }: Destination): string {
  const port = scheme === "https" ? ":443" : ":80";
  const host = authority.endsWith(port)
    ? authority.slice(0, -port.length)
    : authority;
  return `${scheme}://${host}`;
}

/**
 * Tells whether a request only asks what may be asked.
 *
 * @param request The request.
 * @returns Whether it is a preflight.
 */
export function isPreflight(request: Request): boolean {
  return request.method === "OPTIONS" &&
    request.headers.has("access-control-request-method");
}

/**
 * Answers a preflight of an origin that may call.
 *
 * @param origin The origin.
 * @returns The answer.
 */
export function preflightAnswer(origin: string): Response {
  const answer = new Response(null, { status: 204 });
  allowOrigin(answer.headers, origin);
  answer.headers.set("access-control-allow-methods", METHODS);
  answer.headers.set("access-control-allow-headers", REQUEST_FIELDS);
  answer.headers.set("access-control-max-age", String(PREFLIGHT_SECONDS));
  return answer;
}

/**
 * Lets a page of another origin read an answer. Cookies are not allowed with it: there are none.
 *
 * @param headers The answer's headers.
 * @param origin The origin.
 */
export function allowOrigin(headers: Headers, origin: string): void {
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", ANSWER_FIELDS);
  headers.set("cross-origin-resource-policy", "cross-origin");
}
