/**
 * A file that is there as a whole or not at all: it is written under another name and takes its own
 * when it is finished.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import { shown } from "@/tools/field.ts";

/** How a file is written. */
export interface FileOptions {
  /** Whether a file of that name may be replaced. */
  readonly force: boolean;
  /** Ends the writing; nothing stays. */
  readonly stop: AbortSignal;
}

/** Ways in which a disk says no, and what to do. */
const REFUSALS: readonly (readonly [
  kind: new (...args: never[]) => Error,
  why: string,
])[] = [
  [
    Deno.errors.NotCapable,
    "this command may write below reports/ only; write --output reports/NAME, or leave --output out and let the shell write it: deno task report … > FILE",
  ],
  [
    Deno.errors.PermissionDenied,
    "this user may not write there; choose another place, or let the shell write it: deno task report … > FILE",
  ],
  [Deno.errors.NotADirectory, "a part of its path is a file; choose another"],
  [Deno.errors.IsADirectory, "it is a folder; add a file name"],
];

/**
 * Refuses a place where the file cannot be put, before any work is done for it. The command may write
 * the state folder for the sake of the store; a file of a person's choice there could take the place
 * of the store itself, or of the audit log's key.
 *
 * @param path The file.
 * @param options Whether it may be replaced, and the state folder.
 * @throws {AppError} `conflict` if it is there; `invalid_arguments` if it cannot be written there.
 */
export async function refusePlace(
  path: string,
  { force, state }: Pick<FileOptions, "force"> & { readonly state: string },
): Promise<void> {
  if (path.endsWith("/")) throw refusal(path, new Deno.errors.IsADirectory());
  if (path.split("/").includes("..")) {
    throw refused(path, "its path has .. in it; write it without");
  }
  try {
    const folder = await realFolder(path);
    const kept = await realFolder(`${state}/_`);
    if (folder === kept || folder.startsWith(`${kept}/`)) {
      throw refused(
        path,
        "the state folder is the server's own; write --output reports/NAME",
      );
    }
    // Asked before the audit log says that the report was written.
    const { state: right } = await Deno.permissions.query({
      name: "write",
      path,
    });
    if (right !== "granted") throw new Deno.errors.NotCapable();
    const { isDirectory } = await Deno.stat(path);
    if (isDirectory) throw new Deno.errors.IsADirectory();
    if (!force) throw exists(path);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw refusal(path, thrown);
  }
}

/** The real path of the folder of a file, as far up as there is one. */
async function realFolder(path: string): Promise<string> {
  const folder = folderOf(path);
  try {
    return await Deno.realPath(folder);
  } catch (thrown) {
    // What is above reports/ this command may not look at: no link of anybody's choice is on the way.
    if (thrown instanceof Deno.errors.NotCapable) return folder;
    if (!(thrown instanceof Deno.errors.NotFound) || folder === ".") {
      throw thrown;
    }
    return `${await realFolder(folder)}/${
      folder.slice(folder.lastIndexOf("/") + 1)
    }`;
  }
}

function folderOf(path: string): string {
  const slash = path.replace(/\/+$/, "").lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash) || "/";
}

/**
 * Writes a file.
 *
 * @param path The file; its folder is made.
 * @param pieces Its bytes.
 * @param options Whether it may be replaced, and when to stop.
 * @returns How many bytes it has.
 * @throws {AppError} `conflict` if it is there; `interrupted` if it was stopped; `invalid_arguments` if
 * it cannot be written there.
 */
export async function writeWhole(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  options: FileOptions,
): Promise<number> {
  const unfinished = `${path}.${
    crypto.getRandomValues(new Uint8Array(6)).toHex()
  }.part`;
  try {
    await Deno.mkdir(folderOf(path), { recursive: true, mode: 0o700 });
    const bytes = await writePieces(unfinished, pieces, options.stop);
    if (options.force) await Deno.rename(unfinished, path);
    else await nameNew(unfinished, path);
    return bytes;
  } catch (thrown) {
    throw refusal(path, thrown);
  } finally {
    await Deno.remove(unfinished).catch(() => {});
  }
}

async function writePieces(
  path: string,
  pieces: AsyncIterable<Uint8Array>,
  stop: AbortSignal,
): Promise<number> {
  using file = await Deno.open(path, {
    write: true,
    createNew: true,
    // What was found is for whoever asked; to hand it on is a decision.
    mode: 0o600,
  });
  let count = 0;
  for await (const bytes of pieces) {
    if (stop.aborted) {
      throw new AppError(
        "interrupted",
        "Cannot write the report: it was stopped; nothing of it stays",
      );
    }
    for (let at = 0; at < bytes.length;) {
      at += await file.write(bytes.subarray(at));
    }
    count += bytes.length;
  }
  await file.sync();
  return count;
}

/** Gives a file its name, unless another one has it by now. */
async function nameNew(unfinished: string, path: string): Promise<void> {
  try {
    await Deno.link(unfinished, path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.AlreadyExists) throw thrown;
    // A file system without links: looked at once more, and named.
    if (await isThere(path)) throw exists(path);
    await Deno.rename(unfinished, path);
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return false;
    throw thrown;
  }
}

function refused(path: string, why: string): AppError {
  return new AppError(
    "invalid_arguments",
    `Cannot write ${shown(path)}: ${why}`,
  );
}

function exists(path: string): AppError {
  return new AppError(
    "conflict",
    `Cannot write ${
      shown(path)
    }: there is a file of that name; choose another, or replace it with --force`,
  );
}

function refusal(path: string, thrown: unknown): unknown {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof Deno.errors.AlreadyExists) return exists(path);
  const why = REFUSALS.find(([kind]) => thrown instanceof kind)?.[1] ??
    (/\(os error (?:28|122)\)/.test(String(thrown))
      ? "the disk is full; make room and try again"
      : null);
  if (why === null) return thrown;
  return new AppError(
    "invalid_arguments",
    `Cannot write ${shown(path)}: ${why}`,
    { detail: String(thrown), cause: thrown },
  );
}
