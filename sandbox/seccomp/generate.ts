/**
 * Writes the seccomp filter of the scanners:
 *
 *   deno run --no-prompt --allow-write=sandbox/seccomp/filter.bpf sandbox/seccomp/generate.ts
 *
 * The filter is checked in, so that a server needs nothing to load it; a test regenerates and compares.
 * With the argument `list` it prints every call of the table and its answer instead.
 *
 * @module
 */
import { encode, program } from "./program.ts";
import { GROUPS } from "./syscalls.ts";

if (Deno.args[0] === "list") {
  const lines = GROUPS.flatMap(({ answer, calls }) =>
    Object.keys(calls).map((name) => `${name} ${answer}\n`)
  );
  await new Blob(lines).stream().pipeTo(Deno.stdout.writable);
} else {
  await Deno.writeFile(
    new URL("filter.bpf", import.meta.url),
    encode(program()),
  );
}
