/**
 * Fails closed when the process was started with more rights than it asks for.
 *
 * A server that was started with a broad flag by mistake would work just as well, and none of what
 * this program promises would hold. So it looks before it serves, and refuses to start.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";

/** What a command is allowed to have. */
export interface OwnGrantRules {
  /** Whether it may listen or connect at all. */
  readonly net: boolean;
  /** Paths that must stay unwritable: the program's own code and configuration. */
  readonly unwritable: readonly string[];
}

/**
 * Programs, variables and hosts that nobody needs here. Deno lists no grants, it only answers
 * questions, so a narrow surplus is noticed only if it stands in these lists.
 */
const FOREIGN_PROGRAMS = words(`
  sh bash dash zsh env sudo su doas setpriv unshare nsenter
  python3 python perl ruby node deno npm php lua awk tclsh
  curl wget nc ncat netcat socat ssh scp openssl telnet ftp
  cat cp dd tee rm tar find xargs chmod kill git docker
  /bin/sh /bin/bash /usr/bin/env /usr/bin/python3 /usr/bin/curl
`);
const FOREIGN_VARIABLES = words(`
  HOME USER LD_PRELOAD LD_LIBRARY_PATH SSH_AUTH_SOCK DENO_DIR
  AWS_SECRET_ACCESS_KEY GITHUB_TOKEN HTTP_PROXY HTTPS_PROXY
`);
const FOREIGN_HOSTS = words(
  "127.0.0.1 localhost 0.0.0.0 [::1] 10.0.0.1 192.168.0.1",
);

/**
 * Gives what every command of this program is held to: no network, and no write to its own files.
 *
 * @param root Absolute path of the folder that holds `src` and `config`.
 * @returns The rules.
 */
export function ownGrantRules(root: string): OwnGrantRules {
  return {
    net: false,
    unwritable: ["src", "config", "sandbox", "deploy", "deno.json"].map((
      name,
    ) => `${root}/${name}`),
  };
}

/**
 * Finds what the calling isolate may do beyond what its command needs.
 *
 * @param rules What the command needs.
 * @param query Asks Deno.
 * @returns The flags that are too wide, as a user would write them; empty if all is well.
 */
export function tooWide(
  rules: OwnGrantRules,
  query: (descriptor: Deno.PermissionDescriptor) => Deno.PermissionState,
): readonly string[] {
  const granted = (descriptor: Deno.PermissionDescriptor) =>
    query(descriptor) === "granted";
  const wide: string[] = [];
  if (granted({ name: "run" })) wide.push("--allow-run");
  const foreign = FOREIGN_PROGRAMS.find((command) =>
    granted({ name: "run", command })
  );
  if (wide.length === 0 && foreign !== undefined) {
    wide.push(`--allow-run=${foreign}`);
  }
  if (granted({ name: "net" })) wide.push("--allow-net");
  const host = FOREIGN_HOSTS.find((name) =>
    granted({ name: "net", host: name })
  );
  if (!rules.net && !wide.includes("--allow-net") && host !== undefined) {
    wide.push(`--allow-net=${host}`);
  }
  if (granted({ name: "read", path: "/" })) wide.push("--allow-read");
  if (granted({ name: "write", path: "/" })) wide.push("--allow-write");
  const written = rules.unwritable.find((path) =>
    granted({ name: "write", path })
  );
  if (!wide.includes("--allow-write") && written !== undefined) {
    wide.push("--allow-write of the program's own files");
  }
  for (const name of ["env", "sys", "ffi", "import"] as const) {
    if (granted({ name })) wide.push(`--allow-${name}`);
  }
  const variable = FOREIGN_VARIABLES.find((name) =>
    granted({ name: "env", variable: name })
  );
  if (!wide.includes("--allow-env") && variable !== undefined) {
    wide.push(`--allow-env=${variable}`);
  }
  return wide;
}

/**
 * Refuses to start with more rights than needed.
 *
 * @param rules What the command needs.
 * @param query Asks Deno.
 * @throws {AppError} `internal`, naming the flags that are too wide.
 */
export function refuseTooWide(
  rules: OwnGrantRules,
  query: (descriptor: Deno.PermissionDescriptor) => Deno.PermissionState,
): void {
  const wide = tooWide(rules, query);
  if (wide.length === 0) return;
  throw new AppError(
    "internal",
    `Cannot start: the process has more rights than it needs (${
      wide.join(", ")
    }); ` +
      "start it with the flags of its task in deno.json",
  );
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
