/**
 * Holds a request against every guardrail and decides what gobuster will do.
 *
 * A plan always names every guardrail of its mode, also after one has refused.
 *
 * A web server that is named by a host name is asked at the address that was looked up and judged.
 * Over https its certificate cannot be checked then: gobuster 3.5 checks it against the host of the
 * URL, which is the address, and sends no server name for one. So the check is left out there, and a
 * note says so. Nothing secret is sent: gobuster gets no credentials. By address the check stays, and
 * a caller may leave it out by `-k`.
 *
 * `dns` looks names up and contacts none of them: what is found is only reported. Its domain has to
 * lie below an allowed suffix, or be one, because every name that is tried is carried to the name
 * server. The same holds for the domain of `vhost`, which is carried in the `Host` header: a proxy in
 * transparent mode would go where that header leads.
 *
 * @module
 */
import { Scope, type Target } from "@/scope/scope.ts";
import { SafeText } from "@/spawn/argv.ts";
import { shown } from "../field.ts";
import { judgeTimeout } from "../timeout.ts";
import type { Plan, PlanContext, Verdict } from "../tool.ts";
import { allowed, refused } from "../verdict.ts";
import { type GobusterSettings, scanArgv } from "./argv.ts";
import { type GobusterRequest, triesOf } from "./request.ts";
import { urlText } from "./url.ts";
import { parseResolver, resolverSafe } from "./values.ts";

/**
 * Seconds that an answer is taken to need, for the estimate: a web server near by with a small
 * application. One on loopback with static files answers thirty times as fast.
 */
const ANSWER_SECONDS = 0.02;

/** Requests before the first word: the start page, and one for what does not exist. */
const FIRST_REQUESTS = 2;

/** Questions that one name costs: its IPv4 and its IPv6 addresses. */
const QUESTIONS_PER_NAME = 2;

/** Most wordlists that a refusal names. */
const WORDLISTS_SHOWN_MAX = 20;

/**
 * Plans a scan.
 *
 * @param request A parsed request.
 * @param context Guardrails and looked-up names.
 * @returns The plan.
 */
export function planScan(request: GobusterRequest, context: PlanContext): Plan {
  const { guardrails } = context;
  const place = request.url === null
    ? judgeNames(request, context)
    : judgeServer(request, context);
  const wordlist = judgeWordlist(request, context);
  const threads = request.threads ?? guardrails.gobuster.threadsDefault;
  const timeout = judgeTimeout(
    "gobuster",
    request.timeoutSeconds,
    guardrails,
  );
  const verdicts: readonly Verdict[] = [
    ...place.verdicts,
    wordlist.verdict,
    judgeThreads(threads, context),
    timeout.verdict,
  ];
  const settings: GobusterSettings | null = wordlist.path === null ? null : {
    server: place.server,
    resolver: place.resolver,
    wordlistPath: wordlist.path,
    threads,
    requestTimeoutSeconds: guardrails.gobuster.requestTimeoutSeconds,
    skipCertificate: request.skipCertificate || isPinned(request, place.server),
  };
  const runs = settings !== null &&
    verdicts.every((verdict) => verdict.allowed);
  const { probes, seconds } = estimate(request, threads);
  return {
    tool: "gobuster",
    verdicts,
    passes: runs ? [scanArgv(request, settings)] : [],
    targets: place.targets,
    addressCount: place.addressCount,
    probes,
    seconds,
    scanType: request.mode,
    permissions: [
      "run gobuster",
      ...(request.wordlist === null
        ? []
        : [`read wordlist ${request.wordlist.name}`]),
      ...place.permissions,
    ],
    timeoutMs: timeout.timeoutMs,
    notes: runs
      ? [
        ...place.notes,
        ...choiceNotes(request, settings),
        ...deadlineNotes(seconds, timeout.timeoutMs),
      ]
      : [],
    facts: {
      networks: place.server?.networks ?? [],
      names: namesIn(request),
      ports: 0,
      rate: 0,
      intrusive: false,
    },
  };
}

/** The server's name, and the domain below which names are tried. */
function namesIn({ url, domain }: GobusterRequest): readonly string[] {
  const host = url?.host.kind === "name" ? [url.host.text] : [];
  return [...new Set([...host, ...(domain === null ? [] : [domain])])];
}

/** Where a scan goes, as judged. */
interface Place {
  readonly verdicts: readonly Verdict[];
  readonly server: Target | null;
  readonly resolver: SafeText | null;
  readonly targets: readonly string[];
  readonly addressCount: number;
  readonly permissions: readonly string[];
  readonly notes: readonly string[];
}

function judgeServer(request: GobusterRequest, context: PlanContext): Place {
  const { url } = request;
  const judgement = Scope.of(context.guardrails.scope).judge(
    url === null ? [] : [url.host],
    context.resolved,
  );
  const server = serverOf(judgement.targets);
  const [scope, ...others] = judgement.verdicts;
  const domain = request.domain === null || scope?.allowed === false
    ? null
    : judgeDomain(request.domain, context);
  return {
    verdicts: [
      ...(domain === null || domain.allowed ? [scope] : [domain]),
      ...others,
    ].filter((verdict) => verdict !== undefined),
    server,
    resolver: null,
    targets: url === null || server === null
      ? []
      : [urlText(url, String(server))],
    addressCount: server === null ? judgement.addressCount : 1,
    permissions: server === null ? [] : [`network: ${server}`],
    notes: serverNotes(server, judgement.targets.length, request),
  };
}

/** One server is asked, so one address is enough; of both families the one that more servers have. */
function serverOf(targets: readonly Target[]): Target | null {
  return targets.find(({ family }) => family === 4) ?? targets[0] ?? null;
}

function serverNotes(
  server: Target | null,
  count: number,
  request: GobusterRequest,
): string[] {
  if (server === null || server.name === null) return [];
  const notes = [
    `${server.name} was looked up and is asked at ${server}, with the name in the Host header`,
  ];
  if (count > 1) {
    notes.push(
      `${server.name} has ${count} addresses; only ${server} is asked`,
    );
  }
  if (request.url?.scheme === "https") {
    notes.push(
      "the server's certificate is not checked and no server name is sent in TLS, because the address is pinned; a server that chooses its site by that name shows its default one",
    );
  }
  return notes;
}

function judgeNames(request: GobusterRequest, context: PlanContext): Place {
  const resolver = judgeResolver(request, context);
  return {
    verdicts: [
      judgeDomain(request.domain ?? "", context),
      resolver.verdict,
    ],
    server: null,
    resolver: resolver.value,
    targets: [request.domain ?? ""],
    addressCount: 1,
    permissions: resolver.verdict.allowed
      ? [`network: ${resolver.value ?? "the system's name server"}`]
      : [],
    notes: [
      "names that are found are only reported; nothing is sent to them",
      "gobuster does not tell a name whose look-up fails from one that does not exist",
    ],
  };
}

/** Every name that is tried lies below the domain, so the domain may be a suffix itself. */
function judgeDomain(domain: string, context: PlanContext): Verdict {
  const { scope } = context.guardrails;
  const closed = scope.within.find(({ subnets }) => subnets.length === 0);
  if (closed !== undefined) {
    return refused(
      "scope",
      "target_not_allowed",
      `Cannot try names below ${shown(domain)}: ${closed.why}`,
    );
  }
  if (Scope.of(scope).allowsName(`name.${domain}`)) {
    return allowed("scope", `names below ${domain} are allowed`);
  }
  const suffixes = scope.allowedHostSuffixes.join(", ").slice(0, 200) || "none";
  return refused(
    "scope",
    "target_not_allowed",
    `Cannot try names below ${
      shown(domain)
    }: domains are allowed only below these suffixes: ${suffixes}; choose such a domain, or ask the operator to allow it`,
  );
}

/** The operator's own name server is not judged: who writes it also writes the scope. */
function judgeResolver(
  request: GobusterRequest,
  context: PlanContext,
): { verdict: Verdict; value: SafeText | null } {
  const guardrail = "resolver";
  const { gobuster, scope } = context.guardrails;
  const configured = gobuster.resolver === null
    ? null
    : resolverSafe(parseResolver(gobuster.resolver));
  const asked = request.resolver === null
    ? configured
    : resolverSafe(request.resolver);
  if (asked === null) {
    const reason = "the system's name server";
    return { verdict: allowed(guardrail, reason), value: null };
  }
  if (String(asked) === String(configured)) {
    const reason = `${asked} is the configuration's`;
    return { verdict: allowed(guardrail, reason), value: asked };
  }
  const target = request.resolver?.target;
  const judgement = Scope.of(scope).judge(
    target === undefined ? [] : [target],
    new Map(),
  );
  const refusal = judgement.verdicts.find((verdict) => !verdict.allowed);
  if (refusal === undefined) {
    const reason = `${asked} is in scope`;
    return { verdict: allowed(guardrail, reason), value: asked };
  }
  const why = refusal.reason.replace(/^Cannot scan "[^"]*": /, "");
  const message = `Cannot ask the name server ${asked}: ${why}`;
  const code = refusal.error?.code ?? "target_not_allowed";
  return { verdict: refused(guardrail, code, message), value: null };
}

function judgeWordlist(
  request: GobusterRequest,
  context: PlanContext,
): { verdict: Verdict; path: SafeText | null } {
  const guardrail = "wordlist";
  const { wordlists, wordlistDefault } = context.guardrails.gobuster;
  const { wordlist } = request;
  if (wordlist === null) {
    const names = wordlists.map(({ name }) => name);
    const more = names.length - WORDLISTS_SHOWN_MAX;
    const list = names.slice(0, WORDLISTS_SHOWN_MAX).join(", ") +
      (more > 0 ? ` and ${more} more` : "");
    const way = names.length === 0
      ? "this server has none; the operator names folders in gobuster.wordlist_folders"
      : `use one of: ${list}`;
    const message = `Cannot use the wordlist ${
      shown(request.wordlistName ?? wordlistDefault)
    }: no wordlist has this name; ${way}`;
    return {
      verdict: refused(guardrail, "invalid_arguments", message),
      path: null,
    };
  }
  // The path is the operator's and real; a command line takes no blanks and nothing but ASCII.
  if (!/^\/[!-~]{1,4095}$/.test(wordlist.path)) {
    const message =
      `Cannot use the wordlist "${wordlist.name}": its path holds a blank or a character that is not ASCII; use another one, or ask the operator to move it`;
    return {
      verdict: refused(guardrail, "invalid_arguments", message),
      path: null,
    };
  }
  return {
    verdict: allowed(guardrail, `${wordlist.name}: ${wordlist.words} words`),
    path: SafeText.match(wordlist.path, /\/[!-~]+/),
  };
}

function judgeThreads(threads: number, context: PlanContext): Verdict {
  const { threadsMax } = context.guardrails.gobuster;
  return threads <= threadsMax
    ? allowed("threads", `${threads} threads, at most ${threadsMax}`)
    : refused(
      "threads",
      "invalid_arguments",
      `Cannot use ${threads} threads: the cap is ${threadsMax}; use threads ${threadsMax} or less, or leave it out`,
    );
}

/** The requests are exact but for blank lines; the seconds assume {@linkcode ANSWER_SECONDS}. */
function estimate(
  request: GobusterRequest,
  threads: number,
): { probes: number; seconds: number } {
  const requests = triesOf(request) + FIRST_REQUESTS;
  const each = ANSWER_SECONDS + request.delayMs / 1_000;
  return {
    probes: request.mode === "dns" ? requests * QUESTIONS_PER_NAME : requests,
    seconds: Math.ceil(requests * each / threads),
  };
}

function isPinned(request: GobusterRequest, server: Target | null): boolean {
  return request.url?.scheme === "https" && server !== null &&
    server.name !== null;
}

function choiceNotes(
  request: GobusterRequest,
  settings: GobusterSettings,
): string[] {
  const notes: string[] = [];
  if (request.wordlistName === null) {
    notes.push(`the wordlist ${request.wordlist?.name} was chosen`);
  }
  if (request.mode === "dir") {
    if (request.statusCodes === null && request.excludedCodes === null) {
      notes.push("every status but 404 counts as found");
    }
    notes.push("redirects are reported and not followed");
  }
  if (request.mode === "vhost" && request.domain === request.url?.host.text) {
    notes.push(
      `names below ${request.domain} are tried; --domain in extra_args names another domain`,
    );
  }
  if (request.skipCertificate && !isPinned(request, settings.server)) {
    notes.push("the server's certificate is not checked, as asked for");
  }
  return notes;
}

function deadlineNotes(seconds: number, timeoutMs: number): string[] {
  if (seconds * 1_000 <= timeoutMs) return [];
  return [
    `the estimate of ${seconds} s exceeds the deadline of ${
      timeoutMs / 1_000
    } s; use a smaller wordlist or fewer extensions, or raise threads or timeout_seconds`,
  ];
}
