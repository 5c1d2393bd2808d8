/**
 * `help`: what the program can be asked to do.
 *
 * @module
 */
import { EXIT, type World } from "./world.ts";

const TEXT =
  `Security MCP Server: runs nmap, masscan and gobuster safely for agents and people

  deno task serve                      MCP server over stdio
  deno task serve-http                 HTTP server for a team: API, live events, MCP at /mcp
  deno task keys create|list|...       API keys of the HTTP server
  deno task policy test|check|explain  what the policies decide: a table of cases, a folder, a request
  deno task scan TOOL TARGET [...]     scan once: scan nmap 127.0.0.1 --ports 1-1024
  deno task plan TOOL TARGET [...]     what a scan would do; nothing is sent
  deno task doctor                     what this host can do, and what to mend
  deno task doctor --sandbox           tries to get out of the sandbox, and says what held
  deno task config print               the configuration in force and where it comes from
  deno task config check FILE          whether a file can be used
  deno task config default             every key with its default, range and variable
  deno task audit verify               whether the audit log is whole, and the first bad line if not
  deno task audit export               its entries as JSON Lines or, with --format cef, for a SIEM
  deno task history list|show|diff     the scans that are kept, one of them, what changed between two
  deno task history inventory|search   hosts and services over all scans, and what they said
  deno task report SCAN_ID             a document to hand on: HTML, Markdown, CSV, JSON Lines, XML, SARIF
  deno task import FILE...             takes XML of nmap and JSON of masscan into the history
  deno task store check|stats|prune    whether the database is sound, what it holds, what has to go
  deno task selftest                   the hostile corpus against your configuration
  deno task demo                       a tour: server, client, scans and refusals on loopback
  deno task egress-guard up|down|...   the scanners' network and its packet filter (root)
  deno task lab up|down|status|exec    a network of namespaces with real services

scan and plan take the tool's own arguments as options:
  scan nmap 10.0.0.0/28 --top-ports 100 --service-detection
  scan masscan 10.0.0.0/24 --ports 80,443 --rate 500
  scan gobuster dir http://127.0.0.1:8080/ --wordlist common
  scan nmap 127.0.0.1 --extra-args "--open --reason"

Both keep a scan under --engagement NAME and --tag T; --idempotency-key K scans once for a key, and
--no-cache scans even if an earlier answer is fresh enough.

audit takes --folder; verify takes --key-file and --expect SEQ:HASH, an entry that was kept elsewhere;
export takes --since, --until, --kind, --scan, --engagement and --tag.

Add --help to serve-http, keys, policy, history, report, import and store for more: deno task keys --help

scan, plan, doctor, selftest, keys, policy, history, import, store, audit verify, config print and config
check take --json. NO_COLOR=1 leaves colours out.
MCP_CONFIG_FILE names a configuration file; put it below config/.
Ctrl-C ends a scan and prints what was found.

Exit codes: 0 done, 1 the program cannot start, 2 refused, 3 failed, 4 timed out, 130 interrupted
`;

/** Said with every command that shows or takes what is a tenant's. */
const TENANT =
  "  --tenant NAME         whose: a tenant that identity.tenants names; default if left out";

/** Said with every command that opens the database. */
const POSTGRESQL =
  "With PostgreSQL the command needs the way to it: put --allow-net=HOST:PORT into its task in deno.json.";

const COMMANDS: ReadonlyMap<string, string> = new Map([
  [
    "serve-http",
    `deno task serve-http: the same engine for a team, over HTTP. Each caller proves who it is by an API key
or by a token of identity.issuer, and sees what is its tenant's.

  /health /health/live /health/ready    for a probe; without credentials
  /docs /openapi.json                   every route, to read and to try
  /events /ws                           what happens, live
  /mcp                                  MCP, as over stdio

It listens where server.host and server.port say, and speaks HTTPS with server.tls_certificate_file and
server.tls_key_file.

A key that scans:                deno task keys create --name me --role viewer --role operator
One that manages the server:     deno task keys create --name boss --role admin
`,
  ],
  [
    "keys",
    `deno task keys: API keys of the HTTP server. A secret is shown once; what is kept cannot be turned back.

  create                a new key
    --name N            what lists and the audit log call it
    --role R            viewer, operator, approver or admin; may be given several times
    --scope S           narrows it: read, scan:nmap, scan:masscan, scan:gobuster, cancel, approve, admin;
                        may be given several times; all that its roles allow if left out
    --expires T         how long it is good for: 12h, 30d, 8w; for ever if left out
    --tenant T          whose it is; default if left out
  list                  the keys that are kept, without their secrets
    --tenant T          a tenant's only; everybody's if left out
  rotate ID             the same key with another secret
    --overlap T         how long the old secret stays good too: 1h, say; not at all if left out
  revoke ID             ends a key at once

All take --json. A server that runs knows of a change within 3 seconds.
${POSTGRESQL}
`,
  ],
  [
    "policy",
    `deno task policy: who may scan what, with what and when. Nothing is scanned.

  test [FILE]           a table of cases; cases.yaml of the policies' folder if left out
    --folder F          by the policies of another folder
  check [FOLDER]        whether the policies of a folder can be used; policy.folder if left out
  explain               what is decided of a request, and by which policies
    --tool T --mode M --target NETWORK    what is scanned, and how; --target several times
    --client N --subject S --tenant T --role R    who asks; --role several times
    --ports N --rate N --addresses N --intrusive --intrusive-allowed    the size and kind of the scan
    --engagement NAME --tag T             what it is kept under; --tag several times
    --time TIME --transport T --source ADDRESS    when and from where: 2026-03-01T22:30:00Z, http
    --approved          as if a second person had approved
    --out-of-scope      as if the guardrails had the target out of scope
    --folder F          by the policies of another folder

All take --json. Without an action the cases are tested. A case that fails, and a request that is not
allowed, end with exit code 3.
`,
  ],
  [
    "history",
    `deno task history: what was scanned, what was found, what changed. Nothing is scanned.

  list                  the scans that are kept, newest first
    --status S --tool T --engagement NAME --tag T    only those
    --limit N           so many, 20 if left out
    --before SCAN_ID    those before it: the next page
  show SCAN_ID          one scan with all that it found
  diff NEW              what changed since the last scan that can be compared with it
  diff OLD NEW          what changed from one scan to the other
  inventory             open services over all scans, with the first and the last time
    --hosts             the hosts instead
  search WORDS...       what services said: words, '"words in order"', beginnings like apach*

inventory and search take
  --subnet NET --port N --service S --product P      only those; a product by its whole name
  --state S             open if left out; any for all
  --engagement NAME --tag T                          seen under these
  --since TIME --until TIME                          last seen from a time on, or before one
  --limit N             so many rows, 100 if left out

all take
${TENANT}

A time is 2026-03-01 or 2026-03-01T12:00:00Z; without a zone it is UTC. --tag may be given several times:
each of them. All take --json.
${POSTGRESQL}
`,
  ],
  [
    "report",
    `deno task report: a document to hand on. Each one is recorded in the audit log first.

  report SCAN_ID                     one scan
  report SCAN_ID --since OLD_ID      what changed from the older scan to it
  report --engagement NAME           all scans of an engagement together
  report --tag T                     all scans under a tag; several tags: under each of them

  --format F            html, markdown, csv, json_lines, xml (nmap's own) or sarif; if left out, what the
                        name of the file says, else html, and markdown on a terminal
  --output FILE         into a file below reports/, there as a whole or not at all; without it to
                        standard output, from which the shell writes anywhere: report SCAN_ID > FILE
  --force               replaces a file of that name
${TENANT}
${POSTGRESQL}
`,
  ],
  [
    "import",
    `deno task import FILE...: takes scans that were made elsewhere into the history, with their own times.

A file is XML of nmap (-oX) or JSON of masscan (-oJ, -oD); its content tells which. It is read to its end
before anything of it is kept, and the same file is kept once. What a file says is not proven, and its
scan is marked as imported.

  FILE                  below the folder of deno.json, where a relative name starts
  -                     standard input, for any other place: deno task import - < FILE
  --engagement NAME --tag T    what the scans are kept under
${TENANT}
  --json

Exit code 2 says that a file was refused; the others are imported all the same.
${POSTGRESQL}
`,
  ],
  [
    "store",
    `deno task store: the database of the history.

  check                 whether it is sound; if not, what is wrong and the way out, and exit code 1
  stats                 what is in it and how much room it takes
    --tenant NAME       counts what is a tenant's; everything if left out
  prune                 removes old scans, oldest first, and gives the room back
    --dry-run           says what would go, and removes nothing
    --max-age-days N    what ended, or was imported, so many days ago goes; retention.max_age_days if
                        left out, 0 for no bound
    --max-bytes N       the oldest go until it is smaller; retention.max_bytes if left out, 0 for no bound
    --keep-tag T        scans with this tag stay, besides those of retention.keep_tags
    --tenant NAME       whose scans, and whose bytes are bounded; default if left out
    --all-tenants       everybody's, as the server's own retention does

All take --json. A removal is recorded in the audit log first.
${POSTGRESQL}
`,
  ],
]);

/**
 * Prints the help.
 *
 * @param world The process.
 * @returns 0 if it was asked for, 2 if the command is unknown.
 */
export function help(world: World): Promise<number> {
  const [name, command = ""] = world.args;
  const asked = name === undefined || ["help", "--help", "-h"].includes(name);
  if (asked) {
    world.print(COMMANDS.get(command) ?? TEXT);
  } else {
    world.printError(
      `Cannot run the command: there is none of that name\n\n${TEXT}`,
    );
  }
  return Promise.resolve(asked ? EXIT.ok : EXIT.refused);
}
