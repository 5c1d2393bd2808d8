import assert from "node:assert/strict";
import { isLauncherLine } from "@/spawn/launcher_line.ts";

/** Lines as they were seen, from launchers that were broken on purpose. */
const LAUNCHERS: readonly string[] = [
  "sandbox: nmap is not installed; run scripts/setup.sh",
  "sandbox: cpu_us=0000000001234567",
  "bwrap: Can't find source path /srv/mcp: No such file or directory",
  "setpriv: /x",
  "prlimit: failed to execute /usr/bin/nmap: Permission denied",
  "nsenter: cannot open /run/netns/security-mcp: No such file or directory",
  "runsc: /x",
  "env: 'perl': No such file or directory",
  "env: /srv/mcp/x: Permission denied",
  "perl: warning: Setting locale failed.",
  // The shell.
  "sh: 1: exec: prlimit: not found",
  "/srv/mcp/sandbox/bwrap/nmap: 12: env: not found",
  "/srv/my folder/sandbox/bwrap/nmap: 12: env: not found",
  "/srv/my folder/scripts/nmap: line 12: env: command not found",
  "/srv/x/sandbox/bwrap/../launcher.sh: 12: cannot open /srv/x: No such file",
  "/srv/x/sandbox/none/nmap: .: line 5: can't open '/srv/x/launcher.sh'",
  // Perl.
  `Can't open perl script "/srv/secret place/sandbox/bwrap/../supervise": No such file or directory`,
  "Can't locate strict.pm in @INC (you may need to install the strict module) (@INC entries checked: /etc/perl) at /srv/secret/sandbox/gvisor/../supervise line 27.",
  "BEGIN failed--compilation aborted at /srv/my folder/sandbox/none/../supervise line 27.",
  "Execution of /srv/mcp/sandbox/none/../supervise aborted due to compilation errors.",
];

/** Lines of scanners. */
const SCANNERS: readonly string[] = [
  "",
  'Failed to resolve "nope".',
  "Failed to open device lo",
  "dnet: Failed to open device eth0",
  "nmap: unrecognized option '--sandbox'",
  "Warning: 10.0.0.1 giving up on port because retransmission cap hit (10).",
  "[-] FAIL: failed to detect IP of interface: 12",
  "Error: the server returns a status code that matches: http://127.0.0.1/sandbox/x => 200",
  "at 12:30: 5 hosts",
  "environment: 1",
  "  sandbox: no",
];

for (const [lines, kept] of [[LAUNCHERS, true], [SCANNERS, false]] as const) {
  for (const line of lines) {
    Deno.test(`isLauncherLine() ${kept ? "keeps back" : "hands on"} "${line}"`, () => {
      assert.equal(isLauncherLine(line), kept);
    });
  }
}

Deno.test("isLauncherLine() takes no long time over a long line", () => {
  const since = performance.now();
  for (const piece of [": ", "/", "/: 1", "/sandbox/", "1: "]) {
    isLauncherLine(`/${piece.repeat(20_000)}`);
  }
  assert.ok(performance.now() - since < 200);
});
