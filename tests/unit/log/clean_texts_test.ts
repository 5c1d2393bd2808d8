/**
 * The memory of texts that hold no secret.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../../requirements.ts";
import { auditText } from "@/audit/text.ts";
import { CleanTexts } from "@/log/clean_texts.ts";
import { redactText } from "@/log/redact.ts";

Deno.test("CleanTexts knows what was added, and hexadecimal digits", () => {
  const texts = new CleanTexts();
  const id = "0123456789abcdef".repeat(4);
  assert.deepEqual(
    ["nmap", id, `${id}0`, id.toUpperCase()].map((text) => texts.has(text)),
    [false, true, false, false],
  );
  texts.add("nmap");
  assert.deepEqual([texts.has("nmap"), texts.has("nmap ")], [true, false]);
});

Deno.test("CleanTexts is bounded in number and length", () => {
  const texts = new CleanTexts();
  texts.add("x".repeat(512));
  texts.add("x".repeat(513));
  assert.equal(texts.has("x".repeat(512)), true);
  assert.equal(texts.has("x".repeat(513)), false);
  for (let n = 0; n < 1_024; n++) texts.add(`text ${n}`);
  assert.equal(texts.has("x".repeat(512)), false);
  assert.equal(texts.has("text 1023"), true);
});

Deno.test("redactText() and auditText() take the same secret out again and again", () => {
  verifies("log.clean_texts");
  const text = "curl --header Authorization: Bearer abcdefgh";
  for (const redacted of [redactText, (one: string) => auditText(one, 256)]) {
    const first = redacted(text);
    assert.equal(first.includes("abcdefgh"), false);
    assert.equal(redacted(text), first);
  }
});

Deno.test("auditText() cuts a text that is known as it cuts an unknown one", () => {
  const text = "y ".repeat(200);
  const cut = `${text.slice(0, 256)}... (cut, 400 long)`;
  assert.deepEqual([auditText(text, 256), auditText(text, 256)], [cut, cut]);
  assert.equal(auditText(text, 2_048), text);
});
