/**
 * `egress-rules`: prints the egress guard's rules. It changes nothing; `deploy/egress_guard.sh`, which may,
 * reads them from here.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import { configFileOf, readConfig } from "@/config/boot.ts";
import { containerRuleSet, follow, ruleSet } from "@/egress/follow.ts";
import { report } from "./scan.ts";
import { EXIT, type World } from "./world.ts";

/**
 * Runs `egress-rules`, with `--follow` until it is stopped, or with `--container` for a container.
 *
 * @param world The process.
 * @returns 0, or 2 if the configuration is refused.
 */
export async function egressRules(world: World): Promise<number> {
  const [option, ...more] = world.args;
  try {
    if (more.length > 0) throw unknown();
    const loaded = await readConfig(world.env);
    switch (option) {
      case undefined:
        world.print(ruleSet(loaded.config));
        return EXIT.ok;
      case "--container":
        world.print(containerRuleSet(loaded.config));
        return EXIT.ok;
      case "--follow":
        await follow({
          initial: loaded,
          load: () => readConfig(world.env),
          file: configFileOf(world.env),
          print: world.print,
          onWarning: (message) =>
            world.printError(`egress-rules: ${message}\n`),
          stop: world.stop,
        });
        return EXIT.ok;
      default:
        throw unknown();
    }
  } catch (thrown) {
    // Whoever applied the rules is gone, and nobody is left to be told.
    if (thrown instanceof Deno.errors.BrokenPipe) return EXIT.ok;
    return report(world, toAppError(thrown), false);
  }
}

function unknown(): AppError {
  return new AppError(
    "invalid_arguments",
    "Cannot print the egress guard's rules: the options are --follow and --container",
  );
}
