import assert from "node:assert/strict";
import { hostsOf } from "@/config/hosts.ts";
import { loadConfig } from "@/config/load.ts";
import { verifies } from "../../requirements.ts";

const CASES: readonly (readonly [
  name: string,
  env: Readonly<Record<string, string>>,
  hosts: readonly string[],
])[] = [
  ["the defaults", {}, ["127.0.0.1:8080"]],
  [
    "IPv6",
    { MCP_SERVER_HOST: "::1", MCP_SERVER_PORT: "8443" },
    ["[::1]:8443"],
  ],
  [
    "an issuer, whose discovery document is asked",
    {
      MCP_IDENTITY_ISSUER: "https://login.example.com/realms/soc",
      MCP_IDENTITY_AUDIENCE: "a",
    },
    ["127.0.0.1:8080", "login.example.com:443"],
  ],
  [
    "an issuer whose keys are elsewhere: it is not asked itself",
    {
      MCP_IDENTITY_ISSUER: "https://login.example.com",
      MCP_IDENTITY_AUDIENCE: "a",
      MCP_IDENTITY_JWKS_URL: "http://keys.example.com:8081/jwks.json",
    },
    ["127.0.0.1:8080", "keys.example.com:8081"],
  ],
  [
    "an issuer without TLS",
    {
      MCP_IDENTITY_ISSUER: "http://127.0.0.1",
      MCP_IDENTITY_AUDIENCE: "a",
    },
    ["127.0.0.1:8080", "127.0.0.1:80"],
  ],
  [
    "PostgreSQL at its usual port",
    { MCP_DATABASE_URL: "postgres://u:p@db.lab.internal/scans" },
    ["127.0.0.1:8080", "db.lab.internal:5432"],
  ],
  [
    "PostgreSQL at another port",
    { MCP_DATABASE_URL: "postgresql://u:p@[fd00::1]:6432/scans" },
    ["127.0.0.1:8080", "[fd00::1]:6432"],
  ],
  [
    "one host for two things",
    {
      MCP_SERVER_PORT: "5432",
      MCP_DATABASE_URL: "postgres://u:p@127.0.0.1/scans",
    },
    ["127.0.0.1:5432"],
  ],
];

for (const [name, env, hosts] of CASES) {
  Deno.test(`hostsOf() names what is listened on and connected to: ${name}`, () => {
    verifies("http.net_from_config");
    const { config } = loadConfig({ file: null, env });
    assert.deepEqual(hostsOf(config), hosts);
  });
}

/** Hosts that the URL parser takes and that would be more than one host in `--allow-net`. */
const WIDE: readonly Readonly<Record<string, string>>[] = [
  { MCP_IDENTITY_ISSUER: "https://a.example,b.example/" },
  { MCP_IDENTITY_ISSUER: "https://*.example/" },
  { MCP_IDENTITY_ISSUER: "https://10.0.0.1,b.example" },
  {
    MCP_IDENTITY_ISSUER: "https://a.example",
    MCP_IDENTITY_JWKS_URL: "https://a.example,b.example/jwks",
  },
  { MCP_DATABASE_URL: "postgres://u:p@a.example,b.example/db" },
  { MCP_DATABASE_URL: "postgres://u:p@*.example/db" },
  { MCP_SERVER_HOST: "127.0.0.1,b.example" },
];

for (const env of WIDE) {
  Deno.test(`loadConfig() refuses what would widen --allow-net: ${Object.values(env).at(-1)}`, () => {
    verifies("http.net_from_config");
    assert.throws(
      () =>
        loadConfig({ file: null, env: { MCP_IDENTITY_AUDIENCE: "a", ...env } }),
      /it is no URL|no address of a database|neither an address/,
    );
  });
}
