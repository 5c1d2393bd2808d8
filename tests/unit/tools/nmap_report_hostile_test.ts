import assert from "node:assert/strict";
import { nmapReader } from "@/tools/nmap/report.ts";
import {
  ATTRIBUTE_LENGTH_MAX,
  ATTRIBUTES_MAX,
  DEPTH_MAX,
  PIECE_LENGTH_MAX,
  TEXT_LENGTH_MAX,
  type XmlFault,
  XmlReader,
} from "@/tools/nmap/xml.ts";
import type { Plan } from "@/tools/tool.ts";
import { verifies } from "../../requirements.ts";

verifies("nmap.report.hostile_xml");

const FIRST =
  '<host><status state="up"/><address addr="127.0.0.1" addrtype="ipv4"/></host>';
const SECOND =
  '<host><status state="up"/><address addr="127.0.0.2" addrtype="ipv4"/></host>';

const PLAN: Plan = {
  tool: "nmap",
  verdicts: [],
  passes: [],
  targets: [],
  addressCount: 2,
  probes: 1,
  seconds: 1,
  scanType: "connect",
  permissions: [],
  timeoutMs: 1000,
  notes: [],
  facts: {
    networks: [],
    names: [],
    ports: 1,
    rate: 0,
    intrusive: false,
  },
};

const LAUGHS = `<!DOCTYPE nmaprun [<!ENTITY a0 "ha">${
  Array.from(
    { length: 30 },
    (_, at) => `<!ENTITY a${at + 1} "&a${at};&a${at};">`,
  ).join("")
}]>`;

/** What arrives, which hosts are in the report, and whether it says that something is missing. */
const CORPUS:
  readonly (readonly [string, string | Uint8Array, number, boolean])[] = [
    [
      "a billion laughs",
      `${LAUGHS}<nmaprun>${FIRST}<x>&a30;</x>${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "an entity bomb in an attribute",
      `${LAUGHS}<nmaprun>${FIRST}<x y="&a30;"/>${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "an outside entity",
      `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><nmaprun>${FIRST}&e;${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "a document type that nothing uses",
      `${LAUGHS}<nmaprun>${FIRST}${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "processing instructions and comments",
      `<?xml version="1.0"?><?xml-stylesheet href="file:///x"?><!-- ${
        "x".repeat(100_000)
      } --><nmaprun>${FIRST}<?php x?><!-- <host> -->${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "an attribute of 1 MB",
      `<nmaprun>${FIRST}<x y="${"z".repeat(1_000_000)}"/>${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "an attribute of 8 MB",
      `<nmaprun>${FIRST}<x y="${"z".repeat(8_000_000)}"/>${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "a comment without an end",
      `<nmaprun>${FIRST}<!-- ${"z".repeat(8_000_000)}`,
      1,
      true,
    ],
    [
      "a document type without an end",
      `<!DOCTYPE x [${" ".repeat(8_000_000)}`,
      0,
      true,
    ],
    ["a name of 8 MB", `<nmaprun>${FIRST}<${"z".repeat(8_000_000)}`, 1, true],
    ["a text of 8 MB", `<nmaprun>${FIRST}${"z".repeat(8_000_000)}`, 1, true],
    [
      "a wanted text of 1 MB",
      `<nmaprun>${FIRST.replace("</host>", "")}<cpe>${
        "z".repeat(1_000_000)
      }</cpe></host>${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "10,000 elements in each other",
      `<nmaprun>${FIRST}${"<a>".repeat(10_000)}`,
      1,
      true,
    ],
    [
      "10,000 attributes",
      `<nmaprun>${FIRST}<x ${
        Array.from({ length: 10_000 }, (_, at) => `a${at}="1"`).join(" ")
      }/>${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "an attribute twice",
      `<nmaprun>${FIRST}<x a="1" a="2"/>${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "names of a prototype",
      `<nmaprun __proto__="1" constructor="2"><__proto__/><constructor toString="x"/>${FIRST}${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "invalid UTF-8",
      bytesOf(`<nmaprun>${FIRST}<x y="\x80\xff\xc3"/>${SECOND}</nmaprun>`),
      2,
      false,
    ],
    [
      "NUL and other controls",
      `<nmaprun>${FIRST}<x y="\0\x01\x1b[2J\x7f\ufffe"/>\0${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "references to characters that are none",
      `<nmaprun>${FIRST}<x y="&#0;&#x1b;&#xd800;&#x110000;"/>${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "a flood of such references",
      `<nmaprun>${FIRST}<x y="${"&#0;".repeat(10_001)}"/>${SECOND}</nmaprun>`,
      1,
      true,
    ],
    [
      "a byte order mark",
      `\ufeff<nmaprun>${FIRST}${SECOND}</nmaprun>`,
      2,
      false,
    ],
    [
      "a second document",
      `<nmaprun>${FIRST}</nmaprun><nmaprun>${SECOND}`,
      1,
      true,
    ],
    ["text before the document", `Starting Nmap\n<nmaprun>${FIRST}`, 0, true],
    ["no XML at all", "nmap: command not found", 0, true],
    ["UTF-16", bytesOf("\xff\xfe<\0n\0m\0a\0p\0r\0u\0n\0>\0"), 0, true],
  ];

for (const [what, document, hosts, cut] of CORPUS) {
  Deno.test(`nmapReader() survives ${what}`, () => {
    const reader = nmapReader(null, PLAN, () => 0);
    const startMs = performance.now();
    reader.stdout(
      typeof document === "string"
        ? new TextEncoder().encode(document)
        : document,
    );
    reader.passEnded({ kind: "exited", code: 0, signal: null });
    const { report, failure } = reader.finish();
    assert.ok(report.kind === "hosts");
    assert.deepEqual(
      report.hosts.map((host) => host.address),
      ["127.0.0.1", "127.0.0.2"].slice(0, hosts),
    );
    assert.equal(report.partial, cut);
    if (cut) assert.ok(failure !== null || report.truncated !== undefined);
    else assert.equal(failure, null);
    assert.ok(performance.now() - startMs < 5_000);
  });
}

const FAULTS: readonly (readonly [string, XmlFault | null])[] = [
  [`<a>${"<b>".repeat(DEPTH_MAX - 1)}`, null],
  [`<a>${"<b>".repeat(DEPTH_MAX)}`, "too_deep"],
  [`<a ${attributes(ATTRIBUTES_MAX)}>`, null],
  [`<a ${attributes(ATTRIBUTES_MAX + 1)}>`, "too_large"],
  [`<a b="${"c".repeat(PIECE_LENGTH_MAX - 100)}">`, null],
  [`<a b="${"c".repeat(PIECE_LENGTH_MAX + 200_000)}">`, "too_large"],
  ["<a></b>", "malformed"],
  ["<a>&b;", "malformed"],
];

for (const [document, fault] of FAULTS) {
  Deno.test(`XmlReader says ${fault} of ${document.slice(0, 12)} with ${document.length} characters`, () => {
    const xml = new XmlReader({ open: () => false, close: () => {} });
    xml.write(new TextEncoder().encode(document));
    assert.equal(xml.fault, fault);
    if (fault === null) return;
    // What comes after a fault is not looked at.
    xml.write(new TextEncoder().encode("<x/></a>"));
    assert.equal(xml.fault, fault);
  });
}

Deno.test("the caps of XmlReader are these", () => {
  assert.deepEqual(
    [
      DEPTH_MAX,
      ATTRIBUTE_LENGTH_MAX,
      ATTRIBUTES_MAX,
      PIECE_LENGTH_MAX,
      TEXT_LENGTH_MAX,
    ],
    [32, 65_536, 64, 4_194_304, 4_096],
  );
});

Deno.test("XmlReader cuts a value and a text at their caps", () => {
  const seen: (string | number)[] = [];
  const xml = new XmlReader({
    open: (name, values) => {
      seen.push(name, values["b"]?.length ?? 0);
      return name === "d";
    },
    close: (name, text) => seen.push(`/${name}`, text.length),
  });
  xml.write(new TextEncoder().encode(
    `<a b="${"c".repeat(100_000)}"><d>${"e".repeat(100_000)}</d>text</a>`,
  ));
  assert.deepEqual(seen, ["a", 65_536, "d", 0, "/d", 4_096, "/a", 0]);
  assert.equal(xml.fault, null);
  assert.equal(xml.complete, true);
});

function attributes(count: number): string {
  return Array.from({ length: count }, (_, at) => `a${at}="1"`).join(" ");
}

/** One byte a character. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
