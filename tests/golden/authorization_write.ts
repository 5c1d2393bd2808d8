/**
 * Writes `authorization.txt` anew: what everybody gets of every route and over MCP. Read the difference
 * before you keep it: each change of a cell is somebody who may now do more or less.
 *
 *   deno run --no-prompt --allow-read=.,/tmp --allow-write=/tmp,tests/golden/authorization.txt \
 *     --allow-run=sh,ps --allow-net=127.0.0.1 --ignore-env tests/golden/authorization_write.ts
 *
 * @module
 */
import {
  GOLDEN,
  goldenText,
  httpTable,
  matrixWorld,
  mcpTable,
} from "../process/fixtures/http_matrix.ts";

if (import.meta.main) {
  await using things = await matrixWorld();
  const http = await httpTable(things);
  const text = goldenText(http, await mcpTable(things));
  await Deno.writeTextFile(GOLDEN, text);
}
