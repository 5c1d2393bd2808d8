/**
 * `config`: shows the configuration in force, checks a file, or prints the documented defaults.
 *
 * @module
 */
import { AppError, toAppError } from "@/error/app_error.ts";
import { readConfig, readFileToCheck } from "@/config/boot.ts";
import { configCheck, configDefault, configPrint } from "./config_view.ts";
import { report } from "./scan.ts";
import { EXIT, type World } from "./world.ts";

/**
 * Runs `config print`, `config check FILE` or `config default`.
 *
 * @param world The process.
 * @returns 0, or 2 if the configuration is refused.
 */
export async function config(world: World): Promise<number> {
  const json = world.args.includes("--json");
  const [action = "print", file] = world.args.filter((arg) =>
    !arg.startsWith("--")
  );
  try {
    switch (action) {
      case "print":
        world.print(configPrint(await readConfig(world.env), { json }));
        return EXIT.ok;
      case "default":
        world.print(configDefault());
        return EXIT.ok;
      case "check":
        return await check(world, file, json);
      default:
        throw new AppError(
          "invalid_arguments",
          "Cannot run config: the actions are print, check FILE and default",
        );
    }
  } catch (thrown) {
    return report(world, toAppError(thrown), json);
  }
}

async function check(
  world: World,
  name: string | undefined,
  json: boolean,
): Promise<number> {
  if (name === undefined) {
    throw new AppError(
      "invalid_arguments",
      "Cannot check a configuration: name its file",
    );
  }
  const { ok, text } = configCheck(
    { name, text: await readFileToCheck(name) },
    {
      json,
    },
  );
  world.print(text);
  return ok ? EXIT.ok : EXIT.refused;
}
