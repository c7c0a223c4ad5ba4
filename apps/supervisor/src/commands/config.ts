import { type CommandInput, checkRoute, configJson, formatConfig, loadCertificates, optionNames } from "@shardcast/config";
import { print } from "@shardcast/process";
import { loadLibraryProblem } from "../preflight/library.ts";
import { firstShardPort } from "../preflight/shard-ports.ts";

/** Prints all options and their sources, as a config file. */
export async function configPrint({ loaded, own }: CommandInput): Promise<number> {
	await print(own.json === undefined ? formatConfig(loaded) : `${configJson(loaded)}\n`);
	return 0;
}

/** Checks the files that options name, and ports. Invalid options have already ended the program with an error line each. */
export async function configCheck({ loaded }: CommandInput): Promise<number> {
	const { config, layers } = loaded;
	const name = optionNames(layers);
	// With 0 the number depends on the machine.
	if (config.shards > 0) firstShardPort(config, config.shards, layers.basePort.kind !== "default", name);
	const { warnings } = loadCertificates(config, name);
	await checkRoute(config, name);
	const library = await loadLibraryProblem();
	for (const warning of [...loaded.warnings, ...warnings, ...(library === null ? [] : [library])])
		process.stderr.write(`shardcast: ${warning}\n`);
	await print(`all options are valid${loaded.file === null ? "" : ` (config file ${loaded.file})`}\n`);
	return 0;
}
