import { describe, expect, it } from "vitest";
import { KafkaProducer } from "../../src/client/kafka-producer.ts";
import { batchHeadBytes, type ProducedHeader, type ProducerRecord, producedBytes } from "../../src/client/produced-record.ts";
import type { ProducerLink } from "../../src/client/producer-link.ts";

/** As kafkajs tells it. */
const tooLarge = () => Object.assign(new Error("larger than the max message size"), { type: "MESSAGE_TOO_LARGE" });
const brokerDefault = 1024 * 1024 + 12;

class Rig {
	readonly batches: (readonly ProducerRecord[])[] = [];
	connects = 0;
	readonly producer: KafkaProducer;

	/** @param takes what the topic really takes; @param tells what the brokers say it takes. */
	constructor({ takes = brokerDefault, tells = takes as number | null, recordsMax = 10_000, bytesMax = 1 << 26 } = {}) {
		const link: ProducerLink = {
			batchBytesMax: tells,
			send: async (records) => {
				this.batches.push(records);
				if (batchHeadBytes + records.reduce((sum, record) => sum + producedBytes(record), 0) > takes) throw tooLarge();
			},
			close: async () => {},
		};
		const connect = async () => {
			this.connects++;
			return link;
		};
		this.producer = new KafkaProducer({ topic: "t", connect, recordsMax, bytesMax });
	}

	/** What became of it; "refused" when there was no room. */
	send(bytes: number, headers: readonly ProducedHeader[] = []): Promise<string | null> {
		return new Promise((resolve) => {
			if (!this.producer.send({ key: null, value: new Uint8Array(bytes), headers }, resolve)) resolve("refused");
		});
	}

	sendAll(count: number, bytes: number): Promise<Set<string | null>> {
		return Promise.all(Array.from({ length: count }, () => this.send(bytes))).then((outcomes) => new Set(outcomes));
	}
}

describe("KafkaProducer", () => {
	it("keeps batches below what a topic takes, even if all of a batch goes to one partition", async () => {
		const rig = new Rig();
		expect(await rig.sendAll(60, 60 * 1024)).toEqual(new Set([null]));
		expect(rig.batches.length).toBe(4);
		expect(rig.connects).toBe(1);
	});

	it("keeps to a topic's own limit when it is lower", async () => {
		const rig = new Rig({ takes: 20_000 });
		expect(await rig.sendAll(200, 1000)).toEqual(new Set([null]));
		expect(rig.connects).toBe(1);
	});

	it("counts keys and headers, by their bytes", async () => {
		const rig = new Rig({ takes: 20_000 });
		const outcomes = await Promise.all(Array.from({ length: 50 }, () => rig.send(0, [["header", "€".repeat(1000)]])));
		expect(new Set(outcomes)).toEqual(new Set([null]));
		expect(Math.max(...rig.batches.map((batch) => batch.length))).toBe(6);
	});

	it("keeps its bounds whatever the headers are called", async () => {
		const rig = new Rig({ takes: 20_000, bytesMax: 20_000 });
		const first = rig.send(0, [["__proto__", new Uint8Array(3)]]);
		const outcomes = await rig.sendAll(1000, 1000);
		expect(await first).toBeNull();
		expect(outcomes).toEqual(new Set([null, "refused"]));
		await rig.producer.room();
		expect(rig.batches.flat().length).toBeLessThan(30);
	});

	it("a record that is too large by itself fails alone, without being sent, and says what the topic takes", async () => {
		const rig = new Rig({ takes: 20_000 });
		const [before, large, after] = await Promise.all([rig.send(1000), rig.send(30_000), rig.send(1000)]);
		expect([before, after]).toEqual([null, null]);
		expect(large).toBe("the message is 30000 bytes with its key and headers; topic t accepts at most 20000 (max.message.bytes)");
		expect(rig.batches.flat().length).toBe(2);
	});

	it("finds its way to smaller batches where the brokers do not tell a topic's limit", async () => {
		const rig = new Rig({ takes: 20_000, tells: null });
		while ((await rig.sendAll(100, 1000)).has("larger than the max message size"));
		expect(await rig.sendAll(100, 1000)).toEqual(new Set([null]));
		// A single record that the topic refuses costs no new connection: anybody may send those.
		const { connects } = rig;
		expect(await rig.send(30_000)).toBe("the message is 30000 bytes with its key and headers; topic t accepts less (max.message.bytes)");
		expect(await rig.send(1000)).toBe(null);
		expect(rig.connects).toBe(connects);
	});

	it("is bounded in records and in bytes, but takes one record of any length", async () => {
		const byRecords = new Rig({ recordsMax: 10 });
		expect((await Promise.all(Array.from({ length: 12 }, () => byRecords.send(1)))).filter((outcome) => outcome === "refused").length).toBe(
			2,
		);
		const byBytes = new Rig({ bytesMax: 10_000 });
		const outcomes = await Promise.all([byBytes.send(9000), byBytes.send(2000), byBytes.send(500)]);
		expect(outcomes).toEqual([null, "refused", null]);
		expect(await byBytes.send(50_000)).toBe(null);
	});

	it("tells of room once half of the queue is free", async () => {
		const rig = new Rig({ recordsMax: 10 });
		const all = rig.sendAll(10, 1);
		let room = false;
		const told = rig.producer.room().then(() => {
			room = true;
		});
		await Promise.resolve();
		expect(room).toBe(false);
		await all;
		await told;
		expect(rig.producer.waiting).toBe(0);
	});

	it("fails what waits, and no more, when it cannot connect", async () => {
		let there = false;
		const connect = async (): Promise<ProducerLink> => {
			if (!there) throw new Error("no broker");
			return { batchBytesMax: null, send: async () => {}, close: async () => {} };
		};
		const producer = new KafkaProducer({ topic: "t", connect, recordsMax: 10, bytesMax: 1000 });
		const send = () => new Promise((resolve) => producer.send({ key: "k", value: null, headers: [] }, resolve));
		expect(await send()).toBe("no broker");
		there = true;
		expect(await send()).toBe(null);
		await producer.close();
		expect(producer.send({ key: "k", value: null, headers: [] }, () => {})).toBe(false);
	});
});
