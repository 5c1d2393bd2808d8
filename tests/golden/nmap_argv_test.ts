/**
 * nmap's command line for each request, byte for byte. Each of them was accepted by nmap 7.93 as it
 * stands here (with loopback for a target).
 *
 * @module
 */
import assert from "node:assert/strict";
import { nmap } from "@/tools/nmap/tool.ts";
import { type Context, endingOf, LOOSE } from "../unit/tools/nmap_fixture.ts";
import { verifies } from "../requirements.ts";

verifies("argv.golden", "nmap.defaults", "nmap.paces");

interface Golden {
  readonly request: Readonly<Record<string, unknown>>;
  readonly context?: Context;
  readonly argv: string;
}

const GOLDEN: readonly Golden[] = [
  {
    request: { "target": "127.0.0.1" },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 127.0.0.1",
  },
  {
    request: { "target": "127.0.0.1" },
    context: { "rawSockets": false },
    argv:
      "nmap -n --unprivileged -sT -Pn --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 127.0.0.1",
  },
  {
    request: { "target": "::1" },
    context: { "rawSockets": false },
    argv:
      "nmap -6 -n --unprivileged -sT -Pn --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - ::1",
  },
  {
    request: { "target": "10.0.0.7/24" },
    argv:
      "nmap -n --privileged -sS --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.0/24",
  },
  {
    request: { "target": "10.0.0.0/24" },
    context: { "rawSockets": false },
    argv:
      "nmap -n --unprivileged -sT --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.0/24",
  },
  {
    request: {
      "target": ["10.0.0.1-20", "192.168.1.1"],
      "host_discovery": false,
    },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1-20 192.168.1.1",
  },
  {
    request: { "target": "10.0.0.1", "host_discovery": true },
    argv:
      "nmap -n --privileged -sS --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "web.lab.internal",
      "ports": "443,80,8000-8100,8050-8200",
      "scan_type": "connect",
    },
    argv:
      "nmap -n --unprivileged -sT -Pn -p 80,443,8000-8200 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.77.2.20",
  },
  {
    request: { "target": "dual.lab.internal", "top_ports": 10 },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=10 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.77.2.21",
  },
  {
    request: { "target": "six.lab.internal", "top_ports": 10 },
    argv:
      "nmap -6 -n --privileged -sS -Pn --top-ports=10 -T4 --max-parallelism=10 --stats-every=1s -oX - fd00::22",
  },
  {
    request: { "target": ["many.lab.internal"], "ports": "22" },
    argv:
      "nmap -n --privileged -sS -p 22 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.77.2.23 10.77.2.24",
  },
  {
    request: { "target": "10.0.0.1", "ports": "U:53,161" },
    argv:
      "nmap -n --privileged -sU -Pn -p U:53,161 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "ports": "T:80,U:53" },
    argv:
      "nmap -n --privileged -sS -sU -Pn -p T:80,U:53 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "ports": "T:80,U:53",
      "scan_type": "connect",
    },
    argv:
      "nmap -n --privileged -sT -sU -Pn -p T:80,U:53 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "ports": "53", "scan_type": "udp" },
    argv:
      "nmap -n --privileged -sU -Pn -p 53 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.0/24", "scan_type": "ping" },
    argv:
      "nmap -n --privileged -sn -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.0/24",
  },
  {
    request: { "target": "10.0.0.1", "service_detection": true, "timing": 2 },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -sV -T2 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "scripts": ["http-title", "ssl-cert", "http-title"],
    },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 --script=http-title,ssl-cert -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "scripts": ["default", "http-title"] },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 --script=http-title,((default))and(not((intrusive)or(vuln)or(exploit)or(dos)or(brute)or(malware)or(fuzzer)or(external)or(broadcast)or(ftp-bounce))) -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "pace": "balanced" },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "pace": "fast" },
    context: { guardrails: LOOSE },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --min-rate=300 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "pace": "fast",
      "extra_args": "--max-rate=200",
    },
    context: { guardrails: LOOSE },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --min-rate=200 --max-rate=200 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "extra_args": "--min-rate 500 --max-rate 600",
    },
    context: { guardrails: LOOSE },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --min-rate=500 --max-rate=600 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "extra_args": "-sT -p- -T3 -Pn -n --open --reason",
    },
    argv:
      "nmap -n --unprivileged -sT -Pn -p 1-65535 -T3 --max-parallelism=10 --open --reason --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "extra_args": "-sV --version-light -F --max-retries=1 --host-timeout 5m",
    },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=100 -sV --version-intensity=2 -T4 --max-parallelism=10 --max-retries=1 --host-timeout=300s --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "extra_args": "-p22 --scan-delay 50ms --script ssh-hostkey,banner",
    },
    argv:
      "nmap -n --privileged -sS -Pn -p 22 --script=ssh-hostkey,banner -T4 --scan-delay=50ms --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: {
      "target": "10.0.0.1",
      "extra_args":
        "-PE -PS22,443 -PA80 -sS --defeat-rst-ratelimit --traceroute",
    },
    argv:
      "nmap -n --privileged -sS -PE -PS22,443 -PA80 --top-ports=1000 --traceroute -T4 --max-parallelism=10 --defeat-rst-ratelimit --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.0/30", "extra_args": "-sn -PS" },
    argv:
      "nmap -n --privileged -sn -PS80 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.0/30",
  },
  {
    request: { "target": "10.0.0.1", "extra_args": "-sC --top-ports=5" },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=5 --script=((default))and(not((intrusive)or(vuln)or(exploit)or(dos)or(brute)or(malware)or(fuzzer)or(external)or(broadcast)or(ftp-bounce))) -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "os_detection": true, "timing": 5 },
    context: { guardrails: LOOSE },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -O -T5 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "extra_args": "-A --script=vuln" },
    context: { guardrails: LOOSE },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -sV -O --script=((default))and(not((intrusive)or(vuln)or(exploit)or(dos)or(brute)or(malware)or(fuzzer)or(external)or(broadcast)or(ftp-bounce))),((vuln))and(not((external)or(broadcast)or(http-csrf)or(http-dombased-xss)or(http-fileupload-exploiter)or(http-jsonp-detection)or(http-method-tamper)or(http-phpself-xss)or(http-sql-injection)or(http-stored-xss))) --traceroute -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
  {
    request: { "target": "10.0.0.1", "timeout_seconds": 1800 },
    argv:
      "nmap -n --privileged -sS -Pn --top-ports=1000 -T4 --max-parallelism=10 --stats-every=1s -oX - 10.0.0.1",
  },
];

for (const { request, context, argv } of GOLDEN) {
  const name = `${JSON.stringify(request)}${
    context?.rawSockets === false ? " without raw packets" : ""
  }`;
  Deno.test(`nmap.plan() builds the command line of ${name}`, () => {
    assert.deepEqual(endingOf(nmap, request, context), {
      kind: "runs",
      argv: [argv],
    });
  });
}
