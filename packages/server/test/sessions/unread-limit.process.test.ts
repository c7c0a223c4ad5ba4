import { defaultConfig } from "@shardcast/config";
import { type RawClient, SteadyReaders, waitFor } from "@shardcast/testkit";
import { type ChannelList, channelList, monotonicMs, RecordKind, recordBytes, writeRecordHead } from "@shardcast/wire";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../harness.ts";

let running: TestShards | undefined;
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

const messageBytes = 10_000;
const mib = 1024 * 1024;
const stalledClients = 6;
const plain = defaultConfig().channelWithoutNamespace;

/** Publishes as another shard does. */
class Publisher {
	readonly #link: ReturnType<TestShards["bus"]["link"]>;

	constructor({ bus }: TestShards) {
		this.#link = bus.link(1);
	}

	async publish(channels: ChannelList, sequence: number): Promise<void> {
		const link = this.#link;
		const bytes = recordBytes(channels, messageBytes);
		let at = link.claim(bytes);
		while (at < 0) {
			link.read(1000, () => {});
			await new Promise((resolve) => setImmediate(resolve));
			at = link.claim(bytes);
		}
		const payload = writeRecordHead(link.view, link.u8, at, RecordKind.binary, 0, monotonicMs(), channels);
		link.u8.fill(0, payload, payload + messageBytes);
		link.view.setUint32(payload, sequence, true);
		link.commit();
		link.ringWaiters();
	}
}

const sequences = (client: RawClient): number[] => client.messages.map(({ bytes }) => bytes.readUInt32LE());

describe("--max-buffered-total", () => {
	it("closes clients that read nothing when all of them together have too much unread; the others notice nothing", async () => {
		const total = 16 * mib;
		const cluster = await startShards(1, { members: 2, config: { maxBufferedBytes: total, maxBufferedTotalBytes: total } });
		running = cluster;
		const { row, url } = cluster.shards[0];
		const readersUrl = `${url}/?channels=readers`;
		const readers = await SteadyReaders.open([readersUrl, readersUrl], 8_000_000);
		try {
			// Each with its own channel: what several clients wait for takes memory once.
			const names = Array.from({ length: stalledClients }, (_, number) => `own${number}`);
			const stalled = await Promise.all(names.map((name) => cluster.rawClient(0, `/?channels=${name}`)));
			for (const { socket } of stalled) socket.tcp.pause();
			const publisher = new Publisher(cluster);
			// Of each client's 10 MB, the kernel holds a few: more than 16 MiB are left, and no client has so much alone.
			const count = 1000;
			const lists = [...names, "readers"].map((name) => channelList([name]));
			for (let sequence = 0; sequence < count; sequence++) for (const list of lists) await publisher.publish(list, sequence);
			await waitFor(() => row.get("clientsCutForMemory") > 0, { deadlineMs: 15_000, what: "clients closed for their memory" });
			await readers.haveRead(count, 20_000);
			await waitFor(() => row.get("unreadBytes") <= total, { deadlineMs: 5000, what: "unread bytes within the limit" });
			for (const { socket } of stalled) socket.tcp.resume();
			// Where delivery takes longer, some are cut before all was published, and others later.
			const kept = () => stalledClients - row.get("clientsCutForMemory");
			await waitFor(() => stalled.filter(({ messages }) => messages.length === count).length === kept(), {
				deadlineMs: 10_000,
				what: "everything at the clients that were kept",
			});
			expect(kept()).toBeGreaterThan(0);
			expect(row.get("closedSlow")).toBe(stalledClients - kept());
			expect(row.get("droppedMessages"), "messages dropped because one client alone had too much").toBe(0);
			expect(row.webSockets).toBe(2 + kept());
			for (const client of stalled) {
				const got = sequences(client);
				expect(got, "without a gap").toEqual(Array.from(got, (_, index) => index));
			}
			await waitFor(() => row.get("unreadBytes") === 0, { deadlineMs: 10_000, what: "nothing left unread" });
			expect(row.get("clientsBehind")).toBe(0);
		} finally {
			readers.close();
		}
	}, 60_000);

	it("drops in lanes what may be dropped before it closes anybody; each client gets the newest", async () => {
		const total = 4 * mib;
		const config = {
			maxBufferedBytes: mib,
			maxBufferedTotalBytes: total,
			channelWithoutNamespace: { ...plain, slowClient: "drop-oldest" },
		};
		const cluster = await startShards(1, { members: 2, config: config as never });
		running = cluster;
		const { row } = cluster.shards[0];
		const names = Array.from({ length: stalledClients }, (_, number) => `own${number}`);
		const stalled = await Promise.all(names.map((name) => cluster.rawClient(0, `/?channels=${name}`)));
		for (const { socket } of stalled) socket.tcp.pause();
		const publisher = new Publisher(cluster);
		const lists = names.map((name) => channelList([name]));
		// No client shares what waits for it.
		let sequence = 0;
		const publish = async (count: number) => {
			for (const until = sequence + count; sequence < until; sequence++) for (const list of lists) await publisher.publish(list, sequence);
		};
		await publish(600);
		while (row.get("laneDropsMemory") === 0 && sequence < 1500) {
			await publish(20);
			await waitFor(() => row.get("unreadBytes") > mib, { deadlineMs: 5000, what: "a look at the clients" });
		}
		expect(row.get("laneDropsMemory"), "publications dropped for memory").toBeGreaterThan(0);
		await waitFor(() => row.get("unreadBytes") <= total && row.get("laneBytes") <= total / 2, { deadlineMs: 5000, what: "the limit" });
		expect(row.get("clientsCutForMemory")).toBe(0);
		for (const { socket } of stalled) socket.tcp.resume();
		await waitFor(() => stalled.every((client) => sequences(client).at(-1) === sequence - 1), { deadlineMs: 10_000, what: "the newest" });
		for (const client of stalled) {
			const got = sequences(client);
			expect(got, "in order, none twice").toEqual([...new Set(got)].sort((one, other) => one - other));
		}
		const missed = stalled.reduce((sum, { messages }) => sum + sequence - messages.length, 0);
		expect(missed).toBe(row.get("laneDropsMemory") + row.get("laneDropsOldest"));
		await waitFor(() => row.get("laneClients") === 0 && row.get("laneMessages") === 0, { deadlineMs: 10_000, what: "empty lanes" });
	}, 60_000);
});
