import assert from "node:assert/strict";
import { plainAddress, Proxies } from "@/operator/proxies.ts";
import { verifies } from "../../requirements.ts";
import { configOf } from "./fake_app.ts";

const PROXIES = new Proxies(
  configOf({ trusted_proxies: ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"] })
    .server,
);

Deno.test("Proxies.callerOf() reads headers of trusted proxies only, back to the first address that is none", () => {
  verifies("http.proxies");
  const long = Array.from({ length: 400 }, () => "192.0.2.1").join(",");
  const table: readonly (readonly [string, Record<string, string>, string])[] =
    [
      ["192.0.2.9", { "x-forwarded-for": "198.51.100.1" }, "192.0.2.9"],
      ["10.0.0.1", {}, "10.0.0.1"],
      ["10.0.0.1", { "x-forwarded-for": "198.51.100.1" }, "198.51.100.1"],
      // What the client itself wrote stands left of what the proxy saw.
      [
        "10.0.0.1",
        { "x-forwarded-for": "1.1.1.1, 198.51.100.1" },
        "198.51.100.1",
      ],
      [
        "10.0.0.1",
        { "x-forwarded-for": "1.1.1.1, 198.51.100.1, 10.2.2.2" },
        "198.51.100.1",
      ],
      ["10.0.0.1", { "x-forwarded-for": "10.9.9.9" }, "10.9.9.9"],
      [
        "::ffff:10.0.0.1",
        { "x-forwarded-for": "198.51.100.1:443" },
        "198.51.100.1",
      ],
      [
        "10.0.0.1",
        { "x-forwarded-for": "::ffff:198.51.100.1" },
        "198.51.100.1",
      ],
      ["10.0.0.1", { "x-forwarded-for": "[2001:db8::1]:80" }, "2001:db8::1"],
      ["10.0.0.1", { "x-forwarded-for": "1.1.1.1, unknown" }, "10.0.0.1"],
      ["10.0.0.1", { "x-forwarded-for": "1.1.1.1, " }, "10.0.0.1"],
      ["10.0.0.1", { "x-forwarded-for": "0x7f.1" }, "10.0.0.1"],
      ["10.0.0.1", { "x-forwarded-for": long }, "10.0.0.1"],
      [
        "fd00::1",
        { forwarded: 'for=1.1.1.1, For="[2001:db8::7]:80";proto=https' },
        "2001:db8::7",
      ],
      ["10.0.0.1", { forwarded: "for=_hidden" }, "10.0.0.1"],
      ["10.0.0.1", { forwarded: "by=1.1.1.1" }, "10.0.0.1"],
      // One is the proxy's and one may be the client's: which, nobody knows.
      [
        "10.0.0.1",
        { forwarded: "for=1.1.1.1", "x-forwarded-for": "198.51.100.1" },
        "10.0.0.1",
      ],
      [
        "10.0.0.1",
        { forwarded: "for=198.51.100.1", "x-forwarded-for": "198.51.100.1" },
        "198.51.100.1",
      ],
    ];
  for (const [peer, headers, address] of table) {
    const caller = PROXIES.callerOf(peer, new Headers(headers));
    assert.equal(caller.address, address, JSON.stringify([peer, headers]));
  }
});

Deno.test("Proxies.callerOf() reads the scheme of trusted proxies only", () => {
  verifies("http.proxies");
  for (
    const [peer, header, scheme] of [
      ["10.0.0.1", "https", "https"],
      ["10.0.0.1", "http, HTTPS", "https"],
      ["10.0.0.1", "https, http", "http"],
      ["10.0.0.1", "javascript", null],
      ["192.0.2.9", "https", null],
    ] as const
  ) {
    const headers = new Headers({ "x-forwarded-proto": header });
    assert.equal(PROXIES.callerOf(peer, headers).scheme, scheme, header);
  }
});

Deno.test("plainAddress() writes IPv4 in IPv6 as IPv4", () => {
  assert.equal(plainAddress("::FFFF:192.0.2.1"), "192.0.2.1");
  assert.equal(plainAddress("2001:db8::1"), "2001:db8::1");
  assert.equal(plainAddress("192.0.2.1"), "192.0.2.1");
});
