/**
 * `doctor`: what this host can do and what to mend. Each finding stands with its remedy.
 *
 * @module
 */
import { toAppError } from "@/error/app_error.ts";
import { readConfig } from "@/config/boot.ts";
import { readCatalogue } from "@/config/catalogue.ts";
import { queryPermission } from "@/isolate/grant.ts";
import { ownGrantRules, tooWide } from "@/isolate/own_grant.ts";
import { many } from "@/scans/summary.ts";
import { TOOL_NAMES, type ToolName } from "@/tools/tool.ts";
import type { Capabilities } from "@/dispatch/engine.ts";
import { Runtime } from "./runtime.ts";
import { styleOf } from "./style.ts";
import { table } from "./table.ts";
import { EXIT, type World } from "./world.ts";

/** Versions that the tests ran with; others may print what our readers do not know. */
const TESTED: Readonly<Record<ToolName, string>> = {
  nmap: "7.93",
  masscan: "1.3.2",
  gobuster: "3.5",
};

const DENO_VERSION = "2.9.6";

/** One thing that was looked at. */
interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "broken";
  readonly found: string;
  /** What to do; empty if all is well. */
  readonly remedy: string;
}

/**
 * Looks at tools, versions, sandbox, raw sockets, permissions, isolates, history and configuration; with
 * `--sandbox` it tries to get out of the sandbox instead.
 *
 * @param world The process.
 * @returns 0 if nothing is broken, 3 otherwise.
 */
export async function doctor(world: World): Promise<number> {
  if (world.args.includes("--sandbox")) {
    return await (await import("./doctor_sandbox.ts")).doctorSandbox(world);
  }
  const findings: Finding[] = [runtimeFinding()];
  const config = await configFinding(world);
  findings.push(config, permissionFinding(world));
  if (findings.every(({ state }) => state !== "broken")) {
    findings.push(await historyFinding(world));
    findings.push(...await engineFindings(world));
  }
  show(world, findings);
  return findings.some(({ state }) => state === "broken")
    ? EXIT.failed
    : EXIT.ok;
}

function runtimeFinding(): Finding {
  const { deno } = Deno.version;
  const same = deno === DENO_VERSION;
  return {
    check: "deno",
    state: same ? "ok" : "warning",
    found: deno,
    remedy: same ? "" : `tested with ${DENO_VERSION}; run scripts/setup.sh`,
  };
}

async function configFinding(world: World): Promise<Finding> {
  try {
    const loaded = await readConfig(world.env);
    const { config } = loaded;
    const warnings = [...loaded.warnings];
    const lists = await readCatalogue(config.gobuster.wordlist_folders, {
      warn: (message) => warnings.push(message),
    });
    const { default_wordlist } = config.gobuster;
    if (!lists.some(({ name }) => name === default_wordlist)) {
      warnings.push(
        `gobuster.default_wordlist "${default_wordlist}" is not in the catalogue`,
      );
    }
    if (warnings.length > 0) {
      return {
        check: "configuration",
        state: "warning",
        found: warnings.join("; "),
        remedy: "correct the named values",
      };
    }
    const file = world.env["MCP_CONFIG_FILE"] ?? "defaults";
    const words = lists.map(({ name }) => name).join(", ");
    return {
      check: "configuration",
      state: lists.length > 0 ? "ok" : "warning",
      found: `${file}; wordlists: ${words === "" ? "none" : words}`,
      remedy: lists.length > 0
        ? ""
        : "name a folder with .txt files in gobuster.wordlist_folders",
    };
  } catch (thrown) {
    const { message } = toAppError(thrown);
    return {
      check: "configuration",
      state: "broken",
      found: message,
      remedy: "correct the file",
    };
  }
}

/** Opens the store of scans; a database that is not there yet is made, as the server would. */
async function historyFinding(world: World): Promise<Finding> {
  const check = "history";
  try {
    const { openStore } = await import("@/store/open.ts");
    const { config } = await readConfig(world.env);
    await using store = await openStore(config.database.url, {
      folder: config.state.folder,
      program: world.version,
      now: Date.now,
    });
    const { scans, bytesOnDisk } = await store.stats();
    const count = Object.values(scans).reduce((sum, one) => sum + one, 0);
    const size = Math.ceil(bytesOnDisk / 1024);
    const found = `${store.shown}: ${many(count, "scan")}, ${size} KiB`;
    return { check, state: "ok", found, remedy: "" };
  } catch (thrown) {
    const { message } = toAppError(thrown);
    const remedy = "mend that: no scan starts without its record";
    return { check, state: "broken", found: message, remedy };
  }
}

function permissionFinding(world: World): Finding {
  const wide = tooWide(ownGrantRules(world.root), queryPermission);
  return {
    check: "permissions",
    state: wide.length === 0 ? "ok" : "broken",
    found: wide.length === 0
      ? "as narrow as written"
      : `too wide: ${wide.join(", ")}`,
    remedy: wide.length === 0
      ? ""
      : "start with the flags of the task in deno.json",
  };
}

async function engineFindings(world: World): Promise<readonly Finding[]> {
  try {
    await using runtime = await Runtime.start(world, { server: false });
    const capabilities = await runtime.capabilities();
    return [
      {
        check: "isolates",
        state: "ok",
        found: "up, each may run its own tool only",
        remedy: "",
      },
      { check: "spawn", ...spawnFinding() },
      sandboxFinding(capabilities),
      ...capabilities.tools.map(toolFinding),
      rawFinding(capabilities),
      ...capabilities.tools.map(breakerFinding).filter((finding) =>
        finding !== null
      ),
    ];
  } catch (thrown) {
    const { message } = toAppError(thrown);
    return [{
      check: "isolates",
      state: "broken",
      found: message,
      remedy: "see the log",
    }];
  }
}

/** After start-up main must not be able to spawn: asked of Deno, not of ourselves. */
function spawnFinding(): Omit<Finding, "check"> {
  const able = TOOL_NAMES.filter((command) =>
    queryPermission({ name: "run", command }) === "granted"
  );
  return able.length === 0
    ? {
      state: "ok",
      found: "the main isolate gave up its right to spawn",
      remedy: "",
    }
    : {
      state: "broken",
      found: `main may still run ${able.join(", ")}`,
      remedy: "report this",
    };
}

function toolFinding(
  { name, enabled, version, absence }: Capabilities["tools"][number],
): Finding {
  if (!enabled) {
    return {
      check: name,
      state: "ok",
      found: `switched off (${name}.enabled)`,
      remedy: "",
    };
  }
  if (version === null) {
    return {
      check: name,
      state: "broken",
      found: absence ?? "not installed, not permitted, or it does not answer",
      remedy: `run scripts/setup.sh, or set ${name}.enabled: false`,
    };
  }
  const tested = version.startsWith(TESTED[name]);
  return {
    check: name,
    state: tested ? "ok" : "warning",
    found: version,
    remedy: tested ? "" : `tested with ${TESTED[name]}`,
  };
}

function sandboxFinding({ sandbox, tools }: Capabilities): Finding {
  const { mode, reason } = sandbox;
  const found = `${mode}; ${reason}`;
  if (mode === "none" || mode === "bare") {
    const remedy = "install bubblewrap (scripts/setup.sh), allow user " +
      "namespaces, or run the server in a container";
    return { check: "sandbox", state: "warning", found, remedy };
  }
  // A sandbox that does not start was named by the configuration: auto would have passed it over.
  return tools.every(({ version }) => version === null)
    ? {
      check: "sandbox",
      state: "broken",
      found,
      remedy:
        "set sandbox.mode: auto, or mend what is missing; doctor --sandbox says more",
    }
    : { check: "sandbox", state: "ok", found, remedy: "" };
}

function rawFinding({ rawSockets }: Capabilities): Finding {
  return rawSockets === true
    ? {
      check: "raw sockets",
      state: "ok",
      found: "SYN, UDP and masscan scans work",
      remedy: "",
    }
    : {
      check: "raw sockets",
      state: "warning",
      found: "not permitted: nmap connect scans and gobuster only",
      remedy:
        "run as root or with CAP_NET_RAW to use SYN and UDP scans and masscan",
    };
}

function breakerFinding(
  { name, breaker }: Capabilities["tools"][number],
): Finding | null {
  if (breaker === "closed") return null;
  return {
    check: `${name} breaker`,
    state: "warning",
    found: breaker,
    remedy: "the tool failed repeatedly; wait for its recovery time",
  };
}

function show(world: World, findings: readonly Finding[]): void {
  const ok = findings.every(({ state }) => state !== "broken");
  if (world.args.includes("--json")) {
    return world.print(JSON.stringify({ ok, findings }, null, 2) + "\n");
  }
  const { stdout, colour } = world.terminal;
  const style = styleOf(stdout && colour);
  const paint = { ok: style.green, warning: style.yellow, broken: style.red };
  const lines = table(
    findings.map(({ check, state, found, remedy }) => [
      state,
      check,
      remedy === "" ? found : `${found} -> ${remedy}`,
    ]),
    Number.POSITIVE_INFINITY,
  );
  findings.forEach(({ state }, i) => {
    world.print((lines[i] ?? "").replace(state, paint[state](state)) + "\n");
  });
}
