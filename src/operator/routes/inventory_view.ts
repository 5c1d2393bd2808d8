/**
 * What is known over all scans as JSON. The fields are those of a report, whole, and of the tool
 * `inventory`.
 *
 * @module
 */
import type { z } from "@hono/zod-openapi";
import type {
  InventoryHost,
  InventoryService,
  Seen,
} from "@/store/inventory.ts";
import type { Found } from "@/store/search.ts";
import { looksLikeInstruction } from "@/tools/untrusted.ts";
import type {
  KnownHostSchema,
  KnownServiceSchema,
  SightingSchema,
} from "../schemas/inventory.ts";

/**
 * Shows a host.
 *
 * @param host The host.
 * @returns The JSON.
 */
export function hostView(host: InventoryHost): z.infer<typeof KnownHostSchema> {
  const { address, status, detail } = host;
  return { address, status, ...detail, ...seenView(host) };
}

/**
 * Shows a service.
 *
 * @param service The service.
 * @returns The JSON.
 */
export function serviceView(
  service: InventoryService,
): z.infer<typeof KnownServiceSchema> {
  const { product, version } = service.untrusted;
  const untrusted = {
    ...(product === null ? {} : { product }),
    ...(version === null ? {} : { version }),
  };
  const suspicious = Object.entries(untrusted)
    .filter(([, text]) => looksLikeInstruction(text)).map(([key]) => key);
  return {
    address: service.address,
    port: service.port,
    protocol: service.protocol,
    state: service.state,
    service: service.service,
    ...(Object.keys(untrusted).length === 0 ? {} : { untrusted }),
    ...(suspicious.length === 0 ? {} : { suspicious }),
    ...seenView(service),
  };
}

/**
 * Shows what a search found.
 *
 * @param found The sighting.
 * @returns The JSON.
 */
export function sightingView(found: Found): z.infer<typeof SightingSchema> {
  const { engagement } = found;
  return {
    address: found.address,
    ...found.port,
    scan_id: found.scanId,
    tool: found.tool,
    ...(engagement === null ? {} : { engagement }),
    seen_at: iso(found.seenAt),
  };
}

function seenView(seen: Seen) {
  return {
    first_seen: iso(seen.firstSeen),
    last_seen: iso(seen.lastSeen),
    checked_at: iso(seen.checkedAt),
    first_scan: seen.firstScan,
    last_scan: seen.lastScan,
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
