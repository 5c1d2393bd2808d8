/**
 * Every key of the configuration: two levels, `section.key`, so that each has one environment name.
 *
 * This table is the one place where a default, a range or a meaning is written. `config/default.yaml`
 * is its printed copy, and a test keeps the two the same.
 *
 * @module
 */
import { PACES } from "@/tools/guardrails.ts";
import {
  addressComplaint,
  boundComplaint,
  databaseComplaint,
  hostComplaint,
  keyComplaint,
  nothing,
  resolverComplaint,
  scriptComplaint,
  subnetComplaint,
  suffixComplaint,
  tagComplaint,
  wordlistComplaint,
} from "./complaint.ts";
import {
  hostNameComplaint,
  originComplaint,
  roleNameComplaint,
  tenantComplaint,
  urlComplaint,
} from "./http_complaint.ts";
import {
  choice,
  flag,
  integer,
  type Key,
  number,
  type Section,
  text,
  textOrNull,
  texts,
  words,
} from "./key.ts";

/** Signatures of tokens that need no shared secret, which would be a key that this server could sign with. */
const TOKEN_ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** The defaults of a tool's limits. */
interface LimitDefaults {
  readonly addressSpaceBytes: number;
  readonly processes: number;
  readonly openFiles: number;
}

/** What a tool's process may use: the same keys for every tool. */
function limits(
  { addressSpaceBytes, processes, openFiles }: LimitDefaults,
): Readonly<Record<`limit_${LimitKey}`, Key<number>>> {
  return {
    limit_cpu_seconds: integer(
      1_800,
      1,
      86_400,
      "Most seconds of processor time of one run of it, over all its threads.",
    ),
    limit_address_space_bytes: integer(
      addressSpaceBytes,
      128 * MIB,
      64 * 1_024 * MIB,
      "Most bytes of its address space.",
    ),
    limit_file_bytes: integer(
      MIB,
      4 * KIB,
      1_024 * MIB,
      "Most bytes of a file that it writes, and of its /tmp.",
    ),
    limit_processes: integer(
      processes,
      4,
      4_096,
      "Most processes and threads of it at once.",
    ),
    limit_open_files: integer(
      openFiles,
      32,
      65_536,
      "Most files and sockets that it may have open.",
    ),
    limit_wall_seconds: integer(
      86_400,
      1,
      86_400,
      "Most seconds of one scan with it; tool.max_timeout holds as well.",
    ),
    limit_output_bytes: integer(
      100 * MIB,
      64 * KIB,
      100 * MIB,
      "Most bytes that it may print; security.max_output_bytes holds as well.",
    ),
  };
}

type LimitKey =
  | "cpu_seconds"
  | "address_space_bytes"
  | "file_bytes"
  | "processes"
  | "open_files"
  | "wall_seconds"
  | "output_bytes";

/** Every section with its keys. */
export const SECTIONS = {
  server: {
    transport: choice(
      "stdio",
      ["stdio", "http"],
      "How clients reach the server: over stdin and stdout of the process that they start, or over HTTP. serve speaks stdio and refuses http; serve-http speaks HTTP, whatever stands here.",
    ),
    host: text(
      "127.0.0.1",
      "an address or localhost",
      hostComplaint,
      "The address that serve-http listens on. Any but loopback needs credentials that exist: an API key or identity.issuer.",
    ),
    port: integer(
      8_080,
      1,
      65_535,
      "The port that serve-http listens on.",
    ),
    shutdown_grace_seconds: integer(
      10,
      0,
      300,
      "Seconds that running scans have to end by themselves when the server is told to stop (SIGTERM, SIGINT).",
    ),
    public_url: textOrNull(
      "an http or https URL without a path",
      originComplaint,
      "How clients reach serve-http, where a proxy stands before it. null takes the address and port that it listens on.",
    ),
    tls_certificate_file: textOrNull(
      "a file below config or state",
      nothing,
      "The certificate chain in PEM. With server.tls_key_file, serve-http speaks HTTPS.",
    ),
    tls_key_file: textOrNull(
      "a file below config or state",
      nothing,
      "The certificate's private key in PEM.",
    ),
    trusted_proxies: texts([], {
      values: "of networks",
      complaint: subnetComplaint,
      description:
        "Proxies whose Forwarded and X-Forwarded-For headers say who calls. Nobody else's are read.",
    }),
    allowed_hosts: texts([], {
      values: "of host names or addresses",
      complaint: hostNameComplaint,
      description:
        "Names that a request's Host header may have, besides loopback, server.host and the host of server.public_url.",
    }),
    allowed_origins: texts([], {
      values: "of origins",
      complaint: originComplaint,
      description:
        "Web pages' origins that may call (CORS). Without one, a request with a foreign Origin is refused.",
    }),
    max_body_bytes: integer(
      MIB,
      KIB,
      64 * MIB,
      "Most bytes of a request's body. It is checked before anything is parsed.",
    ),
    request_timeout_seconds: integer(
      30,
      1,
      600,
      "Seconds in which a request's body has to arrive.",
    ),
    max_streams: integer(
      1_024,
      1,
      65_536,
      "Most event streams, WebSockets and MCP sessions at once, each counted for itself.",
    ),
    open_metrics: flag(
      false,
      "Whether /metrics answers without credentials.",
    ),
  },
  identity: {
    key_file: textOrNull(
      "a file below config or state",
      nothing,
      "The key under which API keys are stored as HMAC. null takes identity.key in the state folder, which is made at the first start.",
    ),
    issuer: textOrNull(
      "an http or https URL",
      urlComplaint,
      "The OpenID Connect issuer whose tokens are taken. null takes none.",
    ),
    audience: textOrNull(
      "a text",
      nothing,
      "What a token's aud has to name. Needed with identity.issuer.",
    ),
    jwks_url: textOrNull(
      "an http or https URL",
      urlComplaint,
      "Where the issuer's keys are. null asks the issuer's /.well-known/openid-configuration.",
    ),
    algorithms: words(["RS256", "ES256", "EdDSA"], TOKEN_ALGORITHMS, {
      itemsMin: 1,
      description: "The signatures that are taken. There is no shared secret.",
    }),
    clock_skew_seconds: integer(
      30,
      0,
      300,
      "Seconds by which the issuer's clock may differ.",
    ),
    tenant_claim: text(
      "tenant",
      "a claim; a dot goes deeper",
      nothing,
      "The claim that names the tenant. A token without it is refused.",
    ),
    roles_claim: text(
      "roles",
      "a claim; a dot goes deeper",
      nothing,
      "The claim that holds the roles: a list, or words in a text.",
    ),
    role_names: texts([], {
      values: "of NAME=ROLE",
      complaint: roleNameComplaint,
      description:
        "What the issuer calls our roles: soc-analyst=operator, say. viewer, operator, approver and admin are known.",
    }),
    tenants: texts([], {
      values: "of names",
      complaint: tenantComplaint,
      description:
        "The tenants besides default. Each sees its own scans, inventory, audit entries and keys only.",
    }),
  },
  limits: {
    requests_per_minute: integer(
      600,
      0,
      1_000_000,
      "Most requests a minute of one client; 0 sets no bound.",
    ),
    tenant_requests_per_minute: integer(
      3_000,
      0,
      1_000_000,
      "Most requests a minute of one tenant; 0 sets no bound.",
    ),
    scans_per_hour: integer(
      0,
      0,
      1_000_000,
      "Most scans an hour of one tenant; 0 sets no bound.",
    ),
    targets_per_hour: integer(
      0,
      0,
      1_000_000_000,
      "Most addresses that one tenant may scan an hour; 0 sets no bound.",
    ),
    cpu_seconds_per_hour: integer(
      0,
      0,
      10_000_000,
      "Most seconds of processor time that one tenant's scanners may take an hour, counted when each ends; 0 sets no bound.",
    ),
    packets_per_hour: integer(
      0,
      0,
      1_000_000_000_000,
      "Most packets an hour that one tenant may ask masscan for; 0 sets no bound.",
    ),
    concurrent_scans: integer(
      0,
      0,
      64,
      "Most scans of one tenant that run at once; 0 sets no bound.",
    ),
  },
  policy: {
    folder: text(
      "config/policies",
      "a folder",
      nothing,
      "The Cedar policies (*.cedar) and their schema. A relative folder starts at the working directory.",
    ),
    approval_expires_seconds: integer(
      3_600,
      60,
      30 * 86_400,
      "Seconds in which a request that needs a second person has to be decided.",
    ),
  },
  events: {
    keep: integer(
      10_000,
      0,
      1_000_000,
      "How many live events are kept for clients that come back (Last-Event-ID).",
    ),
    client_queue: integer(
      1_000,
      10,
      100_000,
      "Events that may wait for one slow client. It is dropped after that, and comes back where it was.",
    ),
    heartbeat_seconds: integer(
      15,
      1,
      300,
      "Seconds after which a silent stream says that it is there.",
    ),
  },
  tool: {
    default_timeout: integer(
      300,
      1,
      86_400,
      "Seconds after which a scan is ended when its caller names no timeout.",
    ),
    max_timeout: integer(
      3_600,
      1,
      86_400,
      "Most seconds that a caller may name.",
    ),
  },
  security: {
    allow_intrusive: flag(
      false,
      "Whether intrusive options (-A, -O, vuln scripts, timing 5 and the like) may be used at all.",
    ),
    allowed_subnets: texts([], {
      values: "of networks",
      complaint: subnetComplaint,
      description:
        "Networks that may be scanned besides loopback and the private ranges.",
    }),
    denied_subnets: texts([], {
      values: "of networks",
      complaint: subnetComplaint,
      description:
        "Networks that may not be scanned, whatever else allows them.",
    }),
    allowed_host_suffixes: texts([".lab.internal"], {
      values: "of suffixes that begin with a dot",
      complaint: suffixComplaint,
      description:
        "Host names may be scanned below these suffixes only, and only if every address they have is allowed.",
    }),
    engagement_subnets: texts([], {
      values: "of NAME=NETWORK",
      complaint: boundComplaint,
      description:
        "Scans under an engagement that is named here may go to its networks only, within all other rules.",
    }),
    engagement_required: flag(
      false,
      "Whether every scan must name an engagement of security.engagement_subnets.",
    ),
    tag_subnets: texts([], {
      values: "of NAME=NETWORK",
      complaint: boundComplaint,
      description: "The same for scans with a tag.",
    }),
    tenant_subnets: texts([], {
      values: "of NAME=NETWORK",
      complaint: boundComplaint,
      description: "The same for scans of a tenant.",
    }),
    max_network_size: integer(
      1_024,
      1,
      65_536,
      "Most addresses of one scan.",
    ),
    max_output_bytes: integer(
      10 * MIB,
      64 * KIB,
      100 * MIB,
      "Most bytes that a scanner may print before it is ended.",
    ),
    max_concurrent_scans: integer(
      8,
      1,
      64,
      "Most scans that run at once, over all tools.",
    ),
    max_queued_scans: integer(
      64,
      0,
      1_024,
      "Most scans that wait for a place; further ones are refused.",
    ),
    max_extra_args_length: integer(
      2_048,
      0,
      8_192,
      "Most characters of a call's extra_args; 0 allows none.",
    ),
  },
  sandbox: {
    mode: choice(
      "auto",
      ["auto", "bwrap", "gvisor", "none"],
      "What the scanners run in. auto takes the strongest that works on this host.",
    ),
    required: flag(
      false,
      "Whether the server refuses to start where no sandbox works, instead of running the scanners with limits alone.",
    ),
    egress_guard: flag(
      false,
      "Whether the scanners run only in the network namespace that the egress guard makes. They run there wherever it exists; this refuses to run them anywhere else.",
    ),
    egress_resolvers: texts([], {
      values: "of addresses",
      complaint: addressComplaint,
      description:
        "Name servers that the egress guard lets the scanners ask (port 53), besides the networks that may be scanned.",
    }),
  },
  nmap: {
    enabled: flag(true, "Whether nmap may be called."),
    concurrency: integer(4, 1, 64, "Most nmap scans that run at once."),
    pace: choice(
      "restrained",
      PACES,
      "The pace of a scan whose caller names none.",
    ),
    allowed_paces: words(["restrained", "balanced"], PACES, {
      itemsMin: 1,
      description:
        "The paces that a caller may name. fast adds minimum packet rates.",
    }),
    timing: integer(
      4,
      0,
      4,
      "The timing template (-T) of a scan whose caller names none.",
    ),
    max_parallelism: integer(
      10,
      1,
      100,
      "Most probes in flight at the restrained pace.",
    ),
    top_ports: integer(
      1_000,
      1,
      65_535,
      "How many of the most common ports are scanned when the caller names none.",
    ),
    max_ports: integer(65_535, 1, 65_535, "Most ports of one scan."),
    script_categories: words(
      ["safe", "default", "discovery"],
      ["safe", "default", "discovery"],
      {
        description:
          "Script categories that a caller may name without the right to be intrusive.",
      },
    ),
    allowed_scripts: texts([], {
      values: "of script names",
      complaint: scriptComplaint,
      description: "Scripts that a caller may name besides those categories.",
    }),
    ...limits({
      addressSpaceBytes: 2_048 * MIB,
      processes: 16,
      openFiles: 1_024,
    }),
  },
  masscan: {
    enabled: flag(true, "Whether masscan may be called."),
    concurrency: integer(1, 1, 16, "Most masscan scans that run at once."),
    default_rate: integer(
      1_000,
      1,
      100_000,
      "Packets a second of a scan whose caller names no rate.",
    ),
    max_rate: integer(
      10_000,
      1,
      100_000,
      "Most packets a second that a caller may name.",
    ),
    passes: integer(
      2,
      1,
      5,
      "How often a scan is run and merged. One pass misses open ports.",
    ),
    wait_seconds: integer(
      5,
      1,
      60,
      "How long to wait for late answers after the last packet.",
    ),
    max_ports: integer(65_535, 1, 65_535, "Most ports of one scan."),
    ...limits({
      addressSpaceBytes: 2_048 * MIB,
      processes: 32,
      openFiles: 256,
    }),
  },
  gobuster: {
    enabled: flag(true, "Whether gobuster may be called."),
    concurrency: integer(2, 1, 64, "Most gobuster scans that run at once."),
    default_threads: integer(
      10,
      1,
      100,
      "Threads of a scan whose caller names no number.",
    ),
    max_threads: integer(40, 1, 100, "Most threads that a caller may name."),
    wordlist_folders: texts(["config/wordlists"], {
      values: "of folders",
      complaint: nothing,
      description:
        "Folders whose .txt files are the wordlists that a caller may name. A relative folder starts at the working directory.",
    }),
    default_wordlist: text(
      "common",
      "the name of a wordlist",
      wordlistComplaint,
      "The wordlist of a scan whose caller names none; dns takes subdomains and vhost vhosts, where there are such lists.",
    ),
    resolver: textOrNull(
      "an address or address:port",
      resolverComplaint,
      "The name server that the dns mode asks. null takes the system's.",
    ),
    request_timeout_seconds: integer(
      10,
      1,
      300,
      "Seconds that one request of gobuster may take.",
    ),
    ...limits({
      addressSpaceBytes: 4_096 * MIB,
      processes: 256,
      openFiles: 1_024,
    }),
  },
  breaker: {
    failure_threshold: integer(
      5,
      1,
      1_000,
      "Failures of the tool itself in a row after which it is no longer called; a target that is down counts for none.",
    ),
    success_threshold: integer(
      2,
      1,
      100,
      "Successes in a row after which a tool that was tried again counts as sound.",
    ),
    recovery_timeout_seconds: integer(
      30,
      1,
      3_600,
      "Seconds until a tool that failed is tried again.",
    ),
    backoff_multiplier: number(
      2,
      1,
      10,
      "What that time is multiplied with each time the trial fails.",
    ),
    max_recovery_timeout_seconds: integer(
      600,
      1,
      86_400,
      "Most seconds until a tool that failed is tried again.",
    ),
    jitter: number(
      0.1,
      0,
      1,
      "Share of that time that is random, so that trials do not fall together.",
    ),
  },
  health: {
    interval_seconds: integer(30, 1, 3_600, "Seconds between two checks."),
    check_timeout_seconds: integer(
      5,
      1,
      300,
      "Seconds that one check may take.",
    ),
    overall_timeout_seconds: integer(
      15,
      1,
      600,
      "Seconds that all checks together may take.",
    ),
    history: integer(100, 1, 10_000, "How many results are kept."),
    memory_max_percent: integer(
      90,
      1,
      100,
      "Share of the machine's memory in use above which health degrades.",
    ),
    load_max_per_core: number(
      4,
      0.1,
      1_000,
      "Load average per core above which health degrades.",
    ),
    disk_free_min_bytes: integer(
      100 * MIB,
      0,
      1_024 * 1_024 * MIB,
      "Free bytes on the disk of the state folder below which health degrades.",
    ),
    event_loop_lag_max_ms: integer(
      500,
      1,
      60_000,
      "Milliseconds that the event loop may be late before health degrades.",
    ),
  },
  mcp: {
    max_result_tokens: integer(
      6_000,
      200,
      50_000,
      "Most tokens of an answer whose caller names no number. The rest stays readable.",
    ),
  },
  scans: {
    keep: integer(
      500,
      1,
      100_000,
      "How many finished scans are at hand in memory. All are in the database.",
    ),
    keep_bytes: integer(
      256 * MIB,
      MIB,
      8_192 * MIB,
      "Most bytes of the scans in memory; the oldest leave it first.",
    ),
    resume: choice(
      "interrupt",
      ["interrupt", "requeue"],
      "What becomes of scans that ran when their server died: they end as interrupted, or run again.",
    ),
  },
  database: {
    url: text(
      "sqlite:scans.db",
      "sqlite:FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
      databaseComplaint,
      "Where scans are kept: a file in the state folder, or PostgreSQL. With a password it is a secret: give it by its variable.",
    ),
  },
  cache: {
    ttl_seconds: integer(
      0,
      0,
      30 * 86_400,
      "Seconds in which an identical request may be answered by an earlier scan; 0 always scans.",
    ),
  },
  retention: {
    max_age_days: integer(
      0,
      0,
      36_500,
      "Days after which a scan is removed; 0 keeps all.",
    ),
    max_bytes: integer(
      0,
      0,
      1_024 * 1_024 * MIB,
      "Bytes of the database above which the oldest scans are removed; 0 sets no bound.",
    ),
    keep_tags: texts([], {
      values: "a tag",
      complaint: tagComplaint,
      description: "Scans with one of these tags are never removed.",
    }),
  },
  state: {
    folder: text(
      "state",
      "a folder",
      nothing,
      "Where the server keeps what outlives it. A relative folder starts at the working directory.",
    ),
  },
  audit: {
    key_file: textOrNull(
      "a file below config or state",
      nothing,
      "The key that seals the audit log. null takes audit.key in the state folder, which is made at the first start.",
    ),
    key: textOrNull(
      "64 to 256 hexadecimal digits",
      keyComplaint,
      "The key itself, instead of a file. A secret: give it by its variable.",
    ),
    checkpoint_every: integer(
      100,
      1,
      100_000,
      "Entries between two checkpoints, which also go to the log.",
    ),
    rotate_bytes: integer(
      64 * MIB,
      64 * KIB,
      4_096 * MIB,
      "Bytes of a file of the audit log after which the next one is begun.",
    ),
    keep_files: integer(
      0,
      0,
      100_000,
      "How many files of the audit log are kept; 0 keeps all. Removal is recorded.",
    ),
  },
  log: {
    level: choice(
      "info",
      ["debug", "info", "warning", "error"],
      "The least severe messages that are logged.",
    ),
  },
} as const satisfies Readonly<Record<string, Section>>;

type Sections = typeof SECTIONS;

/** The whole configuration, checked, clamped and frozen. */
export type Config = {
  readonly [S in keyof Sections]: {
    readonly [K in keyof Sections[S]]: Sections[S][K] extends Key<infer T> ? T
      : never;
  };
};

/** A key's name: `section.key`. */
export type KeyName = {
  [S in keyof Sections & string]: `${S}.${keyof Sections[S] & string}`;
}[keyof Sections & string];

/** What stands under one name. */
export interface NamedKey {
  readonly name: KeyName;
  readonly section: string;
  readonly key: string;
  /** Its one environment variable. */
  readonly variable: string;
  readonly spec: Key<unknown>;
}

/** Every key, in order. */
export const KEYS: readonly NamedKey[] = Object.entries(SECTIONS).flatMap((
  [section, keys],
) =>
  Object.entries(keys).map(([key, spec]): NamedKey => ({
    name: `${section}.${key}` as KeyName,
    section,
    key,
    variable: `MCP_${section}_${key}`.toUpperCase(),
    spec,
  }))
);

/** The variable that names the configuration file. */
export const FILE_VARIABLE = "MCP_CONFIG_FILE";

/** The variable by which `sandbox/start` says what it saw when it tried the sandboxes. */
export const SANDBOX_TRIAL_VARIABLE = "MCP_SANDBOX_TRIAL";

/** Every environment variable that is read: what `--allow-env` has to name. */
export const ENVIRONMENT_NAMES: readonly string[] = [
  FILE_VARIABLE,
  SANDBOX_TRIAL_VARIABLE,
  ...KEYS.map(({ variable }) => variable),
];

/**
 * Keys that are read at start only. A reload that changes one keeps the old value until the next
 * start: a listener does not move, and neither does a store under its scans.
 */
export const START_ONLY: readonly KeyName[] = [
  "audit.key",
  "audit.key_file",
  "database.url",
  "events.keep",
  "identity.key_file",
  "policy.folder",
  "sandbox.mode",
  "sandbox.required",
  "server.transport",
  "server.host",
  "server.port",
  "server.public_url",
  "server.tls_certificate_file",
  "server.tls_key_file",
  "state.folder",
];
