/**
 * What each isolate may do, key by key, in literals.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  isSound,
  readGrants,
  toolGrant,
  wardenGrant,
} from "@/isolate/grant.ts";
import { verifies } from "../../requirements.ts";

Deno.test("toolGrant() is one program and nothing else", () => {
  verifies("isolate.grants.pinned");
  assert.deepEqual(toolGrant("/usr/bin/nmap"), {
    run: ["/usr/bin/nmap"],
    net: false,
    read: false,
    write: false,
    env: false,
    ffi: false,
    sys: false,
    import: false,
  });
});

Deno.test("wardenGrant() is the three programs, what it reads, and nothing else", () => {
  verifies("isolate.grants.pinned");
  const programs = { nmap: "/usr/bin/nmap", gobuster: "/usr/bin/gobuster" };
  assert.deepEqual(wardenGrant(programs, ["/app/src", "/app/config"]), {
    run: ["/usr/bin/nmap", "/usr/bin/gobuster"],
    net: false,
    read: ["/app/src", "/app/config"],
    write: false,
    env: false,
    ffi: false,
    sys: false,
    import: false,
  });
});

Deno.test("wardenGrant() grants nothing where there is nothing to name", () => {
  const grant = wardenGrant({}, []);
  // An empty list is no permission to a worker, unlike a flag without a value; true is everything.
  assert.deepEqual([grant.run, grant.read], [[], []]);
});

/** Answers like Deno: what is listed is granted. */
function granting(...granted: string[]) {
  return (descriptor: Deno.PermissionDescriptor): Deno.PermissionState => {
    const command = "command" in descriptor ? descriptor.command : undefined;
    const asked = command === undefined
      ? descriptor.name
      : `run ${String(command)}`;
    return granted.includes(asked) ? "granted" : "prompt";
  };
}

const PROGRAMS = ["/usr/bin/nmap", "/usr/bin/masscan", "/usr/bin/gobuster"];

Deno.test("readGrants() names every permission that is granted besides the program", () => {
  verifies("isolate.grants.pinned");
  assert.deepEqual(readGrants(PROGRAMS, granting("run /usr/bin/nmap")), {
    run: ["/usr/bin/nmap"],
    others: [],
  });
  const wide = [
    "net",
    "read",
    "write",
    "env",
    "ffi",
    "sys",
    "import",
    "run",
    "run /bin/sh",
    "run /usr/bin/env",
    "run /usr/bin/deno",
  ];
  for (const one of wide) {
    const { others } = readGrants(PROGRAMS, granting(one));
    assert.deepEqual(others, [one.replace(/^run /, "")], one);
  }
});

Deno.test("isSound() takes exactly one program and nothing else", () => {
  verifies("isolate.wider_grant_fails_start");
  const run = ["/usr/bin/nmap"];
  const program = "/usr/bin/nmap";
  assert.equal(isSound({ run, others: [] }, program), true);
  assert.equal(isSound({ run: [], others: [] }, program), false);
  assert.equal(isSound({ run, others: ["net"] }, program), false);
  assert.equal(isSound({ run: PROGRAMS, others: [] }, program), false);
  assert.equal(
    isSound({ run: ["/usr/bin/masscan"], others: [] }, program),
    false,
  );
});
