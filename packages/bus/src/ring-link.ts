import { type Ring, RingWriter } from "@shardcast/ring";
import { BusError, BusErrorCode } from "@shardcast/scoreboard";
import type { BusLink, VisitOrigin, VisitOriginAhead } from "./bus-link.ts";
import { ReaderSet } from "./reader-set.ts";

/** The common part of all links: writes its ring, reads all rings. Subclasses implement wake-ups and changes of members. */
export abstract class RingLink implements BusLink {
	readonly member: number;
	readonly u8: Uint8Array;
	readonly view: DataView;
	readonly recordBytesMax: number;
	readonly capacityBytes: number;
	protected readonly readers: ReaderSet;
	readonly #writer: RingWriter;
	#closed = false;

	protected constructor(member: number, ownRing: Ring) {
		this.member = member;
		this.u8 = ownRing.u8;
		this.view = ownRing.view;
		this.recordBytesMax = ownRing.recordBytesMax;
		this.capacityBytes = ownRing.capacityBytes;
		this.readers = new ReaderSet(member);
		this.#writer = new RingWriter(ownRing);
	}

	claim(bytes: number): number {
		if (this.#closed) throw new BusError(BusErrorCode.misuse, `member ${this.member} has left the bus`, "join again to publish");
		return this.#writer.claim(bytes);
	}

	commit(): void {
		this.#writer.commit();
	}

	read(max: number, visit: VisitOrigin, bytesMax?: number): number {
		this.refreshMembers();
		return this.readers.read(max, visit, bytesMax);
	}

	ahead(visit: VisitOriginAhead): boolean {
		this.refreshMembers();
		return this.readers.ahead(visit);
	}

	hasRecords(): boolean {
		this.refreshMembers();
		return this.readers.hasRecords();
	}

	depthBytes(): number {
		return this.#closed ? 0 : this.#writer.depthBytes();
	}

	backlogBytes(): number {
		return this.readers.backlogBytes();
	}

	get backpressuredCount(): number {
		return this.#closed ? 0 : this.#writer.backpressuredCount;
	}

	/** After `close` the memory may be unmapped and must not be used. */
	protected get closed(): boolean {
		return this.#closed;
	}

	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.readers.close();
	}

	abstract ringWaiters(): void;
	abstract awake(): void;
	abstract sleep(): boolean;
	abstract overslept(): boolean;
	abstract onWake(callback: () => void): void;
	abstract refreshMembers(): void;
}
