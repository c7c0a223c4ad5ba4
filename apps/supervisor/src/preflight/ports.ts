import { createServer } from "node:net";
import type { Address } from "@shardcast/config";
import { listenProblem } from "@shardcast/process";

/**
 * Tries to listen on the address. If another program takes the port before the child listens, the child reports it.
 * @returns what is wrong, or null.
 */
export function portProblem(address: Address): Promise<string | null> {
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", (error: NodeJS.ErrnoException) => resolve(listenProblem(error.code ?? error.message, address)));
		// exclusive: like the children's listeners, and without the primary of node:cluster.
		server.listen({ ...address, exclusive: true }, () => server.close(() => resolve(null)));
	});
}

/** One line for each option whose port cannot be used; for several ports of an option, the first. */
export async function portProblems(wanted: readonly { readonly name: string; readonly address: Address }[]): Promise<string[]> {
	const problems = await Promise.all(wanted.map(({ address }) => portProblem(address)));
	const lines = new Map<string, string>();
	wanted.forEach(({ name }, index) => {
		if (problems[index] !== null && !lines.has(name)) lines.set(name, `${name}: ${problems[index]}`);
	});
	return [...lines.values()];
}
