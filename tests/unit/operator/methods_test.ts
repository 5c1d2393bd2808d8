import assert from "node:assert/strict";
import { Methods } from "@/operator/methods.ts";
import { verifies } from "../../requirements.ts";

const METHODS = new Methods([
  { method: "ALL", path: "/*" },
  { method: "GET", path: "/v1/scans" },
  { method: "GET", path: "/v1/scans/:id" },
  { method: "DELETE", path: "/v1/scans/:id" },
  { method: "POST", path: "/tools/:name/execute" },
  { method: "GET", path: "/.well-known/a" },
]);

Deno.test("Methods.of() gives the methods of a path, and HEAD with GET", () => {
  verifies("http.methods");
  for (
    const [path, methods] of [
      ["/v1/scans", "GET,HEAD,OPTIONS"],
      ["/v1/scans/01j", "DELETE,GET,HEAD,OPTIONS"],
      ["/tools/nmap/execute", "OPTIONS,POST"],
      ["/.well-known/a", "GET,HEAD,OPTIONS"],
      ["/xwell-known/a", ""],
      ["/v1/scans/", ""],
      ["/v1/scans/a/b", ""],
      ["/tools//execute", ""],
      ["/", ""],
    ] as const
  ) assert.equal(METHODS.of(path).join(","), methods, path);
});
