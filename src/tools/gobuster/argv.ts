/**
 * gobuster's command line: the closed list of flags that it may ever be started with.
 *
 * Some choices are always made, whatever a request says:
 *
 * - No flag that follows a redirect, names a proxy, reads a file other than the wordlist, or writes
 *   one is in the list. The child has no environment, so no proxy comes from there either.
 * - The URL holds the address that was judged. A host name goes along as a `Host` header, which
 *   gobuster 3.5 makes the request's host (`libgobuster/http.go`), in mode `vhost` for the page that
 *   the others are compared with.
 * - `--no-tls-validation` for `https`: the certificate would be held against the address, which few
 *   certificates name. For the same reason no server name is sent in the TLS handshake. A plan says so.
 * - Progress stays on: it goes to stderr and hits go to stdout, so neither disturbs the other.
 *
 * @module
 */
import { Argv, type Grammar, type Part, SafeText } from "@/spawn/argv.ts";
import type { GobusterRequest } from "./request.ts";

/** What gobuster may be started with. */
export const GOBUSTER_GRAMMAR: Grammar = {
  program: "gobuster",
  flags: new Map([
    ["--url", "equals"],
    ["--domain", "equals"],
    ["--headers", "equals"],
    ["--append-domain", "none"],
    ["--wordlist", "equals"],
    ["--threads", "equals"],
    ["--timeout", "equals"],
    ["--delay", "equals"],
    ["--extensions", "equals"],
    ["--status-codes", "equals"],
    ["--status-codes-blacklist", "equals"],
    // gobuster takes one of the two lists only, and has a default for this one.
    ["--status-codes-blacklist=", "none"],
    ["--exclude-length", "equals"],
    ["--add-slash", "none"],
    ["--method=HEAD", "none"],
    ["--useragent=security-mcp-server", "none"],
    ["--no-tls-validation", "none"],
    ["--resolver", "equals"],
    ["--show-ips", "none"],
    ["--wildcard", "none"],
    ["--no-color", "none"],
  ]),
};

/** A request with every default filled in. */
export interface GobusterSettings {
  /** The URL with the judged address in it; null in mode `dns`. */
  readonly url: SafeText | null;
  readonly wordlist: SafeText;
  readonly threads: number;
  readonly requestTimeoutSeconds: number;
  /** `address:port`, or null for the system's. */
  readonly resolver: SafeText | null;
}

/**
 * Builds the command line of a scan.
 *
 * @param request What was asked for.
 * @param settings What is done.
 * @returns The command line.
 */
export function scanArgv(
  request: GobusterRequest,
  settings: GobusterSettings,
): Argv {
  const { mode } = request;
  return Argv.build(GOBUSTER_GRAMMAR, [
    { operand: SafeText.match(mode, /dir|dns|vhost/) },
    ...targetParts(request, settings),
    { flag: "--wordlist", value: settings.wordlist },
    { flag: "--threads", value: settings.threads },
    {
      flag: "--timeout",
      value: SafeText.match(`${settings.requestTimeoutSeconds}s`, /[0-9]+s/),
    },
    ...(request.delayMs === 0 ? [] : [{
      flag: "--delay",
      value: SafeText.match(`${request.delayMs}ms`, /[0-9]+ms/),
    }]),
    ...(mode === "dns" ? [] : httpParts(request)),
    ...(mode === "dir" ? dirParts(request) : []),
    { flag: "--no-color" },
  ]);
}

/**
 * Builds the command line that prints the version.
 *
 * @returns The command line.
 */
export function versionArgv(): Argv {
  return Argv.build(GOBUSTER_GRAMMAR, [
    { operand: SafeText.match("version", /version/) },
  ]);
}

function targetParts(
  request: GobusterRequest,
  settings: GobusterSettings,
): Part[] {
  const { mode, url, domain } = request;
  if (mode === "dns" || settings.url === null || url === null) {
    return [
      { flag: "--domain", value: nameSafe(domain) },
      { flag: "--show-ips" },
      ...(settings.resolver === null
        ? []
        : [{ flag: "--resolver", value: settings.resolver }]),
      ...(request.wildcard ? [{ flag: "--wildcard" }] : []),
    ];
  }
  const port = url.port === null ? "" : `:${url.port}`;
  return [
    { flag: "--url", value: settings.url },
    ...(url.host.kind === "name"
      ? [{
        flag: "--headers",
        value: SafeText.match(
          `Host:${url.host.text}${port}`,
          /Host:[a-z0-9.-]+(?::[0-9]{1,5})?/,
        ),
      }]
      : []),
    ...(mode === "vhost"
      ? [
        { flag: "--domain", value: nameSafe(domain) },
        { flag: "--append-domain" },
      ]
      : []),
  ];
}

function httpParts(request: GobusterRequest): Part[] {
  return [
    { flag: "--useragent=security-mcp-server" },
    ...(request.url?.scheme === "https"
      ? [{ flag: "--no-tls-validation" }]
      : []),
    ...(request.method === "HEAD" ? [{ flag: "--method=HEAD" }] : []),
    ...(request.excludeLengths.length === 0 ? [] : [{
      flag: "--exclude-length",
      value: SafeText.match(request.excludeLengths.join(","), /[0-9,]+/),
    }]),
  ];
}

function dirParts(request: GobusterRequest): Part[] {
  const { extensions, statusCodes, statusCodesBlacklist } = request;
  return [
    ...(extensions.length === 0 ? [] : [{
      flag: "--extensions",
      value: SafeText.match(extensions.join(","), /[A-Za-z0-9_.,-]+/),
    }]),
    ...(statusCodes === undefined ? [] : [
      {
        flag: "--status-codes",
        value: SafeText.match(statusCodes, /[0-9,-]+/),
      },
      { flag: "--status-codes-blacklist=" },
    ]),
    ...(statusCodesBlacklist === undefined ? [] : [{
      flag: "--status-codes-blacklist",
      value: SafeText.match(statusCodesBlacklist, /[0-9,-]+/),
    }]),
    ...(request.addSlash ? [{ flag: "--add-slash" }] : []),
  ];
}

function nameSafe(name: string): SafeText {
  return SafeText.match(name, /[a-z0-9][a-z0-9.-]*/);
}
