import { BufferLimits, type TierSize } from "./buffer-tiers.ts";
import type { ViewBudget } from "./buffer-views.ts";
import { Frame, type FrameOwner } from "./frame.ts";

/** Memory for some buffers of a tier, taken and given up as a whole. */
class Slab implements FrameOwner {
	readonly buffer: ArrayBuffer;
	readonly bytes: number;
	readonly frames: Frame[] = [];
	/** Of its frames. */
	inUse = 0;
	/** In the list of those that are idle. */
	previous: Slab | null = null;
	next: Slab | null = null;
	readonly #tier: BufferTier;

	constructor(bytes: number, tier: BufferTier) {
		this.buffer = new ArrayBuffer(bytes);
		this.bytes = bytes;
		this.#tier = tier;
	}

	takeBack(frame: Frame): void {
		this.#tier.takeBack(frame, this);
	}
}

/** Slabs of which no buffer is in use. */
class IdleSlabs {
	first: Slab | null = null;

	add(slab: Slab): void {
		slab.previous = null;
		slab.next = this.first;
		if (this.first !== null) this.first.previous = slab;
		this.first = slab;
	}

	remove(slab: Slab): void {
		if (slab.previous === null) this.first = slab.next;
		else slab.previous.next = slab.next;
		if (slab.next !== null) slab.next.previous = slab.previous;
		// One in use must not keep others in memory that are given up meanwhile.
		slab.previous = null;
		slab.next = null;
	}
}

/** What a tier needs of its pool. */
export interface TierOwner {
	/** Asks for memory. False: there is none. */
	reserve(bytes: number): boolean;
	/** Memory of a slab is in use now, or is not any more. */
	slabUsed(bytes: number): void;
	slabIdle(bytes: number): void;
	/** A buffer has come back. */
	freed(frame: Frame, tier: BufferTier): void;
}

/** Bytes that a buffer takes: V8 aligns typed arrays by 8, caches by 64. */
const aligned = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/**
 * All buffers of one size. Memory is taken a slab at a time, when no buffer is free. Free buffers are a list, linked through the frames;
 * the one that came back last goes out first, since its bytes are in the CPU's cache. It is linked both ways, and so are the slabs of which no buffer is
 * in use: to give one up costs the same however many there are.
 *
 * Bound: `buffersMax`, and the memory that the pool grants. Beyond, `take` returns null (`exhausted`).
 */
export class BufferTier {
	/** Among the tiers of its pool. */
	readonly index: number;
	readonly bytes: number;
	readonly buffersMax: number;
	/** Memory of one buffer. */
	readonly strideBytes: number;
	/** Frames taken and come back, since the start. */
	allocations = 0;
	frees = 0;
	/** Most buffers in use at once. */
	highWater = 0;
	/** Takes that found no buffer here. */
	exhausted = 0;

	readonly #owner: TierOwner;
	readonly #views: ViewBudget;
	readonly #idle = new IdleSlabs();
	#buffers = 0;
	#inUse = 0;
	#free: Frame | null = null;

	/** @param memoryBytesMax of the pool: there cannot be more buffers than it has room for. */
	constructor({ bytes, buffersMax }: TierSize, memoryBytesMax: number, index: number, owner: TierOwner, views: ViewBudget) {
		this.index = index;
		this.bytes = bytes;
		this.#owner = owner;
		this.#views = views;
		this.strideBytes = aligned(Frame.payloadAt + bytes);
		// Rounded up: by the count, a share is never smaller than by the memory.
		this.buffersMax = Math.min(buffersMax, Math.ceil(memoryBytesMax / this.strideBytes));
	}

	get inUse(): number {
		return this.#inUse;
	}

	/** Buffers that there is memory for now. */
	get buffers(): number {
		return this.#buffers;
	}

	/** Memory that it has now. */
	get reservedBytes(): number {
		return this.#buffers * this.strideBytes;
	}

	/** @param length of the payload, at most `bytes`. */
	take(length: number): Frame | null {
		if (this.#free === null && !this.#grow()) {
			this.exhausted++;
			return null;
		}
		const frame = this.#free!;
		this.#unlink(frame);
		const slab = frame.owner as Slab;
		if (slab.inUse++ === 0) {
			this.#idle.remove(slab);
			this.#owner.slabUsed(slab.bytes);
		}
		this.allocations++;
		if (++this.#inUse > this.highWater) this.highWater = this.#inUse;
		frame.start(length);
		return frame;
	}

	/** Only its slabs call this. */
	takeBack(frame: Frame, slab: Slab): void {
		if (--slab.inUse === 0) {
			this.#idle.add(slab);
			this.#owner.slabIdle(slab.bytes);
		}
		this.#link(frame);
		this.frees++;
		this.#inUse--;
		this.#owner.freed(frame, this);
	}

	/** Gives up slabs of which no buffer is in use, until it has given up as many bytes. @returns bytes given up. */
	giveUp(bytesWanted: number): number {
		let bytes = 0;
		for (let slab = this.#idle.first; slab !== null && bytes < bytesWanted; slab = this.#idle.first) {
			bytes += slab.bytes;
			this.#drop(slab);
		}
		return bytes;
	}

	#drop(slab: Slab): void {
		this.#idle.remove(slab);
		this.#buffers -= slab.frames.length;
		for (const frame of slab.frames) {
			this.#unlink(frame);
			frame.forgetViews();
		}
		// Returns the memory at once, not with the next garbage collection. Node 20 cannot.
		(slab.buffer as { transfer?: (bytes: number) => void }).transfer?.(0);
	}

	#link(frame: Frame): void {
		frame.nextFree = this.#free;
		if (this.#free !== null) this.#free.previousFree = frame;
		this.#free = frame;
	}

	#unlink(frame: Frame): void {
		const { nextFree, previousFree } = frame;
		if (previousFree === null) this.#free = nextFree;
		else previousFree.nextFree = nextFree;
		if (nextFree !== null) nextFree.previousFree = previousFree;
		frame.nextFree = null;
		frame.previousFree = null;
	}

	#grow(): boolean {
		const wanted = Math.max(1, Math.floor(BufferLimits.slabBytes / this.strideBytes));
		const count = Math.min(wanted, this.buffersMax - this.#buffers);
		if (count === 0 || !this.#owner.reserve(count * this.strideBytes)) return false;
		const slab = new Slab(count * this.strideBytes, this);
		const keepsViews = this.bytes <= BufferLimits.viewedBytesMax;
		for (let index = 0; index < count; index++) {
			const bytes = Buffer.from(slab.buffer, index * this.strideBytes, Frame.payloadAt + this.bytes);
			const frame = new Frame(bytes, slab, this.#views, keepsViews);
			slab.frames.push(frame);
			this.#link(frame);
		}
		this.#idle.add(slab);
		this.#buffers += count;
		return true;
	}
}
