import type { BusLink } from "@shardcast/bus";
import { BusRecord, ChannelEntry, channelHash, createRecordHead, isUrgent, monotonicMs, nextChannelEntry } from "@shardcast/wire";
import { unpack, unpackedHead } from "../compression.ts";
import type { NodeId } from "../node-id.ts";
import { isCarried } from "./carried-record.ts";
import { batchOfBytes, readBatchHead, recordsIn } from "./message-batch.ts";
import { batchBytesMax } from "./outgoing-messages.ts";

interface IncomingMessagesParts {
	readonly ring: Pick<BusLink, "claim" | "commit" | "u8" | "view" | "recordBytesMax">;
	/** Called after each record written to the ring. */
	readonly onCommit: () => void;
	/** Called after a record with high priority was written to the ring: all shards should read it before others. */
	readonly onUrgent: () => void;
	/** This node. Its own messages have been delivered already. */
	readonly node: NodeId;
}

class IncomingCounts {
	messages = 0;
	/** Messages lost because the ring and the queue for it were full. */
	droppedFull = 0;
	/** Messages of a newer version or of another program, and batches that cannot be decompressed. */
	unreadable = 0;
	/** Batches lost by pub/sub. */
	missed = 0;
}

const waitingBytesMax = 16 * 1024 * 1024;
const retryMs = 1;
/** Most senders whose last batch number is remembered. */
const sendersMax = 4096;

/** Puts messages without history from other nodes onto this node's bus. **One per shard**, for the logs that it feeds. */
export class IncomingMessages {
	readonly counts = new IncomingCounts();
	readonly #parts: IncomingMessagesParts;
	readonly #head = createRecordHead();
	readonly #numbers = new Map<string, number>();
	#waiting: Buffer[] = [];
	/** With high priority: these go first. */
	#urgent: Buffer[] = [];
	#waitingBytes = 0;
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: IncomingMessagesParts) {
		this.#parts = parts;
	}

	/** Call for each batch received through pub/sub. */
	take(received: Buffer): void {
		const { node, ring } = this.#parts;
		const head = readBatchHead(unpackedHead(received));
		if (head === null) {
			this.counts.unreadable++;
			return;
		}
		if (head.node.id0 === node.id0 && head.node.id1 === node.id1) return;
		this.#follow(`${head.node.id0} ${head.node.id1} ${head.slot}`, head.number);
		const batch = unpack(received, Math.max(batchOfBytes(batchBytesMax), batchOfBytes(ring.recordBytesMax)));
		if (batch === null) {
			this.counts.unreadable++;
			return;
		}
		for (const record of recordsIn(batch)) {
			if (record.length > ring.recordBytesMax || !isCarried(record, this.#head)) {
				this.counts.unreadable++;
				continue;
			}
			const ahead = isUrgent(this.#head.type);
			const mustWait = this.#urgent.length > 0 || (!ahead && this.#waiting.length > 0);
			if (mustWait || !this.#write(record)) this.#wait(record, ahead ? this.#urgent : this.#waiting);
		}
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#waiting = [];
		this.#urgent = [];
	}

	#follow(sender: string, number: number): void {
		const last = this.#numbers.get(sender);
		if (last !== undefined && number > last + 1) this.counts.missed += number - last - 1;
		if (last === undefined && this.#numbers.size >= sendersMax) this.#numbers.clear();
		this.#numbers.set(sender, number);
	}

	/** Writes it as a record of this shard: each node has its own key for channel hashes, and its own connection numbers. */
	#write(record: Buffer): boolean {
		const { ring, onCommit, onUrgent } = this.#parts;
		const at = ring.claim(record.length);
		if (at < 0) return false;
		const { u8, view } = ring;
		u8.set(record, at);
		view.setUint32(at + BusRecord.senderOffset, 0, true);
		view.setUint32(at + BusRecord.senderShardOffset, 0, true);
		view.setFloat64(at + BusRecord.publishedOffset, monotonicMs(), true);
		const channels = view.getUint8(at + BusRecord.channelCountOffset);
		let entry = at + BusRecord.headerBytes;
		for (let index = 0; index < channels; index++) {
			const next = nextChannelEntry(u8, entry);
			view.setUint32(entry + ChannelEntry.hashOffset, channelHash(u8.subarray(entry + ChannelEntry.nameOffset, next)), true);
			entry = next;
		}
		const ahead = isUrgent(view.getUint8(at + BusRecord.typeOffset));
		ring.commit();
		onCommit();
		if (ahead) onUrgent();
		this.counts.messages++;
		return true;
	}

	#wait(record: Buffer, queue: Buffer[]): void {
		if (this.#waitingBytes + record.length > waitingBytesMax) {
			this.counts.droppedFull++;
			return;
		}
		queue.push(Buffer.from(record));
		this.#waitingBytes += record.length;
		this.#timer ??= setInterval(() => this.#retry(), retryMs);
	}

	#retry(): void {
		this.#urgent = this.#writeAll(this.#urgent);
		if (this.#urgent.length === 0) this.#waiting = this.#writeAll(this.#waiting);
		if (this.#urgent.length + this.#waiting.length > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	/** Returns those for which there is no room. */
	#writeAll(records: readonly Buffer[]): Buffer[] {
		let done = 0;
		for (const record of records) {
			if (!this.#write(record)) break;
			this.#waitingBytes -= record.length;
			done++;
		}
		return records.slice(done);
	}
}
