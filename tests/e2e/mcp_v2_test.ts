/**
 * The main job with the second generation of the protocol's SDK, at an older and at the newest revision.
 *
 * @module
 */
import { registerSuite } from "./suite.ts";

registerSuite("v2 at 2025-11-25");
registerSuite("v2 at 2026-07-28");
