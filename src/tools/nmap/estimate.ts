/**
 * How many probes a scan sends and how long it takes, roughly, before it is started.
 *
 * What takes time is silence: an answer of any kind comes in a round trip, a filtered port costs
 * retransmissions. The numbers were measured in a lab of network namespaces without latency (nmap
 * 7.93, two cores): 1000 silent ports of one host took 5 s, and 21 s with parallelism capped at 10;
 * many silent hosts together were probed at about 1100 ports a second, with the cap at 48; a dead
 * address cost 0.4 s of discovery; service detection cost about 9 s a host with open ports. How
 * many hosts are silent is not known before the scan: one host counts as silent, of several with
 * discovery one in twenty-four does, without discovery two in three. So this is an order of
 * magnitude and no promise.
 *
 * @module
 */
import type { NmapSettings } from "./argv.ts";
import type { NmapRequest } from "./request.ts";

/** An estimate. */
export interface Estimate {
  /** Probes of discovery and of the port scan, without retransmissions and detection. */
  readonly probes: number;
  readonly seconds: number;
}

/** Silent ports a second: of one host, and of several together, without a cap. */
const SILENT_RATE_ONE_HOST = 200;
const SILENT_RATE_MANY_HOSTS = 1_100;

/** Silent ports a second that one probe in flight makes. */
const SILENT_RATE_PER_PROBE = 4.8;

/** Seconds of discovery that a dead address costs. */
const DEAD_SECONDS = 0.4;

/** Ports a second of a host that answers. */
const ANSWERED_RATE = 10_000;

/** Unreachable messages a second that a Linux host sends for closed UDP ports. */
const UDP_RATE = 1;

const DETECTION_SECONDS = 9;

/** Seconds between two probes of the slow timing templates. */
const TEMPLATE_DELAY_SECONDS = [300, 15, 0.4, 0, 0, 0];

/**
 * Estimates a scan.
 *
 * @param settings What will be done.
 * @param request Where rates and delays stand.
 * @param hosts How many addresses.
 * @returns Probes and seconds.
 */
export function estimate(
  settings: NmapSettings,
  request: NmapRequest,
  hosts: number,
): Estimate {
  const ping = settings.techniques.includes("-sn");
  const discovers = ping || settings.hostDiscovery;
  const pings = discovers ? hosts * (settings.privileged ? 4 : 2) : 0;
  const alive = discovers && hosts > 1 ? Math.ceil(hosts / 8) : hosts;
  const ports = ping ? 0 : portsOf(settings);
  const probes = pings + alive * ports;
  const seconds = (discovers ? (hosts - alive) * DEAD_SECONDS : 0) +
    scanSeconds(settings, hosts, alive, ports) +
    detectionSeconds(settings, alive);
  const paced = Math.max(seconds, pacedSeconds(settings, request, probes), 1);
  const most = Number.MAX_SAFE_INTEGER;
  return {
    probes: Math.min(most, probes),
    seconds: Math.min(most, Math.ceil(paced)),
  };
}

/** Counts the ports of one host that are looked at. */
export function portsOf(settings: NmapSettings): number {
  if (settings.ports !== null) return settings.ports.count;
  return settings.topPorts ?? 0;
}

function scanSeconds(
  settings: NmapSettings,
  hosts: number,
  alive: number,
  ports: number,
): number {
  if (ports === 0) return 0;
  if (settings.techniques.includes("-sU")) return ports / UDP_RATE;
  const silent = silentHosts(settings, hosts);
  const free = silent === 1 ? SILENT_RATE_ONE_HOST : SILENT_RATE_MANY_HOSTS;
  const capped = settings.maxParallelism === null
    ? free
    : Math.min(free, settings.maxParallelism * SILENT_RATE_PER_PROBE);
  const rate = Math.max(capped, settings.minRate ?? 0);
  return silent * ports / rate + alive * ports / ANSWERED_RATE;
}

function silentHosts(settings: NmapSettings, hosts: number): number {
  if (hosts === 1) return 1;
  return Math.ceil(settings.hostDiscovery ? hosts / 24 : hosts * 2 / 3);
}

/** Detection works on several hosts at a time; sixteen is what one group reaches. */
function detectionSeconds(settings: NmapSettings, alive: number): number {
  const rounds = Math.ceil(alive / 16);
  const kinds = [
    settings.serviceDetection,
    settings.osDetection,
    settings.scripts.length > 0,
  ].filter((kind) => kind).length;
  return kinds * rounds * DETECTION_SECONDS;
}

/** What a delay, a slow template or a rate limit costs at least. */
function pacedSeconds(
  settings: NmapSettings,
  request: NmapRequest,
  probes: number,
): number {
  const delay = Math.max(
    (request.scanDelayMs ?? 0) / 1_000,
    TEMPLATE_DELAY_SECONDS[settings.timing] ?? 0,
    request.maxRate === undefined ? 0 : 1 / request.maxRate,
  );
  return probes * delay;
}
