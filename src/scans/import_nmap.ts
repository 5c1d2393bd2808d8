/**
 * Reads an XML file of nmap into a scan. The hosts go through the same reader as those of our own
 * scans, with all its caps; a second one, over the same bytes, takes what a scan's record needs
 * besides: the command line, the times, the ports that were looked at.
 *
 * A file that breaks off is a scan that ended early. One that is no XML, or no nmap's, is refused.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { parseAddress } from "@/scope/block.ts";
import { parseTarget } from "@/scope/target.ts";
import { Argv, SafeText } from "@/spawn/argv.ts";
import { nmapReader } from "@/tools/nmap/report.ts";
import { numberOf } from "@/tools/nmap/report_hosts.ts";
import { type Attributes, type XmlFault, XmlReader } from "@/tools/nmap/xml.ts";
import type { HostsReport } from "@/tools/report.ts";
import type { Finish, Plan } from "@/tools/tool.ts";
import { readNmapArguments } from "./diff_arguments.ts";
import { PortSet, type Protocol, PROTOCOLS } from "./diff_ports.ts";
import {
  argvOf,
  chunksOf,
  type ImportedScan,
  type ImportOptions,
  refuseFile,
  timeOf,
} from "./import_scan.ts";

/** Most targets that a record names. */
const TARGETS_MAX = 4_096;

/** Characters at the beginning in which a document type would stand. */
const HEAD_LENGTH = 4_096;

/** Scan types as nmap's document names them, and as we do. */
const SCAN_TYPES: ReadonlySet<string> = new Set([
  ...["connect", "syn", "udp", "ack", "window", "maimon", "fin", "null"],
  ...["xmas", "sctpinit", "sctpcookieecho", "ipproto"],
]);

const PREFIXES: Readonly<Record<Protocol, string>> = {
  tcp: "T:",
  udp: "U:",
  sctp: "S:",
  ip: "P:",
};

/**
 * Reads a file.
 *
 * @param file The bytes of the file.
 * @param options The time now, and how large the file may be.
 * @returns The scan.
 * @throws {AppError} `invalid_arguments` if it is no XML of nmap; `payload_too_large` if it, or one
 * part of it, is larger than is read.
 */
export async function readNmapXml(
  file: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportedScan> {
  const head = new Head();
  const reader = nmapReader(null, planOf(), () => 0);
  for await (const chunk of chunksOf(file, options)) {
    head.write(chunk);
    reader.stdout(chunk);
  }
  head.end();
  reader.passEnded({ kind: "exited", code: 0, signal: null });
  const finish = reader.finish();
  const { report } = finish;
  if (report.kind !== "hosts") {
    throw new TypeError("nmap's report has no hosts");
  }
  return scanOf(head, { ...finish, report }, options.nowMs);
}

function scanOf(
  head: Head,
  finish: Finish & { report: HostsReport },
  nowMs: number,
): ImportedScan {
  const { report } = finish;
  const argv = argvOf(head.args, "nmap");
  const { targets, named } = targetsOf(argv, report);
  const startedAt = timeOf(head.start, nowMs);
  const complete = head.complete && !report.partial;
  const scanType = head.scanTypes.length === 0
    ? "ping"
    : head.scanTypes.join("+");
  const ports = head.portsText();
  return {
    tool: "nmap",
    request: {
      target: named,
      ...(ports === null ? {} : { ports }),
      imported: "nmap_xml",
    },
    target: named.join(" "),
    status: complete ? "succeeded" : "partial",
    startedAt,
    finishedAt: timeOf(head.finished, nowMs) ?? lastOf(head, nowMs) ??
      startedAt,
    argv: [argv],
    targets,
    scanType,
    report,
    error: null,
    notes: notesOf(head, finish, {
      argv: argv.length > 1,
      targets: targets.length > 0,
      start: startedAt !== null,
    }),
  };
}

/** Where nmap did not write its end, its last host's is the best that is known. */
function lastOf(head: Head, nowMs: number): number | null {
  return timeOf(head.lastHost, nowMs);
}

function notesOf(
  head: Head,
  finish: Finish,
  known: { argv: boolean; targets: boolean; start: boolean },
): string[] {
  const notes = [
    "Imported from a file: who made it, and what is in it, is not proven",
    ...finish.notes,
  ];
  if (!head.complete) {
    notes.push("The file breaks off: hosts after its end are missing");
  }
  if (head.saidError) notes.push("nmap said that it ended with an error");
  if (!known.argv) {
    notes.push(
      "The command line of the file is no plain one of nmap and is left out",
    );
  }
  if (!known.targets) {
    notes.push(
      "The targets cannot be told from the command line: a host that is not listed may not have been scanned",
    );
  }
  if (!known.start) {
    notes.push("The file names no time at which a scan can have begun");
  }
  return notes;
}

/**
 * The targets in plain form. A name is replaced by the addresses that were scanned under it; what is
 * no plain target makes all of them unclear, and then the record names none.
 */
function targetsOf(
  argv: readonly string[],
  report: HostsReport,
): { targets: readonly string[]; named: readonly string[] } {
  const { targets: operands } = readNmapArguments(argv);
  const fallback = report.hosts.slice(0, 8).map(({ address }) => address);
  const unclear = { targets: [], named: fallback };
  if (operands === null || operands.length === 0) return unclear;
  if (operands.length > TARGETS_MAX) return unclear;
  const targets: string[] = [];
  const named: string[] = [];
  for (const operand of operands) {
    try {
      const target = parseTarget(operand);
      named.push(target.text);
      if (target.kind !== "name") {
        targets.push(target.text);
        continue;
      }
      const found = report.hosts.filter(({ names }) =>
        names?.some((name) => name.toLowerCase() === target.text)
      );
      if (found.length === 0) return unclear;
      targets.push(...found.map(({ address }) => address));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return unclear;
    }
  }
  return { targets, named };
}

/** What a document says besides its hosts. */
class Head {
  args = "";
  start: number | null = null;
  finished: number | null = null;
  lastHost: number | null = null;
  saidError = false;
  readonly scanTypes: string[] = [];
  readonly #ports = new Map<Protocol, string | null>();
  readonly #xml: XmlReader;
  readonly #decoder = new TextDecoder();
  #text = "";
  #root: string | null = null;
  #refusal: AppError | null = null;
  #bytes = 0;

  constructor() {
    this.#xml = new XmlReader({
      open: (name, attributes) => this.#open(name, attributes),
      close: () => {},
    });
  }

  get complete(): boolean {
    return this.#xml.complete && this.#xml.fault === null && !this.saidError;
  }

  write(bytes: Uint8Array): void {
    if (this.#text.length < HEAD_LENGTH) {
      const piece = bytes.subarray(0, HEAD_LENGTH);
      this.#text += this.#decoder.decode(piece, { stream: true });
      refuseDefinitions(this.#text);
    }
    this.#xml.write(bytes);
    this.#bytes += bytes.length;
    if (this.#refusal !== null) throw this.#refusal;
    this.#refuseFault(this.#xml.fault);
  }

  end(): void {
    if (this.#root === null) {
      throw refuseFile("it is no XML; nmap writes XML with -oX");
    }
  }

  /** The ports that were looked at, or null where nmap does not say. */
  portsText(): string | null {
    const parts: string[] = [];
    for (const protocol of PROTOCOLS) {
      const services = this.#ports.get(protocol);
      if (services === undefined) continue;
      if (services === null) return null;
      if (services !== "") parts.push(`${PREFIXES[protocol]}${services}`);
    }
    return parts.length === 0 ? null : parts.join(",");
  }

  #refuseFault(fault: XmlFault | null): void {
    if (fault === null) return;
    const where = `within its first ${this.#bytes} bytes`;
    if (fault === "malformed") {
      throw refuseFile(
        this.#root === null
          ? "it is no XML, or uses an entity of its own; nmap writes XML with -oX"
          : `${where} it is no well-formed XML, or uses an entity of its own; write it again with nmap -oX`,
      );
    }
    throw new AppError(
      "payload_too_large",
      `Cannot import the file: ${where} it is ${
        fault === "too_deep" ? "nested deeper" : "larger in one place"
      } than a report of nmap ever is`,
    );
  }

  #open(name: string, attributes: Attributes): boolean {
    if (this.#root === null) this.#begin(name, attributes);
    else if (name === "scaninfo") this.#scanInfo(attributes);
    else if (name === "host") {
      this.lastHost = numberOf(attributes["endtime"], 2 ** 40) ?? this.lastHost;
    } else if (name === "finished") {
      this.finished = numberOf(attributes["time"], 2 ** 40);
      this.saidError = attributes["exit"] === "error";
    } else this.#refuseOdd(name, attributes);
    return false;
  }

  /**
   * The reader of our own scans leaves out what is no port and no address. Left out of a file it would
   * look as if it had not been there, and a comparison would call it gone.
   */
  #refuseOdd(name: string, attributes: Attributes): void {
    if (name === "port" && !isPort(attributes)) {
      this.#refusal ??= refuseFile(
        "one of its ports has no number or no protocol that a port can have; nmap writes none such",
      );
    } else if (name === "address" && !isAddress(attributes)) {
      this.#refusal ??= refuseFile(
        "one of its hosts has an address that is none; nmap writes none such",
      );
    }
  }

  #begin(name: string, attributes: Attributes): void {
    this.#root = name;
    const scanner = attributes["scanner"];
    // The reader catches what its listener throws, so a refusal waits until it has come back.
    if (scanner === "masscan") {
      this.#refusal = refuseFile(
        "it is XML of masscan; write its results as JSON (-oJ or -oD) and import those",
      );
    } else if (name === "nmaprun" && scanner === undefined) {
      this.#refusal = refuseFile(
        "nmap ended before it scanned anything, and there is nothing to import",
      );
    } else if (name !== "nmaprun" || scanner !== "nmap") {
      this.#refusal = refuseFile(
        "it is XML, and not nmap's; nmap writes its own with -oX",
      );
    }
    this.args = attributes["args"] ?? "";
    this.start = numberOf(attributes["start"], 2 ** 40);
  }

  /** The list counts only if it holds as many ports as it says. */
  #scanInfo(attributes: Attributes): void {
    const { type = "", protocol: name, services = "", numservices } =
      attributes;
    const protocol = PROTOCOLS.find((one) => one === name);
    if (protocol === undefined || !SCAN_TYPES.has(type)) return;
    if (!this.scanTypes.includes(type)) this.scanTypes.push(type);
    const count = numberOf(numservices, 65_536);
    const ports = /^[0-9,-]*$/.test(services) ? PortSet.parse(services) : null;
    this.#ports.set(
      protocol,
      ports !== null && ports.count === count ? services : null,
    );
  }
}

function isPort({ portid, protocol }: Attributes): boolean {
  return numberOf(portid, 65_535) !== null &&
    PROTOCOLS.some((one) => one === protocol);
}

function isAddress({ addr = "", addrtype }: Attributes): boolean {
  if (addrtype === "mac") return /^(?:[0-9A-F]{2}:){5}[0-9A-F]{2}$/i.test(addr);
  if (addrtype !== "ipv4" && addrtype !== "ipv6") return false;
  // The last 32 bits of some IPv6 addresses are written as an IPv4 address.
  const plain = addrtype === "ipv4" ? addr : addr.replace(
    /:([0-9.]+)$/,
    (text, tail) => tail.includes(".") && parseAddress(tail) ? ":0:0" : text,
  );
  return parseAddress(plain) !== null &&
    plain.includes(":") === (addrtype === "ipv6");
}

/** nmap's document type is empty. One with definitions has no use but harm. */
function refuseDefinitions(text: string): void {
  if (/<!DOCTYPE[^>]*\[|<!ENTITY/i.test(text.slice(0, HEAD_LENGTH))) {
    throw refuseFile(
      "its document type defines entities of its own, which nmap never does",
    );
  }
}

/** The reader wants to know how many documents to expect: one. */
function planOf(): Plan {
  const grammar = {
    program: "nmap",
    flags: new Map([["-oX", "none"], ["-", "none"]] as const),
  };
  const pass = Argv.build(grammar, [{ flag: "-oX" }, { flag: "-" }, {
    operand: SafeText.match("imported", /imported/),
  }]);
  return {
    tool: "nmap",
    verdicts: [],
    passes: [pass],
    targets: [],
    addressCount: 1,
    probes: 0,
    seconds: 0,
    scanType: "",
    permissions: [],
    timeoutMs: 0,
    notes: [],
    facts: { networks: [], names: [], ports: 0, rate: 0, intrusive: false },
  };
}
