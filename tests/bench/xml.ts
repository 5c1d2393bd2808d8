/**
 * How fast nmap's XML is read, and what reading it holds.
 *
 * @module
 */
import { nmapReader } from "@/tools/nmap/report.ts";
import type { Plan } from "@/tools/tool.ts";
import { median, type Result, single } from "./harness.ts";
import type { BenchOptions } from "./subject.ts";

const MEGABYTES = 64;
const CHUNK_BYTES = 64 * 1024;
const PORTS = 100;

const PLAN: Plan = {
  tool: "nmap",
  verdicts: [],
  passes: [],
  targets: ["127.0.0.0/22"],
  addressCount: 1_024,
  probes: 0,
  seconds: 0,
  scanType: "connect",
  permissions: [],
  timeoutMs: 60_000,
  notes: [],
  facts: {
    networks: ["127.0.0.0/22"],
    names: [],
    ports: 1,
    rate: 0,
    intrusive: false,
  },
};

const HEAD = '<?xml version="1.0"?><!DOCTYPE nmaprun>' +
  '<nmaprun scanner="nmap" args="nmap" start="1" version="7.93" xmloutputversion="1.05">\n';

function host(n: number): string {
  const ports = Array.from(
    { length: PORTS },
    (_, at) =>
      `<port protocol="tcp" portid="${
        at + 1
      }"><state state="open" reason="syn-ack" reason_ttl="64"/>` +
      `<service name="http" product="nginx" version="1.22.1" method="probed" conf="10"><cpe>cpe:/a:igor_sysoev:nginx:1.22.1</cpe></service></port>\n`,
  );
  return `<host starttime="1" endtime="2"><status state="up" reason="syn-ack" reason_ttl="64"/>\n` +
    `<address addr="127.${n >> 16 & 255}.${n >> 8 & 255}.${
      n & 255
    }" addrtype="ipv4"/>\n` +
    `<hostnames></hostnames><ports>${ports.join("")}</ports></host>\n`;
}

/** A part of the document with so many hosts, made before any clock starts. */
function part(hosts: number): Uint8Array {
  const texts = Array.from({ length: hosts }, (_, n) => host(n));
  return new TextEncoder().encode(texts.join(""));
}

interface Reading {
  /** MB a second. */
  readonly rate: number;
  /** MB by which the process grew in the second half of the reading over the first. */
  readonly growth: number;
  readonly hosts: number;
}

/** Reads the part over and over, in chunks that cut wherever they like. */
function read(bytes: Uint8Array): Reading {
  const peaks = [0, 0];
  let total = 0;
  const start = performance.now();
  const reader = nmapReader(null, PLAN, () => performance.now());
  reader.stdout(new TextEncoder().encode(HEAD));
  while (total < MEGABYTES * 1e6) {
    for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES) {
      const chunk = bytes.subarray(at, at + CHUNK_BYTES);
      reader.stdout(chunk);
      total += chunk.byteLength;
    }
    const half = total < MEGABYTES * 5e5 ? 0 : 1;
    peaks[half] = Math.max(peaks[half] ?? 0, Deno.memoryUsage().rss);
  }
  reader.passEnded({ kind: "exited", code: 0, signal: null });
  const { report } = reader.finish();
  const rate = total / 1e3 / (performance.now() - start);
  const hosts = report.kind === "hosts" ? report.hosts.length : 0;
  const [first = 0, second = 0] = peaks;
  // A document of one part has no first half: what it holds is its report.
  const growth = first === 0 ? 0 : (second - first) / 1e6;
  return { rate, growth, hosts };
}

/**
 * Measures the reader of nmap's XML: the same few hosts over and over, which add nothing to
 * the report and so show what the reading itself holds, and a network with 100 open ports a host.
 *
 * @param options How much to measure.
 * @returns Rate and memory.
 */
export function xml(options: BenchOptions): Result[] {
  const rounds = Math.max(3, Math.ceil(options.rounds / 40));
  return [["the same hosts", 16], ["a whole network", 1_024]].flatMap(
    ([label, count]) => {
      const bytes = part(Number(count));
      read(bytes);
      const runs = Array.from({ length: rounds }, () => read(bytes));
      const note = `${MEGABYTES} MB, ${runs[0]?.hosts} hosts in the report`;
      const rate = single({
        name: `nmap XML, ${label}`,
        unit: "MB/s",
        subject: median(runs.map(({ rate }) => rate)),
        goal: { atLeast: 40 },
        rounds,
        note,
      });
      if (count !== 16) return [rate];
      const memory = single({
        name: `nmap XML, ${label}: growth`,
        unit: "MB",
        subject: median(runs.map(({ growth }) => growth)),
        goal: { atMost: 4 },
        rounds,
        note: "second half of the reading over the first: flat is 0",
      });
      return [rate, memory];
    },
  );
}
