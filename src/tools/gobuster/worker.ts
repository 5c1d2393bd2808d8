/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
/**
 * The entry of gobuster's isolate. It may run gobuster and nothing else.
 *
 * @module
 */
import { serveTool } from "@/isolate/serve.ts";
import { versionArgv } from "./argv.ts";
import { gobuster } from "./tool.ts";

declare const self: DedicatedWorkerGlobalScope;

serveTool(self, gobuster, {
  version: { argv: versionArgv(), pattern: /^(\d[\w.-]{0,31})\s*$/m },
});
