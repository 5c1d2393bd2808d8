/**
 * The API's document as the golden file holds it.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { documentOf } from "@/operator/document.ts";
import type { OperatorEnv } from "@/operator/env.ts";
import { addRoutes } from "@/operator/routes.ts";

/**
 * Makes the document of all routes.
 *
 * @returns Its JSON, indented, with a version that stays the same.
 */
export function documentText(): string {
  const app = new OpenAPIHono<OperatorEnv>();
  const unasked = (): never => {
    throw new TypeError("nothing is asked of a document");
  };
  addRoutes(app, {
    version: "0.0.0",
    wallNow: unasked,
    events: unasked,
    socket: unasked,
  });
  return `${JSON.stringify(documentOf(app, "0.0.0"), null, 2)}\n`;
}
