import { setTimeout as sleep } from "node:timers/promises";
import { runBench } from "../report.ts";
import { benchShards, withEnds } from "../subject.ts";
import { startChannelCluster } from "./channel-cluster.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { Part } from "./part.ts";
import { command, ProtocolClients } from "./protocol-clients.ts";

/** They are there before the others, which do not find the heap as empty as a start leaves it. */
const firstConnections = 2_000;
const connections = 6_000;
const further = 10;
const quietMs = 4_000;
const attemptsMax = 3;

interface Memory {
	readonly bytesPerConnection: number;
	readonly bytesPerFurtherSubscription: number;
}

/**
 * Each client with one subscription to a channel that ten share; then with ten more. A fresh cluster: memory once taken is seldom given back.
 * Null = a process gave memory back meanwhile, so that nothing can be said.
 */
function attempt(isRaw: boolean): Promise<Memory | null> {
	return withEnds(async (ends) => {
		const { target, servers, stop } = await startChannelCluster();
		ends.push(stop);
		const openClients = async (group: string, count: number) => {
			const channelOf = (client: number, index: number): string => `${group}.${index}.${Math.floor(client / 10)}`;
			const subscribe = (client: number, index: number) => command("subscribe", { channel: channelOf(client, index), flag: 1 });
			const clients = new ProtocolClients({
				target,
				connections: count,
				...(isRaw
					? { path: "/?channels=room", hello: null }
					: { path: "/connection/websocket", hello: (client: number) => [command("connect", {}), subscribe(client, 0)] }),
			});
			ends.push(() => clients.close());
			await clients.open();
			return { clients, subscribe };
		};
		await openClients("first", firstConnections);
		await sleep(quietMs);
		const watch = new MemoryWatch(servers);
		ends.push(async () => watch.stop());
		const beforeBytes = watch.bytes();
		const { clients, subscribe } = await openClients("room", connections);
		await sleep(quietMs);
		const oneBytes = watch.bytes();
		const bytesPerConnection = (oneBytes - beforeBytes) / connections;
		let bytesPerFurtherSubscription = 0;
		if (!isRaw) {
			const more = Array.from({ length: further }, (_, index) => index + 1);
			await clients.ask((client) => more.map((index) => subscribe(client, index)));
			await sleep(quietMs);
			bytesPerFurtherSubscription = (watch.bytes() - oneBytes) / connections / further;
		}
		if (watch.gaveBack !== null) {
			console.log(`  measured again: the ${watch.gaveBack} gave back memory of its start`);
			return null;
		}
		return { bytesPerConnection, bytesPerFurtherSubscription };
	});
}

/** @throws when no attempt gave a figure that can be one: a target must not be met by a measurement that went wrong. */
async function measure(isRaw: boolean): Promise<Memory> {
	for (let tries = 0; tries < attemptsMax; tries++) {
		const memory = await attempt(isRaw);
		if (memory === null) continue;
		if (memory.bytesPerConnection <= 0) throw new Error(`${memory.bytesPerConnection} B per connection: the measurement went wrong`);
		return memory;
	}
	throw new Error(`in ${attemptsMax} attempts a process gave memory back: nothing can be said of what clients take`);
}

export const memory: Part = {
	help: "memory per connection and per subscription",
	rounds: 1,
	run: async (rounds) => {
		await runBench({
			name: "channels-memory",
			rounds,
			figures: {
				bytesPerConnection: {
					unit: "B",
					better: "lower",
					help: "anonymous memory of all server processes that an idle connection with one subscription adds, on a cluster that has clients",
				},
				bytesPerFurtherSubscription: {
					unit: "B",
					better: "lower",
					compared: false,
					help: "the channels' own memory included: ten clients share each; not measured for raw clients",
				},
			},
			baseline: "raw",
			variants: { raw: () => measure(true), json: () => measure(false) },
			targets: [{ variant: "json", figure: "bytesPerConnection", atMost: 4_096 }],
			setup: { firstConnections, connections, furtherSubscriptions: further, shards: benchShards },
		});
	},
};
