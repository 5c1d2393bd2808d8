/**
 * Reports as a page of HTML that holds all it shows.
 *
 * @module
 */
import { diffHtml } from "./html_diff.ts";
import { scanHtml } from "./html_scan.ts";
import { setHtml } from "./html_set.ts";
import type { ReportContext, ReportInput } from "./input.ts";
import { inventoryOf } from "./inventory.ts";

/**
 * Writes a page.
 *
 * @param input What to report.
 * @param context What is said beside it.
 * @returns The pieces of the page.
 */
export async function* html(
  input: ReportInput,
  context: ReportContext,
): AsyncGenerator<string> {
  switch (input.kind) {
    case "scan":
      yield* scanHtml(input.scan, context);
      return;
    case "diff":
      yield* diffHtml(input.diff, context);
      return;
    case "set":
      yield* setHtml(input.title, await inventoryOf(input), context);
  }
}
