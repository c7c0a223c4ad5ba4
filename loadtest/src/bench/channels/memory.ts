import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { waitFor } from "@shardcast/testkit";
import { runBench } from "../support/report.ts";
import { benchShards, withCleanup } from "../support/subject.ts";
import { startChannelCluster } from "./channel-cluster.ts";
import type { Part } from "./part.ts";
import { command, ProtocolClients } from "./protocol-clients.ts";
import { ShardMemory } from "./shard-memory.ts";

/** They stay: a heap that has served as many, and no freed memory that the measured clients would be given without the kernel's notice. */
const firstConnections = 4_000;
const connections = 8_000;
const further = 10;
const quietMs = 4_000;
/** V8 gives the pages that a collection has emptied back in other threads. */
const givingBackMs = 1_000;
const collectDeadlineMs = 20_000;

interface Memory {
	readonly bytesPerConnection: number;
	readonly bytesAsItStands: number;
	readonly bytesPerFurtherSubscription: number;
}

/** Each client with one subscription to a channel that ten share; then with ten more. A fresh cluster: memory once taken is seldom given back. */
function measure(isRaw: boolean): Promise<Memory> {
	return withCleanup(async (ends) => {
		const collected = mkdtempSync(join(tmpdir(), "bench-collected-"));
		ends.push(async () => rmSync(collected, { recursive: true, force: true }));
		const collector = pathToFileURL(join(import.meta.dirname, "collect-garbage.js")).href;
		const { target, servers, stop } = await startChannelCluster({ NODE_OPTIONS: `--import ${collector}`, BENCH_COLLECTED: collected });
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
		const shards = new ShardMemory(servers.processes, (pids) => collectGarbage(pids, collected));
		await openClients("first", firstConnections);
		await sleep(quietMs);
		const beforeBytes = await shards.collectedBytes();
		const { clients, subscribe } = await openClients("room", connections);
		await sleep(quietMs);
		const bytesAsItStands = (shards.bytes() - beforeBytes) / connections;
		const oneBytes = await shards.collectedBytes();
		const bytesPerConnection = (oneBytes - beforeBytes) / connections;
		// A target must not be met by a measurement that went wrong.
		if (bytesPerConnection <= 0)
			throw new Error(`${bytesPerConnection} B per connection: memory that the shards held before was given back or used again`);
		let bytesPerFurtherSubscription = 0;
		if (!isRaw) {
			const more = Array.from({ length: further }, (_, index) => index + 1);
			await clients.ask((client) => more.map((index) => subscribe(client, index)));
			await sleep(quietMs);
			bytesPerFurtherSubscription = ((await shards.collectedBytes()) - oneBytes) / connections / further;
		}
		return { bytesPerConnection, bytesAsItStands, bytesPerFurtherSubscription };
	});
}

/** @param directory where each process leaves a file when it is done. */
async function collectGarbage(pids: readonly number[], directory: string): Promise<void> {
	const files = pids.map((pid) => join(directory, String(pid)));
	for (const file of files) rmSync(file, { force: true });
	for (const pid of pids) process.kill(pid, "SIGUSR2");
	const isDone = (): boolean => files.every((file) => existsSync(file));
	await waitFor(isDone, { deadlineMs: collectDeadlineMs, what: "the shards to collect their garbage", everyMs: 50 });
	await sleep(givingBackMs);
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
					help: "anonymous memory of the shards, garbage collected, that an idle connection with one subscription adds to a cluster that has clients",
				},
				bytesAsItStands: {
					unit: "B",
					better: "lower",
					compared: false,
					help: `the same ${quietMs / 1000} s after the last connect, with the garbage of connecting outside V8's young generation, which counts as full in both`,
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
