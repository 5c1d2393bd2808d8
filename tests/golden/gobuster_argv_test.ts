/**
 * gobuster's command line for each request, byte for byte. Each kind of them was run by gobuster 3.5
 * against loopback (`tests/process/gobuster_test.ts`).
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { versionArgv } from "@/tools/gobuster/argv.ts";
import { gobuster } from "@/tools/gobuster/tool.ts";
import type { Guardrails } from "@/tools/guardrails.ts";
import { endingOf, GUARDRAILS } from "../unit/tools/nmap_fixture.ts";
import { verifies } from "../requirements.ts";

verifies("gobuster.no_redirects");

interface Golden {
  readonly request: Readonly<Record<string, unknown>>;
  readonly guardrails?: Guardrails;
  readonly argv: string;
}

const END =
  "--wordlist=/srv/wordlists/common.txt --threads=10 --timeout=10s --no-color";
const AGENT = "--useragent=security-mcp-server";

const WITH_RESOLVER: Guardrails = {
  ...GUARDRAILS,
  gobuster: {
    ...GUARDRAILS.gobuster,
    resolver: "::1",
    requestTimeoutSeconds: 3,
  },
};

/** A catalogue that has the list of each mode. */
const WITH_LISTS: Guardrails = {
  ...GUARDRAILS,
  gobuster: {
    ...GUARDRAILS.gobuster,
    wordlists: ["common", "subdomains", "vhosts"].map((name) => ({
      name,
      path: `/srv/wordlists/${name}.txt`,
      words: 3,
    })),
  },
};

const GOLDEN: readonly Golden[] = [
  {
    request: {
      mode: "vhost",
      target: "http://10.0.0.1/",
      extra_args: "--domain x.lab.internal",
    },
    guardrails: WITH_LISTS,
    argv:
      "gobuster vhost --url=http://10.0.0.1/ --useragent=security-mcp-server --append-domain --domain=x.lab.internal --wordlist=/srv/wordlists/vhosts.txt --threads=10 --timeout=10s --no-color",
  },
  {
    request: { mode: "dir", target: "http://127.0.0.1/" },
    argv:
      `gobuster dir --url=http://127.0.0.1/ ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: { mode: "dir", target: "HTTP://10.0.0.1:80" },
    argv:
      `gobuster dir --url=http://10.0.0.1/ ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: {
      mode: "dir",
      target: "http://10.0.0.1:8080/app%20one/v1",
      extensions: ".php,html,php",
      status_codes: "301-302,200,302-308",
      threads: 50,
    },
    argv:
      `gobuster dir --url=http://10.0.0.1:8080/app%20one/v1/ ${AGENT} --extensions=html,php --status-codes=200,301-308 --status-codes-blacklist= --wordlist=/srv/wordlists/common.txt --threads=50 --timeout=10s --no-color`,
  },
  {
    request: {
      mode: "dir",
      target: "http://web.lab.internal/",
      wordlist: "common",
    },
    argv:
      `gobuster dir --url=http://10.77.2.20/ --headers=Host:web.lab.internal ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: { mode: "dir", target: "http://Web.Lab.Internal:8080" },
    argv:
      `gobuster dir --url=http://10.77.2.20:8080/ --headers=Host:web.lab.internal:8080 ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: { mode: "dir", target: "https://web.lab.internal:443/" },
    argv:
      `gobuster dir --url=https://10.77.2.20/ --headers=Host:web.lab.internal --no-tls-validation ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: { mode: "dir", target: "http://six.lab.internal:8080/" },
    argv:
      `gobuster dir --url=http://[fd00::22]:8080/ --headers=Host:six.lab.internal:8080 ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: { mode: "dir", target: "https://10.0.0.1:8443/" },
    argv:
      `gobuster dir --url=https://10.0.0.1:8443/ ${AGENT} --status-codes-blacklist=404 ${END}`,
  },
  {
    request: {
      mode: "dir",
      target: "https://[fd00::1]:8443/",
      extra_args: "-k -t 2 -b 403,404 --exclude-length 42,7,42 -f --delay 2s",
    },
    argv:
      `gobuster dir --url=https://[fd00::1]:8443/ --no-tls-validation ${AGENT} --status-codes-blacklist=403-404 --exclude-length=7,42 --add-slash --wordlist=/srv/wordlists/common.txt --threads=2 --delay=2000ms --timeout=10s --no-color`,
  },
  {
    request: {
      mode: "dir",
      target: "http://127.0.0.1/",
      extra_args: "-xphp,tar.gz -s200",
    },
    argv:
      `gobuster dir --url=http://127.0.0.1/ ${AGENT} --extensions=php,tar.gz --status-codes=200 --status-codes-blacklist= ${END}`,
  },
  {
    request: { mode: "vhost", target: "http://web.lab.internal:8080/" },
    argv:
      `gobuster vhost --url=http://10.77.2.20:8080/ --headers=Host:web.lab.internal:8080 ${AGENT} --append-domain --domain=web.lab.internal:8080 ${END}`,
  },
  {
    request: {
      mode: "vhost",
      target: "http://10.77.2.20/",
      extra_args: "--domain lab.internal --exclude-length=10",
    },
    argv:
      `gobuster vhost --url=http://10.77.2.20/ ${AGENT} --append-domain --domain=lab.internal --exclude-length=10 ${END}`,
  },
  {
    request: { mode: "dns", target: "Lab.Internal" },
    argv: `gobuster dns --domain=lab.internal. --show-ips ${END}`,
  },
  {
    request: {
      mode: "dns",
      target: "dev.lab.internal",
      resolver: "10.0.0.53",
      extra_args: "--wildcard",
    },
    argv:
      `gobuster dns --domain=dev.lab.internal. --resolver=10.0.0.53:53 --show-ips --wildcard ${END}`,
  },
  {
    request: {
      mode: "dns",
      target: "lab.internal",
      resolver: "[fd00::53]:5353",
    },
    argv:
      `gobuster dns --domain=lab.internal. --resolver=[fd00::53]:5353 --show-ips ${END}`,
  },
  {
    request: { mode: "dns", target: "lab.internal" },
    guardrails: WITH_RESOLVER,
    argv:
      "gobuster dns --domain=lab.internal. --resolver=[::1]:53 --show-ips --wordlist=/srv/wordlists/common.txt --threads=10 --timeout=3s --no-color",
  },
];

for (const { request, guardrails, argv } of GOLDEN) {
  Deno.test(`gobuster runs ${JSON.stringify(request)} as written`, () => {
    assert.deepEqual(
      endingOf(
        gobuster,
        request,
        guardrails === undefined ? {} : { guardrails },
      ),
      { kind: "runs", argv: [argv] },
    );
  });
}

Deno.test("versionArgv() asks for the version", () => {
  assert.deepEqual(versionArgv().toJSON(), ["gobuster", "version"]);
});

Deno.test("gobuster's argv names no flag that follows, proxies or writes, whatever is asked for", () => {
  const word = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom(
      "-r",
      "-o",
      "/x",
      "--proxy",
      "-k",
      "--wildcard",
      "-x",
      "php",
      "-t",
      "5",
      "--domain",
      "lab.internal",
      "--",
      "-p",
      "--delay=1s",
    ),
  );
  const request = fc.record({
    mode: fc.constantFrom("dir", "dns", "vhost"),
    target: fc.constantFrom(
      "http://web.lab.internal/",
      "https://10.0.0.1/x",
      "lab.internal",
    ),
    extra_args: fc.array(word, { maxLength: 5 }).map((words) =>
      words.join(" ") || "-t 1"
    ),
  });
  const flags =
    /^(?:gobuster|dir|dns|vhost|--(?:url|headers|extensions|status-codes|status-codes-blacklist|exclude-length|domain|resolver|wordlist|threads|delay|timeout)=[!-~]*|--(?:no-tls-validation|useragent=security-mcp-server|add-slash|append-domain|show-ips|wildcard|no-color))$/;
  fc.assert(fc.property(request, (input) => {
    const ending = endingOf(gobuster, input);
    if (ending.kind === "refused") return;
    for (const token of ending.argv.join(" ").split(" ")) {
      assert.match(token, flags);
    }
  }));
});
