/**
 * What gobuster says about itself on stderr: how far it is, which requests failed, and why it ended.
 * Its words are classified here and go no further; of what it quotes only numbers are taken.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type { ErrorCode } from "@/error/code.ts";
import { Lines } from "../lines.ts";
import type { Mode } from "./request.ts";

/** Longest line of stderr that is looked at: an error quotes the whole URL twice. */
const LINE_BYTES_MAX = 8_192;

/** Stands between a carriage return and the progress. */
const CLEAR_LINE = "\x1b[2K";

const PROGRESS = /^Progress: (\d{1,12}) \/ (\d{1,12}) \(/;
/** A request that failed, or the end. Either may stand behind the progress, on the same line. */
const FAULT = /\[ERROR\] [\d/]{1,10} [\d:]{1,8} \[!\] (.*)/s;
const END = /(?:^|\))Error: (.*)/s;
/** The look-up of the domain itself failed, which is the one look-up whose failure gobuster tells. */
const DOMAIN = /\[-\] Unable to validate base domain: \S+ \(lookup \S+(.*)/s;

/** A reason: the words of gobuster that tell of it, and ours. */
interface Reason {
  readonly words: RegExp;
  /** Of a single request, in the plural. */
  readonly short: string;
  readonly code?: ErrorCode;
  /** Of the whole scan. */
  readonly message: string;
}

const UNREACHED = "Cannot reach the target:";

const REASONS: readonly Reason[] = [
  {
    words: /wordlist|token too long/,
    short: "met an unreadable word",
    code: "tool_unavailable",
    message:
      "Cannot scan with gobuster: it cannot read the wordlist; use another one, or ask the operator to check the catalogue",
  },
  {
    words: /connection refused/,
    short: "were refused",
    message:
      `${UNREACHED} it refused the connection; nothing listens on this port; find the open ports with nmap`,
  },
  {
    words: /operation not permitted|permission denied/,
    short: "were not permitted by this host",
    message:
      "Cannot scan with gobuster: this host does not permit it; check the egress rules and the sandbox, and run the doctor",
  },
  {
    words: /x509|invalid certificate|certificate/,
    short: "met an invalid certificate",
    message:
      "Cannot scan with gobuster: the certificate of the target is not valid for its address; add -k to extra_args to leave it unchecked",
  },
  {
    words:
      /server gave HTTP response to HTTPS client|first record does not look like a TLS/,
    short: "met a server without TLS",
    message:
      "Cannot scan with gobuster: the target speaks http on this port and not https; use an http URL",
  },
  {
    words:
      /malformed HTTP|HTTP\/2|bad status line|transport connection broken/i,
    short: "got an answer that is no HTTP",
    message:
      "Cannot scan with gobuster: the target does not answer in HTTP; use an https URL if it speaks TLS, or find out with nmap service_detection what listens there",
  },
  {
    words: /tls: |remote error/,
    short: "failed in TLS",
    message:
      "Cannot scan with gobuster: the target does not agree on TLS; check scheme and port, or look at it with nmap service_detection",
  },
  {
    words:
      /context deadline exceeded|i\/o timeout|Client\.Timeout|timed? ?out/i,
    short: "got no answer in time",
    message:
      `${UNREACHED} it does not answer in time; check that the port is open with nmap, or use fewer threads`,
  },
  {
    words: /no route to host|unreachable|host is down/,
    short: "found no route",
    message:
      `${UNREACHED} there is no route to it; check the address and the network of this host`,
  },
  {
    words: /connection reset|broken pipe|EOF/,
    short: "were cut off",
    message:
      "Cannot scan with gobuster: the target closes the connection without an answer; check scheme and port, or use fewer threads",
  },
  {
    words:
      /no such host|server misbehaving|no answer from DNS|cannot unmarshal DNS/,
    short: "could not be looked up",
    message:
      "Cannot scan with gobuster: the name server does not know the name or does not answer; check the domain and the resolver",
  },
  {
    words: /unknown (?:shorthand )?flag|invalid argument|error on parsing/,
    short: "were not understood",
    code: "tool_unavailable",
    message:
      "Cannot scan with gobuster: it does not know an option that version 3.5 has; the operator should run the doctor",
  },
];

/** Words that make no request: a matter of the wordlist and none of the target. */
const UNUSABLE =
  /invalid URL escape|invalid control character|invalid character|invalid Host header/;

const OTHER: Reason = {
  words: /^/,
  short: "failed otherwise",
  message:
    "Cannot scan with gobuster: it ended with an error; check the target with nmap, and run the doctor",
};

/** A name server that does not work, told by the one look-up that gobuster speaks of. */
const RESOLVER_FAULTS: readonly (readonly [RegExp, string])[] = [
  [/connection refused/, "it refuses the question"],
  [/timeout|deadline exceeded/i, "it does not answer in time"],
  [/unreachable|no route/, "there is no route to it"],
  [/not permitted|permission denied/, "this host does not permit it"],
  [/server misbehaving|cannot unmarshal/, "its answer is an error"],
];

/** What one run of gobuster says about itself. */
export class GobusterState {
  readonly #mode: Mode;
  readonly #lines: Lines;
  readonly #faults = new Map<Reason, number>();
  #failure: ErrorBody | null = null;
  #resolverFault: string | null = null;

  /** Lines of the wordlist with their variants, worked off and in all; null until it says so. */
  issued: number | null = null;
  expected: number | null = null;

  /** Requests that failed, and words that made no request. */
  failed = 0;
  unusable = 0;

  /** @param mode The mode that runs. */
  constructor(mode: Mode) {
    this.#mode = mode;
    this.#lines = new Lines((line) => this.#line(line), {
      bytesMax: LINE_BYTES_MAX,
      carriageReturn: true,
    });
  }

  /**
   * Takes bytes of stderr.
   *
   * @param bytes Any bytes.
   */
  write(bytes: Uint8Array): void {
    this.#lines.write(bytes);
  }

  /** Takes what was left without a line end. */
  end(): void {
    this.#lines.end();
  }

  /** @returns How much is done, 0 to 1, or null until gobuster says so. */
  fraction(): number | null {
    if (this.issued === null || this.expected === null) return null;
    return this.expected === 0 ? 1 : Math.min(1, this.issued / this.expected);
  }

  /** @returns Why it ended with an error, in our own words. */
  failure(): ErrorBody {
    return this.#failure ?? body(OTHER);
  }

  /** @returns The most frequent reason for which requests failed, as a failure of the whole. */
  commonFault(): ErrorBody {
    const [most] = [...this.#faults].sort(([, a], [, b]) => b - a);
    return body(most?.[0] ?? OTHER);
  }

  /** @returns That the name server does not work, or null if nothing says so. */
  resolverFailure(): ErrorBody | null {
    if (this.#mode !== "dns" || this.#resolverFault === null) return null;
    return {
      code: "tool_failed",
      message:
        `Cannot look names up: the name server does not work: ${this.#resolverFault}; check the resolver, or leave it out`,
    };
  }

  /** @returns How many requests failed for which reason, in words; empty if none did. */
  faultTexts(): readonly string[] {
    return [...this.#faults].sort(([, a], [, b]) => b - a)
      .map(([{ short }, count]) => `${count} ${short}`);
  }

  #line(given: string): void {
    const line = given.startsWith(CLEAR_LINE)
      ? given.slice(CLEAR_LINE.length)
      : given;
    const progress = PROGRESS.exec(line);
    if (progress !== null) {
      this.issued = Math.max(this.issued ?? 0, Number(progress[1]));
      this.expected = Number(progress[2]);
    }
    const fault = FAULT.exec(line)?.[1];
    if (fault !== undefined) {
      this.#fault(fault);
      return;
    }
    const lookup = DOMAIN.exec(line)?.[1];
    if (lookup !== undefined) {
      this.#resolverFault ??= RESOLVER_FAULTS.find(([words]) =>
        words.test(lookup)
      )?.[1] ?? null;
      return;
    }
    const end = END.exec(line)?.[1];
    if (end !== undefined) {
      this.#failure ??= wildcard(end) ?? body(reasonOf(end));
    }
  }

  #fault(text: string): void {
    if (UNUSABLE.test(text)) {
      this.unusable++;
      return;
    }
    this.failed++;
    const reason = reasonOf(text);
    this.#faults.set(reason, (this.#faults.get(reason) ?? 0) + 1);
  }
}

/** URLs, and quoted parts with what a server sent, are left out: only gobuster's own words count. */
function reasonOf(text: string): Reason {
  const own = text.replace(/unable to connect to \S+/, "")
    .replace(/"(?:[^"\\]|\\.)*"/gs, '""');
  return REASONS.find(({ words }) => words.test(own)) ?? OTHER;
}

function body({ code, message }: Reason): ErrorBody {
  return { code: code ?? "tool_failed", message };
}

/** A server that answers everything alike, with the two numbers by which it can be told apart. */
function wildcard(text: string): ErrorBody | null {
  if (/returned the same IP for every domain/.test(text)) {
    return {
      code: "tool_failed",
      message:
        "Cannot tell names apart: the name server answers for every name below this domain; add --wildcard to extra_args to list the names with other addresses",
    };
  }
  if (!/matches the provided options for non existing urls/.test(text)) {
    return null;
  }
  const numbers = /=> (\d{3}) \(Length: (\d{1,12})\)/.exec(text);
  const facts = numbers === null
    ? "answers"
    : `answers ${numbers[1]} with ${numbers[2]} bytes`;
  const length = numbers === null ? "LENGTH" : numbers[2];
  return {
    code: "tool_failed",
    message:
      `Cannot tell paths apart: the target ${facts} for paths that do not exist; add --exclude-length ${length} to extra_args, or name status_codes without that code`,
  };
}

/**
 * Tells whose fault a failure is: whatever gobuster met out there is the target's.
 *
 * @param failure A failure told here.
 * @returns Whether it is the target's, or the name server's.
 */
export function blamesTarget(failure: ErrorBody): boolean {
  return failure.code === "tool_failed" && failure.message !== OTHER.message;
}
