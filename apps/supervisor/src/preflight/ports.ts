import { createServer } from "node:net";
import type { Address } from "@shardcast/config";

const fixes: Readonly<Record<string, string>> = {
	EADDRINUSE: "is taken; choose another or stop the program that has it",
	EACCES: "may not be used by this user; choose one above 1023 or grant CAP_NET_BIND_SERVICE",
};

/** What is wrong with the address, whatever the port. */
const addressFixes: Readonly<Record<string, (host: string) => string>> = {
	EADDRNOTAVAIL: (host) => `this machine has no address ${host}; name one that it has`,
	ENOTFOUND: (host) => `the host name ${host} is not known; name an address of this machine`,
};

/**
 * Tries to listen there. Between this look and the child's own listening another program may take the port; the child then says so.
 * @returns what is wrong; null = nothing.
 */
export function portProblem(address: Address): Promise<string | null> {
	const problemOf = (code = ""): string =>
		addressFixes[code]?.(address.host ?? "::") ?? `port ${address.port} ${fixes[code] ?? `can't be listened on (${code})`}`;
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", (error: NodeJS.ErrnoException) => resolve(problemOf(error.code)));
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
