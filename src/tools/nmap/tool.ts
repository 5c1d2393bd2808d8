/**
 * nmap as a tool of this server.
 *
 * @module
 */
import type { Tool } from "../tool.ts";
import { planScan } from "./plan.ts";
import { nmapReader } from "./report.ts";
import { NMAP_FIELDS, type NmapRequest, parseRequest } from "./request.ts";

/** nmap. */
export const nmap: Tool<NmapRequest> = {
  name: "nmap",
  fields: NMAP_FIELDS,
  parse: parseRequest,
  names: (request) => request.lookups,
  plan: planScan,
  reader: nmapReader,
};
