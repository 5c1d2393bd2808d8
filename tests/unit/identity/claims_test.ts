/**
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import {
  claimAt,
  type ClaimRules,
  principalOfClaims,
  roleNamesOf,
} from "@/identity/claims.ts";
import { verifies } from "../../requirements.ts";

const RULES: ClaimRules = {
  issuer: "https://idp.example.com",
  tenantClaim: "tenant",
  rolesClaim: "realm.roles",
  roleNames: roleNamesOf(["soc=operator", "soc=viewer", "a=b=admin"]),
  tenants: () => new Set(["default", "red"]),
};

function principal(claims: object) {
  return principalOfClaims({ sub: "s", tenant: "red", ...claims }, RULES);
}

Deno.test("claimAt() finds a claim by its whole name, then by its path", () => {
  const claims = {
    "https://example.com/roles": "url",
    "a.b": "whole",
    a: { b: "path", c: { d: 1 }, "e.f": 2 },
    list: ["x"],
  };
  for (
    const [path, expected] of [
      ["https://example.com/roles", "url"],
      ["a.b", "whole"],
      ["a.c.d", 1],
      ["a.e.f", undefined],
      ["list.0", undefined],
      ["list.length", undefined],
      ["a.b.length", undefined],
      ["", undefined],
      [".", undefined],
      ["a.", undefined],
      ["a".repeat(100), undefined],
    ] as const
  ) assert.equal(claimAt(claims, path), expected, path);
});

Deno.test("claimAt() finds nothing that is inherited", () => {
  const claims = JSON.parse(
    '{"a":{"__proto__":{"roles":["admin"]}},"b":{},"__proto__":{"tenant":"red"}}',
  );
  for (
    const path of [
      "tenant",
      "a.roles",
      "constructor",
      "b.constructor",
      "b.constructor.name",
      "b.toString",
      "b.__proto__",
      "hasOwnProperty",
    ]
  ) assert.equal(claimAt(claims, path), undefined, path);
  // What JSON itself holds under that name is an own property, and data like any other.
  assert.deepEqual(claimAt(claims, "a.__proto__.roles"), ["admin"]);
  assert.equal(({} as Record<string, unknown>)["roles"], undefined);
});

Deno.test("principalOfClaims() reads roles from a list or a text and maps their names", () => {
  verifies("identity.token_claims");
  const cases: readonly (readonly [unknown, readonly string[]])[] = [
    [["soc"], ["viewer", "operator"]],
    ["viewer approver", ["viewer", "approver"]],
    ["viewer,admin", ["viewer", "admin"]],
    ["a=b", ["admin"]],
    [["Admin", "ADMIN", "root", "__proto__", "constructor"], []],
    [[1, null, { a: 1 }, ["admin"]], []],
    [{ admin: true }, []],
    [true, []],
    [null, []],
    [undefined, []],
    ["", []],
  ];
  for (const [roles, expected] of cases) {
    assert.deepEqual(
      [...principal({ realm: { roles } }).roles],
      expected,
      JSON.stringify(roles),
    );
  }
});

Deno.test("principalOfClaims() narrows by a scope that speaks of this server", () => {
  const cases: readonly (readonly [object, readonly string[] | null])[] = [
    [{}, null],
    [{ scope: "openid profile email" }, null],
    [{ scope: "" }, null],
    [{ scope: "openid read" }, ["read"]],
    [{ scope: "read scan:nmap scan:nmap" }, ["read", "scan:nmap"]],
    [{ scp: ["cancel"], scope: "read" }, ["read", "cancel"]],
    [{ scp: "admin" }, ["admin"]],
    // A word that is meant for us and that we do not know gives nothing.
    [{ scope: "scan:zmap" }, []],
    [{ scope: { read: true } }, []],
    [{ scope: null }, []],
    [{ scp: 1 }, []],
    [{ scope: `${"x ".repeat(2_000)}read` }, ["read"]],
  ];
  for (const [claims, expected] of cases) {
    const { scopes } = principal(claims);
    assert.deepEqual(
      scopes === null ? null : [...scopes],
      expected,
      JSON.stringify(claims).slice(0, 60),
    );
  }
});

Deno.test("principalOfClaims() cleans and bounds what the client is called", () => {
  const cases: readonly (readonly [object, string])[] = [
    [{ azp: "app", client_id: "other" }, "app"],
    [{ client_id: "other" }, "other"],
    [{ azp: 1, client_id: {} }, "s"],
    [{ azp: "" }, "s"],
    [{ azp: "\u001b[31mred\u202e\n" }, "red"],
    [{ azp: "a".repeat(1_000) }, `${"a".repeat(63)}…`],
    [{ azp: "x Bearer eyJhbGciOiJub25lIn0.e30.x" }, "x Bearer ***REDACTED***"],
  ];
  for (const [claims, expected] of cases) {
    assert.equal(principal(claims).client, expected);
  }
});

Deno.test("principalOfClaims() makes a principal of our tenants or refuses, whatever the claims", () => {
  verifies("identity.token_claims");
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (claims) => {
      try {
        const made = principal(claims);
        assert.ok(RULES.tenants().has(made.tenant));
        assert.ok(made.subject.startsWith("https://idp.example.com#"));
      } catch (error) {
        assert.ok(
          error instanceof AppError && error.code === "unauthenticated",
        );
      }
    }),
  );
});
