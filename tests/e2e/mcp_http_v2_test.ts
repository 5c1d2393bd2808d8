/**
 * The main job over HTTP with the second generation of the protocol's SDK.
 *
 * @module
 */
import { verifies } from "../requirements.ts";
import { sharedHttp } from "./shared_http.ts";
import { registerSuite } from "./suite.ts";

verifies("http.same_suite");
const { way } = sharedHttp();
registerSuite("v2 at 2025-11-25", way);
registerSuite("v2 at 2026-07-28", way);
