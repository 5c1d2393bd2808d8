/**
 * offline.sh, on which every whole-server test of refusals relies: what runs in it reaches nothing.
 *
 * @module
 */
import assert from "node:assert/strict";

const script = new URL("./offline.sh", import.meta.url).pathname;

async function offline(
  ...args: string[]
): Promise<{ code: number; stdout: string }> {
  const { code, stdout } = await new Deno.Command("bash", {
    args: ["-c", 'exec sh "$@"', "bash", script, ...args],
    stdin: "null",
    stderr: "null",
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout) };
}

Deno.test({
  name: "offline.sh leaves loopback, and no other link or route",
  fn: async () => {
    const links = await offline(
      "sh",
      "-c",
      "PATH=$PATH:/usr/sbin:/sbin; ip -o link | cut -d: -f2",
    );
    assert.deepEqual(links, { code: 0, stdout: " lo\n" });
    // "route get" asks the routing table and sends nothing.
    const route = (address: string) =>
      offline(
        "sh",
        "-c",
        `PATH=$PATH:/usr/sbin:/sbin; ip route get ${address}`,
      );
    assert.equal((await route("127.0.0.1")).code, 0);
    assert.equal((await route("192.0.2.1")).code, 2);
    assert.equal((await route("2001:db8::1")).code, 2);
  },
});

Deno.test({
  name: "offline.sh hands on the exit code, and wants a command",
  fn: async () => {
    assert.equal((await offline("sh", "-c", "exit 7")).code, 7);
    assert.equal((await offline()).code, 2);
  },
});

Deno.test({
  name: "offline.sh runs nothing where it gets no namespace of its own",
  fn: async () => {
    // An unshare that only runs its command stands for a kernel that gives no namespace.
    const folder = await Deno.makeTempDir({ prefix: "offline-" });
    try {
      const text =
        '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n';
      await Deno.writeTextFile(`${folder}/unshare`, text, { mode: 0o755 });
      const { code, stdout } = await offline("env", "true");
      assert.deepEqual([code, stdout], [0, ""]);
      const faked = await new Deno.Command("bash", {
        args: [
          "-c",
          'PATH="$1:$PATH"; shift; exec sh "$@"',
          "bash",
          folder,
          script,
          "echo",
          "ran",
        ],
      }).output();
      assert.deepEqual([faked.code, new TextDecoder().decode(faked.stdout)], [
        125,
        "",
      ]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
