/**
 * How each database fails, and what the store says then: what is the matter and the way out, and
 * never a password.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { checkStoreAt, openStore, openStoreToLook } from "@/store/open.ts";
import { freePort } from "../support/network.ts";
import { PASSWORD, startPostgres } from "../support/postgres.ts";
import { startRelay } from "../support/relay.ts";
import { ROOT } from "../support/task.ts";
import { withTempDir } from "../support/temp_dir.ts";
import {
  host,
  inTime,
  NOON,
  opener,
  port,
  refused,
  scanned,
} from "./store_cases.ts";
import { rights, startWriter } from "./store_child.ts";
import { verifies } from "../requirements.ts";

const OPTIONS = { program: "1.0.0", now: () => NOON };
const URL_OF_FILE = "sqlite:scans.db";

/** Most milliseconds of a program that is run beside. */
const PROGRAM_MS = 60_000;

function timed(name: string, run: () => Promise<void>): void {
  Deno.test(name, () => inTime(name, run));
}

/** Makes a store with a thousand services, closed and in one file. */
async function filled(folder: string): Promise<string> {
  await using store = await opener({ url: URL_OF_FILE, folder })();
  for (let n = 0; n < 4; n++) {
    const hosts = Array.from(
      { length: 250 },
      (_, at) =>
        host(`10.0.${n}.${at}`, [
          port(80, { untrusted: { product: `product ${at}` } }),
        ]),
    );
    await scanned(store, `s${n}`, hosts);
  }
  return `${folder}/scans.db`;
}

async function overwrite(
  path: string,
  at: number,
  bytes: Uint8Array,
): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(bytes);
}

const DAMAGE: readonly {
  readonly name: string;
  readonly harm: (path: string) => Promise<void>;
}[] = [
  {
    name: "garbage",
    harm: (path) => Deno.writeTextFile(path, "no database ".repeat(1_000)),
  },
  { name: "cut short", harm: (path) => Deno.truncate(path, 40_000) },
  {
    name: "with a page of zeros for its schema",
    harm: (path) => overwrite(path, 100, new Uint8Array(3_996)),
  },
  {
    name: "with a wrong beginning",
    harm: (path) => overwrite(path, 0, new Uint8Array(100)),
  },
];

for (const { name, harm } of DAMAGE) {
  timed(
    `openStore() refuses a file that is ${name} and names the way out`,
    async () => {
      await using folder = await withTempDir();
      const path = await filled(folder.path);
      await harm(path);
      const options = { ...OPTIONS, folder: folder.path };
      await refused(
        openStore(URL_OF_FILE, options),
        "tool_unavailable",
        /Cannot use the database "sqlite:scans\.db": the file is no SQLite database or is damaged; deno task store check says where, and moving the file .* aside/,
      );
      const before = await Deno.readFile(path);
      const problems = await checkStoreAt(URL_OF_FILE, options);
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.check, "opening the store");
      assert.match(
        problems[0]?.problem ?? "",
        /not a database|malformed|failed/,
      );
      assert.match(problems[0]?.way ?? "", /aside/);
      assert.deepEqual(await Deno.readFile(path), before, "left as it was");
      // The way out works.
      for (const ending of ["", "-wal", "-shm"]) {
        await Deno.rename(path + ending, `${path}.old${ending}`).catch(
          () => {},
        );
      }
      await using store = await openStore(URL_OF_FILE, options);
      assert.deepEqual(await store.check(), []);
    },
  );
}

timed(
  "check() finds flipped pages anywhere in the file, and reads fail clearly",
  async () => {
    await using folder = await withTempDir();
    const path = await filled(folder.path);
    const sound = await Deno.readFile(path);
    const options = { ...OPTIONS, folder: folder.path };
    let [found, tried] = [0, 0];
    const pages = sound.length / 4_096;
    for (let page = 2; page < pages; page += Math.ceil(pages / 25)) {
      tried++;
      await Deno.writeFile(path, sound);
      const bytes = sound.slice(page * 4_096, (page + 1) * 4_096)
        .map((byte) => byte ^ 0xff);
      await overwrite(path, page * 4_096, bytes);
      const problems = await checkStoreAt(URL_OF_FILE, options);
      if (problems.length > 0) found++;
      for (const { way } of problems) assert.match(way, /aside|report it/);
      await using store = await openStore(URL_OF_FILE, options).catch(() =>
        null
      );
      const reads = [
        () => store?.listScans({ tenant: "default" }, { limit: 100 }),
        () => store?.inventoryServices({ tenant: "default" }, { limit: 1_000 }),
        () => store?.search("product", { tenant: "default" }, { limit: 1_000 }),
        () => store?.getReport("s1"),
      ];
      for (const read of reads) {
        try {
          await read();
        } catch (thrown) {
          // A page of text that was JSON is no failure of SQLite: it is one all the same.
          const plain = thrown instanceof SyntaxError;
          assert.ok(thrown instanceof AppError || plain, String(thrown));
          if (!plain) assert.match(String(thrown), /damaged|a fault/);
        }
      }
    }
    // About 25, as the number of pages has it.
    assert.ok(tried >= 20, `${tried} pages were spoilt`);
    assert.ok(found >= tried - 1, `${found} of ${tried} were found`);
  },
);

timed(
  "openStore() makes its file for the owner only, and refuses paths that lead out",
  async () => {
    await using folder = await withTempDir();
    const options = { ...OPTIONS, folder: `${folder.path}/state` };
    {
      await using store = await openStore("sqlite:sub/a.db", options);
      await scanned(store, "s", []);
      for await (const { name } of Deno.readDir(`${options.folder}/sub`)) {
        const { mode } = await Deno.stat(`${options.folder}/sub/${name}`);
        assert.equal((mode ?? 0) & 0o777, 0o600, name);
      }
    }
    const bad = [
      "sqlite:../a.db",
      "sqlite:/etc/a.db",
      "sqlite:a/../../b",
      "sqlite:",
      "sqlite:-x",
      "sqlite:.hidden",
      "sqlite::memory:",
      "sqlite:file:x?mode=memory",
      "sqlite:a\u0000b",
      "mysql://a:secret@b/c",
      "postgres://",
      "postgres://host/db",
      "postgres://u:secret@host",
      "postgres://u:secret@host/db?sslmode=require",
      "postgres://u:secret@host/db?host=/tmp",
      "postgres://u:secr%et@host/db",
      "x".repeat(2_000),
    ];
    for (const url of bad) {
      await assert.rejects(openStore(url, options), (thrown: AppError) => {
        assert.equal(thrown.code, "invalid_arguments", url);
        assert.match(thrown.message, /^Cannot use database\.url: /);
        assert.doesNotMatch(
          `${thrown.message}${thrown.detail}${thrown.stack}`,
          /secret/,
        );
        return true;
      });
    }
  },
);

const NO_FILES: readonly {
  readonly what: string;
  readonly make: (path: string, folder: string) => Promise<void>;
}[] = [
  {
    what: "a symbolic link",
    make: async (path, folder) => {
      await Deno.writeTextFile(`${folder}/elsewhere`, "");
      await Deno.symlink(`${folder}/elsewhere`, path);
    },
  },
  {
    what: "a symbolic link",
    make: (path, folder) => Deno.symlink(`${folder}/nothing`, path),
  },
  { what: "a folder", make: (path) => Deno.mkdir(path) },
  { what: "a named pipe", make: (path) => program("mkfifo", path) },
  {
    what: "a socket",
    // It stays when the program that bound it has ended.
    make: (path) =>
      program(
        "perl",
        "-MSocket",
        "-e",
        "my $s; socket($s, PF_UNIX, SOCK_STREAM, 0) or die; bind($s, pack_sockaddr_un($ARGV[0])) or die",
        path,
      ),
  },
  {
    what: "a device",
    // The device that swallows everything, under a name of ours.
    make: (path) => program("mknod", path, "c", "1", "3"),
  },
];

async function program(name: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(name, {
    args,
    stdin: "null",
    signal: AbortSignal.timeout(PROGRAM_MS),
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

for (const [at, { what, make }] of NO_FILES.entries()) {
  timed(
    `openStore() refuses ${what} in the place of its file (${at})`,
    async () => {
      verifies("store.plain_file");
      await using folder = await withTempDir();
      const path = `${folder.path}/scans.db`;
      await make(path, folder.path);
      const before = await Deno.lstat(path);
      const options = { ...OPTIONS, folder: folder.path };
      for (const open of [openStore, openStoreToLook]) {
        await refused(
          open(URL_OF_FILE, options),
          "tool_unavailable",
          new RegExp(
            `Cannot use the database "sqlite:scans\\.db": it is ${what} and only a plain file is opened; move it out of the state folder, or name another file in database\\.url$`,
          ),
        );
      }
      assert.equal((await Deno.lstat(path)).ino, before.ino, "left as it was");
      const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name);
      assert.ok(!names.includes("nothing"), "nothing was made behind the link");
      await Deno.remove(path);
      await using store = await openStore(URL_OF_FILE, options);
      assert.deepEqual(await store.check(), [], "the way out works");
    },
  );
}

timed(
  "a store without the right to its folder says which flag it wants",
  async () => {
    await using folder = await withTempDir();
    const place = { url: URL_OF_FILE, folder: folder.path };
    const child = startWriter(place, "a", 1, [
      `--allow-read=${ROOT}src,${folder.path}`,
    ]);
    assert.match(
      (await child.lines).at(-1) ?? "",
      /^failed Cannot use the database "sqlite:scans\.db": its file may not be read or written; start the server with --allow-read and --allow-write/,
    );
  },
);

timed("a store in a folder that cannot be written says so", async () => {
  await using folder = await withTempDir();
  await filled(folder.path);
  // Root may write whatever the mode says, so the folder is made read-only by a mount of its own.
  const { stdout } = await new Deno.Command("unshare", {
    args: [
      ...Deno.uid() === 0 ? [] : ["-r"],
      "-m",
      "sh",
      "-c",
      'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"',
      "sh",
      folder.path,
      "deno",
      "run",
      "--no-prompt",
      "--cached-only",
      ...rights({ url: URL_OF_FILE, folder: folder.path }),
      `${ROOT}tests/process/store_writer.ts`,
      URL_OF_FILE,
      folder.path,
      "a",
      "1",
    ],
    cwd: ROOT,
    stdin: "null",
    signal: AbortSignal.timeout(PROGRAM_MS),
  }).output();
  assert.match(
    new TextDecoder().decode(stdout),
    /failed Cannot use the database "sqlite:scans\.db": its file or folder cannot be written; let the server's user write/,
  );
});

timed(
  "openStore() says what is the matter with PostgreSQL and never the password",
  async () => {
    await using server = await startPostgres();
    await using folder = await withTempDir();
    const options = { ...OPTIONS, folder: folder.path };
    // One by one: several statements in one call are one transaction, in which no database is made.
    const statements = [
      "create role weak login password 'weak-secret'",
      "create database guarded",
      "revoke all on database guarded from public",
      "create database latin encoding 'LATIN1' locale 'C' template template0",
      "create database closed",
    ];
    for (const statement of statements) await server.sql("postgres", statement);
    await server.sql("closed", "revoke all on schema public from public");
    const weak = (database: string) =>
      `postgres://weak:weak-secret@127.0.0.1:${server.port}/${database}`;
    const table: [string, RegExp][] = [
      [server.url("postgres", "weak-secret"), /refuses this user and password/],
      [weak("guarded"), /lacks a right/],
      [weak("closed"), /lacks a right/],
      [
        server.url("nowhere"),
        /there is no such database; make it with createdb/,
      ],
      [
        server.url("latin"),
        /its encoding is LATIN1; make it with createdb --encoding=UTF8/,
      ],
      [
        `postgres://u:weak-secret@127.0.0.1:${freePort()}/db`,
        /nothing listens there/,
      ],
      [
        `${server.url("postgres")}?sslmode=verify-full`,
        /the server speaks no TLS; switch it on there, or add \?sslmode=disable/,
      ],
      [
        `postgres://scanner@127.0.0.1:${server.port}/postgres`,
        /database\.url has none|refuses this user/,
      ],
    ];
    for (const [url, message] of table) {
      await assert.rejects(openStore(url, options), (thrown: AppError) => {
        assert.match(thrown.message, message);
        assert.match(
          thrown.message,
          /^Cannot use the database "postgres:\/\/127\.0\.0\.1:\d+\/\w+": /,
        );
        const told = `${thrown.message}${thrown.detail}${thrown.stack}${
          Deno.inspect(thrown, { depth: 20, showHidden: true })
        }`;
        for (
          const secret of [
            PASSWORD,
            encodeURIComponent(PASSWORD),
            "weak-secret",
          ]
        ) {
          assert.ok(!told.includes(secret), told);
        }
        return true;
      });
    }
  },
);

timed("a server with few rights says which flag PostgreSQL wants", async () => {
  await using server = await startPostgres();
  await using folder = await withTempDir();
  const place = { url: await server.fresh(), folder: folder.path };
  const enough = rights(place);
  const table: [string[], RegExp][] = [
    [enough, /^done$/],
    [
      enough.filter((flag) => !flag.startsWith("--allow-net")),
      new RegExp(
        `^failed .*: the server may not reach it; start it with --allow-net=127\\.0\\.0\\.1:${server.port}$`,
      ),
    ],
    [
      enough.filter((flag) => flag !== "--ignore-env"),
      /^failed .*start the server with --ignore-env besides its --allow-env$/,
    ],
  ];
  for (const [flags, line] of table) {
    const { lines } = startWriter(place, "a", 1, flags);
    assert.match((await lines).at(-1) ?? "", line, flags.join(" "));
  }
});

timed("PostgreSQL over TLS: the certificate is checked", async () => {
  await using server = await startPostgres({ tls: true });
  await using folder = await withTempDir();
  const options = { ...OPTIONS, folder: folder.path };
  const url = `${await server.fresh()}?sslmode=verify-full`;
  await refused(
    openStore(url, options),
    "tool_unavailable",
    /the server's certificate cannot be checked; name its issuer with \?sslrootcert=FILE/,
  );
  await using store = await openStore(
    `${url}&sslrootcert=${encodeURIComponent(server.certificate)}`,
    options,
  );
  await scanned(store, "s", []);
});

timed("a store outlives connections that PostgreSQL ends", async () => {
  await using server = await startPostgres();
  await using folder = await withTempDir();
  const url = await server.fresh();
  const lost: string[] = [];
  await using store = await openStore(url, {
    ...OPTIONS,
    folder: folder.path,
    lost: (detail) => lost.push(detail),
  });
  await scanned(store, "s1", [host("10.0.0.1", [port(80)])]);
  await server.sql(
    "postgres",
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'security-mcp'",
  );
  // The first calls may meet a dead connection; they say so and the next ones work.
  for (let tries = 0; tries < 20; tries++) {
    const done = await store.getScan("s1").catch((thrown: AppError) => {
      assert.match(thrown.message, /try again in a moment/);
      return null;
    });
    if (done !== null) break;
  }
  await scanned(store, "s2", []);
  await using other = await openStore(url, { ...OPTIONS, folder: folder.path });
  await store.createScan({
    id: "s3",
    tenant: "default",
    tool: "nmap",
    request: {},
    target: "a",
    queuedAt: NOON,
    traceId: "0",
  });
  const rules = { requeue: false, requeueMax: 1 };
  const { queued } = await other.recover(rules);
  assert.deepEqual(queued, [], "the runner's lock was taken again");
  assert.deepEqual(await store.check(), []);
});

timed(
  "a store whose connections end under its work says so, and keeps whole scans",
  async () => {
    await using server = await startPostgres();
    await using folder = await withTempDir();
    const url = await server.fresh();
    await using store = await openStore(url, {
      ...OPTIONS,
      folder: folder.path,
    });
    const hosts = Array.from(
      { length: 100 },
      (_, at) =>
        host(`10.0.0.${at}`, [port(80, { untrusted: { product: "nginx" } })]),
    );
    let finished = 0;
    for (let round = 0; round < 6; round++) {
      const work = Array.from(
        { length: 4 },
        (_, at) =>
          scanned(store, `s${round}-${at}`, hosts).then(
            () => finished++,
            (thrown: AppError) => {
              assert.match(thrown.message, /try again in a moment/);
            },
          ),
      );
      await server.sql(
        "postgres",
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'security-mcp'",
      );
      await Promise.all(work);
    }
    await scanned(store, "last", hosts);
    assert.deepEqual(await store.check(), []);
    const { items } = await store.listScans({
      tenant: "default",
      status: "succeeded",
    }, {
      limit: 50,
    });
    assert.ok(items.length > finished, `${items.length} of ${finished}`);
    assert.ok(items.every(({ hostCount }) => hostCount === 100));
  },
);

timed(
  "a store whose server is gone says so at once, and works when it is back",
  async () => {
    await using server = await startPostgres();
    await using folder = await withTempDir();
    const url = await server.fresh();
    await using relay = startRelay(server.port);
    const through = url.replace(`:${server.port}/`, `:${relay.port}/`);
    await using store = await openStore(through, {
      ...OPTIONS,
      folder: folder.path,
    });
    await scanned(store, "s1", []);
    relay.cut();
    const start = performance.now();
    await assert.rejects(scanned(store, "s2", []), (thrown: AppError) => {
      assert.match(thrown.message, /try again in a moment|nothing listens/);
      return true;
    });
    assert.ok(performance.now() - start < 5_000);
    relay.mend();
    await scanned(store, "s3", []);
  },
);
