/**
 * masscan as a tool of this server.
 *
 * @module
 */
import type { Tool } from "../tool.ts";
import { planScan } from "./plan.ts";
import { masscanReader } from "./report.ts";
import {
  MASSCAN_FIELDS,
  type MasscanRequest,
  parseRequest,
} from "./request.ts";

/** masscan. */
export const masscan: Tool<MasscanRequest> = {
  name: "masscan",
  fields: MASSCAN_FIELDS,
  parse: parseRequest,
  names: (request) => request.lookups,
  plan: planScan,
  reader: masscanReader,
};
