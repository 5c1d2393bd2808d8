/**
 * Scripts that a hostile target could use to send the scanner out of the scope. Each was seen to do
 * so with nmap 7.93: it asked a host that no request named.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SafeText } from "@/spawn/argv.ts";
import { nmap } from "@/tools/nmap/tool.ts";
import {
  classifyScript,
  SCRIPT_CATEGORIES,
  scriptArgv,
  SCRIPTS,
  UNCONFINED_SCRIPTS,
} from "@/tools/nmap/scripts.ts";
import { GUARDRAILS } from "./nmap_fixture.ts";

const LEAVE = [
  "http-auth-finder",
  "http-backup-finder",
  "http-grep",
  "http-fetch",
  "http-comments-displayer",
  "http-method-tamper",
  "http-security-headers",
  "http-mobileversion-checker",
  "http-useragent-tester",
  "http-referer-checker",
  "http-feed",
  "http-wordpress-enum",
  "ftp-bounce",
  "fcrdns",
];

function codeOf(scripts: readonly string[], allowIntrusive: boolean): string {
  const guardrails = { ...GUARDRAILS, allowIntrusive };
  const plan = nmap.plan(
    nmap.parse({ target: "127.0.0.1", scripts }, guardrails),
    { guardrails, powers: { rawSockets: true }, resolved: new Map() },
  );
  const refusal = plan.verdicts.find(({ allowed }) => !allowed);
  assert.equal(plan.passes.length, refusal === undefined ? 1 : 0);
  return refusal?.error?.code ?? "allowed";
}

Deno.test("a script that follows the target out of the scope runs under no right", () => {
  for (const name of LEAVE) {
    assert.equal(classifyScript(name), "unconfined", name);
    assert.equal(codeOf([name], false), "intrusive_not_allowed", name);
    assert.equal(codeOf([name], true), "target_not_allowed", name);
  }
});

Deno.test("no category word brings a script that follows the target out of the scope", () => {
  for (const word of SCRIPT_CATEGORIES) {
    const text = SafeText.textOf(scriptArgv([word]));
    const barred = new Set(
      text.slice(text.indexOf("and(not(")).match(/[a-z0-9-]+/g),
    );
    for (const name of UNCONFINED_SCRIPTS) {
      const categories = SCRIPTS.get(name) ?? [];
      assert.notEqual(categories.length, 0, name);
      const out = !categories.includes(word) || barred.has(name) ||
        categories.some((category) => barred.has(category));
      assert.ok(out, `${word} brings ${name}: ${text}`);
    }
  }
});
