/**
 * Reads the repository for the checks beside this file: which files it has, and what a module
 * imports. Imports are read from the syntax tree that the linter makes, so that a comment or a text
 * that looks like an import is none.
 *
 * @module
 */

/** The repository's folder, as a URL that ends with a slash. */
export const ROOT = new URL("../../", import.meta.url);

/** Folders that no check looks into: they are made, not written. */
const MADE = new Set([
  ".git",
  ".deno_dir",
  "node_modules",
  "state",
  "coverage",
]);

/**
 * Lists the files below a folder of the repository.
 *
 * @param folder Path from the root, with a slash at the end; empty for the root.
 * @param keep Which files to list, by path from the root.
 * @returns Paths from the root, sorted.
 */
export function filesBelow(
  folder: string,
  keep: (path: string) => boolean = () => true,
): string[] {
  const found: string[] = [];
  const open = [folder];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const entry of Deno.readDirSync(new URL(next || "./", ROOT))) {
      const path = next + entry.name;
      if (entry.isDirectory && !MADE.has(entry.name)) open.push(`${path}/`);
      else if (entry.isFile && keep(path)) found.push(path);
    }
  }
  return found.sort();
}

/**
 * Reads a text file of the repository.
 *
 * @param path Path from the root.
 * @returns Its text.
 */
export function textOf(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** One import of a module. */
export interface Import {
  /** As it is written. */
  readonly specifier: string;
  /** Whether it is gone at run time. */
  readonly typeOnly: boolean;
}

/**
 * Reads the imports and re-exports of a module, dynamic ones and those in types included.
 *
 * @param path Path from the root, for messages.
 * @param text The module's text.
 * @returns Its imports in order of the text.
 * @throws {TypeError} If a dynamic import is not a literal: nobody could tell what it loads.
 */
export function importsOf(path: string, text: string): Import[] {
  const found: Import[] = [];
  const refused: string[] = [];
  const add = (specifier: string, typeOnly: boolean): void => {
    found.push({ specifier, typeOnly });
  };
  const visitor: Deno.lint.LintVisitor = {
    ImportDeclaration(node): void {
      const typeOnly = node.importKind === "type" ||
        node.specifiers.length > 0 &&
          node.specifiers.every((one) =>
            one.type === "ImportSpecifier" && one.importKind === "type"
          );
      add(node.source.value, typeOnly);
    },
    ExportNamedDeclaration(node): void {
      if (node.source === null) return;
      add(node.source.value, node.exportKind === "type");
    },
    ExportAllDeclaration(node): void {
      add(node.source.value, node.exportKind === "type");
    },
    ImportExpression({ source }): void {
      if (source.type === "Literal" && typeof source.value === "string") {
        add(source.value, false);
      } else refused.push(path);
    },
    TSImportType({ argument }): void {
      const literal = argument.type === "TSLiteralType" && argument.literal;
      if (!literal || literal.type !== "Literal") return;
      if (typeof literal.value === "string") add(literal.value, true);
    },
  };
  Deno.lint.runPlugin(
    { name: "imports", rules: { read: { create: () => visitor } } },
    path,
    text,
  );
  if (refused.length > 0) {
    throw new TypeError(
      `Cannot tell what "${path}" imports: a dynamic import is not a literal; write its specifier out`,
    );
  }
  return found;
}

/**
 * Finds the file of `src` that a specifier names.
 *
 * @param from Path from the root of the module that imports.
 * @param specifier As it is written there.
 * @returns The path from the root, or null for a package or a built-in module.
 */
export function resolve(from: string, specifier: string): string | null {
  if (specifier.startsWith("@/")) return `src/${specifier.slice(2)}`;
  if (!specifier.startsWith(".")) return null;
  const base = new URL(from, "file:///");
  return decodeURIComponent(new URL(specifier, base).pathname).slice(1);
}
