/**
 * The main job with the first generation of the protocol's SDK.
 *
 * @module
 */
import { registerSuite } from "./suite.ts";

registerSuite("v1 at 2025-11-25");
registerSuite("v1 at 2025-06-18");
