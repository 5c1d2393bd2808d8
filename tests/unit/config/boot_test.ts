import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { configFileOf, readConfig, readConfigFile } from "@/config/boot.ts";

function refused(message: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof AppError && error.code === "invalid_arguments" &&
    error.message === message;
}

Deno.test("readConfig() reads no file that nobody named", async () => {
  const never = () => Promise.reject(new TypeError("a file was read"));
  for (const env of [{}, { MCP_CONFIG_FILE: "" }]) {
    const { config } = await readConfig(env, never);
    assert.equal(config.server.port, 8_080);
  }
  const inherited: Record<string, string> = Object.create({
    MCP_CONFIG_FILE: "x.yaml",
  });
  assert.equal(configFileOf(inherited), null);
});

Deno.test("readConfig() reads the file that MCP_CONFIG_FILE names, and the environment over it", async () => {
  const paths: string[] = [];
  const read = (path: string) => {
    paths.push(path);
    return Promise.resolve("server: { port: 1, host: ::1 }");
  };
  const env = { MCP_CONFIG_FILE: "/etc/scanner/x.yaml", MCP_SERVER_PORT: "2" };
  const { config, places } = await readConfig(env, read);
  assert.deepEqual(paths, ["/etc/scanner/x.yaml"]);
  assert.equal(config.server.port, 2);
  assert.equal(config.server.host, "::1");
  assert.equal(places.get("server.host"), "x.yaml:1:26");
});

Deno.test("readConfig() says why a file cannot be read, without its path", async () => {
  const env = { MCP_CONFIG_FILE: "/etc/secret/x.yaml" };
  for (
    const [error, why] of [
      [new Deno.errors.NotFound("/etc/secret/x.yaml"), "there is no such file"],
      [
        new Deno.errors.NotCapable("/etc/secret/x.yaml"),
        "this program may not read it",
      ],
      [
        new Deno.errors.PermissionDenied("/etc/secret/x.yaml"),
        "this program may not read it",
      ],
      [new Error("/etc/secret/x.yaml"), "it cannot be read"],
    ] as const
  ) {
    await assert.rejects(
      readConfig(env, () => Promise.reject(error)),
      refused(
        `Cannot read the file that MCP_CONFIG_FILE names: ${why}; correct it or unset the variable`,
      ),
    );
  }
});

Deno.test("readConfigFile() refuses what is no regular file before it opens it", async () => {
  await assert.rejects(
    readConfigFile("tests/unit/config"),
    refused(
      "Cannot read the file that MCP_CONFIG_FILE names: it is no regular file; correct it or unset the variable",
    ),
  );
});

Deno.test("readConfigFile() reads a file as it is", async () => {
  const path = "config/hardened.yaml";
  assert.equal(await readConfigFile(path), await Deno.readTextFile(path));
});

Deno.test("boot.ts starts without the YAML parser", async () => {
  // The parser must come by `import()` only: a server without a file should not pay for it.
  const seen = new Set<string>();
  async function visit(path: string): Promise<void> {
    if (seen.has(path)) return;
    seen.add(path);
    const text = await Deno.readTextFile(path);
    for (
      const [, name = ""] of text.matchAll(
        /^(?:import|export)\b[^;]*?from "([^"]+)"/gm,
      )
    ) {
      assert.notEqual(name, "js-yaml", path);
      if (name.startsWith("@/")) await visit(`src/${name.slice(2)}`);
      if (name.startsWith("./")) {
        await visit(`${path.slice(0, path.lastIndexOf("/"))}/${name.slice(2)}`);
      }
    }
  }
  await visit("src/config/boot.ts");
  assert.ok(seen.has("src/config/resolve.ts"));
});
