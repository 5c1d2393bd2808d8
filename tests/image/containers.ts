/**
 * The image, built for real: on a base of this machine's own mirror, with buildah, and run with podman.
 *
 * Nothing is shared with what the machine has of images and containers: storage, records and volumes
 * lie in a folder that is gone afterwards. No container has a network but its own loopback.
 *
 * @module
 */
import { ROOT } from "../support/task.ts";
import { type Server, startCommand } from "../support/server.ts";
import { documentedOptions } from "./dockerfile.ts";

const BASE = "localhost/security-mcp-base:test";
const IMAGE = "localhost/security-mcp:test";

/** A fresh base and every package are fetched in it. */
const BUILD_MS_MAX = 20 * 60_000;

const COMMAND_MS_MAX = 3 * 60_000;

/** A container runtime that may not raise its limits fails to set its own, which are higher. */
const LIMITS = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=8192:8192"];

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Who runs in the container, and with what. */
export interface Run {
  /** `root` is the documented way; `user` is an ordinary user without any right. @default {"root"} */
  readonly as?: "root" | "user";
  /** Options of `podman run` besides; none of them is about networks. */
  readonly options?: readonly string[];
  /** Name of a container whose loopback it shares. @default {its own} */
  readonly loopbackOf?: string;
  /** Whether podman keeps the image's health check. @default {false} */
  readonly health?: boolean;
  /** What to run in place of the image's own command; its first word replaces the entry point. */
  readonly instead?: readonly [string, ...string[]];
}

/** Tells a reader of the log how far it is. */
export function say(text: string): void {
  const seconds = Math.round(performance.now() / 1000);
  Deno.stderr.writeSync(
    new TextEncoder().encode(`image: ${seconds} s: ${text}\n`),
  );
}

/** Runs a program to its end. */
async function ended(
  program: string,
  args: readonly string[],
  millisecondsMax = COMMAND_MS_MAX,
): Promise<Ended> {
  const output = await new Deno.Command(program, {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
    signal: AbortSignal.timeout(millisecondsMax),
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return {
    code: output.code,
    stdout: text(output.stdout),
    stderr: text(output.stderr),
  };
}

/** Runs a program that has to succeed. */
async function done(
  program: string,
  args: readonly string[],
  millisecondsMax?: number,
): Promise<string> {
  const { code, stdout, stderr } = await ended(program, args, millisecondsMax);
  if (code !== 0) {
    const said = `${stdout}\n${stderr}`.trim().slice(-6_000);
    throw new Error(
      `Cannot run ${program} ${args.join(" ")}: ${code}\n${said}`,
    );
  }
  return stdout;
}

/** Whether there is such a file. */
function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function needPrograms(): Promise<void> {
  for (const program of ["debootstrap", "buildah", "podman", "runc"]) {
    const { code } = await ended("sh", [
      ...["-c", 'PATH="$PATH:/usr/sbin:/sbin" command -v "$1"', "sh", program],
    ]);
    if (code !== 0) {
      throw new Error(
        `Cannot build the image: ${program} is not installed; run scripts/setup.sh`,
      );
    }
  }
}

/** The documented options, for one of the two users. */
function optionsOf(as: "root" | "user", volume: string): readonly string[] {
  const options = documentedOptions().map((one) =>
    one.replace(/^security-mcp:/, `${volume}:`)
  );
  if (as === "root") return options;
  const at = options.indexOf("--cap-add");
  return [...options.slice(0, at), ...options.slice(at + 2), "--user", "65532"];
}

/** The image and its containers. */
export class Containers implements AsyncDisposable {
  readonly #folder: string;
  readonly #storage: readonly string[];
  #count = 0;

  private constructor(folder: string, driver: string) {
    this.#folder = folder;
    this.#storage = [
      ...["--root", `${folder}/storage`, "--runroot", `${folder}/run`],
      ...["--storage-driver", driver],
    ];
  }

  /**
   * Builds the image. Needs root, debootstrap, buildah, podman and runc.
   *
   * @returns The image and its containers.
   */
  static async build(): Promise<Containers> {
    await needPrograms();
    const folder = await Deno.makeTempDir({ prefix: "image-test-" });
    let containers = new Containers(folder, "overlay");
    try {
      // Overlays are fast, and cannot lie on each other: a machine that is a container has none.
      const trial = await containers.#buildah("from", "scratch");
      if (trial.code !== 0) {
        await Deno.remove(`${folder}/storage`, { recursive: true });
        containers = new Containers(folder, "vfs");
      }
      await containers.#makeBase();
      await containers.#makeImage();
      return containers;
    } catch (thrown) {
      await containers[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  /** What podman knows of the image. */
  async inspect(): Promise<Readonly<Record<string, unknown>>> {
    const text = await done("podman", this.#podman("image", "inspect", IMAGE));
    const [image] = JSON.parse(text) as Record<string, unknown>[];
    return image ?? {};
  }

  /**
   * Runs the image to its end.
   *
   * @param args What stands behind the image's name.
   * @param run How it is run.
   * @returns How it ended.
   */
  run(args: readonly string[], run: Run = {}): Promise<Ended> {
    return ended("podman", this.#runArgs(args, run));
  }

  /**
   * Starts something in the image that goes on: the server, which speaks over stdio.
   *
   * @param args What stands behind the image's name.
   * @param run How it is run.
   * @returns The server.
   */
  start(args: readonly string[], run: Run = {}): Server {
    return startCommand("podman", this.#runArgs(args, run));
  }

  /**
   * Asks podman something of a container.
   *
   * @param args Its arguments.
   * @returns How it ended.
   */
  podman(...args: readonly string[]): Promise<Ended> {
    return ended("podman", this.#podman(...args));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    say("removing every container, and the storage");
    await this.podman("rm", "--all", "--force", "--time", "0");
    await this.podman("volume", "prune", "--force");
    // podman mounts its storage for itself.
    await ended("umount", [`${this.#folder}/storage/overlay`]);
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #makeBase(): Promise<void> {
    say("making a base with debootstrap");
    const tar = `${this.#folder}/base.tar`;
    await done("deploy/image/base.sh", [tar], BUILD_MS_MAX);
    const buildah = async (...args: readonly string[]) =>
      (await done("buildah", [...this.#storage, ...args])).trim();
    const scratch = await buildah("from", "scratch");
    await buildah("add", scratch, tar, "/");
    await buildah("commit", "--rm", scratch, BASE);
    await Deno.remove(tar);
  }

  async #makeImage(): Promise<void> {
    say("building the image");
    // A machine behind a proxy with a certificate of its own says so to Node in the same way.
    const ca = Deno.env.get("NODE_EXTRA_CA_CERTS") ?? "";
    const npmrc = `${Deno.env.get("HOME") ?? ""}/.npmrc`;
    await done("buildah", [
      ...this.#storage,
      ...["build", "--isolation", "chroot", "--format", "docker"],
      ...["--pull=never", "--build-arg", `BASE=${BASE}`],
      ...ca === "" ? [] : ["--secret", `id=ca,src=${ca}`],
      ...exists(npmrc) ? ["--secret", `id=npmrc,src=${npmrc}`] : [],
      ...["--tag", IMAGE, "."],
    ], BUILD_MS_MAX);
    const { Size } = await this.inspect();
    say(`built: ${Math.round(Number(Size) / 1e6)} MB`);
  }

  #buildah(...args: readonly string[]): Promise<Ended> {
    return ended("buildah", [...this.#storage, ...args]);
  }

  #podman(...args: readonly string[]): readonly string[] {
    return [
      ...this.#storage,
      ...["--tmpdir", `${this.#folder}/tmp`, "--runtime", "runc"],
      ...["--cgroup-manager", "cgroupfs", "--events-backend", "none"],
      ...args,
    ];
  }

  #runArgs(
    args: readonly string[],
    { as = "root", options = [], loopbackOf, health = false, instead }: Run,
  ): readonly string[] {
    const [entry, ...rest] = instead ?? [];
    const network = loopbackOf === undefined
      ? "none"
      : `container:${loopbackOf}`;
    return this.#podman(
      ...["run", ...optionsOf(as, `state-${this.#count++}`), ...options],
      // The last word on networks: loopback, and nothing else.
      ...[`--network=${network}`, ...LIMITS],
      // podman would add folders that can be written to; docker adds none.
      "--read-only-tmpfs=false",
      ...health ? [] : ["--no-healthcheck"],
      ...entry === undefined ? [] : ["--entrypoint", entry],
      ...[IMAGE, ...rest, ...args],
    );
  }
}
