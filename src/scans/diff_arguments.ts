/**
 * Reads what a command line of nmap says about its scope: our own, and those of files that somebody
 * else made. What is not understood makes the answer unclear, never wrong: a comparison then counts
 * only what a report shows.
 *
 * @module
 */

/** What a command line says. */
export interface NmapArguments {
  /** The value of `-p`, or null. */
  readonly ports: string | null;
  /** The number of `--top-ports`; 100 for `-F`. Null where neither is set. */
  readonly topPorts: number | null;
  /** Whether only open ports are listed, and hosts without one are left out. */
  readonly openOnly: boolean;
  /** Whether hosts were pinged first, so that a host that is not listed was down. */
  readonly discovery: boolean;
  /** Whether services were probed, and how hard; two scans compare if this is equal. */
  readonly detection: string | null;
  /** Ports looked at: false for a ping or a list scan. */
  readonly scansPorts: boolean;
  /** Targets as written, or null where that is not all that chose the targets. */
  readonly targets: readonly string[] | null;
}

/** Options that take the next token, where their value is not glued to them. */
const VALUED: ReadonlySet<string> = new Set([
  ...["-p", "-oX", "-oN", "-oG", "-oA", "-oS", "-oM", "-e", "-g", "-m"],
  ...["-S", "-D", "-sI", "-b", "-T", "-i", "-o"],
  ...["--top-ports", "--port-ratio", "--exclude-ports", "--version-intensity"],
  ...["--script", "--script-args", "--script-args-file", "--script-timeout"],
  ...["--max-retries", "--host-timeout", "--scan-delay", "--max-scan-delay"],
  ...["--min-rate", "--max-rate", "--min-parallelism", "--max-parallelism"],
  ...["--min-hostgroup", "--max-hostgroup", "--min-rtt-timeout"],
  ...["--max-rtt-timeout", "--initial-rtt-timeout", "--stats-every", "--ttl"],
  ...["--dns-servers", "--source-port", "--data", "--data-string"],
  ...["--data-length", "--ip-options", "--spoof-mac", "--mtu", "--proxies"],
  ...["--proxy", "--stylesheet", "--datadir", "--servicedb", "--versiondb"],
  ...["--max-os-tries", "--nsock-engine", "--scanflags", "--discovery-ignore"],
]);

/** Options that choose targets in a way that a command line alone does not tell. */
const HIDDEN_TARGETS =
  /^(?:-iL|-iR|--exclude|--excludefile|--exclude-file|--resume|--randomize$)/;

/**
 * Reads a command line.
 *
 * @param argv The tokens, the program's name first.
 * @returns What it says.
 */
export function readNmapArguments(argv: readonly string[]): NmapArguments {
  const words = new Words(argv.slice(1));
  return {
    ports: words.value("-p"),
    topPorts: topPortsOf(words),
    openOnly: words.has("--open"),
    discovery: !words.has("-Pn") && !words.has("-P0") && !words.has("-PN") &&
      !words.has("-PD"),
    detection: detectionOf(words),
    scansPorts: !words.has("-sn") && !words.has("-sP") && !words.has("-sL"),
    targets: words.hidden ? null : words.operands,
  };
}

function topPortsOf(words: Words): number | null {
  const given = words.value("--top-ports");
  if (given !== null) return /^\d{1,5}$/.test(given) ? Number(given) : null;
  return words.has("-F") ? 100 : null;
}

function detectionOf(words: Words): string | null {
  const detects = words.has("-sV") || words.has("-A") || words.probes;
  if (!detects) return null;
  if (words.has("--version-light")) return "intensity 2";
  if (words.has("--version-all")) return "intensity 9";
  return `intensity ${words.value("--version-intensity") ?? 7}`;
}

/** A command line taken apart into options, their values, and the rest. */
class Words {
  readonly #options = new Set<string>();
  readonly #values = new Map<string, string>();
  readonly operands: string[] = [];
  hidden = false;
  /** `-sSV` and the like: scan types written together. */
  probes = false;

  constructor(tokens: readonly string[]) {
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at] ?? "";
      if (!token.startsWith("-") || token === "-") {
        if (!/^[\x21-\x7e]+$/.test(token) || /["'\\]/.test(token)) {
          this.hidden = true;
        }
        this.operands.push(token);
        continue;
      }
      if (HIDDEN_TARGETS.test(token)) this.hidden = true;
      if (/^-s[A-Z]*V/.test(token)) this.probes = true;
      const [name = "", glued] = splitOption(token);
      this.#options.add(name);
      if (glued !== undefined) this.#values.set(name, glued);
      else if (VALUED.has(name)) this.#values.set(name, tokens[++at] ?? "");
    }
  }

  has(option: string): boolean {
    return this.#options.has(option);
  }

  value(option: string): string | null {
    return this.#values.get(option) ?? null;
  }
}

/** `--top-ports=5` and `-p80` hold their value. */
function splitOption(token: string): [string, string?] {
  const equals = /^(--[^=]+)=(.*)$/s.exec(token);
  if (equals !== null) return [equals[1] ?? "", equals[2] ?? ""];
  const short = /^(-p|-T|-g|-e|-S|-D|-m)(.+)$/s.exec(token);
  if (short !== null) return [short[1] ?? "", short[2] ?? ""];
  return [token];
}

/**
 * Reads the value of a flag out of a command line that writes `--flag=value`.
 *
 * @param argv The tokens.
 * @param flag The flag with its two dashes.
 * @returns The value, the empty text for a flag without one, or null if the flag is not there.
 */
export function flagValue(
  argv: readonly string[],
  flag: string,
): string | null {
  for (const token of argv) {
    if (token === flag) return "";
    if (token.startsWith(`${flag}=`)) return token.slice(flag.length + 1);
  }
  return null;
}
