import { createServer } from "node:net";
import { type Address, type Config, type NameOf, parseAddress } from "@shardcast/config";
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

interface Place {
	/** The option that names it. */
	readonly name: string;
	readonly address: Address;
}

/** Where the balancer and so many shards listen, whose ports begin with this one. */
export function listenPlaces(config: Pick<Config, "host" | "lbAddr">, firstPort: number, shards: number, name: NameOf): readonly Place[] {
	const balancer = { name: name("lbAddr"), address: parseAddress(config.lbAddr) };
	const own = Array.from({ length: shards }, (_, slot) => ({
		name: name("basePort"),
		address: { host: config.host, port: firstPort + slot },
	}));
	return [balancer, ...own];
}

/** One line for each option whose port cannot be used; for several ports of an option, the first. */
export async function portProblems(wanted: readonly Place[]): Promise<string[]> {
	const problems = await Promise.all(wanted.map(({ address }) => portProblem(address)));
	const lines = new Map<string, string>();
	wanted.forEach(({ name }, index) => {
		if (problems[index] !== null && !lines.has(name)) lines.set(name, `${name}: ${problems[index]}`);
	});
	return [...lines.values()];
}
