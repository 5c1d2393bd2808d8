/**
 * Makes anything fit to be logged: plain, bounded, and without secrets.
 *
 * Two things are secrets: a value under a telling name, and credentials within a text: in front of a
 * host, in a query, in an authorization header, as `password=...` and behind the flags of a scanner. A
 * refusal repeats what a client sent, so that a client's mistake would put its password into the log.
 * `config/redact.ts` hides more: what it shows is a configuration, where a value hidden by mistake
 * costs a look into the file; here it would cost the one line that says what went wrong.
 *
 * @module
 */
import { CleanTexts } from "./clean_texts.ts";

/** What stands in a secret's place. */
export const REDACTED = "***REDACTED***";

/** Names of secrets. `key` counts as a word of its own only: `keyboard` and `monkey` are none. */
export const SECRET_NAMES: readonly RegExp[] = [
  /passw(?:or)?d|passphrase|passcode|secret|credential|authorization|cookie/i,
  // Numbers of tokens that an answer may have are no secrets.
  /(?<!max|max_|result|result_)tokens?/i,
  /(?:^|[^a-z])keys?(?:$|[^a-z])/i,
  /[a-z]Keys?(?:$|[^a-z])/,
  /apikey|privatekey/i,
];

/** Most levels of nesting that are logged. */
export const DEPTH_MAX = 6;

/** Most entries of one object or array that are logged. */
export const ENTRIES_MAX = 64;

/** Most values of one record that are logged. */
export const VALUES_MAX = 512;

/** Most UTF-16 code units of one text that are logged. */
export const TEXT_LENGTH_MAX = 2_048;

/** A value: one that is quoted goes as a whole, and one that was cut is a value too. */
const VALUE = String.raw`(?:"[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s"'&;,#]+)`;

/** Credentials by what stands in front of them. Every pattern is linear. */
const ASSIGNED = new RegExp(
  String
    .raw`((?:passw(?:or)?d|passphrase|passcode|\bpwd|secret|token|(?:\b|api|access|private)[-_]?key)=)${VALUE}`,
  "gi",
);

/** What stands behind a flag, up to its end. */
const WORD = String.raw`(?:"[^"]*(?:"|$)|'[^']*(?:'|$)|[^\s"']+)`;

/**
 * Flags of scanners that take credentials. nmap's ways to look for hosts begin with a `-P` too, and
 * its ports are a `-p`.
 */
const FLAGGED: readonly RegExp[] = [
  new RegExp(
    String
      .raw`(--(?:password|cookies?|headers?|http-(?:cookie|header))(?:\s+|=))${WORD}`,
    "gi",
  ),
  new RegExp(String.raw`((?:^|\s)-[PHc]\s+)${WORD}`, "g"),
  new RegExp(
    String
      .raw`((?:^|\s)-(?:[Hc]|P(?!(?:[nN0RDEPMIB]|[SAUYOT][\d,-]*)(?:\s|$))))${WORD}`,
    "g",
  ),
];

/** How much of a text is searched for secrets before it is cut. */
const SEARCH_LENGTH_MAX = 4 * TEXT_LENGTH_MAX;

/** Plain data. */
export type Plain =
  | string
  | number
  | boolean
  | null
  | Plain[]
  | { [key: string]: Plain };

/**
 * Tells whether a name says that its value is a secret.
 *
 * @param name The name of a key, header or query parameter.
 * @returns Whether it does.
 */
export function isSecretName(name: string): boolean {
  return SECRET_NAMES.some((pattern) => pattern.test(name));
}

/**
 * Takes credentials out of a text. Every pattern is linear: a hostile text costs no more than its
 * length.
 *
 * @param text The text.
 * @returns The text with its secrets replaced, cut to a maximum.
 */
export function redactText(text: string): string {
  if (clean.has(text)) return text;
  const redacted = searched(text);
  if (redacted === text) clean.add(text);
  return redacted;
}

const clean = new CleanTexts();

function searched(text: string): string {
  let redacted = text.slice(0, SEARCH_LENGTH_MAX)
    // A password in a URL may hold a slash; what stands behind the colon of a sound one is a port.
    .replace(
      /(:\/\/)[^\s\/:@\[\]]*:(?!\d{1,5}(?:[\/?#\s"']|$))[^\s"']*@/g,
      `$1${REDACTED}@`,
    )
    // Up to the last @ before the path: a password may hold an @ itself.
    .replace(/:\/\/[^\s\/]*@/g, `://${REDACTED}@`)
    .replace(
      /([?&]([\w.-]{1,64})=)[^&\s#"']+/g,
      (whole, head: string, name: string) =>
        isSecretName(name) ? `${head}${REDACTED}` : whole,
    )
    .replace(/\b(Bearer|Basic) [\w.~+\/=-]+/gi, `$1 ${REDACTED}`)
    .replace(/\bsmk_[0-9a-z]{16}_\w{8,}/g, REDACTED)
    .replace(ASSIGNED, `$1${REDACTED}`)
    .replace(/[^\s\/"']+/g, withoutUserInformation);
  for (const flag of FLAGGED) {
    redacted = redacted.replace(flag, `$1${REDACTED}`);
  }
  if (redacted.length <= TEXT_LENGTH_MAX && text.length <= SEARCH_LENGTH_MAX) {
    return redacted;
  }
  return `${redacted.slice(0, TEXT_LENGTH_MAX)}… (cut, ${text.length} long)`;
}

/** `user:password@host` without a scheme. */
function withoutUserInformation(word: string): string {
  const [colon, at] = [word.indexOf(":"), word.lastIndexOf("@")];
  return colon < 0 || at < colon ? word : REDACTED + word.slice(at);
}

/**
 * Copies properties into plain, bounded data without secrets. Getters that throw, cycles and
 * whatever JSON does not know are written as a short text.
 *
 * @param properties Anything.
 * @returns The copy.
 */
export function redactProperties(
  properties: Readonly<Record<string, unknown>>,
): Record<string, Plain> {
  const copied = copy(properties, 0, { values: VALUES_MAX });
  return typeof copied === "object" && copied !== null && !Array.isArray(copied)
    ? copied
    : { value: copied };
}

/** What is left to be copied of one record; a cycle ends at the depth or here. */
interface Budget {
  values: number;
}

function copy(value: unknown, depth: number, budget: Budget): Plain {
  budget.values -= 1;
  if (budget.values < 0) return "(cut: too many values)";
  switch (typeof value) {
    case "string":
      return redactText(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      return value;
    case "object":
      break;
    case "bigint":
    case "symbol":
      return redactText(String(value));
    case "undefined":
    case "function":
      return `(${typeof value})`;
  }
  if (value === null) return null;
  if (depth >= DEPTH_MAX) return "(cut: too deep)";
  try {
    return copyObject(value, depth, budget);
  } catch {
    // A proxy or a getter of a built-in's look-alike.
    return "(unreadable)";
  }
}

function copyObject(value: object, depth: number, budget: Budget): Plain {
  if (value instanceof Error) return copyError(value, depth, budget);
  if (value instanceof Date) return redactText(String(value.getTime()));
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (Array.isArray(value)) return copyArray(value, depth, budget);
  if (value instanceof Map) return copyEntries(value, depth, budget);
  if (value instanceof Set) return copyArray([...value], depth, budget);
  return copyKeys(value, depth, budget);
}

/** An error's own fields are the log's business: its code, and the detail that callers never see. */
function copyError(error: Error, depth: number, budget: Budget): Plain {
  const { name, message, cause, stack } = error;
  const { code, detail } = error as { code?: unknown; detail?: unknown };
  const fields = { name, message, code, detail, cause, stack };
  const known = Object.entries(fields).filter(([, field]) =>
    field !== undefined
  );
  return copyEntries(known, depth, budget);
}

function copyArray(
  values: readonly unknown[],
  depth: number,
  budget: Budget,
): Plain {
  const copied = values.slice(0, ENTRIES_MAX).map((value) =>
    copy(value, depth + 1, budget)
  );
  if (values.length > ENTRIES_MAX) {
    copied.push(`(cut: ${values.length} entries)`);
  }
  return copied;
}

/** Reads one key at a time, since any of them may be a getter that throws. */
function copyKeys(value: object, depth: number, budget: Budget): Plain {
  const entries = Object.keys(value).slice(0, ENTRIES_MAX + 1).map((key) => {
    try {
      return [key, (value as Record<string, unknown>)[key]] as const;
    } catch {
      return [key, "(unreadable)"] as const;
    }
  });
  return copyEntries(entries, depth, budget);
}

function copyEntries(
  entries: Iterable<readonly [unknown, unknown]>,
  depth: number,
  budget: Budget,
): Plain {
  const copied = new Map<string, Plain>();
  for (const [rawKey, value] of entries) {
    if (copied.size >= ENTRIES_MAX || budget.values <= 0) {
      copied.set("(cut)", "too many entries");
      break;
    }
    const name = String(rawKey);
    const key = name.length > 128 ? `${name.slice(0, 128)}…` : name;
    copied.set(
      redactText(key),
      isSecretName(key) ? REDACTED : copy(value, depth + 1, budget),
    );
  }
  return Object.fromEntries(copied);
}
