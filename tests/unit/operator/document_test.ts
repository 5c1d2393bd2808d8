import assert from "node:assert/strict";
import { ERROR_CODES } from "@/error/code.ts";
import { verifies } from "../../requirements.ts";
import { configOf, fakeApp, GOOD, testRoutes } from "./fake_app.ts";

const BASE = "http://127.0.0.1:8080";

async function get(path: string, options = {}): Promise<Response> {
  const { app } = fakeApp(options);
  return await app.request(`${BASE}${path}`, { headers: GOOD });
}

Deno.test("/openapi.json is OpenAPI 3.1 with this server's own routes, credentials and problems", async () => {
  const answer = await get("/openapi.json");
  assert.match(answer.headers.get("etag") ?? "", /^".+"$/);
  const document = await answer.json();
  assert.equal(document.openapi, "3.1.0");
  assert.equal(document.info.version, "1.2.3");
  assert.deepEqual(document.security, [{ bearer: [] }]);
  assert.equal(document.components.securitySchemes.bearer.scheme, "bearer");
  assert.equal(document.components.schemas.Problem.type, "object");
  assert.deepEqual(document.paths["/health"].get.security, []);
  assert.equal(document.paths["/docs"].get.security, undefined);
  const post = document.paths["/things/{id}"].post;
  assert.deepEqual(
    post.responses.default.content["application/problem+json"].schema,
    { $ref: "#/components/schemas/Problem" },
  );
});

Deno.test("/openapi.json is the same whatever the order in which routes were added", async () => {
  const other = (name: string) => (app: Parameters<typeof testRoutes>[0]) => {
    app.openAPIRegistry.registerPath({
      method: "get",
      path: `/${name}`,
      responses: { 200: { description: name } },
    });
  };
  const [a, b] = [other("a"), other("b")];
  const texts = await Promise.all(
    [[a, b], [b, a]].map(async (adds) =>
      await (await get("/openapi.json", {
        routes: (app: Parameters<typeof testRoutes>[0]) =>
          adds.forEach((add) => add(app)),
      })).text()
    ),
  );
  assert.equal(texts[0], texts[1]);
});

Deno.test("/docs is a page without scripts that holds everything and escapes it", async () => {
  verifies("http.document");
  const answer = await get("/docs");
  assert.equal(
    answer.headers.get("content-type"),
    "text/html; charset=utf-8",
  );
  assert.match(
    answer.headers.get("content-security-policy") ?? "",
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
  );
  const page = await answer.text();
  assert.match(page, /Makes a &lt;thing&gt;/);
  assert.doesNotMatch(
    page,
    /<thing>|<script|<link|<img|javascript:|\son\w+="/i,
  );
  assert.doesNotMatch(page, /(?:src|href)="https?:/);
  for (const code of ERROR_CODES) {
    assert.match(page, new RegExp(`id="problem-${code}"`));
  }
  assert.match(page, /color-scheme/);
  assert.match(page, /@media print/);
});

Deno.test("/docs shows requests that a shell takes as they are written", async () => {
  verifies("http.document");
  const page = await (await get("/docs")).text();
  assert.ok(page.includes(
    `curl --silent --config ~/.scan.curlrc \\
  --request POST \\
  --header &#39;Content-Type: application/json&#39; \\
  --data &#39;{&quot;name&quot;:&quot;it&#39;\\&#39;&#39;s&quot;}&#39; \\
  &quot;$SERVER/things/ID&quot;`,
  ));
});

/** How the server is called, and how the page then says to call it. */
const CALLED: readonly (readonly [
  url: string,
  publicUrl: string | null,
  shown: string,
])[] = [
  ["http://127.0.0.1:8080", null, "http://127.0.0.1:8080"],
  ["http://localhost", null, "http://localhost"],
  ["http://[::1]:8080", null, "http://[::1]:8080"],
  ["http://127.0.0.1", null, "http://127.0.0.1"],
  [
    "http://127.0.0.1:8080",
    "https://soc.example.com",
    "https://soc.example.com",
  ],
];

for (const [url, publicUrl, shown] of CALLED) {
  Deno.test(`/docs names the server as it is reached: ${url}, public ${publicUrl}`, async () => {
    verifies("http.document");
    const config = configOf({ public_url: publicUrl });
    const { app } = fakeApp({ config: () => config });
    const page = await (await app.request(`${url}/docs`, { headers: GOOD }))
      .text();
    assert.equal(/^export SERVER=(.*)$/m.exec(page)?.[1], shown);
    assert.doesNotMatch(page, /server\.invalid/);
  });
}

Deno.test("/openapi.json says what /mcp answers to each method", async () => {
  verifies("http.document");
  const { paths } = await (await get("/openapi.json")).json();
  const { get: hear, post, delete: end, ...others } = paths["/mcp"];
  assert.deepEqual(others, {});
  const types = (answer: { content?: object }) =>
    Object.keys(answer.content ?? {});
  assert.deepEqual(types(post.responses[200]), [
    "application/json",
    "text/event-stream",
  ]);
  assert.deepEqual(types(post.responses[202]), []);
  assert.deepEqual(types(hear.responses[200]), ["text/event-stream"]);
  assert.deepEqual(types(end.responses[200]), []);
  for (const { parameters, responses } of [hear, end]) {
    assert.equal(parameters[0].name, "mcp-session-id");
    assert.ok("400" in responses && "404" in responses);
  }
});

Deno.test("/problems/CODE leads to what the documentation says of the code", async () => {
  for (const code of ERROR_CODES) {
    const answer = await get(`/problems/${code}`);
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.get("location"), `/docs#problem-${code}`);
  }
  const answer = await get("/problems/https:%2F%2Fevil.example");
  await answer.body?.cancel();
  assert.equal(answer.status, 404);
});
