/**
 * The table of who may do what, written out.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type AuthorizedOperation,
  may,
  NEEDS,
  require,
  requireGrant,
  ScopeError,
  scopeErrorOf,
} from "@/identity/authorize.ts";
import {
  LOCAL,
  type Principal,
  type Role,
  type Scope,
} from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";

/**
 * Every operation: which roles may (v, o, a for approver, A for admin; a dot for those that may not),
 * in the house and elsewhere, and which scopes let narrowed credentials through.
 */
const GOLDEN = `
operation      house  other  scopes
read           voaA   voaA   read
tools          voaA   voaA   read,scan:nmap,scan:masscan,scan:gobuster
stats          voaA   voaA   read
events         voaA   voaA   read
plan:nmap      .o..   .o..   scan:nmap
plan:masscan   .o..   .o..   scan:masscan
plan:gobuster  .o..   .o..   scan:gobuster
scan:nmap      .o..   .o..   scan:nmap
scan:masscan   .o..   .o..   scan:masscan
scan:gobuster  .o..   .o..   scan:gobuster
cancel         .o..   .o..   cancel
approvals      voaA   voaA   read,approve
approve        ..a.   ..a.   approve
keys           ...A   ...A   admin
audit          ...A   ...A   admin
tenants        ...A   ...A   admin
configure      ...A   ....   admin
policies       ...A   ....   admin
metrics        voaA   ....   read
`;

const LETTERS: readonly (readonly [Role, string])[] = [
  ["viewer", "v"],
  ["operator", "o"],
  ["approver", "a"],
  ["admin", "A"],
];

const ALL_SCOPES: readonly Scope[] = [
  "read",
  "scan:nmap",
  "scan:masscan",
  "scan:gobuster",
  "cancel",
  "approve",
  "admin",
];

function caller(
  roles: readonly Role[],
  tenant = "default",
  scopes: readonly Scope[] | null = null,
): Principal {
  return {
    kind: "key",
    subject: "key:x",
    client: "x",
    tenant,
    roles: new Set(roles),
    scopes: scopes === null ? null : new Set(scopes),
  };
}

function row(operation: AuthorizedOperation): string {
  const roles = (tenant: string) =>
    LETTERS.map(([role, letter]) =>
      may(caller([role], tenant), operation) ? letter : "."
    ).join("");
  const everyRole = LETTERS.map(([role]) => role);
  const scopes = ALL_SCOPES.filter((scope) =>
    may(caller(everyRole, "default", [scope]), operation)
  );
  return [
    operation.padEnd(15),
    roles("default").padEnd(7),
    roles("red").padEnd(7),
    scopes.join(","),
  ].join("");
}

Deno.test("the table of roles, tenants and scopes is the golden one", () => {
  verifies("identity.authorize");
  const rows = (Object.keys(NEEDS) as AuthorizedOperation[]).map(row);
  const golden = GOLDEN.trim().split("\n").slice(1);
  assert.deepEqual(rows, golden);
});

Deno.test("nobody may do anything without a role, or what is not in the table", () => {
  verifies("identity.authorize");
  for (const operation of Object.keys(NEEDS) as AuthorizedOperation[]) {
    assert.equal(may(caller([]), operation), false, operation);
    const narrow = caller(["admin", "operator"], "default", []);
    assert.equal(may(narrow, operation), false, operation);
    assert.equal(may(LOCAL, operation), true, operation);
  }
  for (const operation of ["", "root", "__proto__", "constructor", "scan"]) {
    assert.throws(() => require(LOCAL, operation as AuthorizedOperation), {
      code: "forbidden",
      message: /: nobody may; /,
    });
  }
});

Deno.test("require() names the role, the tenant or the scope that it takes", () => {
  verifies("identity.authorize");
  const way = "; ask whoever runs the server for credentials that have it";
  const cases: readonly (readonly [Principal, AuthorizedOperation, string])[] =
    [
      [
        caller(["viewer"]),
        "scan:nmap",
        'Cannot do this ("scan:nmap"): it takes the role operator',
      ],
      [
        caller([]),
        "read",
        'Cannot do this ("read"): it takes the role viewer or operator or approver or admin',
      ],
      [
        caller(["operator"]),
        "configure",
        'Cannot do this ("configure"): it takes the role admin',
      ],
      [
        caller(["operator"], "red"),
        "configure",
        'Cannot do this ("configure"): it takes the role admin of the tenant default',
      ],
      [
        caller(["admin"], "red"),
        "configure",
        'Cannot do this ("configure"): it takes the role admin of the tenant default',
      ],
      [
        caller(["operator"], "red", ["scan:nmap"]),
        "scan:masscan",
        'Cannot do this ("scan:masscan"): it takes the scope scan:masscan',
      ],
      [
        caller(["approver"], "red", ["cancel"]),
        "approvals",
        'Cannot do this ("approvals"): it takes the scope read or approve',
      ],
    ];
  for (const [principal, operation, message] of cases) {
    assert.throws(() => require(principal, operation), {
      code: "forbidden",
      message: message + way,
    });
  }
  require(caller(["operator"], "red", ["scan:nmap"]), "scan:nmap");
});

Deno.test("requireGrant() lets nobody make a key with more than they have", () => {
  const narrow: readonly Scope[] = ["admin", "read"];
  const cases: readonly (readonly [
    Principal,
    { tenant: string; scopes?: readonly string[] | null },
    boolean,
  ])[] = [
    [caller(["admin"], "red"), { tenant: "red" }, true],
    [caller(["admin"], "red"), { tenant: "blue" }, false],
    [caller(["admin"], "red"), { tenant: "default" }, false],
    [caller(["admin"]), { tenant: "blue", scopes: null }, true],
    [caller(["admin"], "red", narrow), { tenant: "red" }, false],
    [caller(["admin"], "red", narrow), { tenant: "red", scopes: null }, false],
    [
      caller(["admin"], "red", narrow),
      { tenant: "red", scopes: ["read"] },
      true,
    ],
    [
      caller(["admin"], "red", narrow),
      { tenant: "red", scopes: ["read", "scan:nmap"] },
      false,
    ],
    [LOCAL, { tenant: "blue", scopes: ["approve"] }, true],
  ];
  for (const [principal, key, allowed] of cases) {
    const grant = () => requireGrant(principal, key);
    if (allowed) grant();
    else assert.throws(grant, { code: "forbidden" }, JSON.stringify(key));
  }
});

Deno.test("scopeErrorOf() speaks of a scope only where that is all that is missing", () => {
  verifies("http.challenge");
  const narrow = (roles: readonly Role[], scopes: readonly Scope[] | null) => ({
    ...LOCAL,
    roles: new Set(roles),
    scopes: scopes === null ? null : new Set(scopes),
  });
  const cases: readonly (readonly [
    Principal,
    AuthorizedOperation,
    Scope | null,
  ])[] = [
    [narrow(["operator"], ["read"]), "scan:nmap", "scan:nmap"],
    [narrow(["operator"], ["read"]), "plan:masscan", "scan:masscan"],
    [narrow(["operator"], ["read"]), "cancel", "cancel"],
    [narrow(["viewer"], ["scan:nmap"]), "read", "read"],
    // Any of several will do: the least is named.
    [narrow(["approver"], ["cancel"]), "tools", "read"],
    [narrow(["approver"], ["cancel"]), "approvals", "read"],
    // With the scope the role would still be missing.
    [narrow(["viewer"], ["read"]), "scan:nmap", null],
    [narrow(["viewer"], null), "scan:nmap", null],
    [
      { ...narrow(["admin"], ["read"]), tenant: "red" },
      "configure",
      null,
    ],
    [narrow(["operator"], ["scan:nmap"]), "scan:nmap", null],
    [narrow(["operator"], null), "scan:nmap", null],
    [
      narrow(["admin"], ["admin"]),
      "toString" as AuthorizedOperation,
      null,
    ],
  ];
  for (const [principal, operation, scope] of cases) {
    const error = scopeErrorOf(principal, operation);
    assert.equal(error?.scope ?? null, scope, operation);
    if (may(principal, operation)) continue;
    assert.throws(
      () => require(principal, operation),
      (thrown: unknown) =>
        (thrown as { code?: string }).code === "forbidden" &&
        thrown instanceof ScopeError === (scope !== null),
      operation,
    );
  }
});
