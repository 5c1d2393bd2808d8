import assert from "node:assert/strict";
import {
  type CatalogueFiles,
  FOLDER_ENTRIES_MAX,
  readCatalogue,
  type Wordlist,
  WORDLIST_BYTES_MAX,
  WORDLISTS_MAX,
} from "@/config/catalogue.ts";

/** A file of {@linkcode fake}: its content, or something that is no file. */
type Content =
  | string
  | { link: string }
  | { size: number; text: string }
  | null;

/** A file system of absolute paths. Null is something that is no regular file. */
function fake(entries: Readonly<Record<string, Content>>): CatalogueFiles {
  const at = (path: string): Content => {
    const content = new Map(Object.entries(entries)).get(path);
    if (content === undefined) throw new Deno.errors.NotFound(path);
    return content;
  };
  const folders = new Set(
    Object.keys(entries).map((path) => path.slice(0, path.lastIndexOf("/"))),
  );
  return {
    realPath(path) {
      if (folders.has(path)) return Promise.resolve(path);
      const content = at(path);
      return typeof content === "object" && content !== null &&
          "link" in content
        ? Promise.resolve(content.link)
        : Promise.resolve(path);
    },
    async *names(folder) {
      if (!folders.has(folder)) throw new Deno.errors.NotFound(folder);
      for (const path of Object.keys(entries)) {
        if (path.startsWith(`${folder}/`)) yield path.slice(folder.length + 1);
      }
    },
    stat(path) {
      const content = at(path);
      if (content === null) return Promise.resolve({ isFile: false, size: 0 });
      if (typeof content === "string") {
        return Promise.resolve({ isFile: true, size: content.length });
      }
      return Promise.resolve({
        isFile: true,
        size: "size" in content ? content.size : 0,
      });
    },
    async *chunks(path) {
      const content = at(path);
      assert.notEqual(content, null, "what is no file was opened");
      const text = typeof content === "string"
        ? content
        : content !== null && "text" in content
        ? content.text
        : "";
      const bytes = new TextEncoder().encode(text);
      // Small chunks, so that lines cross their borders.
      for (let at = 0; at < bytes.length; at += 3) {
        yield bytes.subarray(at, at + 3);
      }
    },
  };
}

async function read(
  entries: Readonly<Record<string, Content>>,
  folders: readonly string[] = ["/w"],
): Promise<{ lists: readonly Wordlist[]; warnings: string[] }> {
  const warnings: string[] = [];
  const lists = await readCatalogue(folders, {
    files: fake(entries),
    warn: (message) => warnings.push(message),
  });
  return { lists, warnings };
}

Deno.test("readCatalogue() counts the words that gobuster would try", async () => {
  const { lists, warnings } = await read({
    "/w/b.txt": "one\n#two\n\n \t\r\n three\n  #four\nfive",
    "/w/a.txt": "one\r\ntwo\r\n",
    "/w/README.md": "not a list",
  });
  assert.deepEqual(lists, [
    { name: "a", path: "/w/a.txt", words: 2 },
    { name: "b", path: "/w/b.txt", words: 3 },
  ]);
  assert.deepEqual(warnings, []);
});

Deno.test("readCatalogue() leaves out a link that leads out of its folder", async () => {
  const { lists, warnings } = await read({
    "/w/shadow.txt": { link: "/etc/shadow" },
    "/w/sibling.txt": { link: "/w2/x.txt" },
    "/w/up.txt": { link: "/x.txt" },
    "/w/inside.txt": { link: "/w/real.txt" },
    "/w/real.txt": "a\n",
    "/etc/shadow": "root\n",
    "/w2/x.txt": "a\n",
    "/x.txt": "a\n",
  });
  assert.deepEqual(lists.map(({ name, path }) => [name, path]), [
    ["inside", "/w/real.txt"],
    ["real", "/w/real.txt"],
  ]);
  assert.deepEqual(warnings, [
    'The wordlist "shadow.txt" is left out: it is a link that leads out of its folder',
    'The wordlist "sibling.txt" is left out: it is a link that leads out of its folder',
    'The wordlist "up.txt" is left out: it is a link that leads out of its folder',
  ]);
});

Deno.test("readCatalogue() leaves out what cannot be a wordlist, and says why", async () => {
  const { lists, warnings } = await read({
    "/w/-rf.txt": "a\n",
    "/w/A.txt": "a\n",
    "/w/a b.txt": "a\n",
    "/w/.txt": "a\n",
    "/w/a\u0000.txt": "a\n",
    "/w/empty.txt": "#\n\n",
    "/w/pipe.txt": null,
    "/w/big.txt": { size: WORDLIST_BYTES_MAX + 1, text: "a" },
  });
  assert.deepEqual(lists, [{ name: "-rf", path: "/w/-rf.txt", words: 1 }]);
  assert.equal(warnings.length, 7);
  assert.ok(
    warnings.includes(
      'The wordlist "pipe.txt" is left out: it is no regular file',
    ),
  );
  assert.ok(
    warnings.includes('The wordlist "empty.txt" is left out: it holds no word'),
  );
  assert.ok(
    warnings.includes(
      `The wordlist "big.txt" is left out: it has more than ${WORDLIST_BYTES_MAX} bytes`,
    ),
  );
});

Deno.test("readCatalogue() stops reading a file that grew", async () => {
  const files = fake({ "/w/a.txt": "a\n" });
  let chunks = 0;
  const endless: CatalogueFiles = {
    ...files,
    async *chunks() {
      for (;;) {
        chunks += 1;
        yield new Uint8Array(16_777_216);
      }
    },
  };
  const warnings: string[] = [];
  const lists = await readCatalogue(["/w"], {
    files: endless,
    warn: (message) => warnings.push(message),
  });
  assert.deepEqual(lists, []);
  assert.equal(chunks, 5);
  assert.equal(warnings.length, 1);
});

Deno.test("readCatalogue() takes the first of two lists with one name", async () => {
  const { lists, warnings } = await read(
    { "/w/a.txt": "a\n", "/v/a.txt": "a\nb\n" },
    ["/v", "/w"],
  );
  assert.deepEqual(lists, [{ name: "a", path: "/v/a.txt", words: 2 }]);
  assert.deepEqual(warnings, [
    'The wordlist "a.txt" is left out: another wordlist has the same name',
  ]);
});

Deno.test("readCatalogue() goes on without a folder that cannot be read", async () => {
  const { lists, warnings } = await read({ "/w/a.txt": "a\n" }, [
    "/none",
    "/w",
  ]);
  assert.equal(lists.length, 1);
  assert.deepEqual(warnings, [
    'The wordlist folder "/none" cannot be read and is left out: NotFound',
  ]);
});

Deno.test("readCatalogue() bounds the lists and the entries", async () => {
  const many = Object.fromEntries(
    Array.from(
      { length: WORDLISTS_MAX + 2 },
      (_, index) => [`/w/l${index}.txt`, "a\n"],
    ),
  );
  const { lists, warnings } = await read(many);
  assert.equal(lists.length, WORDLISTS_MAX);
  assert.equal(warnings.length, 2);
  const crowd = Object.fromEntries(
    Array.from(
      { length: FOLDER_ENTRIES_MAX + 5 },
      (_, index) => [`/w/${index}.md`, ""],
    ),
  );
  assert.equal((await read(crowd)).warnings.length, 1);
});
