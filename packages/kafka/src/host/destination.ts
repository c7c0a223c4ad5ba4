import type { BusLink, VisitOrigin } from "@shardcast/bus";
import { BusRecord, isUrgent } from "@shardcast/wire";
import { OwnTail } from "../own-tail.ts";
import type { PositionTable } from "../positions/position-table.ts";
import type { SourcePartition } from "../source.ts";

/** Where ingested records go. */
export interface Destination {
	readonly mayBeFull: boolean;
	/**
	 * Takes the bus record `u8[start] … u8[end - 1]`. False = full; the caller offers the record again.
	 * @param deliver delivers a record to this shard's own clients.
	 * @param leaderEpoch of the leader that wrote the record.
	 */
	take(
		row: number,
		position: number,
		u8: Uint8Array,
		view: DataView,
		start: number,
		end: number,
		deliver: VisitOrigin,
		leaderEpoch: number,
	): boolean;
	/** Called when the row is assigned to this partition. */
	assigned?(partition: SourcePartition): void;
	/** Called when the position after the taken record is stored. */
	settled(): void;
}

/** Per-shard mode: delivers to this shard's own clients, without the bus. */
export class LocalDestination implements Destination {
	readonly mayBeFull = false;
	readonly #slot: number;

	constructor(slot: number) {
		this.#slot = slot;
	}

	take(_row: number, _position: number, u8: Uint8Array, view: DataView, start: number, end: number, deliver: VisitOrigin): boolean {
		deliver(this.#slot, u8, view, start, end);
		return true;
	}

	settled(): void {}
}

/**
 * Shared mode: publishes on the bus, to all shards. It declares an intent before each record, so that the position is certain even if the
 * shard dies between publishing and storing it: see PositionIntent.
 */
export class BusDestination implements Destination {
	readonly mayBeFull = true;
	readonly #bus: Pick<BusLink, "claim" | "commit" | "u8" | "view">;
	readonly #intent: ReturnType<PositionTable["intent"]>;
	readonly #onCommit: () => void;
	readonly #onUrgent: () => void;
	readonly #tail: OwnTail;

	/**
	 * @param onCommit called after each record put on the bus.
	 * @param onUrgent called after a record with high priority was put there.
	 */
	constructor(
		bus: Pick<BusLink, "claim" | "commit" | "u8" | "view">,
		intent: ReturnType<PositionTable["intent"]>,
		onCommit: () => void,
		onUrgent: () => void,
	) {
		this.#bus = bus;
		this.#intent = intent;
		this.#onCommit = onCommit;
		this.#onUrgent = onUrgent;
		this.#tail = new OwnTail(bus);
	}

	take(row: number, position: number, u8: Uint8Array, _view: DataView, start: number, end: number): boolean {
		const bus = this.#bus;
		const at = bus.claim(end - start);
		if (at < 0) return false;
		bus.u8.set(u8.subarray(start, end), at);
		this.#intent.declare(row, position, this.#tail.position);
		bus.commit();
		this.#onCommit();
		if (isUrgent(u8[start + BusRecord.typeOffset]!)) this.#onUrgent();
		return true;
	}

	settled(): void {
		this.#intent.done();
	}
}
