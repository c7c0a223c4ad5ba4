import { createServer, type Server } from "node:net";

/** Below the kernel's ephemeral range (32768 and up), so that outgoing connections do not take what was found free. */
const lowest = 10_240;
const highest = 32_767;

/**
 * The first of `count` consecutive ports that are free on every interface, at a random place, so that test runs side by
 * side rarely meet. Free when looked at: nothing reserves them until the program under test binds.
 */
export async function freePorts(count = 1): Promise<number> {
	for (let attempt = 0; attempt < 100; attempt++) {
		const first = lowest + Math.floor(Math.random() * (highest - lowest - count + 2));
		if (await allFree(first, count)) return first;
	}
	throw new Error(`no ${count} consecutive free ports between ${lowest} and ${highest} in 100 attempts`);
}

async function allFree(first: number, count: number): Promise<boolean> {
	const held: Server[] = [];
	try {
		for (let port = first; port < first + count; port++) {
			const server = await bind(port);
			if (server === null) return false;
			held.push(server);
		}
		return true;
	} finally {
		await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
	}
}

function bind(port: number): Promise<Server | null> {
	return new Promise((resolve) => {
		const server = createServer();
		server.once("error", () => resolve(null));
		server.listen({ port }, () => resolve(server));
	});
}
