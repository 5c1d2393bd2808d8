/**
 * `net-hosts`: what `sandbox/start --net` asks before it starts the HTTP server, which cannot be given
 * rights any more once it runs.
 *
 * @module
 */
import { readConfig } from "@/config/boot.ts";
import { hostsOf } from "@/config/hosts.ts";
import { toAppError } from "@/error/app_error.ts";
import { EXIT, type World } from "./world.ts";

/**
 * Prints the hosts that the configuration names, with commas between them.
 *
 * @param world The process.
 * @returns The exit code.
 */
export async function netHosts(world: World): Promise<number> {
  try {
    const { config } = await readConfig(world.env);
    world.print(`${hostsOf(config).join(",")}\n`);
    return EXIT.ok;
  } catch (thrown) {
    world.printError(`${toAppError(thrown).message}\n`);
    return EXIT.refused;
  }
}
