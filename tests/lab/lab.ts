/**
 * A lab of a test's own: brought up under a name nobody else uses, taken down when the test ends.
 *
 * ```ts
 * await using lab = await Lab.up("syn");
 * const scan = await lab.run(["nmap", "-n", "-sS", "-p22", "10.77.2.12"]);
 * ```
 *
 * @module
 */
import inventoryFile from "./inventory.json" with { type: "json" };

/** What the lab serves: hosts, ports, names, web paths, as checked in. */
export const inventory = inventoryFile;

/** The namespaces of a lab. */
export type LabNamespace = "scan" | "rt" | "tgt";

/** How a command in the lab ended. */
export interface LabOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const script = new URL("./lab.sh", import.meta.url).pathname;

/**
 * Asks whether this machine can hold a lab, for the `ignore` of a test.
 *
 * @returns Why it cannot, or `null` where it can.
 */
export function labObstacle(): string | null {
  const { success, stderr } = new Deno.Command("bash", {
    args: [script, "check"],
    stdin: "null",
  }).outputSync();
  return success ? null : new TextDecoder().decode(stderr).trim();
}

/** A lab that is up; disposing it takes it down. */
export class Lab implements AsyncDisposable {
  /** The name of this lab, as in `LAB_NAME`. */
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * Brings up a lab.
   *
   * @param prefix Begins its name; the process id makes it unique among test runs.
   * @param options `trickle` keeps a little traffic on the scanner's link.
   * @returns The lab.
   * @throws {Error} Where it does not come up, with its log.
   */
  static async up(
    prefix: string,
    options: { trickle?: boolean } = {},
  ): Promise<Lab> {
    const lab = new Lab(`${prefix}-${Deno.pid}`);
    const { code, stderr } = await lab.script(
      options.trickle ? ["up", "--trickle"] : ["up"],
    );
    if (code !== 0) {
      throw new Error(`Cannot bring up the lab "${lab.name}": ${stderr}`);
    }
    return lab;
  }

  /**
   * Makes the command that runs a program in the lab, for a test that needs its streams.
   *
   * @param args The program and its arguments.
   * @param ns The namespace it runs in.
   * @param options Further options of the command.
   * @returns The command, not started.
   */
  command(
    args: readonly string[],
    ns: LabNamespace = "scan",
    options: Omit<Deno.CommandOptions, "args"> = {},
  ): Deno.Command {
    return this.#command(["exec", `--ns=${ns}`, ...args], options);
  }

  /**
   * Runs a program in the lab and waits for its end.
   *
   * @param args The program and its arguments.
   * @param ns The namespace it runs in.
   * @returns Exit code and output.
   */
  async run(
    args: readonly string[],
    ns: LabNamespace = "scan",
  ): Promise<LabOutput> {
    return decode(await this.command(args, ns, { stdin: "null" }).output());
  }

  /**
   * Runs lab.sh itself for this lab.
   *
   * @param args A subcommand and its options.
   * @returns Exit code and output.
   */
  async script(args: readonly string[]): Promise<LabOutput> {
    return decode(await this.#command(args, { stdin: "null" }).output());
  }

  /** Takes the lab down. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { code, stderr } = await this.script(["down"]);
    if (code !== 0) {
      throw new Error(`Cannot take down the lab "${this.name}": ${stderr}`);
    }
  }

  #command(
    args: readonly string[],
    options: Omit<Deno.CommandOptions, "args">,
  ): Deno.Command {
    return new Deno.Command("bash", {
      ...options,
      args: [script, ...args],
      env: { ...options.env, LAB_NAME: this.name },
    });
  }
}

function decode({ code, stdout, stderr }: Deno.CommandOutput): LabOutput {
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}
