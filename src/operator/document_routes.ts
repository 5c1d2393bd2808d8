/**
 * The routes of the API's document: as JSON for programs and as a page for people.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { AppError } from "@/error/app_error.ts";
import { isErrorCode } from "@/error/code.ts";
import { esc } from "@/report/html_escape.ts";
import { docsPage, docsStyle, SERVER } from "./docs_page.ts";
import { documentOf } from "./document.ts";
import type { OperatorEnv } from "./env.ts";
import { originOf } from "./origin_rule.ts";

/** What is made of the document, once: the routes do not change while the server runs. */
interface Rendered {
  readonly json: string;
  readonly page: string;
}

/**
 * Adds the routes. They have to be the last ones: what is added later is not in the document.
 *
 * @param app What they are added to.
 * @param version The program's version.
 * @param publicUrl Where others find the server, or null: then it is where the request went.
 */
export function documentRoutes(
  app: OpenAPIHono<OperatorEnv>,
  version: string,
  publicUrl: () => string | null,
): void {
  let rendered: Rendered | null = null;
  const render = (): Rendered => {
    if (rendered !== null) return rendered;
    const document = documentOf(app, version);
    rendered = { json: JSON.stringify(document), page: docsPage(document) };
    return rendered;
  };
  app.get("/openapi.json", () => {
    const answer = new Response(render().json);
    answer.headers.set("content-type", "application/json");
    return answer;
  });
  app.get("/docs", (c) => {
    const server = publicUrl() ?? originOf(c.get("destination"));
    const page = render().page.replace(SERVER, () => esc(server));
    const answer = new Response(page);
    answer.headers.set("content-type", "text/html; charset=utf-8");
    answer.headers.set("content-security-policy", POLICY);
    return answer;
  });
  app.get("/problems/:code", (c) => {
    const code = c.req.param("code");
    if (!isErrorCode(code)) {
      throw new AppError(
        "not_found",
        "Cannot find the problem: there is no such code; GET /docs lists all",
      );
    }
    const answer = new Response(null, { status: 302 });
    answer.headers.set("location", `/docs#problem-${code}`);
    return answer;
  });
}

/** The page may show its one sheet, and nothing else: no script, no picture, no other page. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${
    createHash("sha256").update(docsStyle()).digest("base64")
  }'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
