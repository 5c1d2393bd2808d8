/**
 * What a caller may ask of gobuster, and how it is read.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { Scope } from "@/scope/scope.ts";
import { parseTarget } from "@/scope/target.ts";
import type { SafeText } from "@/spawn/argv.ts";
import { foldExtraArgs } from "../extra_args.ts";
import {
  choice,
  type Fields,
  integer,
  type Parsed,
  parseFields,
  required,
  text,
} from "../field.ts";
import type { Guardrails } from "../guardrails.ts";
import { TIMEOUT_FIELD } from "../timeout.ts";
import { EXTRA_ARGS_LENGTH_MAX } from "../tokenizer.ts";
import { FLAG_FIELDS, FLAG_TABLE } from "./flags.ts";
import { parseUrl, shownUrl, URL_LENGTH_MAX, type WebUrl } from "./url.ts";
import {
  LIST_LENGTH_MAX,
  parseExtensions,
  parseLengths,
  parseResolver,
  parseStatusCodes,
  type ResolverText,
} from "./values.ts";

/** What gobuster looks for. */
export const MODES = ["dir", "dns", "vhost"] as const;

/** One of {@linkcode MODES}. */
export type Mode = typeof MODES[number];

/** Threads that the field takes; the guardrail is lower. */
const THREADS_FIELD_MAX = 1_000;

/** The arguments of a call. */
export const GOBUSTER_FIELDS = {
  mode: required(choice(
    "dir: paths below a URL. vhost: virtual hosts of a URL. dns: names below a domain.",
    MODES,
  )),
  target: required(text(
    "URL like http://10.0.0.1:8080/ for dir and vhost, a domain for dns.",
    URL_LENGTH_MAX,
  )),
  wordlist: text("Name of a wordlist of the server; never a path.", 256),
  extensions: text(
    "dir: extensions tried with each word, like php,html.",
    LIST_LENGTH_MAX,
  ),
  status_codes: text(
    "dir: status codes that count as found, like 200,301-308. Default: all but 404.",
    LIST_LENGTH_MAX,
  ),
  threads: integer(
    "Requests at once; the server has a default and a cap.",
    1,
    THREADS_FIELD_MAX,
  ),
  resolver: text("dns: name server, an address with or without a port.", 64),
  extra_args: text(
    "Further flags: --exclude-length --add-slash --delay -k; vhost: --domain; dns: --wildcard.",
    EXTRA_ARGS_LENGTH_MAX,
  ),
  timeout_seconds: TIMEOUT_FIELD,
} satisfies Fields;

const ALL_FIELDS = { ...GOBUSTER_FIELDS, ...FLAG_FIELDS } satisfies Fields;

type All = Parsed<typeof ALL_FIELDS>;

/** The fields that only some modes have, by the words that name them to a caller. */
const ONLY_IN: readonly (readonly [keyof All, string, readonly Mode[]])[] = [
  ["extensions", "extensions", ["dir"]],
  ["status_codes", "status_codes", ["dir"]],
  ["exclude_status_codes", "--status-codes-blacklist", ["dir"]],
  ["exclude_length", "--exclude-length", ["dir", "vhost"]],
  ["add_slash", "--add-slash", ["dir"]],
  ["no_tls_validation", "--no-tls-validation", ["dir", "vhost"]],
  ["resolver", "resolver", ["dns"]],
  ["domain", "--domain", ["vhost"]],
  ["wildcard", "--wildcard", ["dns"]],
];

/** A wordlist of the catalogue. */
export type Wordlist = Guardrails["gobuster"]["wordlists"][number];

/** A request that is well formed. Whether it is allowed is the plan's matter. */
export interface GobusterRequest {
  readonly mode: Mode;
  /** The web server of `dir` and `vhost`; null for `dns`. */
  readonly url: WebUrl | null;
  /** The domain that words are put in front of; null for `dir`. In lower case. */
  readonly domain: string | null;
  /** Host names that lie below an allowed suffix; the others must not be looked up. */
  readonly lookups: readonly string[];
  /** The name as given, null for the default, and what the catalogue has under it. */
  readonly wordlistName: string | null;
  readonly wordlist: Wordlist | null;
  readonly extensions: readonly string[];
  readonly statusCodes: SafeText | null;
  readonly excludedCodes: SafeText | null;
  readonly excludedLengths: SafeText | null;
  readonly threads: number | undefined;
  readonly resolver: ResolverText | null;
  readonly addSlash: boolean;
  readonly skipCertificate: boolean;
  readonly wildcard: boolean;
  readonly delayMs: number;
  readonly timeoutSeconds: number | undefined;
}

/**
 * Reads a request.
 *
 * @param input Untrusted JSON.
 * @param guardrails Limits, the scope, the catalogue of wordlists.
 * @returns The request.
 * @throws {AppError} `invalid_arguments` or `invalid_target`.
 */
export function parseRequest(
  input: unknown,
  guardrails: Guardrails,
): GobusterRequest {
  const fields = foldExtraArgs(parseFields(GOBUSTER_FIELDS, input), {
    tool: "gobuster",
    fields: ALL_FIELDS,
    flags: FLAG_TABLE,
    lengthMax: guardrails.extraArgsLengthMax,
  });
  refuseOtherModes(fields);
  const { mode } = fields;
  const url = mode === "dns" ? null : parseUrl(fields.target);
  if (fields.no_tls_validation === true && url?.scheme === "http") {
    throw refuse("--no-tls-validation needs an https URL; leave it out");
  }
  const scope = Scope.of(guardrails.scope);
  const name = url?.host.kind === "name" ? url.host.text : null;
  const wordlist = wordlistOf(fields, guardrails);
  return {
    mode,
    url,
    domain: domainOf(fields, url),
    lookups: name !== null && scope.allowsName(name) ? [name] : [],
    wordlistName: fields.wordlist ?? null,
    wordlist,
    ...filters(fields),
    threads: fields.threads,
    resolver: fields.resolver === undefined
      ? null
      : parseResolver(fields.resolver),
    addSlash: fields.add_slash ?? false,
    skipCertificate: fields.no_tls_validation ?? false,
    wildcard: fields.wildcard ?? false,
    delayMs: fields.delay_ms ?? 0,
    timeoutSeconds: fields.timeout_seconds,
  };
}

/**
 * Counts what gobuster tries: each word of the list, as it stands and with each extension.
 *
 * @param request The request.
 * @returns The number of tries; 0 if there is no wordlist.
 */
export function triesOf(request: GobusterRequest): number {
  return (request.wordlist?.words ?? 0) * (1 + request.extensions.length);
}

/** gobuster would refuse or ignore these in its own way; a caller should hear of it before. */
function refuseOtherModes(fields: All): void {
  for (const [field, words, modes] of ONLY_IN) {
    if (fields[field] !== undefined && !modes.includes(fields.mode)) {
      throw refuse(
        `${words} is for mode ${
          modes.join(" and ")
        }; leave it out in mode ${fields.mode}`,
      );
    }
  }
  if (
    fields.status_codes !== undefined &&
    fields.exclude_status_codes !== undefined
  ) {
    throw refuse(
      "status_codes and --status-codes-blacklist exclude each other; keep one",
    );
  }
}

/** The lists that suit a mode better than the default, where the catalogue has them. */
const MODE_WORDLISTS: Readonly<Record<string, string>> = {
  dns: "subdomains",
  vhost: "vhosts",
};

/** The list that was named, else the one of the mode, else the configured default. */
function wordlistOf(fields: All, guardrails: Guardrails): Wordlist | null {
  const { wordlists, wordlistDefault } = guardrails.gobuster;
  const find = (wanted: string | undefined) =>
    wordlists.find(({ name }) => name === wanted);
  const found = fields.wordlist === undefined
    ? find(MODE_WORDLISTS[fields.mode]) ?? find(wordlistDefault)
    : find(fields.wordlist);
  return found ?? null;
}

/** The domain of `dns`, or the one that virtual hosts belong to. */
function domainOf(fields: All, url: WebUrl | null): string | null {
  if (fields.mode === "dir") return null;
  if (url === null) return parseDomain(fields.target, "the domain");
  if (fields.domain !== undefined) {
    return parseDomain(fields.domain, "the value of --domain");
  }
  if (url.host.kind === "name") return url.host.text;
  throw refuse(
    "mode vhost needs a domain to put words in front of; use a URL with a host name, or add --domain lab.example to extra_args",
  );
}

function parseDomain(given: string, what: string): string {
  let kind = "none";
  try {
    const target = parseTarget(given);
    if (target.kind === "name") return target.text;
    kind = target.kind;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
  const why = kind === "none"
    ? "it is no plain domain"
    : `it is an ${kind === "address" ? "address" : "address range"}`;
  throw new AppError(
    "invalid_target",
    `Cannot use ${what} ${
      shownUrl(given)
    }: ${why}; write a domain without a scheme, like lab.example`,
  );
}

function filters(fields: All) {
  const { status_codes, exclude_status_codes, exclude_length } = fields;
  return {
    extensions: fields.extensions === undefined
      ? []
      : parseExtensions(fields.extensions),
    statusCodes: status_codes === undefined
      ? null
      : parseStatusCodes(status_codes, "status_codes"),
    excludedCodes: exclude_status_codes === undefined
      ? null
      : parseStatusCodes(exclude_status_codes, "extra_args"),
    excludedLengths: exclude_length === undefined
      ? null
      : parseLengths(exclude_length),
  };
}

function refuse(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use these arguments of gobuster: ${why}`,
  );
}
