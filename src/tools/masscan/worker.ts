/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The entry of masscan's isolate. It may run masscan and nothing else.
 *
 * @module
 */
import { serveTool } from "@/isolate/serve.ts";
import { versionArgv } from "./argv.ts";
import { masscan } from "./tool.ts";

declare const self: DedicatedWorkerGlobalScope;

serveTool(self, masscan, {
  version: { argv: versionArgv(), pattern: /Masscan version (\S+)/ },
});
