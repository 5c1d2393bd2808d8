import assert from "node:assert/strict";
import { guardrailsOf } from "@/config/guardrails.ts";
import { loadConfig } from "@/config/load.ts";

Deno.test("guardrailsOf() takes every rule from its key", () => {
  const text = `
tool: { default_timeout: 11, max_timeout: 12 }
security:
  allow_intrusive: true
  allowed_subnets: [8.8.8.0/24]
  denied_subnets: [10.0.0.0/8]
  allowed_host_suffixes: [.a.example]
  engagement_subnets: [spring=10.1.0.0/16, summer=10.2.0.0/16, "spring=fd00::/64"]
  engagement_required: true
  tag_subnets: [web=10.1.2.0/24]
  max_network_size: 13
  max_output_bytes: 70000
  max_extra_args_length: 14
sandbox: { egress_guard: true }
nmap:
  limit_cpu_seconds: 31
  limit_address_space_bytes: 200000000
  limit_file_bytes: 5000
  limit_processes: 32
  limit_open_files: 33
  limit_wall_seconds: 34
  limit_output_bytes: 80000
  pace: fast
  allowed_paces: [fast]
  timing: 1
  max_parallelism: 15
  top_ports: 16
  max_ports: 17
  script_categories: [safe]
  allowed_scripts: [http-title]
masscan: { limit_processes: 41, default_rate: 18, max_rate: 19, passes: 3, wait_seconds: 4, max_ports: 20 }
gobuster: { limit_processes: 42, default_threads: 21, max_threads: 22, default_wordlist: mine, resolver: 127.0.0.1:53, request_timeout_seconds: 23 }
`;
  const { config } = loadConfig({ file: { name: "x.yaml", text }, env: {} });
  const list = { name: "mine", path: "/w/mine.txt", words: 9 };
  const guardrails = guardrailsOf(config, [list]);
  const expected = {
    scope: {
      allowedSubnets: ["8.8.8.0/24"],
      deniedSubnets: ["10.0.0.0/8"],
      allowedHostSuffixes: [".a.example"],
      bounds: [
        {
          kind: "engagement",
          name: "spring",
          subnets: ["10.1.0.0/16", "fd00::/64"],
        },
        { kind: "engagement", name: "summer", subnets: ["10.2.0.0/16"] },
        { kind: "tag", name: "web", subnets: ["10.1.2.0/24"] },
      ],
      engagementRequired: true,
      within: [],
      maxNetworkSize: 13,
    },
    allowIntrusive: true,
    timeoutSecondsDefault: 11,
    timeoutSecondsMax: 12,
    outputBytesMax: 70_000,
    extraArgsLengthMax: 14,
    egressGuard: true,
    nmap: {
      limits: {
        cpuSeconds: 31,
        addressSpaceBytes: 200_000_000,
        fileBytes: 5_000,
        processes: 32,
        openFiles: 33,
        wallSeconds: 34,
        outputBytes: 80_000,
      },
      paceDefault: "fast",
      paces: ["fast"],
      timingDefault: 1,
      maxParallelism: 15,
      topPortsDefault: 16,
      portsMax: 17,
      scriptCategories: ["safe"],
      scriptNames: ["http-title"],
    },
    masscan: {
      limits: {
        cpuSeconds: 1_800,
        addressSpaceBytes: 2_147_483_648,
        fileBytes: 1_048_576,
        processes: 41,
        openFiles: 256,
        wallSeconds: 86_400,
        outputBytes: 104_857_600,
      },
      rateDefault: 18,
      rateMax: 19,
      passes: 3,
      waitSeconds: 4,
      portsMax: 20,
    },
    gobuster: {
      limits: {
        cpuSeconds: 1_800,
        addressSpaceBytes: 4_294_967_296,
        fileBytes: 1_048_576,
        processes: 42,
        openFiles: 1_024,
        wallSeconds: 86_400,
        outputBytes: 104_857_600,
      },
      threadsDefault: 21,
      threadsMax: 22,
      wordlists: [list],
      wordlistDefault: "mine",
      resolver: "127.0.0.1:53",
      requestTimeoutSeconds: 23,
    },
  };
  assert.deepEqual(guardrails, expected);
  // It has to cross to an isolate as it is.
  assert.deepEqual(structuredClone(guardrails), expected);
});
