/**
 * gobuster's command line: the closed list of flags that it may ever be started with, and the order
 * in which a scan uses them.
 *
 * Some choices are always made, whatever a request says:
 *
 * - A web server is named by its judged address. gobuster would look a name up by itself, a second
 *   time and after the judgement. The name goes into the `Host` header instead; gobuster 3.5 makes it
 *   the request's host, and takes it without a blank behind the colon.
 * - No `--follow-redirect`, no `--proxy`, no flag that names a file but the wordlist, no environment
 *   (`HTTP_PROXY`): nothing is sent anywhere else.
 * - A domain of `dns` ends in a dot. Without it the search list of this host's `resolv.conf` would be
 *   tried behind every name, which carries the names out and finds what is not there.
 * - No `--quiet`: it also keeps back progress and the requests that failed, and a scan of a server
 *   that died would look complete.
 *
 * @module
 */
import { Target } from "@/scope/scope.ts";
import { Argv, type Grammar, type Part, SafeText } from "@/spawn/argv.ts";
import type { GobusterRequest } from "./request.ts";
import { hostPort, pinnedUrl, type WebUrl } from "./url.ts";

/** What gobuster may be started with. */
export const GOBUSTER_GRAMMAR: Grammar = {
  program: "gobuster",
  flags: new Map([
    ["dir", "none"],
    ["dns", "none"],
    ["vhost", "none"],
    ["version", "none"],
    ["--url", "equals"],
    ["--headers", "equals"],
    ["--no-tls-validation", "none"],
    ["--useragent=security-mcp-server", "none"],
    ["--extensions", "equals"],
    ["--status-codes", "equals"],
    ["--status-codes-blacklist", "equals"],
    // Empty, because gobuster takes no list of codes beside its default one of codes to leave out.
    ["--status-codes-blacklist=", "none"],
    ["--exclude-length", "equals"],
    ["--add-slash", "none"],
    ["--append-domain", "none"],
    ["--domain", "equals"],
    ["--resolver", "equals"],
    ["--show-ips", "none"],
    ["--wildcard", "none"],
    ["--wordlist", "equals"],
    ["--threads", "equals"],
    ["--delay", "equals"],
    ["--timeout", "equals"],
    ["--no-color", "none"],
  ]),
};

/** A request with every default filled in. */
export interface GobusterSettings {
  /** The web server's judged address; null for `dns`. */
  readonly server: Target | null;
  /** Null takes the system's name server. */
  readonly resolver: SafeText | null;
  readonly wordlistPath: SafeText;
  readonly threads: number;
  readonly requestTimeoutSeconds: number;
  /** Whether the certificate of an https server is left unchecked. */
  readonly skipCertificate: boolean;
}

/**
 * Builds the command line of a scan.
 *
 * @param request A parsed request.
 * @param settings What was decided for it.
 * @returns The command line.
 * @throws {TypeError} If the server was not judged by the scope.
 */
export function scanArgv(
  request: GobusterRequest,
  settings: GobusterSettings,
): Argv {
  return Argv.build(GOBUSTER_GRAMMAR, [
    { flag: request.mode },
    ...targetParts(request, settings),
    ...filterParts(request),
    { flag: "--wordlist", value: settings.wordlistPath },
    { flag: "--threads", value: settings.threads },
    ...when(request.delayMs > 0, {
      flag: "--delay",
      value: SafeText.match(`${request.delayMs}ms`, /[0-9]+ms/),
    }),
    {
      flag: "--timeout",
      value: SafeText.match(`${settings.requestTimeoutSeconds}s`, /[0-9]+s/),
    },
    { flag: "--no-color" },
  ]);
}

/**
 * Builds the command line that prints the version.
 *
 * @returns The command line.
 */
export function versionArgv(): Argv {
  return Argv.build(GOBUSTER_GRAMMAR, [{ flag: "version" }]);
}

function targetParts(
  request: GobusterRequest,
  settings: GobusterSettings,
): Part[] {
  const { url, domain } = request;
  const { server } = settings;
  if (url === null || server === null) return dnsParts(request, settings);
  // The last look before a command line: an address that nobody judged does not get in.
  if (!Target.is(server)) {
    throw new TypeError("Cannot scan a target that Scope did not make");
  }
  return [
    { flag: "--url", value: pinnedUrl(url, server.first) },
    ...(server.name === null ? [] : [{
      flag: "--headers",
      value: hostHeader(url, String(server.name)),
    }]),
    ...when(settings.skipCertificate, { flag: "--no-tls-validation" }),
    { flag: "--useragent=security-mcp-server" },
    ...(domain === null ? [] : [
      { flag: "--append-domain" },
      // A browser that asks for a virtual host names the port too.
      {
        flag: "--domain",
        value: SafeText.match(hostPort(url, domain), /[a-z0-9.:-]+/),
      },
    ]),
  ];
}

function dnsParts(
  request: GobusterRequest,
  settings: GobusterSettings,
): Part[] {
  return [
    {
      flag: "--domain",
      value: SafeText.match(`${request.domain}.`, /[a-z0-9.-]+\./),
    },
    ...(settings.resolver === null
      ? []
      : [{ flag: "--resolver", value: settings.resolver }]),
    { flag: "--show-ips" },
    ...when(request.wildcard, { flag: "--wildcard" }),
  ];
}

function hostHeader(url: WebUrl, name: string): SafeText {
  return SafeText.match(`Host:${hostPort(url, name)}`, /Host:[a-z0-9.:-]+/);
}

function filterParts(request: GobusterRequest): Part[] {
  const { excludedLengths, extensions, mode } = request;
  const lengths: Part[] = excludedLengths === null
    ? []
    : [{ flag: "--exclude-length", value: excludedLengths }];
  if (mode !== "dir") return lengths;
  return [
    ...(extensions.length === 0 ? [] : [{
      flag: "--extensions",
      value: SafeText.match(extensions.join(","), /[A-Za-z0-9_~.,-]+/),
    }]),
    ...statusParts(request),
    ...lengths,
    ...when(request.addSlash, { flag: "--add-slash" }),
  ];
}

function statusParts({ statusCodes, excludedCodes }: GobusterRequest): Part[] {
  if (statusCodes !== null) {
    return [
      { flag: "--status-codes", value: statusCodes },
      { flag: "--status-codes-blacklist=" },
    ];
  }
  return [{ flag: "--status-codes-blacklist", value: excludedCodes ?? 404 }];
}

function when(condition: boolean, part: Part): Part[] {
  return condition ? [part] : [];
}
