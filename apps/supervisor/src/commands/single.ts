import {
	type CommandInput,
	type CommandOutcome,
	ConfigError,
	checkRoute,
	encodeSingle,
	parseAddress,
	settingNames,
	singleVariable,
} from "@shardcast/service";
import { portProblem } from "../preflight/ports.ts";

/** Runs one shard in this process: no balancer, no fork. The shard's program takes over and leaves by itself. */
export async function single({ loaded, input }: CommandInput): Promise<CommandOutcome> {
	const { config, sources } = loaded;
	await checkRoute(config, settingNames(sources));
	const address = parseAddress(config.addr);
	const problem = await portProblem(address);
	if (problem !== null) {
		throw new ConfigError([`${settingNames(sources)("addr")}: port ${address.port} ${problem}`]);
	}
	for (const warning of loaded.warnings) process.stderr.write(`shardcast: ${warning}\n`);
	process.env[singleVariable] = encodeSingle(loaded, input);
	await import(import.meta.resolve("@shardcast/shard"));
	return "serving";
}
