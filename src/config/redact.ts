/**
 * Takes secrets out of anything that is about to be shown.
 *
 * A value is a secret by the name it stands under, or by what it looks like: a URL with credentials
 * in it, or a connection string with a password. When in doubt it is one: a hidden value that could
 * have been shown costs a look into the file, the other way round costs a password.
 *
 * @module
 */

/** What stands in a secret's place. */
export const REDACTED = "***REDACTED***";

/** Deeper than this nothing is shown. */
const DEPTH_MAX = 64;

/** Words that make a name a secret's, wherever they stand in it. */
const SECRET_PARTS =
  /token|secret|passw|passphrase|passcode|credential|authori[sz]ation|cookie|privat|signature|\bdsn\b|\bpwd\b|\bpin\b/;

/** `key` as a word, or at the end or the start of one: `api_key`, `apikey`, `keyfile`. */
const SECRET_KEY = /key(?:s|file|store|ring)?\b|\bkey/;

/** A URL, or what stands before the host of one, with user information. */
const USER_INFORMATION =
  /:\/\/\S{0,2048}@|[^\s:@/]{1,256}:[^\s@]{1,256}@[^\s@]/;

/** The names of a URL's parameters. */
const PARAMETER = /[?&#;]([^?=&#;\s]{1,128})=/g;

/** Parameters that are secrets besides those whose names say so. */
const SECRET_PARAMETER = /sig|auth|code/i;

/** `password=x` in a connection string, `Bearer x` in a header, a private key. */
const SECRET_TEXT =
  /(?:passw(?:or)?d|pwd|secret|token|key)["']?\s{0,8}[=:]\s{0,8}\S|\b(?:bearer|basic)\s{1,8}[a-z0-9+/=._~-]{6}|-----BEGIN [A-Z ]{0,32}PRIVATE KEY/i;

/** A name that says how many or how long: a number under it is no secret. */
const AMOUNT = /\b(?:max|min|count|length|limit|size|total|seconds|ms|bytes)\b/;

/**
 * Copies a value without its secrets.
 *
 * @param value Plain data.
 * @returns The copy: objects, lists, and what stands in them. Anything that is no plain data becomes
 * {@linkcode REDACTED}.
 */
export function redact(value: unknown): unknown {
  return copy(value, "", 0);
}

function copy(value: unknown, name: string, depth: number): unknown {
  if (value === null || value === undefined) return value;
  if (depth > DEPTH_MAX || isSecretName(name, value)) return REDACTED;
  switch (typeof value) {
    case "string":
      return isSecretText(value) ? REDACTED : value;
    case "number":
    case "boolean":
    case "bigint":
      return value;
    case "object":
      return copyObject(value, name, depth);
    default:
      return REDACTED;
  }
}

function copyObject(value: object, name: string, depth: number): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => copy(item, name, depth + 1));
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return REDACTED;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      // A URL with credentials may stand as a key, too.
      isSecretText(key) ? REDACTED : key,
      copy(item, key, depth + 1),
    ]),
  );
}

function isSecretText(text: string): boolean {
  if (USER_INFORMATION.test(text) || SECRET_TEXT.test(text)) return true;
  return Array.from(text.matchAll(PARAMETER)).some(([, name = ""]) =>
    SECRET_PARAMETER.test(name) || isSecretName(name, text)
  );
}

function isSecretName(name: string, value: unknown): boolean {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[^A-Za-z0-9]+/g, " ")
    .toLowerCase();
  if (!SECRET_PARTS.test(words) && !SECRET_KEY.test(words)) return false;
  // `max_result_tokens: 6000` says nothing; `pin: 6000` does.
  return typeof value !== "number" || !AMOUNT.test(words);
}
