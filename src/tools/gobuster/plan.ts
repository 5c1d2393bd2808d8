/**
 * Holds a request against every guardrail and decides what gobuster will do.
 *
 * A plan always names every guardrail of its mode, also after one has refused. In mode `dns` nothing
 * is sent to the names' own addresses: the domain has to lie below an allowed suffix because a look-up
 * of a foreign name leaves the network, and the name server has to be in the scope because it is who
 * gets the packets.
 *
 * @module
 */
import type { ErrorCode } from "@/error/code.ts";
import { Scope, type Target } from "@/scope/scope.ts";
import { SafeText } from "@/spawn/argv.ts";
import type { Guardrails } from "../guardrails.ts";
import { judgeTimeout } from "../timeout.ts";
import type { Plan, PlanContext, Verdict } from "../tool.ts";
import { scanArgv } from "./argv.ts";
import {
  type GobusterRequest,
  parseResolver,
  type Resolver,
  wordlistNames,
} from "./request.ts";
import { portOf, urlText } from "./url.ts";

/** Seconds of one request, for the estimate: measured on a network without latency, with a margin. */
const REQUEST_SECONDS = 0.02;

/** Requests that gobuster makes before the first word. */
const FIRST_REQUESTS = 2;

/** What the judgement of a target leaves. */
interface Aim {
  readonly verdicts: readonly Verdict[];
  /** The address that is contacted; null in mode `dns`, and when refused. */
  readonly address: Target | null;
  readonly notes: readonly string[];
}

/**
 * Plans a scan.
 *
 * @param request A parsed request.
 * @param context Guardrails, powers, looked-up names.
 * @returns The plan.
 */
export function planScan(request: GobusterRequest, context: PlanContext): Plan {
  const { guardrails } = context;
  const aim = request.mode === "dns"
    ? aimAtDomain(request, guardrails)
    : aimAtServer(request, context);
  const wordlist = judgeWordlist(request, guardrails);
  const threads = request.threads ?? guardrails.gobuster.threadsDefault;
  const resolver = judgeResolver(request, context);
  const timeout = judgeTimeout(request.timeoutSeconds, guardrails);
  const verdicts: readonly Verdict[] = [
    ...aim.verdicts,
    wordlist.verdict,
    judgeThreads(threads, guardrails),
    ...(request.mode === "dns" ? [resolver.verdict] : []),
    timeout.verdict,
  ];
  const runs = verdicts.every((verdict) => verdict.allowed);
  const url = urlSafe(request, aim.address);
  const probes = wordlist.words * (1 + request.extensions.length) +
    FIRST_REQUESTS;
  const seconds = 1 + Math.ceil(
    probes * (REQUEST_SECONDS + request.delayMs / 1_000) / threads,
  );
  return {
    tool: "gobuster",
    verdicts,
    passes: runs && wordlist.path !== null
      ? [scanArgv(request, {
        url,
        wordlist: wordlist.path,
        threads,
        requestTimeoutSeconds: request.requestTimeoutSeconds ??
          guardrails.gobuster.requestTimeoutSeconds,
        resolver: resolver.safe,
      })]
      : [],
    targets: [url?.toString() ?? request.domain].filter((text) => text !== ""),
    addressCount: request.mode === "dns" ? 0 : 1,
    probes,
    seconds,
    scanType: request.mode,
    permissions: permissions(request, aim.address, resolver.safe),
    timeoutMs: timeout.timeoutMs,
    notes: runs
      ? [
        ...aim.notes,
        ...resolver.notes,
        ...methodNotes(request),
        ...deadlineNotes(seconds, timeout.timeoutMs),
      ]
      : [],
  };
}

function aimAtServer(request: GobusterRequest, context: PlanContext): Aim {
  const host = request.url?.host;
  const { targets, verdicts } = Scope.of(context.guardrails.scope).judge(
    host === undefined ? [] : [host],
    context.resolved,
  );
  // One server is asked, so one address is enough; IPv4 first, as it is what most servers have.
  const address = targets.find((target) => target.family === 4) ??
    targets[0] ?? null;
  const notes: string[] = [];
  if (address?.name) {
    const others = targets.length > 1
      ? `; its ${targets.length - 1} other addresses are not asked`
      : "";
    notes.push(
      `${address.name} was looked up and is asked at ${address}${others}`,
    );
  }
  return { verdicts, address, notes };
}

function aimAtDomain(request: GobusterRequest, guardrails: Guardrails): Aim {
  const { domain } = request;
  const suffixes = guardrails.scope.allowedHostSuffixes.join(", ") || "none";
  // The names that will be looked up lie one below the domain.
  const isAllowed = Scope.of(guardrails.scope).allowsName(`a.${domain}`);
  return {
    verdicts: [
      isAllowed
        ? allowed("scope", `names below ${domain} are allowed`)
        : refused(
          "scope",
          "target_not_allowed",
          `Cannot look names up below "${domain}": domains are allowed only below these suffixes: ${suffixes}`,
        ),
      allowed("network_size", "no address is scanned"),
    ],
    address: null,
    notes: [
      "addresses that names resolve to are reported only, wherever they lie; none is contacted",
    ],
  };
}

function judgeWordlist(
  request: GobusterRequest,
  guardrails: Guardrails,
): { verdict: Verdict; path: SafeText | null; words: number } {
  const { wordlists, wordlistDefault } = guardrails.gobuster;
  const name = request.wordlist ?? wordlistDefault;
  const found = wordlists.find((wordlist) => wordlist.name === name);
  if (found === undefined) {
    const verdict = refused(
      "wordlist",
      "invalid_arguments",
      `Cannot use the wordlist "${name}": the catalogue has none of that name; the names are ${
        wordlistNames(guardrails)
      }`,
    );
    return { verdict, path: null, words: 0 };
  }
  const path = pathSafe(found.path);
  if (path === null) {
    const verdict = refused(
      "wordlist",
      "tool_unavailable",
      `Cannot use the wordlist "${name}": its file has a name that is not taken; use another one, or ask the operator to rename it without spaces`,
    );
    return { verdict, path: null, words: 0 };
  }
  const verdict = allowed("wordlist", `${name} has ${found.words} words`);
  return { verdict, path, words: found.words };
}

function judgeThreads(threads: number, guardrails: Guardrails): Verdict {
  const { threadsMax } = guardrails.gobuster;
  return threads <= threadsMax
    ? allowed("threads", `${threads} threads, at most ${threadsMax}`)
    : refused(
      "threads",
      "invalid_arguments",
      `Cannot use ${threads} threads: the cap is ${threadsMax}; use threads ${threadsMax} or less, or leave it out`,
    );
}

/** A resolver that the operator configured is used as it is; one that the caller names is judged. */
function judgeResolver(
  request: GobusterRequest,
  context: PlanContext,
): { verdict: Verdict; safe: SafeText | null; notes: string[] } {
  const guardrail = "resolver";
  const { resolver: configured } = context.guardrails.gobuster;
  if (request.mode !== "dns") {
    const verdict = allowed(guardrail, "not needed");
    return { verdict, safe: null, notes: [] };
  }
  if (request.resolver === undefined) {
    const safe = configured === null
      ? null
      : resolverSafe(parseResolver(configured));
    const which = safe === null
      ? "the system's name server"
      : "the name server of the configuration";
    const notes = [`${which} is asked; resolver names another`];
    return { verdict: allowed(guardrail, which), safe, notes };
  }
  const safe = resolverSafe(request.resolver);
  if (
    configured !== null &&
    safe.toString() === resolverSafe(parseResolver(configured)).toString()
  ) {
    const verdict = allowed(guardrail, `${safe} is the configured one`);
    return { verdict, safe, notes: [] };
  }
  const { verdicts } = Scope.of(context.guardrails.scope).judge(
    [request.resolver.host],
    context.resolved,
  );
  const refusal = verdicts.find((verdict) => !verdict.allowed)?.error;
  const verdict = refusal === undefined
    ? allowed(guardrail, `${safe} is in the scope`)
    : refused(
      guardrail,
      refusal.code,
      `${refusal.message}; or leave resolver out`,
    );
  return { verdict, safe, notes: [] };
}

function resolverSafe({ host, port }: Resolver): SafeText {
  const text = host.text.includes(":") ? `[${host.text}]` : host.text;
  return SafeText.match(
    `${text}:${port}`,
    /(?:[0-9.]+|\[[0-9a-f:]+\]):[0-9]{1,5}/,
  );
}

function urlSafe(
  { url }: GobusterRequest,
  address: Target | null,
): SafeText | null {
  return url === null || address === null ? null : SafeText.match(
    urlText(url, address.toString()),
    /https?:\/\/[\x21-\x7e]+/,
  );
}

/** The path comes from the operator's catalogue, and may still hold a space. */
function pathSafe(path: string): SafeText | null {
  return /^\/[\x21-\x7e]+$/.test(path)
    ? SafeText.match(path, /\/[\x21-\x7e]+/)
    : null;
}

function permissions(
  request: GobusterRequest,
  address: Target | null,
  resolver: SafeText | null,
): readonly string[] {
  const { url } = request;
  const peer = url !== null
    ? `${address ?? "none"} port ${portOf(url)}`
    : resolver === null
    ? "the system's name server"
    : `${resolver}`;
  return ["run gobuster", "read one wordlist", `network: ${peer}`];
}

function methodNotes({ url, mode }: GobusterRequest): string[] {
  if (url === null) return [];
  const notes = ["redirects are reported and not followed"];
  if (url.scheme === "https") {
    notes.push("the server's certificate is not verified");
    if (url.host.kind === "name" || mode === "vhost") {
      notes.push(
        "the address is asked, so TLS carries no server name: a server that chooses by it answers as its default host",
      );
    }
  }
  if (url.query !== "" && mode === "dir") {
    notes.push("words are appended behind the query");
  }
  return notes;
}

function deadlineNotes(seconds: number, timeoutMs: number): string[] {
  if (seconds * 1_000 <= timeoutMs) return [];
  return [
    `the estimate of ${seconds} s exceeds the deadline of ${
      timeoutMs / 1_000
    } s; use a shorter wordlist or fewer extensions, or raise timeout_seconds`,
  ];
}

function allowed(guardrail: string, reason: string): Verdict {
  return { guardrail, allowed: true, reason };
}

function refused(guardrail: string, code: ErrorCode, message: string): Verdict {
  return {
    guardrail,
    allowed: false,
    reason: message,
    error: { code, message },
  };
}
