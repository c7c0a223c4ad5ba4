import { join } from "node:path";
import { SharedFile } from "@shardcast/native";
import { attachRing, createRing, type Ring, RingReader, RingWriter, registerReader, ringBytes } from "@shardcast/ring";
import type { ClientRecord } from "./client-record.ts";

/** About 15,000 events: more than 0.2 s of clients that connect as fast as they can. */
export const eventRingBytes = 2 * 1024 * 1024;
/** Only the collector. */
const readersMax = 1;
const collectorSlot = 0;

/** Path of a shard's ring in the cluster's directory. */
const pathOf = (directory: string, slot: number): string => join(directory, `events-${slot}`);

/** The ring of a shard, as the supervisor has it. */
export interface CollectedRing {
	readonly reader: EventReader;
	/** Frees its memory. Whoever uses the reader afterwards kills the process. */
	remove(): void;
}

/**
 * Creates the ring of a shard, with the collector as its reader from the first record on. For the supervisor.
 * @throws NativeError ENOSPC when shared memory is full.
 */
export function createEventRing(directory: string, slot: number): CollectedRing {
	const format = (buffer: ArrayBuffer): void => formatRing(buffer);
	const file = SharedFile.create(pathOf(directory, slot), ringBytes(eventRingBytes, readersMax), format);
	return {
		reader: new EventReader(attachRing(file.buffer)),
		remove: () => {
			file.unlink();
			file.close();
		},
	};
}

/** @throws NativeError ENOENT when the supervisor has not created it. */
export function openEventRing(directory: string, slot: number): Ring {
	return attachRing(SharedFile.open(pathOf(directory, slot)).buffer);
}

/** Within one process: for a shard without siblings, and for tests. */
export function eventRingInMemory(capacityBytes = eventRingBytes): Ring {
	const buffer = new SharedArrayBuffer(ringBytes(capacityBytes, readersMax));
	formatRing(buffer, capacityBytes);
	return attachRing(buffer);
}

function formatRing(buffer: ArrayBufferLike, capacityBytes = eventRingBytes): void {
	registerReader(createRing(buffer, { capacityBytes, readersMax }), collectorSlot);
}

/** `tooLong`: it does not fit into any ring, so it can never be written. */
type WriteOutcome = "written" | "full" | "tooLong";

/**
 * The shard's side of the ring. Writing takes about a microsecond and never waits. What is written survives the death of the shard. One owner,
 * the shard's loop.
 */
export class EventWriter {
	readonly #ring: Ring;
	readonly #bytes: Buffer;
	readonly #writer: RingWriter;

	constructor(ring: Ring) {
		this.#ring = ring;
		this.#bytes = Buffer.from(ring.u8.buffer, ring.u8.byteOffset, ring.u8.byteLength);
		this.#writer = new RingWriter(ring);
	}

	write(record: ClientRecord): WriteOutcome {
		const text = JSON.stringify(record);
		const bytes = Buffer.byteLength(text);
		if (bytes > this.#ring.recordBytesMax) return "tooLong";
		const at = this.#writer.claim(bytes);
		if (at < 0) return "full";
		this.#bytes.write(text, at, bytes, "utf8");
		this.#writer.commit();
		return "written";
	}

	/** Snapshots use at most half of the ring; the rest is for events. */
	get isHalfFull(): boolean {
		return this.#writer.depthBytes() > this.#ring.capacityBytes / 2;
	}
}

/** The collector's side of the ring. One owner. */
export class EventReader {
	readonly #bytes: Buffer;
	readonly #reader: RingReader;

	constructor(ring: Ring) {
		this.#bytes = Buffer.from(ring.u8.buffer, ring.u8.byteOffset, ring.u8.byteLength);
		this.#reader = new RingReader(ring, collectorSlot);
		this.#reader.resume();
	}

	/** Visits up to `max` records, in order. @returns how many. */
	read(max: number, visit: (record: ClientRecord) => void): number {
		return this.#reader.read(max, (_u8, _view, start, end) => visit(JSON.parse(this.#bytes.toString("utf8", start, end)) as ClientRecord));
	}
}
