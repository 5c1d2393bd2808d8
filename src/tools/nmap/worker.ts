/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The entry of nmap's isolate. It may run nmap and nothing else.
 *
 * @module
 */
import { serveTool } from "@/isolate/serve.ts";
import { rawTrialArgv, versionArgv } from "./argv.ts";
import { parseResolveXml, resolveArgv } from "./resolve.ts";
import { nmap } from "./tool.ts";

declare const self: DedicatedWorkerGlobalScope;

serveTool(self, nmap, {
  version: { argv: versionArgv(), pattern: /Nmap version (\S+)/ },
  rawTrial: rawTrialArgv(),
  resolve: { argv: resolveArgv, parse: parseResolveXml },
});
