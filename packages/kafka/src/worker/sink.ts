import { BusRecord, noExtensions } from "@shardcast/wire";
import type { IngestMemory } from "../ingest-memory.ts";
import type { FromWorker } from "../ingest-messages.ts";
import { IngestMark } from "../ingest-record.ts";
import type { SourcePartition, SourceRecord, SourceSink, TopicList, TroubleKind } from "../source.ts";
import type { RecordObserver } from "./record-observer.ts";
import { type RecordRouter, type Refusal, type RouteCallback, refusalWords } from "./record-router.ts";
import type { Reporter } from "./reporter.ts";
import type { RingFeed } from "./ring-feed.ts";

interface SinkParts {
	readonly memory: IngestMemory;
	readonly feed: RingFeed;
	readonly router: RecordRouter;
	readonly reporter: Reporter;
	readonly send: (message: FromWorker) => void;
	readonly observer: RecordObserver;
	/** Takes records that are not delivered; null = no dead-letter topic. */
	readonly deadLetter: ((partition: SourcePartition, record: SourceRecord, reason: Refusal) => Promise<void> | null) | null;
}

/** Refusals in normal operation: counted, but neither logged nor written as dead letters. */
const normal: readonly Refusal[] = ["tombstones", "routeSkipped"];
const channelBytesMax = BusRecord.channelsMax * (BusRecord.channelNameBytesMax + 5);

/** Passes the source's records through the router into the ring. */
export class IngestSink implements SourceSink {
	readonly #parts: SinkParts;
	/** Position of the last ring entry of each row, or -1. `offered` need not repeat it. */
	readonly #written: Float64Array;
	readonly #troubles = new Set<TroubleKind>();

	constructor(parts: SinkParts) {
		this.#parts = parts;
		this.#written = new Float64Array(parts.memory.rowsMax).fill(-1);
	}

	topicsFound(list: TopicList): void {
		this.#parts.send({ type: "topics", list });
	}

	looked(atMs: number): void {
		this.#parts.memory.worker.set("lookedMs", atMs);
	}

	take(partition: SourcePartition, record: SourceRecord): boolean | Promise<boolean> {
		const { feed, router, observer } = this.#parts;
		// Check for room first, so that a record is routed only once, however often it has to wait.
		if (!feed.fits(Math.max(record.valueEnd - record.valueStart, 0), channelBytesMax + observer.bytesMax)) return false;
		return router.decide(partition, record, this.#decided);
	}

	readonly #decided: RouteCallback = (refusal, partition, record) => {
		this.#parts.memory.taken(partition.row, Math.max(record.valueEnd - record.valueStart, 0));
		if (refusal === null) {
			const { observer, router } = this.#parts;
			const extensions = observer.isOn
				? observer.extensions(partition, record, router.channels.names, router.payload.length)
				: noExtensions;
			return this.#write(partition, record, extensions) || this.#writeLater(partition, record, extensions);
		}
		const waits = this.#refuse(refusal, partition, record);
		return waits === null || waits.then(() => true);
	};

	room(): Promise<void> {
		return this.#parts.feed.room();
	}

	logEnds({ row }: SourcePartition, logEnd: number): void {
		this.#parts.memory.setCell(row, "logEnd", logEnd);
	}

	offered(partition: SourcePartition, nextOffset: number): boolean {
		const { row } = partition;
		const { memory, feed } = this.#parts;
		if (this.#written[row] !== nextOffset && memory.cell(row, "delivered") < nextOffset) {
			if (!feed.mark(row, IngestMark.passed, nextOffset)) return false;
			this.#written[row] = nextOffset;
		}
		memory.setCell(row, "offered", nextOffset);
		return true;
	}

	reset(partition: SourcePartition, offset: number): boolean {
		if (!this.#parts.feed.mark(partition.row, IngestMark.reset, offset)) return false;
		this.#written[partition.row] = offset;
		return true;
	}

	epoch({ row }: SourcePartition, epoch: number, from: number): void {
		this.#parts.send({ type: "epoch", row, epoch, from });
	}

	revoked(partition: SourcePartition): boolean {
		if (!this.#parts.feed.mark(partition.row, IngestMark.revoked, 0)) return false;
		this.#written[partition.row] = -1;
		return true;
	}

	trouble(kind: TroubleKind, message: string, where: object = {}): void {
		const { memory, reporter, send } = this.#parts;
		memory.worker.add(kind);
		reporter.warn(kind, message, where);
		this.#troubles.add(kind);
		send({ type: "trouble", kind, message });
	}

	healed(kind: TroubleKind): void {
		if (this.#troubles.delete(kind)) this.#parts.send({ type: "healed", kind });
	}

	#write(partition: SourcePartition, record: SourceRecord, extensions: Uint8Array): boolean {
		const { feed, router, memory } = this.#parts;
		const position = record.offset + 1;
		const { type, kind, sender, senderShard, channels, payload } = router;
		const { leaderEpoch } = record;
		if (!feed.write(partition.row, position, kind, sender, senderShard, channels, payload, leaderEpoch, type, extensions)) return false;
		this.#written[partition.row] = position;
		memory.handedOver();
		return true;
	}

	/** Only for a payload from the route function, or with a type, that is longer than the record's value, so that the room found for it is too small. */
	async #writeLater(partition: SourcePartition, record: SourceRecord, extensions: Uint8Array): Promise<boolean> {
		const { feed, router, memory } = this.#parts;
		const position = record.offset + 1;
		const { type, kind, sender, senderShard, channels } = router;
		const { leaderEpoch } = record;
		// A copy: the function may reuse its bytes for another partition's record meanwhile.
		const payload = new Uint8Array(router.payload);
		while (!feed.write(partition.row, position, kind, sender, senderShard, channels, payload, leaderEpoch, type, extensions))
			await feed.room();
		this.#written[partition.row] = position;
		memory.handedOver();
		return true;
	}

	/** Returns a promise when reading must wait for the dead-letter topic. */
	#refuse(refusal: Refusal, partition: SourcePartition, record: SourceRecord): Promise<void> | null {
		const { memory, reporter, router, deadLetter } = this.#parts;
		memory.worker.add(refusal);
		if (normal.includes(refusal)) return null;
		const where = { topic: partition.topic, partition: partition.partition, offset: record.offset };
		const word = refusalWords[refusal];
		reporter.warn(word, () => `a record is not delivered (${word}): ${router.explain(refusal, partition, record)}`, where);
		return deadLetter?.(partition, record, refusal) ?? null;
	}
}
