/**
 * Tells from gobuster's own words why it failed. The words may hold what a server said, so they
 * choose among our sentences and go no further; of the numbers in them, a status and a length do.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";

const WILDCARD_PATHS =
  /matches the provided options for non existing urls.{0,2048}?=> (\d{3}) \(Length: (\d{1,12})\)/;

/** In the order in which they are looked for. */
const REASONS: readonly (readonly [RegExp, ErrorBody["code"], string])[] = [
  [
    /returned the same IP for every domain/,
    "tool_failed",
    'Cannot tell names apart: the zone answers for every name; pass extra_args "--wildcard" to leave these answers out',
  ],
  [
    /wordlist file .{0,512} does not exist|failed to (?:open|get number|rewind)|token too long|permission denied$/,
    "tool_unavailable",
    "Cannot read the wordlist: its file is missing or unfit; use another one, or ask the operator to run the doctor",
  ],
  [
    /unknown (?:shorthand )?(?:flag|command)|invalid argument/,
    "tool_unavailable",
    "Cannot use this gobuster: it does not know our options; install version 3.5 or another 3.x before 3.7, and run the doctor",
  ],
  [
    /connection refused/,
    "tool_failed",
    "Cannot reach the server: it refuses the connection; check scheme and port, or look for open ports with nmap first",
  ],
  [
    /server gave HTTP response to HTTPS client/,
    "tool_failed",
    "Cannot speak TLS with the server: it speaks plain HTTP on this port; use http:// instead of https://",
  ],
  [
    /tls: |x509|certificate|first record does not look like a TLS/,
    "tool_failed",
    "Cannot speak TLS with the server: the handshake failed; check scheme and port, or look at the service with nmap",
  ],
  [
    /malformed HTTP|transport connection broken|HTTP version/,
    "tool_failed",
    "Cannot speak HTTP with the server: its answer is not HTTP; try https://, or look at the service with nmap",
  ],
  [
    /deadline exceeded|Client\.Timeout|i\/o timeout|operation timed out/,
    "tool_failed",
    "Cannot reach the server: it does not answer in time; check that it is up with nmap, or allow it more with extra_args --timeout 30s",
  ],
  [
    /no route to host|network is unreachable|host is down/,
    "tool_failed",
    "Cannot reach the server: there is no way to its network; check the address, or look for live hosts with nmap",
  ],
  [
    /connection reset|broken pipe|EOF$/,
    "tool_failed",
    "Cannot read from the server: it closes the connection; check scheme and port, or use fewer threads",
  ],
  [
    /no such host|server misbehaving/,
    "tool_failed",
    "Cannot look names up: the name server does not answer well; check resolver",
  ],
];

/**
 * Classifies a failure.
 *
 * @param words What gobuster said last.
 * @returns Our own words, with the way out.
 */
export function failureOf(words: string): ErrorBody {
  const wildcard = WILDCARD_PATHS.exec(words);
  if (wildcard !== null) {
    const [, status, length] = wildcard;
    return {
      code: "tool_failed",
      message:
        `Cannot tell paths apart: the server answers ${status} with ${length} bytes for a path that does not exist; pass extra_args "--exclude-length ${length}", or status_codes without ${status}`,
    };
  }
  for (const [pattern, code, message] of REASONS) {
    if (pattern.test(words)) return { code, message };
  }
  return {
    code: "tool_failed",
    message:
      "Cannot scan with gobuster: it ended with an error; check that the server is up with nmap, and run the doctor",
  };
}
