/**
 * Checks over the files of the repository that no type and no linter makes: what must not be written
 * anywhere, what must be pinned, and that what the README names is there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { filesBelow, ROOT, textOf } from "./repository.ts";

/** Files that are read as text; the lock file is made and holds no sentence of ours. */
const TEXT =
  /(?:\.(?:ts|tsx|js|json|jsonc|md|sh|ya?ml|toml|txt|xml|html|css|service|conf)|\/[^./]+|^[^/]*(?:Dockerfile|LICENSE|\.gitignore))$/;

/** What may stand nowhere, in which files it is looked for, and why. */
interface Ban {
  readonly name: string;
  readonly pattern: RegExp;
  readonly except?: RegExp;
  readonly why: string;
  /** Texts that it must catch. */
  readonly caught: readonly string[];
  /** Texts that it must let pass. */
  readonly passed: readonly string[];
}

// The texts below are put together from halves, so that this file passes its own check.
const ALL = "--allow-" + "all";
const SHORT = "-" + "A";
const MARK = "TO" + "DO";

const BANS: readonly Ban[] = [
  {
    name: "everything allowed",
    pattern:
      /--allow-al[l]\b|\bdeno\b[^\n|;]*\s-[a-zA-Z]*A\b|"(?:run|test|task|bench|serve)",\s*"-A"/,
    why: "the permission model is the product; name what is needed",
    caught: [
      `deno run ${ALL} x.ts`,
      `deno run ${SHORT} x.ts`,
      `env -S deno test -q${SHORT.slice(1)}`,
      `["run", "${SHORT}", "x.ts"]`,
    ],
    passed: ["nmap -A is intrusive", "deno run --allow-read=. x.ts"],
  },
  {
    name: "a whole kind of permission",
    pattern:
      /\bdeno\b(?! test\b)[^\n]*\s--allow-(?:run|env|ffi|sys|import|write)(?=["'\s]|$)/,
    // The tests start programs that they put into folders of their own, under names made up then.
    why: "name the programs, the variables and the folders",
    caught: ["deno run --allow-" + "run x.ts", "deno bench --allow-" + 'env"'],
    passed: [
      "deno run --allow-run=nmap x.ts",
      "--allow-env is refused",
      "deno test --allow-" + "run tests",
    ],
  },
  {
    name: "an unowned task",
    except: /^config\/wordlists\//,
    pattern: /\bTOD[O]\b(?!\((?:#\d+|[a-z][\w-]*)\))/,
    why: "say whose it is or where it is tracked",
    caught: [`// ${MARK} later`, `// ${MARK}: x`, `${MARK}()`],
    passed: [`// ${MARK}(#12): x`, `// ${MARK}(anna): x`],
  },
  {
    name: "a path of one machine",
    pattern:
      /(?<![\w.~-])\/(?:work\/(?:main|shared|\.)|tmp\/(?:ref|bash_jobs|common|i2)\b)/,
    why: "nobody else has it",
    caught: ["see /work/" + "shared/x", '"/tmp/' + 'ref/x"'],
    passed: ["/workspace", "network/work/x", "/tmp/x"],
  },
  {
    name: "a registry's host",
    pattern:
      /\b(?:registry\.npmj[s]|registry\.yarnpkg|npm\.js[r]|js[r]\.io|deb\.debia[n]\.org|security\.debia[n]\.org|pyp[i]\.org)\b/,
    why: "clients know theirs; a host may have a mirror",
    caught: ["https://registry." + "npmjs.org/x", "https://js" + "r.io/@std"],
    passed: ["npm:zod@4.6.7", "the npm registry"],
  },
  {
    name: "a package that an npm-only host cannot reach",
    pattern: /["'](?:npm:@st[d]\/|js[r]:)/,
    why: "Debian's archive and the npm registry have to suffice",
    caught: ['"npm:@' + 'std/yaml"', "'js" + "r:@std/assert'"],
    passed: ['"npm:js-yaml@5.5.0"'],
  },
  {
    name: "a broken merge",
    pattern: /^(?:<{7}|>{7}) /m,
    why: "finish the merge",
    caught: ["<".repeat(7) + " HEAD"],
    passed: ["<<<<<<<"],
  },
];

function textFiles(): string[] {
  return filesBelow("", (path) => TEXT.test(path) && path !== "deno.lock");
}

for (const { name, pattern, except, why, caught, passed } of BANS) {
  Deno.test(`no file holds ${name}`, () => {
    verifies("tidy.no_allow_all", "tidy.house_rules");
    for (const text of caught) assert.match(text, pattern);
    for (const text of passed) assert.doesNotMatch(text, pattern);
    const faults = textFiles().filter((path) => !except?.test(path)).flatMap(
      (path) =>
        textOf(path).split("\n").flatMap((line, at) =>
          pattern.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : []
        ),
    );
    assert.deepEqual(faults, [], `${why}:\n${faults.join("\n")}`);
  });
}

interface Config {
  readonly tasks?: Record<string, string | { command?: string }>;
  readonly imports: Record<string, string>;
  readonly lint: { readonly plugins?: readonly string[] };
  readonly lock: { readonly frozen: boolean };
}

function config(): Config {
  return JSON.parse(textOf("deno.json")) as Config;
}

/** The commands of all tasks by name. */
function commands(): Map<string, string> {
  return new Map(
    Object.entries(config().tasks ?? {}).map(([name, task]) => [
      name,
      typeof task === "string" ? task : task.command ?? "",
    ]),
  );
}

function exists(path: string): boolean {
  try {
    Deno.statSync(new URL(path, ROOT));
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

Deno.test("every test file is in a folder that a task runs", () => {
  const run = [...commands().values()]
    .flatMap((command) => command.split(/\s+/))
    .filter((token) => /^(?:\.\/)?tests\//.test(token))
    .map((token) => token.replace(/^\.\//, "").replace(/\/?$/, "/"));
  const forgotten = filesBelow("", (path) => path.endsWith("_test.ts"))
    .filter((path) => !run.some((folder) => `${path}/`.startsWith(folder)));
  assert.deepEqual(forgotten, [], "no task of deno.json runs these");
});

Deno.test("every file that a task names exists", () => {
  for (const [name, command] of commands()) {
    const named = command.match(/(?<=^|\s)(?:src|tests|scripts)\/[\w./-]+/g);
    for (const path of named ?? []) {
      assert.ok(exists(path), `task ${name} names ${path}`);
    }
  }
});

Deno.test("every package is pinned to one version and the lock is frozen", () => {
  for (const [name, target] of Object.entries(config().imports)) {
    if (target.startsWith("./")) continue;
    assert.match(target, /^npm:(?:@[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+$/, name);
  }
  assert.equal(config().lock.frozen, true);
});

Deno.test("the linter runs the plugin of the house", () => {
  verifies("tidy.house_rules");
  assert.deepEqual(config().lint.plugins, ["./tests/tidy/house.ts"]);
});

Deno.test("every link of a page resolves", () => {
  verifies("readme.links_resolve");
  const pages = filesBelow("", (path) => path.endsWith(".md"));
  assert.ok(pages.includes("README.md"), "there is no README.md");
  for (const page of pages) {
    const text = withoutCode(textOf(page));
    for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === ""
        ? page
        : new URL(path, `file:///${page}`).pathname.slice(1);
      assert.ok(exists(file), `${page} links to ${target}`);
      if (anchor === undefined || !file.endsWith(".md")) continue;
      assert.ok(
        anchorsOf(textOf(file)).has(anchor),
        `${page} links to ${target}: there is no such heading`,
      );
    }
  }
});

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, "").replace(/`[^`\n]*`/g, "");
}

/** The anchors of a page's headings, as the usual viewers make them. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replace(/^```[\s\S]*?^```/gm, "")
    .matchAll(/^#+ +(.*)$/gm);
  return new Set(
    [...headings].map(([, heading = ""]) =>
      heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim()
        .replace(/\s/g, "-")
    ),
  );
}

Deno.test("every deno task that the README names is in deno.json", () => {
  verifies("readme.commands_exist");
  const tasks = commands();
  const named = textOf("README.md").matchAll(
    /\bdeno task (?:--?[\w-]+(?:[= ]\/\S+)? )*([\w:-]+)/g,
  );
  for (const [whole, name = ""] of named) {
    assert.ok(tasks.has(name), `README.md says "${whole}"`);
  }
});

Deno.test("the stdio server's task holds no network permission", () => {
  verifies("serve.no_net");
  const command = commands().get("serve") ?? "";
  assert.match(command, /\bdeno run .*src\/main\.ts serve\b/);
  assert.match(command, /(?<=\s)--no-prompt(?=\s)/);
  assert.match(command, /(?<=\s)--allow-run=nmap,masscan,gobuster(?=\s)/);
  assert.doesNotMatch(command, /--allow-(?:net|ffi|import)\b|\s-P\b/);
});

Deno.test("the files of src and tests have telling names", () => {
  for (const path of filesBelow("src/").concat(filesBelow("tests/"))) {
    if (!path.endsWith(".ts")) continue;
    assert.match(path, /\/[a-z0-9]+(?:_[a-z0-9]+)*\.ts$/);
  }
});
