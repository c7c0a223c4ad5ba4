import { type AddressInfo, createServer, type Server } from "node:net";

/** Below the kernel's ephemeral range (32768 and up), so that outgoing connections do not take what was found free. */
const lowest = 10_240;
const highest = 32_767;
/** A process takes the ports that it gives away from a block that it has alone, as long as it lives: whole test runs may go on side by side. */
const blockPorts = 352;
const blocks = Math.floor((highest - lowest + 1) / blockPorts);

let own: Promise<number> | null = null;

/** The first port of this process's block: it listens there, which tells all others that the block is taken. */
async function ownBlock(): Promise<number> {
	const start = Math.floor(Math.random() * blocks);
	for (let next = 0; next < blocks; next++) {
		const guard = await bind(lowest + ((start + next) % blocks) * blockPorts);
		if (guard === null) continue;
		guard.unref();
		guard.on("connection", (socket) => socket.destroy());
		return (guard.address() as AddressInfo).port;
	}
	throw new Error(`all ${blocks} blocks of ports between ${lowest} and ${highest} are taken`);
}

/** What this process was given lately: a program that has not bound its port yet keeps it. */
const given = new Set<number>();
const givenMax = 200;
/** Where there are hardly any others left. */
const newestKept = 60;

/**
 * The first of `count` consecutive ports that are free on every interface, at a random place in this process's block. No other process that
 * asks here gets them; nothing else reserves them until the program under test binds.
 */
export async function freePorts(count = 1): Promise<number> {
	own ??= ownBlock();
	const first = (await own) + 1;
	forgetOldest(givenMax);
	for (let attempt = 0; attempt < 200; attempt++) {
		// What was given long ago may be free again; the newest may still be looked at.
		if (attempt === 100) forgetOldest(newestKept);
		const port = first + Math.floor(Math.random() * (blockPorts - count));
		const wanted = Array.from({ length: count }, (_, index) => port + index);
		if (wanted.some((each) => given.has(each))) continue;
		// Before they are looked at: another call may look at the same ones meanwhile.
		for (const each of wanted) given.add(each);
		if (await allFree(wanted)) return port;
		for (const each of wanted) given.delete(each);
	}
	throw new Error(`no ${count} consecutive free ports between ${first} and ${first + blockPorts - 2} in 200 attempts`);
}

function forgetOldest(kept: number): void {
	for (const port of given) if (given.size > kept) given.delete(port);
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
