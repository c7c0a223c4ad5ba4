import { FrameLayout } from "../frames/frame-descriptor.ts";
import { BufferShare, type LinkShares, SharePart } from "./buffer-share.ts";
import { BufferTier, type TierOwner } from "./buffer-tier.ts";
import { BufferLimits, bufferTiers, type TierSize } from "./buffer-tiers.ts";
import { ViewBudget } from "./buffer-views.ts";
import type { Frame } from "./frame.ts";

export interface BufferPoolOptions {
	/** From small to large. */
	readonly tiers?: readonly TierSize[];
	/** Bound on the memory of all tiers together. */
	readonly memoryBytesMax?: number;
	readonly viewsMax?: number;
}

/** Where VIDEO waits that newer frames may take the buffers of. */
export interface OlderVideo {
	/** Takes out the oldest of a client, with its reference. It counts as dropped. Null: there is none. */
	olderVideo(clientId: number): Frame | null;
	/** The oldest of all clients, which stays there: the next that `olderVideo` would take out of its client's. */
	oldestVideo?(): Frame | null;
}

/** For one frame, so many older ones are given up at most. A buffer two sizes larger has room for 32 of them at most. */
const olderMax = 32;

/**
 * Buffers for all frames of a gateway, in tiers by size. One thread uses it. Taking and releasing a frame makes no object.
 *
 * Memory is taken when it is needed and kept. Bound: `memoryBytesMax` over all tiers; the smallest has a count as well. When the memory is used up,
 * tiers give up what they do not use. When a tier has no buffer, the next larger one is asked, but no other: a frame never takes more than
 * eight times its tier. After that `take` returns null (`refused`), and the caller must wait or drop; `onFreed` says when to try again. The same
 * happens when the share of a holder is used up (`BufferShare`).
 *
 * A frame that comes in pieces begins in a buffer of at most `partBytesMin`, and gets the next size when that is full (`sizeFor`): what is announced
 * takes no memory before it has come. Those that may not be dropped wait for the next size with what they have. They never wait only for each
 * other: a buffer for a part is given only if so much is left that the whole, by the rule of shares, has room.
 */
export class BufferPool implements TierOwner {
	readonly tiers: readonly BufferTier[];
	readonly views: ViewBudget;
	readonly memoryBytesMax: number;
	/** Takes that got no buffer. */
	refused = 0;
	/** Those of them for which there was a buffer, but not within the share of a holder. */
	overShare = 0;
	/** VIDEO frames that got a buffer because older ones were given up. */
	replaced = 0;
	/**
	 * Called when a buffer came back for the first time after a refused take. It is called within a release, so it only makes a note or a
	 * `setImmediate`; frames are taken later.
	 */
	onFreed: (() => void) | null = null;
	#reservedBytes = 0;
	/** Memory of slabs of which a buffer is in use: no other tier can have it. */
	#usedBytes = 0;
	#wasRefused = false;
	/** Of the last attempt to take one. */
	#isOverShare = false;

	/** @throws RangeError for tiers that are not ordered by size. */
	constructor({ tiers = bufferTiers, memoryBytesMax = BufferLimits.memoryBytesMaxDefault, viewsMax }: BufferPoolOptions = {}) {
		for (const [index, { bytes }] of tiers.entries()) {
			if (index > 0 && bytes <= tiers[index - 1]!.bytes) throw new RangeError("buffer tiers must be ordered from small to large");
		}
		this.memoryBytesMax = memoryBytesMax;
		this.views = new ViewBudget(viewsMax);
		this.tiers = tiers.map((tier, index) => new BufferTier(tier, memoryBytesMax, index, this, this.views));
	}

	/** The longest payload that there are buffers for. */
	get payloadBytesMax(): number {
		return this.tiers[this.tiers.length - 1]!.bytes;
	}

	/** Memory that the tiers have now. */
	get reservedBytes(): number {
		return this.#reservedBytes;
	}

	/** Frames that have a reference. */
	get inUse(): number {
		return this.tiers.reduce((sum, tier) => sum + tier.inUse, 0);
	}

	/** Whether a take was refused, and no buffer has come back since. */
	get isShort(): boolean {
		return this.#wasRefused;
	}

	/** For one way of a connection. */
	connectionShare(): BufferShare {
		return new BufferShare(this.tiers.length, SharePart.whole);
	}

	/** For one way of both connections of a link. */
	linkShares(): LinkShares {
		return { control: this.connectionShare(), data: this.connectionShare() };
	}

	clientShare(): BufferShare {
		return new BufferShare(this.tiers.length, SharePart.half);
	}

	/** How large a buffer a frame of this length needs when so many bytes of its payload have come. @param length of which there are buffers. */
	sizeFor(length: number, arrived: number): number {
		const needed = Math.max(arrived + 1, BufferLimits.partBytesMin);
		if (length <= needed) return length;
		return Math.min(length, this.tiers[this.#tierFor(needed)]!.bytes);
	}

	/**
	 * A frame with one reference, for a payload of this length. Null when there is no buffer for it.
	 * @param connection @param client whose shares it counts to. @param mayDrop of what is left, such a frame gets less. @param whole length that it
	 * will have, if this is a part.
	 * @throws RangeError for a length that no tier has: check lengths first.
	 */
	take(
		length: number,
		connection: BufferShare | null = null,
		client: BufferShare | null = null,
		mayDrop = false,
		whole = length,
	): Frame | null {
		const frame = this.#tryTake(length, connection, client, mayDrop, whole);
		if (frame === null) this.#countRefusal();
		return frame;
	}

	#tryTake(length: number, connection: BufferShare | null, client: BufferShare | null, mayDrop: boolean, whole: number): Frame | null {
		if (!(length >= FrameLayout.payloadBytesMin && length <= this.payloadBytesMax)) {
			throw new RangeError(`a payload of ${length} bytes: buffers take ${FrameLayout.payloadBytesMin} to ${this.payloadBytesMax}`);
		}
		const tiers = this.tiers;
		const least = this.#tierFor(length);
		const leftForWhole = whole > length ? 2 * tiers[this.#tierFor(whole)]!.strideBytes : 0;
		const part = mayDrop ? SharePart.half : SharePart.whole;
		this.#isOverShare = false;
		for (let index = least; index <= least + 1 && index < tiers.length; index++) {
			const tier = tiers[index]!;
			const bytesLeft = this.memoryBytesMax - this.#usedBytes - tier.strideBytes;
			if (leftForWhole > 0 && bytesLeft < leftForWhole + tier.strideBytes) continue;
			if (!allows(connection, tier, bytesLeft, part) || !allows(client, tier, bytesLeft, part)) {
				this.#isOverShare = true;
				continue;
			}
			const frame = tier.take(length);
			if (frame === null) continue;
			frame.connectionShare = connection;
			frame.clientShare = client;
			connection?.took(index, tier.strideBytes);
			client?.took(index, tier.strideBytes);
			return frame;
		}
		return null;
	}

	#countRefusal(): void {
		this.refused++;
		if (this.#isOverShare) this.overShare++;
		this.#wasRefused = true;
	}

	/**
	 * Like `take`, for VIDEO. When there is no buffer, older frames that wait for the same are given up, since the newest is what matters: those of its
	 * client, one after the other, until it may have the buffer of one, so that nobody has more than before, or one is free. That may give up frames and
	 * still find none. If none of its client waits, it gets the buffer of the oldest of all, but only if that is of the same connection, and its client may
	 * have it: no client can make others lose frames without a use.
	 * @param from where older ones wait; null = none do. @param clientId of the frame.
	 */
	takeVideo(
		from: OlderVideo | null,
		clientId: number,
		length: number,
		connection: BufferShare | null,
		client: BufferShare | null = null,
		whole = length,
	): Frame | null {
		const free = this.#tryTake(length, connection, client, true, whole);
		if (free !== null) return free;
		const frame = from === null ? null : this.#takeInstead(from, clientId, length, connection, client, whole);
		if (frame === null) this.#countRefusal();
		else this.replaced++;
		return frame;
	}

	#takeInstead(
		from: OlderVideo,
		clientId: number,
		length: number,
		connection: BufferShare | null,
		client: BufferShare | null,
		whole: number,
	): Frame | null {
		for (let count = 0; count < olderMax; count++) {
			const older = from.olderVideo(clientId);
			if (older === null) return this.#takeOldest(from, length, connection, client);
			if (this.#suits(older, length, connection) && older.clientShare === client) {
				older.start(length);
				return older;
			}
			older.release();
			const frame = this.#tryTake(length, connection, client, true, whole);
			if (frame !== null) return frame;
		}
		return null;
	}

	/** Gives up the memory of buffers that are not in use. @returns bytes given up. */
	giveUp(bytesWanted = Number.POSITIVE_INFINITY): number {
		let bytes = 0;
		for (let index = this.tiers.length - 1; index >= 0 && bytes < bytesWanted; index--) {
			bytes += this.tiers[index]!.giveUp(bytesWanted - bytes);
		}
		this.#reservedBytes -= bytes;
		return bytes;
	}

	reserve(bytes: number): boolean {
		const missing = this.#reservedBytes + bytes - this.memoryBytesMax;
		if (missing > 0 && this.giveUp(missing) < missing) return false;
		this.#reservedBytes += bytes;
		return true;
	}

	slabUsed(bytes: number): void {
		this.#usedBytes += bytes;
	}

	slabIdle(bytes: number): void {
		this.#usedBytes -= bytes;
	}

	freed(frame: Frame, { index, strideBytes }: BufferTier): void {
		frame.connectionShare?.gaveBack(index, strideBytes);
		frame.clientShare?.gaveBack(index, strideBytes);
		frame.connectionShare = null;
		frame.clientShare = null;
		this.#tellFreed();
	}

	#takeOldest(from: OlderVideo, length: number, connection: BufferShare | null, client: BufferShare | null): Frame | null {
		const oldest = from.oldestVideo?.() ?? null;
		if (oldest === null || !this.#suits(oldest, length, connection)) return null;
		const tier = this.tiers[this.#tierFor(oldest.lengthMax)]!;
		const { index, strideBytes } = tier;
		if (!allows(client, tier, this.memoryBytesMax - this.#usedBytes, SharePart.half)) return null;
		if (from.olderVideo(oldest.clientId) !== oldest) throw new Error("the oldest frame of all is not the oldest of its client");
		oldest.clientShare?.gaveBack(index, strideBytes);
		oldest.clientShare = client;
		client?.took(index, strideBytes);
		oldest.start(length);
		return oldest;
	}

	/** Whether nobody else needs the frame, its buffer is one that `take` would give for this length, and counts to the same connection. */
	#suits({ references, lengthMax, connectionShare }: Frame, length: number, connection: BufferShare | null): boolean {
		if (references > 1 || lengthMax < length || connectionShare !== connection) return false;
		const least = this.#tierFor(length);
		return lengthMax <= this.tiers[Math.min(least + 1, this.tiers.length - 1)]!.bytes;
	}

	#tierFor(bytes: number): number {
		let index = 0;
		while (this.tiers[index]!.bytes < bytes) index++;
		return index;
	}

	#tellFreed(): void {
		if (!this.#wasRefused) return;
		this.#wasRefused = false;
		this.onFreed?.();
	}
}

function allows(
	share: BufferShare | null,
	{ index, strideBytes, buffersMax, inUse }: BufferTier,
	bytesLeft: number,
	part: SharePart,
): boolean {
	const buffersLeft = buffersMax - inUse - 1;
	// Without a buffer the tier itself says no.
	return share === null || buffersLeft < 0 || share.allows(index, strideBytes, buffersLeft, bytesLeft, part);
}
