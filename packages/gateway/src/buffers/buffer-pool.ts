import { FrameLayout } from "../frames/frame-descriptor.ts";
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

/**
 * Buffers for all frames of a gateway, in tiers by size. One thread uses it. Taking and releasing a frame makes no object.
 *
 * Memory is taken when it is needed and kept. Bounds: the buffers of each tier, and `memoryBytesMax` over all. When the memory is used up,
 * tiers give up what they do not use. When a tier has no buffer, the next larger one is asked, but no other: a frame never takes more than
 * eight times its tier. After that `take` returns null (`refused`), and the caller must wait or drop; `onFreed` says when to try again.
 */
export class BufferPool implements TierOwner {
	readonly tiers: readonly BufferTier[];
	readonly views: ViewBudget;
	readonly memoryBytesMax: number;
	/** Takes that got no buffer. */
	refused = 0;
	/**
	 * Called when a buffer came back for the first time after a refused take. It is called within a release, so it only makes a note or a
	 * `setImmediate`; frames are taken later.
	 */
	onFreed: (() => void) | null = null;
	#reservedBytes = 0;
	#wasRefused = false;

	/** @throws RangeError for tiers that are not ordered by size. */
	constructor({ tiers = bufferTiers, memoryBytesMax = BufferLimits.memoryBytesMaxDefault, viewsMax }: BufferPoolOptions = {}) {
		for (const [index, { bytes }] of tiers.entries()) {
			if (index > 0 && bytes <= tiers[index - 1]!.bytes) throw new RangeError("buffer tiers must be ordered from small to large");
		}
		this.memoryBytesMax = memoryBytesMax;
		this.views = new ViewBudget(viewsMax);
		this.tiers = tiers.map((tier) => new BufferTier(tier, this, this.views));
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

	/**
	 * A frame with one reference, for a payload of this length. Null when there is no buffer for it.
	 * @throws RangeError for a length that no tier has: check lengths first.
	 */
	take(length: number): Frame | null {
		if (!(length >= FrameLayout.payloadBytesMin && length <= this.payloadBytesMax)) {
			throw new RangeError(`a payload of ${length} bytes: buffers take ${FrameLayout.payloadBytesMin} to ${this.payloadBytesMax}`);
		}
		const tiers = this.tiers;
		let index = 0;
		while (tiers[index]!.bytes < length) index++;
		const frame = tiers[index]!.take(length) ?? (index + 1 < tiers.length ? tiers[index + 1]!.take(length) : null);
		if (frame === null) {
			this.refused++;
			this.#wasRefused = true;
		}
		return frame;
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

	freed(): void {
		if (!this.#wasRefused) return;
		this.#wasRefused = false;
		this.onFreed?.();
	}
}
