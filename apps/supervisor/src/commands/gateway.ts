import {
	autoCount,
	type CommandInput,
	type CommandOutcome,
	ConfigError,
	type ConfigKey,
	keysOf,
	optionNames,
	parseAddress,
} from "@shardcast/config";
import { portProblem } from "../preflight/ports.ts";

/** What only a gateway of several processes uses. */
const ofProcesses = keysOf("gateway").filter((key) => (keysOf("multi").includes(key) && !keysOf("single").includes(key)) || key === "ring");

/** Runs a gateway: one process, unless `--shards` says otherwise. */
export async function gateway(input: CommandInput): Promise<CommandOutcome> {
	const { config, layers } = input.loaded;
	// Imported only now, since the other commands need none of it.
	const { checkGateway } = await import("@shardcast/gateway/cluster");
	checkGateway(input.loaded);
	if (config.shards === autoCount)
		throw new ConfigError([
			`${optionNames(layers)("shards")}: a gateway cannot change the number of its processes while it runs; write 0 for one per CPU`,
		]);
	if (config.shards !== 1) return (await import("./gateway-cluster.ts")).gatewayCluster(input);
	refuseWithoutEffect(input, ofProcesses);
	const problem = await portProblem(parseAddress(config.gatewayAddr));
	if (problem !== null) throw new ConfigError([`${optionNames(layers)("gatewayAddr")}: ${problem}`]);
	const { runGateway } = await import("@shardcast/gateway");
	await runGateway(input);
	return "serving";
}

/** A flag is meant for this command, while the environment and the file may be for others, too. */
function refuseWithoutEffect({ loaded: { layers } }: CommandInput, keys: readonly ConfigKey[]): void {
	const given = keys.find((key) => key !== "shards" && layers[key].kind === "flag");
	if (given === undefined) return;
	const name = optionNames(layers);
	throw new ConfigError([`${name(given)}: has no effect on a gateway of one process; leave it out, or give ${name("shards")} 2 or more`]);
}
