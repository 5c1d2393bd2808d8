/**
 * How the permitted paths of a program are found.
 *
 * @module
 */
import assert from "node:assert/strict";
import { findPrograms } from "@/spawn/program.ts";

/** Permits some paths and remembers what was asked. */
function permitting(...paths: string[]) {
  const asked: string[] = [];
  const query = (command: string): Deno.PermissionState => {
    asked.push(command);
    return paths.includes(command) ? "granted" : "prompt";
  };
  return { asked, query };
}

Deno.test("findPrograms() takes the permitted paths in the order of PATH", () => {
  const { asked, query } = permitting("/opt/nmap", "/usr/bin/nmap");
  assert.deepEqual(
    findPrograms("nmap", "/usr/local/bin:/usr/bin:/opt:/usr/bin", query),
    ["/usr/bin/nmap", "/opt/nmap"],
  );
  assert.deepEqual(asked, [
    "/usr/local/bin/nmap",
    "/usr/bin/nmap",
    "/opt/nmap",
  ]);
});

Deno.test("findPrograms() asks for absolute paths only", () => {
  const { asked, query } = permitting("nmap", "./nmap", "bin/nmap");
  assert.deepEqual(findPrograms("nmap", ":.:bin:../x:~/bin", query), []);
  assert.deepEqual(asked, []);
});

Deno.test("findPrograms() writes a folder's slashes once, the root's too", () => {
  const { query } = permitting("/nmap", "/opt/tools/nmap");
  assert.deepEqual(findPrograms("nmap", "/", query), ["/nmap"]);
  assert.deepEqual(findPrograms("nmap", "/opt/tools//", query), [
    "/opt/tools/nmap",
  ]);
});

Deno.test("findPrograms() finds nothing where nothing is permitted", () => {
  const { query } = permitting();
  assert.deepEqual(findPrograms("nmap", "/usr/bin:/bin", query), []);
  assert.deepEqual(findPrograms("nmap", "", query), []);
});

Deno.test("findPrograms() takes a denied or a partial state for no permission", () => {
  for (const state of ["denied", "prompt"] as const) {
    assert.deepEqual(findPrograms("nmap", "/usr/bin", () => state), []);
  }
});
