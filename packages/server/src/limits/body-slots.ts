import type { AddressKey } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";

export interface BodySlotLimits {
	/** The most bodies that may be read at once. */
	readonly slotsMax: number;
	/** The most of these from one address (IPv6: one /64). */
	readonly slotsPerAddressMax: number;
	/** The most bytes of all bodies that may be held at once. */
	readonly bytesMax: number;
	/** A body is not evicted in its first milliseconds, while its speed is unknown. */
	readonly graceMs: number;
	readonly nowMs: () => number;
	readonly counters: Pick<Counters, "add">;
}

/** A request body that has not arrived completely. */
export interface BodySlot {
	readonly address: AddressKey;
	readonly sinceMs: number;
	/** Bytes held so far. */
	bytes: number;
	/** Called when it loses its slot to another body. */
	readonly evicted: () => void;
}

/**
 * Slots for incomplete request bodies. When they are used up, for an address or for all, the slowest body is evicted: publishers send theirs in
 * milliseconds, so whoever stalls on purpose loses first. A new body is refused only while no other has had its `graceMs`.
 *
 * One owner. Bounds: see the limits. A new body that finds no free slot costs a scan of all slots.
 */
export class BodySlots {
	readonly #limits: BodySlotLimits;
	readonly #slots = new Set<BodySlot>();
	readonly #ofAddress = new Map<AddressKey, number>();
	#bytes = 0;

	constructor(limits: BodySlotLimits) {
		this.#limits = limits;
	}

	get count(): number {
		return this.#slots.size;
	}

	/** @returns null when there is no slot. */
	take(address: AddressKey, evicted: () => void): BodySlot | null {
		const { slotsMax, slotsPerAddressMax, nowMs } = this.#limits;
		const isOwn = (slot: BodySlot) => slot.address === address;
		if ((this.#ofAddress.get(address) ?? 0) >= slotsPerAddressMax && !this.#evictSlowest(isOwn)) return this.#refuse(null);
		if (this.#slots.size >= slotsMax && !this.#evictSlowest(() => true)) return this.#refuse(null);
		const slot: BodySlot = { address, sinceMs: nowMs(), bytes: 0, evicted };
		this.#slots.add(slot);
		this.#ofAddress.set(address, (this.#ofAddress.get(address) ?? 0) + 1);
		return slot;
	}

	/** Counts more bytes of a body with a slot. False = there is no room for them. */
	grow(slot: BodySlot, bytes: number): boolean {
		const excess = this.#bytes + bytes - this.#limits.bytesMax;
		if (excess > 0 && !this.#evictSlowest((other) => other !== slot && other.bytes >= excess)) return this.#refuse(false);
		slot.bytes += bytes;
		this.#bytes += bytes;
		return true;
	}

	/** The body is no longer held. Does nothing if it was evicted. */
	release(slot: BodySlot): void {
		if (!this.#slots.delete(slot)) return;
		this.#bytes -= slot.bytes;
		const left = this.#ofAddress.get(slot.address)! - 1;
		if (left === 0) this.#ofAddress.delete(slot.address);
		else this.#ofAddress.set(slot.address, left);
	}

	#evictSlowest(may: (slot: BodySlot) => boolean): boolean {
		const { graceMs, nowMs } = this.#limits;
		const now = nowMs();
		let slowest: BodySlot | null = null;
		let least = Number.POSITIVE_INFINITY;
		for (const slot of this.#slots) {
			const ageMs = now - slot.sinceMs;
			if (ageMs < graceMs || !may(slot)) continue;
			const bytesPerMs = slot.bytes / ageMs;
			if (bytesPerMs >= least) continue;
			slowest = slot;
			least = bytesPerMs;
		}
		if (slowest === null) return false;
		this.release(slowest);
		this.#limits.counters.add("bodiesEvicted", 1);
		slowest.evicted();
		return true;
	}

	#refuse<T>(answer: T): T {
		this.#limits.counters.add("bodiesRefused", 1);
		return answer;
	}
}
