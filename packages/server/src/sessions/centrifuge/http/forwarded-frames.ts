import type { BusLink } from "@shardcast/bus";
import { everybody, monotonicMs, noExtensions, RecordKind, RecordType, recordBytes, writeRecord } from "@shardcast/wire";

export interface ForwardedFramesParts {
	readonly ring: Pick<BusLink, "claim" | "commit" | "u8" | "view" | "depthBytes" | "capacityBytes" | "recordBytesMax">;
	/** Called after each record that was committed to the ring. */
	readonly onCommit: () => void;
}

interface WaitingFrame {
	readonly slot: number;
	readonly payload: Uint8Array;
	readonly untilMs: number;
	readonly settle: (isPassed: boolean) => void;
}

/** Share of the ring that forwarded frames may use, so that publications have precedence. */
const ringShare = 0.25;
/** How many bytes may wait for space, and for how long. */
const bytesMax = 4 * 1024 * 1024;
const waitMs = 1000;
const retryMs = 1;
/** What a waiting frame counts for in addition to its bytes. */
const overheadBytes = 256;

/**
 * Forwards clients' frames to the shard that has their session, as bus records for that shard alone, in order.
 *
 * Owned by the shard's loop. Bounds: a quarter of this shard's ring, then 4 MiB that wait for at most a second. Beyond that, frames are refused.
 */
export class ForwardedFrames {
	readonly #parts: ForwardedFramesParts;
	#waiting: WaitingFrame[] = [];
	#bytes = 0;
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: ForwardedFramesParts) {
		this.#parts = parts;
	}

	/** @param payload for the shard in this slot. @returns whether it was forwarded; a promise when it has to wait for space. */
	pass(slot: number, payload: Uint8Array): boolean | Promise<boolean> {
		if (this.#waiting.length === 0 && this.#write(slot, payload)) return true;
		const bytes = payload.length + overheadBytes;
		if (this.#bytes + bytes > bytesMax) return false;
		this.#bytes += bytes;
		this.#timer ??= setInterval(() => this.#retry(), retryMs);
		return new Promise((settle) => this.#waiting.push({ slot, payload, untilMs: monotonicMs() + waitMs, settle }));
	}

	/** Refuses everything that waits. */
	stop(): void {
		clearInterval(this.#timer);
		for (const { settle } of this.#waiting.splice(0)) settle(false);
	}

	#retry(): void {
		const nowMs = monotonicMs();
		let done = 0;
		for (const { slot, payload, untilMs, settle } of this.#waiting) {
			const isPassed = this.#write(slot, payload);
			if (!isPassed && nowMs < untilMs) break;
			settle(isPassed);
			this.#bytes -= payload.length + overheadBytes;
			done++;
		}
		this.#waiting = this.#waiting.slice(done);
		if (this.#waiting.length > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	#write(slot: number, payload: Uint8Array): boolean {
		const { ring, onCommit } = this.#parts;
		const bytes = recordBytes(everybody, payload.length);
		if (bytes > ring.recordBytesMax || ring.depthBytes() + bytes > ring.capacityBytes * ringShare) return false;
		const at = ring.claim(bytes);
		if (at < 0) return false;
		const { clientFrames: type } = RecordType;
		const fields = { type, kind: RecordKind.binary, targetSlot: slot, sender: 0, senderShard: 0, publishedMs: monotonicMs() };
		ring.u8.set(payload, writeRecord(ring.view, ring.u8, at, { ...fields, channels: everybody, extensions: noExtensions }));
		ring.commit();
		onCommit();
		return true;
	}
}
