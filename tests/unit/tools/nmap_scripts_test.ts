/**
 * nmap's scripts: the table against the installed ones, and what each class may do.
 *
 * @module
 */
import assert from "node:assert/strict";
import { SafeText } from "@/spawn/argv.ts";
import {
  classifyScript,
  SCRIPT_CATEGORIES,
  scriptArgv,
  SCRIPTS,
} from "@/tools/nmap/scripts.ts";
import { verifies } from "../../requirements.ts";

verifies("nmap.scripts.allowlist");

Deno.test("classifyScript() needs every category of a script to be mild", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["http-title", "mild"],
    ["ssl-cert", "mild"],
    ["default", "mild"],
    ["safe", "mild"],
    ["discovery", "mild"],
    ["ssh-auth-methods", "intrusive"],
    ["auth", "other"],
    ["version", "other"],
    ["skypev2-version", "other"],
    ["http-git", "intrusive"],
    ["ssl-heartbleed", "intrusive"],
    ["ssh-brute", "intrusive"],
    ["vuln", "intrusive"],
    ["http-open-proxy", "unconfined"],
    ["whois-ip", "unconfined"],
    ["broadcast-ping", "unconfined"],
    ["external", "unconfined"],
    ["broadcast", "unconfined"],
    ["url-snarf", "unconfined"],
  ];
  for (const [word, kind] of cases) {
    assert.deepEqual([word, classifyScript(word)], [word, kind]);
  }
});

Deno.test("scriptArgv() leaves the scripts that leave the targets out of every category", () => {
  for (const word of SCRIPT_CATEGORIES) {
    const text = SafeText.textOf(scriptArgv([word]));
    for (const barred of ["external", "broadcast"]) {
      const not = text.slice(text.indexOf("and(not("));
      assert.ok(not.includes(`(${barred})`), `${word}: ${text}`);
    }
  }
});

Deno.test("scriptArgv() writes names, then mild words, then the others", () => {
  assert.equal(
    SafeText.textOf(scriptArgv(["vuln", "default", "http-title"])),
    "http-title," +
      "((default))and(not((intrusive)or(vuln)or(exploit)or(dos)or(brute)or(malware)or(fuzzer)or(external)or(broadcast)or(ftp-bounce)))," +
      "((vuln))and(not((external)or(broadcast)or(http-csrf)or(http-dombased-xss)or(http-fileupload-exploiter)or(http-jsonp-detection)or(http-method-tamper)or(http-phpself-xss)or(http-sql-injection)or(http-stored-xss)))",
  );
});

Deno.test("SCRIPTS holds names that can stand in an expression of nmap", () => {
  assert.equal(SCRIPTS.size, 604);
  for (const [name, categories] of SCRIPTS) {
    assert.match(name, /^[a-z0-9]+([.-][a-z0-9]+)*$/i);
    assert.ok(!SCRIPT_CATEGORIES.includes(name));
    assert.ok(categories.length > 0);
    for (const category of categories) {
      assert.ok(SCRIPT_CATEGORIES.includes(category), `${name}: ${category}`);
    }
  }
});
