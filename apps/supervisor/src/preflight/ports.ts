import { createServer } from "node:net";
import type { Address } from "@shardcast/config";
import { listenProblem } from "@shardcast/process";

/**
 * Tries to listen there. Between this look and the child's own listening another program may take the port; the child then says so.
 * @returns what is wrong; null = nothing.
 */
export function portProblem(address: Address): Promise<string | null> {
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", (error: NodeJS.ErrnoException) => resolve(listenProblem(error.code ?? error.message, address)));
		// exclusive: as the children listen, and past a cluster module's primary.
		server.listen({ ...address, exclusive: true }, () => server.close(() => resolve(null)));
	});
}

/** One line for each option that chose a port which can't be listened on; of several, the first. */
export async function portMistakes(wanted: readonly { readonly name: string; readonly address: Address }[]): Promise<string[]> {
	const problems = await Promise.all(wanted.map(({ address }) => portProblem(address)));
	const lines = new Map<string, string>();
	wanted.forEach(({ name }, index) => {
		if (problems[index] !== null && !lines.has(name)) lines.set(name, `${name}: ${problems[index]}`);
	});
	return [...lines.values()];
}
