/**
 * What the benchmark of the store keeps: a hundred networks of a thousand hosts with ten open ports
 * each, scanned once; the first of them a second time with changes, two scans of a /24, and a few
 * thousand small scans between which the large ones have to be found.
 *
 * @module
 */
import type { NewScan } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import type { HostReport, HostsReport, PortReport } from "@/tools/report.ts";

/** Large scans, each of a network of its own. */
export const SCANS = 100;

/** Small scans that found nothing. */
export const SMALL_SCANS = 4_000;

/** Scans that are written at once where the database takes several. */
const WRITERS = 4;

/** Whose almost everything is, and a tenant with next to nothing between all that. */
export const HOUSE = "default";
export const BRANCH = "branch";

/** Most hosts of a network. */
const HOSTS = 1_000;

/** The ports of every host. */
export const PORTS: readonly number[] = [
  21,
  22,
  25,
  80,
  110,
  143,
  443,
  3306,
  8080,
  8443,
];

/** What answers on them, by chance. */
export const PRODUCTS: readonly string[] = [
  "nginx",
  "Apache httpd",
  "OpenSSH",
  "Postfix smtpd",
  "Dovecot imapd",
  "MySQL",
  "vsftpd",
  "lighttpd",
  "Microsoft IIS httpd",
  "Jetty",
];

/** When the first scan was queued. */
export const START = Date.UTC(2026, 0, 1);

/** Time between two large scans. */
export const DAY = 86_400_000;

/** What is scanned, and how much of it is there. */
interface Network {
  readonly no: number;
  readonly hosts: number;
  readonly ports: readonly number[];
  /** Which hosts closed a port and have another version, one in so many; 0 for none. */
  readonly change: number;
}

/** The two scans that a person compares every day: a /24 with a thousand services. */
const OFFICE = { no: SCANS, hosts: 250, ports: PORTS.slice(1, 5) };

/**
 * Gives a number that looks like chance and is the same in every run.
 *
 * @param n Which.
 * @returns 32 bits.
 */
export function mix(n: number): number {
  let x = Math.imul(n ^ (n >>> 16), 0x45d9f3b);
  x = Math.imul(x ^ (x >>> 13), 0x45d9f3b);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * Gives the address of a host.
 *
 * @param network The number of its network.
 * @param host Its number.
 * @returns The address.
 */
export function addressOf(network: number, host: number): string {
  const low = network * 1_024 + host;
  return `10.${low >> 16 & 255}.${low >> 8 & 255}.${low & 255}`;
}

/**
 * Gives the id of a large scan.
 *
 * @param scan Its number; those behind the networks are the second scan of the first one and the two
 * of the /24.
 * @returns The id.
 */
export function idOf(scan: number): string {
  return `scan-${String(scan).padStart(6, "0")}`;
}

/** The scans that are compared. */
export const COMPARED: Readonly<
  Record<"large" | "office", readonly [older: string, newer: string]>
> = {
  large: [idOf(0), idOf(SCANS)],
  office: [idOf(SCANS + 1), idOf(SCANS + 2)],
};

/**
 * Fills a store through its own methods.
 *
 * @param store An empty store.
 */
export async function fill(store: Store): Promise<void> {
  let next = 0;
  const writer = async (): Promise<void> => {
    while (next < SCANS) {
      const no = next++;
      await put(store, no, { no, hosts: HOSTS, ports: PORTS, change: 0 });
    }
  };
  // SQLite has one writer; more of them would only wait.
  const writers = store.kind === "sqlite" ? 1 : WRITERS;
  await Promise.all(Array.from({ length: writers }, writer));
  await put(store, SCANS, { no: 0, hosts: HOSTS, ports: PORTS, change: 20 });
  await put(store, SCANS + 1, { ...OFFICE, change: 0 });
  await put(store, SCANS + 2, { ...OFFICE, change: 10 });
  for (let no = 0; no < SMALL_SCANS; no++) await putSmall(store, no);
  await put(store, SCANS + 3, { ...OFFICE, hosts: 20, change: 0 }, BRANCH);
}

async function put(
  store: Store,
  no: number,
  network: Network,
  tenant: string = HOUSE,
): Promise<void> {
  const target = `${addressOf(network.no, 0)}/${
    network.hosts < 256 ? "24" : "22"
  }`;
  const scan = newScan(idOf(no), START + no * DAY, target);
  await store.createScan({
    ...scan,
    tenant,
    engagement: `engagement ${no % 10}`,
    tags: [`tag ${no % 4}`],
  });
  await store.updateScan(scan.id, {
    status: "running",
    startedAt: scan.queuedAt,
  });
  await store.finishScan(scan.id, {
    status: "succeeded",
    finishedAt: scan.queuedAt + 60_000,
    targets: [target],
    argv: [["nmap", "-sV", "-p", network.ports.join(","), target]],
    scanType: "connect",
    report: reportOf(network),
  });
}

/** Named so that they are newer than the large ones, which a list has to find behind them. */
async function putSmall(store: Store, no: number): Promise<void> {
  const id = `small-${String(no).padStart(6, "0")}`;
  const target = `10.9.${no >> 8 & 255}.${no & 255}`;
  const at = START + SCANS * DAY + no * 60_000;
  await store.createScan({
    ...newScan(id, at, target),
    tool: no % 50 === 0 ? "masscan" : "nmap",
    client: `client ${no % 20}`,
  });
  await store.finishScan(id, {
    status: no % 500 === 0 ? "failed" : "succeeded",
    startedAt: at,
    finishedAt: at + 1_000,
    targets: [target],
    scanType: "connect",
  });
}

function newScan(id: string, queuedAt: number, target: string): NewScan {
  return {
    id,
    tenant: HOUSE,
    tool: "nmap",
    request: { target },
    target,
    targets: [target],
    queuedAt,
    traceId: "0".repeat(32),
  };
}

function reportOf(network: Network): HostsReport {
  const { hosts } = network;
  return {
    kind: "hosts",
    partial: false,
    hosts: Array.from({ length: hosts }, (_, host) => hostOf(network, host)),
    totals: { up: hosts, down: 0, total: hosts },
    tool_version: "7.93",
  };
}

function hostOf({ no, ports, change }: Network, host: number): HostReport {
  const seed = no * HOSTS + host;
  const changed = change > 0 && host % change === 0;
  return {
    address: addressOf(no, host),
    status: "up",
    reason: "echo-reply",
    ports: ports.map((port, at) => {
      if (changed && at === 0) return closed(port);
      return portOf(changed && at === 3 ? seed + 7 : seed, port);
    }),
    other_ports: [],
  };
}

function closed(port: number): PortReport {
  return { port, protocol: "tcp", state: "closed", reason: "reset", ttl: 64 };
}

function portOf(seed: number, port: number): PortReport {
  const chance = mix(seed * 16 + port);
  const seldom = chance % 50_021 === 0;
  const product = seldom
    ? "Seldom seen"
    : PRODUCTS[chance % PRODUCTS.length] ?? "nginx";
  // About one in two hundred and fifty, and one in all.
  const often = chance % 251 === 0 ? " preview" : "";
  const once = seed === 4_242 && port === 80 ? " unicorn" : "";
  return {
    port,
    protocol: "tcp",
    state: "open",
    reason: "syn-ack",
    ttl: 64,
    service: serviceOf(port, seldom),
    method: "probed",
    confidence: 10,
    untrusted: {
      product,
      version: `${chance % 9}.${chance % 31}.${chance % 7}`,
      banners: [{
        kind: "title",
        text: `Welcome to server ${chance % 5_000}${often}${once}`,
      }],
    },
  };
}

/** Eight of ten are `http`: an index that leads to them leads nowhere. */
function serviceOf(port: number, seldom: boolean): string {
  if (seldom) return "telnet";
  return port === 22 ? "ssh" : port === 443 ? "https" : "http";
}
