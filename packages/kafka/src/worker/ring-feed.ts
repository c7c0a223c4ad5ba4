import { RingWriter } from "@shardcast/ring";
import {
	BusRecord,
	type ChannelList,
	insertExtensions,
	monotonicMs,
	noExtensions,
	type RecordKind,
	RecordType,
	recordBytes,
	setSenderShard,
	writeRecordHead,
} from "@shardcast/wire";
import type { IngestMemory } from "../ingest-memory.ts";
import { IngestLayout, IngestMark } from "../ingest-record.ts";

/** The loop wakes the worker when at most this share of the ring is in use. */
export const lowWaterRatio = 0.5;
/** Every wait has a limit. After this time the worker only checks again. */
const roomWaitMsMax = 1000;

/**
 * The worker's end of the ingest ring. **One per worker.** When the ring is full, writes return false. The caller then waits for `room()`,
 * which counts as a pause, until the loop has emptied half of the ring. There is no other queue.
 */
export class RingFeed {
	readonly #memory: IngestMemory;
	readonly #writer: RingWriter;
	readonly #lowWaterBytes: number;
	#waiting: Promise<void> | null = null;
	#closed = false;

	constructor(memory: IngestMemory) {
		this.#memory = memory;
		this.#writer = new RingWriter(memory.ring);
		this.#lowWaterBytes = memory.ring.capacityBytes * lowWaterRatio;
	}

	/** Whether a record of this size, with the most channels possible, fits now. False while reading must pause. */
	fits(payloadBytes: number, channelBytesMax: number): boolean {
		const bytes = IngestLayout.headBytes + IngestLayout.padMax + channelBytesMax + recordBytes(noChannels, payloadBytes);
		// A record that can never fit is refused for its length later. It must not block the records after it.
		return !this.#memory.paused && this.#writer.claim(Math.min(bytes, this.#memory.ring.recordBytesMax)) >= 0;
	}

	/** False = no room. Copies the payload once, from the fetched batch into the ring. @param leaderEpoch of the leader that wrote the record. */
	write(
		row: number,
		position: number,
		kind: RecordKind,
		sender: number,
		senderShard: number,
		channels: ChannelList,
		payload: Uint8Array,
		leaderEpoch = -1,
		type: RecordType = RecordType.publication,
		extensions: Uint8Array = noExtensions,
	): boolean {
		const { u8, view } = this.#memory.ring;
		const before = IngestLayout.headBytes + recordBytes(channels, 0, extensions.length);
		const pad = (payload.byteOffset - before) & IngestLayout.padMax;
		const at = this.#writer.claim(before + pad + payload.length);
		if (at < 0) return false;
		this.#head(at, row, IngestMark.record, position);
		view.setInt32(at + IngestLayout.epochOffset, leaderEpoch, true);
		u8[at + IngestLayout.padOffset] = pad;
		const record = at + IngestLayout.headBytes + pad;
		let body = writeRecordHead(view, u8, record, kind, sender, monotonicMs(), channels);
		if (extensions.length > 0) body = insertExtensions(view, u8, record, body, extensions);
		if (type !== RecordType.publication) view.setUint8(record + BusRecord.typeOffset, type);
		if (senderShard !== 0) setSenderShard(view, record, senderShard);
		u8.set(payload, body);
		this.#writer.commit();
		this.#memory.recordSignal.wake();
		return true;
	}

	/** False = no room. */
	mark(row: number, mark: IngestMark, position: number): boolean {
		const at = this.#writer.claim(IngestLayout.headBytes);
		if (at < 0) return false;
		this.#head(at, row, mark, position);
		this.#writer.commit();
		this.#memory.recordSignal.wake();
		return true;
	}

	/** Resolves when half of the ring is free or the feed is closed. All callers share one wait, which counts as one pause. */
	room(): Promise<void> {
		this.#waiting ??= this.#awaitRoom().finally(() => {
			this.#waiting = null;
		});
		return this.#waiting;
	}

	/** Ends all waiting for room. */
	close(): void {
		this.#closed = true;
		this.#memory.roomSignal.wake();
	}

	async #awaitRoom(): Promise<void> {
		const { worker, roomSignal } = this.#memory;
		const beganMs = performance.now();
		worker.add("pauses");
		const hasRoom = () => this.#closed || (!this.#memory.paused && this.#writer.depthBytes() <= this.#lowWaterBytes);
		while (!hasRoom()) await roomSignal.sleep(hasRoom, roomWaitMsMax);
		worker.add("pausedMs", performance.now() - beganMs);
		// Yield one turn of the loop, for messages from the shard above all, even if there was room at once.
		await new Promise((resolve) => setImmediate(resolve));
	}

	#head(at: number, row: number, mark: IngestMark, position: number): void {
		const { u8, view } = this.#memory.ring;
		view.setUint32(at + IngestLayout.rowOffset, row, true);
		u8[at + IngestLayout.markOffset] = mark;
		view.setFloat64(at + IngestLayout.positionOffset, position, true);
	}
}

const noChannels: ChannelList = { count: 0, bytes: new Uint8Array(0), names: [] };
