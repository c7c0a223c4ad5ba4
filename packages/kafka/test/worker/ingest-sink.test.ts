import { RingReader, type VisitRecord } from "@shardcast/ring";
import { BusRecord, everybody, RecordKind, RecordType } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { IngestMemory } from "../../src/ingest-memory.ts";
import { IngestLayout } from "../../src/ingest-record.ts";
import type { SourceRecord } from "../../src/source.ts";
import { RecordObserver } from "../../src/worker/record-observer.ts";
import type { RouteCallback } from "../../src/worker/record-router.ts";
import { Reporter } from "../../src/worker/reporter.ts";
import { RingFeed } from "../../src/worker/ring-feed.ts";
import { IngestSink } from "../../src/worker/sink.ts";

const partition = { row: 0, topic: "t", topicId: null, partition: 0 };
const record = {
	bytes: Buffer.from("v"),
	offset: 7,
	leaderEpoch: 0,
	timestampMs: 0,
	keyStart: -1,
	keyEnd: 0,
	valueStart: 0,
	valueEnd: 1,
} as SourceRecord;

describe("IngestSink", () => {
	it("keeps the payload that a route function made while there is no room for it, also when the function uses its buffer again", async () => {
		const memory = IngestMemory.create(4, 1 << 20);
		const reader = new RingReader(memory.ring, 0);
		reader.join();
		const feed = new RingFeed(memory);
		const reused = new Uint8Array(100_000).fill(1);
		const router = {
			type: RecordType.publication,
			kind: RecordKind.binary,
			sender: 0,
			senderShard: 0,
			channels: everybody,
			payload: reused,
			decide: (_: unknown, of: SourceRecord, decided: RouteCallback) => decided(null, partition, of),
		};
		const sink = new IngestSink({
			memory,
			feed,
			router: router as never,
			reporter: new Reporter(() => {}),
			send: () => {},
			observer: new RecordObserver(() => {}),
			deadLetter: null,
		});
		// Room for the record's own byte with all the channels that it may have, but not for what the function made of it.
		while (feed.write(0, 1, RecordKind.binary, 0, 0, everybody, new Uint8Array(10_000)));
		reader.read(2, () => {});
		const taken = sink.take(partition, record);
		expect(taken).toBeInstanceOf(Promise);
		reused.fill(2);
		const payloads: Uint8Array[] = [];
		const visit: VisitRecord = (u8, _view, start, end) => {
			const from = start + IngestLayout.headBytes + u8[start + IngestLayout.padOffset]! + BusRecord.headerBytes;
			payloads.push(new Uint8Array(u8.subarray(from, end)));
		};
		reader.read(1000, visit);
		memory.roomSignal.wake();
		await taken;
		reader.read(100, visit);
		expect(payloads.at(-1)!.length).toBe(100_000);
		expect(payloads.at(-1)!.every((byte) => byte === 1)).toBe(true);
	});

	it("logs a record that is not delivered with the word that the metric has", () => {
		const memory = IngestMemory.create(4, 1 << 20);
		const router = {
			decide: (_: unknown, of: SourceRecord, decided: RouteCallback) => decided("badHeader", partition, of),
			explain: () => "why",
		};
		const lines: unknown[] = [];
		const reporter = new Reporter((...line) => lines.push(line));
		const sink = new IngestSink({
			memory,
			feed: new RingFeed(memory),
			router: router as never,
			reporter,
			send: () => {},
			observer: new RecordObserver(() => {}),
			deadLetter: null,
		});
		expect(sink.take(partition, record)).toBe(true);
		const where = { kind: "bad_header", topic: "t", partition: 0, offset: 7 };
		expect(lines).toEqual([["warn", where, "kafka: a record is not delivered (bad_header): why"]]);
		expect(memory.worker.get("badHeader")).toBe(1);
	});
});
