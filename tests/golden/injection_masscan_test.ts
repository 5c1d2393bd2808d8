/**
 * The hostile corpus against masscan.
 *
 * @module
 */
import { masscan } from "@/tools/masscan/tool.ts";
import { checkCorpus } from "./injection.ts";
import { verifies } from "../requirements.ts";

verifies("injection.refused");

Deno.test("masscan refuses every case of the hostile corpus with the right code", () => {
  checkCorpus(masscan, 200);
});
