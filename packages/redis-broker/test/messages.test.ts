import { MemoryBus } from "@shardcast/bus";
import {
	channelList,
	channelNameAt,
	createRecordHead,
	encodePublisherInfo,
	everybody,
	RecordKind,
	RecordType,
	readRecordHead,
	recordBytes,
	writeRecord,
} from "@shardcast/wire";
import { describe, expect, it, vi } from "vitest";
import { Compressor } from "../src/compression.ts";
import { IncomingMessages } from "../src/messages/incoming-messages.ts";
import { readBatchHead, recordsIn, writeBatch } from "../src/messages/message-batch.ts";
import { OutgoingMessages } from "../src/messages/outgoing-messages.ts";

const here = { id0: 1, id1: 2 };
const elsewhere = { id0: 1, id1: 3 };

/** A message as it lies on the bus of another node, whose hashes of channels have another key. */
function record(
	payload: string,
	channel: string | null = "news",
	type: number = RecordType.publication,
	targetSlot: number | null = null,
): Uint8Array {
	const channels = channel === null ? everybody : channelList([channel]);
	const bytes = new Uint8Array(recordBytes(channels, payload.length));
	const view = new DataView(bytes.buffer);
	const fields = {
		type: type as 1,
		kind: RecordKind.text,
		targetSlot,
		sender: 7,
		senderShard: 9,
		publishedMs: 1e12,
		channels,
		extensions: new Uint8Array(0),
	};
	bytes.set(Buffer.from(payload), writeRecord(view, bytes, 0, fields));
	if (channel !== null) view.setUint32(24, 0xdead, true);
	return bytes;
}

class FakeRedis {
	state: "ready" | "connecting" = "ready";
	readonly batches: Buffer[] = [];
	readonly answers: ((error?: Error) => void)[] = [];
	send(_key: string | null, [command, , batch]: readonly (string | Buffer)[]): Promise<unknown> {
		expect(command).toBe("SPUBLISH");
		this.batches.push(batch as Buffer);
		return new Promise((resolve, reject) => this.answers.push((error) => (error === undefined ? resolve(1) : reject(error))));
	}
	/** How many messages each batch has. */
	get sizes(): number[] {
		return this.batches.map((batch) => [...recordsIn(batch)].length);
	}
}

describe("OutgoingMessages", () => {
	function start() {
		const redis = new FakeRedis();
		const compressor = new Compressor({ method: "none", bytesMin: 0 });
		return { redis, outgoing: new OutgoingMessages({ redis, node: here, slot: 3, topic: "ws:messages:3", compressor }) };
	}
	const turn = () => new Promise((resolve) => setImmediate(resolve));

	it("the first message leaves in its turn of the loop; those that come before the answer leave together, after it", async () => {
		const { redis, outgoing } = start();
		outgoing.take(record("a"));
		await turn();
		expect(redis.sizes).toEqual([1]);
		for (const payload of ["b", "c", "d"]) outgoing.take(record(payload));
		await turn();
		expect(redis.sizes).toEqual([1]);
		redis.answers[0]!();
		await turn();
		expect(redis.sizes).toEqual([1, 3]);
		redis.answers[1]!();
		await turn();
		expect(outgoing.counts).toMatchObject({ messages: 4, batches: 2, droppedFull: 0, droppedOffline: 0 });
		expect(redis.batches.map(readBatchHead)).toEqual([
			{ node: here, slot: 3, number: 1 },
			{ node: here, slot: 3, number: 2 },
		]);
	});

	it("a batch has 100 messages at most, and without an answer nothing waits for more than 100 ms", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		try {
			const { redis, outgoing } = start();
			outgoing.take(record("first"));
			await turn();
			for (let index = 0; index < 250; index++) outgoing.take(record(String(index)));
			expect(redis.sizes).toEqual([1, 100, 100]);
			vi.advanceTimersByTime(99);
			expect(redis.sizes).toEqual([1, 100, 100]);
			vi.advanceTimersByTime(1);
			expect(redis.sizes).toEqual([1, 100, 100, 50]);
		} finally {
			vi.useRealTimers();
		}
	});

	it("high priority waits for no reply, and leaves before the messages that wait", async () => {
		const { redis, outgoing } = start();
		const texts = () => redis.batches.map((batch) => [...recordsIn(batch)].map((each) => each.subarray(-1).toString()).join(""));
		outgoing.take(record("a"));
		await turn();
		for (const payload of ["b", "c"]) outgoing.take(record(payload));
		outgoing.take(record("X", "news", RecordType.urgent), true);
		outgoing.take(record("d"));
		outgoing.take(record("Y", "news", RecordType.urgentDirect), true);
		await turn();
		expect(texts(), "no reply yet").toEqual(["a", "XY"]);
		redis.answers[0]!();
		redis.answers[1]!();
		await turn();
		expect(texts()).toEqual(["a", "XY", "bcd"]);
		outgoing.take(record("e"));
		outgoing.take(record("Z"), true);
		outgoing.stop();
		expect(texts().slice(3)).toEqual(["Z", "e"]);
		expect(redis.batches.map((batch) => readBatchHead(batch)?.number)).toEqual([1, 2, 3, 4, 5]);
	});

	it("a batch of high priority has 100 messages at most", async () => {
		const { redis, outgoing } = start();
		for (let index = 0; index < 250; index++) outgoing.take(record(String(index)), true);
		expect(redis.sizes).toEqual([100, 100]);
		await turn();
		expect(redis.sizes).toEqual([100, 100, 50]);
	});

	it("what Redis does not get is counted and not sent later", async () => {
		const { redis, outgoing } = start();
		redis.state = "connecting";
		outgoing.take(record("offline"));
		redis.state = "ready";
		outgoing.take(record("lost on the way"));
		await turn();
		redis.answers[0]!(new Error("gone"));
		await turn();
		expect([redis.sizes, outgoing.counts.droppedOffline, outgoing.counts.messages]).toEqual([[1], 2, 0]);
	});

	it("holds 16 MiB, and drops and counts what exceeds that", async () => {
		const { redis, outgoing } = start();
		const large = record("x".repeat(65_000));
		const fit = Math.floor((16 * 1024 * 1024) / (large.length + 4 + 16));
		for (let index = 0; index < fit; index++) outgoing.take(large);
		expect(outgoing.counts.droppedFull).toBe(0);
		for (let index = 0; index < 3; index++) outgoing.take(large);
		expect(outgoing.counts.droppedFull, "messages beyond the bound").toBeGreaterThan(1);
		const { droppedFull } = outgoing.counts;
		for (const answer of redis.answers) answer();
		await turn();
		outgoing.take(record("small"));
		expect(outgoing.counts.droppedFull, "with room again").toBe(droppedFull);
	});
});

describe("IncomingMessages", () => {
	function start(capacityBytes = 65_536) {
		const bus = new MemoryBus({ members: 1, capacityBytes }).link(0);
		let urgent = 0;
		const incoming = new IncomingMessages({ ring: bus, onCommit: () => {}, onUrgent: () => urgent++, node: here });
		const read = () => {
			const texts: string[] = [];
			const head = createRecordHead();
			bus.read(10_000, (_origin, u8, view, start, end) => {
				readRecordHead(view, start, end, head);
				const name = head.channelCount === 0 ? "everybody" : channelNameAt(u8, head.channelsStart);
				expect([head.sender, head.senderShard], "nobody here has sent it").toEqual([0, 0]);
				expect(head.publishedMs, "time of this machine").toBeLessThan(1e12);
				if (head.channelCount > 0) {
					const { bytes } = channelList([name]);
					expect([...u8.subarray(head.channelsStart, head.channelsStart + bytes.length)], "hash with this node's key").toEqual([...bytes]);
				}
				texts.push(`${name}: ${Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString()}`);
			});
			return texts;
		};
		let number = 0;
		const batch = (records: readonly Uint8Array[], node = elsewhere) => writeBatch({ node, slot: 1, number: ++number }, records);
		return { incoming, read, batch, urgent: () => urgent };
	}

	it("puts messages of other nodes onto the bus, in order, and leaves its own node's out", () => {
		const { incoming, read, batch } = start();
		incoming.take(batch([record("a"), record("b", null)]));
		incoming.take(batch([record("ours")], here));
		incoming.take(
			batch([record(Buffer.from(encodePublisherInfo({ user: "ann", client: "c-1" })).toString("latin1"), "news", RecordType.join)]),
		);
		expect(read()).toEqual(["news: a", "everybody: b", expect.stringMatching(/^news: .*ann.*c-1/s)]);
		expect(incoming.counts).toEqual({ messages: 3, droppedFull: 0, unreadable: 0, missed: 1 });
	});

	it("counts what it cannot read, and never a record for one shard or of another kind", () => {
		const { incoming, read, batch } = start();
		incoming.take(Buffer.from("no batch"));
		incoming.take(
			batch([
				record("a").subarray(0, 20),
				record("q", null, RecordType.clientFrames),
				record("t", null, RecordType.publication, 2),
				record("fine"),
			]),
		);
		const cut = batch([record("whole"), record("cut off")]);
		incoming.take(cut.subarray(0, cut.length - 3));
		expect(read()).toEqual(["news: fine", "news: whole"]);
		expect(incoming.counts.unreadable).toBe(4);
	});

	it("puts messages of high priority onto the bus before those that wait for room, and says so", async () => {
		const { incoming, read, batch, urgent } = start();
		const filler = "x".repeat(5000);
		incoming.take(batch([record('"to a user"', "ann", RecordType.direct), ...Array.from({ length: 20 }, () => record(filler))]));
		expect(urgent()).toBe(0);
		// Too long for what is left of the ring.
		incoming.take(batch([record(`X${filler}`, "news", RecordType.urgent)]));
		incoming.take(batch([record("last")]));
		incoming.take(batch([record('"Y"', "ann", RecordType.urgentDirect)]));
		const got: string[] = [];
		await vi.waitFor(
			() => {
				got.push(...read().map((text) => (text.startsWith("news: x") ? "filler" : text.slice(0, 20))));
				expect(got.length).toBe(24);
			},
			{ timeout: 8000, interval: 1 },
		);
		const ahead = got.findIndex((text) => text.startsWith("news: X"));
		expect(got.slice(ahead + 2).filter((text) => text === "filler").length, "messages that waited").toBeGreaterThan(0);
		expect(got[ahead + 1]).toBe('ann: "Y"');
		expect(urgent()).toBe(2);
		expect([got[0], got.at(-1)]).toEqual(['ann: "to a user"', "news: last"]);
		expect(ahead).toBeGreaterThan(0);
		incoming.stop();
	});

	it("waits for room in the ring, keeps the order, and drops what exceeds 16 MiB", { tags: ["long"] }, async () => {
		const { incoming, read, batch } = start();
		const payload = "x".repeat(5000);
		const sent = Array.from({ length: 40 }, (_, index) => `${index} ${payload}`);
		incoming.take(batch(sent.map((text) => record(text))));
		const got: string[] = [];
		await vi.waitFor(
			() => {
				got.push(...read());
				expect(got.length).toBe(sent.length);
			},
			{ timeout: 8000, interval: 1 },
		);
		expect(got).toEqual(sent.map((text) => `news: ${text}`));
		for (let index = 0; index < 3500; index++) incoming.take(batch([record(payload)]));
		const { droppedFull } = incoming.counts;
		expect(droppedFull, "messages that found no room").toBeGreaterThan(0);
		expect(droppedFull).toBeLessThan(250);
		incoming.stop();
	});
});
