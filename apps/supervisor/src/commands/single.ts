import { type CommandInput, type CommandOutcome, ConfigError, parseAddress, settingNames } from "@shardcast/service";
import { portProblem } from "../preflight/ports.ts";

/** Runs one shard in this process: no balancer, no fork. The shard's program takes over and leaves by itself. */
export async function single({ loaded }: CommandInput): Promise<CommandOutcome> {
	const { config, sources } = loaded;
	const address = parseAddress(config.addr);
	const problem = await portProblem(address);
	if (problem !== null) {
		throw new ConfigError([`${settingNames(sources)("addr")}: port ${address.port} ${problem}`]);
	}
	for (const warning of loaded.warnings) process.stderr.write(`shardcast: ${warning}\n`);
	process.env.SHARDCAST_SINGLE = JSON.stringify(config);
	await import(import.meta.resolve("@shardcast/shard"));
	return "serving";
}
