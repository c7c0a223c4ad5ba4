import { type CommandInput, checkRoute, configJson, formatConfig, settingNames } from "@shardcast/config";
import { print } from "@shardcast/process";

/** All settings, where each came from, in the shape of a config file. */
export async function configPrint({ loaded, own }: CommandInput): Promise<number> {
	await print(own.json === undefined ? formatConfig(loaded) : `${configJson(loaded)}\n`);
	return 0;
}

/** Wrong settings have ended the program before it comes here, one line each; what they name is tried out here. */
export async function configCheck({ loaded }: CommandInput): Promise<number> {
	await checkRoute(loaded.config, settingNames(loaded.sources));
	for (const warning of loaded.warnings) process.stderr.write(`shardcast: ${warning}\n`);
	await print(`all settings are right${loaded.file === null ? "" : ` (config file ${loaded.file})`}\n`);
	return 0;
}
