import type { MessageDetails } from "@shardcast/bus";
import type { ChannelList, RecordKind } from "@shardcast/wire";
import type { AnnouncementType } from "../publishing/publisher.ts";

/** A client's message that found the ring full. `payload` is a copy: the socket's bytes are invalid after its callback. */
export interface HeldFrame {
	/** Absent = a publication. */
	readonly type?: AnnouncementType;
	readonly kind: RecordKind;
	readonly sender: number;
	readonly channels: ChannelList;
	readonly payload: Uint8Array;
	readonly details?: MessageDetails | undefined;
}

interface HeldFramesLimits {
	/** Most bytes of all clients together. */
	readonly bytesMax: number;
	/** Most bytes of a client, so that one that floods the shard is refused before it takes room from others. */
	readonly clientBytesMax: number;
}

/** Bytes counted per frame besides its contents, so that a flood of empty frames is bounded too. */
const overheadBytes = 128;

/**
 * Client messages that wait for room in the ring. First in, first out, so that the order of each sender is kept, and small messages cannot overtake a
 * large one forever. uWebSockets.js cannot stop reading from a WebSocket, so the only choices are to hold a client's message or to close the client.
 *
 * One owner. When a bound is reached, `hold` returns false, and the caller closes that client with 1013, counted as `closedBusFull`.
 */
export class HeldFrames<Frame extends HeldFrame = HeldFrame> {
	readonly #limits: HeldFramesLimits;
	readonly #bytesOf = new Map<number | object, number>();
	#frames: Frame[] = [];
	/** Index of the first frame. Earlier ones were released; the array is cleared when all were. */
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

	/** Passes the frames to `write` in order until it returns false. Returns how many were released. */
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

/** The client or holder whose share it counts towards. */
function holderOf({ sender, details }: HeldFrame): number | object {
	return details?.holder ?? sender;
}
