import { ChannelLog, type FeedRecord, feedOf, type HistoryLimits } from "@shardcast/channel-log";
import { type Config, defaultConfig } from "@shardcast/config";
import type { HistoryFailure, MissedRecord, RecordRange } from "@shardcast/kafka";
import { RecordKind } from "@shardcast/wire";
import { describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../../support/centrifuge-rig.ts";

const size = 5;
const limits: HistoryLimits = { size, ttlMs: 60_000, metaTtlMs: 600_000 };
const partition = { row: 0, topic: "orders", topicId: "id", partition: 0 };
const feed = feedOf("orders", "id", 0);
const kafkaEpoch = ChannelLog.epochOf(feed);

/** A shard whose memory holds the last five records of the channel "c"; Kafka has all, each second one of its partition. */
function fedByKafka(more: { recordsMax?: number; config?: Partial<Config> } = {}) {
	const records: MissedRecord[] = [];
	const reads: string[] = [];
	const state = {
		/** What Kafka answers instead. */
		failure: null as HistoryFailure | null,
		/** Happens while Kafka is read. */
		meanwhile: () => {},
	};
	const kafka = {
		recordsMax: more.recordsMax ?? 1000,
		partitionOf: async (epoch: string) => (epoch === kafkaEpoch ? partition : null),
		get: async (_: unknown, channel: string, from: number, to: number): Promise<RecordRange | HistoryFailure> => {
			reads.push(`${channel} ${from}-${to}`);
			const found = { from, to, records: records.filter(({ offset }) => offset > from && offset <= to) };
			state.meanwhile();
			return state.failure ?? found;
		},
	};
	const rules = { ...defaultConfig().channelWithoutNamespace, historySize: size, historyTtlMs: 60_000, allowRecovery: true };
	const rig = new CentrifugeRig({ channelWithoutNamespace: rules, ...more.config }, kafka);
	const deliver = (): void => {
		while (rig.reader.read(1000, () => {}) > 0);
	};
	/** The next records of the channel, into the log as the ingest does it; given to this shard's clients. */
	const produce = (count: number): void => {
		for (let index = 0; index < count; index++) {
			const offset = 2 * records.length;
			const data = Buffer.from(`${records.length}`);
			const from: FeedRecord = { feed, leaderEpoch: 0, offset, index: 0 };
			rig.log.feed("c", data, { history: limits, from });
			records.push({ offset: offset + 1, kind: RecordKind.text, data });
		}
		deliver();
	};
	return { rig, produce, deliver, reads, state };
}

/** A client for which as much may wait as in a shard. */
function returning(rig: CentrifugeRig): CentrifugeClient {
	const client = rig.connected();
	client.session.bufferedBytesMax = rig.config.maxBufferedBytes;
	return client;
}

async function subscribe(client: CentrifugeClient, more: object) {
	client.send({ subscribe: { channel: "c", recover: true, epoch: kafkaEpoch, flag: 1, ...more }, id: 2 });
	const replies: unknown[] = [];
	await vi.waitUntil(() => replies.push(...client.replies()) > 0, { timeout: 10_000, interval: 1 });
	const { subscribe: result, error } = replies[0] as {
		subscribe?: { publications?: { data: number; offset: number }[] };
		error?: { code: number };
	};
	return { ...result, publications: result?.publications?.map(({ data, offset }) => `${offset}:${data}`).join(" "), error: error?.code };
}

const shown = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => `${2 * (from + n) + 1}:${from + n}`).join(" ");
const counted = ({ row }: CentrifugeRig) => [
	row.get("recoveries"),
	row.get("recoveriesFromKafka"),
	row.get("recoveriesFailed"),
	row.get("recoveredPublications"),
];

describe("a client that returns to a channel fed by Kafka", () => {
	it("gets publications that are in memory from there, and Kafka is not read", async () => {
		const { rig, produce, reads } = fedByKafka();
		produce(20);
		expect(await subscribe(returning(rig), { offset: 29 })).toMatchObject({ recovered: true, offset: 29, publications: shown(15, 19) });
		expect(reads).toEqual([]);
		expect(counted(rig)).toEqual([1, 0, 0, 5]);
	});

	it("gets from Kafka what memory does not hold, and is subscribed", async () => {
		const { rig, produce, reads } = fedByKafka();
		produce(20);
		const client = returning(rig);
		expect(await subscribe(client, { offset: 7 })).toMatchObject({
			recovered: true,
			was_recovering: true,
			epoch: kafkaEpoch,
			offset: 7,
			publications: shown(4, 19),
		});
		expect(reads).toEqual(["c 7-39"]);
		expect(counted(rig)).toEqual([0, 1, 0, 16]);
		expect(client.session.subscriptions.has("c")).toBe(true);
	});

	it("gets records that arrive while Kafka is read from memory, once", async () => {
		const { rig, produce, reads, state } = fedByKafka();
		produce(20);
		state.meanwhile = () => produce(3);
		expect(await subscribe(returning(rig), { offset: 1 })).toMatchObject({ recovered: true, publications: shown(1, 22) });
		expect(reads).toHaveLength(1);
		expect(counted(rig)).toEqual([0, 1, 0, 22]);
	});

	it("has Kafka read again, at most three times, when newer publications have left memory in the meantime", async () => {
		const { rig, produce, reads, state } = fedByKafka();
		produce(20);
		let times = 0;
		state.meanwhile = () => {
			if (++times < 3) produce(2 * size);
		};
		expect(await subscribe(returning(rig), { offset: 1 })).toMatchObject({ recovered: true, publications: shown(1, 39) });
		expect(reads).toEqual(["c 1-39", "c 1-59", "c 1-79"]);
		state.meanwhile = () => produce(2 * size);
		const failed = await subscribe(returning(rig), { offset: 1 });
		expect(failed).toMatchObject({ was_recovering: true, epoch: kafkaEpoch });
		expect(failed).not.toHaveProperty("recovered");
		expect(failed.publications).toBeUndefined();
		expect(reads).toHaveLength(6);
		expect(counted(rig)).toEqual([0, 1, 1, 39]);
	});

	it("gets everything since the first record if it had subscribed before it", async () => {
		const { rig, produce, reads } = fedByKafka();
		const { epoch, offset } = rig.log.position("c")!;
		produce(20);
		expect(await subscribe(returning(rig), { epoch, offset })).toMatchObject({
			recovered: true,
			epoch: kafkaEpoch,
			publications: shown(0, 19),
		});
		expect(reads).toEqual(["c 0-39"]);
		// It has been told this epoch, and has had records since.
		expect(await subscribe(returning(rig), { epoch, offset: 37 })).toMatchObject({ recovered: true, publications: shown(19, 19) });
	});

	it.each([
		["Kafka has not all of it any more", { failure: "gone" as const }, { offset: 1 }],
		["Kafka does not answer in time", { failure: "late" as const }, { offset: 1 }],
		["it is more than may be read", { recordsMax: 10 }, { offset: 1 }],
		["it is more than may wait for the client", { config: { maxBufferedBytes: 1200 } }, { offset: 1 }],
		["it is in another epoch", {}, { offset: 1, epoch: "x-1" }],
		["nobody knows whether Kafka was all: the client left before the first record that is known", { born: 50 }, { offset: 1 }],
		["it was removed", { removes: true }, { offset: 1 }],
		["somebody else has published to the channel", { publishes: true }, { offset: 1 }],
	])(
		"is told that it is not recovered when %s",
		async (_, how: {
			failure?: HistoryFailure;
			born?: number;
			removes?: boolean;
			publishes?: boolean;
			recordsMax?: number;
			config?: Partial<Config>;
		}, asked) => {
			const { rig, produce, deliver, state } = fedByKafka(how);
			state.failure = how.failure ?? null;
			if (how.born !== undefined)
				for (let n = 0; n < how.born; n++)
					rig.log.feed("c", Buffer.from("x"), {
						history: { ...limits, metaTtlMs: 60_000 },
						from: { feed: feedOf("other", "x", 0), leaderEpoch: 0, offset: n, index: 0 },
					});
			if (how.born === undefined) produce(60);
			if (how.removes) rig.log.removeHistory("c");
			if (how.publishes) rig.log.publish("c", Buffer.from("1"), { history: limits });
			if (how.removes || how.publishes) produce(2);
			deliver();
			const result = await subscribe(returning(rig), asked);
			expect(result).toMatchObject({ was_recovering: true });
			expect(result).not.toHaveProperty("recovered");
			expect(result.publications).toBeUndefined();
			expect(counted(rig)).toEqual([0, 0, 1, 0]);
		},
	);

	it("gets error 112 instead if it asks for that by the flag", async () => {
		const { rig, produce, state } = fedByKafka();
		produce(20);
		state.failure = "gone";
		expect(await subscribe(returning(rig), { offset: 1, flag: 2 })).toMatchObject({ error: 112 });
	});

	it("leaves nothing behind if it has disconnected in the meantime", async () => {
		const { rig, produce, state } = fedByKafka();
		produce(20);
		const client = returning(rig);
		const over = new Promise<void>((resolve) => {
			state.meanwhile = () => {
				client.session.close(3000);
				rig.soon();
				resolve();
			};
		});
		client.send({ subscribe: { channel: "c", recover: true, epoch: kafkaEpoch, offset: 1 }, id: 2 });
		await over;
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(client.session.subscriptions.size).toBe(0);
	});
});
