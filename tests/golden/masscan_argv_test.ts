/**
 * masscan's command lines for each request, byte for byte: one a pass. What each scans was compared
 * with what masscan 1.3.2 lists for it (`-sL`, which sends nothing).
 *
 * @module
 */
import assert from "node:assert/strict";
import { masscan } from "@/tools/masscan/tool.ts";
import { endingOf } from "../unit/tools/nmap_fixture.ts";
import { verifies } from "../requirements.ts";

verifies("argv.golden", "masscan.passes_merged");

interface Golden {
  readonly request: Readonly<Record<string, unknown>>;
  readonly argv: readonly string[];
}

const GOLDEN: readonly Golden[] = [
  {
    request: { "target": "10.77.2.20", "ports": "80" },
    argv: [
      "masscan --range=10.77.2.20 --ports=80 --exclude=0.0.0.0-10.77.2.19,10.77.2.21-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=2359807949 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.77.2.20 --ports=80 --exclude=0.0.0.0-10.77.2.19,10.77.2.21-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=2359807950 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "10.0.0.7/24", "ports": "22,80,443" },
    argv: [
      "masscan --range=10.0.0.0/24 --ports=22,80,443 --exclude=0.0.0.0-9.255.255.255,10.0.1.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-21,23-79,81-442,444-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=3373055401 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.0/24 --ports=22,80,443 --exclude=0.0.0.0-9.255.255.255,10.0.1.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-21,23-79,81-442,444-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=3373055402 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "10.0.0.1-20", "ports": "8000-8100,8050-8200" },
    argv: [
      "masscan --range=10.0.0.1-10.0.0.20 --ports=8000-8200 --exclude=0.0.0.0-10.0.0.0,10.0.0.21-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-7999,8201-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=3103455612 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.1-10.0.0.20 --ports=8000-8200 --exclude=0.0.0.0-10.0.0.0,10.0.0.21-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-7999,8201-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=3103455613 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: {
      "target": ["10.0.0.20", "192.168.1.1", "10.0.0.21"],
      "ports": "443",
    },
    argv: [
      "masscan --range=10.0.0.20/31 --range=192.168.1.1 --ports=443 --exclude=0.0.0.0-10.0.0.19,10.0.0.22-192.168.1.0,192.168.1.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-442,444-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1663046527 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.20/31 --range=192.168.1.1 --ports=443 --exclude=0.0.0.0-10.0.0.19,10.0.0.22-192.168.1.0,192.168.1.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-442,444-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1663046528 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": ["10.0.0.0/30", "10.0.0.4-5"], "ports": "1-65535" },
    argv: [
      "masscan --range=10.0.0.0-10.0.0.5 --ports=1-65535 --exclude=0.0.0.0-9.255.255.255,10.0.0.6-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1249982387 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.0-10.0.0.5 --ports=1-65535 --exclude=0.0.0.0-9.255.255.255,10.0.0.6-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1249982388 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "10.0.0.1", "ports": "1,3,65535" },
    argv: [
      "masscan --range=10.0.0.1 --ports=1,3,65535 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,2,4-65534,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1064400432 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.1 --ports=1,3,65535 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,2,4-65534,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1064400433 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "web.lab.internal", "ports": "80" },
    argv: [
      "masscan --range=10.77.2.20 --ports=80 --exclude=0.0.0.0-10.77.2.19,10.77.2.21-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=2359807949 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.77.2.20 --ports=80 --exclude=0.0.0.0-10.77.2.19,10.77.2.21-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=2359807950 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "dual.lab.internal", "ports": "80" },
    argv: [
      "masscan --range=10.77.2.21 --ports=80 --exclude=0.0.0.0-10.77.2.20,10.77.2.22-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1544447278 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.77.2.21 --ports=80 --exclude=0.0.0.0-10.77.2.20,10.77.2.22-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=1544447279 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "many.lab.internal", "ports": "80", "rate": 10000 },
    argv: [
      "masscan --range=10.77.2.23-10.77.2.24 --ports=80 --exclude=0.0.0.0-10.77.2.22,10.77.2.25-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=10000 --wait=5 --retries=0 --seed=3947304763 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.77.2.23-10.77.2.24 --ports=80 --exclude=0.0.0.0-10.77.2.22,10.77.2.25-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=10000 --wait=5 --retries=0 --seed=3947304764 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: {
      "target": "10.0.0.1",
      "ports": "80",
      "extra_args": "--max-rate 500 --wait 1 --retries=2 --ttl 3",
    },
    argv: [
      "masscan --range=10.0.0.1 --ports=80 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=500 --wait=1 --retries=2 --ttl=3 --seed=920519160 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.1 --ports=80 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-79,81-65535,U:0-65535,S:0-65535 --rate=500 --wait=1 --retries=2 --ttl=3 --seed=920519161 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: {
      "target": "10.0.0.1",
      "ports": "22,80",
      "banners": true,
      "rate": 100,
    },
    argv: [
      "masscan --range=10.0.0.1 --ports=22,80 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-21,23-79,81-65535,U:0-65535,S:0-65535 --rate=100 --wait=5 --retries=0 --seed=3233930194 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.1 --ports=22,80 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-21,23-79,81-65535,U:0-65535,S:0-65535 --rate=100 --wait=5 --retries=0 --seed=3233930195 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.1 --ports=22,80 --exclude=0.0.0.0-10.0.0.0,10.0.0.2-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-21,23-79,81-65535,U:0-65535,S:0-65535 --rate=50 --wait=5 --retries=3 --seed=3233930196 --banners=true --source-port=61212 --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: {
      "target": "10.0.0.0/24",
      "ports": "1-1000",
      "extra_args": "--banners",
      "rate": 8000,
      "timeout_seconds": 1800,
    },
    argv: [
      "masscan --range=10.0.0.0/24 --ports=1-1000 --exclude=0.0.0.0-9.255.255.255,10.0.1.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,1001-65535,U:0-65535,S:0-65535 --rate=8000 --wait=5 --retries=0 --seed=3506807129 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.0/24 --ports=1-1000 --exclude=0.0.0.0-9.255.255.255,10.0.1.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,1001-65535,U:0-65535,S:0-65535 --rate=8000 --wait=5 --retries=0 --seed=3506807130 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.0.0.0/24 --ports=1-1000 --exclude=0.0.0.0-9.255.255.255,10.0.1.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0,1001-65535,U:0-65535,S:0-65535 --rate=8000 --wait=5 --retries=3 --seed=3506807131 --banners=true --source-port=61091 --output-filename= --output-format=interactive --interactive",
    ],
  },
  {
    request: { "target": "10.255.255.255", "ports": "65535" },
    argv: [
      "masscan --range=10.255.255.255 --ports=65535 --exclude=0.0.0.0-10.255.255.254,11.0.0.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-65534,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=2284942779 --banners=false --output-filename= --output-format=interactive --interactive",
      "masscan --range=10.255.255.255 --ports=65535 --exclude=0.0.0.0-10.255.255.254,11.0.0.0-255.255.255.255,::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --exclude-ports=0-65534,U:0-65535,S:0-65535 --rate=1000 --wait=5 --retries=0 --seed=2284942780 --banners=false --output-filename= --output-format=interactive --interactive",
    ],
  },
];

for (const { request, argv } of GOLDEN) {
  Deno.test(`masscan.plan() makes the argv of ${JSON.stringify(request)}`, () => {
    assert.deepEqual(endingOf(masscan, request), { kind: "runs", argv });
  });
}
