import { fossilDelta } from "@shardcast/protocol";
import type { DeliveredRecord } from "../../../delivery/delivered-record.ts";

/** The memory for publications that are bases of deltas, shared by all channels of a shard. */
export class DeltaMemory {
	readonly #bytesMax: number;
	#bytes = 0;

	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** False = there is no room, and nothing was reserved. */
	take(bytes: number): boolean {
		if (this.#bytes + bytes > this.#bytesMax) return false;
		this.#bytes += bytes;
		return true;
	}

	give(bytes: number): void {
		this.#bytes -= bytes;
	}
}

/** Longer publications are sent whole: computing their delta takes milliseconds. */
const deltaBytesMax = 262_144;

/**
 * Keeps a channel's last publication and computes the delta of the present one to it, for all subscribers that take deltas, in all encodings.
 * Exists while there are such subscribers.
 *
 * Cost for each publication: a copy of its data and one delta (`fossilDelta`), however many subscribers there are.
 */
export class ChannelDelta {
	readonly #memory: DeltaMemory;
	/** The number of audiences whose clients have the last publication. */
	followers = 0;
	/** Those, plus the audiences whose clients do not have it yet. */
	audiences = 0;
	#serial = -1;
	#base: Uint8Array | null = null;
	/** Offset of the base; 0 = none. */
	#offset = 0;
	#isJson = false;
	#patch: Uint8Array | null = null;
	#jsonPatch: Uint8Array | null = null;

	constructor(memory: DeltaMemory) {
		this.#memory = memory;
	}

	/** Whether a client that has the publication at this offset can take the next one as a delta. */
	isAt(offset: number): boolean {
		return this.#base !== null && this.#offset === offset;
	}

	/** The delta as bytes; null = this publication must be sent whole. */
	patch(record: DeliveredRecord): Uint8Array | null {
		this.pass(record);
		return this.#patch;
	}

	/** The delta as a JSON string; null = this publication must be sent whole. */
	jsonPatch(record: DeliveredRecord): Uint8Array | null {
		this.pass(record);
		return this.#jsonPatch;
	}

	/** Makes the publication that is being delivered the base of the next delta. Every encoder calls this for each publication. */
	pass(record: DeliveredRecord): void {
		if (record.serial === this.#serial) return;
		this.#serial = record.serial;
		const { payload, offset } = record;
		const follows = this.#base !== null && offset !== 0 && record.previousOffset === this.#offset;
		const isWanted = follows && record.isDelta && this.followers > 0 && payload.length <= deltaBytesMax;
		this.#patch = isWanted ? fossilDelta(this.#base!, payload) : null;
		const isJson = record.json === payload;
		this.#jsonPatch = isJson && this.#isJson ? this.#patch : null;
		this.#isJson = isJson;
		this.forget();
		if (offset === 0 || payload.length > deltaBytesMax || !this.#memory.take(payload.length)) return;
		this.#base = new Uint8Array(payload);
		this.#offset = offset;
	}

	/** Drops the base: the next publication is sent whole. */
	forget(): void {
		if (this.#base !== null) this.#memory.give(this.#base.length);
		this.#base = null;
		this.#offset = 0;
	}
}
