/**
 * Every format of the fixed scans: what the golden files hold.
 *
 * @module
 */
import { FORMAT_FACTS, renderReport, REPORT_FORMATS } from "@/report/format.ts";
import type { ReportInput } from "@/report/input.ts";
import { STYLE } from "@/report/html_style.ts";
import { diffScans } from "@/scans/diff.ts";
import {
  CONTEXT,
  GOBUSTER,
  MASSCAN,
  NAMES_SCAN,
  NMAP,
  NMAP_BEFORE,
} from "../../unit/report/fixture.ts";

const INPUTS: Readonly<Record<string, ReportInput>> = {
  nmap: { kind: "scan", scan: NMAP },
  masscan: { kind: "scan", scan: MASSCAN },
  gobuster: { kind: "scan", scan: GOBUSTER },
  names: { kind: "scan", scan: NAMES_SCAN },
  diff: { kind: "diff", diff: diffScans(NMAP_BEFORE, NMAP) },
  set: {
    kind: "set",
    title: "Quarterly review of the lab",
    scans: () => [NMAP_BEFORE, NMAP, MASSCAN, GOBUSTER, NAMES_SCAN],
  },
};

/** A golden file. */
export interface Rendering {
  readonly file: string;
  readonly text: () => Promise<string>;
}

/** Every golden file. They end with `.txt` so that no formatter changes them. */
export const RENDERINGS: readonly Rendering[] = Object.entries(INPUTS).flatMap(
  ([name, input]) =>
    REPORT_FORMATS.map((format) => ({
      file: `${name}.${FORMAT_FACTS[format].extension}.txt`,
      text: async () => {
        const pieces = renderReport(format, input, CONTEXT);
        const text = (await Array.fromAsync(pieces)).join("");
        // The sheet is the same in all of them and has a place of its own.
        return text.replace(STYLE, "/* html_style.ts */");
      },
    })),
);
