/**
 * What a scan proves of services that were open before and that it does not list.
 *
 * @module
 */
import type { Gone } from "@/store/scan_record.ts";
import { sameAddress } from "./diff_addresses.ts";
import { Coverage } from "./diff_coverage.ts";
import { coversPort, PROTOCOLS } from "./diff_ports.ts";
import type { Scan } from "./scan.ts";

/**
 * Tells what became of services that a scan does not list.
 *
 * @param scan The scan as it ended.
 * @returns Answers with the state of a service: one of nmap's, both of them where it is one of two, or
 * `down` with its host. Null where the scan proves nothing, which includes every scan that ended early.
 */
export function goneOf(scan: Scan): Gone {
  const { report } = scan;
  if (report?.kind !== "hosts") return () => null;
  const coverage = new Coverage(scan, report);
  return (address, protocol, port) => {
    const known = PROTOCOLS.find((one) => one === protocol);
    if (known === undefined) return null;
    const state = coverage.host(sameAddress(address));
    if (!coversPort(coverage.ports.get(known), undefined, port)) return null;
    const unlisted = coverage.unlisted(state, known);
    switch (unlisted.kind) {
      case "states":
        return unlisted.states.toSorted().join("|");
      case "down":
        return "down";
      default:
        return null;
    }
  };
}
