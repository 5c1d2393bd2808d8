import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { launchedIn, sandboxOf, type SandboxRules } from "@/spawn/launcher.ts";
import { verifies } from "../../requirements.ts";

const AUTO: SandboxRules = { mode: "auto", required: false };
const BWRAP = ["nmap", "masscan", "gobuster"].map((tool) =>
  `/srv/mcp/sandbox/bwrap/${tool}`
);
const NONE = ["/srv/mcp/sandbox/none/nmap"];
const BARE = ["/usr/bin/nmap", "/usr/bin/gobuster"];

const PATHS: readonly (readonly [path: string, mode: string])[] = [
  ["/srv/sandbox/bwrap/nmap", "bwrap"],
  ["/sandbox/gvisor/nmap", "gvisor"],
  ["/srv/sandbox/none/masscan", "none"],
  ["/usr/bin/nmap", "bare"],
  ["/srv/sandbox/other/nmap", "bare"],
  ["/srv/sandboxes/bwrap/nmap", "bare"],
  ["/srv/sandbox/bwrap/more/nmap", "bare"],
  ["nmap", "bare"],
];

for (const [path, mode] of PATHS) {
  Deno.test(`launchedIn() takes "${path}" for ${mode}`, () => {
    assert.equal(launchedIn(path), mode);
  });
}

Deno.test("sandboxOf() says what it is and what the trial saw", () => {
  verifies("sandbox.choice_is_told");
  assert.deepEqual(sandboxOf(BWRAP, AUTO, "gvisor does not; bwrap works"), {
    mode: "bwrap",
    reason: "chosen by trial: gvisor does not; bwrap works",
  });
  assert.deepEqual(
    sandboxOf(BWRAP, { mode: "bwrap", required: true }, ""),
    { mode: "bwrap", reason: "as configured" },
  );
  assert.equal(sandboxOf(NONE, AUTO, "").mode, "none");
  assert.equal(sandboxOf([], AUTO, "").mode, "none");
  assert.deepEqual(sandboxOf(BARE, { mode: "none", required: false }, ""), {
    mode: "bare",
    reason: "no launcher is on PATH: not even limits are applied",
  });
});

const REFUSALS: readonly (readonly [
  what: string,
  programs: readonly string[],
  rules: SandboxRules,
  message: string,
])[] = [
  [
    "scanners in different sandboxes",
    [...BWRAP, ...NONE],
    AUTO,
    "Cannot start: the scanners on PATH have different sandboxes (bwrap, none); start the server with sandbox/start in front of its command",
  ],
  [
    "scanners without a launcher that nobody asked for",
    BARE,
    AUTO,
    "Cannot start: the scanners on PATH are in no sandbox; start the server with sandbox/start in front of its command, or set sandbox.mode: none",
  ],
  [
    "a sandbox that is not the configured one",
    NONE,
    { mode: "bwrap", required: false },
    "Cannot start: sandbox.mode is bwrap, and the scanners on PATH are those of none; set MCP_SANDBOX_MODE=bwrap and start the server with sandbox/start in front of its command",
  ],
  [
    "no sandbox where one is required",
    NONE,
    { mode: "auto", required: true },
    "Cannot start: sandbox.required is set and the scanners are in no sandbox (bwrap does not work here: no); mend what is missing, or set sandbox.required: false",
  ],
  [
    "no sandbox where one is required, even if none is configured",
    BARE,
    { mode: "none", required: true },
    "Cannot start: sandbox.required is set and the scanners are in no sandbox (bwrap does not work here: no); mend what is missing, or set sandbox.required: false",
  ],
];

for (const [what, programs, rules, message] of REFUSALS) {
  Deno.test(`sandboxOf() refuses ${what}`, () => {
    verifies("sandbox.required");
    assert.throws(
      () => sandboxOf(programs, rules, "bwrap does not work here: no"),
      (thrown) =>
        thrown instanceof AppError && thrown.code === "tool_unavailable" &&
        thrown.message === message,
    );
  });
}
