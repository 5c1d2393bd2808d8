/**
 * A URL with credentials is refused, and nothing of them is told.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { parseUrl, shownUrl } from "@/tools/gobuster/url.ts";
import { verifies } from "../../requirements.ts";

/** Each has `CANARY` where the secret is. */
const WITH_CREDENTIALS = [
  "http://user:CANARY@10.0.0.7/",
  "HTTPS://user:CANARY@10.0.0.7:8443/app/",
  "http://CANARY@10.0.0.7/",
  "http://user:p@CANARY@10.0.0.7/",
  "http://user:p/CANARY@10.0.0.7/",
  "http://user:p?CANARY#x@10.0.0.7/",
  "http://user:CANARY p@10.0.0.7/",
  "ftp://user:CANARY@10.0.0.7/",
  "user:CANARY@10.0.0.7",
  // A message shows sixty characters, and the sign of credentials lies behind them.
  `http://user:CANARY${"x".repeat(80)}@10.0.0.7/`,
];

for (const text of WITH_CREDENTIALS) {
  Deno.test(`parseUrl() tells nothing of the password of ${text.slice(0, 40)}`, () => {
    verifies("gobuster.url_no_credentials");
    assert.throws(() => parseUrl(text), (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "invalid_target");
      assert.doesNotMatch(
        `${error.message} ${error.detail} ${JSON.stringify(error.toBody())}`,
        /CANARY|user/,
      );
      assert.match(error.message, /@10\.0\.0\.7/);
      return true;
    });
  });
}

Deno.test("shownUrl() leaves a text without credentials as it is", () => {
  assert.equal(
    shownUrl("http://10.0.0.7:8080/a?b"),
    '"http://10.0.0.7:8080/a?b"',
  );
  assert.equal(shownUrl("http://a:b@10.0.0.7/"), '"http://***@10.0.0.7/"');
});
