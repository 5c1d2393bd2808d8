/**
 * The Dockerfile as a text. What it makes is tested in `image_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { loadAll } from "js-yaml";
import { trimmed } from "../../deploy/image/trim.ts";
import { verifies } from "../requirements.ts";
import { ROOT, taskCommand } from "../support/task.ts";
import { documentedOptions, instructions, listed } from "./dockerfile.ts";

/** Commands that can stand behind the image's name, each a task of its own. */
const COMMANDS = ["serve", "scan", "plan", "doctor", "selftest"];

/** What a task starts, as the image writes it. */
function written(task: string): readonly string[] {
  const { program, args } = taskCommand(task);
  return [`/app/${program}`, ...args];
}

/** Value of an `ARG` with a default. */
function argument(name: string): string {
  const line = instructions().find((one) => one.startsWith(`ARG ${name}=`));
  return line?.slice(`ARG ${name}=`.length) ?? "";
}

Deno.test("the image starts the server with the very flags of the tasks", () => {
  const entry = listed(/ENTRYPOINT /);
  for (const command of COMMANDS) {
    assert.deepEqual([...entry, command], written(command));
  }
  assert.deepEqual(listed(/CMD /), ["serve"]);
});

Deno.test("the health check is doctor with the very flags of its task", () => {
  assert.deepEqual(listed(/HEALTHCHECK .*?CMD /), written("doctor"));
});

/** The documents of an example. */
function example(path: string): readonly unknown[] {
  const documents: unknown[] = [];
  loadAll(
    Deno.readTextFileSync(`${ROOT}deploy/${path}`),
    (one) => documents.push(one),
  );
  return documents;
}

interface Compose {
  readonly services: Record<string, Record<string, unknown>>;
}

/** The services, with what `<<` hands them: Compose reads that, and YAML 1.2 does not have it. */
function compose(): Compose["services"] {
  const [file] = example("compose/serve_http.yaml") as readonly Compose[];
  return Object.fromEntries(
    Object.entries(file?.services ?? {}).map((
      [name, { "<<": common, ...own }],
    ) => [
      name,
      { ...common as object, ...own },
    ]),
  );
}

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly Readonly<Record<string, unknown>>[];
      };
    };
  };
}

Deno.test("the examples start the HTTP server with the very flags of its task", () => {
  verifies("deploy.http_examples");
  const services = compose();
  assert.deepEqual(
    services["security-mcp"]?.["entrypoint"],
    written("serve-http"),
  );
  const { program, args } = taskCommand("keys");
  assert.deepEqual(services["keys"]?.["entrypoint"], [program, ...args]);
  const [deployment] = example("kubernetes/serve_http.yaml");
  const { containers } = (deployment as Deployment).spec.template.spec;
  assert.deepEqual(containers[0]?.["command"], written("serve-http"));
  const unit = Deno.readTextFileSync(
    `${ROOT}deploy/systemd/security-mcp-http.service`,
  );
  const start = /^ExecStart=([^\\\n]*(?:\\\n[^\\\n]*)*)/m.exec(unit)?.[1] ?? "";
  assert.deepEqual(
    start.replace("/opt/security-mcp/", "/app/").split(/[\s\\]+/),
    written("serve-http"),
  );
});

Deno.test("the HTTP server's container is given what the image is run with, and a loopback port", () => {
  const services = compose();
  for (const name of ["security-mcp", "keys"]) {
    const service = services[name] ?? {};
    assert.equal(service["read_only"], true, name);
    assert.deepEqual(service["cap_drop"], ["ALL"]);
    assert.deepEqual(service["security_opt"], ["no-new-privileges:true"]);
    assert.deepEqual(service["ulimits"], { memlock: 0 });
  }
  assert.equal(services["keys"]?.["cap_add"], undefined);
  assert.deepEqual(services["security-mcp"]?.["cap_add"], ["NET_RAW"]);
  assert.deepEqual(services["security-mcp"]?.["ports"], [
    "127.0.0.1:8080:8080",
  ]);
});

Deno.test("the documented way to run the image gives it one right", () => {
  assert.deepEqual(documentedOptions(), [
    ...["-i", "--rm", "--read-only", "--cap-drop", "ALL"],
    ...["--cap-add", "NET_RAW", "--security-opt", "no-new-privileges"],
    ...["--pids-limit", "512", "--ulimit", "memlock=0", "--tmpfs", "/tmp"],
    ...["-v", "security-mcp:/app/state"],
  ]);
});

Deno.test("everything that the image is made of is pinned", () => {
  const base = argument("BASE");
  assert.match(base, /^debian:bookworm-\d{8}-slim(?:@sha256:[0-9a-f]{64})?$/);
  const setup = Deno.readTextFileSync(`${ROOT}scripts/setup.sh`);
  const version = /^deno_version=(.*)$/m.exec(setup)?.[1];
  assert.equal(argument("DENO_VERSION"), version);
  assert.match(argument("DENO_SHA256_AMD64"), /^[0-9a-f]{64}$/);
  const last = instructions().join("\n").split(/^FROM /m).at(-1) ?? "";
  for (const scanner of ["nmap=7.93", "masscan=2:1.3.2", "gobuster=3.5"]) {
    assert.ok(last.includes(` ${scanner}*`), `${scanner} is not pinned`);
  }
});

Deno.test("every stage begins with the pinned base", () => {
  const stages = instructions().filter((line) => line.startsWith("FROM "));
  const names = stages.map((line) => /^FROM (\S+)(?: AS (\w+))?$/.exec(line));
  const made = ["${BASE}", ...names.map((one) => one?.[2])];
  for (const one of names) assert.ok(made.includes(one?.[1]), `${one?.[0]}`);
  assert.equal(names.at(-1)?.[1], "${BASE}", "the image is not the last stage");
});

Deno.test("a build gets nothing but what it names", () => {
  const lines = Deno.readTextFileSync(`${ROOT}.dockerignore`).split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(lines, [
    "*",
    "!deno.json",
    "!deno.lock",
    "!src",
    "!config",
    "!sandbox",
    "!deploy/image/trim.ts",
  ]);
});

Deno.test("trimmed() keeps what the server imports and what Deno reads to run it", () => {
  const config = {
    unstable: ["worker-options"],
    nodeModulesDir: "none",
    lock: { frozen: true },
    imports: {
      "@/": "./src/",
      "a": "npm:a@1.0.0",
      "@b/c": "npm:@b/c@2.0.0",
      "d": "npm:d@3.0.0",
    },
    compilerOptions: { strict: true },
    lint: { plugins: ["./tests/tidy/house.ts"] },
    tasks: { ok: "deno lint" },
  };
  const graph = {
    modules: [
      {},
      { npmPackage: "a@1.0.0" },
      { npmPackage: "@b/c@2.0.0_a@1.0.0" },
    ],
  };
  assert.deepEqual(trimmed(config, graph), {
    unstable: ["worker-options"],
    nodeModulesDir: "none",
    lock: { frozen: true },
    imports: { "@/": "./src/", "a": "npm:a@1.0.0", "@b/c": "npm:@b/c@2.0.0" },
    compilerOptions: { strict: true },
  });
});

Deno.test("trimmed() refuses a graph without packages", () => {
  assert.throws(
    () => trimmed({ imports: {} }, { modules: [{}] }),
    new RangeError(
      "Cannot trim the configuration: the graph names no package",
    ),
  );
});
