/**
 * scripts/setup.sh against a machine of stand-ins: apt, npm, Deno and sudo are small scripts that write
 * down how they were called, and the folders of the real system that setup.sh writes to are covered by
 * temporary ones in a private mount namespace. Nothing is downloaded and nothing of this machine changes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";

verifies(
  "setup.idempotent",
  "setup.check_changes_nothing",
  "setup.no_apt_says_what_to_install",
);

const root = new URL("../../", import.meta.url).pathname;

/** The programs of the real system that setup.sh may use. */
const tools =
  "sh cat chmod dirname env grep id install ln mkdir mktemp mv readlink rm sed tee";

/** The stand-ins, by name: shell text. */
const standIns: Record<string, string> = {
  // Installs by creating the program of each package. Services are started the Debian way: through the
  // policy, if there is one. A file "stale" makes it fail until "update", a file "broken" always.
  "apt-get": `
    echo "apt-get $*" >>"$T/log"
    case " $* " in *" update "*) rm -f "$T/stale"; exit 0 ;; esac
    [ ! -e "$T/stale" ] && [ ! -e "$T/broken" ] || broken=100
    for package in "$@"; do
      case "$package" in
        nginx-light) program=nginx; service=nginx ;;
        dropbear-bin) program=dropbear; service= ;;
        dnsmasq-base) program=dnsmasq; service= ;;
        redis-server) program=redis-server; service=redis-server ;;
        bubblewrap) program=bwrap; service= ;;
        perl-base) program=perl; service= ;;
        iproute2) program=ip; service= ;;
        nftables) program=nft; service= ;;
        procps) program=ps; service= ;;
        podman) program=podman; service=podman.socket ;;
        postgresql) program=pg_ctlcluster; service=postgresql ;;
        nmap | masscan | gobuster | openssl | curl | unzip | npm | runsc | ndiff | chromium | wrk | debootstrap | buildah | runc) program=$package; service= ;;
        *) continue ;;
      esac
      for each in $service \${service:+ssh}; do
        rc=0
        [ ! -x /usr/sbin/policy-rc.d ] || /usr/sbin/policy-rc.d "$each" start || rc=$?
        echo "start $each: $rc" >>"$T/log"
      done
      [ -z "\${broken:-}" ] || continue
      printf '#!/bin/sh\\n' >"/usr/sbin/$program"; chmod 755 "/usr/sbin/$program"
      case "$service" in '') ;; *.*) unit=$service ;; *) unit=$service.service ;; esac
      [ -z "$service" ] || ln -sf /dev/null "/etc/systemd/system/multi-user.target.wants/$unit"
    done
    exit "\${broken:-0}"`,
  // Installs what npm leaves behind where it runs no install scripts: the wrapper.
  npm: `
    case "$1" in --version) echo 11.0.0; exit ;; prefix) echo "$T/prefix"; exit ;; esac
    echo "npm $*" >>"$T/log"
    package="$4/lib/node_modules/deno"
    mkdir -p "$package"
    printf '#!/bin/sh\\necho "deno 2.9.6 (a wrapper)"\\n' >"$package/bin.cjs"; chmod 755 "$package/bin.cjs"
    ln -sfn ../lib/node_modules/deno/bin.cjs "$4/bin/deno"
    echo >"$package/install.cjs"`,
  // Runs only the install script of that package, which puts the program beside the wrapper.
  node: `
    echo "node \${1##*/}" >>"$T/log"
    cp "$T/deno" "\${1%/*}/deno"`,
};

/** The program itself: it knows its version, and whether the packages were fetched. */
const deno = (version: string) =>
  `#!/bin/sh
case "$*" in
  --version) echo "deno ${version} (stable)" ;;
  "install --cached-only") [ -e "$T/cached" ] ;;
  install*) echo "deno $*" >>"$T/log"; : >"$T/cached"; mkdir -p "$HOME/.cache/deno/npm" ;;
esac
`;

/** Runs shell text in a mount namespace of its own; without root that takes a user namespace too. */
function withPrivateMounts(text: string, ...args: string[]): Deno.Command {
  return new Deno.Command("bash", {
    args: [
      "-c",
      '[ "$(id -u)" -eq 0 ] && user= || user=-r; exec unshare -m $user sh -ec "$@"',
      "bash",
      text,
      "sh",
      ...args,
    ],
    stdin: "null",
  });
}

Deno.test("this machine lets the set-up tests mount in private", () => {
  const { success } = withPrivateMounts("mount -t tmpfs none /usr/sbin")
    .outputSync();
  assert.ok(
    success,
    "Cannot test setup.sh: mounting is forbidden here; run the tests as root",
  );
});

interface Outcome {
  code: number;
  output: string;
  /** The calls since the last run. */
  calls: string[];
}

/** A machine of stand-ins below a temporary folder. */
class Machine implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(
    options: { without?: string[]; rootless?: boolean } = {},
  ): Promise<Machine> {
    const machine = new Machine(await Deno.makeTempDir({ prefix: "setup-" }));
    await machine.sh(`
      mkdir -p bin sbin units/multi-user.target.wants prefix/bin prefix/lib home repo/scripts
      for tool in ${tools} cp; do ln -s "$(command -v "$tool")" "bin/$tool"; done
      for program in bash prlimit; do ln -s /bin/sh "bin/$program"; done
      cp "${root}scripts/setup.sh" repo/scripts/`);
    await machine.write("deno", deno("2.9.6"));
    for (const [name, text] of Object.entries(standIns)) {
      if (!options.without?.includes(name)) {
        await machine.write(`bin/${name}`, `#!/bin/sh\n${text}\n`);
      }
    }
    if (options.rootless) {
      await machine.sh("rm bin/id");
      await machine.write("bin/id", "#!/bin/sh\necho 1000\n");
    }
    return machine;
  }

  /** Writes an executable file. */
  async write(path: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${path}`, text, { mode: 0o755 });
  }

  /** Runs a line of shell in the folder, on the real machine. */
  async sh(text: string): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("bash", {
      args: ["-ec", text],
      cwd: this.folder,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  /** Runs setup.sh on the machine. */
  async setup(...args: string[]): Promise<Outcome> {
    const cover = `
      mount --bind "$1/sbin" /usr/sbin
      [ ! -d /etc/systemd/system ] || mount --bind "$1/units" /etc/systemd/system
      [ ! -d /usr/local/sbin ] || mount -t tmpfs none /usr/local/sbin
      t=$1; shift
      exec /usr/bin/env -i T="$t" HOME="$t/home" PATH="$t/bin:$t/prefix/bin" "$t/repo/scripts/setup.sh" "$@"`;
    const { code, stdout, stderr } = await withPrivateMounts(
      cover,
      this.folder,
      ...args,
    ).output();
    const decoder = new TextDecoder();
    const calls = await this.sh("cat log 2>/dev/null || true; rm -f log");
    return {
      code,
      output: decoder.decode(stdout) + decoder.decode(stderr),
      calls: calls === "" ? [] : calls.split("\n"),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

const aptInstall =
  "apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install";
const servePackages =
  "nmap masscan gobuster bubblewrap perl-base iproute2 nftables";
const testPackages =
  "nginx-light dropbear-bin redis-server dnsmasq-base openssl procps runsc debootstrap buildah podman runc postgresql ndiff chromium wrk";

Deno.test({
  name:
    "setup.sh installs everything on a bare machine, and nothing the second time",
  fn: async () => {
    await using machine = await Machine.make();
    const first = await machine.setup();
    assert.equal(first.code, 0, first.output);
    assert.deepEqual(first.calls, [
      `${aptInstall} ${servePackages} ${testPackages}`,
      // The services of the lab are held back, any other may start.
      "start nginx: 101",
      "start ssh: 0",
      "start redis-server: 101",
      "start ssh: 0",
      "start podman.socket: 101",
      "start ssh: 0",
      "start postgresql: 101",
      "start ssh: 0",
      `npm install -g --prefix ${machine.folder}/prefix --no-fund --no-audit --no-update-notifier --loglevel=error deno@2.9.6`,
      "node install.cjs",
      "deno install --quiet --frozen",
    ]);
    // The policy is gone, no service is enabled, and Deno is the program and not its wrapper.
    assert.equal(
      await machine.sh("ls sbin | grep policy || true; ls units/*"),
      "",
    );
    assert.equal(
      await machine.sh("readlink prefix/bin/deno"),
      "../lib/node_modules/deno/deno",
    );
    const second = await machine.setup();
    assert.deepEqual([second.code, second.calls], [0, []], second.output);
    const check = await machine.setup("--check");
    assert.deepEqual([check.code, check.calls], [0, []], check.output);
  },
});

Deno.test({
  name:
    "setup.sh --check changes nothing and exits 1 where something is missing",
  fn: async () => {
    await using machine = await Machine.make();
    const list = "find . -printf '%p %l %T@\\n' | sort";
    const before = await machine.sh(list);
    const { code, calls, output } = await machine.setup("--check");
    assert.deepEqual([code, calls], [1, []]);
    for (const name of ["nmap", "bwrap", "nginx"]) {
      assert.match(output, new RegExp(`^setup: ${name}: missing`, "m"));
    }
    assert.match(output, /^setup: Deno 2\.9\.6: missing \(found: none\)$/m);
    assert.equal(await machine.sh(list), before);
  },
});

Deno.test({
  name: "setup.sh --no-test leaves out the servers of the lab",
  fn: async () => {
    await using machine = await Machine.make();
    const { code, calls } = await machine.setup("--no-test");
    assert.deepEqual([code, calls[0]], [0, `${aptInstall} ${servePackages}`]);
    assert.equal(calls.filter((call) => call.startsWith("start ")).length, 0);
    assert.equal((await machine.setup("--check", "--no-test")).code, 0);
    assert.equal((await machine.setup("--check")).code, 1);
  },
});

Deno.test({
  name: "setup.sh refreshes stale package lists, and only those",
  fn: async () => {
    await using machine = await Machine.make();
    await machine.sh(": >stale");
    const { code, calls, output } = await machine.setup("--no-test");
    assert.equal(code, 0, output);
    assert.deepEqual(calls.slice(0, 3), [
      `${aptInstall} ${servePackages}`,
      "apt-get -q -y -o DPkg::Lock::Timeout=300 update",
      `${aptInstall} ${servePackages}`,
    ]);
  },
});

Deno.test({
  name:
    "setup.sh puts the service policy of the machine back, after a failure and after a kill",
  fn: async (t) => {
    const own = '#!/bin/sh\necho own >>"$T/log"\nexit 104\n';
    await t.step("after an apt that fails", async () => {
      await using machine = await Machine.make();
      await machine.write("sbin/policy-rc.d", own);
      await machine.sh(": >broken");
      const { code, calls, output } = await machine.setup();
      assert.equal(code, 1);
      assert.match(output, /apt-get install failed/);
      // The machine's own policy is still asked about every other service.
      assert.deepEqual(
        calls.slice(1, 4),
        ["start nginx: 101", "own", "start ssh: 104"],
      );
      assert.equal(
        await Deno.readTextFile(`${machine.folder}/sbin/policy-rc.d`),
        own,
      );
      assert.equal(await machine.sh("ls sbin"), "policy-rc.d");
    });

    await t.step("after a run that was killed in the middle", async () => {
      await using machine = await Machine.make();
      await machine.setup();
      await machine.write("sbin/policy-rc.d.before-setup", own);
      const mark = await machine.sh(
        "sed -n \"s/^policy_mark='\\(.*\\)'/\\1/p\" repo/scripts/setup.sh",
      );
      await machine.write("sbin/policy-rc.d", `#!/bin/sh\n# ${mark}\n`);
      assert.equal((await machine.setup()).code, 0);
      assert.equal(
        await Deno.readTextFile(`${machine.folder}/sbin/policy-rc.d`),
        own,
      );
      assert.equal(await machine.sh("ls sbin | grep before || true"), "");
    });
  },
});

Deno.test({
  name: "setup.sh leaves a service enabled that was there before",
  ignore: !new Deno.Command("test", { args: ["-d", "/etc/systemd/system"] })
    .outputSync().success,
  fn: async () => {
    await using machine = await Machine.make();
    await machine.write("sbin/nginx", "#!/bin/sh\n");
    const wants = "units/multi-user.target.wants";
    await machine.sh(`ln -s /dev/null ${wants}/nginx.service`);
    const { code, calls } = await machine.setup();
    assert.equal(code, 0);
    assert(!calls[0]?.includes("nginx"));
    assert.equal(await machine.sh(`ls ${wants}`), "nginx.service");
  },
});

Deno.test({
  name: "setup.sh says what to do where it cannot do it",
  fn: async (t) => {
    await t.step("no apt: names the packages", async () => {
      await using machine = await Machine.make({ without: ["apt-get"] });
      const { code, output } = await machine.setup("--no-test");
      assert.equal(code, 1);
      assert(output.includes("has no apt; install these"));
      assert(output.includes(servePackages));
    });

    await t.step("neither root nor sudo: gives the command", async () => {
      await using machine = await Machine.make({ rootless: true });
      const { code, output, calls } = await machine.setup("--no-test");
      assert.deepEqual([code, calls], [1, []]);
      assert(output.includes(`as root run: apt-get install ${servePackages}`));
    });

    await t.step("sudo refuses: gives the command", async () => {
      await using machine = await Machine.make({ rootless: true });
      await machine.write("bin/sudo", "#!/bin/sh\nexit 1\n");
      const { code, output, calls } = await machine.setup("--no-test");
      assert.deepEqual([code, calls], [1, []]);
      assert(output.includes("as root run: apt-get install"));
    });

    await t.step("another Deno comes first on PATH: names it", async () => {
      await using machine = await Machine.make();
      await machine.write("bin/deno", deno("2.5.0"));
      const { code, output } = await machine.setup("--no-test");
      assert.equal(code, 1);
      assert.match(
        output,
        /another one comes first on PATH: \S*bin\/deno \(2\.5\.0\)/,
      );
      assert.match(output, /deno upgrade 2\.9\.6/);
    });

    await t.step("unknown option: usage, exit 2", async () => {
      await using machine = await Machine.make();
      const { code, calls } = await machine.setup("--dev");
      assert.deepEqual([code, calls], [2, []]);
    });
  },
});

Deno.test({
  name:
    "setup.sh replaces another version of Deno, and the wrapper of the right one",
  fn: async (t) => {
    for (
      const [name, text] of [
        ["another version", deno("2.5.0")],
        ["the wrapper", null],
      ] as const
    ) {
      await t.step(name, async () => {
        await using machine = await Machine.make();
        await machine.setup("--no-test");
        await machine.sh("rm prefix/bin/deno");
        if (text === null) {
          await machine.sh(
            "ln -s ../lib/node_modules/deno/bin.cjs prefix/bin/deno",
          );
        } else {
          await machine.write("prefix/bin/deno", text);
        }
        assert.equal((await machine.setup("--check", "--no-test")).code, 1);
        const { code, calls } = await machine.setup("--no-test");
        assert.deepEqual([code, calls.length, calls[1]], [
          0,
          2,
          "node install.cjs",
        ]);
        assert.match(
          await machine.sh("readlink -f prefix/bin/deno"),
          /deno\/deno$/,
        );
      });
    }
  },
});
