/**
 * gobuster as a tool of this server.
 *
 * @module
 */
import type { Tool } from "../tool.ts";
import { planScan } from "./plan.ts";
import { gobusterReader } from "./report.ts";
import {
  GOBUSTER_FIELDS,
  type GobusterRequest,
  parseRequest,
} from "./request.ts";

/** gobuster. */
export const gobuster: Tool<GobusterRequest> = {
  name: "gobuster",
  fields: GOBUSTER_FIELDS,
  parse: parseRequest,
  names: (request) => request.lookups,
  plan: planScan,
  reader: gobusterReader,
};
