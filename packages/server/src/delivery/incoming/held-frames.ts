import type { MessageDetails } from "@shardcast/bus";
import type { ChannelList, RecordKind } from "@shardcast/wire";
import type { AnnouncementType } from "../publishing/publisher.ts";

/** A client's message that found the ring full. `payload` is a copy: the socket's bytes are gone once its callback returns. */
export interface HeldFrame {
	/** Absent = a publication. */
	readonly type?: AnnouncementType;
	readonly kind: RecordKind;
	readonly sender: number;
	readonly channels: ChannelList;
	readonly payload: Uint8Array;
	readonly details?: MessageDetails | undefined;
}

export interface HeldFramesLimits {
	/** Bytes of all clients together. */
	readonly bytesMax: number;
	/** Bytes of one client, so that one that floods the shard is refused before it takes the room of the others. */
	readonly clientBytesMax: number;
}

/** What a held frame costs besides what it carries, so that a flood of empty frames is bounded as well. */
const overheadBytes = 128;

/**
 * Client messages that wait for room in the ring, first in, first out: the order of each sender is kept, and a large message
 * is not passed for ever by small ones. A client cannot be told to wait (uWebSockets.js has no way to stop reading from one
 * WebSocket), so the choice is between holding its message and closing it.
 *
 * One owner. When a bound is reached `hold` answers false; the caller closes that client with 1013, counted as `closedBusFull`.
 */
export class HeldFrames<Frame extends HeldFrame = HeldFrame> {
	readonly #limits: HeldFramesLimits;
	readonly #bytesOf = new Map<number | object, number>();
	#frames: Frame[] = [];
	/** Frames before this one have gone; the array is cut when all have. */
	#first = 0;
	#bytes = 0;

	constructor(limits: HeldFramesLimits) {
		this.#limits = limits;
	}

	get count(): number {
		return this.#frames.length - this.#first;
	}

	get bytes(): number {
		return this.#bytes;
	}

	hold(frame: Frame): boolean {
		const bytes = bytesOf(frame);
		const holder = holderOf(frame);
		const ofHolder = (this.#bytesOf.get(holder) ?? 0) + bytes;
		if (this.#bytes + bytes > this.#limits.bytesMax || ofHolder > this.#limits.clientBytesMax) return false;
		this.#frames.push(frame);
		this.#bytes += bytes;
		this.#bytesOf.set(holder, ofHolder);
		return true;
	}

	/** Offers the frames to `write` in order until it answers false; returns how many went. */
	release(write: (frame: Frame) => boolean): number {
		const before = this.#first;
		while (this.#first < this.#frames.length && write(this.#frames[this.#first])) {
			this.#forget(this.#frames[this.#first]);
			this.#first++;
		}
		const released = this.#first - before;
		if (this.#first === this.#frames.length) {
			this.#frames = [];
			this.#first = 0;
		} else if (this.#first > 1024) {
			this.#frames = this.#frames.slice(this.#first);
			this.#first = 0;
		}
		return released;
	}

	#forget(frame: HeldFrame): void {
		const bytes = bytesOf(frame);
		const holder = holderOf(frame);
		const left = this.#bytesOf.get(holder)! - bytes;
		if (left > 0) this.#bytesOf.set(holder, left);
		else this.#bytesOf.delete(holder);
		this.#bytes -= bytes;
	}
}

function bytesOf({ payload, details }: HeldFrame): number {
	let bytes = payload.length + overheadBytes + (details?.info?.length ?? 0);
	for (const [tag, value] of Object.entries(details?.tags ?? {})) bytes += 2 * (tag.length + value.length);
	return bytes;
}

/** Whose share it counts towards. */
function holderOf({ sender, details }: HeldFrame): number | object {
	return details?.holder ?? sender;
}
