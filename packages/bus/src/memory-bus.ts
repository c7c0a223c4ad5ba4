import { createRing, type Ring, ringBytes } from "@shardcast/ring";
import { BusError, BusErrorCode } from "@shardcast/scoreboard";
import type { BusLink } from "./bus-link.ts";
import { RingLink } from "./ring-link.ts";

interface MemoryBusOptions {
	/** Number of slots. */
	readonly members: number;
	/** Capacity of each ring: a power of two. */
	readonly capacityBytes: number;
}

/** The bus within one thread, for `single` and for tests. Same rings and rules; wake-ups are callbacks. */
export class MemoryBus {
	readonly #rings: readonly Ring[];
	readonly #links = new Map<number, MemoryLink>();

	constructor({ members, capacityBytes }: MemoryBusOptions) {
		this.#rings = Array.from({ length: members }, () =>
			createRing(new SharedArrayBuffer(ringBytes(capacityBytes, members)), { capacityBytes, readersMax: members }),
		);
	}

	/** Joins as `slot`. One link per slot at a time. */
	link(slot: number): BusLink {
		if (this.#rings[slot] === undefined)
			throw new BusError(BusErrorCode.noSuchMember, `slot ${slot} is not a member`, `this bus has slots 0 to ${this.#rings.length - 1}`);
		if (this.#links.has(slot)) throw new BusError(BusErrorCode.misuse, `slot ${slot} is taken`, "close its link first");
		const link = new MemoryLink(slot, this.#rings, this.#links);
		this.#links.set(slot, link);
		return link;
	}
}

class MemoryLink extends RingLink {
	readonly #links: Map<number, MemoryLink>;
	#sleeping = false;
	#wake: () => void = () => {};

	constructor(slot: number, rings: readonly Ring[], links: Map<number, MemoryLink>) {
		super(slot, rings[slot]);
		this.#links = links;
		for (const [origin, ring] of rings.entries()) this.readers.add(origin, 0, ring, false, () => {});
	}

	override ringWaiters(): void {
		if (this.closed) return;
		for (const link of this.#links.values()) {
			if (!link.#sleeping) continue;
			link.#sleeping = false;
			setImmediate(() => {
				if (!link.closed) link.#wake();
			});
		}
	}

	override sleep(): boolean {
		this.#sleeping = !this.hasRecords();
		return this.#sleeping;
	}

	override awake(): void {
		this.#sleeping = false;
	}

	override overslept(): boolean {
		return this.#sleeping && this.hasRecords();
	}

	override onWake(callback: () => void): void {
		this.#wake = callback;
	}

	/** Members of this bus are fixed. */
	override refreshMembers(): void {}

	override close(): void {
		if (this.closed) return;
		super.close();
		this.#links.delete(this.member);
	}
}
