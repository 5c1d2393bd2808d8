/**
 * What of gobuster's flags a caller may name in `extra_args`. Each stands for a field of the request
 * and is judged there. A short flag that means one thing in one mode and another in the next (`-d`,
 * `-r`) is refused with the long one to use.
 *
 * @module
 */
import { type Fields, flag, integer, text } from "../field.ts";
import { type FlagTable, wholeNumber, yes } from "../tokenizer.ts";
import { LIST_LENGTH_MAX } from "./values.ts";

/** Longest pause between two requests of a thread, in milliseconds. */
const DELAY_MS_MAX = 60_000;

/** Fields that only `extra_args` can set. */
export const FLAG_FIELDS = {
  exclude_status_codes: text("Status codes left out.", LIST_LENGTH_MAX),
  exclude_length: text("Lengths of answers left out.", LIST_LENGTH_MAX),
  add_slash: flag("Add a slash to each path."),
  no_tls_validation: flag("Do not check the certificate."),
  domain: text("vhost: the domain that words are put in front of.", 253),
  wildcard: flag("dns: go on when every name resolves."),
  delay_ms: integer("Pause of each thread.", 0, DELAY_MS_MAX),
} satisfies Fields;

const BOTH = ["next", "equals"] as const;
const SHORT = ["next", "glued"] as const;

/** The allowlist, and what is refused with a reason of its own. */
export const FLAG_TABLE: FlagTable = {
  allowed: [
    valued(["--extensions"], BOTH, "extensions"),
    valued(["-x"], SHORT, "extensions"),
    valued(["--status-codes"], BOTH, "status_codes"),
    valued(["-s"], SHORT, "status_codes"),
    valued(["--status-codes-blacklist"], BOTH, "exclude_status_codes"),
    valued(["-b"], SHORT, "exclude_status_codes"),
    valued(["--exclude-length"], BOTH, "exclude_length"),
    { ...valued(["--threads"], BOTH, "threads"), value: wholeNumber },
    { ...valued(["-t"], SHORT, "threads"), value: wholeNumber },
    { ...valued(["--delay"], BOTH, "delay_ms"), value: milliseconds },
    valued(["--resolver"], BOTH, "resolver"),
    valued(["--domain"], BOTH, "domain"),
    { names: ["--add-slash", "-f"], field: "add_slash", value: yes },
    {
      names: ["--no-tls-validation", "-k"],
      field: "no_tls_validation",
      value: yes,
    },
    { names: ["--wildcard"], field: "wildcard", value: yes },
  ],
  refused: [
    refused(["-u", "--url"], "use the argument target"),
    refused(["-w", "--wordlist"], "use the argument wordlist, with a name"),
    refused(["-d"], "use the argument target, or --domain in mode vhost"),
    // gobuster 3.5 would also try backups of comment lines, and find the folder itself by them.
    refused(["--discover-backup"], "use extensions like bak,old,swp"),
    refused(
      ["-r", "--follow-redirect"],
      "redirects are never followed: they may lead out of the scope; a name server is the argument resolver",
    ),
    refused(["-o", "--output"], "the result is structured; no file is written"),
    refused(
      ["-p", "--pattern", "-X", "--extensions-file"],
      "no file but a wordlist of the catalogue is read",
    ),
    refused(["--proxy"], "requests go to the target and nowhere else"),
    refused(
      ["-H", "--headers", "-c", "--cookies", "-U", "-P", "-a", "--useragent"],
      "headers and credentials are not taken",
    ),
    refused(["--timeout"], "the configuration sets it; use timeout_seconds"),
    refused(
      ["-q", "--quiet", "-z", "--no-progress", "--no-error", "--no-color"],
      "leave it out; the output is read and structured by the server",
    ),
    refused(
      ["-i", "--show-ips", "-e", "--expanded", "--append-domain"],
      "leave it out; it is always so",
    ),
  ],
};

/** `250ms`, `2s`, or milliseconds alone. */
function milliseconds(value: string): unknown {
  const match = /^(0|[1-9][0-9]{0,5})(ms|s)?$/.exec(value);
  if (match === null) return value;
  return Number(match[1]) * (match[2] === "s" ? 1_000 : 1);
}

function valued(
  names: readonly string[],
  forms: typeof BOTH | typeof SHORT,
  field: string,
) {
  return { names, forms, field, value: (value: string): unknown => value };
}

function refused(names: readonly string[], why: string) {
  return { names, code: "invalid_arguments", why } as const;
}
