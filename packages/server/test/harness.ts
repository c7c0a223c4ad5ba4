import { MemoryBus } from "@shardcast/bus";
import { ChannelLog, createLogBuffers, openLogBuffers } from "@shardcast/channel-log";
import { type Config, defaultConfig, ringCapacityBytes } from "@shardcast/config";
import { answerChannels, answerPresence, answerUsers, consoleQuestion, metricsQuestion, PartAnswers, Questions } from "@shardcast/control";
import { AddressTable, RateTable } from "@shardcast/limits";
import { type BoardRow, Role, Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { freePorts, LibraryClient, RawClient } from "@shardcast/testkit";
import { EventWriter, eventRingInMemory } from "@shardcast/webhooks";
import { Shard } from "../src/lifecycle/shard.ts";
import type { ShardOptions } from "../src/lifecycle/shard-options.ts";

export interface TestShard {
	readonly shard: Shard;
	readonly row: BoardRow;
	/** "ws://127.0.0.1:…" */
	readonly url: string;
	readonly httpUrl: string;
}

export interface TestShards {
	readonly shards: readonly TestShard[];
	readonly bus: MemoryBus;
	readonly board: Scoreboard;
	/** A client on the `ws` library on that shard. */
	client(shard?: number, path?: string, headers?: Readonly<Record<string, string>>): Promise<LibraryClient>;
	/** A client on a bare socket. */
	rawClient(shard?: number, path?: string): Promise<RawClient>;
	stop(): Promise<void>;
}

export interface TestShardsOptions {
	readonly config?: Partial<Config>;
	/** Memory for histories (1 MiB). */
	readonly historyBytes?: number;
	readonly parts?: Partial<ShardOptions>;
	readonly capacityBytes?: number;
	/** More members of the bus than shards: for a test to take part in it. */
	readonly members?: number;
	readonly connectionsMax?: number;
}

/** Several shards in this process, joined by a bus in memory: a shard knows neither its host nor who else there is. */
export async function startShards(count: number, options: TestShardsOptions = {}): Promise<TestShards> {
	const config = defaultConfig(options.config);
	const members = options.members ?? count;
	const board = Scoreboard.inMemory(members);
	const bus = new MemoryBus({ members, capacityBytes: options.capacityBytes ?? ringCapacityBytes(config) });
	const logs = createLogBuffers({ memoryBytes: options.historyBytes ?? 1_048_576 });
	const addresses = AddressTable.inMemory(1000, members);
	const rates = RateTable.inMemory();
	const basePort = await freePorts(count);
	const parts = Array.from({ length: count }, () => new PartAnswers());
	const questions = new Questions({
		processes: () =>
			parts.map((own, slot) => ({ name: `shard-${slot}`, isShard: true, request: (name, request) => own.answer(name, request) })),
	});
	answerPresence(questions);
	answerUsers(questions);
	answerChannels(questions);
	questions.add(consoleQuestion, (answers) => ({ events: [], nodes: null, remotes: [], scaling: null, parts: answers }));
	questions.add(metricsQuestion, () => "");
	const shards = await Promise.all(
		Array.from({ length: count }, async (_, slot): Promise<TestShard> => {
			const row = board.row(slot);
			const port = basePort + slot;
			row.role = Role.shard;
			row.port = port;
			row.connectionsGiven = options.connectionsMax ?? 1000;
			const shard = new Shard({
				config,
				board,
				row,
				connectionsFit: Number.POSITIVE_INFINITY,
				bus: bus.link(slot),
				address: { host: "127.0.0.1", port },
				certificates: [],
				handoff: null,
				isProxy: null,
				rates,
				openAddresses: () => addresses,
				openClientEvents: () => new EventWriter(eventRingInMemory()),
				openHistory: (committed) => new ChannelLog(openLogBuffers(logs), { slot, incarnation: 1 }, { committed }),
				ingest: null,
				log: silentLog(),
				sample: () => ({ cpuMs: 1, residentBytes: 1, loopLagP99Ms: 0 }),
				ask: (question, request) => questions.ask(question, request),
				parts: parts[slot],
				metrics: { addReading: () => {} },
				...options.parts,
			});
			await shard.start();
			return { shard, row, url: `ws://127.0.0.1:${port}`, httpUrl: `http://127.0.0.1:${port}` };
		}),
	);
	const clients: LibraryClient[] = [];
	const rawClients: RawClient[] = [];
	return {
		shards,
		bus,
		board,
		client: async (shard = 0, path = "/", headers = {}) => {
			const client = await LibraryClient.open(shards[shard].url + path, headers);
			clients.push(client);
			return client;
		},
		rawClient: async (shard = 0, path = "/") => {
			const client = await RawClient.open(shards[shard].url + path);
			rawClients.push(client);
			return client;
		},
		stop: async () => {
			for (const client of rawClients) client.socket.tcp.destroy();
			for (const { shard } of shards) await shard.stop();
			await Promise.all(clients.map((client) => client.closed));
		},
	};
}
