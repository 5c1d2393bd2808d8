/**
 * The hosts of an nmap report, gathered element by element. A host is in the report from its
 * address on, so a document that breaks off keeps the host it broke off in.
 *
 * What a scanned host could choose goes below `untrusted` and through the cleaner. What nmap chose
 * (states, reasons, service names out of its own table) is held to a short alphabet, since a
 * document is not proof of who wrote it.
 *
 * @module
 */
import type { HostReport, PortReport, ScriptReport } from "../report.ts";
import { cleanText, looksLikeInstruction } from "../untrusted.ts";
import type { Attributes } from "./xml.ts";

/** How much a report may hold. */
export interface HostLimits {
  /** Most hosts of a report. */
  readonly hosts: number;
  /** Most ports of one host, over all protocols. */
  readonly hostPorts: number;
  /** Most ports of a report. */
  readonly ports: number;
  /** Most scripts of one port, and of one host. */
  readonly scripts: number;
}

/** What a report holds at most unless told otherwise. */
export const HOST_LIMITS: HostLimits = Object.freeze({
  hosts: 65_536,
  hostPorts: 131_072,
  ports: 1_000_000,
  scripts: 128,
});

/** Most entries of every other list of a host or a port. */
export const LIST_MAX = 64;

/** Longest texts, in UTF-16 code units. */
export const TEXT_MAX = {
  /** Output of a script. */
  output: 16_384,
  /** nmap's own record of an unknown service. */
  fingerprint: 2_048,
  /** Product, version, extra information, names. */
  field: 256,
  cpe: 128,
} as const;

/** Texts whose cleaning is remembered: the same few fill most of a report. */
const REMEMBERED_MAX = 4_096;

/** Longer texts are not remembered; no cap below it is ever asked for a text that long. */
const REMEMBERED_LENGTH_MAX = 200;

/** What a document said besides hosts. */
export interface Totals {
  readonly up: number | null;
  readonly down: number | null;
  readonly total: number | null;
}

type OsMatch = NonNullable<HostReport["os"]>[number];

/** The hosts of one scan. */
export class HostGatherer {
  readonly #limits: HostLimits;
  readonly #hosts: HostReport[] = [];
  readonly #fresh = new Set<HostReport>();
  readonly #byAddress = new Map<string, HostReport>();
  readonly #hints = new Map<string, string | undefined>();
  readonly #cleaner = new Cleaner();

  #host: HostReport | null = null;
  #hint = false;
  #port: PortReport | null = null;
  #portKept = false;
  #hostPorts = 0;
  #os: OsMatch | null = null;
  #hostScripts = false;
  #otherPorts: { state: string; count: number; reason?: string } | null = null;
  #otherPortsFresh = false;
  /** Ports of a host that was reported before, or null. */
  #knownPorts: Map<string, PortReport> | null = null;
  #timedOut = 0;
  #ports = 0;
  #openPorts = 0;
  #upHosts = 0;
  #dropped = new Map<string, number>();

  /**
   * @param limits How much is kept.
   * @default {HOST_LIMITS}
   */
  constructor(limits: HostLimits = HOST_LIMITS) {
    this.#limits = limits;
  }

  /** @returns The hosts so far, the unfinished one included. */
  get hosts(): HostReport[] {
    return this.#hosts;
  }

  /** @returns Ports in the state `open` so far. */
  get openPorts(): number {
    return this.#openPorts;
  }

  /** @returns Hosts in the state `up` so far. */
  get upHosts(): number {
    return this.#upHosts;
  }

  /** @returns Hosts that answered the discovery, as far as nmap said so. */
  get answered(): number {
    return this.#hints.size;
  }

  /** @returns Hosts that nmap gave up on. */
  get timedOut(): number {
    return this.#timedOut;
  }

  /** @returns What a cap left out, in words, or null. */
  get truncated(): string | null {
    if (this.#dropped.size === 0) return null;
    const parts = [...this.#dropped].map(([what, count]) => `${count} ${what}`);
    return `left out as the report is full: ${parts.join(", ")}`;
  }

  /**
   * Hears that an element begins.
   *
   * @param name Its name.
   * @param attributes Its attributes.
   * @returns Whether its text is wanted.
   */
  open(name: string, attributes: Attributes): boolean {
    switch (name) {
      case "host":
        this.#startHost(attributes["timedout"] === "true");
        return false;
      case "hosthint":
        this.#startHost(false);
        this.#hint = true;
        return false;
      case "cpe":
        return this.#host !== null;
      default:
        if (this.#host !== null) this.#ofHost(this.#host, name, attributes);
        return false;
    }
  }

  /**
   * Hears that an element ends.
   *
   * @param name Its name.
   * @param text Its text, where wanted.
   */
  close(name: string, text: string): void {
    switch (name) {
      case "host":
      case "hosthint":
        this.endHost();
        break;
      case "port":
        this.#port = null;
        break;
      case "osmatch":
        this.#os = null;
        break;
      case "hostscript":
        this.#hostScripts = false;
        break;
      case "extraports":
        this.#otherPorts = null;
        break;
      case "cpe":
        this.#addCpe(text);
        break;
      default:
    }
  }

  /** Ends a host, if one was begun: at its end, or at the end of a document that broke off. */
  endHost(): void {
    if (this.#host !== null && this.#host.address !== "") {
      this.#fresh.add(this.#host);
    }
    this.#host = null;
    this.#hint = false;
    this.#port = null;
    this.#os = null;
    this.#hostScripts = false;
    this.#otherPorts = null;
  }

  /** Gives up to so many hosts that were ended since they were last given, each once. */
  takeFresh(max: number): HostReport[] {
    const taken = [...this.#fresh].slice(0, max);
    for (const host of taken) this.#fresh.delete(host);
    return taken;
  }

  /** Adds the hosts that answered and whose scan did not come to its end. */
  addUnfinished(): void {
    for (const [address, reason] of this.#hints) {
      if (this.#byAddress.has(address)) continue;
      const host: HostReport = { address, status: "up", ports: [] };
      if (reason !== undefined) host.reason = reason;
      if (this.#keepHost(host)) this.#upHosts++;
    }
  }

  #startHost(timedOut: boolean): void {
    this.endHost();
    this.#host = { address: "", status: "unknown", ports: [] };
    this.#hostPorts = 0;
    this.#otherPortsFresh = false;
    this.#knownPorts = null;
    if (timedOut) this.#timedOut++;
  }

  #ofHost(host: HostReport, name: string, attributes: Attributes): void {
    switch (name) {
      // The most frequent first.
      case "port":
        return this.#startPort(host, attributes);
      case "state":
        return this.#setState(attributes);
      case "service":
        return this.#setService(attributes);
      case "script":
        return this.#addScript(host, attributes);
      case "status":
        return setStatus(host, attributes);
      case "address":
        return this.#addAddress(host, attributes);
      case "hostname":
        return this.#addName(host, attributes);
      case "extraports":
      case "extrareasons":
        return this.#addOtherPorts(host, name, attributes);
      case "osmatch":
        return this.#addOs(host, attributes);
      case "hostscript":
        this.#hostScripts = true;
        return;
      case "hop":
        return this.#addHop(host, attributes);
      case "distance":
        return setNumber(host, "distance", attributes["value"], 255);
      case "uptime":
        return setNumber(
          host,
          "uptime_seconds",
          attributes["seconds"],
          2 ** 40,
        );
      default:
    }
  }

  #addAddress(host: HostReport, attributes: Attributes): void {
    const address = attributes["addr"] ?? "";
    const type = attributes["addrtype"];
    if (!/^[0-9A-Fa-f:.]{2,45}$/.test(address)) return;
    if (type !== "ipv4" && type !== "ipv6" && type !== "mac") return;
    if (host.address === "" && type !== "mac") {
      const kept = flat(address);
      if (this.#hint) {
        if (this.#hints.size < this.#limits.hosts) {
          this.#hints.set(kept, host.reason);
        }
        return;
      }
      host.address = kept;
      this.#placeHost(host);
      return;
    }
    if (this.#hint) return;
    const other: NonNullable<HostReport["other_addresses"]>[number] = {
      address: flat(address),
      type,
    };
    if (attributes["vendor"] !== undefined) {
      const vendor = this.#cleaner.read(attributes["vendor"], TEXT_MAX.field);
      other.untrusted_vendor = vendor.text;
      if (vendor.suspicious) mark(host, "untrusted_vendor");
    }
    const known = host.other_addresses?.some((one) =>
      one.address === other.address
    );
    if (known !== true) add(host.other_addresses ??= [], other);
  }

  /** A host that an earlier pass saw goes on where that pass ended. */
  #placeHost(host: HostReport): void {
    const known = this.#byAddress.get(host.address);
    if (known === undefined) {
      if (!this.#keepHost(host)) this.endHost();
      else if (host.status === "up") this.#upHosts++;
      return;
    }
    if (known.status !== "up" && host.status === "up") {
      known.status = "up";
      if (host.reason !== undefined) known.reason = host.reason;
      this.#upHosts++;
    }
    this.#host = known;
    this.#hostPorts = known.ports.length;
    this.#knownPorts = new Map(
      known.ports.map((port) => [`${port.protocol}/${port.port}`, port]),
    );
  }

  #keepHost(host: HostReport): boolean {
    if (this.#hosts.length >= this.#limits.hosts) {
      this.#drop("hosts");
      return false;
    }
    this.#hosts.push(host);
    this.#byAddress.set(host.address, host);
    return true;
  }

  #addName(host: HostReport, attributes: Attributes): void {
    const name = attributes["name"] ?? "";
    if (attributes["type"] === "user") {
      if (/^[A-Za-z0-9._-]{1,253}$/.test(name)) {
        add(host.names ??= [], flat(name));
      }
      return;
    }
    const read = this.#cleaner.read(name, TEXT_MAX.field);
    if (read.suspicious) mark(host, "reverse_names");
    if (read.text === "") return;
    host.untrusted ??= {};
    add(host.untrusted.reverse_names ??= [], read.text);
  }

  #startPort(host: HostReport, attributes: Attributes): void {
    this.#port = null;
    const number = numberOf(attributes["portid"], 65_535);
    const protocol = attributes["protocol"];
    if (number === null || this.#hint || host.address === "") return;
    if (
      protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp" &&
      protocol !== "ip"
    ) return;
    this.#port = { port: number, protocol, state: "unknown" };
    this.#portKept = false;
  }

  #setState(attributes: Attributes): void {
    const port = this.#port;
    const host = this.#host;
    if (port === null || host === null || this.#portKept) return;
    const state = this.#cleaner.word(attributes["state"]);
    if (state === "") return;
    port.state = state;
    const reason = this.#cleaner.word(attributes["reason"]);
    if (reason !== "") port.reason = reason;
    const ttl = numberOf(attributes["reason_ttl"], 255);
    // nmap writes 0 where it has seen no packet of its own.
    if (ttl !== null && ttl > 0) port.ttl = ttl;
    this.#port = this.#keepPort(host, port);
    this.#portKept = this.#port !== null;
  }

  /** What is said last of a port counts. */
  #keepPort(host: HostReport, port: PortReport): PortReport | null {
    const known = this.#knownPorts?.get(`${port.protocol}/${port.port}`);
    if (known !== undefined) {
      if (known.state === "open") this.#openPorts--;
      if (port.state === "open") this.#openPorts++;
      return Object.assign(known, port);
    }
    if (
      this.#hostPorts >= this.#limits.hostPorts ||
      this.#ports >= this.#limits.ports
    ) {
      this.#drop("ports");
      return null;
    }
    this.#hostPorts++;
    this.#ports++;
    if (port.state === "open") this.#openPorts++;
    host.ports.push(port);
    return port;
  }

  #setService(attributes: Attributes): void {
    const port = this.#port;
    if (port === null || !this.#portKept) return;
    const service = this.#cleaner.word(attributes["name"]);
    if (service !== "") port.service = service;
    const tunnel = this.#cleaner.word(attributes["tunnel"]);
    if (tunnel !== "") port.tunnel = tunnel;
    const method = attributes["method"];
    if (method === "table" || method === "probed") port.method = method;
    const confidence = numberOf(attributes["conf"], 10);
    if (confidence !== null) port.confidence = confidence;
    this.#untrusted(port, "product", attributes["product"]);
    this.#untrusted(port, "version", attributes["version"]);
    this.#untrusted(port, "extra_info", attributes["extrainfo"]);
    this.#untrusted(port, "hostname", attributes["hostname"]);
    this.#untrusted(port, "os_type", attributes["ostype"]);
    this.#untrusted(port, "device_type", attributes["devicetype"]);
    this.#untrusted(port, "fingerprint", attributes["servicefp"]);
  }

  #untrusted(
    port: PortReport,
    key: Exclude<keyof NonNullable<PortReport["untrusted"]>, "banners">,
    value: string | undefined,
  ): void {
    if (value === undefined) return;
    const read = this.#cleaner.read(
      value,
      key === "fingerprint" ? TEXT_MAX.fingerprint : TEXT_MAX.field,
    );
    if (read.suspicious) mark(port, key);
    if (read.text === "") return;
    port.untrusted ??= {};
    port.untrusted[key] = read.text;
  }

  #addCpe(text: string): void {
    const holder = this.#os ?? (this.#portKept ? this.#port : null);
    // A version inside a CPE is what the host said, so a short alphabet is all that it gets, and
    // it stands outside "untrusted", so one that reads like an instruction is left out.
    if (holder === null || text.length > TEXT_MAX.cpe) return;
    if (!/^cpe:\/[aho][A-Za-z0-9._~:%*!()+,&-]*$/.test(text)) return;
    if (this.#cleaner.read(text, TEXT_MAX.cpe).suspicious) return;
    add(holder.cpe ??= [], flat(text));
  }

  #addScript(host: HostReport, attributes: Attributes): void {
    const holder = this.#port ?? (this.#hostScripts ? host : null);
    const id = this.#cleaner.word(attributes["id"]);
    if (holder === null || id === "" || host.address === "") return;
    if (holder === this.#port && !this.#portKept) return;
    const scripts = holder.scripts ??= [];
    const at = scripts.findIndex((script) => script.id === id);
    if (at === -1 && scripts.length >= this.#limits.scripts) {
      this.#drop("scripts");
      return;
    }
    const raw = decodeEscapes(attributes["output"] ?? "");
    const output = flat(
      cleanText(raw, { lengthMax: TEXT_MAX.output, keepLines: true }),
    );
    const script: ScriptReport = { id, untrusted: { output } };
    if (looksLikeInstruction(raw)) script.suspicious = ["output"];
    if (at === -1) scripts.push(script);
    else scripts[at] = script;
  }

  /** One entry a reason, where nmap tells the reasons apart. */
  #addOtherPorts(host: HostReport, name: string, attributes: Attributes): void {
    const count = numberOf(attributes["count"], 262_144);
    if (count === null || host.address === "") return;
    if (name === "extraports") {
      const state = this.#cleaner.word(attributes["state"]);
      if (state === "") return;
      this.#otherPorts = { state, count };
      if (!this.#otherPortsFresh) host.other_ports = [];
      this.#otherPortsFresh = true;
      add(host.other_ports ??= [], this.#otherPorts);
      return;
    }
    const reason = this.#cleaner.word(attributes["reason"]);
    const first = this.#otherPorts;
    if (first === null || reason === "") return;
    if (first.reason === undefined) {
      first.reason = reason;
      first.count = count;
    } else {
      add(host.other_ports ??= [], { state: first.state, count, reason });
    }
  }

  #addOs(host: HostReport, attributes: Attributes): void {
    const accuracy = numberOf(attributes["accuracy"], 100);
    const name = this.#cleaner.read(attributes["name"] ?? "", TEXT_MAX.field);
    if (accuracy === null || name.text === "" || host.address === "") return;
    const match: OsMatch = { untrusted: { name: name.text }, accuracy };
    const known = host.os?.find((other) => other.untrusted.name === name.text);
    if (known === undefined && !add(host.os ??= [], match)) return;
    this.#os = known ?? match;
    if (name.suspicious) mark(host, "os");
  }

  #addHop(host: HostReport, attributes: Attributes): void {
    const ttl = numberOf(attributes["ttl"], 255);
    const address = attributes["ipaddr"] ?? "";
    if (ttl === null || !/^[0-9A-Fa-f:.]{2,45}$/.test(address)) return;
    if (host.address === "") return;
    const rtt = Number(attributes["rtt"] ?? Number.NaN);
    if (host.traceroute?.some((hop) => hop.ttl === ttl)) return;
    add(host.traceroute ??= [], {
      ttl,
      address: flat(address),
      rtt_ms: Number.isFinite(rtt) && rtt >= 0 ? rtt : null,
    });
  }

  #drop(what: string): void {
    this.#dropped.set(what, (this.#dropped.get(what) ?? 0) + 1);
  }
}

/** Cleans short texts and remembers them. */
class Cleaner {
  readonly #read = new Map<string, { text: string; suspicious: boolean }>();
  readonly #words = new Map<string, string>();

  /** A text of the host's choice. */
  read(text: string, lengthMax: number): { text: string; suspicious: boolean } {
    const known = this.#read.get(text);
    if (known !== undefined) return known;
    const result = {
      text: flat(cleanText(text, { lengthMax })),
      suspicious: looksLikeInstruction(text),
    };
    if (
      text.length <= REMEMBERED_LENGTH_MAX && this.#read.size < REMEMBERED_MAX
    ) this.#read.set(flat(text), result);
    return result;
  }

  /** A word of nmap's choice: letters, digits, `-`, `_`, `.` and `|` (`open|filtered`). */
  word(text: string | undefined): string {
    if (text === undefined || text === "") return "";
    const known = this.#words.get(text);
    if (known !== undefined) return known;
    const word = flat(text.slice(0, 64).replace(/[^A-Za-z0-9._|-]/g, ""));
    if (text.length <= 64 && this.#words.size < REMEMBERED_MAX) {
      this.#words.set(flat(text), word);
    }
    return word;
  }
}

function setStatus(host: HostReport, attributes: Attributes): void {
  const state = attributes["state"];
  if (host.status !== "unknown" || (state !== "up" && state !== "down")) return;
  host.status = state;
  const reason = (attributes["reason"] ?? "").slice(0, 64)
    .replace(/[^A-Za-z0-9._-]/g, "");
  if (reason !== "") host.reason = flat(reason);
}

function setNumber(
  host: HostReport,
  key: "distance" | "uptime_seconds",
  text: string | undefined,
  max: number,
): void {
  const number = numberOf(text, max);
  if (number !== null) host[key] = number;
}

/** Adds to a list what is not in it yet; what is over the cap is left out. */
function add<T>(list: T[], item: T): boolean {
  if (list.length >= LIST_MAX) return false;
  if (!list.includes(item)) list.push(item);
  return true;
}

function mark(holder: { suspicious?: string[] }, key: string): void {
  holder.suspicious ??= [];
  if (!holder.suspicious.includes(key)) holder.suspicious.push(key);
}

/** An integer in decimal digits from 0 to a bound, or null. */
export function numberOf(text: string | undefined, max: number): number | null {
  if (text === undefined || text.length > 15 || !/^[0-9]+$/.test(text)) {
    return null;
  }
  const number = Number(text);
  return number <= max ? number : null;
}

/**
 * Scripts print the bytes of a text in another alphabet as `\xC3\x9C`. Where they are valid UTF-8
 * they are turned back, so that a person can read a title and the cleaner sees what is hidden in it.
 */
function decodeEscapes(text: string): string {
  if (!text.includes("\\x")) return text;
  return text.replace(/(?:\\x[89A-F][0-9A-F]){2,}/g, (run) => {
    const bytes = run.slice(2).split("\\x").map((digits) =>
      parseInt(digits, 16)
    );
    try {
      return new TextDecoder("utf-8", { fatal: true })
        .decode(new Uint8Array(bytes));
    } catch {
      // Not UTF-8: it stays as nmap wrote it.
      return run;
    }
  });
}

/**
 * Copies a text that was cut out of a longer one. The engine lets a cut of 13 characters or more
 * point into the longer text, which would keep the whole document alive for a few addresses.
 */
function flat(text: string): string {
  if (text.length < 13) return text;
  const longer = `${text}\0`;
  // A search makes the engine write the joined text out.
  return longer.indexOf("\0") === text.length
    ? longer.slice(0, text.length)
    : text;
}
