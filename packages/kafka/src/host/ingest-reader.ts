import type { RecordSource, VisitOrigin } from "@shardcast/bus";
import { type Ring, RingReader } from "@shardcast/ring";
import type { IngestMemory } from "../ingest-memory.ts";
import { IngestLayout, IngestMark } from "../ingest-record.ts";
import type { PositionTable } from "../positions/position-table.ts";
import { lowWaterRatio } from "../worker/ring-feed.ts";
import type { Destination } from "./destination.ts";

export interface IngestReaderParts {
	readonly memory: IngestMemory;
	readonly table: PositionTable;
	readonly slot: number;
	readonly destination: Destination;
	/** There may be something to read. */
	readonly wake: () => void;
	/** A `revoked` mark has come. */
	readonly onRevoked: (row: number) => void;
	readonly onReset: (row: number, position: number) => void;
}

/** A sleep has an end only because every wait has one; nothing depends on it. */
const sleepMsMax = 60_000;
/** How soon to try again when the destination is full. */
const fullRetryMs = 1;

/**
 * The loop's end of the ingest ring, as the flush engine reads it: takes records in order, hands each to the destination (this
 * shard's clients, or the bus), and moves the partition's position behind it. **One, on the shard's loop.**
 *
 * A destination that is full keeps one record waiting; nothing behind it is taken, the ring fills, and the worker stops reading.
 */
export class IngestReader implements RecordSource {
	readonly #parts: IngestReaderParts;
	readonly #ring: Ring;
	readonly #reader: RingReader;
	readonly #lowWaterBytes: number;
	/** A record that the destination could not take, with its head. */
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

	read(max: number, deliver: VisitOrigin): number {
		this.#deliver = deliver;
		if (this.#stopped || !this.#releaseHeld()) return 0;
		this.#noteHighWater();
		let count = 0;
		// One at a time where the destination may be full, since a record once visited has left the ring.
		if (this.#parts.destination.mayBeFull) while (count < max && this.#held === null && this.#reader.read(1, this.#visit) > 0) count++;
		else count = this.#reader.read(max, this.#visit);
		if (this.#reader.backlogBytes() <= this.#lowWaterBytes) this.#parts.memory.roomSignal.wake();
		return count;
	}

	hasRecords(): boolean {
		// While a record waits for room there is nothing to do until the next try.
		return !this.#stopped && this.#held === null && this.#reader.hasRecords();
	}

	/** All that was in the ring is out. */
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
		// The try that was due may have come while the engine was not asleep, and nobody else wakes it when there is room.
		if (this.#held !== null && !this.#stopped) this.#retrySoon();
		if (this.#stopped || this.#held !== null) return true;
		if (this.#reader.hasRecords()) return false;
		if (!this.#sleeping) void this.#untilWoken();
		// A record that came since that look has ended the sleep at once, and its wake went to an engine that was not asleep yet.
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
