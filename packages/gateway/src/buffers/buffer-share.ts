/** What a share may be of what is free: as much as that, or half as much. */
export const SharePart = { whole: 1, half: 2 } as const;
export type SharePart = (typeof SharePart)[keyof typeof SharePart];

/**
 * What one holder has of a pool's buffers. A holder is whoever can keep frames from going on: one way of one connection to a backend, or a client.
 *
 * Rule (dynamic thresholds, Choudhury and Hahne 1998): a holder may have at most as much as is free, of the buffers of each size and of the memory.
 * So one that takes all it can has half, two have a third each, and there is always something left for those that have nothing. A client may have
 * half as much as is free, so that it leaves something for the other clients of a backend; and of anybody's frames, VIDEO may have only half
 * as much as others, so that it leaves something for those that may not be dropped.
 *
 * Written by its pool alone. Makes no object per frame.
 */
export class BufferShare {
	readonly #part: SharePart;
	/** Buffers in use, by tier. */
	readonly #buffers: Int32Array;
	#bytes = 0;

	constructor(tiers: number, part: SharePart) {
		this.#buffers = new Int32Array(tiers);
		this.#part = part;
	}

	/** Memory of its buffers. */
	get bytes(): number {
		return this.#bytes;
	}

	get inUse(): number {
		return this.#buffers.reduce((sum, count) => sum + count, 0);
	}

	/** @param buffersLeft of the tier, and `bytesLeft` of all memory, would be free after the take. */
	allows(tier: number, strideBytes: number, buffersLeft: number, bytesLeft: number, frame: SharePart): boolean {
		const times = this.#part * frame;
		return (this.#buffers[tier]! + 1) * times <= buffersLeft && (this.#bytes + strideBytes) * times <= bytesLeft;
	}

	took(tier: number, strideBytes: number): void {
		this.#buffers[tier]!++;
		this.#bytes += strideBytes;
	}

	gaveBack(tier: number, strideBytes: number): void {
		this.#buffers[tier]!--;
		this.#bytes -= strideBytes;
	}
}

export interface LinkShares {
	readonly control: BufferShare;
	readonly data: BufferShare;
}
