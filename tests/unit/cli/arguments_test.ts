/**
 * Command lines of `scan` and `plan`: the tool's own fields as flags.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { parseScanArguments } from "@/cli/arguments.ts";

function refusalOf(args: readonly string[]): string {
  try {
    parseScanArguments(args);
    return "no error";
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    assert.match(thrown.message, /^Cannot /);
    return thrown.code;
  }
}

Deno.test("parseScanArguments() reads each kind of field", () => {
  const { tool, request, json } = parseScanArguments([
    "nmap",
    "127.0.0.1",
    "--ports",
    "1-1024",
    "--top-ports=100",
    "--service-detection",
    "--scripts",
    "http-title,ssh-hostkey",
    "--scripts",
    "default",
    "--json",
  ]);
  assert.equal(tool, "nmap");
  assert.equal(json, true);
  assert.deepEqual(request, {
    target: "127.0.0.1",
    ports: "1-1024",
    top_ports: 100,
    service_detection: true,
    scripts: ["http-title", "ssh-hostkey", "default"],
  });
});

Deno.test("parseScanArguments() makes a list of several targets", () => {
  const { request } = parseScanArguments(["nmap", "127.0.0.1", "::1"]);
  assert.deepEqual(request["target"], ["127.0.0.1", "::1"]);
});

Deno.test("parseScanArguments() hands an odd number on for the engine to refuse", () => {
  const { request } = parseScanArguments(["nmap", "x", "--top-ports", "1e3"]);
  assert.equal(request["top_ports"], "1e3");
  const { request: minus } = parseScanArguments([
    "nmap",
    "x",
    "--top-ports=-5",
  ]);
  assert.equal(minus["top_ports"], -5);
});

Deno.test("parseScanArguments() takes extra_args as one text, dashes and all", () => {
  const { request } = parseScanArguments([
    "nmap",
    "127.0.0.1",
    "--extra-args=-sV --script=/tmp/x.nse",
  ]);
  assert.equal(request["extra_args"], "-sV --script=/tmp/x.nse");
});

Deno.test("parseScanArguments() takes what stands behind -- for a target, never for a flag", () => {
  const { request } = parseScanArguments(["nmap", "--", "-oN"]);
  assert.deepEqual(request, { target: "-oN" });
});

Deno.test("parseScanArguments() keeps JSON out of the request", () => {
  assert.deepEqual(
    parseScanArguments(["masscan", "10.0.0.1", "--ports", "80"]),
    {
      tool: "masscan",
      request: { target: "10.0.0.1", ports: "80" },
      json: false,
    },
  );
});

Deno.test("parseScanArguments() refuses what it does not know, and names the options", () => {
  assert.equal(refusalOf([]), "invalid_arguments");
  assert.equal(refusalOf(["--json"]), "invalid_arguments");
  assert.equal(refusalOf(["nikto", "127.0.0.1"]), "tool_not_found");
  assert.equal(refusalOf(["__proto__"]), "tool_not_found");
  assert.equal(refusalOf(["nmap", "--no-such"]), "invalid_arguments");
  assert.equal(refusalOf(["nmap", "-oN"]), "invalid_arguments");
  assert.equal(refusalOf(["nmap", "--ports"]), "invalid_arguments");
  assert.equal(refusalOf(["nmap", "--background"]), "invalid_arguments");
  assert.throws(
    () => parseScanArguments(["nmap", "--porst", "80"]),
    /the options are --target, .*--ports.*, --json$/,
  );
});

Deno.test("parseScanArguments() takes a mode that stands alone for the mode", () => {
  assert.deepEqual(parseScanArguments(["gobuster", "dns"]).request, {
    mode: "dns",
  });
  assert.deepEqual(parseScanArguments(["gobuster", "lab.internal"]).request, {
    target: "lab.internal",
  });
});
