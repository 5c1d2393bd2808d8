/**
 * How the one permitted path of a program is found.
 *
 * @module
 */
import assert from "node:assert/strict";
import { findProgram } from "@/spawn/program.ts";

/** Permits some paths and remembers what was asked. */
function permitting(...paths: string[]) {
  const asked: string[] = [];
  const query = (command: string): Deno.PermissionState => {
    asked.push(command);
    return paths.includes(command) ? "granted" : "prompt";
  };
  return { asked, query };
}

Deno.test("findProgram() takes the first permitted path of PATH", () => {
  const { asked, query } = permitting("/usr/bin/nmap", "/opt/nmap");
  assert.equal(
    findProgram("nmap", "/usr/local/bin:/usr/bin:/opt", query),
    "/usr/bin/nmap",
  );
  assert.deepEqual(asked, ["/usr/local/bin/nmap", "/usr/bin/nmap"]);
});

Deno.test("findProgram() asks for absolute paths only", () => {
  const { asked, query } = permitting("nmap", "./nmap", "bin/nmap");
  assert.equal(findProgram("nmap", ":.:bin:../x:~/bin", query), null);
  assert.deepEqual(asked, []);
});

Deno.test("findProgram() writes a folder's slashes once, the root's too", () => {
  const { query } = permitting("/nmap", "/opt/tools/nmap");
  assert.equal(findProgram("nmap", "/", query), "/nmap");
  assert.equal(findProgram("nmap", "/opt/tools//", query), "/opt/tools/nmap");
});

Deno.test("findProgram() finds nothing where nothing is permitted", () => {
  const { query } = permitting();
  assert.equal(findProgram("nmap", "/usr/bin:/bin", query), null);
  assert.equal(findProgram("nmap", "", query), null);
});

Deno.test("findProgram() takes a denied or a partial state for no permission", () => {
  for (const state of ["denied", "prompt"] as const) {
    assert.equal(findProgram("nmap", "/usr/bin", () => state), null);
  }
});
