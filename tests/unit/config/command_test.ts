import assert from "node:assert/strict";
import { configCheck, configPrint } from "@/cli/config_view.ts";
import { loadConfig } from "@/config/load.ts";
import { REDACTED } from "@/config/redact.ts";
import { KEYS } from "@/config/schema.ts";
import { verifies } from "../../requirements.ts";

verifies("config.redaction");

const CANARY = "c4nary-5ecret-value";

const TEXT = "server:\n  port: 0\nnmap:\n  allowed_scripts: [http-title]\n";

function loaded(): ReturnType<typeof loadConfig> {
  return loadConfig({
    file: { name: "/etc/scanner/x.yaml", text: TEXT },
    env: {
      MCP_LOG_LEVEL: "debug",
      MCP_STATE_FOLDER: `/var/lib/x?token=${CANARY}`,
      MCP_GOBUSTER_WORDLIST_FOLDERS: `true,.5,user:${CANARY}@host`,
    },
  });
}

Deno.test("configPrint() shows every key with where its value came from", () => {
  const text = configPrint(loaded(), { json: false });
  assert.match(
    text,
    /^# warning: x\.yaml:2:9: server\.port: 0 is outside 1 to 65535; 1 is used\n/,
  );
  assert.ok(text.includes("  port: 1 # file: x.yaml:2:9\n"));
  assert.ok(text.includes("  level: debug # environment: MCP_LOG_LEVEL\n"));
  assert.ok(text.includes('  host: "127.0.0.1" # default\n'));
  for (const { key } of KEYS) assert.ok(text.includes(`\n  ${key}: `), key);
});

Deno.test("configPrint() shows no secret, as text and as JSON", () => {
  for (const json of [true, false]) {
    const text = configPrint(loaded(), { json });
    assert.ok(!text.includes(CANARY), text);
    assert.ok(text.includes(REDACTED));
  }
});

Deno.test("configPrint() prints YAML that loads to the same configuration", () => {
  const env = {
    MCP_STATE_FOLDER: "no",
    MCP_GOBUSTER_WORDLIST_FOLDERS:
      "true,.5,.inf,a b,# x,1e3,0x1,~,.,..,[x],y: z,ä,\"q\",'q'",
    MCP_SECURITY_ALLOWED_SUBNETS: "::/0",
    MCP_HEALTH_LOAD_MAX_PER_CORE: "0.5",
  };
  const first = loadConfig({ file: null, env });
  const text = configPrint(first, { json: false });
  const second = loadConfig({ file: { name: "x.yaml", text }, env: {} });
  assert.deepEqual(second.config, first.config);
});

Deno.test("configPrint() gives JSON with values, origins and warnings", () => {
  const body = JSON.parse(configPrint(loaded(), { json: true }));
  assert.equal(body.config.server.port, 1);
  assert.deepEqual(body.origins["server.port"], {
    origin: "file",
    place: "x.yaml:2:9",
  });
  assert.deepEqual(body.origins["server.host"], {
    origin: "default",
    place: null,
  });
  assert.deepEqual(Object.keys(body.origins), KEYS.map(({ name }) => name));
  assert.equal(body.warnings.length, 1);
});

Deno.test("configCheck() says whether a file can be used, with its warnings", () => {
  assert.deepEqual(
    configCheck({ name: "x.yaml", text: TEXT }, { json: false }),
    {
      ok: true,
      text:
        "warning: x.yaml:2:9: server.port: 0 is outside 1 to 65535; 1 is used\nThe configuration can be used\n",
    },
  );
  assert.deepEqual(
    configCheck({ name: "x.yaml", text: "a: 1" }, { json: false }).ok,
    false,
  );
  const { ok, text } = configCheck({ name: "x.yaml", text: "logg: 1" }, {
    json: true,
  });
  assert.equal(ok, false);
  assert.deepEqual(JSON.parse(text), {
    ok: false,
    problem:
      'Cannot use the configuration: 1 problem; correct it and try again\n  x.yaml:1:1: "logg" is no section; did you mean log?',
    warnings: [],
  });
});
