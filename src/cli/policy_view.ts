/**
 * What `policy` says: rows and lines for a person, data for a program.
 *
 * @module
 */
import type { PolicyExplanation } from "@/policy/explain.ts";
import type { PolicyDecision } from "@/policy/request.ts";
import type { PolicyCase, PolicyVerdict, PolicyView } from "@/policy/view.ts";
import { cell, outStyle } from "./history_view.ts";
import type { World } from "./world.ts";

/**
 * Lays out what came of cases.
 *
 * @param cases The cases.
 * @param verdicts What came of each.
 * @returns Rows, the heading first.
 */
export function verdictRows(
  cases: readonly PolicyCase[],
  verdicts: readonly PolicyVerdict[],
): readonly (readonly string[])[] {
  return [
    ["RESULT", "DECISION", "EXPECTED", "CASE", "POLICIES"],
    ...verdicts.map(({ name, decision, policies, ok }, index) => [
      ok === null ? "-" : ok ? "ok" : "FAILED",
      decision,
      cases[index]?.expect ?? "-",
      cell(name, 100),
      policies.length === 0 ? "(none permits it)" : policies.join(", "),
    ]),
  ];
}

/**
 * Sums up what came of cases.
 *
 * @param verdicts What came of each.
 * @returns One line.
 */
export function verdictLines(
  verdicts: readonly PolicyVerdict[],
): readonly string[] {
  const passed = verdicts.filter(({ ok }) => ok === true).length;
  const failed = verdicts.filter(({ ok }) => ok === false).length;
  const open = verdicts.length - passed - failed;
  const rest = open === 0 ? "" : `, ${open} without an expectation`;
  return [`${passed} passed, ${failed} failed${rest}`];
}

/**
 * Gives what came of cases as data.
 *
 * @param hash Names the policies.
 * @param cases The cases.
 * @param verdicts What came of each.
 * @returns JSON.
 */
export function verdictJson(
  hash: string,
  cases: readonly PolicyCase[],
  verdicts: readonly PolicyVerdict[],
): Readonly<Record<string, unknown>> {
  return {
    hash,
    ok: verdicts.every(({ ok }) => ok !== false),
    cases: verdicts.map((verdict, index) => ({
      ...verdict,
      expect: cases[index]?.expect ?? null,
    })),
  };
}

/**
 * Lays out policies.
 *
 * @param views The policies.
 * @returns Rows, the heading first.
 */
export function checkRows(
  views: readonly PolicyView[],
): readonly (readonly string[])[] {
  return [
    ["EFFECT", "POLICY", "FILE", "DESCRIPTION"],
    ...views.map(({ id, effect, file, annotations }) => [
      effect,
      id,
      file,
      cell(annotations["description"], 100),
    ]),
  ];
}

/**
 * Gives policies as data.
 *
 * @param hash Names them all.
 * @param views The policies.
 * @returns JSON.
 */
export function checkJson(
  hash: string,
  views: readonly PolicyView[],
): Readonly<Record<string, unknown>> {
  return { ok: true, hash, policies: views };
}

/** What is explained. */
export interface Explanation extends PolicyExplanation {
  readonly views: readonly PolicyView[];
}

/**
 * Says what policies decide and why.
 *
 * @param explanation What they say.
 * @param world The process.
 * @returns The lines.
 */
export function explanationLines(
  { decision, networks, views }: Explanation,
  world: World,
): readonly string[] {
  const style = outStyle(world);
  const paint = { allow: style.green, deny: style.red, approval: style.yellow };
  const lines = [`${paint[decision.kind](decision.kind)}: ${why(decision)}`];
  for (const one of networks) {
    const place = one.network ?? "no address, by its names";
    const scope = one.inScope ? "in scope" : "out of scope";
    lines.push("", `${style.bold(place)} (${scope}): ${one.decision.kind}`);
    for (const { id, effect, annotations } of views) {
      const mark = one.applies.includes(id) ? "applies" : "-      ";
      const text = cell(annotations["description"], 100);
      lines.push(`  ${mark}  ${effect}  ${id}  ${style.dim(text)}`.trimEnd());
    }
  }
  return lines;
}

function why(decision: PolicyDecision): string {
  const named = decision.policies.join(", ");
  switch (decision.kind) {
    case "allow":
      return `permitted by ${named}`;
    case "deny":
      return named === "" ? "no policy permits it" : `forbidden by ${named}`;
    case "approval":
      return `a second person has to approve it (${
        decision.byClientUser ? "the client's user may" : "an approver"
      }), by ${named}`;
  }
}
