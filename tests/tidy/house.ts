/**
 * A plugin of `deno lint` that keeps the rules of the house which a type cannot keep: who may start a
 * process or an isolate, who may touch the process's own arguments, environment and end, how long a
 * function may be, and what has to be documented. It looks at files below `src` only; tests may do
 * what they test.
 *
 * @module
 */

/** Most lines of one function: it fits a screen. */
export const FUNCTION_LINES_MAX = 70;

/** Members of `Deno` that start a process; `Command` is not the only one. */
const SPAWNING = ["Command", "spawn", "spawnAndWait", "spawnAndWaitSync"];

/** Members of `Deno` that belong to the composition root. */
const AMBIENT = ["args", "env", "exit", "exitCode"];

/** Members of `Deno` that nobody needs: they leave the permission model or the process's own bounds. */
const FORBIDDEN = ["dlopen", "UnsafePointer", "UnsafeCallback", "kill"];

/** Modules that offer what the rules above forbid by another name. */
const FORBIDDEN_MODULES = new Map([
  ["node:child_process", "use src/spawn"],
  ["node:worker_threads", "use src/isolate"],
  ["node:cluster", "use src/isolate"],
  ["node:process", "take the value as a parameter"],
  ["node:vm", "nothing here runs code that it was given"],
  ["node:ffi", "nothing here calls native code"],
]);

/** Names of files that say nothing about what is in them. */
const EMPTY_NAMES =
  /^(?:index|mod|utils?|helpers?|common|misc|types|constants)\.ts$/;

/** Folders whose modules decide by time or chance and therefore take clock and randomness passed in. */
const CLOCKED =
  /^(?:breaker|permits|scope|policy|tools|dispatch|scans|health|metrics)\//;

/** Where `src` is, as a path: the repository itself may lie below another folder of that name. */
const SRC = decodeURIComponent(new URL("../../src/", import.meta.url).pathname);

/**
 * Gives the part of a file's name below this repository's `src`.
 *
 * @param fileName What the linter calls the file: absolute, or relative to the repository.
 * @returns The path below `src`, or null for a file elsewhere.
 */
export function belowSrc(fileName: string): string | null {
  for (const base of [SRC, "src/"]) {
    if (fileName.startsWith(base)) return fileName.slice(base.length);
  }
  return null;
}

function nameOf(fileName: string): string {
  return fileName.slice(fileName.lastIndexOf("/") + 1);
}

/** The visitor of a file that a rule has nothing to say about. */
const SILENT: Deno.lint.LintVisitor = {};

/** Reports the use of members of `Deno`, wherever they are read. */
function denoMembers(
  context: Deno.lint.RuleContext,
  members: readonly string[],
  message: (member: string) => string,
): Deno.lint.LintVisitor {
  return {
    MemberExpression(node): void {
      if (node.object.type !== "Identifier" || node.object.name !== "Deno") {
        return;
      }
      if (node.property.type !== "Identifier" || node.computed) return;
      if (!members.includes(node.property.name)) return;
      context.report({ node, message: message(node.property.name) });
    },
  };
}

const spawnOnlyInSpawn: Deno.lint.Rule = {
  create(context) {
    const path = belowSrc(context.filename);
    if (path === null || path.startsWith("spawn/")) return SILENT;
    return denoMembers(
      context,
      SPAWNING,
      (member) =>
        `Cannot use Deno.${member} here: only src/spawn starts a process; use its Argv and spawn`,
    );
  },
};

const ambientOnlyInMain: Deno.lint.Rule = {
  create(context) {
    const path = belowSrc(context.filename);
    if (path === null || path === "main.ts") return SILENT;
    return denoMembers(
      context,
      AMBIENT,
      (member) =>
        `Cannot use Deno.${member} here: only src/main.ts touches it; take the value as a parameter`,
    );
  },
};

const noForbiddenApi: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    return {
      ...denoMembers(
        context,
        FORBIDDEN,
        (member) =>
          `Cannot use Deno.${member}: it needs more power than any part of this program has`,
      ),
      ImportDeclaration(node): void {
        const way = FORBIDDEN_MODULES.get(node.source.value);
        if (way === undefined) return;
        context.report({
          node,
          message: `Cannot import "${node.source.value}": ${way}`,
        });
      },
    };
  },
};

/** Without this rule every other one about `Deno` is passed by an alias. */
const noDenoAlias: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    const message =
      'Cannot use "Deno" but as in Deno.name: an alias would hide what is used from the checks';
    return {
      Identifier(node): void {
        if (node.name !== "Deno") return;
        const { parent } = node;
        if (parent.type === "TSQualifiedName") return;
        if (parent.type === "MemberExpression") {
          if (parent.object === node && !parent.computed) return;
        }
        context.report({ node, message });
      },
    };
  },
};

const workerOnlyInIsolate: Deno.lint.Rule = {
  create(context) {
    const path = belowSrc(context.filename);
    if (path === null || path.startsWith("isolate/")) return SILENT;
    const message =
      "Cannot start a Worker here: only src/isolate does, with a written grant";
    return {
      NewExpression(node): void {
        const { callee } = node;
        const name = callee.type === "Identifier"
          ? callee.name
          : callee.type === "MemberExpression" &&
              callee.property.type === "Identifier"
          ? callee.property.name
          : "";
        if (name === "Worker") context.report({ node, message });
      },
    };
  },
};

const noBarrel: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    return {
      ExportAllDeclaration(node): void {
        context.report({
          node,
          message: 'Cannot export everything of "' + node.source.value +
            '": a barrel hides who uses what; import from the file itself',
        });
      },
    };
  },
};

const telltaleFileName: Deno.lint.Rule = {
  create(context) {
    const name = nameOf(context.filename);
    const message = EMPTY_NAMES.test(name)
      ? `Cannot name a file "${name}": it says nothing; name it after the one thing in it`
      : /^[a-z0-9]+(?:_[a-z0-9]+)*\.ts$/.test(name)
      ? null
      : `Cannot name a file "${name}": names are snake_case`;
    if (belowSrc(context.filename) === null || message === null) return SILENT;
    return { Program: (node) => context.report({ node, message }) };
  },
};

type FunctionNode =
  | Deno.lint.FunctionDeclaration
  | Deno.lint.FunctionExpression
  | Deno.lint.ArrowFunctionExpression;

const functionFitsScreen: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    const check = (node: FunctionNode): void => {
      const lines = context.sourceCode.getText(node).split("\n").length;
      if (lines <= FUNCTION_LINES_MAX) return;
      context.report({
        node,
        message:
          `Cannot keep a function of ${lines} lines: at most ${FUNCTION_LINES_MAX} fit a screen; take a step out of it`,
      });
    };
    return {
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
    };
  },
};

/** Tells whether the text before a node ends with a JSDoc comment. */
function documented(context: Deno.lint.RuleContext, start: number): boolean {
  const before = context.sourceCode.text.slice(0, start)
    .replace(/(?:\/\/[^\n]*\s*)+$/, "").trimEnd();
  return before.endsWith("*/") &&
    before.startsWith("/**", before.lastIndexOf("/*"));
}

const exportedIsDocumented: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    return {
      ExportNamedDeclaration(node): void {
        const { declaration } = node;
        if (declaration === null) return;
        const kind = declaration.type;
        if (kind !== "FunctionDeclaration" && kind !== "ClassDeclaration") {
          return;
        }
        if (documented(context, node.range[0])) return;
        context.report({
          node,
          message: `Cannot export "${
            declaration.id?.name ?? "default"
          }" without JSDoc: say in one sentence what it does`,
        });
      },
    };
  },
};

const moduleIsDocumented: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    const opening = /\/\*\*[\s\S]*?\*\//.exec(context.sourceCode.text)?.[0];
    if (opening?.includes("@module")) return SILENT;
    return {
      Program: (node) =>
        context.report({
          node,
          message:
            "Cannot keep a file without a word: open it with a comment that ends in @module and says what it is for",
        }),
    };
  },
};

const hardPrivate: Deno.lint.Rule = {
  create(context) {
    if (belowSrc(context.filename) === null) return SILENT;
    const message = 'Cannot use "private": it is gone at run time; use a #name';
    return {
      PropertyDefinition(node): void {
        if (node.accessibility === "private") context.report({ node, message });
      },
      // A private constructor is the exception: there is no # for it.
      MethodDefinition(node): void {
        if (node.accessibility !== "private" || node.kind === "constructor") {
          return;
        }
        context.report({ node, message });
      },
    };
  },
};

const clockPassedIn: Deno.lint.Rule = {
  create(context) {
    const path = belowSrc(context.filename);
    if (path === null || !CLOCKED.test(path)) return SILENT;
    const hidden = new Set([
      "Date.now",
      "Math.random",
      "performance.now",
      "crypto.randomUUID",
      "crypto.getRandomValues",
    ]);
    return {
      CallExpression(node): void {
        const { callee } = node;
        if (callee.type !== "MemberExpression") return;
        const name = context.sourceCode.getText(callee);
        if (!hidden.has(name)) return;
        context.report({
          node,
          message:
            `Cannot call ${name} here: take the clock or the randomness as a parameter, so that a test can hold it`,
        });
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "house",
  rules: {
    "spawn-only-in-spawn": spawnOnlyInSpawn,
    "worker-only-in-isolate": workerOnlyInIsolate,
    "ambient-only-in-main": ambientOnlyInMain,
    "no-forbidden-api": noForbiddenApi,
    "no-deno-alias": noDenoAlias,
    "no-barrel": noBarrel,
    "telltale-file-name": telltaleFileName,
    "function-fits-screen": functionFitsScreen,
    "exported-is-documented": exportedIsDocumented,
    "module-is-documented": moduleIsDocumented,
    "hard-private": hardPrivate,
    "clock-passed-in": clockPassedIn,
  },
};

export default plugin;
