/**
 * One allow and one deny for each guardrail of gobuster, with its name and code.
 *
 * @module
 */
import assert from "node:assert/strict";
import { gobuster } from "@/tools/gobuster/tool.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import {
  type Context,
  endingOf,
  GUARDRAILS,
  planOf,
} from "../unit/tools/nmap_fixture.ts";
import { verifies } from "../requirements.ts";

verifies(
  "gobuster.wordlist_by_name",
  "gobuster.threads_cap",
  "gobuster.url_rules",
);

type Request = Readonly<Record<string, unknown>>;

interface Row {
  readonly rule: string;
  readonly allow: readonly Request[];
  readonly deny: readonly Request[];
  readonly by: string;
  readonly code: string;
  readonly message: RegExp;
  readonly context?: Context;
}

const ONE_ADDRESS: Guardrails = {
  ...GUARDRAILS,
  scope: { ...GUARDRAILS.scope, maxNetworkSize: 1 },
};
const NO_WORDLIST: Guardrails = {
  ...GUARDRAILS,
  gobuster: { ...GUARDRAILS.gobuster, wordlists: [] },
};
const PUBLIC_RESOLVER: Guardrails = {
  ...GUARDRAILS,
  gobuster: { ...GUARDRAILS.gobuster, resolver: "9.9.9.9" },
};
const ODD_PATH: Guardrails = {
  ...GUARDRAILS,
  gobuster: {
    ...GUARDRAILS.gobuster,
    wordlists: [
      { name: "common", path: "/srv/word lists/common.txt", words: 5 },
      { name: "plain", path: "/srv/plain.txt", words: 5 },
    ],
  },
};

const dir = (target: string, more: Request = {}): Request => ({
  mode: "dir",
  target,
  ...more,
});
const local = (more: Request): Request => dir("http://127.0.0.1/", more);
const dns = (target: string, more: Request = {}): Request => ({
  mode: "dns",
  target,
  ...more,
});
const vhost = (target: string, extra_args?: string): Request => ({
  mode: "vhost",
  target,
  ...(extra_args === undefined ? {} : { extra_args }),
});

const TABLE: readonly Row[] = [
  {
    rule: "scope: addresses",
    allow: [
      dir("http://10.0.0.1/"),
      dir("https://[::1]:8443/"),
      vhost("http://10.0.0.1/", "--domain lab.internal"),
    ],
    deny: [
      dir("http://8.8.8.8/"),
      dir("http://10.66.0.1/"),
      dir("https://[2001:4860:4860::8888]/"),
      dir("http://169.254.169.254/latest/meta-data/"),
      vhost("http://8.8.8.8/", "--domain lab.internal"),
    ],
    by: "scope",
    code: "target_not_allowed",
    message: /^Cannot scan "/,
  },
  {
    rule: "scope: names",
    allow: [dir("http://web.lab.internal/"), vhost("http://web.lab.internal/")],
    deny: [
      dir("http://web.attacker.test/"),
      dir("http://evil.lab.internal/"),
      dir("http://lab.internal.attacker.test/"),
      vhost("http://evil.lab.internal/"),
    ],
    by: "scope",
    code: "target_not_allowed",
    message: /use an address instead|resolves to 8\.8\.8\.8/,
  },
  {
    rule: "scope: names that resolve to nothing usable",
    allow: [dir("http://many.lab.internal/")],
    deny: [dir("http://gone.lab.internal/"), dir("http://odd.lab.internal/")],
    by: "scope",
    code: "invalid_target",
    message: /resolves to no address|gave no plain address/,
  },
  {
    rule: "scope: domains",
    allow: [
      dns("lab.internal"),
      dns("dev.lab.internal"),
      vhost("http://10.0.0.1/", "--domain=dev.lab.internal"),
    ],
    deny: [
      dns("attacker.test"),
      dns("internal"),
      dns("evil-lab.internal"),
      vhost("http://10.0.0.1/", "--domain=attacker.test"),
      vhost("http://web.lab.internal/", "--domain=attacker.test"),
    ],
    by: "scope",
    code: "target_not_allowed",
    message:
      /^Cannot try names below ".*": domains are allowed only below these suffixes: \.lab\.internal; /,
  },
  {
    rule: "network_size",
    context: { guardrails: ONE_ADDRESS },
    allow: [dir("http://web.lab.internal/")],
    deny: [dir("http://many.lab.internal/")],
    by: "network_size",
    code: "network_too_large",
    message: /^Cannot scan 2 addresses at once: the limit is 1; /,
  },
  {
    rule: "wordlist",
    allow: [local({}), local({ wordlist: "common" })],
    deny: [
      local({ wordlist: "nope" }),
      local({ wordlist: "/etc/passwd" }),
      local({ wordlist: "/srv/wordlists/common.txt" }),
      local({ wordlist: "../wordlists/common" }),
      local({ wordlist: "common.txt" }),
      local({ wordlist: "Common" }),
      local({ wordlist: "-" }),
      dns("lab.internal", { wordlist: "../../etc/passwd" }),
    ],
    by: "wordlist",
    code: "invalid_arguments",
    message:
      /^Cannot use the wordlist ".*": no wordlist has this name; use one of: common$/,
  },
  {
    rule: "wordlist: an empty catalogue",
    context: { guardrails: NO_WORDLIST },
    allow: [],
    deny: [local({}), dns("lab.internal", { wordlist: "common" })],
    by: "wordlist",
    code: "invalid_arguments",
    message: /this server has none; the operator names folders in /,
  },
  {
    rule: "wordlist: a path that no command line takes",
    context: { guardrails: ODD_PATH },
    allow: [local({ wordlist: "plain" })],
    deny: [local({})],
    by: "wordlist",
    code: "invalid_arguments",
    message: /its path holds a blank/,
  },
  {
    rule: "threads",
    allow: [local({ threads: 50 }), local({ extra_args: "-t 50" })],
    deny: [
      local({ threads: 51 }),
      local({ threads: 1000 }),
      local({ extra_args: "--threads=51" }),
      dns("lab.internal", { threads: 51 }),
    ],
    by: "threads",
    code: "invalid_arguments",
    message: /the cap is 50; use threads 50 or less, or leave it out$/,
  },
  {
    rule: "resolver",
    allow: [
      dns("lab.internal"),
      dns("lab.internal", { resolver: "10.0.0.53" }),
      dns("lab.internal", { extra_args: "--resolver 127.0.0.1:5353" }),
    ],
    deny: [
      dns("lab.internal", { resolver: "8.8.8.8" }),
      dns("lab.internal", { resolver: "8.8.8.8:53" }),
      dns("lab.internal", { resolver: "10.66.0.53" }),
      dns("lab.internal", { resolver: "[2001:4860:4860::8888]:53" }),
      dns("lab.internal", { extra_args: "--resolver=1.1.1.1" }),
    ],
    by: "resolver",
    code: "target_not_allowed",
    message: /^Cannot ask the name server [0-9a-f.:[\]]+: /,
  },
  {
    rule: "resolver: the operator's own",
    context: { guardrails: PUBLIC_RESOLVER },
    allow: [
      dns("lab.internal"),
      dns("lab.internal", { resolver: "9.9.9.9:53" }),
    ],
    deny: [dns("lab.internal", { resolver: "9.9.9.9:5353" })],
    by: "resolver",
    code: "target_not_allowed",
    message: /^Cannot ask the name server 9\.9\.9\.9:5353: /,
  },
  {
    rule: "resolver: form",
    allow: [dns("lab.internal", { resolver: "[::1]:53" })],
    deny: [
      dns("lab.internal", { resolver: "ns.lab.internal" }),
      dns("lab.internal", { resolver: "10.0.0.53:0" }),
      dns("lab.internal", { resolver: "10.0.0.53:053" }),
      dns("lab.internal", { resolver: "10.0.0.53:65536" }),
      dns("lab.internal", { resolver: "[10.0.0.53]:53" }),
      dns("lab.internal", { resolver: "0x7f.1" }),
      dns("lab.internal", { resolver: "10.0.0.53:53:53" }),
    ],
    by: "parse",
    code: "invalid_target",
    message: /write an address, or an address and a port, like 10\.0\.0\.53:53/,
  },
  {
    rule: "timeout",
    allow: [local({ timeout_seconds: 1800 })],
    deny: [local({ timeout_seconds: 1801 })],
    by: "timeout",
    code: "invalid_arguments",
    message: /the limit is 1800 s/,
  },
  {
    rule: "URLs",
    allow: [
      dir("http://127.0.0.1"),
      dir("http://127.0.0.1/a/b%2F;c=d,e:@!$&'()*+~_-./"),
    ],
    deny: [
      dir("127.0.0.1"),
      dir("ftp://127.0.0.1/"),
      dir("http:///x"),
      dir("http://127.0.0.1:0/"),
      dir("http://127.0.0.1:080/"),
      dir("http://127.0.0.1:/"),
      dir("http://user@127.0.0.1/"),
      dir("http://127.0.0.1/?q=1"),
      dir("http://127.0.0.1/#top"),
      dir("http://127.0.0.1/%zz"),
      dir("http://127.0.0.1/a b"),
      dir('http://127.0.0.1/"x'),
      dir("http://127.0.0.1/\\x"),
      dir("http://127.0.0.1-5/"),
      dir("http://127.0.0.1-1/"),
      dir("http://[127.0.0.1]/"),
      dir("http://::1/"),
      dir("http://[::1/"),
      dir("http://[::ffff:7f00:1]/"),
      dir("http://web.lab.internal./"),
    ],
    by: "parse",
    code: "invalid_target",
    message:
      /^Cannot use the URL ".*": .*; write it like http:\/\/10\.0\.0\.1:8080\/app\/$/,
  },
  {
    rule: "domains",
    allow: [dns("a-b.lab.internal")],
    deny: [
      dns("http://lab.internal/"),
      dns("10.0.0.1"),
      dns("10.0.0.0/24"),
      dns("lab.internal."),
      dns("*.lab.internal"),
      vhost("http://10.0.0.1/", "--domain 10.0.0.1"),
      vhost("http://10.0.0.1/", "--domain lab.internal:80"),
    ],
    by: "parse",
    code: "invalid_target",
    message: /write a domain without a scheme, like lab\.example$/,
  },
  {
    rule: "fields of another mode",
    allow: [
      local({ extensions: "php" }),
      vhost("https://10.0.0.1/", "--domain lab.internal -k"),
    ],
    deny: [
      dns("lab.internal", { extensions: "php" }),
      dns("lab.internal", { status_codes: "200" }),
      dns("lab.internal", { extra_args: "--exclude-length 5" }),
      dns("lab.internal", { extra_args: "--add-slash" }),
      dns("lab.internal", { extra_args: "-k" }),
      local({ resolver: "127.0.0.1" }),
      local({ extra_args: "--wildcard" }),
      local({ extra_args: "--domain lab.internal" }),
      local({ extra_args: "-k" }),
      local({ status_codes: "200", extra_args: "-b 404" }),
      vhost("http://10.0.0.1/"),
    ],
    by: "parse",
    code: "invalid_arguments",
    message: /^Cannot use these arguments of gobuster: /,
  },
  {
    rule: "extensions, status codes, lengths",
    allow: [local({ extensions: "a.b~,c_d", status_codes: "100,599" })],
    deny: [
      local({ extensions: "php,,html" }),
      local({ extensions: "../x" }),
      local({ extensions: "-r" }),
      local({ extensions: "abcdefghijklmnopq" }),
      local({
        extensions: Array.from({ length: 17 }, (_, i) => `x${i}`).join(),
      }),
      local({ status_codes: "99" }),
      local({ status_codes: "600" }),
      local({ status_codes: "302-301" }),
      local({ status_codes: "200;404" }),
      local({ extra_args: "--exclude-length 1-5" }),
      local({ extra_args: "--exclude-length 05" }),
    ],
    by: "parse",
    code: "invalid_arguments",
    message:
      /no extension; write them|at most 16|no status code from 100 to 599|no length in bytes/,
  },
  {
    rule: "extra_args",
    allow: [local({ extra_args: "--delay 100" })],
    deny: [
      local({ extra_args: "-r" }),
      local({ extra_args: "--follow-redirect" }),
      local({ extra_args: "--proxy=http://127.0.0.1:1" }),
      local({ extra_args: "-o /x" }),
      local({ extra_args: "-w /etc/passwd" }),
      local({ extra_args: "-H Host:x" }),
      local({ extra_args: "-q" }),
      local({ extra_args: "-t 5 admin" }),
      local({ extra_args: "-d lab.internal" }),
      local({ extra_args: "--discover-backup" }),
      local({ threads: 5, extra_args: "-t 5" }),
      local({ extra_args: "-s 200 -s 301" }),
    ],
    by: "parse",
    code: "invalid_arguments",
    message: /in extra_args: |^Cannot use extra_args: /,
  },
];

for (const row of TABLE) {
  Deno.test(`gobuster's rule "${row.rule}" allows and denies as written`, () => {
    for (const request of row.allow) {
      const ending = endingOf(gobuster, request, row.context);
      assert.equal(ending.kind, "runs", JSON.stringify([request, ending]));
    }
    for (const request of row.deny) {
      const ending = endingOf(gobuster, request, row.context);
      const shown = JSON.stringify([request, ending]);
      assert.equal(ending.kind, "refused", shown);
      if (ending.kind !== "refused") continue;
      assert.deepEqual([ending.by, ending.code], [row.by, row.code], shown);
      assert.match(ending.message, row.message);
    }
  });
}

Deno.test("gobuster's plan names every guardrail of its mode, also after a refusal", () => {
  const names = (request: Request) =>
    planOf(gobuster, request).verdicts.map(({ guardrail }) => guardrail);
  const web = ["scope", "network_size", "wordlist", "threads", "timeout"];
  const name = ["scope", "resolver", "wordlist", "threads", "timeout"];
  assert.deepEqual(names(dir("http://127.0.0.1/")), web);
  assert.deepEqual(names(dir("http://8.8.8.8/", { threads: 99 })), web);
  assert.deepEqual(names(vhost("http://evil.lab.internal/")), web);
  assert.deepEqual(names(dns("lab.internal")), name);
  assert.deepEqual(
    names(dns("attacker.test", { resolver: "8.8.8.8", wordlist: "x" })),
    name,
  );
});

Deno.test("gobuster says what is wrong with a URL", () => {
  const why: readonly (readonly [string, RegExp])[] = [
    ["http://127.0.0.1/?q=1", /a query or a fragment is not taken/],
    ["http://a:b@127.0.0.1/", /credentials are not taken/],
    ["ftp://127.0.0.1/", /it begins with no http or https/],
    ["http://127.0.0.1:x/", /its host or port is malformed/],
  ];
  for (const [target, message] of why) {
    const ending = endingOf(gobuster, dir(target));
    assert.match(ending.kind === "refused" ? ending.message : "", message);
  }
});
