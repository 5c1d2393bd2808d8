/**
 * The world of the egress guard's test: a host with an allowed and a denied network, made of namespaces that
 * lead nowhere else. What runs in it is named by a place: the host, the guard's namespace, or a machine.
 *
 * @module
 */
import { ROOT } from "../support/task.ts";

/** Where a command runs. */
export type Place = "host" | "security-mcp" | "good" | "bad";

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const script = `${ROOT}tests/lab/egress_world.sh`;
const guardScript = `${ROOT}deploy/egress_guard.sh`;

/** Most seconds of any one command. */
const SECONDS_MAX = 30;

/** A world that is up; disposing of it ends every process in it. */
export class EgressWorld implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #pid: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    child: Deno.ChildProcess,
    pid: string,
    env: Readonly<Record<string, string>>,
  ) {
    this.#child = child;
    this.#pid = pid;
    this.#env = env;
  }

  /**
   * Makes a world.
   *
   * @param env What every command in it finds in its environment.
   * @returns The world.
   * @throws {Error} If it does not come up.
   */
  static async up(env: Readonly<Record<string, string>>): Promise<EgressWorld> {
    const child = new Deno.Command("unshare", {
      args: ["-mnp", "--fork", "--kill-child", "bash", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let text = "";
    for await (
      const part of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      text += part;
      if (text.endsWith("\n")) break;
    }
    if (!/^\d+\n$/.test(text)) {
      await child.stdin.close();
      throw new Error("Cannot make the world of the egress guard");
    }
    return new EgressWorld(child, text.trim(), env);
  }

  /**
   * Makes a command in the world.
   *
   * @param place Where.
   * @param args The program and its arguments.
   * @returns The command, not started.
   */
  command(place: Place, args: readonly string[]): Deno.Command {
    const enter = ["-t", this.#pid, "-m", "-n", "-p", "--"];
    const inner = place === "host"
      ? []
      : ["nsenter", `--net=/run/netns/${place}`, "--"];
    return new Deno.Command("nsenter", {
      args: [
        ...enter,
        ...inner,
        ...["timeout", "-k", "2", String(SECONDS_MAX)],
        ...args,
      ],
      env: this.#env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /**
   * Runs a command in the world.
   *
   * @param place Where.
   * @param args The program and its arguments.
   * @returns How it ended.
   */
  async run(place: Place, ...args: readonly string[]): Promise<Ended> {
    const { code, stdout, stderr } = await this.command(place, args).output();
    const decoder = new TextDecoder();
    return {
      code,
      stdout: decoder.decode(stdout),
      stderr: decoder.decode(stderr),
    };
  }

  /**
   * Runs a shell's text on the host, which has to end well.
   *
   * @param text The text.
   * @returns What it printed.
   */
  async host(text: string): Promise<string> {
    const { code, stdout, stderr } = await this.run("host", "sh", "-c", text);
    if (code !== 0) throw new Error(`Cannot run "${text}": ${stderr}`);
    return stdout;
  }

  /**
   * Runs the guard's script.
   *
   * @param args Its arguments.
   * @returns How it ended.
   */
  guard(...args: readonly string[]): Promise<Ended> {
    return this.run("host", guardScript, ...args);
  }

  /**
   * Reads a counter.
   *
   * @param place Whose.
   * @param table Family and name of its table.
   * @param name Its name.
   * @returns Packets.
   */
  async packets(place: Place, table: string, name: string): Promise<number> {
    const { stdout } = await this.run(
      place,
      ...["nft", "list", "counters", "table", ...table.split(" ")],
    );
    const found = new RegExp(`counter ${name} \\{\\s+packets (\\d+)`).exec(
      stdout,
    );
    if (found === null) {
      throw new Error(`Cannot read the counter "${name}" of "${table}"`);
    }
    return Number(found[1]);
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
    await this.#child.stdout.cancel().catch(() => {});
  }
}
