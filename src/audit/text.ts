/**
 * Makes what came from outside fit to be kept for years: bounded, and without secrets.
 *
 * The log's own redaction comes first. It leaves what is only a secret by its looks, because a log is
 * thrown away and a line that says too little costs a search; the audit log is kept, exported and
 * handed to others, so here `password: …`, headers, tokens and keys within a text go as well. Only the
 * secret goes: who asked for which target has to stay readable.
 *
 * @module
 */
import { CleanTexts } from "@/log/clean_texts.ts";
import {
  isSecretName,
  type Plain,
  REDACTED,
  redactProperties,
  redactText,
} from "@/log/redact.ts";
import { canonicalJson } from "./canonical.ts";

/** Most UTF-16 code units of a text that says what was asked or answered. */
export const LONG_TEXT_MAX = 2_048;

/** Most UTF-16 code units of any other text. */
export const SHORT_TEXT_MAX = 256;

/** Most bytes of a value that is more than a text: a list of 64 host names fits. */
export const VALUE_BYTES_MAX = 20_480;

/** How much of a text is searched; what lies behind is left out. */
const SEARCH_LENGTH_MAX = 8_192;

/** Deepest nesting of what is hashed as a whole. No request is nearly as deep. */
const DEPTH_MAX = 256;

/** Most values of it. */
const WHOLE_VALUES_MAX = 1_000_000;

/** How much of a value that is too large is kept. */
const START_LENGTH = 4_096;

/**
 * What is a secret by its looks. Every pattern is bounded or linear, and hides the secret and not
 * what stands around it. The end of the text ends each of them too: a secret that was cut is one.
 */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [
    /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)/g,
    REDACTED,
  ],
  // A header's value goes up to the end of its line.
  [
    /((?:authorization|cookie|\bx-[\w-]{0,32}(?:key|token|secret|auth)[\w-]{0,32})["']?\s{0,8}[:=]\s{0,8})[^\r\n]+/gi,
    `$1${REDACTED}`,
  ],
  [
    /((?:passw(?:or)?d|passphrase|passcode|\bpwd|secret|token|(?:\b|api|access|private)[-_ ]?key)["']?\s{0,8}[=:]\s{0,8})(?:"[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s"'&;,#]+)/gi,
    `$1${REDACTED}`,
  ],
  [/\b(bearer|basic)\s{1,8}[\w.~+\/=-]+/gi, `$1 ${REDACTED}`],
  // Tokens that say what they are: JSON web tokens and those of well-known services.
  [/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, REDACTED],
  // API keys of our own.
  [/\bsmk_[0-9a-z]{16}_\w{8,}/g, REDACTED],
  [
    /\b(?:sk|pk|rk)[-_][\w-]{16,}|\bgh[pousr]_\w{16,}|\bglpat-[\w-]{16,}|\bxox[abeprs]-[\w-]{10,}|\bAKIA[0-9A-Z]{12,}/g,
    REDACTED,
  ],
];

/**
 * Makes a text fit to be kept.
 *
 * @param text Anything.
 * @param lengthMax Most UTF-16 code units of it.
 * @returns The text without secrets, cut to the maximum.
 */
export function auditText(text: string, lengthMax: number): string {
  const known = clean.has(text);
  const kept = known ? text : searched(text);
  if (!known && kept === text) clean.add(text);
  if (kept.length <= lengthMax && text.length <= SEARCH_LENGTH_MAX) return kept;
  return `${kept.slice(0, lengthMax)}... (cut, ${text.length} long)`;
}

const clean = new CleanTexts();

/** The part of a text that is searched, without its secrets. */
function searched(text: string): string {
  let kept = text.slice(0, SEARCH_LENGTH_MAX);
  for (const [pattern, replacement] of SECRETS) {
    kept = kept.replace(pattern, replacement);
  }
  return redactText(kept);
}

/** Hashes ASCII text with SHA-256, into hex digits. */
export type Hash = (text: string) => string;

/**
 * Makes a value fit to be kept: the arguments of a call, the parts of a command line.
 *
 * What is cut carries the hash of the whole, so that whoever has the request can prove that it was this
 * one. The whole is hashed as canonical JSON and without secrets, as everything here: the hash of a
 * password could be guessed. Where there is none in it, it is the request as it was sent.
 *
 * @param value Anything.
 * @param hash Hashes the whole of what is cut.
 * @returns Plain data without secrets. Of one that had to be cut, `{ cut, sha256 }` tells the length and
 * the hash of the whole, and `value` or `start` what was kept of it.
 */
export function auditValue(value: unknown, hash: Hash): Plain {
  const { value: plain = null } = redactProperties({ value });
  const kept = withoutSecrets(plain);
  const json = canonicalJson(kept);
  const whole = wholeJson(value) ?? json;
  if (json === whole && json.length <= VALUE_BYTES_MAX) return kept;
  const cut = { cut: whole.length, sha256: hash(whole) };
  return json.length <= VALUE_BYTES_MAX
    ? { ...cut, value: kept }
    : { ...cut, start: json.slice(0, START_LENGTH) };
}

/** The JSON of the whole without secrets, or null for what no request holds: a cycle, a getter. */
function wholeJson(value: unknown): string | null {
  try {
    return canonicalJson(wholeOf(value, 0, { values: WHOLE_VALUES_MAX }));
  } catch {
    // It cannot be read as a whole; what is kept was copied with care.
    return null;
  }
}

/** The value without secrets, as `auditValue` keeps it but for its cuts. */
function wholeOf(
  value: unknown,
  depth: number,
  left: { values: number },
): Plain {
  if (--left.values < 0 || depth > DEPTH_MAX) {
    throw new RangeError("Cannot read the whole: too many values or too deep");
  }
  if (typeof value === "string") return wholeText(value);
  if (isPlainObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [
        wholeText(name),
        isSecretName(name) ? REDACTED : wholeOf(member, depth + 1, left),
      ]),
    );
  }
  if (Array.isArray(value)) {
    return value.map((item) => wholeOf(item, depth + 1, left));
  }
  // Numbers and the like, and what no request can hold.
  const { value: plain = null } = redactProperties({ value });
  return withoutSecrets(plain);
}

/** A text over the cut is whole if no stretch of it holds a secret; otherwise it counts as it is kept. */
function wholeText(text: string): string {
  if (text.length <= LONG_TEXT_MAX) return auditText(text, Infinity);
  for (let at = 0; at < text.length; at += LONG_TEXT_MAX / 2) {
    const stretch = text.slice(at, at + LONG_TEXT_MAX);
    if (auditText(stretch, Infinity) !== stretch) {
      return auditText(text, LONG_TEXT_MAX);
    }
  }
  return text;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function withoutSecrets(value: Plain): Plain {
  if (typeof value === "string") return auditText(value, LONG_TEXT_MAX);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutSecrets);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      auditText(name, SHORT_TEXT_MAX),
      withoutSecrets(member),
    ]),
  );
}
