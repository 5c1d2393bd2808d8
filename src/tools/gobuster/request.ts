/**
 * What a caller may ask of gobuster, and how it is read.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { Scope } from "@/scope/scope.ts";
import { parseTarget, type TargetText } from "@/scope/target.ts";
import {
  choice,
  type Fields,
  flag,
  integer,
  type Parsed,
  parseFields,
  required,
  shown,
  text,
  textOrTexts,
} from "../field.ts";
import type { Guardrails } from "../guardrails.ts";
import { TIMEOUT_FIELD } from "../timeout.ts";
import {
  EXTRA_ARGS_LENGTH_MAX,
  foldFlags,
  joinFolded,
  tokenize,
} from "../tokenizer.ts";
import { FLAG_FIELDS, flagTable, type Mode, MODES } from "./flags.ts";
import { parseUrl, URL_LENGTH_MAX, type WebUrl } from "./url.ts";

/** Most file extensions of one request. */
const EXTENSIONS_MAX = 16;

/** The arguments of a call. */
export const GOBUSTER_FIELDS = {
  mode: required(choice(
    "dir: paths of a web server; dns: names of a domain; vhost: virtual hosts.",
    MODES,
  )),
  target: required(text(
    "dir, vhost: URL like http://10.0.0.1:8080/ (vhost: with a host name). dns: domain.",
    URL_LENGTH_MAX,
  )),
  wordlist: text("Name of a wordlist of the catalogue; no path.", 64),
  extensions: textOrTexts("dir: file extensions to try too, like php,html.", {
    lengthMax: 128,
    itemsMax: EXTENSIONS_MAX,
  }),
  status_codes: text(
    "dir: report these only, like 200,301-308. Default: all but 404.",
    256,
  ),
  threads: integer("Requests at once; the server has a cap.", 1, 1_000),
  resolver: text("dns: name server, address or address:port.", 64),
  extra_args: text(
    "Further gobuster flags, e.g. --exclude-length 1234, --delay 100ms, --wildcard.",
    EXTRA_ARGS_LENGTH_MAX,
  ),
  timeout_seconds: TIMEOUT_FIELD,
} satisfies Fields;

const ALL_FIELDS = {
  ...GOBUSTER_FIELDS,
  ...FLAG_FIELDS,
  tls_unverified: flag("Done anyway."),
} satisfies Fields;

type All = Parsed<typeof ALL_FIELDS>;

/** A name server. */
export interface Resolver {
  readonly host: TargetText;
  readonly port: number;
}

/** A request that is well formed. Whether it is allowed is the plan's matter. */
export interface GobusterRequest {
  readonly mode: Mode;
  /** Null in mode `dns`. */
  readonly url: WebUrl | null;
  /** Below which names are looked for; empty in mode `dir`. */
  readonly domain: string;
  /** Host names that lie below an allowed suffix; the others must not be looked up. */
  readonly lookups: readonly string[];
  readonly wordlist: string | undefined;
  /** Without their dots. */
  readonly extensions: readonly string[];
  /** Canonical text. */
  readonly statusCodes: string | undefined;
  readonly statusCodesBlacklist: string | undefined;
  readonly excludeLengths: readonly number[];
  readonly addSlash: boolean;
  readonly method: "GET" | "HEAD";
  readonly threads: number | undefined;
  readonly delayMs: number;
  readonly requestTimeoutSeconds: number | undefined;
  readonly resolver: Resolver | undefined;
  readonly wildcard: boolean;
  readonly timeoutSeconds: number | undefined;
}

/**
 * Reads a request.
 *
 * @param input Untrusted JSON.
 * @param guardrails Limits and the scope.
 * @returns The request.
 * @throws {AppError} `invalid_arguments` or `invalid_target`.
 */
export function parseRequest(
  input: unknown,
  guardrails: Guardrails,
): GobusterRequest {
  const fields = foldExtraArgs(parseFields(GOBUSTER_FIELDS, input), guardrails);
  refuseForeignFields(fields);
  const { mode } = fields;
  const url = mode === "dns" ? null : parseUrl(fields.target);
  const scope = Scope.of(guardrails.scope);
  const named = url?.host.kind === "name" ? url.host.text : null;
  return {
    mode,
    url,
    domain: domainOf(fields, named),
    lookups: named !== null && scope.allowsName(named) ? [named] : [],
    wordlist: parseWordlist(fields.wordlist, guardrails),
    extensions: parseExtensions(fields.extensions ?? []),
    statusCodes: parseCodes(fields.status_codes),
    statusCodesBlacklist: parseCodes(fields.status_codes_blacklist),
    excludeLengths: parseLengths(fields.exclude_length ?? []),
    addSlash: fields.add_slash ?? false,
    method: parseMethod(fields.method ?? "GET"),
    threads: fields.threads,
    delayMs: fields.delay_ms ?? 0,
    requestTimeoutSeconds: fields.request_timeout,
    resolver: fields.resolver === undefined
      ? undefined
      : parseResolver(fields.resolver),
    wildcard: fields.wildcard ?? false,
    timeoutSeconds: fields.timeout_seconds,
  };
}

/**
 * Reads a name server.
 *
 * @param given `address`, `address:port`, or `[address]:port`.
 * @returns Address and port; 53 where none is named.
 * @throws {AppError} `invalid_target`.
 */
export function parseResolver(given: string): Resolver {
  const match = /^\[([0-9a-f:]+)\](?::([0-9]{1,5}))?$/i.exec(given) ??
    /^([0-9.]+)(?::([0-9]{1,5}))?$/.exec(given) ??
    /^([0-9a-f:]+)$/i.exec(given);
  const [, hostText = "", portText = "53"] = match ?? [];
  const port = Number(portText);
  const host = match === null ? null : parseTarget(hostText);
  if (
    host?.kind !== "address" || String(port) !== portText || port < 1 ||
    port > 65_535
  ) {
    throw new AppError(
      "invalid_target",
      `Cannot use the resolver ${
        shown(given)
      }: write an address like 10.0.0.53 or 10.0.0.53:5353`,
    );
  }
  return { host, port };
}

/**
 * Says which wordlists there are.
 *
 * @param guardrails The catalogue.
 * @returns The names, for a message.
 */
export function wordlistNames(guardrails: Guardrails): string {
  const names = guardrails.gobuster.wordlists.map(({ name }) => name);
  const more = names.length > 32 ? ` and ${names.length - 32} more` : "";
  return names.length === 0 ? "none" : names.slice(0, 32).join(", ") + more;
}

function foldExtraArgs(
  typed: Parsed<typeof GOBUSTER_FIELDS>,
  guardrails: Guardrails,
): All {
  const { extra_args, ...rest } = typed;
  if (extra_args === undefined) return parseFields(ALL_FIELDS, rest);
  const lengthMax = guardrails.extraArgsLengthMax;
  if (extra_args.length > lengthMax) {
    throw refuse(
      `extra_args has ${extra_args.length} characters, at most ${lengthMax} are taken here`,
    );
  }
  const folded = foldFlags(tokenize(extra_args), flagTable(typed.mode));
  return parseFields(ALL_FIELDS, joinFolded(rest, folded));
}

/** A field of another mode would be dropped without a word, so it is refused. */
function refuseForeignFields(fields: All): void {
  const own: Readonly<Record<string, Mode>> = {
    extensions: "dir",
    status_codes: "dir",
    resolver: "dns",
  };
  for (const [name, mode] of Object.entries(own)) {
    if (fields[name as keyof All] !== undefined && fields.mode !== mode) {
      throw refuse(`${name} is for mode ${mode}; leave it out`);
    }
  }
  if (
    fields.status_codes !== undefined &&
    fields.status_codes_blacklist !== undefined
  ) {
    throw refuse(
      "status_codes and --status-codes-blacklist exclude each other; keep one",
    );
  }
}

function domainOf(fields: All, named: string | null): string {
  if (fields.mode === "dir") return "";
  const given = fields.mode === "dns"
    ? fields.target
    : fields.domain ?? named ?? "";
  if (given === "") {
    throw refuse(
      "mode vhost needs a domain; use a URL with a host name, or extra_args --domain example.lab.internal",
    );
  }
  const domain = parseTarget(given);
  if (domain.kind !== "name") {
    throw new AppError(
      "invalid_target",
      `Cannot use the domain ${
        shown(given)
      }: it is no host name; write it like example.lab.internal`,
    );
  }
  return domain.text;
}

function parseWordlist(
  name: string | undefined,
  guardrails: Guardrails,
): string | undefined {
  if (name === undefined) return undefined;
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) && !name.includes("..")) {
    return name;
  }
  throw refuse(
    `the wordlist ${
      shown(name)
    } is no name of the catalogue, and paths are not taken; the names are ${
      wordlistNames(guardrails)
    }`,
  );
}

function parseExtensions(items: readonly string[]): readonly string[] {
  const words = items.flatMap((item) => item.split(","));
  const extensions = words.map((word) => {
    const match = /^\.?([A-Za-z0-9][A-Za-z0-9_-]{0,15}(?:\.[A-Za-z0-9]{1,8})?)$/
      .exec(word);
    if (match?.[1] === undefined) {
      throw refuse(
        `${shown(word)} is no file extension; write them like php,html`,
      );
    }
    return match[1];
  });
  const once = [...new Set(extensions)];
  if (once.length > EXTENSIONS_MAX) {
    throw refuse(
      `there are ${once.length} extensions, at most ${EXTENSIONS_MAX} are taken`,
    );
  }
  return once;
}

function parseCodes(given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  for (const item of given.split(",")) {
    const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(item);
    if (match === null || Number(match[2] ?? match[1]) < Number(match[1])) {
      throw refuse(
        `${shown(item)} is no status code; write them like 200,301-308`,
      );
    }
  }
  return given;
}

function parseLengths(items: readonly string[]): readonly number[] {
  return items.map((item) => {
    if (/^(?:0|[1-9][0-9]{0,8})$/.test(item)) return Number(item);
    throw refuse(`${shown(item)} is no length; write them like 0,1234`);
  });
}

function parseMethod(method: string): "GET" | "HEAD" {
  if (method === "GET" || method === "HEAD") return method;
  throw refuse(`the method ${shown(method)} is not taken; use GET or HEAD`);
}

function refuse(why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot use these arguments of gobuster: ${why}`,
  );
}
