import { createServer, type Server } from "node:net";

/** Below the kernel's ephemeral range (32768 and up), so that outgoing connections do not take what was found free. */
const lowest = 10_240;
const highest = 32_767;
/** Test files that run side by side look in different parts of the range, so that none takes what another has just found free. */
const parts = 8;
const part = Number(process.env.VITEST_POOL_ID ?? 0) % parts;
const partPorts = Math.floor((highest - lowest + 1) / parts);
const first = lowest + part * partPorts;

/** What this process was given lately: a program that has not bound its port yet keeps it. */
const given = new Set<number>();
const givenMax = partPorts / 4;

/**
 * The first of `count` consecutive ports that are free on every interface, at a random place in this worker's part of the range, so
 * that whole test runs side by side rarely meet. Free when looked at: nothing reserves them until the program under test binds.
 */
export async function freePorts(count = 1): Promise<number> {
	if (given.size > givenMax) given.clear();
	for (let attempt = 0; attempt < 100; attempt++) {
		const port = first + Math.floor(Math.random() * (partPorts - count + 1));
		const wanted = Array.from({ length: count }, (_, index) => port + index);
		if (wanted.some((each) => given.has(each)) || !(await allFree(wanted))) continue;
		for (const each of wanted) given.add(each);
		return port;
	}
	throw new Error(`no ${count} consecutive free ports between ${first} and ${first + partPorts - 1} in 100 attempts`);
}

async function allFree(ports: readonly number[]): Promise<boolean> {
	const held: Server[] = [];
	try {
		for (const port of ports) {
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
