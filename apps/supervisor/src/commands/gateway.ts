import { type CommandInput, type CommandOutcome, ConfigError } from "@shardcast/config";

/** Runs a gateway in this process. It exits by itself on a signal. */
export async function gateway(input: CommandInput): Promise<CommandOutcome> {
	const { shards = "1" } = input.own;
	if (shards !== "1")
		throw new ConfigError([
			`--shards: a gateway is one process, and cannot have ${shards} of them; start several gateways, each with its own port and the same backends, behind a load balancer`,
		]);
	const { runGateway } = await import("@shardcast/gateway");
	await runGateway(input);
	return "serving";
}
