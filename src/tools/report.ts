/**
 * The shapes of what the scanners found. Plain JSON in `snake_case`: a report crosses the isolate's
 * boundary and reaches a client as it stands here.
 *
 * Whatever a scanned host could choose freely (a banner, a title, a path, script output, a reverse
 * name) stands below a key `untrusted` and nowhere else. It was cleaned by `tools/untrusted.ts`:
 * length-capped and stripped of control, bidirectional, zero-width and tag characters. Where a text
 * reads like an instruction to a model, `suspicious` names its keys.
 *
 * @module
 */

/** A report of any tool, told apart by `kind`. */
export type Report = HostsReport | PathsReport | NamesReport;

/** What nmap and masscan found. */
export interface HostsReport {
  kind: "hosts";
  /** Whether the scan ended before its time and hosts may be missing. */
  partial: boolean;
  /** Hosts that were seen, in order of address text as reported. */
  hosts: HostReport[];
  /** Hosts up, down and in all, as far as the tool said so. */
  totals: { up: number; down: number | null; total: number | null };
  /** The tool's version as it said itself. */
  tool_version: string | null;
  /** Set when a cap cut the report. */
  truncated?: string;
}

/**
 * Makes the report of hosts that were found while a scan goes on.
 *
 * @param hosts The hosts.
 * @param toolVersion The tool's version as it said itself.
 * @returns A report of them alone.
 */
export function foundHosts(
  hosts: HostReport[],
  toolVersion: string | null,
): HostsReport {
  const up = hosts.filter(({ status }) => status === "up").length;
  return {
    kind: "hosts",
    partial: true,
    hosts,
    totals: { up, down: null, total: null },
    tool_version: toolVersion,
  };
}

/** One host. */
export interface HostReport {
  address: string;
  /** Further addresses: IPv6, MAC. */
  other_addresses?: {
    address: string;
    type: "ipv4" | "ipv6" | "mac";
    untrusted_vendor?: string;
  }[];
  /** The names that the request itself used for this host. */
  names?: string[];
  status: "up" | "down" | "unknown";
  reason?: string;
  ports: PortReport[];
  /** Ports left out by the tool because they share a state, counted. */
  other_ports?: { state: string; count: number; reason?: string }[];
  os?: { untrusted: { name: string }; accuracy: number; cpe?: string[] }[];
  /** Host scripts. */
  scripts?: ScriptReport[];
  traceroute?: { ttl: number; address: string; rtt_ms: number | null }[];
  distance?: number;
  uptime_seconds?: number;
  untrusted?: { reverse_names?: string[] };
  suspicious?: string[];
}

/** One port. */
export interface PortReport {
  port: number;
  protocol: "tcp" | "udp" | "sctp" | "ip";
  state: string;
  reason?: string;
  ttl?: number;
  /** The service's name out of the tool's own table or detection: `http`, `ssh`. */
  service?: string;
  /** `ssl` when the service sits in a tunnel. */
  tunnel?: string;
  /** How the service's name was found: `table` is a guess by number. */
  method?: "table" | "probed";
  /** 0 to 10. */
  confidence?: number;
  cpe?: string[];
  scripts?: ScriptReport[];
  untrusted?: {
    product?: string;
    version?: string;
    extra_info?: string;
    hostname?: string;
    os_type?: string;
    device_type?: string;
    fingerprint?: string;
    banners?: { kind: string; text: string }[];
  };
  suspicious?: string[];
}

/** The output of one NSE script. */
export interface ScriptReport {
  id: string;
  untrusted: { output: string };
  suspicious?: string[];
}

/** What gobuster `dir` found. */
export interface PathsReport {
  kind: "paths";
  partial: boolean;
  url: string;
  paths: {
    status: number;
    size: number | null;
    untrusted: { path: string; redirect?: string };
    suspicious?: string[];
  }[];
  /** Words tried and in all, as far as the tool said so. */
  totals: { tried: number | null; words: number | null };
  truncated?: string;
}

/** What gobuster `dns` and `vhost` found. */
export interface NamesReport {
  kind: "names";
  partial: boolean;
  mode: "dns" | "vhost";
  domain: string;
  names: {
    name: string;
    addresses?: string[];
    status?: number;
    size?: number | null;
    untrusted?: { redirect?: string };
    suspicious?: string[];
  }[];
  totals: { tried: number | null; words: number | null };
  truncated?: string;
}

/**
 * Tells whether a port is open for certain.
 *
 * @param port The port.
 * @returns Whether its state is `open`.
 */
export function isOpen(port: PortReport): boolean {
  return port.state === "open";
}
