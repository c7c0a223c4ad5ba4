import { type BodyProblem, GrowingBytes } from "@shardcast/http";
import type { AddressKey } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { InProgress } from "../../../lifecycle/in-progress.ts";
import { type BodySlot, BodySlots } from "../../../limits/body-slots.ts";
import type { GuardedApp, Response } from "../sockets-app.ts";

interface BodyReaderOptions {
	/** Longest body of all routes. */
	readonly bodyBytesMax: number;
	readonly counters: Pick<Counters, "add">;
}

/** Reports that the client of a request is gone, after its body was read: the library has only one callback for that. */
export interface Aborts {
	readonly isGone: boolean;
	/** Called when the client goes after the body is complete. */
	onGone: (() => void) | null;
}

interface BodyHandlers {
	/** The complete body. Its bytes are valid until this returns. */
	whole(body: Uint8Array, aborts: Aborts): void;
	/** The body is too long, has no room, or was the slowest when another body needed its room. */
	failed(problem: BodyProblem): void;
}

/**
 * Most bytes of an unwanted body that are read and discarded before the answer. If a client still sends when the connection is closed, it gets a
 * reset, and may lose the answer.
 */
const discardedBytesMax = 1024 * 1024;

const bodiesMax = 256;
/** Half of all, so that an address that stalls its bodies leaves room for others. */
const bodiesPerAddressMax = 128;
const bytesAllMin = 64 * 1024 * 1024;
/** Enough for a body of 64 KiB at 2 Mbit/s. */
const graceMs = 250;

/**
 * Collects request bodies. A body that arrives in one piece, as nearly all do, is passed on in the library's memory, without a copy.
 *
 * Owned by the shard's loop. Bounds: `BodySlots` for bodies in several pieces; when it is full, the slowest body fails with `too_slow`, or the new one
 * with `unavailable`. uWebSockets.js closes slow or silent clients in any case (10 s below 16 KiB/s).
 */
export class BodyReader {
	readonly #app: Pick<GuardedApp, "receive">;
	readonly #slots: BodySlots;
	readonly #inProgress = new InProgress();

	constructor(app: Pick<GuardedApp, "receive">, options: BodyReaderOptions) {
		this.#app = app;
		const { bodyBytesMax, counters } = options;
		const bytesMax = Math.max(bytesAllMin, bodyBytesMax);
		this.#slots = new BodySlots({
			slotsMax: bodiesMax,
			slotsPerAddressMax: bodiesPerAddressMax,
			bytesMax,
			graceMs,
			nowMs: () => performance.now(),
			counters,
		});
	}

	/** Number of incomplete bodies. */
	get count(): number {
		return this.#inProgress.count;
	}

	/**
	 * Reads a body. Calls exactly one of the handlers, or none if the client goes away.
	 * @param address returns the client's address. Called only if the body arrives in parts.
	 */
	read(response: Response, address: () => AddressKey, bodyBytesMax: number, handlers: BodyHandlers): void {
		// One buffer, not a list: a client may send chunks of one byte, and each object takes hundreds of bytes.
		let held = new GrowingBytes();
		let slot: BodySlot | null = null;
		const evicted = (): void => {
			held = new GrowingBytes();
			stop();
			this.#inProgress.end();
			handlers.failed("too_slow");
		};
		this.#inProgress.begin();
		const stop = collect(this.#app, response, {
			chunk: (chunk) => {
				slot ??= this.#slots.take(address(), evicted);
				if (slot === null) return () => handlers.failed("unavailable");
				if (slot.bytes + chunk.byteLength > bodyBytesMax) return () => handlers.failed("too_large");
				if (!this.#slots.grow(slot, chunk.byteLength)) return () => handlers.failed("unavailable");
				// A copy: the chunk's memory is valid only until this returns.
				held.append(held.length === 0 ? Buffer.from(new Uint8Array(chunk)) : Buffer.from(chunk));
				return null;
			},
			last: (chunk, aborts) => {
				if (held.length + chunk.byteLength > bodyBytesMax) return handlers.failed("too_large");
				if (held.length === 0) return handlers.whole(new Uint8Array(chunk), aborts);
				held.append(Buffer.from(chunk));
				handlers.whole(held.all(), aborts);
			},
			release: () => {
				held = new GrowingBytes();
				if (slot !== null) this.#slots.release(slot);
				this.#inProgress.end();
			},
		});
	}

	/** Reads and discards the rest of a body, then answers. Answers at once if the rest is too long. */
	discard(response: Response, answer: (aborts: Aborts) => void): void {
		collect(this.#app, response, {
			chunk: (_, aborts) => () => answer(aborts),
			last: (_, aborts) => answer(aborts),
			release: () => {},
		});
	}

	/** Resolves when no body is incomplete. */
	whenNone(): Promise<void> {
		return this.#inProgress.whenNone();
	}
}

interface Collector {
	/** Takes a part that is not the last. Returns a function that answers if no more is wanted. */
	chunk(chunk: ArrayBuffer, aborts: Aborts): (() => void) | null;
	last(chunk: ArrayBuffer, aborts: Aborts): void;
	/** Releases what was kept. Called once, unless the collection was stopped. */
	release(): void;
}

/** @returns a function that stops it: after that nothing is called, not even the collector's `release`. */
function collect(app: Pick<GuardedApp, "receive">, response: Response, collector: Collector): () => void {
	let open = true;
	const aborts = { isGone: false, onGone: null as (() => void) | null };
	let answer: (() => void) | null = null;
	let discardedBytes = 0;
	app.receive(response, {
		aborted: () => {
			aborts.isGone = true;
			if (open && answer === null) collector.release();
			open = false;
			aborts.onGone?.();
		},
		data: (chunk, isLast) => {
			if (!open) return;
			if (answer === null) {
				if (isLast) {
					open = false;
					try {
						collector.last(chunk, aborts);
					} finally {
						collector.release();
					}
					return;
				}
				answer = collector.chunk(chunk, aborts);
				if (answer !== null) collector.release();
			}
			if (answer === null) return;
			discardedBytes += chunk.byteLength;
			if (!isLast && discardedBytes <= discardedBytesMax) return;
			open = false;
			answer();
		},
	});
	return () => {
		open = false;
	};
}
