/**
 * What wrk prints, read by the benchmark of HTTP.
 *
 * @module
 */
import assert from "node:assert/strict";
import { foundIn } from "./wrk.ts";

const OUTPUT = `Running 1s test @ http://127.0.0.1:1/
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   410.23us    1.02ms  20.13ms   97.01%
    Req/Sec    48.61k    14.42k   63.48k    73.33%
  Latency Distribution
     50%  301.00us
     75%  400.00us
     90%  700.00us
     99%    4.45ms
  48229 requests in 1.00s, 17.52MB read
Requests/sec:  48229.01
Transfer/sec:     17.52MB
`;

Deno.test("foundIn() reads rate, p99 and what was refused", () => {
  assert.deepEqual(foundIn(OUTPUT), {
    ...{ perSecond: 48_229.01, p99Ms: 4.45, count: 48_229, refused: 0 },
  });
  const refused = OUTPUT
    .replace("4.45ms", "812.00us")
    .replace(
      "Requests/sec",
      "  Non-2xx or 3xx responses: 48229\nRequests/sec",
    );
  assert.deepEqual(foundIn(refused), {
    ...{ perSecond: 48_229.01, p99Ms: 0.812, count: 48_229, refused: 48_229 },
  });
});

Deno.test("foundIn() takes no figure for another", () => {
  assert.throws(() => foundIn(OUTPUT.replace("99%", "98%")), {
    message: /^Cannot measure: wrk said something else/,
  });
});
