import type { CommandInput, CommandOutcome } from "@shardcast/config";

/** Runs an edge in this process. It exits by itself on a signal. */
export async function edge(input: CommandInput): Promise<CommandOutcome> {
	const { runEdge } = await import("@shardcast/edge");
	await runEdge(input);
	return "serving";
}
