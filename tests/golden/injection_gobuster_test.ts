/**
 * The hostile corpus against gobuster.
 *
 * @module
 */
import { gobuster } from "@/tools/gobuster/tool.ts";
import { checkCorpus } from "./injection.ts";
import { verifies } from "../requirements.ts";

verifies("injection.refused");

Deno.test("gobuster refuses every case of the hostile corpus with the right code", () => {
  checkCorpus(gobuster, 200);
});
