/**
 * What `extra_args` may say to gobuster. The same letter means one thing in one mode and another in
 * the next (`-r` follows redirects in `dir` and names a resolver in `dns`), so each mode has a table.
 *
 * @module
 */
import { type Fields, flag, integer, text, texts } from "../field.ts";
import {
  type FlagRefusal,
  type FlagRule,
  type FlagTable,
  wholeNumber,
  yes,
} from "../tokenizer.ts";

/** What gobuster looks for. */
export const MODES = ["dir", "dns", "vhost"] as const;

/** One of {@linkcode MODES}. */
export type Mode = typeof MODES[number];

/** Fields that only `extra_args` can set. */
export const FLAG_FIELDS = {
  delay_ms: integer("Pause of each thread between requests.", 0, 60_000),
  exclude_length: texts("Sizes of answers that are left out.", {
    lengthMax: 9,
    itemsMax: 16,
  }),
  status_codes_blacklist: text("Status codes that are left out.", 256),
  add_slash: flag("Append a slash to each path."),
  method: text("GET or HEAD.", 4),
  wildcard: flag("Go on although the zone answers for every name."),
  domain: text("Domain of the virtual hosts.", 253),
  request_timeout: integer("Seconds one request may take.", 1, 60),
} satisfies Fields;

const VALUE: Pick<FlagRule, "forms"> = { forms: ["next", "equals"] };
const SHORT: Pick<FlagRule, "forms"> = { forms: ["next", "equals", "glued"] };

const COMMON: readonly FlagRule[] = [
  { names: ["--threads"], ...VALUE, field: "threads", value: wholeNumber },
  { names: ["-t"], ...SHORT, field: "threads", value: wholeNumber },
  { names: ["--wordlist", "-w"], ...VALUE, field: "wordlist", value: same },
  { names: ["--delay"], ...VALUE, field: "delay_ms", value: milliseconds },
  {
    names: ["--timeout"],
    ...VALUE,
    field: "request_timeout",
    value: (value) => wholeNumber(value.replace(/s$/, "")),
  },
];

const HTTP: readonly FlagRule[] = [
  {
    names: ["--exclude-length"],
    ...VALUE,
    field: "exclude_length",
    value: (value) => value.split(","),
  },
  { names: ["--method", "-m"], ...VALUE, field: "method", value: same },
  // What is done anyway may be said.
  {
    names: ["--no-tls-validation", "-k"],
    field: "tls_unverified",
    value: yes,
  },
];

const ALLOWED: Readonly<Record<Mode, readonly FlagRule[]>> = {
  dir: [
    ...COMMON,
    ...HTTP,
    {
      names: ["--extensions", "-x"],
      ...VALUE,
      field: "extensions",
      value: same,
    },
    {
      names: ["--status-codes", "-s"],
      ...VALUE,
      field: "status_codes",
      value: same,
    },
    {
      names: ["--status-codes-blacklist", "-b"],
      ...VALUE,
      field: "status_codes_blacklist",
      value: same,
    },
    { names: ["--add-slash", "-f"], field: "add_slash", value: yes },
  ],
  dns: [
    ...COMMON,
    { names: ["--resolver", "-r"], ...VALUE, field: "resolver", value: same },
    { names: ["--wildcard"], field: "wildcard", value: yes },
  ],
  vhost: [
    ...COMMON,
    ...HTTP,
    { names: ["--domain"], ...VALUE, field: "domain", value: same },
  ],
};

const REFUSED: readonly FlagRefusal[] = [
  refused(["--url", "-u"], "use the argument target"),
  refused(["-o", "--output"], "the result is always structured"),
  refused(["--proxy"], "requests go to the target and nowhere else"),
  refused(
    ["-H", "--headers", "-c", "--cookies", "-U", "-P", "-a", "--useragent"],
    "headers and credentials are not taken",
  ),
  refused(["-p", "--pattern", "-X"], "files are wordlists of the catalogue"),
  refused(["-q", "-z", "-v", "-n", "-e"], "the form of output is fixed"),
];

/**
 * Gives the flags of a mode.
 *
 * @param mode The mode.
 * @returns What is taken, and what is refused by name.
 */
export function flagTable(mode: Mode): FlagTable {
  const own = mode === "dns"
    ? [refused(["-d", "--domain"], "use the argument target")]
    : [refused(
      ["-r", "--follow-redirect"],
      "redirects are reported and never followed",
    )];
  return { allowed: ALLOWED[mode], refused: [...own, ...REFUSED] };
}

function refused(names: readonly string[], why: string): FlagRefusal {
  return { names, code: "invalid_arguments", why };
}

function same(value: string): string {
  return value;
}

/** Reads `1500ms` or `2s`; anything else is left to the field, which refuses it. */
function milliseconds(value: string): unknown {
  const match = /^([0-9]{1,5})(ms|s)$/.exec(value);
  if (match === null) return value;
  return Number(match[1]) * (match[2] === "s" ? 1_000 : 1);
}
