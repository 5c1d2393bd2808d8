import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { loadConfig } from "@/config/load.ts";
import type { LoadedConfig } from "@/config/resolve.ts";
import { ENVIRONMENT_NAMES, KEYS } from "@/config/schema.ts";
import { verifies } from "../../requirements.ts";

verifies("config.precedence", "config.clamps");

function ofYaml(text: string, env: Record<string, string> = {}): LoadedConfig {
  return loadConfig({ file: { name: "test.yaml", text }, env });
}

function ofEnv(env: Record<string, string>): LoadedConfig {
  return loadConfig({ file: null, env });
}

/** Asserts a refusal and gives its lines behind the first. */
function refusal(load: () => unknown): string[] {
  let lines: string[] = [];
  assert.throws(load, (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "invalid_arguments");
    lines = error.message.split("\n").slice(1).map((line) => line.trim());
    return true;
  });
  return lines;
}

/** Reads a value by its name. */
function valueOf({ config }: LoadedConfig, name: string): unknown {
  const [section = "", key = ""] = name.split(".");
  const keys = Object.entries(config).find(([one]) => one === section)?.[1];
  return Object.entries(keys ?? {}).find(([one]) => one === key)?.[1];
}

/** The limits of a tool's process, the same for every tool. */
function limitRanges(
  tool: string,
): (readonly [name: string, minimum: number, maximum: number])[] {
  return [
    [`${tool}.limit_cpu_seconds`, 1, 86_400],
    [`${tool}.limit_address_space_bytes`, 134_217_728, 68_719_476_736],
    [`${tool}.limit_file_bytes`, 4_096, 1_073_741_824],
    [`${tool}.limit_processes`, 4, 4_096],
    [`${tool}.limit_open_files`, 32, 65_536],
    [`${tool}.limit_wall_seconds`, 1, 86_400],
    [`${tool}.limit_output_bytes`, 65_536, 104_857_600],
  ];
}

/** Every number with its range, as literals: a change of the schema has to be made here, too. */
const RANGES: readonly (readonly [
  name: string,
  minimum: number,
  maximum: number,
])[] = [
  ["server.port", 1, 65_535],
  ["server.shutdown_grace_seconds", 0, 300],
  ["server.max_body_bytes", 1_024, 67_108_864],
  ["server.request_timeout_seconds", 1, 600],
  ["server.max_streams", 1, 65_536],
  ["identity.clock_skew_seconds", 0, 300],
  ["limits.requests_per_minute", 0, 1_000_000],
  ["limits.tenant_requests_per_minute", 0, 1_000_000],
  ["limits.scans_per_hour", 0, 1_000_000],
  ["limits.targets_per_hour", 0, 1_000_000_000],
  ["limits.cpu_seconds_per_hour", 0, 10_000_000],
  ["limits.packets_per_hour", 0, 1_000_000_000_000],
  ["limits.concurrent_scans", 0, 64],
  ["policy.approval_expires_seconds", 60, 2_592_000],
  ["events.keep", 0, 1_000_000],
  ["events.client_queue", 10, 100_000],
  ["events.heartbeat_seconds", 1, 300],
  ["tool.default_timeout", 1, 86_400],
  ["tool.max_timeout", 1, 86_400],
  ["security.max_network_size", 1, 65_536],
  ["security.max_output_bytes", 65_536, 104_857_600],
  ["security.max_concurrent_scans", 1, 64],
  ["security.max_queued_scans", 0, 1_024],
  ["security.max_extra_args_length", 0, 8_192],
  ["nmap.concurrency", 1, 64],
  ["nmap.timing", 0, 4],
  ["nmap.max_parallelism", 1, 100],
  ["nmap.top_ports", 1, 65_535],
  ["nmap.max_ports", 1, 65_535],
  ...limitRanges("nmap"),
  ["masscan.concurrency", 1, 16],
  ["masscan.default_rate", 1, 100_000],
  ["masscan.max_rate", 1, 100_000],
  ["masscan.passes", 1, 5],
  ["masscan.wait_seconds", 1, 60],
  ["masscan.max_ports", 1, 65_535],
  ...limitRanges("masscan"),
  ["gobuster.concurrency", 1, 64],
  ["gobuster.default_threads", 1, 100],
  ["gobuster.max_threads", 1, 100],
  ["gobuster.request_timeout_seconds", 1, 300],
  ...limitRanges("gobuster"),
  ["breaker.failure_threshold", 1, 1_000],
  ["breaker.success_threshold", 1, 100],
  ["breaker.recovery_timeout_seconds", 1, 3_600],
  ["breaker.backoff_multiplier", 1, 10],
  ["breaker.max_recovery_timeout_seconds", 1, 86_400],
  ["breaker.jitter", 0, 1],
  ["health.interval_seconds", 1, 3_600],
  ["health.check_timeout_seconds", 1, 300],
  ["health.overall_timeout_seconds", 1, 600],
  ["health.history", 1, 10_000],
  ["health.memory_max_percent", 1, 100],
  ["health.load_max_per_core", 0.1, 1_000],
  ["health.disk_free_min_bytes", 0, 1_099_511_627_776],
  ["health.event_loop_lag_max_ms", 1, 60_000],
  ["mcp.max_result_tokens", 200, 50_000],
  ["scans.keep", 1, 100_000],
  ["scans.keep_bytes", 1_048_576, 8_589_934_592],
  ["cache.ttl_seconds", 0, 2_592_000],
  ["retention.max_age_days", 0, 36_500],
  ["retention.max_bytes", 0, 1_099_511_627_776],
  ["audit.checkpoint_every", 1, 100_000],
  ["audit.rotate_bytes", 65_536, 4_294_967_296],
  ["audit.keep_files", 0, 100_000],
];

/** Where a number may not be above another, the other is raised to its most beside it. */
const ABOVE: Readonly<Record<string, string>> = {
  "tool.default_timeout": "tool.max_timeout",
  "masscan.default_rate": "masscan.max_rate",
  "gobuster.default_threads": "gobuster.max_threads",
  "breaker.recovery_timeout_seconds": "breaker.max_recovery_timeout_seconds",
  "health.overall_timeout_seconds": "health.interval_seconds",
  "health.check_timeout_seconds": "health.overall_timeout_seconds",
};

function variableOf(name: string): string {
  return `MCP_${name.replace(".", "_").toUpperCase()}`;
}

function raised(name: string): Record<string, string> {
  const above = ABOVE[name];
  if (above === undefined) return {};
  return { ...raised(above), [variableOf(above)]: "999999999999" };
}

Deno.test("RANGES names every number of the configuration", () => {
  assert.deepEqual(
    RANGES.map(([name]) => name),
    KEYS.filter(({ spec }) => spec.range !== null).map(({ name }) => name),
  );
});

for (const [name, minimum, maximum] of RANGES) {
  Deno.test(`loadConfig() clamps ${name} to ${minimum} and ${maximum}, with a warning`, () => {
    const [section, key] = name.split(".");
    for (
      const [given, used] of [[minimum - 1, minimum], [maximum + 1, maximum]]
    ) {
      const text = `${section}:\n  ${key}: ${given}\n`;
      const above = raised(name);
      const place = `test.yaml:2:${(key ?? "").length + 5}`;
      const loaded = ofYaml(text, above);
      assert.equal(valueOf(loaded, name), used);
      const warning =
        `${name}: ${given} is outside ${minimum} to ${maximum}; ${used} is used`;
      assert.ok(
        loaded.warnings.includes(`${place}: ${warning}`),
        loaded.warnings.join("\n"),
      );
      const fromEnv = ofEnv({ ...above, [variableOf(name)]: String(given) });
      assert.equal(valueOf(fromEnv, name), used);
      assert.ok(fromEnv.warnings.includes(`${variableOf(name)}: ${warning}`));
    }
    for (const sound of [minimum, maximum]) {
      const loaded = ofEnv({
        ...raised(name),
        [variableOf(name)]: String(sound),
      });
      assert.equal(valueOf(loaded, name), sound);
      assert.equal(
        loaded.warnings.some((text) => text.startsWith(`${variableOf(name)}:`)),
        false,
      );
    }
  });
}

Deno.test("loadConfig() gives the documented defaults", () => {
  const { config, origins, places, warnings } = ofEnv({});
  assert.equal(config.server.host, "127.0.0.1");
  assert.equal(config.server.transport, "stdio");
  assert.equal(config.security.allow_intrusive, false);
  assert.deepEqual(config.security.allowed_subnets, []);
  assert.deepEqual(config.security.allowed_host_suffixes, [".lab.internal"]);
  assert.equal(config.security.max_network_size, 1_024);
  assert.equal(config.security.max_output_bytes, 10_485_760);
  assert.deepEqual(config.nmap.allowed_paces, ["restrained", "balanced"]);
  assert.equal(config.gobuster.resolver, null);
  assert.equal(config.mcp.max_result_tokens, 6_000);
  assert.deepEqual(new Set(origins.values()), new Set(["default"]));
  assert.equal(places.size, 0);
  assert.deepEqual(warnings, []);
});

Deno.test("loadConfig() puts the environment over the file over the defaults", () => {
  const { config, origins, places } = ofYaml(
    "server:\n  port: 1111\n  host: ::1\ntool: { max_timeout: 900 }\n",
    { MCP_SERVER_PORT: "2222" },
  );
  assert.equal(config.server.port, 2_222);
  assert.equal(config.server.host, "::1");
  assert.equal(config.server.transport, "stdio");
  assert.equal(config.tool.max_timeout, 900);
  assert.equal(origins.get("server.port"), "environment");
  assert.equal(origins.get("server.host"), "file");
  assert.equal(origins.get("server.transport"), "default");
  assert.equal(places.get("server.port"), "MCP_SERVER_PORT");
  assert.equal(places.get("server.host"), "test.yaml:3:9");
  assert.equal(places.has("server.transport"), false);
});

Deno.test("loadConfig() merges section by section and replaces lists whole", () => {
  const { config } = ofYaml(
    "security:\n  denied_subnets: [10.0.0.0/8]\n  max_network_size: 16\nnmap: { timing: 2 }\n",
    { MCP_SECURITY_DENIED_SUBNETS: "192.168.0.0/16, fd00::/8" },
  );
  assert.deepEqual(config.security.denied_subnets, [
    "192.168.0.0/16",
    "fd00::/8",
  ]);
  assert.equal(config.security.max_network_size, 16);
  assert.equal(config.security.max_concurrent_scans, 8);
  assert.equal(config.nmap.timing, 2);
  assert.equal(config.nmap.concurrency, 4);
});

Deno.test("loadConfig() takes each key from its one variable", () => {
  const names = KEYS.map(({ variable }) => variable);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(ENVIRONMENT_NAMES, [
    "MCP_CONFIG_FILE",
    "MCP_SANDBOX_TRIAL",
    ...names,
  ]);
  for (
    const name of [
      "MCP_SERVER_PORT",
      "MCP_TOOL_DEFAULT_TIMEOUT",
      "MCP_SECURITY_ALLOW_INTRUSIVE",
    ]
  ) {
    assert.ok(names.includes(name), name);
  }
  const { config } = ofEnv({
    MCP_SERVER_TRANSPORT: "http",
    MCP_SERVER_HOST: " localhost ",
    MCP_TOOL_DEFAULT_TIMEOUT: "60",
    MCP_SECURITY_ALLOW_INTRUSIVE: "TRUE",
    MCP_NMAP_ENABLED: "0",
    MCP_NMAP_ALLOWED_SCRIPTS: "http-title,ssl-cert",
    MCP_GOBUSTER_RESOLVER: "[::1]:53",
    MCP_BREAKER_JITTER: "0.25",
    MCP_SECURITY_ALLOWED_HOST_SUFFIXES: "[]",
  });
  assert.equal(config.server.transport, "http");
  assert.equal(config.server.host, "localhost");
  assert.equal(config.tool.default_timeout, 60);
  assert.equal(config.security.allow_intrusive, true);
  assert.equal(config.nmap.enabled, false);
  assert.deepEqual(config.nmap.allowed_scripts, ["http-title", "ssl-cert"]);
  assert.equal(config.gobuster.resolver, "[::1]:53");
  assert.equal(config.breaker.jitter, 0.25);
  assert.deepEqual(config.security.allowed_host_suffixes, []);
  assert.equal(
    ofEnv({ MCP_GOBUSTER_RESOLVER: "null" }).config.gobuster.resolver,
    null,
  );
});

Deno.test("loadConfig() lets an empty variable say nothing, so that it cannot empty a deny list", () => {
  const { config, warnings } = ofYaml(
    "security:\n  denied_subnets: [10.0.0.0/8]\n  allow_intrusive: false\n",
    { MCP_SECURITY_DENIED_SUBNETS: "", MCP_SECURITY_ALLOW_INTRUSIVE: " " },
  );
  assert.deepEqual(config.security.denied_subnets, ["10.0.0.0/8"]);
  assert.deepEqual(warnings, [
    "MCP_SECURITY_ALLOW_INTRUSIVE is empty and is ignored",
    "MCP_SECURITY_DENIED_SUBNETS is empty and is ignored; write [] for no items",
  ]);
});

const BAD_VARIABLES: readonly (readonly [
  name: string,
  value: string,
  message: string,
])[] = [
  [
    "MCP_SERVER_PORT",
    "0x1F90",
    'server.port: expected a whole number, got "0x1F90"',
  ],
  ["MCP_SERVER_PORT", "1e3", 'server.port: expected a whole number, got "1e3"'],
  [
    "MCP_SERVER_PORT",
    "80 80",
    'server.port: expected a whole number, got "80 80"',
  ],
  [
    "MCP_SERVER_PORT",
    "80\n81",
    'server.port: expected a whole number, got "80\ufffd81"',
  ],
  [
    "MCP_SERVER_PORT",
    "Infinity",
    'server.port: expected a whole number, got "Infinity"',
  ],
  [
    "MCP_SERVER_PORT",
    "8080.5",
    "server.port: expected a whole number, got 8080.5",
  ],
  [
    "MCP_SERVER_PORT",
    "{port: 1}",
    'server.port: expected a whole number, got "{port: 1}"',
  ],
  [
    "MCP_SECURITY_ALLOW_INTRUSIVE",
    "yes",
    'security.allow_intrusive: expected true or false, got "yes"',
  ],
  [
    "MCP_SERVER_TRANSPORT",
    "sse",
    'server.transport: expected stdio or http, got the text "sse"',
  ],
  [
    "MCP_SERVER_HOST",
    "0.0.0.0; rm -rf /",
    'server.host: "0.0.0.0; rm -rf /" is neither an address nor localhost; write an address such as 127.0.0.1 or ::1',
  ],
  [
    "MCP_STATE_FOLDER",
    "a\u0000b",
    "state.folder: it holds an unprintable character",
  ],
  [
    "MCP_STATE_FOLDER",
    "a".repeat(2_000),
    "state.folder: it has 2000 characters, at most 1024 are taken",
  ],
  [
    "MCP_STATE_FOLDER",
    "a".repeat(70_000),
    "state.folder: it has 70000 characters, at most 65536 are taken",
  ],
  [
    "MCP_NMAP_ALLOWED_SCRIPTS",
    "http-title,,ssl-cert",
    "nmap.allowed_scripts: item 2: it is empty",
  ],
  [
    "MCP_NMAP_ALLOWED_SCRIPTS",
    Array.from({ length: 600 }, (_, index) => `s${index}`).join(),
    "nmap.allowed_scripts: expected at most 512 items",
  ],
  [
    "MCP_SECURITY_ALLOWED_SUBNETS",
    "!!js/function 'x'",
    "security.allowed_subnets: item 1: \"!!js/function 'x'\" is not a network; write an address and a prefix length, such as 10.0.0.0/24 or fd00::/64",
  ],
];

for (const [name, value, message] of BAD_VARIABLES) {
  Deno.test(`loadConfig() refuses ${name}=${JSON.stringify(value.slice(0, 30))}`, () => {
    assert.deepEqual(refusal(() => ofEnv({ [name]: value })), [
      `${name}: ${message}`,
    ]);
  });
}

Deno.test("loadConfig() warns of variables that look like keys and reads none of them", () => {
  const env = Object.fromEntries([
    ["MCP_SERVER_PROT", "1"],
    ["MCP_SECURITY_DENIED_SUBNET", "10.0.0.0/8"],
    ["MCP_SERVER___PROTO__", "{}"],
    ["MCP_TIMEOUT", "1"],
    ["PATH", "/bin"],
    ["__proto__", "x"],
  ]);
  const { warnings, config } = ofEnv(env);
  assert.deepEqual(warnings, [
    '"MCP_SERVER_PROT" is no key of the configuration and is ignored; did you mean MCP_SERVER_PORT',
    '"MCP_SECURITY_DENIED_SUBNET" is no key of the configuration and is ignored; did you mean MCP_SECURITY_DENIED_SUBNETS',
    '"MCP_SERVER___PROTO__" is no key of the configuration and is ignored',
  ]);
  assert.deepEqual(config, ofEnv({}).config);
});

Deno.test("loadConfig() reads no variable through a prototype", () => {
  const env: Record<string, string> = Object.create({ MCP_SERVER_PORT: "1" });
  assert.equal(ofEnv(env).config.server.port, 8_080);
});

Deno.test("loadConfig() tells every problem of the file and the environment at once", () => {
  assert.deepEqual(
    refusal(() =>
      ofYaml("server:\n  port: x\nlogg: {}\n", {
        MCP_TOOL_MAX_TIMEOUT: "long",
      })
    ),
    [
      'test.yaml:2:9: server.port: expected a whole number, got the text "x"',
      'test.yaml:3:1: "logg" is no section; did you mean log?',
      'MCP_TOOL_MAX_TIMEOUT: tool.max_timeout: expected a whole number, got "long"',
    ],
  );
});

Deno.test("loadConfig() names the first 50 problems and counts the others", () => {
  const text = Array.from({ length: 60 }, (_, index) => `key${index}: 1\n`)
    .join("");
  const lines = refusal(() => ofYaml(text));
  assert.equal(lines.length, 51);
  assert.equal(lines.at(-1), "and 10 more");
});

Deno.test("loadConfig() lowers a default that nobody wrote below a lowered maximum", () => {
  const { config, warnings } = ofYaml(
    "tool:\n  max_timeout: 60\nhealth:\n  interval_seconds: 3\n",
  );
  assert.equal(config.tool.default_timeout, 60);
  assert.equal(config.health.overall_timeout_seconds, 3);
  assert.equal(config.health.check_timeout_seconds, 3);
  assert.deepEqual(warnings, [
    "tool.default_timeout: the default 300 is above tool.max_timeout, which is 60; 60 is used",
    "health.overall_timeout_seconds: the default 15 is above health.interval_seconds, which is 3; 3 is used",
    "health.check_timeout_seconds: the default 5 is above health.overall_timeout_seconds, which is 3; 3 is used",
  ]);
});

Deno.test("loadConfig() judges rules between keys on what is in force, whoever said it", () => {
  assert.deepEqual(
    refusal(() =>
      ofYaml("tool:\n  default_timeout: 600\n", { MCP_TOOL_MAX_TIMEOUT: "60" })
    ),
    [
      "test.yaml:2:20: tool.default_timeout: 600 is above tool.max_timeout, which is 60 (MCP_TOOL_MAX_TIMEOUT); lower the one or raise the other",
    ],
  );
  const { config } = ofYaml("nmap: { pace: fast }\n", {
    MCP_NMAP_ALLOWED_PACES: "restrained,fast",
  });
  assert.equal(config.nmap.pace, "fast");
});

Deno.test("loadConfig() warns of what weakens the server", () => {
  const { warnings } = ofYaml(
    "server: { transport: http, host: 0.0.0.0 }\nsecurity: { allowed_subnets: [10.1.0.0/16, 8.8.8.0/24, 0.0.0.0/0, fd12::/16, 2001:db8::/32] }\n",
  );
  assert.deepEqual(warnings, [
    'test.yaml:2:30: security.allowed_subnets: "8.8.8.0/24" holds public addresses; scan them only with their owner\'s consent',
    'test.yaml:2:30: security.allowed_subnets: "0.0.0.0/0" holds public addresses; scan them only with their owner\'s consent',
    'test.yaml:2:30: security.allowed_subnets: "2001:db8::/32" holds public addresses; scan them only with their owner\'s consent',
    'test.yaml:1:34: server.host: "0.0.0.0" can be reached from other machines',
  ]);
  for (const host of ["127.0.0.1", "::1", "localhost", "127.8.8.8"]) {
    const env = { MCP_SERVER_TRANSPORT: "http", MCP_SERVER_HOST: host };
    assert.deepEqual(ofEnv(env).warnings, []);
  }
});

Deno.test("loadConfig() gives a frozen configuration that shares nothing with the next", () => {
  const { config } = ofYaml("nmap: { allowed_scripts: [http-title] }\n");
  assert.throws(() => Object.assign(config, { server: {} }), TypeError);
  assert.throws(
    () => Object.assign(config.security, { allow_intrusive: true }),
    TypeError,
  );
  assert.throws(
    () =>
      Array.prototype.push.call(config.security.allowed_subnets, "0.0.0.0/0"),
    TypeError,
  );
  assert.deepEqual(ofEnv({}).config.security.allowed_subnets, []);
});

Deno.test("loadConfig() takes empty files, empty sections, a byte order mark and JSON", () => {
  const defaults = ofEnv({}).config;
  for (
    const text of [
      "",
      "# nothing\n",
      "---\n",
      "server:\ntool:\n",
      "{}",
      "null",
      "\ufeff",
      "%YAML 1.2\n---\n",
    ]
  ) {
    assert.deepEqual(ofYaml(text).config, defaults, JSON.stringify(text));
  }
  const text =
    '\ufeff{\n\t"server": { "port": 81, "host": "\\u003a:1" },\n\t"nmap": { "allowed_scripts": [], "enabled": false }\n}\n';
  const json = loadConfig({ file: { name: "a/b.json", text }, env: {} });
  assert.equal(json.config.server.port, 81);
  assert.equal(json.config.server.host, "::1");
  assert.equal(json.config.nmap.enabled, false);
  assert.equal(json.places.get("server.port"), "b.json:2:22");
  assert.deepEqual(ofYaml(text).config, json.config);
});

Deno.test("loadConfig() keeps the file's path for the log and out of the message", () => {
  assert.throws(
    () =>
      loadConfig({
        file: { name: "/etc/scanner/x.yaml", text: "a: 1" },
        env: {},
      }),
    (error) =>
      error instanceof AppError &&
      error.detail === "file: /etc/scanner/x.yaml" &&
      !error.message.includes("/etc"),
  );
});

Deno.test("loadConfig() gives every value that it takes back, from a file and from the environment", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 65_535 }),
    fc.boolean(),
    fc.uniqueArray(fc.ipV4().map((address) => `${address}/32`), {
      maxLength: 5,
    }),
    (port, intrusive, subnets) => {
      const file = JSON.stringify({
        server: { port },
        security: { allow_intrusive: intrusive, denied_subnets: subnets },
      });
      const env = {
        MCP_SERVER_PORT: String(port),
        MCP_SECURITY_ALLOW_INTRUSIVE: String(intrusive),
        MCP_SECURITY_DENIED_SUBNETS: subnets.length === 0
          ? "[]"
          : subnets.join(),
      };
      for (const loaded of [ofYaml(file), ofEnv(env)]) {
        assert.equal(loaded.config.server.port, port);
        assert.equal(loaded.config.security.allow_intrusive, intrusive);
        assert.deepEqual(loaded.config.security.denied_subnets, subnets);
      }
    },
  ));
});
