/**
 * The API's document, byte for byte: whoever changes a route sees here what clients will see. To write
 * it anew after a change that is meant:
 *
 *     deno run --no-prompt --allow-read=. --allow-write=tests/golden tests/golden/openapi_write.ts
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { documentText } from "./openapi_document.ts";

type Plain = Readonly<Record<string, unknown>>;

const METHODS = ["get", "post", "put", "patch", "delete"];

/** Described by the app itself: what they are is a protocol of its own, or this document. */
const OTHERS: ReadonlySet<string> = new Set([
  "/.well-known/oauth-protected-resource",
  "/.well-known/oauth-protected-resource/mcp",
  "/docs",
  "/mcp",
  "/openapi.json",
]);

const document = JSON.parse(documentText()) as Plain;

interface Operation {
  readonly name: string;
  readonly path: string;
  readonly of: Plain;
}

function operations(): Operation[] {
  const paths = document["paths"] as Readonly<Record<string, Plain>>;
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const of = item[method] as Plain | undefined;
      return of === undefined || OTHERS.has(path)
        ? []
        : [{ name: `${method} ${path}`, path, of }];
    })
  );
}

/** Every object in a value, with the way to it. */
function* objectsIn(value: unknown, way = "#"): Generator<[string, Plain]> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield [way, value as Plain];
  for (const [key, one] of Object.entries(value)) {
    yield* objectsIn(one, `${way}/${key}`);
  }
}

Deno.test("what takes a body says that it may be too long, in another form or one too many", () => {
  verifies("http.body.form");
  const paths = document["paths"] as Readonly<Record<string, Plain>>;
  const silent = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, of]) => {
      const { requestBody, responses = {} } = of as {
        readonly requestBody?: unknown;
        readonly responses?: Plain;
      };
      return requestBody === undefined
        ? []
        : ["413", "415", "503"].filter((status) => !(status in responses))
          .map((status) => `${method} ${path} ${status}`);
    })
  );
  assert.deepEqual(silent, []);
});

Deno.test("the OpenAPI document is the one that is kept", async () => {
  verifies("http.openapi.golden");
  const kept = await Deno.readTextFile(
    new URL("openapi.json", import.meta.url),
  );
  assert.equal(documentText(), kept);
});

Deno.test("every $ref of the OpenAPI document resolves", () => {
  verifies("http.openapi.golden");
  let count = 0;
  for (const [way, object] of objectsIn(document)) {
    const ref = object["$ref"];
    if (typeof ref !== "string") continue;
    count++;
    const found = ref.replace(/^#\//, "").split("/").reduce<unknown>(
      (at, key) => (at as Plain | undefined)?.[key],
      document,
    );
    assert.ok(found !== undefined, `${way} names ${ref}, which is not there`);
  }
  assert.ok(count > 100);
});

Deno.test("every operation has an id of its own, a summary, tags and its security", () => {
  verifies("http.openapi.golden");
  const ids = new Set<unknown>();
  for (const { name, of } of operations()) {
    const { operationId, summary, tags, security } = of;
    assert.match(String(operationId), /^[a-z][A-Za-z]+$/, name);
    assert.ok(!ids.has(operationId), name);
    ids.add(operationId);
    assert.ok(typeof summary === "string" && summary.length > 3, name);
    assert.equal((tags as unknown[]).length, 1, name);
    const open = name.startsWith("get /health");
    assert.deepEqual(security, open ? [] : [{ bearer: [] }], name);
  }
  assert.equal(ids.size, 40);
});

Deno.test("every operation declares exactly the parameters of its path", () => {
  verifies("http.openapi.golden");
  for (const { name, path, of } of operations()) {
    const parameters = (of["parameters"] ?? []) as Plain[];
    const declared = parameters.filter((one) => one["in"] === "path");
    assert.deepEqual(
      declared.map((one) => one["name"]),
      [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter),
      name,
    );
    assert.ok(declared.every((one) => one["required"] === true), name);
  }
});

Deno.test("every operation has an example of its answer, and of its body", () => {
  verifies("http.openapi.golden");
  for (const { name, of } of operations()) {
    const responses = of["responses"] as Readonly<Record<string, Plain>>;
    const good = Object.entries(responses)
      .filter(([status]) => /^[12]/.test(status));
    assert.ok(good.length > 0, name);
    for (const [status, response] of good) {
      const [media] = Object.values((response["content"] ?? {}) as Plain);
      const has = hasExample(media) || status === "101";
      assert.ok(has, `${name} ${status} has no example`);
    }
    if (of["requestBody"] === undefined) continue;
    const { content } = of["requestBody"] as { content: Plain };
    assert.ok(hasExample(content["application/json"]), `${name} body`);
  }
});

Deno.test("every operation that needs credentials may answer 401, 403 and 429", () => {
  verifies("http.openapi.golden");
  for (const { name, of } of operations()) {
    if ((of["security"] as unknown[]).length === 0) continue;
    const statuses = Object.keys(of["responses"] as Plain);
    for (const status of ["400", "401", "403", "429", "500", "503"]) {
      assert.ok(statuses.includes(status), `${name} ${status}`);
    }
  }
});

Deno.test("the document sends nobody to a tool or a resource of MCP", () => {
  verifies("http.openapi.golden");
  const text = documentText();
  const words =
    /scan_(?:status|results|list|diff|cancel)\b|(?:policy|scan|server):\/\//;
  assert.equal(words.exec(text)?.[0], undefined);
});

function hasExample(media: unknown): boolean {
  return typeof media === "object" && media !== null &&
    ("example" in media || "examples" in media);
}
