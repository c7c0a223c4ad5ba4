import type { RecordSource, VisitOrigin } from "@shardcast/bus";
import { type Ring, RingReader } from "@shardcast/ring";
import type { IngestMemory } from "../ingest-memory.ts";
import { IngestLayout, IngestMark } from "../ingest-record.ts";
import type { PositionTable } from "../positions/position-table.ts";
import { lowWaterRatio } from "../worker/ring-feed.ts";
import type { Destination } from "./destination.ts";

interface IngestReaderParts {
	readonly memory: IngestMemory;
	readonly table: PositionTable;
	readonly slot: number;
	readonly destination: Destination;
	/** Wakes the flush engine: there may be records to read. */
	readonly wake: () => void;
	/** Called when a `revoked` mark was read. */
	readonly onRevoked: (row: number) => void;
	readonly onReset: (row: number, position: number) => void;
}

/** Every wait has a limit; nothing depends on this one. */
const sleepMsMax = 60_000;
/** Pause before a retry when the destination is full. */
const fullRetryMs = 1;

/**
 * The loop's end of the ingest ring, read by the flush engine. Passes records in order to the destination (this shard's clients, or
 * the bus) and advances the position of their partition. **One per shard, on its loop.**
 *
 * When the destination is full, one record waits and no more are read. The ring then fills up, and the worker stops reading.
 */
export class IngestReader implements RecordSource {
	readonly #parts: IngestReaderParts;
	readonly #ring: Ring;
	readonly #reader: RingReader;
	readonly #lowWaterBytes: number;
	/** The record that the destination had no room for, with its head. */
	#held: Uint8Array | null = null;
	#heldView: DataView | null = null;
	#retrying = false;
	#deliver: VisitOrigin = () => {};
	#sleeping = false;
	#stopped = false;

	constructor(parts: IngestReaderParts) {
		this.#parts = parts;
		this.#ring = parts.memory.ring;
		this.#lowWaterBytes = this.#ring.capacityBytes * lowWaterRatio;
		this.#reader = new RingReader(this.#ring, 0);
		if (!this.#reader.resume()) this.#reader.join();
	}

	read(max: number, deliver: VisitOrigin, bytesMax = Number.POSITIVE_INFINITY): number {
		this.#deliver = deliver;
		if (this.#stopped || !this.#releaseHeld()) return 0;
		this.#noteHighWater();
		let count = 0;
		// One at a time if the destination may be full, since a visited record has left the ring.
		if (this.#parts.destination.mayBeFull) {
			let bytesLeft = bytesMax;
			for (; count < max && bytesLeft > 0 && this.#held === null && this.#reader.read(1, this.#visit) > 0; count++)
				bytesLeft -= this.#reader.bytesRead;
		} else count = this.#reader.read(max, this.#visit, bytesMax);
		if (this.#reader.backlogBytes() <= this.#lowWaterBytes) this.#parts.memory.roomSignal.wake();
		return count;
	}

	hasRecords(): boolean {
		// While a record waits for room, there is nothing to do until the retry.
		return !this.#stopped && this.#held === null && this.#reader.hasRecords();
	}

	/** Whether everything in the ring has been passed on. */
	get empty(): boolean {
		return this.#held === null && !this.#reader.hasRecords();
	}

	fill(): number {
		return this.#reader.backlogBytes() / this.#ring.capacityBytes;
	}

	backlogBytes(): number {
		return this.#reader.backlogBytes();
	}

	sleep(): boolean {
		// The retry may have fired while the engine was awake, and nothing else wakes the engine when there is room.
		if (this.#held !== null && !this.#stopped) this.#retrySoon();
		if (this.#stopped || this.#held !== null) return true;
		if (this.#reader.hasRecords()) return false;
		if (!this.#sleeping) void this.#untilWoken();
		// A record that arrived since the check ends the sleep at once, but its wake-up reached the engine before it slept.
		return this.#sleeping;
	}

	stop(): void {
		this.#stopped = true;
		this.#parts.memory.recordSignal.wake();
	}

	#noteHighWater(): void {
		const { host } = this.#parts.memory;
		const backlog = this.#reader.backlogBytes();
		if (backlog > host.get("ringHighWaterBytes")) host.set("ringHighWaterBytes", backlog);
	}

	async #untilWoken(): Promise<void> {
		const { recordSignal } = this.#parts.memory;
		this.#sleeping = true;
		const isThere = () => this.#stopped || this.#reader.hasRecords();
		while (!isThere()) await recordSignal.sleep(isThere, sleepMsMax);
		this.#sleeping = false;
		if (!this.#stopped) this.#parts.wake();
	}

	readonly #visit = (u8: Uint8Array, view: DataView, start: number, end: number): void => {
		const row = view.getUint32(start + IngestLayout.rowOffset, true);
		const position = view.getFloat64(start + IngestLayout.positionOffset, true);
		switch (u8[start + IngestLayout.markOffset]) {
			case IngestMark.record:
				if (this.#take(row, position, u8, view, start, end)) this.#moved(row, position);
				else this.#hold(u8, start, end);
				break;
			case IngestMark.passed:
				this.#parts.table.setDelivered(row, this.#parts.slot, position);
				this.#parts.memory.setCell(row, "delivered", position);
				break;
			case IngestMark.reset:
				this.#parts.onReset(row, position);
				break;
			case IngestMark.revoked:
				this.#parts.onRevoked(row);
				break;
		}
	};

	#take(row: number, position: number, u8: Uint8Array, view: DataView, start: number, end: number): boolean {
		const leaderEpoch = view.getInt32(start + IngestLayout.epochOffset, true);
		return this.#parts.destination.take(row, position, u8, view, recordStart(u8, start), end, this.#deliver, leaderEpoch);
	}

	#moved(row: number, position: number): void {
		const { memory, table, slot } = this.#parts;
		table.setDelivered(row, slot, position);
		memory.moved(row, position);
		this.#parts.destination.settled();
	}

	#hold(u8: Uint8Array, start: number, end: number): void {
		this.#parts.memory.host.add("busFull");
		this.#held = u8.slice(start, end);
		this.#heldView = new DataView(this.#held.buffer);
		this.#retrySoon();
	}

	#releaseHeld(): boolean {
		const held = this.#held;
		if (held === null) return true;
		const view = this.#heldView!;
		const row = view.getUint32(IngestLayout.rowOffset, true);
		const position = view.getFloat64(IngestLayout.positionOffset, true);
		if (!this.#take(row, position, held, view, 0, held.length)) {
			this.#retrySoon();
			return false;
		}
		this.#held = null;
		this.#heldView = null;
		this.#moved(row, position);
		return true;
	}

	#retrySoon(): void {
		if (this.#retrying) return;
		this.#retrying = true;
		setTimeout(() => {
			this.#retrying = false;
			if (!this.#stopped) this.#parts.wake();
		}, fullRetryMs);
	}
}

function recordStart(u8: Uint8Array, start: number): number {
	return start + IngestLayout.headBytes + u8[start + IngestLayout.padOffset]!;
}
