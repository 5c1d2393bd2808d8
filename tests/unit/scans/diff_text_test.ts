/**
 * A comparison in words: for a model nothing of a host's choice, for a person all of it in quotes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { diffScans } from "@/scans/diff.ts";
import {
  addressOrder,
  AddressSet,
  sameAddress,
} from "@/scans/diff_addresses.ts";
import { readNmapArguments } from "@/scans/diff_arguments.ts";
import { PortSet } from "@/scans/diff_ports.ts";
import {
  diffLines,
  diffPage,
  summariseDiff,
  totalsText,
} from "@/scans/diff_text.ts";
import { GOBUSTER, NMAP, NMAP_BEFORE, scanOf } from "../report/fixture.ts";

const DIFF = diffScans(NMAP_BEFORE, NMAP);

Deno.test("summariseDiff() names what opened first, in our own words", () => {
  assert.deepEqual(summariseDiff(DIFF, 3), [
    "From nmap scan 01hfixturenmapbefore000000 of 2026-11-13T09:30:00.120Z to nmap scan 01hfixturenmap000000000000 of 2026-11-20T09:30:00.120Z: 1 host appeared, 1 host vanished, 5 ports opened, 2 ports closed, 2 ports changed.",
    "+ 10.0.0.5 443/tcp opened: closed → open, ssl/http",
    "+ 10.0.0.7 6379/tcp opened: closed → open, redis",
    "+ 10.0.0.11 22/tcp opened: host down → open, ssh",
    "8 changes not named here.",
  ]);
});

Deno.test("summariseDiff() repeats nothing that a scanned host chose", () => {
  const partial = diffScans({ ...NMAP_BEFORE, status: "partial" }, NMAP);
  const changed = {
    ...GOBUSTER,
    report: {
      kind: "paths" as const,
      partial: false,
      url: "http://web.lab.internal/",
      paths: [],
      totals: { tried: 1400, words: 1400 },
    },
  };
  for (const diff of [DIFF, partial, diffScans(GOBUSTER, changed)]) {
    const text = summariseDiff(diff, 1_000).join("\n");
    assert.doesNotMatch(text, /Dropbear|nginx|BusyBox|instructions|backup/);
  }
  const text = summariseDiff(partial).join("\n");
  assert.match(
    text,
    /Not compared, so neither new nor gone: 1 host of the newer scan \(the older scan ended early/,
  );
  assert.match(text, /\(incomplete\)/);
});

Deno.test("diffLines() writes a change a line, a host's text in quotes", () => {
  assert.deepEqual(diffLines(DIFF), [
    "older  nmap scan 01hfixturenmapbefore000000 of 2026-11-13T09:30:00.120Z",
    "newer  nmap scan 01hfixturenmap000000000000 of 2026-11-20T09:30:00.120Z",
    "both   10.0.0.0/28, tcp: the 1000 most frequent",
    "",
    '~ 10.0.0.1 22/tcp changed: ssh, other version "Dropbear sshd 2020.81" → "Dropbear sshd 2022.83"',
    '+ 10.0.0.5 443/tcp opened: closed → open, ssl/http "nginx 1.22.1"',
    '- 10.0.0.7 23/tcp closed: open → closed, telnet "BusyBox telnetd"',
    '+ 10.0.0.7 6379/tcp opened: closed → open, redis "Redis key-value store 7.0.15"',
    "~ 10.0.0.7 8443/tcp changed: closed → filtered",
    "- host 10.0.0.8 vanished, 1 open port",
    '- 10.0.0.8 3306/tcp closed: open → host down, mysql "MariaDB 10.11.4"',
    "+ host 10.0.0.11 appeared, 3 open ports",
    '+ 10.0.0.11 22/tcp opened: host down → open, ssh "OpenSSH 9.2p1 Debian 2+deb12u3"',
    '+ 10.0.0.11 5432/tcp opened: host down → open, postgresql "PostgreSQL DB 15.4 - 15.6"',
    "+ 10.0.0.11 9100/tcp opened: host down → open, jetdirect",
    "",
    "1 host appeared, 1 host vanished, 5 ports opened, 2 ports closed, 2 ports changed",
  ]);
  assert.equal(diffLines(DIFF, 2).includes("… 9 more changes"), true);
  assert.equal(diffLines(diffScans(NMAP, NMAP)).includes("no change"), true);
  assert.equal(totalsText(diffScans(NMAP, NMAP)), "");
});

Deno.test("diffPage() gives every change once, in order", () => {
  const all = [];
  let cursor: string | undefined;
  for (let page = 0; page < 20; page++) {
    const { changes, next_cursor } = diffPage(DIFF, {
      limit: 4,
      ...(cursor === undefined ? {} : { cursor }),
    });
    all.push(...changes);
    if (next_cursor === null) break;
    cursor = next_cursor;
  }
  assert.deepEqual(all, DIFF.changes);
  const { changes } = diffPage(DIFF, { limit: 100, changes: ["closed"] });
  assert.equal(changes.length, 2);
  for (const cursor of ["11", "x", "-1", "1e3"]) {
    assert.throws(
      () => diffPage(DIFF, { limit: 1, cursor }),
      (error) =>
        error instanceof AppError && error.code === "invalid_arguments",
    );
  }
});

Deno.test("AddressSet reads what a scan's targets have, and nothing else", () => {
  const set = AddressSet.of([
    "10.0.0.0/30",
    "10.0.0.2-9",
    "fd00::/126",
    "192.168.1.1",
  ]);
  assert.deepEqual(set?.texts(9), [
    "10.0.0.0-9",
    "192.168.1.1",
    "fd00::/126",
  ]);
  assert.equal(set.size, 15);
  for (
    const [address, held] of [
      ["10.0.0.9", true],
      ["10.0.0.10", false],
      ["192.168.1.1", true],
      ["fd00::3", true],
      ["fd00::4", false],
      ["nonsense", false],
      ["10.0.0.256", false],
      ["10.0.0", false],
    ] as const
  ) assert.equal(set.has(address), held, address);
  assert.equal(AddressSet.of(["web.lab.internal"]), null);
  assert.equal(AddressSet.of(["10.0.0.0-"]), null);
  const other = AddressSet.of(["10.0.0.8/29", "fd00::2"]);
  assert.deepEqual(set.and(other ?? set).texts(9), ["10.0.0.8/31", "fd00::2"]);
  assert.deepEqual(set.texts(1), ["10.0.0.0-9", "… 2 more"]);
});

Deno.test("addressOrder() sorts by number, IPv4 first", () => {
  const sorted = ["fd00::1", "10.0.0.10", "10.0.0.9", "9.255.0.0", "fd00::"]
    .map((one) => [addressOrder(one), one]).sort().map(([, one]) => one);
  assert.deepEqual(sorted, [
    "9.255.0.0",
    "10.0.0.9",
    "10.0.0.10",
    "fd00::",
    "fd00::1",
  ]);
  assert.equal(sameAddress("FD00:0::1"), "fd00::1");
});

Deno.test("PortSet reads lists as nmap takes them", () => {
  for (
    const [text, count] of [
      ["22,80,8000-8100", 103],
      ["-", 65_535],
      ["-100", 100],
      ["60000-", 5_536],
      ["22,22,20-30", 11],
      ["", 0],
      ["0", 1],
    ] as const
  ) assert.equal(PortSet.parse(text)?.count, count, text);
  for (const text of ["http", "1,,2", "70000", "9-1", "1-2-3", " 1", ","]) {
    assert.equal(PortSet.parse(text), null, text);
  }
  assert.equal(String(PortSet.parse("22,23,24,80")), "22-24,80");
});

Deno.test("readNmapArguments() reads the scope of a command line", () => {
  const read = (line: string) => readNmapArguments(line.split(" "));
  const plain = read(
    "nmap -sS -sV -p22,80 -T4 -oX out.xml 10.0.0.1 10.0.0.0/24",
  );
  assert.deepEqual(plain, {
    ports: "22,80",
    topPorts: null,
    openOnly: false,
    discovery: true,
    detection: "intensity 7",
    scansPorts: true,
    targets: ["10.0.0.1", "10.0.0.0/24"],
  });
  assert.equal(read("nmap -p- 10.0.0.1").ports, "-");
  assert.equal(read("nmap -F 10.0.0.1").topPorts, 100);
  assert.equal(read("nmap --top-ports 20 10.0.0.1").topPorts, 20);
  assert.equal(read("nmap -Pn 10.0.0.1").discovery, false);
  assert.equal(read("nmap -sn 10.0.0.1").scansPorts, false);
  assert.equal(read("nmap -sSV 10.0.0.1").detection, "intensity 7");
  assert.equal(read("nmap -A --version-light x").detection, "intensity 2");
  for (
    const line of [
      "nmap -iL hosts.txt 10.0.0.1",
      "nmap --exclude 10.0.0.5 10.0.0.0/24",
      "nmap --exclude=10.0.0.5 10.0.0.0/24",
      "nmap --excludefile f 10.0.0.0/24",
      "nmap -iR 100",
      'nmap "10.0.0.1',
    ]
  ) assert.equal(read(line).targets, null, line);
  assert.deepEqual(
    read("nmap --dns-servers 10.9.9.9 -S 10.8.8.8 10.0.0.1").targets,
    ["10.0.0.1"],
  );
  assert.deepEqual(readNmapArguments([]).targets, []);
});

Deno.test("a scan without targets compares by what it lists alone", () => {
  const older = scanOf({ ...NMAP_BEFORE, targets: [] });
  const diff = diffScans(older, NMAP);
  assert.equal(diff.compared.addresses, null);
  assert.deepEqual(
    diff.not_compared.map(({ subject, reason }) => `${subject} ${reason}`),
    ["hosts unclear", "open_ports unclear"],
  );
});
