import type { CommandInput, CommandOutcome } from "@shardcast/config";

/** Runs a gateway in this process. It exits by itself on a signal. */
export async function gateway(input: CommandInput): Promise<CommandOutcome> {
	const { runGateway } = await import("@shardcast/gateway");
	await runGateway(input);
	return "serving";
}
