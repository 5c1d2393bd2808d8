/**
 * `tools/list` as a client gets it. Every client puts it before its model at the start of every
 * conversation, so its size is a promise as well as its names.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Capabilities } from "@/dispatch/engine.ts";
import { toolEntries } from "@/mcp/tools.ts";
import { TOOLS } from "@/tools/registry.ts";
import { FAKE_CAPABILITIES } from "../unit/mcp/fixtures/fake_engine.ts";
import { verifies } from "../requirements.ts";

verifies("mcp.tools.list_size");

const FIELDS = {
  nmap: TOOLS.nmap.fields,
  masscan: TOOLS.masscan.fields,
  gobuster: TOOLS.gobuster.fields,
};

/** Bytes of the result's JSON. */
function bytesOf(capabilities: Capabilities): number {
  const result = { tools: toolEntries(FIELDS, capabilities) };
  return new TextEncoder().encode(JSON.stringify(result)).length;
}

/** Names as many and as long as a configuration may hold. */
function many(text: string): string[] {
  return Array.from({ length: 500 }, (_, at) => `${text}${at}`);
}

Deno.test("tools/list is below 24 KB", () => {
  assert.ok(
    bytesOf(FAKE_CAPABILITIES) < 24_000,
    String(bytesOf(FAKE_CAPABILITIES)),
  );
});

Deno.test("tools/list is below 24 KB however long the configuration's lists are", () => {
  const { guardrails } = FAKE_CAPABILITIES;
  const bytes = bytesOf({
    ...FAKE_CAPABILITIES,
    rawSockets: false,
    guardrails: {
      ...guardrails,
      scope: {
        ...guardrails.scope,
        allowedSubnets: many("2001:db8:aaaa:bbbb::/64 "),
        deniedSubnets: many("2001:db8:aaaa:cccc::/64 "),
        allowedHostSuffixes: many(".very-long-suffix.lab.internal"),
      },
      gobuster: {
        ...guardrails.gobuster,
        wordlists: many("wordlist-").map((name) => ({
          name,
          path: "/",
          words: 1,
        })),
      },
    },
    tools: FAKE_CAPABILITIES.tools.map((tool) => ({
      ...tool,
      breaker: "open",
    })),
  });
  assert.ok(bytes < 24_000, String(bytes));
});

Deno.test("tools/list names the arguments of the contract", () => {
  const shared = [
    "background",
    "plan",
    "max_tokens",
    "engagement",
    "tags",
    "idempotency_key",
    "no_cache",
  ];
  const expected = {
    nmap: [
      "target",
      "ports",
      "top_ports",
      "scan_type",
      "service_detection",
      "os_detection",
      "scripts",
      "timing",
      "pace",
      "host_discovery",
      "extra_args",
      "timeout_seconds",
      ...shared,
    ],
    masscan: [
      "target",
      "ports",
      "rate",
      "banners",
      "extra_args",
      "timeout_seconds",
      ...shared,
    ],
    gobuster: [
      "mode",
      "target",
      "wordlist",
      "extensions",
      "status_codes",
      "threads",
      "resolver",
      "extra_args",
      "timeout_seconds",
      ...shared,
    ],
    scan_status: ["scan_id"],
    scan_results: [
      "scan_id",
      "open_only",
      "port",
      "service",
      "host",
      "host_status",
      "status_code",
      "fields",
      "cursor",
      "max_tokens",
    ],
    scan_list: ["status", "tool", "engagement", "tags", "limit", "cursor"],
    scan_diff: ["scan_id", "since", "cursor", "max_tokens"],
    inventory: [
      "query",
      "kind",
      "subnet",
      "port",
      "service",
      "product",
      "state",
      "engagement",
      "tags",
      "since",
      "until",
      "limit",
      "cursor",
    ],
    scan_cancel: ["scan_id"],
  };
  const seen = Object.fromEntries(
    toolEntries(FIELDS, FAKE_CAPABILITIES).map(({ name, inputSchema }) => [
      name,
      Object.keys(inputSchema["properties"] as object).sort(),
    ]),
  );
  assert.deepEqual(
    seen,
    Object.fromEntries(
      Object.entries(expected).map(([name, names]) => [name, names.sort()]),
    ),
  );
});

Deno.test("tools/list says what every scanner answers", () => {
  for (const { name, outputSchema } of toolEntries(FIELDS, FAKE_CAPABILITIES)) {
    if (!["nmap", "masscan", "gobuster"].includes(name)) continue;
    assert.deepEqual(Object.keys(outputSchema["properties"] as object).sort(), [
      "age_seconds",
      "argv",
      "cached",
      "duration_seconds",
      "engagement",
      "error",
      "finished_at",
      "notes",
      "plan",
      "report",
      "scan_id",
      "scan_type",
      "started_at",
      "status",
      "summary",
      "tags",
      "target",
      "tool",
      "trace_id",
      "truncated",
    ]);
  }
});

Deno.test("tools/list describes the options of a call once, and names who does", () => {
  const options = ["background", "plan", "max_tokens", "no_cache"];
  for (const tool of toolEntries(FIELDS, FAKE_CAPABILITIES)) {
    if (!["nmap", "masscan", "gobuster"].includes(tool.name)) continue;
    const properties = tool.inputSchema["properties"] as Record<string, object>;
    const described = options.map((name) =>
      Object.hasOwn(properties[name] ?? {}, "description")
    );
    assert.deepEqual(
      [described, /background to no_cache: as for nmap/.test(tool.description)],
      [options.map(() => tool.name === "nmap"), tool.name !== "nmap"],
      tool.name,
    );
  }
});

Deno.test("tools/list keeps the bounds of numbers and lists and leaves out those of texts", () => {
  const [nmap] = toolEntries(FIELDS, FAKE_CAPABILITIES);
  const { tags, max_tokens, target } = nmap
    ?.inputSchema["properties"] as Record<string, object>;
  assert.deepEqual(tags, {
    type: "array",
    items: { type: "string" },
    maxItems: 16,
    description: "Tags that it is kept under.",
  });
  assert.deepEqual(Object.entries(max_tokens ?? {}).slice(0, 3), [
    ["type", "integer"],
    ["minimum", 500],
    ["maximum", 50_000],
  ]);
  assert.ok(!JSON.stringify(target).includes("Length"));
});
