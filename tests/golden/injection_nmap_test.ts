/**
 * The hostile corpus against nmap.
 *
 * @module
 */
import { nmap } from "@/tools/nmap/tool.ts";
import { checkCorpus } from "./injection.ts";
import { verifies } from "../requirements.ts";

verifies("injection.refused", "nmap.injection.refused");

Deno.test("nmap refuses every case of the hostile corpus with the right code", () => {
  checkCorpus(nmap, 300);
});
