/**
 * The configuration on a real file system: what editors and mounts do to a file, links in a folder of
 * wordlists. It needs to read and write without bounds, because Deno asks for that before it makes a
 * link.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { readConfig, readConfigFile } from "@/config/boot.ts";
import { readCatalogue } from "@/config/catalogue.ts";
import { type Changes, pollFile } from "@/config/changes.ts";
import { ConfigWatcher } from "@/config/reload.ts";

/** A folder that is gone afterwards. */
async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.realPath(await Deno.makeTempDir());
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Waits for values one after the other. */
class Heard {
  readonly #values: number[] = [];
  #wake = Promise.withResolvers<void>();

  add(value: number): void {
    this.#values.push(value);
    this.#wake.resolve();
  }

  async next(): Promise<number> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) return value;
      this.#wake = Promise.withResolvers();
      await this.#wake.promise;
    }
  }
}

/** Keeps the process alive, for a minute at most. */
function keptAlive(): Disposable {
  const timer = setTimeout(() => {}, 60_000);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function sized(size: number): string {
  return `security: { max_network_size: ${size} }\n`;
}

async function watching(
  file: string,
  watch: () => Changes,
): Promise<{ watcher: ConfigWatcher; heard: Heard; warnings: string[] }> {
  const env = { MCP_CONFIG_FILE: file };
  const heard = new Heard();
  const warnings: string[] = [];
  const watcher = new ConfigWatcher({
    initial: await readConfig(env),
    load: () => readConfig(env),
    onLoaded: ({ config }) => heard.add(config.security.max_network_size),
    onWarning: (message) => warnings.push(message),
    watch,
    quietMs: 20,
  });
  return { watcher, heard, warnings };
}

Deno.test("ConfigWatcher with pollFile() hears of every way to change a file", async () => {
  await using folder = await temporaryFolder();
  const file = `${folder.path}/config.yaml`;
  await Deno.writeTextFile(file, sized(1));
  const { watcher, heard, warnings } = await watching(
    file,
    () => pollFile(file, { everyMs: 10 }),
  );
  await using _ = watcher;
  // A poll does not keep the process alive; this test has to.
  using _alive = keptAlive();
  // The first look of a poll is the state that it compares with.
  await new Promise((resolve) => setTimeout(resolve, 50));

  await Deno.writeTextFile(file, sized(2));
  assert.equal(await heard.next(), 2);

  await Deno.writeTextFile(`${file}.new`, sized(3));
  await Deno.rename(`${file}.new`, file);
  assert.equal(await heard.next(), 3);
  await Deno.writeTextFile(`${file}.new`, sized(4));
  await Deno.rename(`${file}.new`, file);
  assert.equal(await heard.next(), 4);

  await Deno.remove(file);
  await Deno.writeTextFile(file, sized(5));
  assert.equal(await heard.next(), 5);

  // As a mounted ConfigMap does it: the file is a link into a folder that is swapped as a whole.
  await Deno.mkdir(`${folder.path}/v1`);
  await Deno.mkdir(`${folder.path}/v2`);
  await Deno.writeTextFile(`${folder.path}/v1/config.yaml`, sized(6));
  await Deno.writeTextFile(`${folder.path}/v2/config.yaml`, sized(7));
  await Deno.symlink("v1", `${folder.path}/..data`);
  await Deno.symlink("..data/config.yaml", `${file}.new`);
  await Deno.rename(`${file}.new`, file);
  assert.equal(await heard.next(), 6);
  await Deno.symlink("v2", `${folder.path}/..next`);
  await Deno.rename(`${folder.path}/..next`, `${folder.path}/..data`);
  assert.equal(await heard.next(), 7);

  assert.equal(watcher.current.config.security.max_network_size, 7);
  assert.deepEqual(
    warnings.filter((warning) => !warning.includes("there is no such file")),
    [],
  );
});

Deno.test("readConfigFile() refuses a folder, a large file and bytes that are no text", async () => {
  await using folder = await temporaryFolder();
  const large = `${folder.path}/large.yaml`;
  await Deno.writeTextFile(large, "#".repeat(262_145));
  const bytes = `${folder.path}/bytes.yaml`;
  await Deno.writeFile(bytes, new Uint8Array([0x61, 0xff]));
  for (
    const [path, why] of [
      [folder.path, "it is no regular file"],
      [large, "it has more than 262144 bytes"],
      [bytes, "it is not UTF-8"],
    ] as const
  ) {
    await assert.rejects(readConfigFile(path), (error) => {
      assert.ok(error instanceof AppError);
      assert.ok(error.message.includes(why), error.message);
      return true;
    });
  }
});

Deno.test("readCatalogue() leaves out links that lead out, and takes those that stay", async () => {
  await using folder = await temporaryFolder();
  const lists = `${folder.path}/lists`;
  await Deno.mkdir(`${lists}/sub`, { recursive: true });
  await Deno.writeTextFile(`${folder.path}/outside.txt`, "secret\n");
  await Deno.writeTextFile(`${lists}/real.txt`, "a\nb\n");
  await Deno.writeTextFile(`${lists}/sub/deep.txt`, "a\n");
  await Deno.symlink("../outside.txt", `${lists}/out.txt`);
  await Deno.symlink("/etc/passwd", `${lists}/passwd.txt`);
  await Deno.symlink("real.txt", `${lists}/inside.txt`);
  await Deno.symlink("loop.txt", `${lists}/loop.txt`);
  await Deno.symlink("gone", `${lists}/dangling.txt`);
  await Deno.mkdir(`${lists}/folder.txt`);
  const warnings: string[] = [];
  const found = await readCatalogue([lists], {
    warn: (message) => warnings.push(message),
  });
  assert.deepEqual(found, [
    { name: "inside", path: `${lists}/real.txt`, words: 2 },
    { name: "real", path: `${lists}/real.txt`, words: 2 },
  ]);
  assert.equal(warnings.length, 5, warnings.join("\n"));
  // The folder itself may be a link: it was named by the operator.
  await Deno.symlink("lists", `${folder.path}/link`);
  assert.equal((await readCatalogue([`${folder.path}/link`])).length, 2);
});
