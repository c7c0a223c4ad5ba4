import { type CommandInput, type CommandOutcome, ConfigError, checkRoute, optionNames, parseAddress } from "@shardcast/config";
import { portProblem } from "../preflight/ports.ts";

/** Runs one shard in this process: no balancer, no fork, no shared memory. It exits by itself on a signal. */
export async function single({ loaded, input }: CommandInput): Promise<CommandOutcome> {
	const { config, layers } = loaded;
	await checkRoute(config, optionNames(layers));
	// Imported only now, since the WebSocket library may fail to load, which is reported before a port that is taken.
	const { runSingle } = await import("@shardcast/server");
	const address = parseAddress(config.addr);
	const problem = await portProblem(address);
	if (problem !== null) {
		throw new ConfigError([`${optionNames(layers)("addr")}: ${problem}`]);
	}
	for (const warning of loaded.warnings) process.stderr.write(`shardcast: ${warning}\n`);
	await runSingle({ config, input });
	return "serving";
}
