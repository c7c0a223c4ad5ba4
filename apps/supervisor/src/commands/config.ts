import { type CommandInput, checkRoute, configJson, formatConfig, optionNames } from "@shardcast/config";
import { print } from "@shardcast/process";
import { libraryProblemHere } from "../preflight/library.ts";
import { firstShardPort } from "../preflight/shard-ports.ts";

/** All options, where each came from, in the shape of a config file. */
export async function configPrint({ loaded, own }: CommandInput): Promise<number> {
	await print(own.json === undefined ? formatConfig(loaded) : `${configJson(loaded)}\n`);
	return 0;
}

/** Wrong options have ended the program before it comes here, one line each; what they name is tried out here. */
export async function configCheck({ loaded }: CommandInput): Promise<number> {
	const { config, layers } = loaded;
	const name = optionNames(layers);
	// With 0 it is the machine that says how many.
	if (config.shards > 0) firstShardPort(config, config.shards, layers.basePort.kind !== "default", name);
	await checkRoute(config, name);
	const library = await libraryProblemHere();
	for (const warning of [...loaded.warnings, ...(library === null ? [] : [library])]) process.stderr.write(`shardcast: ${warning}\n`);
	await print(`all options are valid${loaded.file === null ? "" : ` (config file ${loaded.file})`}\n`);
	return 0;
}
