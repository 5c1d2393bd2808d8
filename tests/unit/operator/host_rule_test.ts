import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { HostRule } from "@/operator/host_rule.ts";
import { statusOf } from "@/operator/problem.ts";
import { verifies } from "../../requirements.ts";
import { configOf } from "./fake_app.ts";

const RULE = new HostRule(
  configOf({
    host: "10.1.2.3",
    public_url: "https://soc.example.com",
    allowed_hosts: ["scan.lan", "2001:db8::1"],
  }).server,
);

/** A request as the runtime shows it: the address has the host as the client wrote it. */
function asked(host: string | null, authority = host ?? "") {
  const headers = new Headers(host === null ? {} : { host });
  return { headers, url: `http://${authority}/health` };
}

function refusal(run: () => unknown): AppError {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error("nothing was refused");
}

Deno.test("HostRule.check() takes the names of this server", () => {
  verifies("http.host");
  for (
    const host of [
      "localhost",
      "localhost:8080",
      "LocalHost:8080",
      "127.0.0.1:8080",
      "127.1.2.3:8080",
      "[::1]:8080",
      "[0:0:0:0:0:0:0:1]",
      "10.1.2.3:8080",
      "soc.example.com",
      "soc.example.com:443",
      "scan.lan",
      "scan.lan:8080",
      "[2001:db8:0::1]",
    ]
  ) assert.equal(RULE.check(asked(host)), host.toLowerCase(), host);
});

Deno.test("HostRule.check() refuses every other name", () => {
  verifies("http.host");
  for (
    const host of [
      "evil.example",
      "evil.example:8080",
      "localhost.evil.example",
      "evil@127.0.0.1",
      "127.0.0.1@evil.example",
      "127.0.0.1:8081",
      "127.0.0.1:80",
      "127.0.0.1:",
      "127.0.0.1:08080",
      "127.1",
      "0x7f.0.0.1",
      "2130706433",
      "localhost.",
      "::1",
      "[::1",
      "[127.0.0.1]",
      "[::ffff:127.0.0.1]",
      "192.168.0.1",
      "soc.example.com, localhost",
      "localhost evil",
      "",
      `${"a".repeat(300)}.example`,
    ]
  ) {
    const headers = { get: () => host } as unknown as Headers;
    const error = refusal(() =>
      RULE.check({ headers, url: `http://${host}/health` })
    );
    assert.equal(statusOf(error), 403, host);
    assert.match(error.message, /server\.allowed_hosts/, host);
    assert.ok(host === "" || !error.message.includes(host), host);
  }
});

Deno.test("HostRule.check() refuses a request that names no host or two", () => {
  verifies("http.host");
  for (
    const [host, authority] of [
      [null, "localhost:8080"],
      ["localhost", "127.0.0.1"],
      ["localhost", "evil.example"],
      ["evil.example", "localhost"],
      ["localhost, evil.example", "localhost"],
    ] as const
  ) {
    const error = refusal(() => RULE.check(asked(host, authority)));
    assert.equal(statusOf(error), 400, `${host} ${authority}`);
    assert.match(error.message, /one Host header/);
  }
});

Deno.test("HostRule.check() takes the authority of HTTP/2, which has no Host header", () => {
  assert.equal(RULE.check(asked(null, "127.0.0.1:8080")), "127.0.0.1:8080");
  const error = refusal(() => RULE.check(asked(null, "evil.example")));
  assert.equal(statusOf(error), 403);
  const tls = new HostRule(
    configOf({ tls_certificate_file: "config/a.pem" }).server,
  );
  assert.equal(tls.check(asked(null, "localhost:8080")), "localhost:8080");
});

Deno.test("HostRule.check() takes any address where the server listens on every one", () => {
  for (const host of ["0.0.0.0", "::"]) {
    const rule = new HostRule(configOf({ host }).server);
    assert.equal(rule.check(asked("192.0.2.7:8080")), "192.0.2.7:8080");
    assert.equal(rule.check(asked("[2001:db8::9]")), "[2001:db8::9]");
    assert.equal(
      statusOf(refusal(() => rule.check(asked("evil.example:8080")))),
      403,
    );
  }
});

Deno.test("HostRule.check() says the same however many names it has seen", () => {
  for (let at = 0; at < 500; at++) {
    refusal(() => RULE.check(asked(`h${at}.example`)));
  }
  assert.equal(RULE.check(asked("localhost")), "localhost");
  refusal(() => RULE.check(asked("h1.example")));
});
