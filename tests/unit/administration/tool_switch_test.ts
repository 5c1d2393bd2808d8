/**
 * The operators' switches: kept before they count, and never lost without a word.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type SwitchFile, ToolSwitch } from "@/administration/tool_switch.ts";
import { AppError } from "@/error/app_error.ts";
import { verifies } from "../../requirements.ts";

/** A file in memory that can be full, and that takes its time. */
class FakeFile implements SwitchFile {
  text: string | null = null;
  full = false;

  read(): Promise<string | null> {
    return Promise.resolve(this.text);
  }

  async write(text: string): Promise<void> {
    await Promise.resolve();
    await Promise.resolve();
    if (this.full) throw new Error("ENOSPC /srv/scanner/state/tools.json");
    this.text = text;
  }
}

/** The tools that are off. */
function off(switches: ToolSwitch): string[] {
  return (["nmap", "masscan", "gobuster"] as const).filter((tool) =>
    switches.isOff(tool)
  );
}

Deno.test("ToolSwitch has everything on where nothing was kept", async () => {
  const switches = new ToolSwitch(new FakeFile());
  await switches.load();
  assert.deepEqual(off(switches), []);
});

Deno.test("set() keeps what is off, and another start takes it up", async () => {
  verifies("admin.tool_switch");
  const file = new FakeFile();
  const switches = new ToolSwitch(file);
  await switches.set("nmap", false);
  await switches.set("masscan", false);
  await switches.set("masscan", false);
  assert.deepEqual(off(switches), ["nmap", "masscan"]);
  assert.equal(file.text, '{"off":["masscan","nmap"]}\n');
  const next = new ToolSwitch(file);
  await next.load();
  assert.deepEqual(off(next), ["nmap", "masscan"]);
  await next.set("nmap", true);
  await next.set("masscan", true);
  assert.deepEqual(off(next), []);
  assert.equal(file.text, '{"off":[]}\n');
});

Deno.test("set() changes nothing that cannot be kept, and names no path", async () => {
  verifies("admin.tool_switch");
  const file = new FakeFile();
  const switches = new ToolSwitch(file);
  await switches.set("nmap", false);
  file.full = true;
  for (const [tool, on] of [["nmap", true], ["masscan", false]] as const) {
    await assert.rejects(switches.set(tool, on), (thrown) => {
      assert.ok(thrown instanceof AppError);
      assert.equal(thrown.code, "internal");
      assert.equal(
        thrown.message,
        `Cannot switch "${tool}": it cannot be kept in the state folder; see the server log`,
      );
      assert.match(thrown.detail ?? "", /ENOSPC/);
      return true;
    });
  }
  assert.deepEqual(off(switches), ["nmap"]);
  file.full = false;
  await switches.set("masscan", false);
  assert.deepEqual(off(switches), ["nmap", "masscan"]);
});

Deno.test("set() of several at once loses none of them", async () => {
  const file = new FakeFile();
  const switches = new ToolSwitch(file);
  await Promise.all([
    switches.set("nmap", false),
    switches.set("masscan", false),
    switches.set("gobuster", false),
    switches.set("masscan", true),
  ]);
  assert.deepEqual(off(switches), ["nmap", "gobuster"]);
  assert.equal(file.text, '{"off":["gobuster","nmap"]}\n');
});

/** Files that no switch wrote. */
const DAMAGED: readonly string[] = [
  "",
  "{",
  "null",
  "[]",
  '"off"',
  "{}",
  '{"off":null}',
  '{"off":"nmap"}',
  '{"off":{"0":"nmap"}}',
  '{"off":["nikto"]}',
  '{"off":["nmap",1]}',
  '{"off":["constructor"]}',
  '{"__proto__":{"off":[]}}',
  `{"off":[]}${" ".repeat(5_000)}`,
];

for (const text of DAMAGED) {
  Deno.test(`load() refuses ${JSON.stringify(text.slice(0, 30))}, with the way out, and nothing comes back by it`, async () => {
    verifies("admin.tool_switch");
    const file = new FakeFile();
    const switches = new ToolSwitch(file);
    await switches.set("nmap", false);
    file.text = text;
    await assert.rejects(switches.load(), {
      code: "internal",
      message:
        "Cannot read which tools operators switched off: tools.json in the state folder is damaged; remove it to switch all of them on",
    });
    assert.deepEqual(off(switches), ["nmap"]);
    await assert.rejects(new ToolSwitch(file).load(), { code: "internal" });
  });
}
