/**
 * Which names a request may call this server by. A web page can have its own name resolve to
 * 127.0.0.1 (DNS rebinding) and is then, to the browser, of one origin with whatever answers there; but
 * its requests still carry its name in `Host`, so a server that answers to its own names only is out of
 * its reach.
 *
 * An address cannot be rebound. So where the server listens on every address of the machine, any
 * address is a name of it.
 *
 * @module
 */
import type { Config } from "@/config/schema.ts";
import { AppError } from "@/error/app_error.ts";
import { addressText, type Block, parseAddress } from "@/scope/block.ts";
import { HttpError } from "./http_error.ts";

/** Most authorities that are remembered: clients use a few, an attacker many. */
const SEEN_MAX = 64;

const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::(\d{1,5}))?$/;

/** What a request says that it was sent to. */
export interface Asked {
  readonly headers: Headers;
  /** As the runtime gives it: scheme, authority, path. */
  readonly url: string;
}

/** The names of this server. */
export class HostRule {
  readonly #names = new Set<string>();
  readonly #ports = new Set<string>();
  readonly #anyAddress: boolean;
  /** What the runtime writes for an HTTP/1.1 request without Host; null where HTTP/2 is usual. */
  readonly #missing: string | null;
  readonly #seen = new Map<string, boolean>();

  /** @param server The section of the configuration. */
  constructor(server: Config["server"]) {
    const { host, port, public_url, allowed_hosts } = server;
    const tls = server.tls_certificate_file !== null;
    const publicUrl = public_url === null ? null : URL.parse(public_url);
    const own = publicUrl === null ? [] : [publicUrl.hostname];
    for (const name of ["localhost", host, ...own, ...allowed_hosts]) {
      this.#names.add(canonical(name));
    }
    this.#ports.add(String(port));
    if (publicUrl !== null) this.#ports.add(portOf(publicUrl));
    this.#anyAddress = ["0.0.0.0", "::"].includes(canonical(host));
    this.#missing = tls ? null : `localhost:${port}`;
  }

  /**
   * Checks what a request was sent to.
   *
   * @param asked The request.
   * @returns Host and maybe port, in lower case.
   * @throws {AppError} `invalid_arguments` (400) if the request names no host or two; `forbidden` if it
   * names one that is not this server's.
   */
  check({ headers, url }: Asked): string {
    const named = authorityOf(url);
    const header = headers.get("host");
    if (header === null ? named === this.#missing : header !== named) {
      throw new HttpError(
        400,
        "invalid_arguments",
        "Cannot tell which host the request is for: send one Host header, and a request target that begins with a slash",
      );
    }
    const authority = named.toLowerCase();
    if (!this.#knows(authority)) {
      throw new AppError(
        "forbidden",
        "Cannot answer for the host that the Host header names: call the server by its own name, or have the operator add the name to server.allowed_hosts (server.public_url for another port)",
      );
    }
    return authority;
  }

  #knows(authority: string): boolean {
    const seen = this.#seen.get(authority);
    if (seen !== undefined) return seen;
    const known = this.#judge(authority);
    if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
    this.#seen.set(authority, known);
    return known;
  }

  #judge(authority: string): boolean {
    const [, host, port] = AUTHORITY.exec(authority) ?? [];
    if (host === undefined) return false;
    if (port !== undefined && !this.#ports.has(port)) return false;
    const address = addressOf(host);
    if (address === null) return this.#names.has(host);
    return this.#anyAddress || isLoopback(address) ||
      this.#names.has(textOf(address));
  }
}

/** The port of an address, its scheme's own where it names none. */
function portOf({ port, protocol }: URL): string {
  if (port !== "") return port;
  return protocol === "https:" ? "443" : "80";
}

/** What stands between `://` and the path. */
function authorityOf(url: string): string {
  const begin = url.indexOf("://") + 3;
  let end = begin;
  for (; end < url.length; end++) {
    const unit = url.charCodeAt(end);
    // Slash, question mark, number sign.
    if (unit === 0x2f || unit === 0x3f || unit === 0x23) break;
  }
  return url.slice(begin, end);
}

/** An address within brackets is IPv6; one without is not. */
function addressOf(host: string): Block | null {
  const bracketed = host.startsWith("[");
  const address = parseAddress(bracketed ? host.slice(1, -1) : host);
  return address === null || (address.family === 6) !== bracketed
    ? null
    : address;
}

function canonical(name: string): string {
  const plain = name.startsWith("[") ? name.slice(1, -1) : name;
  const address = parseAddress(plain);
  return address === null ? name.toLowerCase() : textOf(address);
}

function textOf(address: Block): string {
  return addressText(address.family, address.first);
}

function isLoopback({ family, first }: Block): boolean {
  return family === 4 ? first >> 24n === 127n : first === 1n;
}
