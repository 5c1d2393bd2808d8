/**
 * Writes the golden document anew, after a change that is meant.
 *
 * @module
 */
import { documentText } from "./openapi_document.ts";

if (import.meta.main) {
  await Deno.writeTextFile(
    new URL("openapi.json", import.meta.url),
    documentText(),
  );
}
